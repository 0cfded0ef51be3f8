//! LowestUsage: what it compares, how it draws, and that routers with old counters do not herd.

#![cfg(test)]

mod common;

use std::time::Duration;

use common::{alias, facts};
use routing::{
    CandidateIx, Nanos, Rng, StrategyKind,
    fleet::{Dimension, Draw, FleetLimit, LimitKey},
    quota::{Estimate, Limits, Rule, Settled},
    rank::{CandidateLive, Ranked, Score, View, rank},
    snapshot::CompiledAlias,
};

fn at(part: f64) -> CandidateLive<'static> {
    CandidateLive {
        utilization: Some(part),
        quota: Some((Dimension::Requests, 10)),
        ..CandidateLive::default()
    }
}

fn ranked(alias: &CompiledAlias, live: &[CandidateLive<'_>], rng: &mut Rng) -> Ranked {
    let view = View { eligible: u64::MAX, live, ..View::default() };
    rank(alias, &view, &facts(100), Nanos::ZERO, rng)
}

#[test]
fn of_two_the_less_used_part_of_its_quota_goes_first() {
    let alias = alias(StrategyKind::LowestUsage, &[&[1, 9]]);
    let live = [at(0.011), at(0.5)];
    for seed in 0..100 {
        let ranked = ranked(&alias, &live, &mut Rng::new(seed));
        assert_eq!(ranked.ranking.as_slice(), [CandidateIx(0), CandidateIx(1)]);
        assert_eq!(ranked.scores[1], Some(Score::Utilization(0.5)), "weights count for nothing");
    }
}

#[test]
fn without_a_quota_the_whole_tier_goes_by_tokens_over_weights() {
    let alias = alias(StrategyKind::LowestUsage, &[&[1, 3]]);
    let mut live = [at(0.01), CandidateLive::default()];
    live[0].used_tokens = 1_000.0;
    live[1].used_tokens = 2_000.0;
    let ranked = ranked(&alias, &live, &mut Rng::new(0));
    assert_eq!(ranked.ranking.as_slice(), [CandidateIx(1), CandidateIx(0)]);
    // 100 of the prompt and 200 of the answer are counted.
    let Some(Score::TokensByWeight(tokens)) = ranked.scores[1] else { panic!("{ranked:?}") };
    assert!((tokens - 2_300.0 / 3.0).abs() < 1e-9, "{tokens}");
}

/// Chi-square of the first of 100,000 rankings against these parts.
fn chi_square(live: &[CandidateLive<'_>], expected: &[f64], critical: f64) {
    let alias = alias(StrategyKind::LowestUsage, &[&vec![1; live.len()]]);
    let mut rng = Rng::new(17);
    let mut counts = vec![0.0; live.len()];
    for _ in 0..100_000 {
        counts[ranked(&alias, live, &mut rng).ranking[0].get()] += 1.0;
    }
    let chi: f64 = counts
        .iter()
        .zip(expected)
        .map(|(count, part)| f64::powi(count - 1e5 * part, 2) / (1e5 * part).max(1.0))
        .sum();
    assert!(chi < critical, "chi-square {chi} of {counts:?}");
}

#[test]
fn pairs_are_drawn_evenly() {
    chi_square(&[at(0.0); 4], &[0.25; 4], 16.27);
    // Of n, the k-th least used is the better one of (n - k) pairs of n (n - 1) / 2; the most used
    // is of none.
    let parts = [0.1, 0.2, 0.3, 0.4].map(at);
    chi_square(&parts, &[3.0 / 6.0, 2.0 / 6.0, 1.0 / 6.0, 0.0], 16.27);
}

#[test]
fn what_cannot_be_is_most_used() {
    let alias = alias(StrategyKind::LowestUsage, &[&[1, 1]]);
    for odd in [f64::NAN, f64::INFINITY] {
        let ranked = ranked(&alias, &[at(odd), at(3.0)], &mut Rng::new(1));
        assert_eq!(ranked.ranking.as_slice(), [CandidateIx(1), CandidateIx(0)]);
    }
}

#[test]
fn sessions_are_shared_out_by_limits() {
    let alias = alias(StrategyKind::LowestUsage, &[&[9, 1]]);
    let mut live = [at(0.9), at(0.1)];
    let share = |live: &[CandidateLive<'_>]| {
        let view = View { eligible: u64::MAX, live, ..View::default() };
        let first = |session| {
            let mut facts = facts(100);
            facts.session = Some(session);
            let of = |seed| rank(&alias, &view, &facts, Nanos::ZERO, &mut Rng::new(seed));
            let (one, other) = (of(session), of(session + 1));
            assert_eq!(one.ranking, other.ranking, "no draw decides");
            one.ranking[0]
        };
        (0..10_000).filter(|s| first(*s) == CandidateIx(0)).count()
    };
    live[0].quota = Some((Dimension::Tokens, 3_000));
    live[1].quota = Some((Dimension::Tokens, 1_000));
    assert!((7_300..7_700).contains(&share(&live)), "{}", share(&live));
    live[1].quota = Some((Dimension::Requests, 1_000));
    assert!((8_800..9_200).contains(&share(&live)), "what cannot be compared: by weight");
}

/// Fifty routers whose word of each other is up to 5 s old, over five targets of one limit: the
/// largest part of the fleet's requests that went to one target between two words, where a fifth
/// is even.
fn largest_part(least_used: bool) -> f64 {
    const LIMITS: [u64; 5] = [7_200; 5];
    const ROUTERS: usize = 50;
    let alias = alias(StrategyKind::LowestUsage, &[&[1; 5]]);
    let rule = |limit| Rule {
        quota: Some("main".into()),
        dimension: Dimension::Requests,
        limit,
        models: Vec::new(),
        count_cached_input: false,
    };
    let mut fleet: Vec<Vec<Limits>> = (0..ROUTERS)
        .map(|router| {
            let new = |limit| Limits::new(vec![rule(limit)], None, router as u64);
            LIMITS.into_iter().map(new).collect()
        })
        .collect();
    let mut rng = Rng::new(3);
    let mut worst = 0.0_f64;
    let mut went = [0.0_f64; 5];
    // 18,000 a minute are half of all limits: 0.6 a tick of 100 ms at each router.
    for tick in 0..1_800_u64 {
        let now = Nanos::ZERO + Duration::from_millis(100 * tick);
        if tick.is_multiple_of(50) {
            if tick > 600 {
                let all: f64 = went.iter().sum();
                worst = went.iter().map(|n| n / all).fold(worst, f64::max);
            }
            went = [0.0; 5];
            tell(&mut fleet, &LIMITS, now);
        }
        for router in &mut fleet {
            if rng.unit() >= 0.6 {
                continue;
            }
            let estimate = Estimate { prompt: 100, output: 200 };
            let live: Vec<CandidateLive<'_>> = router
                .iter()
                .map(|limits| CandidateLive {
                    utilization: limits.utilisation(now, "m", estimate),
                    ..CandidateLive::default()
                })
                .collect();
            let ranking = ranked(&alias, &live, &mut rng).ranking;
            let part = |ix: &&CandidateIx| live[ix.get()].utilization.unwrap();
            let least = ranking.iter().min_by(|a, b| part(a).total_cmp(&part(b)));
            let chosen = if least_used { *least.unwrap() } else { ranking[0] };
            went[chosen.get()] += 1.0;
            if let Ok(held) = router[chosen.get()].reserve(now, "m", estimate) {
                router[chosen.get()].settle(now, held, Settled::Failed);
            }
        }
    }
    worst
}

/// Tells each router what the others did until now.
fn tell(fleet: &mut [Vec<Limits>], limits: &[u64], now: Nanos) {
    for (n, limit) in limits.iter().enumerate() {
        let own: Vec<Draw> = fleet
            .iter()
            .map(|router| router[n].draws(now).next().map(|d| d.2).unwrap_or_default())
            .collect();
        let all = own.iter().copied().fold(Draw::default(), Draw::plus);
        for (router, own) in fleet.iter_mut().zip(own) {
            let others = Draw {
                demand: all.demand - own.demand,
                used: all.used - own.used,
                recent: all.recent - own.recent,
            };
            let target = routing::ObjectId::new("ns", "t");
            let quota = Some("main".to_owned());
            let key = LimitKey { target, quota, dimension: Dimension::Requests };
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let share = *limit as f64;
            let told = FleetLimit { key, share, others, age_ms: 0 };
            router[n].tell(now, 50, [told.word()]);
        }
    }
}

#[test]
fn routers_with_old_counters_do_not_herd() {
    let (pairs, least) = (largest_part(false), largest_part(true));
    println!("the largest part in 5 s: {pairs:.2} of pairs, {least:.2} of the least used");
    assert!(pairs < 0.45, "{pairs}");
    assert!(least > 0.8, "this would not show herding: {least}");
}
