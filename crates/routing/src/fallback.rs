//! Fallback: what is tried next. All policy is here, so that the attempt loop of the router is a
//! dozen lines: [`FallbackPlan::next`] takes the outcome of the last attempt and says Try or Stop.

use std::time::Duration;

use serde::Serialize;

use crate::{
    budget::Budget,
    ejection::Availability,
    id::CandidateIx,
    outcome::{Fault, OutcomeClass},
    rank::Ranking,
    rng::Rng,
    snapshot::CompiledFallback,
    time::Nanos,
};

/// The first wait before the same candidate is tried again; doubled each time, jittered.
const RETRY_WAIT: Duration = Duration::from_millis(250);
/// The longest wait for the same candidate.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(2);

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With an outcome of this class.
    As(OutcomeClass),
    /// It never began: another request holds the half-open slot, or it was hard-ejected since.
    NotClaimed,
    /// It never began: this router's share of a limit is used up until then.
    AtLimit {
        /// When asking again may be worth it.
        until: Nanos,
    },
}

/// Why a candidate is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Why {
    /// The first of the ranking.
    First,
    /// The one before failed.
    Fallback,
    /// The same candidate again.
    Retry,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try this candidate, after this wait.
    Try {
        /// Which.
        candidate: CandidateIx,
        /// Why.
        why: Why,
        /// How long to wait before; zero but for a retry.
        after: Duration,
        /// Take it even when another request is just trying it: nothing else is left.
        force: bool,
    },
    /// Answer the caller.
    Stop(StopReason),
}

/// Why nothing more is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum StopReason {
    /// There is an answer.
    Answered,
    /// The outcome is one that no other candidate would change, or that the alias does not fall
    /// back on.
    Final,
    /// Every candidate was tried.
    Exhausted,
    /// `fallback.maxAttempts` attempts reached a model.
    MaxAttempts,
    /// The request's deadline passed.
    Deadline,
    /// The router's fallback budget is empty.
    FallbackBudgetExhausted,
    /// What is left is hard-ejected.
    Ejected {
        /// When the first of them recovers.
        until: Nanos,
        /// Whether all of them are so by a rate limit.
        rate_limited: bool,
    },
    /// Nothing was tried: what is not ejected is at this router's share of a limit.
    AtLimit {
        /// When asking again may be worth it.
        until: Nanos,
    },
}

/// What the plan reads of the world outside when it decides.
pub struct PlanCx<'a> {
    /// The time.
    pub now: Nanos,
    /// The request's deadline.
    pub deadline: Nanos,
    /// The router's budget.
    pub budget: &'a mut Budget,
    /// For the jitter.
    pub rng: &'a mut Rng,
    /// Each candidate's availability at `now`: the ranking may be older than a 401.
    pub availability: &'a dyn Fn(CandidateIx) -> Availability,
    /// Each candidate's context window, where it is stated.
    pub window: &'a dyn Fn(CandidateIx) -> Option<u64>,
}

/// One request's way through its ranking. A candidate that failed is never tried again beyond its
/// retries.
#[derive(Clone, Debug)]
pub struct FallbackPlan {
    ranking: Ranking,
    policy: CompiledFallback,
    /// Tried, or of no use.
    excluded: u64,
    /// Lost to another request's claim: tried when nothing else is left.
    deferred: u64,
    current: Option<CandidateIx>,
    /// Attempts that reached a model.
    counted: u32,
    /// Attempts in all.
    attempts: u32,
    /// Retries of the current candidate.
    retried: u32,
    /// Whether the current attempt was taken from the budget.
    took: bool,
    /// When the first of those that are at a limit may be below it.
    full_until: Option<Nanos>,
    seen: Seen,
}

/// Which faults the attempts had, for the final answer.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    faults: u16,
    others_than_rate_limit: bool,
}

/// What the caller is answered when all failed, in the order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// 400: it fits no model.
    ContextLength,
    /// As received: a filter refused it.
    Moderation,
    /// 400: no target supports it.
    Unsupported,
    /// 429: all were rate limited.
    RateLimited,
    /// 504.
    Timeout,
    /// 502.
    Upstream,
}

