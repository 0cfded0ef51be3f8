//! How long to wait before the next attempt: exponential, with full jitter, and over a span that
//! grows with the number of routers. When a controller restarts they all come back at once, and it
//! should see ten of them a second, not all of them.

use std::time::Duration;

use routing::Rng;

/// The span of the first wait.
const FIRST: Duration = Duration::from_millis(250);
/// The longest span.
const LONGEST: Duration = Duration::from_secs(10);
/// The span that one router is given.
const EACH: Duration = Duration::from_millis(100);

/// The waits between attempts.
#[derive(Debug)]
pub(super) struct Backoff {
    rng: Rng,
    failures: u32,
    routers: u32,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed), failures: 0, routers: 1 }
    }

    /// So many routers share the controllers.
    pub(super) fn shared_by(&mut self, routers: u32) {
        self.routers = routers;
    }

    /// It works.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next wait.
    pub(super) fn next(&mut self) -> Duration {
        let herd = EACH.saturating_mul(self.routers);
        let first = FIRST.max(herd);
        let span = first.saturating_mul(1 << self.failures.min(16)).min(LONGEST.max(herd));
        self.failures += 1;
        span.mul_f64(self.rng.unit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_begin_anew() {
        let mut backoff = Backoff::new(7);
        let longest = |backoff: &mut Backoff, n: u32| {
            (0..200)
                .map(|seed| {
                    backoff.rng = Rng::new(seed);
                    backoff.failures = n;
                    backoff.next()
                })
                .max()
        };
        assert!(longest(&mut backoff, 0) <= Some(FIRST));
        assert!(longest(&mut backoff, 2) > Some(FIRST * 3));
        assert!(longest(&mut backoff, 40) > Some(LONGEST.mul_f64(0.9)));
        assert!(longest(&mut backoff, 40) <= Some(LONGEST));
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }

    /// 200 routers that lose their controller at once: at most 20 of them come back in any second,
    /// and the last one within 20 s.
    #[test]
    fn a_herd_is_spread() {
        let mut arrivals: Vec<Duration> = (0..200)
            .map(|seed| {
                let mut backoff = Backoff::new(seed);
                backoff.shared_by(200);
                backoff.next()
            })
            .collect();
        arrivals.sort_unstable();
        let second = Duration::from_secs(1);
        let peak = arrivals
            .iter()
            .enumerate()
            .map(|(i, from)| arrivals[i..].iter().take_while(|at| **at < *from + second).count())
            .max();
        assert!(peak <= Some(20), "{peak:?} in a second");
        assert!(arrivals.last() <= Some(&Duration::from_secs(20)));
    }
}
