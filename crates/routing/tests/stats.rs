//! What is remembered of models, lineups and aliases.

#![cfg(test)]

mod common;

use std::time::Duration;

use common::{alias, facts};
use routing::{
    CandidateIx, Nanos, OutcomeClass, Rng, StrategyKind, Usage,
    outcome::Fault,
    rank::{View, rank, reason},
    stats::{AliasStats, Completion, Estimate, ModelStats, Part, Prior, Sums, TimeScale},
    strategy::lowest_latency,
};

fn at(seconds: f64) -> Nanos {
    Nanos::ZERO + Duration::from_secs_f64(seconds)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1e-9)
}

fn estimate(model: &mut ModelStats, now: f64) -> Estimate {
    model.estimate(at(now), &Prior::START, 200.0)
}

/// A stream of 200 tokens that took so long to its first one, and 20 ms for each.
fn stream(model: &mut ModelStats, from: f64, first: f64) {
    let mut id = model.admit(at(from), 400, true);
    model.first_token(at(from + first), &mut id);
    let end = Completion { output_tokens: 200, events: 200, waited_for_caller: false };
    model.complete(at(from + first + 4.0), &id, end);
}

#[test]
fn what_nobody_saw_looks_as_the_lineup_does() {
    let prior = Prior { first_token: 0.0, token: -3.0, ..Prior::START };
    let estimate = ModelStats::default().estimate(at(1.0), &prior, 200.0);
    assert!(close(estimate.first_token, 1.0) && close(estimate.token, (-3.0_f64).exp()));
    assert!(estimate.unseen);
}

#[test]
fn samples_move_it_and_fade() {
    let mut model = ModelStats::default();
    for second in 0..10 {
        stream(&mut model, f64::from(second), 0.2);
    }
    let fresh = estimate(&mut model, 14.0);
    assert!(fresh.first_token < 0.3, "{fresh:?}");
    assert!(close(fresh.token, 0.02));
    assert!(!fresh.unseen);
    let old = estimate(&mut model, 2_000.0);
    assert!(old.first_token > 0.65, "{old:?}");
}

#[test]
fn fast_failures_are_no_times() {
    let mut model = ModelStats::default();
    for tenth in 0..50 {
        let from = f64::from(tenth) / 10.0;
        let id = model.admit(at(from), 400, true);
        model.fail(at(from + 0.01), &id, OutcomeClass::Fault(Fault::ServerError));
    }
    let failing = estimate(&mut model, 5.0);
    assert!(close(failing.first_token, 0.7), "no sample of any time");
    assert!(failing.failing > 20.0 && failing.failing_seconds > 1.5, "{failing:?}");
    let usual = Estimate::START.cost(4.7, 0, 1.0);
    assert!(failing.cost(4.7, 0, 1.0) > 20.0 * usual);
}

#[test]
fn what_is_the_callers_fault_says_nothing() {
    let mut model = ModelStats::default();
    for class in [
        OutcomeClass::InvalidRequest,
        OutcomeClass::CallerLeft,
        OutcomeClass::Fault(Fault::Moderation),
        OutcomeClass::Fault(Fault::ContextLength),
        OutcomeClass::Fault(Fault::Unsupported),
    ] {
        let id = model.admit(at(1.0), 400, true);
        model.fail(at(2.0), &id, class);
        let id = model.admit(at(1.0), 400, true);
        model.leave(at(2.0), &id);
    }
    assert_eq!(model.pending(), 0);
    for part in [Part::Failures, Part::FirstTokenWeight, Part::TokenWeight] {
        assert!(close(model.export(at(3.0)).get(TimeScale::Slow, part), 0.0), "{part}");
    }
}

#[test]
fn a_slow_caller_is_no_slow_model() {
    let mut model = ModelStats::default();
    let mut id = model.admit(at(0.0), 400, true);
    model.first_token(at(0.5), &mut id);
    let end = Completion { output_tokens: 200, events: 200, waited_for_caller: true };
    model.complete(at(500.0), &id, end);
    assert!(close(model.export(at(500.0)).get(TimeScale::Fast, Part::TokenWeight), 0.0));
    assert!(close(model.export(at(500.0)).get(TimeScale::Fast, Part::Attempts), 1.0));
}

#[test]
fn requests_that_hang_show_before_any_timeout() {
    let mut model = ModelStats::default();
    for second in 0..20 {
        stream(&mut model, f64::from(second), 0.3);
    }
    let ids: Vec<_> = (0..2).map(|_| model.admit(at(30.0), 400, true)).collect();
    assert!(close(estimate(&mut model, 30.5).overdue, 1.0));
    assert!(estimate(&mut model, 33.0).overdue > 5.0);
    assert!(close(estimate(&mut model, 400.0).overdue, 30.0), "no more than thirtyfold");
    for id in &ids {
        model.leave(at(400.0), id);
    }
    assert!(close(estimate(&mut model, 400.1).overdue, 1.0));
}

