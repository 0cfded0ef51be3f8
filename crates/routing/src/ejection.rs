//! Ejection: when a target, or a model of a target, is left alone after failures, and when it is
//! asked again. A state machine, pure: [`Ejection::step`] takes the time and what happened.
//!
//! *Soft* (three failures in a row, or a Retry-After on a 5xx): others go first, but it is asked
//! when nothing else is left. *Hard* (rate limited, bad credential, no credit, no such model): not
//! asked before its time, since the answer is known. After its time one real request tries it
//! (half-open); who loses that claim goes to the next candidate.
//!
//! The n-th ejection lasts base * 2^(n-1), at most `max`, and at most 30 s where the failed attempt
//! cost less than a second: asking again is cheap then, and a healed first choice should not wait.
//! n falls by one for every such length that passes in health.

use std::time::Duration;

use crate::{
    outcome::{Fault, OutcomeClass},
    snapshot::CompiledEjection,
    time::Nanos,
};

/// Longest ejection after a failure that cost less than [`CHEAP`].
const CHEAP_MAX: Duration = Duration::from_secs(30);
/// An attempt that failed faster than this was cheap.
const CHEAP: Duration = Duration::from_secs(1);
/// A rate limit without a Retry-After.
const RATE_LIMITED: Duration = Duration::from_secs(5);
/// Bounds on what a provider may ask for by Retry-After.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));
/// The shortest ejection for a refused credential, an empty account or a missing model.
const REFUSED: Duration = Duration::from_secs(60);

/// Whether a candidate may be tried. Orders as a ranking does: available, then soft ejections by
/// time of recovery, then hard ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Availability {
    /// It may be tried.
    #[default]
    Available,
    /// Ejected until then; tried before its time only when nothing else is left.
    Soft {
        /// When it recovers.
        until: Nanos,
    },
    /// Not tried before its time.
    Hard {
        /// When it recovers.
        until: Nanos,
        /// What ejected it.
        by: Fault,
    },
}

/// What an ejection applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The ProviderTarget, with all its models.
    Target,
    /// One model of a ProviderTarget.
    Model,
}

/// What a fault says about whom: `None` for faults of the request, which never eject.
pub fn scope(fault: Fault) -> Option<Scope> {
    match fault {
        Fault::Connect | Fault::Auth | Fault::OutOfCredit => Some(Scope::Target),
        Fault::RateLimited
        | Fault::ServerError
        | Fault::Timeout
        | Fault::InvalidResponse
        | Fault::ModelUnavailable => Some(Scope::Model),
        Fault::ContextLength | Fault::Unsupported | Fault::Moderation => None,
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An attempt was answered.
    Success,
    /// An attempt failed by a fault of this scope.
    Failure {
        /// The fault.
        fault: Fault,
        /// What the provider asked to wait.
        retry_after: Option<Duration>,
        /// How long the attempt took.
        cost: Duration,
    },
    /// An attempt ended without telling anything about the target: the caller left, the request was
    /// at fault, or an earlier attempt had used up the time.
    Neutral,
    /// A probe found it there: failures in a row are forgotten. An ejection is not, which takes a
    /// real request.
    Reached,
    /// The target's credential changed.
    CredentialChanged,
}

impl Event {
    /// The event that an outcome is for the cell of `scope`.
    pub fn of(
        class: OutcomeClass,
        at: Scope,
        retry_after: Option<Duration>,
        cost: Duration,
    ) -> Self {
        match class {
            OutcomeClass::Success => Self::Success,
            OutcomeClass::Fault(fault) if scope(fault) == Some(at) => {
                Self::Failure { fault, retry_after, cost }
            }
            OutcomeClass::Fault(_) | OutcomeClass::InvalidRequest | OutcomeClass::CallerLeft => {
                Self::Neutral
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In use; so many failures in a row.
    Closed { failures: u32 },
    /// Left alone.
    Open { until: Nanos, hard: bool, by: Fault },
    /// One request is trying it.
    HalfOpen { since: Nanos, by: Fault },
}

/// An ejection that has just begun or was prolonged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejected {
    /// Until when.
    pub until: Nanos,
    /// Whether it is hard.
    pub hard: bool,
    /// What ejected it.
    pub by: Fault,
}

/// The ejection of one target, or of one model of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    state: State,
    /// How many ejections in a row, n of the formula.
    level: u32,
    /// How long the last one lasts, and since when it has been healthy.
    length: Duration,
    healthy_since: Nanos,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            state: State::Closed { failures: 0 },
            level: 0,
            length: Duration::ZERO,
            healthy_since: Nanos::ZERO,
        }
    }
}

