//! What a router is told of all others: after its first COMMIT and after each sweep. It is looked up
//! when the router can take it, so that nothing is queued for a slow one.

use std::io;
use std::sync::Arc;

use routing::fleet::{FleetKey, FleetModel, FleetView};
use routing::stats::{Part, TimeScale};
use telemetry::ControllerMetrics;
use tokio::sync::watch;
use wire::{EncodeError, Encoder, Frame};

use crate::fleet::{Fleet, Joined};

/// The hints of one stream.
pub(super) struct Hints {
    fleet: Fleet,
    router: String,
    rounds: watch::Receiver<u64>,
    metrics: Arc<ControllerMetrics>,
    /// Whether the router has a snapshot that they can be about.
    committed: bool,
    due: bool,
    /// Where the router itself says that it is there.
    _joined: Option<Joined>,
}

impl Hints {
    /// Those of the router of this name.
    pub(super) fn new(
        fleet: Fleet,
        router: String,
        joined: Option<Joined>,
        metrics: Arc<ControllerMetrics>,
    ) -> Self {
        let rounds = fleet.rounds();
        Self { fleet, router, rounds, metrics, committed: false, due: true, _joined: joined }
    }

    /// How many routers are ready, if anybody can tell.
    pub(super) fn routers(&self) -> Option<u32> {
        self.fleet.routers()
    }

    /// The router has a snapshot.
    pub(super) fn committed(&mut self) {
        self.committed = true;
    }

    /// Returns when there is something new to tell.
    pub(super) async fn due(&mut self) {
        if self.rounds.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.due = true;
    }

    /// Writes what is to be told, if anything.
    pub(super) fn write(&mut self, encoder: &mut Encoder, out: &mut Vec<u8>) -> io::Result<()> {
        if !self.committed || !std::mem::take(&mut self.due) {
            return Ok(());
        }
        // Before the first sweep nothing is known, and the router may know something still.
        let Some(view) = self.fleet.view(&self.router) else { return Ok(()) };
        let mut frame = Frame::Fleet(view);
        loop {
            match encoder.encode(&frame, out) {
                Err(EncodeError::TooLong { .. }) if shorten(&mut frame) => {
                    self.metrics.fleet_cut.inc();
                }
                Err(EncodeError::TooLong { bytes }) => {
                    tracing::warn!(router = self.router, bytes, "too much to tell of the fleet");
                    return Ok(());
                }
                other => return other.map_err(io::Error::other),
            }
        }
    }
}

/// Leaves out the half of the models with the fewest attempts, and of the callers' keys that the
/// others used least; whether there was one.
fn shorten(frame: &mut Frame) -> bool {
    let Frame::Fleet(FleetView { models, keys, .. }) = frame else { return false };
    let attempts = |model: &FleetModel| model.sums.get(TimeScale::Slow, Part::Attempts);
    models.sort_by(|a, b| attempts(b).total_cmp(&attempts(a)));
    let demand = |key: &FleetKey| key.limits.iter().map(|limit| limit.others.demand).sum::<f64>();
    keys.sort_by(|a, b| demand(b).total_cmp(&demand(a)));
    let (models_left, keys_left) = (models.len() / 2, keys.len() / 2);
    let any = models_left < models.len() || keys_left < keys.len();
    models.truncate(models_left);
    keys.truncate(keys_left);
    any
}

#[cfg(test)]
mod tests {
    use routing::{ObjectId, stats::Sums};
    use wire::MAX_LINE;

    use super::*;

    #[test]
    fn what_is_too_long_for_a_frame_loses_what_was_used_least() {
        let model = |n: u32| {
            let mut sums = Sums::default();
            sums.observe(Part::Attempts, f64::from(n));
            let target = ObjectId::new("shop", format!("{}-{n}", "t".repeat(200)));
            FleetModel { target, model: "m".repeat(200), age_ms: 0, sums }
        };
        let models = (0..20_000).map(model).collect();
        let mut frame = Frame::Fleet(FleetView { routers: 3, models, ..FleetView::default() });
        let (mut encoder, mut out) = (Encoder::default(), Vec::new());
        while encoder.encode(&frame, &mut out).is_err() {
            assert!(shorten(&mut frame));
        }
        assert!(out.len() > MAX_LINE / 4, "no more than needed: {}", out.len());
        let Frame::Fleet(view) = &mut frame else { panic!("{frame:?}") };
        let least = view.models.iter().map(|m| m.sums.get(TimeScale::Slow, Part::Attempts));
        assert!(least.fold(f64::INFINITY, f64::min) > 10_000.0);
        view.models.clear();
        assert!(!shorten(&mut frame), "nothing is left to leave out");
    }
}
