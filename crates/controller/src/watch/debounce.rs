//! When to compile after a change: once nothing changed for 8 ms, and at the latest 250 ms after
//! the first change. An edit is served at once, and a thousand of them are one compilation.
//!
//! Two things wait longer: what is not urgent, and a world in which a named object was not read
//! yet, so that nobody is told for a moment that it is missing.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

const QUIET: Duration = Duration::from_millis(8);
const AT_MOST: Duration = Duration::from_millis(250);
const NOT_URGENT: Duration = Duration::from_secs(1);
const UNREAD: Duration = Duration::from_secs(1);

/// The time that a run of changes is given.
#[derive(Debug, Default)]
pub(crate) struct Debounce(Option<Run>);

#[derive(Clone, Copy, Debug)]
struct Run {
    first: Instant,
    due: Instant,
    urgent: bool,
}

impl Debounce {
    /// Something changed.
    pub(crate) fn touch(&mut self) {
        let now = Instant::now();
        let first = match self.0 {
            Some(Run { first, urgent: true, .. }) => first,
            _ => now,
        };
        let due = (now + QUIET).min(first + AT_MOST);
        self.0 = Some(Run { first, due, urgent: true });
    }

    /// Something changed that can wait.
    pub(crate) fn touch_lazily(&mut self) {
        if self.0.is_none() {
            let first = Instant::now();
            self.0 = Some(Run { first, due: first + NOT_URGENT, urgent: false });
        }
    }

    /// Returns when the run of changes is over, and ends it; never while there is none. `unread`:
    /// something is being read that the compilation would miss.
    pub(crate) async fn quiet(&mut self, unread: bool) {
        match self.0 {
            Some(Run { first, due, .. }) => {
                sleep_until(if unread { due.max(first + UNREAD) } else { due }).await;
            }
            None => std::future::pending().await,
        }
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_change_waits_for_quiet() {
        let mut debounce = Debounce::default();
        assert!(timeout(Duration::from_secs(9), debounce.quiet(false)).await.is_err(), "no change");
        debounce.touch();
        let from = Instant::now();
        debounce.quiet(false).await;
        assert!((5..=10).contains(&from.elapsed().as_millis()));
        assert!(
            timeout(Duration::from_secs(9), debounce.quiet(false)).await.is_err(),
            "it is over"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_waits_no_longer_than_the_bound() {
        let mut debounce = Debounce::default();
        let from = Instant::now();
        let mut runs = Vec::new();
        while from.elapsed() < Duration::from_secs(1) {
            debounce.touch();
            if timeout(Duration::from_millis(1), debounce.quiet(false)).await.is_ok() {
                runs.push(from.elapsed().as_millis());
            }
        }
        assert!((3..=4).contains(&runs.len()), "{runs:?}");
        assert!(runs[0] <= 251, "{runs:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_wait_loses_nothing() {
        let mut debounce = Debounce::default();
        debounce.touch();
        assert!(timeout(Duration::from_millis(2), debounce.quiet(false)).await.is_err());
        advance(Duration::from_millis(20)).await;
        assert!(timeout(Duration::from_millis(2), debounce.quiet(false)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_urgent_waits_until_something_is() {
        let mut debounce = Debounce::default();
        let from = Instant::now();
        debounce.touch_lazily();
        debounce.quiet(false).await;
        assert_eq!(from.elapsed(), NOT_URGENT);

        debounce.touch_lazily();
        advance(Duration::from_millis(500)).await;
        let from = Instant::now();
        debounce.touch();
        debounce.touch_lazily();
        debounce.quiet(false).await;
        assert_eq!(from.elapsed(), QUIET);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_being_read_is_waited_for_within_a_bound() {
        let mut debounce = Debounce::default();
        let from = Instant::now();
        debounce.touch();
        debounce.quiet(true).await;
        assert_eq!(from.elapsed(), UNREAD);

        let from = Instant::now();
        debounce.touch();
        assert!(timeout(Duration::from_millis(100), debounce.quiet(true)).await.is_err());
        debounce.quiet(false).await;
        assert!(from.elapsed() < AT_MOST, "it was read");
    }
}