impl Ejection {
    /// Whether a new request may be sent at `now`.
    pub fn availability(&self, now: Nanos) -> Availability {
        match self.state {
            State::Closed { .. } => Availability::Available,
            State::Open { until, .. } if until <= now => Availability::Available,
            State::Open { until, hard: false, .. } => Availability::Soft { until },
            State::Open { until, hard: true, by } => Availability::Hard { until, by },
            // Taken: whoever else comes goes elsewhere, if there is an elsewhere.
            State::HalfOpen { since, .. } => Availability::Soft { until: since },
        }
    }

    /// What it was ejected by, until it succeeds: an ejection whose time is over says no more than
    /// that it may be tried.
    pub fn cause(&self) -> Option<Fault> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { by, .. } | State::HalfOpen { by, .. } => Some(by),
        }
    }

    /// Whether nothing is to be said of it: it has not failed since it last succeeded.
    pub fn is_quiet(&self) -> bool {
        matches!(self.state, State::Closed { failures: 0 })
    }

    /// Claims the right to send a request: false when it is hard-ejected, or when another request
    /// is just trying it and `force` (nothing else is left) is not set.
    pub fn claim(&mut self, now: Nanos, force: bool) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until, by, .. } if until <= now => {
                self.state = State::HalfOpen { since: now, by };
                true
            }
            State::Open { hard, .. } => !hard,
            State::HalfOpen { .. } => force,
        }
    }

    /// Takes in what happened; says when that ejected.
    pub fn step(&mut self, policy: &CompiledEjection, now: Nanos, event: Event) -> Option<Ejected> {
        match event {
            Event::Success => {
                // An answer that was under way does not lift a rate limit.
                let limited =
                    matches!(self.state, State::Open { hard: true, until, .. } if until > now);
                if !limited && self.state != (State::Closed { failures: 0 }) {
                    if !matches!(self.state, State::Closed { .. }) {
                        self.healthy_since = now;
                    }
                    self.state = State::Closed { failures: 0 };
                }
                None
            }
            Event::Neutral => {
                if let State::HalfOpen { by, .. } = self.state {
                    // The slot is given back; the next request tries.
                    self.state = State::Open { until: now, hard: false, by };
                }
                None
            }
            Event::Reached => {
                if let State::Closed { failures } = &mut self.state {
                    *failures = 0;
                }
                None
            }
            Event::CredentialChanged => {
                let by = match self.state {
                    State::Open { by, .. } | State::HalfOpen { by, .. } => by,
                    State::Closed { .. } => return None,
                };
                if matches!(by, Fault::Auth | Fault::OutOfCredit) {
                    *self = Self::default();
                }
                None
            }
            Event::Failure { fault, retry_after, cost } => {
                self.fail(policy, now, fault, retry_after, cost)
            }
        }
    }

    fn fail(
        &mut self,
        policy: &CompiledEjection,
        now: Nanos,
        fault: Fault,
        retry_after: Option<Duration>,
        cost: Duration,
    ) -> Option<Ejected> {
        let asked = retry_after.map(|d| d.clamp(RETRY_AFTER.0, RETRY_AFTER.1));
        let hard = matches!(
            fault,
            Fault::RateLimited | Fault::Auth | Fault::OutOfCredit | Fault::ModelUnavailable
        );
        let at_once = hard || (fault == Fault::ServerError && asked.is_some());
        let open = matches!(self.state, State::Open { until, .. } if until > now);
        if let State::Closed { failures } = &mut self.state
            && !at_once
        {
            *failures = failures.saturating_add(1);
            if *failures < policy.consecutive_failures {
                return None;
            }
        }
        if !open {
            self.decay(policy, now);
            self.level = self.level.saturating_add(1);
        }
        let backoff = length(policy, self.level, cost);
        let wait = match fault {
            Fault::RateLimited => asked.unwrap_or(RATE_LIMITED),
            Fault::Auth | Fault::OutOfCredit => backoff.max(REFUSED),
            Fault::ModelUnavailable => REFUSED,
            Fault::ServerError if asked.is_some() => asked.unwrap_or(backoff),
            _ => backoff,
        };
        let mut ejected = Ejected { until: now + wait, hard, by: fault };
        if let State::Open { until, hard: was_hard, by } = self.state
            && open
        {
            // Never shorter, and a soft failure does not soften a hard ejection.
            if until > ejected.until {
                ejected.until = until;
            }
            if was_hard && !hard {
                ejected = Ejected { until, hard: true, by };
            }
        }
        self.length = ejected.until.since(now);
        self.healthy_since = ejected.until;
        self.state = State::Open { until: ejected.until, hard: ejected.hard, by: ejected.by };
        Some(ejected)
    }

    /// Lowers n for the time that passed in health.
    fn decay(&mut self, policy: &CompiledEjection, now: Nanos) {
        if matches!(self.state, State::HalfOpen { .. }) {
            return;
        }
        let mut healthy = now.since(self.healthy_since);
        while self.level > 0 {
            let length = length(policy, self.level, CHEAP).min(self.length.max(CHEAP));
            if healthy < length {
                break;
            }
            healthy -= length;
            self.level -= 1;
        }
    }
}

