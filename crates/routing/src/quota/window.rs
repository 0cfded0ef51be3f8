//! A sliding minute in seven buckets of ten seconds: the current one, five whole ones, and the
//! oldest, which counts by the part of it that is not yet a minute old. So a minute's count never
//! falls back to nothing at once, and its memory is fixed whatever happens.

use std::time::Duration;

use crate::time::Nanos;

/// How many buckets there are.
const BUCKETS: usize = 7;
/// Nanoseconds of one.
const BUCKET: u64 = 10_000_000_000;
/// How long the window is.
pub(crate) const SPAN: Duration = Duration::from_secs(60);

/// Counts (or the highest of a level) of the last 60 seconds. A moment before one that it has seen
/// already is taken as that one: callers read their clocks before they wait for the lock.
#[derive(Clone, Debug, Default)]
pub struct Window {
    slots: [u64; BUCKETS],
    /// The number of the newest bucket since the start of time.
    head: u64,
}

/// The number of a bucket, to find it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket(u64);

/// Where a bucket lies in the ring.
fn slot(bucket: u64) -> usize {
    usize::try_from(bucket % BUCKETS as u64).unwrap_or(0)
}

/// As a float; counts of tokens are far below where it would be inexact.
#[expect(clippy::cast_precision_loss, reason = "counts of a minute are far below 2^53")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

impl Window {
    /// Empties what has become too old.
    fn roll(&mut self, now: Nanos) {
        let bucket = now.0 / BUCKET;
        let passed = bucket.saturating_sub(self.head);
        for n in 1..=passed.min(BUCKETS as u64) {
            self.slots[slot(self.head + n)] = 0;
        }
        self.head = self.head.max(bucket);
    }

    /// Counts something now; the answer names where, for [`Window::take_back`].
    pub fn add(&mut self, now: Nanos, count: u64) -> Bucket {
        self.roll(now);
        let at = &mut self.slots[slot(self.head)];
        *at = at.saturating_add(count);
        Bucket(self.head)
    }

    /// Lifts the current bucket to this level, if it is below.
    pub fn raise(&mut self, now: Nanos, level: u64) {
        self.roll(now);
        let at = &mut self.slots[slot(self.head)];
        *at = level.max(*at);
    }

    /// Takes out what was counted in that bucket; nothing, if it has left the window.
    pub fn take_back(&mut self, bucket: Bucket, count: u64) {
        if self.head.checked_sub(bucket.0).is_some_and(|age| age < BUCKETS as u64) {
            let at = &mut self.slots[slot(bucket.0)];
            *at = at.saturating_sub(count);
        }
    }

    /// The newest bucket as of `now`, and how much of it has passed, in `0..=1`.
    fn place(&self, now: Nanos) -> (u64, f64) {
        let bucket = now.0 / BUCKET;
        if bucket < self.head {
            (self.head, 0.0)
        } else {
            (bucket, float(now.0 % BUCKET) / float(BUCKET))
        }
    }

    /// The bucket so many before `newest`, as it stands.
    fn back(&self, newest: u64, age: u64) -> u64 {
        match newest.checked_sub(age) {
            // What is not in the ring yet is empty.
            Some(bucket) if bucket <= self.head && self.head - bucket < BUCKETS as u64 => {
                self.slots[slot(bucket)]
            }
            _ => 0,
        }
    }

    /// What was counted in the last 60 seconds.
    pub fn sum(&self, now: Nanos) -> f64 {
        let (newest, passed) = self.place(now);
        let whole: f64 = (0..6).map(|age| float(self.back(newest, age))).sum();
        whole + float(self.back(newest, 6)) * (1.0 - passed)
    }

    /// What of it was counted in the last 10 seconds.
    pub fn recent(&self, now: Nanos) -> f64 {
        let (newest, passed) = self.place(now);
        float(self.back(newest, 0)) + float(self.back(newest, 1)) * (1.0 - passed)
    }

