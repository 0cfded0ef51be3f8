//! The plan of one request: what is tried next after each class of outcome, and when it stops.

#![cfg(test)]

mod common;

use std::{cell::RefCell, time::Duration};

use common::{alias, facts, policy};
use proptest::prelude::*;
use routing::{
    Nanos, OutcomeClass, Rng, StrategyKind,
    budget::Budget,
    ejection::Availability,
    fallback::{Ended, FallbackPlan, Next, PlanCx, StopReason, Verdict, Why},
    outcome::Fault,
    rank::{View, rank},
    snapshot::CompiledFallback,
};

/// The world around a plan.
struct World {
    now: Nanos,
    deadline: Nanos,
    budget: Budget,
    rng: Rng,
    states: RefCell<Vec<Availability>>,
    windows: Vec<Option<u64>>,
}

impl World {
    fn new(n: usize) -> Self {
        Self {
            now: Nanos::ZERO,
            deadline: Nanos::ZERO + Duration::from_secs(600),
            budget: Budget::default(),
            rng: Rng::new(1),
            states: RefCell::new(vec![Availability::Available; n]),
            windows: vec![None; n],
        }
    }

    fn next(&mut self, plan: &mut FallbackPlan, last: impl Into<Option<Ended>>) -> Next {
        let (states, windows) = (&self.states, &self.windows);
        plan.next(
            last.into(),
            &mut PlanCx {
                now: self.now,
                deadline: self.deadline,
                budget: &mut self.budget,
                rng: &mut self.rng,
                availability: &|ix| states.borrow()[ix.get()],
                window: &|ix| windows[ix.get()],
            },
        )
    }
}

fn plan(n: u8, policy: CompiledFallback) -> FallbackPlan {
    let weights = vec![1; usize::from(n)];
    let alias = alias(StrategyKind::Priority, &[&weights]);
    let states = vec![Availability::Available; weights.len()];
    let view = View { eligible: u64::MAX, availability: &states, ..View::default() };
    let ranked = rank(&alias, &view, &facts(400), Nanos::ZERO, &mut Rng::new(0));
    FallbackPlan::new(ranked.ranking, policy)
}

fn failed(fault: Fault) -> Ended {
    Ended::As(OutcomeClass::Fault(fault))
}

fn tried(next: Next) -> (u8, Why) {
    match next {
        Next::Try { candidate, why, .. } => (candidate.0, why),
        Next::Stop(reason) => panic!("stopped: {reason:?}"),
    }
}

#[test]
fn each_fault_goes_to_the_next_and_the_last_is_retried_once() {
    for fault in Fault::ALL.iter().copied().filter(|f| *f != Fault::Moderation) {
        let (mut world, mut plan) = (World::new(2), plan(2, policy()));
        assert_eq!(tried(world.next(&mut plan, None)), (0, Why::First));
        assert_eq!(tried(world.next(&mut plan, failed(fault))), (1, Why::Fallback), "{fault}");
        let next = world.next(&mut plan, failed(fault));
        let retried = matches!(
            fault,
            Fault::Connect | Fault::ServerError | Fault::InvalidResponse | Fault::RateLimited
        );
        if retried {
            assert_eq!(tried(next), (1, Why::Retry), "{fault}");
            let next = world.next(&mut plan, failed(fault));
            assert_eq!(next, Next::Stop(StopReason::Exhausted), "{fault}");
        } else {
            assert_eq!(next, Next::Stop(StopReason::Exhausted), "{fault}");
        }
    }
}

#[test]
fn what_no_other_would_change_stops() {
    for class in [
        OutcomeClass::InvalidRequest,
        OutcomeClass::CallerLeft,
        OutcomeClass::Fault(Fault::Moderation),
    ] {
        let (mut world, mut plan) = (World::new(2), plan(2, policy()));
        world.next(&mut plan, None);
        let next = world.next(&mut plan, Some(Ended::As(class)));
        assert_eq!(next, Next::Stop(StopReason::Final), "{class}");
    }
}

