//! `cargo bench -p routing`: what a ranking costs, under every strategy, for 4 and 8 candidates
//! with statistics as traffic leaves them. The figure to look at is the ratio to Priority in the
//! same run, which only reads the list: nanoseconds depend on the machine. The bounds: 0.5 us for 4
//! candidates and 1 us for 8.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "the alias is made as in the tests")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use routing::{
    CandidateIx, Nanos, OutcomeClass, Rng, StrategyKind, Usage,
    ejection::Availability,
    outcome::Fault,
    rank::{CandidateLive, View, rank},
    snapshot::CompiledAlias,
    stats::{AliasStats, Completion, ModelStats},
};

const ROUNDS: usize = 101;
const PICKS: u32 = 20_000;

fn main() {
    for count in [4, 8] {
        let mut priority = 0.0;
        for kind in StrategyKind::ALL {
            let nanoseconds = measure(*kind, count);
            if *kind == StrategyKind::Priority {
                priority = nanoseconds;
            }
            let ratio = nanoseconds / priority;
            println!("{count} candidates, {kind}: {nanoseconds:.0} ns, ratio {ratio:.1}");
        }
    }
}

/// The cost of a ranking in the round that was disturbed least, in nanoseconds; what it changes is
/// applied.
fn measure(kind: StrategyKind, count: usize) -> f64 {
    let weights = vec![1; count];
    let alias = common::alias(kind, &[&weights]);
    let (mut stats, models, now) = traffic(&alias);
    let availability = vec![Availability::Available; count];
    let live: Vec<CandidateLive<'_>> = models
        .iter()
        .map(|model| CandidateLive { pending: model.pending(), ..CandidateLive::default() })
        .collect();
    let facts = common::facts(600);
    let mut rng = Rng::new(1);
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            for pick in 0..PICKS {
                let now = now + Duration::from_micros(u64::from(pick));
                let view = View {
                    eligible: u64::MAX,
                    routers: 10,
                    availability: &availability,
                    live: &live,
                    lineups: stats.lineups(),
                    ..View::default()
                };
                let ranked = rank(black_box(&alias), &view, black_box(&facts), now, &mut rng);
                stats.apply(&black_box(ranked).effects, now);
            }
            begun.elapsed().as_secs_f64() * 1e9 / f64::from(PICKS)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[0]
}

/// Ten minutes of traffic: answers of every length, a failure now and then, some under way.
fn traffic(alias: &CompiledAlias) -> (AliasStats, Vec<ModelStats>, Nanos) {
    let mut stats = AliasStats::new(alias);
    let mut models = vec![ModelStats::default(); alias.candidates.len()];
    let mut rng = Rng::new(7);
    let mut now = Nanos::ZERO;
    for number in 0..6_000_u64 {
        now = now + Duration::from_millis(100);
        let at = usize::try_from(rng.below(u64::try_from(models.len()).unwrap())).unwrap();
        let began = now - Duration::from_millis(300 + 500 * u64::try_from(at).unwrap());
        let mut id = models[at].admit(began, 100 + rng.below(2_000), number % 3 > 0);
        if number % 50 == 0 {
            models[at].fail(now, &id, OutcomeClass::Fault(Fault::ServerError));
            continue;
        }
        if number > 5_950 {
            continue;
        }
        if number % 3 > 0 {
            models[at].first_token(now - Duration::from_millis(200), &mut id);
        }
        let output = 20 + rng.below(400);
        let end = Completion { output_tokens: output, events: output, waited_for_caller: false };
        models[at].complete(now, &id, end);
        let ix = CandidateIx(u8::try_from(at).unwrap());
        stats.answered(ix, &Usage { output, ..Usage::default() }, 0);
    }
    stats.refresh(now, &mut |ix, see| see(&mut models[ix.get()]));
    (stats, models, now)
}
