//! Laws of every strategy in the table over live statistics: what traffic may and may not do to
//! them, whatever is fed in.

#![cfg(test)]

mod common;

use std::time::Duration;

use common::{alias, facts};
use proptest::prelude::*;
use routing::{
    CandidateIx, Nanos, OutcomeClass, RequestFacts, Rng, StrategyKind, Usage,
    ejection::{Availability, Ejection, Event},
    outcome::Fault,
    rank::{CandidateLive, Ranked, Score, View, rank},
    snapshot::{CompiledAlias, CompiledEjection},
    stats::{AliasStats, Completion, ModelStats, Part, PendingId, Sums, TimeScale},
};

/// A router with its statistics, and what each target does to a request.
struct Router {
    alias: CompiledAlias,
    stats: AliasStats,
    models: Vec<ModelStats>,
    ejections: Vec<Ejection>,
    used: Vec<f64>,
    rng: Rng,
    now: Nanos,
    under_way: Vec<(Nanos, usize, PendingId, OutcomeClass)>,
}

impl Router {
    fn new(kind: StrategyKind, targets: usize, seed: u64) -> Self {
        let alias = alias(kind, &[&vec![1; targets]]);
        Self {
            stats: AliasStats::new(&alias),
            alias,
            models: vec![ModelStats::default(); targets],
            ejections: vec![Ejection::default(); targets],
            used: vec![0.0; targets],
            rng: Rng::new(seed),
            now: Nanos::ZERO + Duration::from_secs(1),
            under_way: Vec::new(),
        }
    }

    fn decide(&mut self, eligible: u64, facts: &RequestFacts<'_>) -> Ranked {
        let models = &mut self.models;
        self.stats.refresh(self.now, &mut |ix, see| see(&mut models[ix.get()]));
        let availability: Vec<Availability> =
            self.ejections.iter().map(|e| e.availability(self.now)).collect();
        let live: Vec<CandidateLive<'_>> = models
            .iter()
            .zip(&self.used)
            .map(|(model, used)| CandidateLive {
                pending: model.pending(),
                used_tokens: *used,
                ..CandidateLive::default()
            })
            .collect();
        let view = View {
            eligible,
            routers: 10,
            availability: &availability,
            live: &live,
            lineups: self.stats.lineups(),
            ..View::default()
        };
        let ranked = rank(&self.alias, &view, facts, self.now, &mut self.rng);
        self.stats.apply(&ranked.effects, self.now);
        ranked
    }

    /// Sends one request to whatever is first; `fares` says how long it takes there and how it
    /// ends. Gives where it went.
    fn request(
        &mut self,
        eligible: u64,
        fares: impl Fn(usize) -> (Duration, OutcomeClass),
    ) -> (usize, Ranked) {
        let ranked = self.decide(eligible, &facts(400));
        let target = ranked.ranking[0].get();
        self.ejections[target].claim(self.now, true);
        let id = self.models[target].admit(self.now, 400, true);
        let (took, class) = fares(target);
        self.under_way.push((self.now + took, target, id, class));
        self.now = self.now + Duration::from_millis(100);
        let ended = self.under_way.extract_if(.., |(at, ..)| *at <= self.now);
        for (at, target, mut id, class) in ended.collect::<Vec<_>>() {
            let scope = routing::ejection::Scope::Model;
            let cost = Duration::from_millis(10);
            let event = Event::of(class, scope, None, cost);
            self.ejections[target].step(&CompiledEjection::default(), at, event);
            if class == OutcomeClass::Success {
                self.models[target].first_token(at, &mut id);
                let end = Completion { output_tokens: 200, events: 200, waited_for_caller: false };
                self.models[target].complete(at, &id, end);
                let usage = Usage { input: 400, output: 200, ..Usage::default() };
                self.stats.answered(ranked.ranking[0], &usage, 1600);
                self.used[target] += 600.0;
            } else {
                self.models[target].fail(at, &id, class);
            }
        }
        (target, ranked)
    }
}

const FAST: Duration = Duration::from_millis(10);
const USUAL: Duration = Duration::from_millis(900);

/// Whether a strategy ranks by what it predicts from what it saw.
fn predicts(kind: StrategyKind) -> bool {
    let ranked = Router::new(kind, 3, 1).decide(u64::MAX, &facts(400));
    let by = |score: &Option<Score>| {
        matches!(score, Some(Score::Seconds(_) | Score::TokensPerSecond(_) | Score::Headroom(_)))
    };
    ranked.scores.iter().any(by)
}

#[test]
fn a_target_that_only_fails_fast_attracts_no_traffic() {
    for kind in StrategyKind::ALL {
        // Under every strategy with ejection, as it is in a router; and without, where it predicts.
        for ejects in [true, false] {
            if !ejects && !predicts(*kind) {
                continue;
            }
            let mut router = Router::new(*kind, 4, 5);
            let mut failed = 0;
            for number in 0..3_000 {
                let fares = |target| match target {
                    0 => (FAST, OutcomeClass::Fault(Fault::ServerError)),
                    _ => (USUAL, OutcomeClass::Success),
                };
                let (target, _) = router.request(u64::MAX, fares);
                if !ejects {
                    router.ejections[0] = Ejection::default();
                }
                failed += u32::from(number >= 500 && target == 0);
            }
            assert!(failed < 250, "{kind}: {failed} of 2500, where a quarter would be its share");
        }
    }
}

