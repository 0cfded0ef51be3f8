//! The fallback budget of a router, so that fallback never multiplies an outage: every success
//! deposits a fifth of an attempt, a fallback attempt takes one and gets it back unless it fails.
//! A floor per second lets a quiet router fall back at all.

use crate::time::Nanos;

/// What a success deposits, in thousandths of an attempt.
const DEPOSIT: u64 = 200;
/// The most that is kept, in thousandths.
const CAP: u64 = 100_000;
/// What flows in each second whatever happens, in thousandths.
const FLOOR_PER_SECOND: u64 = 10_000;
/// One attempt, in thousandths.
const ATTEMPT: u64 = 1_000;

/// The budget; starts full.
#[derive(Clone, Debug)]
pub struct Budget {
    level: u64,
    filled_at: Nanos,
}

impl Default for Budget {
    fn default() -> Self {
        Self { level: CAP, filled_at: Nanos::ZERO }
    }
}

impl Budget {
    /// A request was answered.
    pub fn deposit(&mut self) {
        self.level = (self.level + DEPOSIT).min(CAP);
    }

    /// Takes one attempt out, if one is there.
    pub fn take(&mut self, now: Nanos) -> bool {
        self.fill(now);
        if self.level < ATTEMPT {
            return false;
        }
        self.level -= ATTEMPT;
        true
    }

    /// Gives one attempt back: it did not fail.
    pub fn give_back(&mut self) {
        self.level = (self.level + ATTEMPT).min(CAP);
    }

    fn fill(&mut self, now: Nanos) {
        let elapsed = now.since(self.filled_at);
        let gain = u64::try_from(elapsed.as_nanos() * u128::from(FLOOR_PER_SECOND) / 1_000_000_000)
            .unwrap_or(u64::MAX);
        // Advance only when something flowed in, so that frequent calls lose no fraction.
        if gain > 0 {
            self.level = self.level.saturating_add(gain).min(CAP);
            self.filled_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_outage_is_not_multiplied() {
        let mut budget = Budget::default();
        let now = Nanos::ZERO;
        let taken = (0..1_000).filter(|_| budget.take(now)).count();
        assert_eq!(taken, 100, "what was saved");
        for _ in 0..50 {
            budget.deposit();
        }
        let taken = (0..1_000).filter(|_| budget.take(now)).count();
        assert_eq!(taken, 10, "a fifth of what succeeds");
        let later = now + Duration::from_secs(2);
        let taken = (0..1_000).filter(|_| budget.take(later)).count();
        assert_eq!(taken, 20, "ten each second");
    }

    #[test]
    fn what_does_not_fail_costs_nothing() {
        let mut budget = Budget::default();
        for _ in 0..10_000 {
            assert!(budget.take(Nanos::ZERO));
            budget.give_back();
        }
    }

    #[test]
    fn frequent_calls_lose_no_fraction() {
        let mut budget = Budget::default();
        while budget.take(Nanos::ZERO) {}
        let step = Duration::from_millis(1);
        let mut now = Nanos::ZERO;
        let mut taken = 0;
        for _ in 0..1_000 {
            now = now + step;
            taken += u32::from(budget.take(now));
        }
        assert!((9..=10).contains(&taken), "{taken}");
    }
}