#[test]
fn moderation_falls_back_where_the_alias_names_it() {
    let policy = CompiledFallback { outcomes: Fault::ALL.iter().copied().collect(), ..policy() };
    let (mut world, mut plan) = (World::new(2), plan(2, policy));
    world.next(&mut plan, None);
    assert_eq!(tried(world.next(&mut plan, failed(Fault::Moderation))), (1, Why::Fallback));
}

#[test]
fn a_fault_that_the_alias_leaves_out_stops() {
    let policy = CompiledFallback { outcomes: [Fault::Connect].into_iter().collect(), ..policy() };
    let (mut world, mut plan) = (World::new(2), plan(2, policy));
    world.next(&mut plan, None);
    let next = world.next(&mut plan, failed(Fault::ServerError));
    assert_eq!(next, Next::Stop(StopReason::Final));
}

#[test]
fn dead_keys_do_not_use_up_the_attempts() {
    let (mut world, mut plan) = (World::new(8), plan(8, policy()));
    world.next(&mut plan, None);
    for n in 1..7 {
        assert_eq!(tried(world.next(&mut plan, failed(Fault::Auth))), (n, Why::Fallback));
    }
}

#[test]
fn five_attempts_that_reach_a_model_are_enough() {
    let (mut world, mut plan) = (World::new(8), plan(8, policy()));
    world.next(&mut plan, None);
    for n in 1..5 {
        assert_eq!(tried(world.next(&mut plan, failed(Fault::Timeout))).0, n);
    }
    let next = world.next(&mut plan, failed(Fault::Timeout));
    assert_eq!(next, Next::Stop(StopReason::MaxAttempts));
    assert_eq!(plan.verdict(), Verdict::Timeout);
}

#[test]
fn a_context_that_is_exceeded_goes_to_larger_windows_only() {
    let (mut world, mut plan) = (World::new(4), plan(4, policy()));
    world.windows = vec![Some(8_000), Some(4_000), None, Some(128_000)];
    world.next(&mut plan, None);
    assert_eq!(tried(world.next(&mut plan, failed(Fault::ContextLength))).0, 2);
    assert_eq!(tried(world.next(&mut plan, failed(Fault::ContextLength))).0, 3);
    let next = world.next(&mut plan, failed(Fault::ContextLength));
    assert_eq!(next, Next::Stop(StopReason::Exhausted));
    assert_eq!(plan.verdict(), Verdict::ContextLength);
}

#[test]
fn hard_ejections_are_looked_at_again_before_each_attempt() {
    let (mut world, mut plan) = (World::new(3), plan(3, policy()));
    world.next(&mut plan, None);
    let until = Nanos::ZERO + Duration::from_secs(30);
    world.states.borrow_mut()[1] = Availability::Hard { until, by: Fault::RateLimited };
    assert_eq!(tried(world.next(&mut plan, failed(Fault::Connect))).0, 2);
}

#[test]
fn only_hard_ones_left_says_until_when() {
    let (mut world, mut plan) = (World::new(2), plan(2, policy()));
    let at = |s| Nanos::ZERO + Duration::from_secs(s);
    let hard = |s, by| Availability::Hard { until: at(s), by };
    *world.states.borrow_mut() = vec![hard(30, Fault::RateLimited), hard(20, Fault::RateLimited)];
    let next = world.next(&mut plan, None);
    assert_eq!(next, Next::Stop(StopReason::Ejected { until: at(20), rate_limited: true }));
    world.states.borrow_mut()[0] = hard(30, Fault::Auth);
    let next = world.next(&mut plan, None);
    assert_eq!(next, Next::Stop(StopReason::Ejected { until: at(20), rate_limited: false }));
}

#[test]
fn a_rate_limit_that_ends_soon_is_waited_for() {
    let (mut world, mut plan) = (World::new(1), plan(1, policy()));
    world.next(&mut plan, None);
    let until = Nanos::ZERO + Duration::from_secs(1);
    world.states.borrow_mut()[0] = Availability::Hard { until, by: Fault::RateLimited };
    match world.next(&mut plan, failed(Fault::RateLimited)) {
        Next::Try { after, why: Why::Retry, .. } => assert_eq!(after, Duration::from_secs(1)),
        other => panic!("{other:?}"),
    }
    let until = Nanos::ZERO + Duration::from_secs(3);
    let mut plan = self::plan(1, policy());
    world.states.borrow_mut()[0] = Availability::Available;
    world.next(&mut plan, None);
    world.states.borrow_mut()[0] = Availability::Hard { until, by: Fault::RateLimited };
    let next = world.next(&mut plan, failed(Fault::RateLimited));
    assert_eq!(next, Next::Stop(StopReason::Exhausted), "too long");
    assert_eq!(plan.verdict(), Verdict::RateLimited);
}