#[test]
fn an_unknown_target_is_neither_best_nor_never_tried() {
    for kind in StrategyKind::ALL.iter().filter(|kind| predicts(**kind)) {
        let mut router = Router::new(*kind, 5, 9);
        let speed = |target: usize| {
            let millis = [900, 600, 900, 1_400, 1_400][target];
            (Duration::from_millis(millis), OutcomeClass::Success)
        };
        for _ in 0..600 {
            router.request(!1, speed);
        }
        let now_known = router.decide(u64::MAX, &facts(400));
        let best = |score: &Option<Score>| match score {
            Some(Score::Seconds(s)) => -s,
            Some(Score::TokensPerSecond(n) | Score::Headroom(n)) => *n,
            _ => f64::NEG_INFINITY,
        };
        let values: Vec<f64> = now_known.scores.iter().map(best).collect();
        let most = values[1..].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if !matches!(now_known.scores[0], Some(Score::Headroom(_))) {
            assert!(values[0] <= most, "{kind}: the unknown looks best: {values:?}");
        }
        let mut tried = 0;
        for _ in 0..2_000 {
            tried += u32::from(router.request(u64::MAX, speed).0 == 0);
        }
        assert!((1..1_500).contains(&tried), "{kind}: tried {tried} times of 2000");
    }
}

/// Any time, count and number that could come in, however absurd.
fn wild() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(-1.0),
        Just(f64::MAX),
        Just(f64::MIN),
        Just(f64::NAN),
        Just(f64::INFINITY),
        -1e6..1e6_f64,
        Just(1e-300),
    ]
}

#[derive(Clone, Debug)]
enum Fed {
    Fleet(usize, Vec<f64>, u64),
    Served { target: usize, prompt: u64, output: u64, took: u64, first: Option<u64>, stream: bool },
    Failed(usize, u64, usize),
    Hangs(usize),
    Wait(u64),
}

fn fed() -> impl Strategy<Value = Fed> {
    let parts = Part::ALL.len() * 2;
    let nanos = prop_oneof![Just(0_u64), 0..u64::MAX / 4, 0..10_000_000_000_u64];
    let target = 0..4_usize;
    prop_oneof![
        (target.clone(), prop::collection::vec(wild(), parts), any::<u64>())
            .prop_map(|(target, sums, age)| Fed::Fleet(target, sums, age)),
        (target.clone(), any::<u64>(), any::<u64>(), nanos.clone(), any::<bool>(), nanos.clone())
            .prop_map(|(target, prompt, output, took, stream, first)| Fed::Served {
                target,
                prompt,
                output,
                took,
                first: stream.then_some(first),
                stream,
            }),
        (target.clone(), nanos.clone(), 0..Fault::ALL.len())
            .prop_map(|(target, took, fault)| Fed::Failed(target, took, fault)),
        target.prop_map(Fed::Hangs),
        nanos.prop_map(Fed::Wait),
    ]
}

fn feed(router: &mut Router, what: Fed) {
    let now = router.now;
    let later = |nanos: u64| now + Duration::from_nanos(nanos);
    match what {
        Fed::Fleet(target, values, age) => {
            let mut sums = Sums::default();
            let scales = TimeScale::ALL.iter().flat_map(|s| Part::ALL.iter().map(move |p| (s, p)));
            for ((scale, part), value) in scales.zip(values) {
                sums.set(*scale, *part, value);
            }
            router.models[target].fleet(now, &sums, Duration::from_nanos(age));
        }
        Fed::Served { target, prompt, output, took, first, stream } => {
            let mut id = router.models[target].admit(now, prompt, stream);
            if let Some(first) = first {
                router.models[target].first_token(later(first), &mut id);
            }
            let end = Completion { output_tokens: output, events: output, ..Completion::default() };
            router.models[target].complete(later(took), &id, end);
            let usage = Usage { input: prompt, output, ..Usage::default() };
            let ix = CandidateIx(u8::try_from(target).unwrap());
            router.stats.answered(ix, &usage, prompt);
        }
        Fed::Failed(target, took, fault) => {
            let id = router.models[target].admit(now, 1, true);
            let class = OutcomeClass::Fault(Fault::ALL[fault]);
            router.models[target].fail(later(took), &id, class);
        }
        Fed::Hangs(target) => {
            router.models[target].admit(now, 400, true);
        }
        Fed::Wait(nanos) => router.now = later(nanos),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_is_fed_in_ranks_all_by_finite_numbers(
        fed in prop::collection::vec(fed(), 0..40),
        seed: u64,
        session: Option<u64>,
        prompt: u64,
        cap: Option<u64>,
    ) {
        for kind in StrategyKind::ALL {
            let mut router = Router::new(*kind, 4, seed);
            for what in &fed {
                feed(&mut router, what.clone());
                router.now = router.now + Duration::from_millis(150);
                let facts = RequestFacts { session, output_cap: cap, ..facts(prompt) };
                let (rng, stats) = (router.rng.clone(), router.stats.clone());
                let ranked = router.decide(u64::MAX, &facts);
                let mut sorted = ranked.ranking.to_vec();
                sorted.sort_unstable();
                prop_assert_eq!(sorted.len(), 4, "{}", kind);
                for score in ranked.scores.iter().flatten() {
                    let number = match score {
                        Score::Seconds(n) | Score::TokensPerSecond(n) | Score::Headroom(n)
                        | Score::Utilization(n) | Score::TokensByWeight(n) => *n,
                        _ => 0.0,
                    };
                    prop_assert!(number.is_finite() && number >= 0.0, "{}: {:?}", kind, score);
                }
                for effects in ranked.effects.iter() {
                    let weights = effects.weights.iter().all(|(_, w)| (0.0..=1.0).contains(w));
                    prop_assert!(weights, "{}: {:?}", kind, effects);
                }
                router.rng = rng;
                router.stats = stats;
                prop_assert_eq!(router.decide(u64::MAX, &facts).ranking, ranked.ranking);
            }
        }
    }
}
