//! Where a router stands under one limit: the share that is its own, and what all others use.
//!
//! Until the first word from the fleet it takes what is safe while one more router starts:
//! `limit / (R + 1)`, at least 1. Once told, its share is the part of the limit that it was told,
//! so that an edited limit holds at once. Without a word for a minute: `limit / R`.

use std::time::Duration;

use super::window::SPAN;
use crate::{fleet::Draw, stats::TimeScale, time::Nanos};

/// What is known of the fleet as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fleet {
    /// How many routers are ready, at least 1.
    pub(super) routers: u32,
    /// When it was last told.
    pub(super) told: Option<Nanos>,
}

impl Default for Fleet {
    fn default() -> Self {
        Self { routers: 1, told: None }
    }
}

impl Fleet {
    /// Whether the fleet's word is less than a minute old.
    fn fresh(self, now: Nanos) -> bool {
        self.told.is_some_and(|at| now.since(at) <= SPAN)
    }
}

/// What the fleet said of one limit.
#[derive(Clone, Copy, Debug)]
struct Told {
    /// The part of the limit that is ours, in `0..=1`.
    part: f64,
    others: Draw,
    /// As of when.
    at: Nanos,
}

/// Where this router stands under one limit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing(Option<Told>);

impl Standing {
    /// Takes in the fleet's word: a share of `limit`, and what the others did `age` ago.
    pub(super) fn tell(&mut self, now: Nanos, limit: f64, share: f64, others: Draw, age: Duration) {
        let part = if share.is_finite() { (share / limit).clamp(0.0, 1.0) } else { 0.0 };
        self.0 = Some(Told { part, others: others.sane(), at: now - age });
    }

    /// The fleet had no word on this limit: nobody uses it.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }

    /// How much of the limit is this router's.
    pub(super) fn share(&self, now: Nanos, fleet: Fleet, limit: f64) -> f64 {
        let routers = f64::from(fleet.routers.max(1));
        match self.0 {
            _ if fleet.told.is_none() => (limit / (routers + 1.0)).max(1.0).min(limit),
            Some(told) if fleet.fresh(now) => told.part * limit,
            _ => limit / routers,
        }
    }

    /// What all others use by now: as of their word, then on at the rate of their last 10 s, as
    /// the window moves over it. After a minute without a word it fades.
    pub(super) fn others(&self, now: Nanos) -> f64 {
        let Some(told) = self.0 else { return 0.0 };
        let age = now.since(told.at);
        let moved = age.min(SPAN).as_secs_f64() / SPAN.as_secs_f64();
        let steady = 6.0 * told.others.recent;
        let used = told.others.used + (steady - told.others.used) * moved;
        used * TimeScale::Slow.left_after(age.saturating_sub(SPAN))
    }

    /// The same for requests in flight, which no window moves over.
    pub(super) fn others_in_flight(&self, now: Nanos) -> f64 {
        let Some(told) = self.0 else { return 0.0 };
        told.others.used * TimeScale::Slow.left_after(now.since(told.at).saturating_sub(SPAN))
    }

    /// What the others use, if the fleet's word is fresh enough to act upon: `None` when this
    /// router knows of itself alone.
    pub(super) fn known(&self, now: Nanos, fleet: Fleet) -> Option<Self> {
        (fleet.fresh(now) && self.0.is_some()).then_some(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Nanos {
        Nanos::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "exact quotients")]
    fn a_share_before_with_and_long_after_the_fleets_word() {
        let mut standing = Standing::default();
        let mut fleet = Fleet { routers: 3, told: None };
        assert_eq!(standing.share(at(1), fleet, 100.0), 25.0);
        assert_eq!(standing.share(at(1), fleet, 2.0), 1.0, "at least one");
        fleet.told = Some(at(10));
        standing.tell(at(10), 100.0, 70.0, Draw::default(), Duration::ZERO);
        assert_eq!(standing.share(at(11), fleet, 100.0), 70.0);
        assert_eq!(standing.share(at(11), fleet, 50.0), 35.0, "an edited limit holds at once");
        assert_eq!(standing.share(at(71), fleet, 90.0), 30.0);
        standing.forget();
        assert_eq!(standing.share(at(11), fleet, 90.0), 30.0, "a limit that nobody uses");
    }

    #[test]
    fn others_go_on_at_their_rate() {
        let mut standing = Standing::default();
        let others = Draw { demand: 0.0, used: 60.0, recent: 30.0 };
        standing.tell(at(100), 1_000.0, 0.0, others, Duration::from_secs(2));
        assert!((standing.others(at(98)) - 60.0).abs() < 1e-9);
        assert!((standing.others(at(108)) - 80.0).abs() < 1e-9, "3 come and 1 leaves each second");
        assert!((standing.others(at(158)) - 180.0).abs() < 1e-9);
        assert!(standing.others(at(100_000)) < 1e-9, "and nothing stands for ever");
    }
}