/// base * 2^(n-1) within its bounds.
fn length(policy: &CompiledEjection, level: u32, cost: Duration) -> Duration {
    let max = Duration::from_millis(policy.max_ms);
    let max = if cost < CHEAP { max.min(CHEAP_MAX) } else { max };
    let factor = 1_u32.checked_shl(level.saturating_sub(1)).unwrap_or(u32::MAX);
    Duration::from_millis(policy.base_ms).saturating_mul(factor).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: CompiledEjection =
        CompiledEjection { consecutive_failures: 3, base_ms: 5_000, max_ms: 300_000 };

    fn at(secs: u64) -> Nanos {
        Nanos::ZERO + Duration::from_secs(secs)
    }

    fn failure(fault: Fault, cost_secs: u64) -> Event {
        Event::Failure { fault, retry_after: None, cost: Duration::from_secs(cost_secs) }
    }

    #[test]
    fn three_failures_in_a_row_eject_softly() {
        let mut e = Ejection::default();
        assert_eq!(e.step(&POLICY, at(1), failure(Fault::ServerError, 2)), None);
        assert_eq!(e.step(&POLICY, at(2), failure(Fault::ServerError, 2)), None);
        e.step(&POLICY, at(3), Event::Success);
        assert_eq!(e.step(&POLICY, at(4), failure(Fault::ServerError, 2)), None, "counts anew");
        e.step(&POLICY, at(5), failure(Fault::Timeout, 2));
        let ejected = e.step(&POLICY, at(6), failure(Fault::ServerError, 2));
        assert_eq!(ejected, Some(Ejected { until: at(11), hard: false, by: Fault::ServerError }));
        assert_eq!(e.availability(at(10)), Availability::Soft { until: at(11) });
        assert_eq!(e.availability(at(11)), Availability::Available);
    }

    #[test]
    fn half_open_lets_one_request_through_and_doubles_on_failure() {
        let mut e = Ejection::default();
        for s in 0..3 {
            e.step(&POLICY, at(s), failure(Fault::ServerError, 2));
        }
        assert!(e.claim(at(7), false));
        assert!(!e.claim(at(7), false), "the second loses");
        assert!(e.claim(at(7), true), "unless nothing else is left");
        let ejected = e.step(&POLICY, at(8), failure(Fault::ServerError, 2)).unwrap();
        assert_eq!(ejected.until, at(18), "10 s: the second in a row");
        assert!(e.claim(at(18), false));
        e.step(&POLICY, at(19), Event::Neutral);
        assert!(e.claim(at(19), false), "a slot that told nothing is given back");
        e.step(&POLICY, at(20), Event::Success);
        assert!(e.is_quiet());
    }

    #[test]
    fn cheap_failures_wait_at_most_thirty_seconds() {
        let mut e = Ejection::default();
        let mut now = Nanos::ZERO;
        for n in 0..12 {
            while let Availability::Soft { until } = e.availability(now) {
                now = until;
            }
            e.claim(now, false);
            let out = e.step(&POLICY, now, failure(Fault::Connect, 0));
            if let Some(ejected) = out {
                assert!(ejected.until.since(now) <= CHEAP_MAX, "ejection {n}");
            }
        }
        assert_eq!(length(&POLICY, 12, CHEAP), Duration::from_secs(300));
    }

    #[test]
    fn retry_after_is_clamped_and_never_shortened() {
        let mut e = Ejection::default();
        let limited = |secs| Event::Failure {
            fault: Fault::RateLimited,
            retry_after: Some(Duration::from_secs(secs)),
            cost: Duration::ZERO,
        };
        assert_eq!(e.step(&POLICY, at(0), limited(999_999)).unwrap().until, at(600));
        assert_eq!(e.step(&POLICY, at(1), limited(0)).unwrap().until, at(600));
        e.step(&POLICY, at(2), Event::Success);
        assert_eq!(
            e.availability(at(2)),
            Availability::Hard { until: at(600), by: Fault::RateLimited },
            "an answer that was under way lifts nothing"
        );
        assert!(!e.claim(at(2), true), "not even when nothing else is left");
    }

    #[test]
    fn a_new_credential_ends_what_the_old_one_caused() {
        let mut e = Ejection::default();
        e.step(&POLICY, at(0), failure(Fault::Auth, 0));
        assert!(matches!(e.availability(at(59)), Availability::Hard { .. }));
        e.step(&POLICY, at(59), Event::CredentialChanged);
        assert_eq!(e.availability(at(59)), Availability::Available);
        e.step(&POLICY, at(60), failure(Fault::RateLimited, 0));
        e.step(&POLICY, at(60), Event::CredentialChanged);
        assert!(matches!(e.availability(at(61)), Availability::Hard { .. }));
    }

    #[test]
    fn a_probe_that_succeeds_readmits_nothing() {
        let mut e = Ejection::default();
        for s in 0..6 {
            e.step(&POLICY, at(2 * s), failure(Fault::Connect, 0));
            e.step(&POLICY, at(2 * s), failure(Fault::Connect, 0));
            e.step(&POLICY, at(2 * s + 1), Event::Reached);
            assert!(e.is_quiet(), "never three in a row");
        }
        for _ in 0..3 {
            e.step(&POLICY, at(20), failure(Fault::Connect, 0));
        }
        e.step(&POLICY, at(21), Event::Reached);
        assert_eq!(e.availability(at(21)), Availability::Soft { until: at(25) });
        assert!(e.claim(at(25), false));
        e.step(&POLICY, at(25), Event::Reached);
        assert!(!e.claim(at(25), false), "the real request is still under way");
    }

    #[test]
    fn a_retry_after_on_a_server_error_ejects_softly_at_once() {
        let mut e = Ejection::default();
        let event = Event::Failure {
            fault: Fault::ServerError,
            retry_after: Some(Duration::from_secs(7)),
            cost: Duration::ZERO,
        };
        let ejected = e.step(&POLICY, at(0), event);
        assert_eq!(ejected, Some(Ejected { until: at(7), hard: false, by: Fault::ServerError }));
    }

    #[test]
    fn the_level_falls_in_health() {
        let mut e = Ejection::default();
        for s in 0..3 {
            e.step(&POLICY, at(s), failure(Fault::ServerError, 2));
        }
        assert!(e.claim(at(10), false));
        e.step(&POLICY, at(10), failure(Fault::ServerError, 2));
        assert!(e.claim(at(20), false));
        e.step(&POLICY, at(20), Event::Success);
        for s in 0..3 {
            e.step(&POLICY, at(1_000 + s), failure(Fault::ServerError, 2));
        }
        assert_eq!(e.availability(at(1_002)), Availability::Soft { until: at(1_007) });
    }

    #[test]
    fn the_cause_outlives_the_time_and_ends_with_a_success_or_another_credential() {
        let refused = Event::Failure { fault: Fault::Auth, retry_after: None, cost: CHEAP };
        let mut e = Ejection::default();
        assert_eq!(e.cause(), None);
        e.step(&POLICY, at(0), refused);
        assert_eq!(e.cause(), Some(Fault::Auth));
        assert_eq!(e.availability(at(600)), Availability::Available);
        assert_eq!(e.cause(), Some(Fault::Auth));
        assert!(e.claim(at(600), false));
        assert_eq!(e.cause(), Some(Fault::Auth), "the one that tries has not ended");
        let mut other = e;
        e.step(&POLICY, at(601), Event::Success);
        assert_eq!(e.cause(), None);
        other.step(&POLICY, at(601), Event::CredentialChanged);
        assert_eq!(other.cause(), None);
    }
}
