//! One router's stream. It is pulled: the next piece is made when the router can take it, from the
//! state as it is then. What is under way is one plan over one state, so that a COMMIT always
//! stands for a whole state; whatever is published meanwhile is met by the next plan at once. What
//! the fleet saw goes between two such plans, after the first, and is looked up when it is sent.

use std::{
    io::{self, Write as _},
    sync::Arc,
    time::Duration,
    vec,
};

use bytes::Bytes;
use telemetry::ControllerMetrics;
use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use wire::{Commit, Encoder, FEATURES, Frame, Heartbeat, Held, Hello, PROTOCOL, Reconnect};

use super::{
    Shared,
    hints::Hints,
    plan::{self, Step},
    state::State,
    view::View,
};

/// About how large a piece is.
const PIECE: usize = 32 << 10;
/// Fast, and with a small window: there may be many routers.
const ZSTD_LEVEL: i32 = 1;
/// The routers of a controller that ends come to others one in so long, and all within this.
const HERD: Duration = Duration::from_millis(50);
const LONGEST_FAREWELL: Duration = Duration::from_secs(10);

/// A stream to a router.
pub(super) struct Connection {
    shared: Arc<Shared>,
    view: View,
    generation: watch::Receiver<u64>,
    heartbeat: Interval,
    encoder: Encoder,
    zstd: Option<zstd::stream::write::Encoder<'static, Vec<u8>>>,
    out: Vec<u8>,
    /// What is under way.
    steps: vec::IntoIter<Step>,
    state: Arc<State>,
    /// Whether a COMMIT ends what is under way.
    commit: bool,
    hints: Option<Hints>,
    /// Whether the last that there is to say was said.
    over: bool,
    /// Whether what was written tells that the state is current, as a heartbeat does.
    told: bool,
    /// Cancelled when the router is not to be served any longer; and when this is dropped.
    admitted: DropGuard,
    _counted: Counted,
}

/// Counts a router as connected.
struct Counted(Arc<ControllerMetrics>);

impl Counted {
    fn new(metrics: &Arc<ControllerMetrics>) -> Self {
        metrics.routers.inc();
        Self(Arc::clone(metrics))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.routers.dec();
    }
}