#[test]
fn all_that_is_under_way_is_counted_and_an_end_hits_its_own() {
    let mut model = ModelStats::default();
    let first = model.admit(at(0.0), 400, true);
    model.leave(at(0.1), &first);
    let ids: Vec<_> = (0..100).map(|_| model.admit(at(1.0), 400, true)).collect();
    assert_eq!(model.pending(), 100);
    model.leave(at(2.0), &first);
    // The slot of the first is another's by now: that one is still overdue.
    assert!(estimate(&mut model, 100.0).overdue > 1.0);
    for id in &ids {
        model.leave(at(101.0), id);
    }
    assert_eq!(model.pending(), 0);
    assert!(close(estimate(&mut model, 102.0).overdue, 1.0));
}

#[test]
fn what_the_fleet_tells_is_added_and_ages() {
    let (mut one, mut other, mut both) =
        (ModelStats::default(), ModelStats::default(), ModelStats::default());
    stream(&mut one, 0.0, 0.2);
    stream(&mut other, 5.0, 0.8);
    stream(&mut both, 0.0, 0.2);
    stream(&mut both, 5.0, 0.8);
    let told = other.export(at(10.0));
    one.fleet(at(13.0), &told, Duration::from_secs(3));
    let (merged, local) = (estimate(&mut one, 14.0), estimate(&mut both, 14.0));
    assert!(close(merged.first_token, local.first_token), "{merged:?} {local:?}");
    assert!(close(merged.token, local.token));
    assert!(close(merged.evidence, local.evidence));
}

#[test]
fn tokens_that_others_use_are_a_rate_that_ages() {
    let (mut one, mut other) = (ModelStats::default(), ModelStats::default());
    for second in 0..1_200_u32 {
        other.used(at(f64::from(second)), 100);
    }
    assert!(one.used_by_others(at(1_200.0)) == 0.0, "nothing was told");
    one.fleet(at(1_202.0), &other.export(at(1_200.0)), Duration::from_secs(2));
    let used = one.used_by_others(at(1_202.0));
    assert!((5_700.0..6_100.0).contains(&used), "6,000 a minute, 2 s ago: {used}");
    let later = one.used_by_others(at(1_282.0));
    assert!((later / used - 0.5).abs() < 1e-9, "half is forgotten after 80 s: {later}");
    one.used(at(1_283.0), 1_000_000);
    assert!(one.used_by_others(at(1_283.0)) < later, "its own are not among them");
}

#[test]
fn a_refusal_that_others_saw_shows_the_limit() {
    let refused = |model: &mut ModelStats, now: f64| {
        let id = model.admit(at(now), 400, true);
        model.fail(at(now), &id, OutcomeClass::Fault(Fault::RateLimited));
    };
    let served = |model: &mut ModelStats, from: u32, to: u32| {
        for second in from..to {
            stream(model, f64::from(second), 0.2);
            estimate(model, f64::from(second) + 0.9);
        }
    };
    let (mut one, mut other) = (ModelStats::default(), ModelStats::default());
    refused(&mut other, 0.0);
    let old = other.export(at(1.0));
    one.fleet(at(1.0), &old, Duration::ZERO);
    served(&mut one, 2, 700);
    let free = estimate(&mut one, 700.0).capacity.unwrap();
    // The same told again is no news, nor is what has aged on the way.
    one.fleet(at(700.0), &other.export(at(698.0)), Duration::from_secs(2));
    served(&mut one, 700, 711);
    let unmoved = estimate(&mut one, 711.0).capacity.unwrap();
    assert!(unmoved >= free, "{unmoved} {free}");
    refused(&mut other, 709.0);
    one.fleet(at(711.0), &other.export(at(710.0)), Duration::from_secs(1));
    served(&mut one, 711, 722);
    let limited = estimate(&mut one, 722.0).capacity.unwrap();
    assert!(limited < unmoved, "{limited} {unmoved}");
}

#[test]
fn nonsense_from_the_fleet_is_made_sense_of() {
    let mut sums = Sums::default();
    for part in Part::ALL {
        sums.set(TimeScale::Fast, *part, 1e300);
        sums.set(TimeScale::Slow, *part, -1e300);
    }
    let mut model = ModelStats::default();
    model.fleet(at(1.0), &sums, Duration::ZERO);
    let estimate = estimate(&mut model, 1.0);
    let cost = estimate.cost(estimate.first_token, 3, 1.0);
    assert!(cost.is_finite() && cost > 0.0, "{estimate:?}");
}

#[test]
fn load_that_slows_answers_shows() {
    let mut model = ModelStats::default();
    let mut now = 0.0;
    for round in 0..60 {
        // One at a time, then twenty at once that take five times as long.
        let together = if round % 2 == 0 { 1 } else { 20 };
        let took = if together == 1 { 1.0 } else { 5.0 };
        let ids: Vec<_> = (0..together).map(|_| model.admit(at(now), 400, false)).collect();
        now += took;
        for id in &ids {
            let end = Completion { output_tokens: 50, ..Completion::default() };
            model.complete(at(now), id, end);
        }
    }
    let elastic = estimate(&mut model, now);
    assert!(elastic.elastic > 0.9, "{elastic:?}");
    assert!(elastic.cost(1.0, 20, 1.0) > 2.0 * elastic.cost(1.0, 0, 1.0));
}