impl FallbackPlan {
    /// A plan over this ranking.
    pub fn new(ranking: Ranking, policy: CompiledFallback) -> Self {
        Self {
            ranking,
            policy,
            excluded: 0,
            deferred: 0,
            current: None,
            counted: 0,
            attempts: 0,
            retried: 0,
            took: false,
            full_until: None,
            seen: Seen::default(),
        }
    }

    /// Attempts that were begun.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The ranking.
    pub fn ranking(&self) -> &Ranking {
        &self.ranking
    }

    /// Whether a candidate beside the current one would be tried after a timeout: half of the
    /// remaining time is kept for it.
    pub fn has_more(&self) -> bool {
        if self.counted + 1 >= self.policy.max_attempts || !self.policy.outcomes.has(Fault::Timeout)
        {
            return false;
        }
        let current = self.current.map_or(0, CandidateIx::bit);
        self.ranking.iter().any(|ix| (self.excluded | current) & ix.bit() == 0)
    }

    /// Decides what comes next; `last` is `None` at first.
    pub fn next(&mut self, last: Option<Ended>, cx: &mut PlanCx<'_>) -> Next {
        match last {
            None => {}
            Some(Ended::NotClaimed) => {
                let claimed = self.unclaimed(cx);
                self.deferred |= claimed;
            }
            Some(Ended::AtLimit { until }) => {
                let claimed = self.unclaimed(cx);
                self.excluded |= claimed;
                self.full_until = Some(self.full_until.map_or(until, |at| at.min(until)));
            }
            Some(Ended::As(class)) => {
                if let Some(next) = self.ended(class, cx) {
                    return next;
                }
            }
        }
        self.pick(cx)
    }

    /// The caller left within an attempt, or the request ended in another way that is no outcome:
    /// what the attempt took from the budget goes back, since it did not fail.
    pub fn abandon(&mut self, budget: &mut Budget) {
        if std::mem::take(&mut self.took) {
            budget.give_back();
        }
    }

    /// What the caller is told when all failed.
    pub fn verdict(&self) -> Verdict {
        let had = |fault: Fault| self.seen.faults & 1 << (fault as u16) != 0;
        if had(Fault::ContextLength) {
            Verdict::ContextLength
        } else if had(Fault::Moderation) {
            Verdict::Moderation
        } else if had(Fault::Unsupported) {
            Verdict::Unsupported
        } else if had(Fault::RateLimited) && !self.seen.others_than_rate_limit {
            Verdict::RateLimited
        } else if had(Fault::Timeout) {
            Verdict::Timeout
        } else {
            Verdict::Upstream
        }
    }

    /// The attempt never began; returns the bit of its candidate.
    fn unclaimed(&mut self, cx: &mut PlanCx<'_>) -> u64 {
        self.abandon(cx.budget);
        self.attempts = self.attempts.saturating_sub(1);
        self.current.take().map_or(0, CandidateIx::bit)
    }

    /// Takes in an outcome; `Some` when it decides alone.
    fn ended(&mut self, class: OutcomeClass, cx: &mut PlanCx<'_>) -> Option<Next> {
        let took = std::mem::take(&mut self.took);
        let fault = match class {
            OutcomeClass::Success => {
                if took {
                    cx.budget.give_back();
                }
                cx.budget.deposit();
                return Some(Next::Stop(StopReason::Answered));
            }
            OutcomeClass::InvalidRequest | OutcomeClass::CallerLeft => {
                if took {
                    cx.budget.give_back();
                }
                return Some(Next::Stop(StopReason::Final));
            }
            OutcomeClass::Fault(fault) => fault,
        };
        self.seen.faults |= 1 << (fault as u16);
        self.seen.others_than_rate_limit |= fault != Fault::RateLimited;
        self.counted += u32::from(fault.counts());
        if !self.policy.outcomes.has(fault) {
            return Some(Next::Stop(StopReason::Final));
        }
        if let Some(ix) = self.current {
            if let Some(retry) = self.retry(ix, fault, cx) {
                return Some(retry);
            }
            self.excluded |= ix.bit();
            if fault == Fault::ContextLength
                && let Some(window) = (cx.window)(ix)
            {
                // Larger windows only; one that is not stated counts as larger.
                for other in &self.ranking {
                    if (cx.window)(*other).is_some_and(|w| w <= window) {
                        self.excluded |= other.bit();
                    }
                }
            }
        }
        None
    }

