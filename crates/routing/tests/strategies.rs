//! Laws that hold for every entry of the table of strategies, and the shares of the drawing ones.

#![cfg(test)]

mod common;

use std::time::Duration;

use common::{alias, facts};
use proptest::prelude::*;
use routing::{
    CandidateIx, Nanos, Rng, StrategyKind,
    ejection::Availability,
    outcome::Fault,
    rank::{Ranking, View, rank},
    snapshot::{CompiledAlias, CompiledEntry, CompiledLineup, Members},
};

fn availability() -> impl Strategy<Value = Availability> {
    let until = (1_u64..100).prop_map(|s| Nanos::ZERO + Duration::from_secs(s));
    prop_oneof![
        3 => Just(Availability::Available),
        1 => until.clone().prop_map(|until| Availability::Soft { until }),
        1 => until.prop_map(|until| Availability::Hard { until, by: Fault::RateLimited }),
    ]
}

fn rank_of(alias: &CompiledAlias, view: &View<'_>, rng: &mut Rng) -> Ranking {
    rank(alias, view, &facts(400), Nanos::ZERO, rng).ranking
}

proptest! {
    #[test]
    fn a_ranking_is_a_permutation_of_the_eligible(
        tiers in prop::collection::vec(prop::collection::vec(0_u32..5, 1..8), 1..5),
        states in prop::collection::vec(availability(), 64),
        eligible: u64,
        seed: u64,
    ) {
        let tiers: Vec<&[u32]> = tiers.iter().map(Vec::as_slice).collect();
        for kind in StrategyKind::ALL {
            let alias = alias(*kind, &tiers);
            let view = View { eligible, availability: &states, ..View::default() };
            let ranking = rank_of(&alias, &view, &mut Rng::new(seed));
            let want: Vec<_> = (0..alias.candidates.len())
                .map(|i| CandidateIx(u8::try_from(i).unwrap()))
                .filter(|ix| eligible & ix.bit() != 0)
                .collect();
            let mut got = ranking.to_vec();
            got.sort_unstable();
            prop_assert_eq!(got, want, "{}", kind);

            let again = rank_of(&alias, &view, &mut Rng::new(seed));
            prop_assert_eq!(&ranking, &again, "{}: the same seed gives the same ranking", kind);

            let states: Vec<_> = ranking.iter().map(|ix| states[ix.get()]).collect();
            prop_assert!(states.is_sorted(), "{}: {:?}", kind, states);
        }
    }

    #[test]
    fn tiers_are_steps_and_weight_zero_is_last(
        tiers in prop::collection::vec(prop::collection::vec(0_u32..5, 1..8), 1..5),
        seed: u64,
    ) {
        let slices: Vec<&[u32]> = tiers.iter().map(Vec::as_slice).collect();
        for kind in StrategyKind::ALL {
            let alias = alias(*kind, &slices);
            let states = vec![Availability::Available; 64];
            let view = View { eligible: u64::MAX, availability: &states, ..View::default() };
            let ranking = rank_of(&alias, &view, &mut Rng::new(seed));
            let place: Vec<(usize, bool)> = tiers
                .iter()
                .enumerate()
                .flat_map(|(t, ws)| ws.iter().map(move |w| (t, *w == 0)))
                .collect();
            let order: Vec<_> = ranking.iter().map(|ix| place[ix.get()]).collect();
            prop_assert!(order.is_sorted(), "{}: {:?}", kind, order);
        }
    }
}

#[test]
fn a_healthy_first_priority_gets_everything() {
    let alias = alias(StrategyKind::Priority, &[&[1, 9, 9]]);
    let mut states = vec![Availability::Available; 3];
    for seed in 0..1_000 {
        let view = View { eligible: u64::MAX, availability: &states, ..View::default() };
        assert_eq!(rank_of(&alias, &view, &mut Rng::new(seed))[0], CandidateIx(0));
    }
    states[0] = Availability::Soft { until: Nanos(1) };
    let view = View { eligible: u64::MAX, availability: &states, ..View::default() };
    let ranking = rank_of(&alias, &view, &mut Rng::new(0));
    assert_eq!(ranking.as_slice(), [CandidateIx(1), CandidateIx(2), CandidateIx(0)]);
}