    /// The highest bucket that reaches into the last 60 seconds.
    pub fn highest(&self, now: Nanos) -> u64 {
        let (newest, _) = self.place(now);
        (0..BUCKETS as u64).map(|age| self.back(newest, age)).max().unwrap_or(0)
    }

    /// After how long so much of the sum will have left the window, if nothing comes: at most
    /// 70 s, when the bucket of now has slid out as a whole.
    pub fn frees(&self, now: Nanos, mut amount: f64) -> Duration {
        let (newest, passed) = self.place(now);
        let mut at = 0.0;
        for age in (0..BUCKETS as u64).rev() {
            if amount <= 0.0 {
                break;
            }
            let left = if age == 6 { 1.0 - passed } else { 1.0 };
            let count = float(self.back(newest, age)) * left;
            let seconds = 10.0 * left;
            if count >= amount {
                at += seconds * amount / count;
                amount = 0.0;
            } else {
                at += seconds;
                amount -= count;
            }
        }
        Duration::from_secs_f64(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> Nanos {
        Nanos::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn it_slides() {
        let mut window = Window::default();
        window.add(at(5_000), 10);
        assert!((window.sum(at(59_999)) - 10.0).abs() < 1e-9, "not a minute yet");
        assert!((window.sum(at(65_000)) - 5.0).abs() < 1e-9, "half of the oldest bucket");
        assert!(window.sum(at(70_000)).abs() < 1e-9);
        assert!((window.recent(at(9_000)) - 10.0).abs() < 1e-9);
        assert!((window.recent(at(12_000)) - 8.0).abs() < 1e-9);
        assert!(window.recent(at(20_000)).abs() < 1e-9);
    }

    #[test]
    fn what_is_taken_back_leaves_its_own_bucket() {
        let mut window = Window::default();
        let first = window.add(at(0), 10);
        window.add(at(30_000), 7);
        window.take_back(first, 4);
        assert!((window.sum(at(30_000)) - 13.0).abs() < 1e-9);
        window.add(at(100_000), 1);
        window.take_back(first, 4);
        assert!((window.sum(at(100_000)) - 1.0).abs() < 1e-9, "it is gone already");
    }

    #[test]
    fn a_clock_that_lags_behind_the_lock_changes_nothing() {
        let mut window = Window::default();
        window.add(at(70_000), 3);
        window.add(at(69_999), 4);
        assert!((window.sum(at(69_999)) - 7.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn what_frees_has_left_by_then(
            counts in prop::collection::vec((0_u64..30_000, 0_u64..1_000), 0..20),
            extra in 0_u64..60_000,
            part in 0.0..1.0_f64,
        ) {
            let mut window = Window::default();
            let mut now = 0;
            for (gap, count) in counts {
                now += gap;
                window.add(at(now), count);
            }
            let now = at(now + extra);
            let sum = window.sum(now);
            let wait = window.frees(now, sum * part);
            prop_assert!(wait <= SPAN + Duration::from_secs(10));
            let left = window.sum(now + wait);
            prop_assert!(left <= sum * (1.0 - part) + 1e-3, "{left} of {sum} after {wait:?}");
        }

        #[test]
        fn it_never_counts_more_than_came(
            steps in prop::collection::vec((0_u64..20_000, 0_u64..100), 1..40),
        ) {
            let mut window = Window::default();
            let (mut now, mut all) = (0, Vec::new());
            for (gap, count) in steps {
                now += gap;
                window.add(at(now), count);
                all.push((now, count));
                let since = |span: u64| -> f64 {
                    all.iter().filter(|(t, _)| now - t < span).map(|(_, n)| float(*n)).sum()
                };
                let sum = window.sum(at(now));
                prop_assert!(sum >= since(50_001) - 1e-6, "the last 50 s count in full");
                prop_assert!(sum <= since(70_000) + 1e-6, "what is older than 70 s does not");
            }
        }
    }
}