    /// The same candidate again, where that is worth it.
    fn retry(&mut self, ix: CandidateIx, fault: Fault, cx: &mut PlanCx<'_>) -> Option<Next> {
        let worth = matches!(
            fault,
            Fault::Connect | Fault::ServerError | Fault::InvalidResponse | Fault::RateLimited
        );
        let retries = self.policy.retries.unwrap_or_else(|| u32::from(!self.has_usable(ix, cx)));
        if !worth || self.retried >= retries || self.counted >= self.policy.max_attempts {
            return None;
        }
        let wait = if let Availability::Hard { until, .. } = (cx.availability)(ix) {
            until.since(cx.now)
        } else {
            let wait = RETRY_WAIT * 2_u32.pow(self.retried.min(8));
            wait.mul_f64(0.5 + cx.rng.unit() / 2.0)
        };
        if wait > RETRY_WAIT_MAX || cx.now + wait >= cx.deadline || !cx.budget.take(cx.now) {
            return None;
        }
        self.retried += 1;
        self.attempts += 1;
        self.took = true;
        Some(Next::Try { candidate: ix, why: Why::Retry, after: wait, force: true })
    }

    /// Whether another candidate than this could be tried now.
    fn has_usable(&self, except: CandidateIx, cx: &PlanCx<'_>) -> bool {
        self.ranking.iter().any(|ix| {
            (self.excluded | except.bit()) & ix.bit() == 0
                && !matches!((cx.availability)(*ix), Availability::Hard { .. })
        })
    }

    fn pick(&mut self, cx: &mut PlanCx<'_>) -> Next {
        if self.counted >= self.policy.max_attempts {
            return Next::Stop(StopReason::MaxAttempts);
        }
        if self.attempts > 0 && cx.now >= cx.deadline {
            return Next::Stop(StopReason::Deadline);
        }
        let left = |set: u64| self.ranking.iter().copied().filter(move |ix| set & ix.bit() == 0);
        let usable =
            |ix: &CandidateIx| !matches!((cx.availability)(*ix), Availability::Hard { .. });
        let fresh = left(self.excluded | self.deferred).find(usable);
        let force = fresh.is_none();
        let Some(candidate) = fresh.or_else(|| left(self.excluded).find(usable)) else {
            return Next::Stop(self.nothing_left(cx));
        };
        let first = self.attempts == 0;
        if !first {
            if !cx.budget.take(cx.now) {
                return Next::Stop(StopReason::FallbackBudgetExhausted);
            }
            self.took = true;
        }
        self.attempts += 1;
        self.retried = 0;
        self.current = Some(candidate);
        let why = if first { Why::First } else { Why::Fallback };
        Next::Try { candidate, why, after: Duration::ZERO, force }
    }

    /// Nothing can be tried: all were, or what is left is hard-ejected.
    fn nothing_left(&self, cx: &PlanCx<'_>) -> StopReason {
        if let Some(until) = self.full_until
            && self.attempts == 0
        {
            return StopReason::AtLimit { until };
        }
        let hard =
            self.ranking.iter().filter(|ix| self.excluded & ix.bit() == 0).filter_map(|ix| {
                match (cx.availability)(*ix) {
                    Availability::Hard { until, by } => Some((until, by == Fault::RateLimited)),
                    _ => None,
                }
            });
        hard.fold(None, |best: Option<(Nanos, bool)>, (until, limited)| {
            let (soonest, all) = best.unwrap_or((until, true));
            Some((soonest.min(until), all && limited))
        })
        .map_or(StopReason::Exhausted, |(until, limited)| StopReason::Ejected {
            until,
            rate_limited: limited && !self.seen.others_than_rate_limit,
        })
    }
}
