//! How many requests a second a model can answer, as far as that shows.
//!
//! What a model answers shows a floor, not a limit: a model that is asked little answers little. The
//! limit shows once the provider refuses for its rate, or states it. From then on the capacity is
//! the most that it answered, which is forgotten by half in 10 minutes. Until then it is believed
//! to be 5 % more every 10 s in which at least half of what is believed was used and its median time
//! stayed below 1.3 times its least, and 0.7 times as much after a refusal or when that time
//! doubled. What it answered without a refusal it can answer, whatever else was believed.

use std::time::Duration;

use crate::time::Nanos;

/// After how many seconds half of the most is forgotten; the least time grows twofold meanwhile.
const HALF_LIFE: f64 = 600.0;
/// How long a limit that showed counts as known.
const KNOWN: Duration = Duration::from_secs(600);
/// How often what is believed changes, and for how long a refusal spoils what is answered.
const STEP: Duration = Duration::from_secs(10);
/// What it grows by in a step, and what a setback leaves.
const GROWTH: f64 = 1.05;
const SETBACK: f64 = 0.7;
/// Of what is believed, the part that must be used for it to grow.
const IN_USE: f64 = 0.5;
/// Times of the least median time: below the first all is well, above the second too much.
const TIMES: (f64, f64) = (1.3, 2.0);

/// What is known and believed. Rates are fleet-wide, per second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Capacity {
    /// The most that it answered.
    most: f64,
    /// The most that it answered while it refused nothing.
    unrefused: f64,
    /// What is believed where no limit shows; `None` before the first step.
    believed: Option<f64>,
    /// The least median time of a usual request, in seconds.
    least: Option<f64>,
    granted: Option<(f64, Nanos)>,
    refused: Option<Nanos>,
    observed: Option<Nanos>,
    stepped: Nanos,
}

impl Capacity {
    /// It refused a request for its rate.
    pub(super) fn refused(&mut self, now: Nanos) {
        self.refused = self.refused.max(Some(now));
    }

    /// The provider states what it grants.
    pub(super) fn granted(&mut self, now: Nanos, requests_per_minute: u64) {
        let rate = f64::from(u32::try_from(requests_per_minute).unwrap_or(u32::MAX)) / 60.0;
        self.granted = Some((rate, now));
    }

    /// Takes in how many requests end and are answered, and their median time, if it is known.
    pub(super) fn observe(&mut self, now: Nanos, ended: f64, answered: f64, usual: Option<f64>) {
        if ended <= 0.0 && self.observed.is_none() {
            return;
        }
        let Some(before) = self.observed else {
            (self.observed, self.stepped) = (Some(now), now);
            return;
        };
        self.observed = self.observed.max(Some(now));
        let left = (-now.since(before).as_secs_f64() / HALF_LIFE).exp2();
        let refused = |within| self.refused.is_some_and(|at| now.since(at) <= within);
        self.most = (self.most * left).max(answered);
        self.unrefused = (self.unrefused * left).max(if refused(STEP) { 0.0 } else { answered });
        if let Some(usual) = usual {
            self.least = Some(self.least.map_or(usual, |least| usual.min(least / left)));
        }
        if now.since(self.stepped) >= STEP {
            let refused = self.refused.is_some_and(|at| at >= self.stepped);
            let slow = self.least.zip(usual).map_or(1.0, |(least, usual)| usual / least);
            self.stepped = now;
            self.step(ended, refused, slow);
        }
    }

    /// One step: `slow` is how many times as long a usual request takes as it did at best.
    fn step(&mut self, ended: f64, refused: bool, slow: f64) {
        let believed = self.believed.unwrap_or(self.unrefused);
        let (well, bad) = TIMES;
        let next = if refused || slow > bad {
            believed * SETBACK
        } else if slow < well && ended >= believed * IN_USE {
            believed * GROWTH
        } else {
            believed
        };
        self.believed = Some(next.max(self.unrefused));
    }

    /// Requests a second that it can answer; `None`: nothing shows yet.
    pub(super) fn per_second(&self, now: Nanos) -> Option<f64> {
        let known = |at: Nanos| now.since(at) <= KNOWN;
        let granted = self.granted.filter(|(_, at)| known(*at)).map(|(rate, _)| rate);
        let shown = if self.refused.is_some_and(known) && self.observed.is_some() {
            Some(self.most)
        } else {
            self.believed
        };
        let rate = shown.map(|rate| rate.max(self.unrefused));
        match (rate, granted) {
            (Some(rate), Some(granted)) => Some(rate.min(granted)),
            (rate, granted) => rate.or(granted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Nanos {
        Nanos::ZERO + Duration::from_secs(seconds)
    }

    fn run(capacity: &mut Capacity, seconds: std::ops::Range<u64>, ended: f64, usual: f64) -> f64 {
        let end = at(seconds.end);
        for second in seconds {
            capacity.observe(at(second), ended, ended, Some(usual));
        }
        capacity.per_second(end).unwrap()
    }

    #[test]
    fn it_is_believed_to_grow_while_it_is_used_and_quick() {
        let mut capacity = Capacity::default();
        capacity.observe(at(0), 0.0, 0.0, None);
        assert_eq!(capacity.per_second(at(0)), None);
        let first = run(&mut capacity, 0..31, 10.0, 1.0);
        assert!((first - 10.0 * GROWTH.powi(3)).abs() < 1e-9, "{first}");
        let idle = run(&mut capacity, 31..62, 1.0, 1.0);
        assert!((idle - first).abs() < 1e-9, "what is not used shows nothing: {idle}");
        let slow = run(&mut capacity, 62..102, 8.0, 3.0);
        assert!(slow < first && slow >= 10.0 * 0.9, "no less than it has shown: {slow}");
    }

    #[test]
    fn a_refusal_shows_the_limit_which_is_the_most_that_was_answered() {
        let mut capacity = Capacity::default();
        run(&mut capacity, 0..100, 10.0, 1.0);
        capacity.refused(at(100));
        let known = run(&mut capacity, 100..120, 4.0, 1.0);
        assert!((9.5..=10.0).contains(&known), "{known}");
        let mut forgot = capacity;
        let later = run(&mut forgot, 120..690, 4.0, 1.0);
        assert!((5.0..5.6).contains(&later), "by half in 10 minutes: {later}");
    }

    #[test]
    fn what_is_granted_is_the_ceiling() {
        let mut capacity = Capacity::default();
        capacity.granted(at(0), 120);
        assert_eq!(capacity.per_second(at(1)), Some(2.0));
        assert!((run(&mut capacity, 1..60, 10.0, 1.0) - 2.0).abs() < 1e-9);
        assert!(capacity.per_second(at(700)).unwrap() > 9.0, "it was long ago");
    }

    #[test]
    fn what_only_fails_can_answer_nothing() {
        let mut capacity = Capacity::default();
        for second in 0..100 {
            capacity.observe(at(second), 50.0, 0.0, None);
        }
        assert_eq!(capacity.per_second(at(100)), Some(0.0));
    }
}