impl Connection {
    /// A stream to a router that holds this.
    pub(super) fn new(
        shared: Arc<Shared>,
        state: Arc<State>,
        held: Held,
        zstd: bool,
        hints: Option<Hints>,
        admitted: CancellationToken,
    ) -> io::Result<Self> {
        let zstd = zstd.then(|| zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL));
        let every = shared.settings.heartbeat;
        let mut heartbeat = interval_at(Instant::now() + every, every);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut generation = shared.generation.subscribe();
        generation.mark_changed();
        let mut connection = Self {
            view: View::of(held),
            generation,
            heartbeat,
            encoder: Encoder::default(),
            zstd: zstd.transpose()?,
            out: Vec::new(),
            steps: Vec::new().into_iter(),
            state,
            commit: true,
            hints,
            over: false,
            told: false,
            admitted: admitted.drop_guard(),
            _counted: Counted::new(&shared.settings.metrics),
            shared,
        };
        connection.hello()?;
        connection.plan();
        Ok(connection)
    }

    fn hello(&mut self) -> io::Result<()> {
        let settings = &self.shared.settings;
        let hello = Frame::Hello(Hello {
            protocol: PROTOCOL,
            controller: settings.controller.clone(),
            cluster: settings.cluster.clone(),
            features: FEATURES.iter().map(|f| (*f).to_owned()).collect(),
            heartbeat_millis: u64::try_from(settings.heartbeat.as_millis()).unwrap_or(u64::MAX),
            routers: self.routers(),
            admin_token: settings.admin_token.clone(),
        });
        self.write(&hello)
    }

    /// How many routers are ready; where nobody can tell, how many are connected here.
    fn routers(&self) -> u32 {
        if let Some(ready) = self.hints.as_ref().and_then(Hints::routers) {
            return ready;
        }
        let routers = self.shared.settings.metrics.routers.get();
        u32::try_from(routers).unwrap_or(u32::MAX).max(1)
    }

    fn write(&mut self, frame: &Frame) -> io::Result<()> {
        self.encoder.encode(frame, &mut self.out).map_err(io::Error::other)
    }

    /// Plans what takes the router to the state.
    fn plan(&mut self) {
        let plan = plan::plan(&mut self.view, &self.state, Instant::now());
        if plan.doubtful {
            self.shared.doubts.send_modify(|doubts| *doubts += 1);
        }
        self.commit |= !plan.steps.is_empty();
        self.steps = plan.steps.into_iter();
    }

    /// The next piece of the stream; `None`: it is over.
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let ended = self.admitted.token().clone();
        while !self.shared.closed.is_cancelled() && !ended.is_cancelled() {
            self.fill()?;
            if !self.out.is_empty() {
                return self.piece().map(Some);
            }
            tokio::select! {
                biased;
                () = self.shared.closed.cancelled() => {}
                () = ended.cancelled() => {}
                changed = self.generation.changed() => {
                    if changed.is_err() {
                        return Ok(None);
                    }
                    if let Some(state) = self.shared.state.read().clone() {
                        self.state = state;
                    }
                    self.plan();
                }
                () = due(&mut self.hints) => {}
                _ = self.heartbeat.tick() => {
                    // A credential's last good form may have had its time.
                    self.plan();
                    if !self.commit {
                        let routers = Some(self.routers());
                        self.write(&Frame::Heartbeat(Heartbeat { routers }))?;
                        self.told = true;
                    }
                }
            }
        }
        self.farewell()
    }

    /// The last that a router is told: when to ask again. It is a time of its own, so that those of
    /// a controller that ends do not all come to another one at once.
    fn farewell(&mut self) -> io::Result<Option<Bytes>> {
        if std::mem::replace(&mut self.over, true) {
            return Ok(None);
        }
        let span = HERD.saturating_mul(self.routers()).min(LONGEST_FAREWELL);
        let part = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), "after") % 1000;
        let after = span.as_millis().saturating_mul(part.into()) / 1000;
        let after_millis = u64::try_from(after).unwrap_or_default();
        self.write(&Frame::Reconnect(Reconnect { after_millis }))?;
        self.piece().map(Some)
    }

    /// Writes of what is under way as much as makes a piece.
    fn fill(&mut self) -> io::Result<()> {
        while self.out.len() < PIECE {
            let Some(step) = self.steps.next() else {
                if std::mem::take(&mut self.commit) {
                    let (revision, counts) = self.view.sums();
                    self.write(&Frame::Commit(Commit { revision, counts }))?;
                    self.told = true;
                    if let Some(hints) = &mut self.hints {
                        hints.committed();
                    }
                }
                if let Some(hints) = &mut self.hints {
                    hints.write(&mut self.encoder, &mut self.out)?;
                }
                return Ok(());
            };
            self.told = true;
            match step.frame(&self.state) {
                Some(frame) => self.write(&frame)?,
                None => tracing::error!(?step, "nothing to send for a step of the plan"),
            }
        }
        Ok(())
    }

    fn piece(&mut self) -> io::Result<Bytes> {
        // What the fleet saw is no heartbeat: that also looks at what time alone ends.
        if std::mem::take(&mut self.told) {
            self.heartbeat.reset();
        }
        let Some(zstd) = &mut self.zstd else {
            return Ok(Bytes::from(std::mem::take(&mut self.out)));
        };
        zstd.write_all(&self.out)?;
        zstd.flush()?;
        self.out.clear();
        Ok(Bytes::from(std::mem::take(zstd.get_mut())))
    }
}

/// Returns when there is something new to tell of the fleet; never where nothing is told.
async fn due(hints: &mut Option<Hints>) {
    match hints {
        Some(hints) => hints.due().await,
        None => std::future::pending().await,
    }
}
