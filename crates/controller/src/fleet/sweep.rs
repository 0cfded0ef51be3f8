//! One sweep after another: every ready router is asked, a few at a time, and what came is merged.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use routing::Rng;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{Fleet, Members};

/// How many routers are asked at once.
const AT_ONCE: usize = 32;
/// The longest that a router's report is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// The shortest, however short the interval is.
const HASTE: Duration = Duration::from_millis(250);

/// How long a router's report is waited for: one that hangs should not cost the others a sweep.
pub(super) fn patience(interval: Duration) -> Duration {
    (interval / 2).clamp(HASTE, PATIENCE)
}

impl Fleet {
    /// Sweeps until `stop`: at once when the first routers and the first snapshot are known, then
    /// every interval.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.sweeps() => {}
        }
    }

    async fn sweeps(&self) {
        // Fails only with the fleet.
        if self.0.serves.subscribe().wait_for(|serves| *serves).await.is_err() {
            return;
        }
        let mut members = self.0.members.subscribe();
        let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), "sweeps");
        let mut rng = Rng::new(seed);
        let mut due = Instant::now();
        // Nobody was asked so far.
        let mut idle = true;
        loop {
            if members.wait_for(Option::is_some).await.is_err() {
                return;
            }
            tokio::select! {
                () = sleep_until(due) => {}
                () = any(&mut members), if idle => {}
            }
            let jitter = 0.9 + 0.2 * rng.unit();
            due = Instant::now() + self.0.settings.interval.mul_f64(jitter);
            let ready = self.members().unwrap_or_default();
            idle = ready.is_empty();
            self.sweep(&ready).await;
        }
    }

    async fn sweep(&self, ready: &Members) {
        let (started, metrics) = (Instant::now(), &self.0.settings.metrics);
        // Those that hang are asked last, so that they keep nobody waiting.
        let order = self.0.board.lock().order(ready);
        let asked = order.into_iter().map(|(uid, member)| {
            let scraper = self.0.scraper.clone();
            async move {
                let answer = scraper.report(member.admin).await;
                (uid, member, answer)
            }
        });
        let mut answers = stream::iter(asked).buffer_unordered(AT_ONCE);
        let mut silent = 0;
        while let Some((uid, member, answer)) = answers.next().await {
            let mut board = self.0.board.lock();
            match answer {
                Ok(report) => {
                    if board.heard((&uid, &member.name), report, Instant::now(), unix_now()) {
                        info!(router = member.name, admin = %member.admin, "reports again");
                    }
                }
                Err(_) if !ready.contains_key(&uid) => {
                    // It was ending, and has ended.
                    board.silent(&uid);
                }
                Err(failure) => {
                    silent += 1;
                    metrics.sweep_failed(failure.kind());
                    let (router, admin) = (&member.name, member.admin);
                    // The same failure over and over is told once.
                    if board.silent(&uid) {
                        warn!(router, %admin, "no report, the last one ages: {failure}");
                    } else {
                        debug!(router, %admin, "no report: {failure}");
                    }
                }
            }
        }
        drop(answers);
        // Whoever left meanwhile is not counted, whatever it said.
        let ready = self.members().unwrap_or_default();
        let faults = {
            let mut board = self.0.board.lock();
            board.merge(&ready, Instant::now(), unix_now());
            self.0.spends.send_if_modified(|before| {
                let spends = board.spends();
                let changed = before.len() != spends.len()
                    || before.values().zip(spends.values()).any(|(a, b)| !Arc::ptr_eq(a, b));
                if changed {
                    *before = Arc::new(spends.clone());
                }
                changed
            });
            board.faults()
        };
        self.0.faults.send_if_modified(|before| {
            let changed = before.as_deref() != Some(&faults);
            if changed {
                *before = Some(Arc::new(faults));
            }
            changed
        });
        metrics.swept(started.elapsed(), silent);
        self.0.rounds.send_modify(|rounds| *rounds += 1);
    }
}

/// Now, in seconds since 1970.
fn unix_now() -> i64 {
    k8s_openapi::jiff::Timestamp::now().as_second()
}

/// Returns when any router is ready; never once nobody can tell.
async fn any(members: &mut watch::Receiver<Option<Arc<Members>>>) {
    let some = members.wait_for(|known| known.as_ref().is_some_and(|known| !known.is_empty()));
    if some.await.is_err() {
        std::future::pending::<()>().await;
    }
}
