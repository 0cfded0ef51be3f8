//! LowestPrice: what a request is expected to cost, case by case, and what follows for the order.

#![cfg(test)]

mod common;

use common::{alias, facts};
use routing::{
    CandidateIx, Nanos, Price, Rng, StrategyKind, Usage,
    ejection::Availability,
    price::{LongContext, Money, PerMillion},
    rank::{CandidateLive, Ranked, Score, View, rank},
    snapshot::CompiledAlias,
    stats::{AliasStats, Completion, ModelStats},
};

fn per(text: &str) -> PerMillion {
    PerMillion::parse(text).unwrap()
}

fn price(input: &str, output: &str) -> Price {
    Price { input: per(input), output: per(output), ..Price::default() }
}

fn at(price: &Price) -> CandidateLive<'_> {
    CandidateLive { price: Some(price), ..CandidateLive::default() }
}

fn lineup(count: usize) -> (CompiledAlias, AliasStats) {
    let mut alias = alias(StrategyKind::LowestPrice, &[&vec![1; count]]);
    for (n, candidate) in alias.candidates.iter_mut().enumerate() {
        candidate.model = format!("m{n}");
    }
    let stats = AliasStats::new(&alias);
    (alias, stats)
}

fn ranked(
    alias: &CompiledAlias,
    stats: &AliasStats,
    live: &[CandidateLive<'_>],
    prompt: u64,
    seed: u64,
) -> Ranked {
    let view = View { eligible: u64::MAX, live, lineups: stats.lineups(), ..View::default() };
    rank(alias, &view, &facts(prompt), Nanos::ZERO, &mut Rng::new(seed))
}

fn order(ranked: &Ranked) -> Vec<u8> {
    ranked.ranking.iter().map(|ix| ix.0).collect()
}

fn cost(ranked: &Ranked, n: usize) -> Money {
    let Some(Score::Cost(money)) = ranked.scores[n] else { panic!("{:?}", ranked.scores[n]) };
    money
}

#[test]
fn a_request_costs_its_prompt_and_the_usual_answer() {
    let (alias, stats) = lineup(2);
    let (dear_prompts, dear_answers) = (price("10", "1"), price("1", "10"));
    let live = [at(&dear_prompts), at(&dear_answers)];
    let short = ranked(&alias, &stats, &live, 100, 0);
    // 100 * 10 + 180 * 1 and 100 * 1 + 180 * 10 of a millionth.
    assert_eq!(cost(&short, 0), Money::parse("0.00118").unwrap());
    assert_eq!(cost(&short, 1), Money::parse("0.0019").unwrap());
    assert_eq!(order(&short), [0, 1]);
    assert_eq!(order(&ranked(&alias, &stats, &live, 1_000, 0)), [1, 0], "by the request");
}

#[test]
fn the_callers_limit_caps_the_answer() {
    let (alias, stats) = lineup(1);
    let p = price("1", "10");
    let live = [at(&p)];
    let view = View { eligible: 1, live: &live, lineups: stats.lineups(), ..View::default() };
    let mut facts = facts(100);
    facts.output_cap = Some(10);
    let ranked = rank(&alias, &view, &facts, Nanos::ZERO, &mut Rng::new(0));
    assert_eq!(cost(&ranked, 0), Money::parse("0.0002").unwrap());
}

#[test]
fn a_model_that_writes_more_is_dearer() {
    let (alias, mut stats) = lineup(2);
    let (a, b) = (price("1", "10"), price("1", "6"));
    let live = [at(&a), at(&b)];
    assert_eq!(order(&ranked(&alias, &stats, &live, 100, 0)), [1, 0]);
    for _ in 0..500 {
        stats.answered(CandidateIx(0), &Usage { output: 100, ..Usage::default() }, 0);
        stats.answered(CandidateIx(1), &Usage { output: 300, ..Usage::default() }, 0);
    }
    let ranked = ranked(&alias, &stats, &live, 100, 0);
    assert_eq!(order(&ranked), [0, 1]);
    assert_eq!(cost(&ranked, 1), Money::parse("0.0019").unwrap());
}

#[test]
fn one_model_at_two_targets_has_one_length() {
    let (mut alias, _) = lineup(2);
    alias.candidates[1].model = "m0".into();
    let mut stats = AliasStats::new(&alias);
    for _ in 0..500 {
        stats.answered(CandidateIx(1), &Usage { output: 1_000, ..Usage::default() }, 0);
    }
    let of = |ix| stats.lineups()[0].output_tokens_of(ix, None);
    assert!((of(CandidateIx(0)) - of(CandidateIx(1))).abs() < 1e-9 && of(CandidateIx(0)) > 900.0);

    // An edit that moves the candidates keeps what was learnt.
    let mut edited = alias.clone();
    edited.candidates.swap(0, 1);
    let mut adopted = AliasStats::new(&edited);
    adopted.adopt(&edited, &stats, &alias);
    assert!((adopted.lineups()[0].output_tokens_of(CandidateIx(0), None) - 1_000.0).abs() < 1.0);
}

#[test]
fn the_cached_part_is_the_lineups() {
    let (alias, mut stats) = lineup(2);
    let discount = Price { cached_input: Some(per("0.1")), ..price("4", "1") };
    let none = price("3", "1");
    let live = [at(&discount), at(&none)];
    assert_eq!(order(&ranked(&alias, &stats, &live, 10_000, 0)), [1, 0]);
    // Only the candidate without a discount was ever asked.
    for _ in 0..500 {
        let usage = Usage { input: 500, cache_read: 500, output: 180, ..Usage::default() };
        stats.answered(CandidateIx(1), &usage, 0);
    }
    let ranked = ranked(&alias, &stats, &live, 10_000, 0);
    assert_eq!(order(&ranked), [0, 1]);
    assert_eq!(cost(&ranked, 0), Money::parse("0.02068").unwrap());
    assert_eq!(cost(&ranked, 1), Money::parse("0.03018").unwrap(), "cached as input");
}

#[test]
fn long_prompts_have_their_own_price() {
    let (alias, stats) = lineup(2);
    let above = LongContext { input_tokens: 200_000, input: per("9"), ..LongContext::default() };
    let (tiered, flat) = (Price { above: Some(above), ..price("1", "1") }, price("5", "5"));
    let live = [at(&tiered), at(&flat)];
    assert_eq!(order(&ranked(&alias, &stats, &live, 200_000, 0)), [0, 1]);
    assert_eq!(order(&ranked(&alias, &stats, &live, 200_001, 0)), [1, 0], "strictly above");
}

#[test]
fn zero_is_a_price_and_unknown_is_none() {
    let (alias, stats) = lineup(3);
    let (dear, free) = (price("900000", "900000"), price("0", "0"));
    let live = [CandidateLive::default(), at(&dear), at(&free)];
    for seed in 0..50 {
        let ranked = ranked(&alias, &stats, &live, 100, seed);
        assert_eq!(order(&ranked), [2, 1, 0], "no draw");
        assert_eq!(ranked.scores[0], Some(Score::PriceUnknown));
        assert_eq!(cost(&ranked, 2), Money::ZERO);
    }
}

#[test]
fn as_cheap_goes_by_predicted_latency_and_a_session_changes_nothing() {
    let (alias, mut stats) = lineup(3);
    let (cheapest, same, dearer) = (price("1", "1"), price("1.009", "1.009"), price("1.02", "1"));
    let live = [at(&cheapest), at(&same), at(&dearer)];
    assert_eq!(order(&ranked(&alias, &stats, &live, 1_000, 0)), [0, 1, 2], "by the list");
    let mut models = [(); 3].map(|()| ModelStats::default());
    let second = Nanos(1_000_000_000);
    for (model, seconds) in models.iter_mut().zip([8_u64, 2, 1]) {
        for _ in 0..20 {
            let id = model.admit(second, 400, false);
            let end = Completion { output_tokens: 200, ..Completion::default() };
            model.complete(Nanos(second.0 * (1 + seconds)), &id, end);
        }
    }
    let now = Nanos(second.0 * 9);
    stats.refresh(now, &mut |ix, see| see(&mut models[ix.get()]));
    let view = View { eligible: 7, live: &live, lineups: stats.lineups(), ..View::default() };
    for session in [None, Some(1), Some(2)] {
        let mut facts = facts(1_000);
        facts.session = session;
        let ranked = rank(&alias, &view, &facts, now, &mut Rng::new(1));
        assert_eq!(order(&ranked), [1, 0, 2], "the soonest of those that are as cheap");
    }
}

#[test]
fn the_cheapest_is_one_that_can_be_asked() {
    let (alias, stats) = lineup(3);
    let (a, b, c) = (price("1", "1"), price("2.001", "2"), price("2", "2"));
    let live = [at(&a), at(&b), at(&c)];
    let mut availability = [Availability::Available; 3];
    availability[0] = Availability::Soft { until: Nanos(1) };
    let view = View {
        eligible: 7,
        live: &live,
        availability: &availability,
        lineups: stats.lineups(),
        ..View::default()
    };
    let ranked = rank(&alias, &view, &facts(100), Nanos::ZERO, &mut Rng::new(1));
    assert_eq!(order(&ranked), [1, 2, 0], "as cheap as the cheapest that is available");
}
