//! Whether the API server answers. A controller that got no answer for 15 s takes no new router
//! until it gets one: what it would serve may be old. Any answer counts, a refusal too.
//!
//! Where there is a Lease, looking at it is the question, and this asks nothing of its own.

use std::time::Duration;

use kube::Client;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

/// How often it is asked while it answers, and while it does not.
const PERIOD: Duration = Duration::from_secs(5);
const PERIOD_AWAY: Duration = Duration::from_secs(1);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Without an answer for so long it is away.
const AWAY_AFTER: Duration = Duration::from_secs(15);

/// The news whether the API server answers.
#[derive(Clone, Debug)]
pub(crate) struct Reach(watch::Receiver<Pulse>);

/// What was learned last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pulse {
    /// The last question was answered.
    answered: bool,
    /// It has not answered for 15 s.
    away: bool,
}

impl Reach {
    /// Asks this API server, over and over, while the future is polled. It begins as reachable.
    pub(crate) fn of(client: Client) -> (Self, impl Future<Output = ()> + Send) {
        let (tell, told) = watch::channel(Pulse { answered: true, away: false });
        let ask = move || {
            let client = client.clone();
            async move {
                let answer = timeout(PATIENCE, client.apiserver_version()).await;
                matches!(answer, Ok(Ok(_) | Err(kube::Error::Api(_))))
            }
        };
        (Self(told), pulse(tell, PERIOD, ask))
    }

    /// The same by this question, which says whether it was answered, asked so often.
    pub(crate) fn by<F: Future<Output = bool> + Send>(
        period: Duration,
        ask: impl Fn() -> F + Send,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (tell, told) = watch::channel(Pulse { answered: true, away: false });
        (Self(told), pulse(tell, period, ask))
    }

    /// Whether it has not answered for 15 s.
    pub(crate) fn away(&self) -> bool {
        self.0.borrow().away
    }

    /// Returns when [`Reach::away`] changes; never once nobody asks any more.
    pub(crate) async fn changed(&mut self) {
        let before = self.away();
        if self.0.wait_for(|pulse| pulse.away != before).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns when it answers again after it did not; never while all is well. Cuts a backoff
    /// short.
    pub(crate) async fn back(&self) {
        let mut told = self.0.clone();
        let lost = told.wait_for(|pulse| !pulse.answered).await.map(drop);
        let found = match lost {
            Ok(()) => told.wait_for(|pulse| pulse.answered).await.map(drop),
            Err(gone) => Err(gone),
        };
        if found.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn pulse<F: Future<Output = bool> + Send>(
    tell: watch::Sender<Pulse>,
    period: Duration,
    ask: impl Fn() -> F + Send,
) {
    let mut last = Instant::now();
    loop {
        let answered = ask().await;
        let now = Instant::now();
        if answered {
            last = now;
        }
        let away = now.duration_since(last) > AWAY_AFTER;
        let before = tell.send_replace(Pulse { answered, away });
        if away && !before.away {
            warn!("the API server does not answer; routers that are connected keep what they have");
        } else if before.away && !away {
            info!("the API server answers again");
        }
        sleep(if answered { period } else { PERIOD_AWAY }).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_away_after_a_while_and_an_answer_ends_it() {
        let answers = Arc::new(AtomicBool::new(true));
        let (tell, told) = watch::channel(Pulse { answered: true, away: false });
        let mut reach = Reach(told);
        let ask = {
            let answers = answers.clone();
            move || std::future::ready(answers.load(Ordering::Relaxed))
        };
        let asking = tokio::spawn(pulse(tell, PERIOD, ask));

        sleep(Duration::from_secs(60)).await;
        assert!(!reach.away());
        answers.store(false, Ordering::Relaxed);
        let silent = Instant::now();
        let other = reach.clone();
        let back = other.back();
        tokio::pin!(back);
        assert!(timeout(Duration::from_secs(10), &mut back).await.is_err());
        assert!(!reach.away(), "not yet");
        reach.changed().await;
        assert!(silent.elapsed() <= Duration::from_secs(22));

        answers.store(true, Ordering::Relaxed);
        back.await;
        assert!(!reach.away());
        asking.abort();
    }
}