#[test]
fn an_edit_keeps_what_is_known_by_id() {
    let before = alias(StrategyKind::LowestLatency, &[&[1, 1, 1]]);
    let mut known = AliasStats::new(&before);
    let mut models = vec![ModelStats::default(); 3];
    for second in 0..10 {
        stream(&mut models[2], f64::from(second), 0.1);
    }
    for _ in 0..200 {
        let usage = Usage { input: 100, output: 1_000, ..Usage::default() };
        known.answered(CandidateIx(2), &usage, 250);
    }
    known.refresh(at(15.0), &mut |ix, see| see(&mut models[ix.get()]));
    // The first candidate goes: what was at 2 is at 1.
    let mut after = alias(StrategyKind::LowestLatency, &[&[1, 1]]);
    after.candidates = before.candidates[1..].to_vec();
    let mut adopted = AliasStats::new(&after);
    adopted.adopt(&after, &known, &before);
    let lineup = &adopted.lineups()[0];
    assert_eq!(lineup.estimate(CandidateIx(1)), known.lineups()[0].estimate(CandidateIx(2)));
    assert!(lineup.output_tokens(None) > 900.0);
    assert!(close(lineup.output_tokens(Some(50)), 50.0), "the caller's limit holds");
    assert!(adopted.bytes_per_token() < 2.6, "{}", adopted.bytes_per_token());
}

#[test]
fn what_is_not_used_is_not_reported() {
    let mut model = ModelStats::default();
    let within = Duration::from_secs(600);
    assert!(!model.is_used_since(at(1.0), within));
    let id = model.admit(at(1.0), 400, true);
    assert!(model.is_used_since(at(10_000.0), within), "under way");
    model.leave(at(10_000.0), &id);
    assert!(model.is_used_since(at(10_600.0), within));
    assert!(!model.is_used_since(at(10_601.0), within));
}

#[test]
fn the_reason_says_what_was_predicted() {
    let alias = alias(StrategyKind::LowestLatency, &[&[1, 1, 1]]);
    let mut known = AliasStats::new(&alias);
    let mut models = vec![ModelStats::default(); 3];
    for (model, first) in models.iter_mut().zip([2.0, 0.1, 0.9]) {
        for second in 0..40 {
            stream(model, f64::from(second), first);
        }
    }
    known.refresh(at(46.0), &mut |ix, see| see(&mut models[ix.get()]));
    let view = View { eligible: u64::MAX, lineups: known.lineups(), ..View::default() };
    let ranked = rank(&alias, &view, &facts(400), at(46.0), &mut Rng::new(1));
    let text = reason(&alias, &ranked);
    assert!(text.starts_with("3 candidates; t1/m predicted "), "{text}");
    assert!(text.contains(" s, next t2/m ") && text.ends_with(" s"), "{text}");
}

#[test]
fn a_probe_says_that_it_is_one() {
    let mut alias = alias(StrategyKind::LowestLatency, &[&[1, 1]]);
    alias.lineup.strategy.lowest_latency =
        Some(lowest_latency::Params { exploration_percent: Some(100), ..Default::default() });
    let mut known = AliasStats::new(&alias);
    let mut models = vec![ModelStats::default(); 2];
    for second in 0..40 {
        stream(&mut models[0], f64::from(second), 0.1);
    }
    known.refresh(at(46.0), &mut |ix, see| see(&mut models[ix.get()]));
    let view = View { eligible: u64::MAX, lineups: known.lineups(), ..View::default() };
    let ranked = rank(&alias, &view, &facts(400), at(46.0), &mut Rng::new(1));
    let text = reason(&alias, &ranked);
    assert!(text.contains(" s (asked since it has shown nothing of late), next t0/m "), "{text}");
}

#[test]
fn the_first_draw_goes_by_what_is_known() {
    let alias = alias(StrategyKind::LowestLatency, &[&[1, 1]]);
    let mut known = AliasStats::new(&alias);
    let mut models = vec![ModelStats::default(); 2];
    for (model, first) in models.iter_mut().zip([20.0, 0.1]) {
        for second in 0..40 {
            stream(model, f64::from(second), first);
        }
    }
    known.refresh(at(64.0), &mut |ix, see| see(&mut models[ix.get()]));
    let view = View { eligible: u64::MAX, lineups: known.lineups(), ..View::default() };
    for seed in 0..100 {
        // However young the process is: its clock starts at 0.
        let ranked = rank(&alias, &view, &facts(400), at(0.001), &mut Rng::new(seed));
        assert_eq!(ranked.ranking[0], CandidateIx(1), "seed {seed}");
    }
}
