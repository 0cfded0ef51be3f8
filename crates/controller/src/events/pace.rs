//! How often something may happen: so many at once, and one more each period. Pure: the time is an
//! argument.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// A bound on a rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// How many may happen at once.
    pub(super) burst: u32,
    /// How long until one more may.
    pub(super) period: Duration,
}

/// What has happened so far, as the time at which all of it is forgotten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace(Instant);

impl Pace {
    /// Nothing has.
    pub(super) fn new(now: Instant) -> Self {
        Self(now)
    }

    /// Lets one more happen, or says how long it has to wait.
    pub(super) fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let after = self.0.max(now) + rate.period;
        let limit = now + rate.period * rate.burst;
        if after > limit {
            return Err(after - limit);
        }
        self.0 = after;
        Ok(())
    }

    fn is_forgotten(self, now: Instant) -> bool {
        self.0 <= now
    }
}

/// A bound on the rate of each of many.
#[derive(Debug)]
pub(super) struct Paces<K> {
    rate: Rate,
    all: HashMap<K, Pace>,
}

/// With so many known, those of which all is forgotten are let go.
const MANY: usize = 4096;

impl<K: Hash + Eq> Paces<K> {
    /// Each at this rate.
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, all: HashMap::new() }
    }

    /// Whether one more may happen to this one.
    pub(super) fn take(&mut self, key: K, now: Instant) -> bool {
        if self.all.len() >= MANY {
            self.all.retain(|_, pace| !pace.is_forgotten(now));
        }
        // All of them are busy: a stranger waits for one to be forgotten.
        if self.all.len() >= MANY && !self.all.contains_key(&key) {
            return false;
        }
        self.all.entry(key).or_insert(Pace::new(now)).take(self.rate, now).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, period: Duration::from_secs(30) };

    #[test]
    fn a_burst_and_then_one_each_period() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        assert!((0..3).all(|_| pace.take(RATE, now).is_ok()));
        assert_eq!(pace.take(RATE, now), Err(Duration::from_secs(30)));
        let later = now + Duration::from_secs(20);
        assert_eq!(pace.take(RATE, later), Err(Duration::from_secs(10)));
        assert!(pace.take(RATE, now + Duration::from_secs(30)).is_ok());
        assert!(pace.take(RATE, now + Duration::from_secs(30)).is_err());
        let much_later = now + Duration::from_secs(900);
        assert!((0..3).all(|_| pace.take(RATE, much_later).is_ok()), "a burst again");
        assert!(pace.take(RATE, much_later).is_err(), "and no more");
    }

    #[test]
    fn one_that_is_loud_silences_nobody_else_and_all_of_them_are_bounded() {
        let now = Instant::now();
        let mut paces = Paces::new(RATE);
        assert_eq!((0..9).filter(|_| paces.take(0, now)).count(), 3);
        assert!((1..MANY).all(|key| paces.take(key, now)));
        assert!(!paces.take(MANY, now));
        assert_eq!(paces.all.len(), MANY);
        assert!(paces.take(MANY, now + Duration::from_secs(90)));
        assert_eq!(paces.all.len(), 1);
    }
}
