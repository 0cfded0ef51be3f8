//! One limit over a minute, as one router holds it: what it used and refused, and its share.
//!
//! A share is seldom a whole number of requests. With 20 routers and 75 requests a minute each has
//! 3.75: to stop at three leaves a fifth unused, to go on to a fourth is too many. So a request
//! that crosses the share is admitted if the fleet as a whole has room, and if this router has
//! saved for it: savings grow by the share each minute, whatever is admitted is taken from them.
//! How much must be saved is drawn anew for each crossing, so that routers which began together do
//! not cross together, and on average none uses more than its share.

use std::time::Duration;

use super::{
    standing::{Fleet, Standing},
    window::{Bucket, SPAN, Window, float},
};
use crate::{fleet::Draw, rng::Rng, time::Nanos};

/// What floats may err by.
const EPSILON: f64 = 1e-6;

/// By which part of the limit the whole fleet may be above it, as far as a router can tell, before
/// it refuses what its own share has room for. What it knows of the others is seconds old, so that
/// at steady demand the estimate errs to both sides.
const SLACK: f64 = 0.05;

/// What a router has not used of its share.
#[derive(Clone, Copy, Debug)]
struct Savings {
    level: f64,
    /// The part of a crossing request that must be saved for it, in `0..1`.
    threshold: f64,
    at: Nanos,
}

/// A limit over a sliding minute.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    limit: u64,
    used: Window,
    refused: Window,
    savings: Savings,
    pub(super) standing: Standing,
    /// The provider said that it is used up until then.
    full_until: Nanos,
}

impl Meter {
    pub(super) fn new(limit: u64, rng: &mut Rng) -> Self {
        Self {
            limit: limit.max(1),
            used: Window::default(),
            refused: Window::default(),
            // As much as a minute saves, before the first request; see `saved`.
            savings: Savings { level: f64::MAX, threshold: rng.unit(), at: Nanos::ZERO },
            standing: Standing::default(),
            full_until: Nanos::ZERO,
        }
    }

    /// A new limit; what was counted stays.
    pub(super) fn limit(&mut self, limit: u64) {
        self.limit = limit.max(1);
    }

    pub(super) fn share(&self, now: Nanos, fleet: Fleet) -> f64 {
        self.standing.share(now, fleet, float(self.limit))
    }

    /// What is saved by now: at most a minute's share, or one request of this amount.
    fn saved(&self, now: Nanos, share: f64, amount: f64) -> f64 {
        let minutes = now.since(self.savings.at).as_secs_f64() / SPAN.as_secs_f64();
        (self.savings.level + share * minutes).clamp(-share.max(amount), share.max(amount))
    }

    /// Whether so much more may be used, or when to ask again.
    pub(super) fn admits(&self, now: Nanos, fleet: Fleet, amount: u64) -> Result<(), Duration> {
        let (share, used, amount) = (self.share(now, fleet), self.used.sum(now), float(amount));
        let fits = used + amount <= share + EPSILON;
        let Some(standing) = self.standing.known(now, fleet) else {
            // An empty window admits one, however large.
            let free = fits || used < EPSILON;
            return if free { Ok(()) } else { Err(self.wait(now, share, used, amount)) };
        };
        let limit = float(self.limit);
        let all = used + standing.others(now);
        if all < EPSILON {
            return Ok(());
        }
        // Those whose share was larger a moment ago have used it: what has gone is gone.
        let over = all + amount - limit * (1.0 + SLACK);
        if fits && over <= EPSILON {
            return Ok(());
        }
        let missing = self.savings.threshold * amount - self.saved(now, share, amount);
        let room = all + amount <= limit + EPSILON;
        if room && used < share && missing <= 0.0 {
            return Ok(());
        }
        if fits {
            // The fleet's windows empty as they were filled: at a limit a minute.
            return Err(Duration::from_secs_f64((60.0 * over / limit).clamp(1.0, 60.0)));
        }
        if amount <= share {
            return Err(self.wait(now, share, used, amount));
        }
        // It can only cross: not before the use is below the share, and enough is saved.
        let minutes = missing.max(0.0) / share.max(EPSILON);
        let saving = Duration::from_secs_f64((minutes * 60.0).min(60.0));
        Err(self.used.frees(now, (used - share).max(0.0)).max(saving))
    }

    /// When so much fits, or all has left the window.
    fn wait(&self, now: Nanos, share: f64, used: f64, amount: f64) -> Duration {
        self.used.frees(now, if amount <= share { used + amount - share } else { used })
    }