/// Chi-square of 100,000 draws against the weights; the critical value is that of p = 0.001.
fn chi_square(weights: &[u32], available: &[bool], critical: f64) {
    let alias = alias(StrategyKind::RandomShuffle, &[weights]);
    let states: Vec<_> = available
        .iter()
        .map(|a| if *a { Availability::Available } else { Availability::Soft { until: Nanos(1) } })
        .collect();
    let view = View { eligible: u64::MAX, availability: &states, ..View::default() };
    let mut rng = Rng::new(11);
    let mut counts = vec![0_u32; weights.len()];
    for _ in 0..100_000 {
        counts[rank_of(&alias, &view, &mut rng)[0].get()] += 1;
    }
    let live = |i: usize| if available[i] { f64::from(weights[i]) } else { 0.0 };
    let total: f64 = (0..weights.len()).map(live).sum();
    let mut statistic = 0.0;
    for (i, count) in counts.iter().enumerate() {
        let expected = 100_000.0 * live(i) / total;
        if expected == 0.0 {
            assert_eq!(*count, 0, "candidate {i} was drawn");
        } else {
            statistic += (f64::from(*count) - expected).powi(2) / expected;
        }
    }
    assert!(statistic < critical, "chi-square {statistic} of {counts:?}");
}

#[test]
fn shares_follow_the_weights() {
    chi_square(&[80, 20], &[true; 2], 10.83);
    chi_square(&[5, 3, 1, 0], &[true; 4], 13.82);
    chi_square(&[1, 1, 1, 1, 1], &[true; 5], 18.47);
}

#[test]
fn an_ejected_entry_gives_its_share_to_the_others_in_proportion() {
    chi_square(&[50, 30, 10], &[false, true, true], 10.83);
}

#[test]
fn the_second_is_drawn_among_the_rest() {
    let alias = alias(StrategyKind::RandomShuffle, &[&[98, 1, 1]]);
    let states = vec![Availability::Available; 3];
    let view = View { eligible: u64::MAX, availability: &states, ..View::default() };
    let mut rng = Rng::new(3);
    let mut second = [0_u32; 3];
    for _ in 0..10_000 {
        let ranking = rank_of(&alias, &view, &mut rng);
        if ranking[0] == CandidateIx(0) {
            second[ranking[1].get()] += 1;
        }
    }
    assert!(second[1].abs_diff(second[2]) < 400, "{second:?}");
}

#[test]
fn a_nested_alias_is_one_block_with_a_strategy_of_its_own() {
    let mut outer = alias(StrategyKind::Priority, &[&[1, 1, 1, 1]]);
    let tier = outer.lineup.tiers.remove(0);
    let [a, b, c, d] = <[CompiledEntry; 4]>::try_from(tier).unwrap();
    let nested = CompiledLineup {
        ix: 1,
        strategy: routing::StrategySpec::of(StrategyKind::RandomShuffle),
        tiers: vec![vec![b, c]],
    };
    let id = routing::ObjectId::new("ns", "inner");
    let block = CompiledEntry {
        name: "inner".into(),
        weight: 1,
        members: Members::Alias { id, lineup: Box::new(nested) },
    };
    outer.lineup.tiers = vec![vec![a, block, d]];
    let states = vec![Availability::Available; 4];
    let view = View { eligible: u64::MAX, availability: &states, ..View::default() };
    let mut seen = [0, 0];
    for seed in 0..100 {
        let order: Vec<u8> =
            rank_of(&outer, &view, &mut Rng::new(seed)).iter().map(|ix| ix.0).collect();
        match order.as_slice() {
            [0, 1, 2, 3] => seen[0] += 1,
            [0, 2, 1, 3] => seen[1] += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(seen.iter().all(|n| *n > 20), "{seen:?}");
}