#[test]
fn who_loses_the_claim_goes_on_and_comes_back_when_nothing_else_is_left() {
    let (mut world, mut plan) = (World::new(2), plan(2, policy()));
    assert_eq!(tried(world.next(&mut plan, None)), (0, Why::First));
    assert_eq!(tried(world.next(&mut plan, Some(Ended::NotClaimed))), (1, Why::First));
    match world.next(&mut plan, failed(Fault::Timeout)) {
        Next::Try { candidate, force, .. } => assert_eq!((candidate.0, force), (0, true)),
        other @ Next::Stop(_) => panic!("{other:?}"),
    }
}

#[test]
fn time_is_kept_only_for_a_candidate_that_would_be_tried() {
    let has_more = |n, policy| {
        let mut plan = plan(n, policy);
        World::new(usize::from(n)).next(&mut plan, None);
        plan.has_more()
    };
    assert!(has_more(2, policy()));
    assert!(!has_more(1, policy()), "it is the last");
    assert!(!has_more(2, CompiledFallback { max_attempts: 1, ..policy() }));
    let outcomes = [Fault::Connect].into_iter().collect();
    assert!(!has_more(2, CompiledFallback { outcomes, ..policy() }), "a timeout stops");
}

#[test]
fn an_abandoned_fallback_costs_nothing() {
    let mut world = World::new(2);
    for _ in 0..1_000 {
        let mut plan = plan(2, policy());
        world.next(&mut plan, None);
        assert_eq!(tried(world.next(&mut plan, failed(Fault::Connect))), (1, Why::Fallback));
        plan.abandon(&mut world.budget);
        plan.abandon(&mut world.budget);
    }
    let left = (0..1_000).filter(|_| world.budget.take(world.now)).count();
    assert_eq!(left, 100, "all that there was, and no more");
}

#[test]
fn an_empty_budget_stops_fallback_and_never_a_first_attempt() {
    let mut world = World::new(2);
    while world.budget.take(world.now) {}
    let mut plan = plan(2, policy());
    assert_eq!(tried(world.next(&mut plan, None)), (0, Why::First));
    let next = world.next(&mut plan, failed(Fault::ServerError));
    assert_eq!(next, Next::Stop(StopReason::FallbackBudgetExhausted));
}

proptest! {
    /// Whatever happens: no candidate more often than its retries allow, no more counted attempts
    /// than `maxAttempts`, and it ends.
    #[test]
    fn a_failed_candidate_is_never_tried_beyond_its_retries(
        n in 1_u8..10,
        retries in prop::option::of(0_u32..4),
        max_attempts in 1_u32..8,
        faults in prop::collection::vec(0..Fault::ALL.len(), 64),
        seed: u64,
    ) {
        let policy = CompiledFallback { max_attempts, retries, ..policy() };
        let (mut world, mut plan) = (World::new(usize::from(n)), plan(n, policy));
        world.rng = Rng::new(seed);
        let mut tries = vec![0_u32; usize::from(n)];
        let mut counted = 0;
        let mut last: Option<Ended> = None;
        for fault in faults {
            match world.next(&mut plan, last) {
                Next::Stop(_) => return Ok(()),
                Next::Try { candidate, .. } => {
                    tries[candidate.get()] += 1;
                    prop_assert!(tries[candidate.get()] <= 1 + retries.unwrap_or(1));
                    let fault = Fault::ALL[fault];
                    counted += u32::from(fault.counts());
                    prop_assert!(counted <= max_attempts);
                    last = Some(failed(fault));
                }
            }
        }
        prop_assert!(false, "it does not end");
    }
}