    /// Counts what [`Meter::admits`] allowed.
    pub(super) fn take(&mut self, now: Nanos, fleet: Fleet, amount: u64, rng: &mut Rng) -> Bucket {
        let (share, tokens) = (self.share(now, fleet), float(amount));
        self.savings.level = self.saved(now, share, tokens) - tokens;
        self.savings.at = self.savings.at.max(now);
        if self.used.sum(now) + tokens > share + EPSILON {
            self.savings.threshold = rng.unit();
        }
        self.used.add(now, amount)
    }

    /// Counts what was asked for and refused.
    pub(super) fn refuse(&mut self, now: Nanos, amount: u64) {
        self.refused.add(now, amount);
    }

    /// Puts what was really used in the place of what was reserved. What is less leaves the bucket
    /// of the reservation; what is more was learnt now, and counts from now on.
    pub(super) fn correct(&mut self, now: Nanos, bucket: Bucket, reserved: u64, really: u64) {
        if really < reserved {
            self.used.take_back(bucket, reserved - really);
            self.savings.level += float(reserved - really);
        } else if really > reserved {
            self.used.add(now, really - reserved);
            self.savings.level -= float(really - reserved);
        }
    }

    /// The provider itself says that the limit is reached until then.
    pub(super) fn exhausted(&mut self, until: Nanos) {
        self.full_until = self.full_until.max(until);
    }

    /// What of the limit the whole fleet uses with so much more; 0 is real.
    pub(super) fn utilisation(&self, now: Nanos, amount: u64) -> f64 {
        let used = self.used.sum(now) + self.standing.others(now) + float(amount);
        let part = used / float(self.limit);
        if now < self.full_until { part.max(1.0) } else { part }
    }

    /// What the fleet has not used, and when nothing of it will be used any more.
    pub(super) fn left(&self, now: Nanos) -> (u64, Duration) {
        let (used, others) = (self.used.sum(now), self.standing.others(now));
        let left = (float(self.limit) - used - others + EPSILON).floor().max(0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between nothing and the limit"
        )]
        let left = left as u64;
        // When what others used leaves the window is not told: a minute at most.
        let theirs = if others > EPSILON { SPAN } else { Duration::ZERO };
        (left, self.used.frees(now, used).max(theirs))
    }

    pub(super) fn draw(&self, now: Nanos) -> Draw {
        let used = self.used.sum(now);
        Draw { demand: used + self.refused.sum(now), used, recent: self.used.recent(now) }
    }
}

/// The limit of requests in flight.
#[derive(Clone, Debug, Default)]
pub(super) struct Flight {
    /// `None`: they are counted, not limited.
    pub(super) limit: Option<u64>,
    pub(super) now: u64,
    peaks: Window,
    admitted: Window,
    refused: Window,
    pub(super) standing: Standing,
}

/// When to ask again if too many are in flight: when one ends nobody knows.
const SOON: Duration = Duration::from_secs(1);

impl Flight {
    /// How many this router may have in flight.
    fn share(&self, now: Nanos, fleet: Fleet) -> Option<f64> {
        let limit = float(self.limit?.max(1));
        Some((self.standing.share(now, fleet, limit) + EPSILON).floor())
    }

    pub(super) fn admits(&self, now: Nanos, fleet: Fleet) -> Result<(), Duration> {
        let (Some(limit), Some(share)) = (self.limit, self.share(now, fleet)) else {
            return Ok(());
        };
        let next = float(self.now.saturating_add(1));
        // A router that was idle has no share where routers outnumber the limit; one request may
        // go, if the fleet has room for it.
        let idle = self.now == 0
            && self.standing.known(now, fleet).is_none_or(|standing| {
                standing.others_in_flight(now) + next <= float(limit.max(1)) + EPSILON
            });
        if next <= share || idle { Ok(()) } else { Err(SOON) }
    }

    /// One more is in flight.
    pub(super) fn take(&mut self, now: Nanos) {
        self.now = self.now.saturating_add(1);
        self.peaks.raise(now, self.now);
        self.admitted.add(now, 1);
    }

    /// One was refused.
    pub(super) fn refuse(&mut self, now: Nanos) {
        self.peaks.raise(now, self.now.saturating_add(1));
        self.refused.add(now, 1);
    }

    /// One has ended.
    pub(super) fn end(&mut self) {
        self.now = self.now.saturating_sub(1);
    }

    /// The demand is the peak, times what was asked for each one that was admitted: had the others
    /// been admitted, as many more would have been in flight, since they would have taken as long
    /// (Little's law).
    pub(super) fn draw(&self, now: Nanos) -> Draw {
        let used = float(self.now);
        let (admitted, refused) = (self.admitted.sum(now), self.refused.sum(now));
        let times = (admitted + refused) / admitted.max(1.0);
        let demand = float(self.peaks.highest(now)).max(used) * times.max(1.0);
        Draw { demand, used, recent: used }
    }
}
