//! HighestThroughput: by room for requests, in a small world of targets that answer so many a
//! second, and by speed of writing.

#![cfg(test)]

mod common;

use std::time::Duration;

use common::{alias, facts};
use routing::{
    CandidateIx, Nanos, OutcomeClass, Rng, StrategyKind, Usage,
    outcome::Fault,
    rank::{CandidateLive, Score, View, rank},
    snapshot::CompiledAlias,
    stats::{AliasStats, Completion, ModelStats},
    strategy::highest_throughput::{Metric, Params},
};

/// A target that answers at most so many requests a second, each in this time, and refuses more.
#[derive(Clone, Copy)]
struct Upstream {
    per_second: f64,
    takes: Duration,
    fails: bool,
}

struct Running {
    ends: Nanos,
    at: usize,
    id: routing::stats::PendingId,
    refused: bool,
}

struct World {
    alias: CompiledAlias,
    stats: AliasStats,
    models: Vec<ModelStats>,
    upstreams: Vec<Upstream>,
    tokens: Vec<f64>,
    running: Vec<Running>,
    now: Nanos,
    rng: Rng,
}

const TICK: Duration = Duration::from_millis(10);

impl World {
    fn new(upstreams: Vec<Upstream>) -> Self {
        let weights = vec![1; upstreams.len()];
        let alias = alias(StrategyKind::HighestThroughput, &[&weights]);
        Self {
            stats: AliasStats::new(&alias),
            alias,
            models: upstreams.iter().map(|_| ModelStats::default()).collect(),
            tokens: upstreams.iter().map(|u| u.per_second).collect(),
            upstreams,
            running: Vec::new(),
            now: Nanos(1_000_000_000),
            rng: Rng::new(9),
        }
    }

    /// So many seconds of so many requests a second; how many of them each target answered, and
    /// how many were refused or failed.
    fn run(&mut self, seconds: u32, rate: f64) -> (Vec<f64>, f64) {
        let mut answered = vec![0.0; self.upstreams.len()];
        let mut lost = 0.0;
        for _ in 0..seconds * 100 {
            self.now = self.now + TICK;
            for (tokens, upstream) in self.tokens.iter_mut().zip(&self.upstreams) {
                *tokens = (*tokens + upstream.per_second / 100.0).min(upstream.per_second.max(1.0));
            }
            let (ended, running): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.running).into_iter().partition(|r| r.ends <= self.now);
            self.running = running;
            for r in ended {
                if r.refused {
                    let fault = if self.upstreams[r.at].fails {
                        Fault::ServerError
                    } else {
                        Fault::RateLimited
                    };
                    self.models[r.at].fail(self.now, &r.id, OutcomeClass::Fault(fault));
                    lost += 1.0;
                } else {
                    let end = Completion { output_tokens: 200, ..Completion::default() };
                    self.models[r.at].complete(self.now, &r.id, end);
                    let usage = Usage { input: 400, output: 200, ..Usage::default() };
                    self.stats.answered(CandidateIx(u8::try_from(r.at).unwrap()), &usage, 1_600);
                    answered[r.at] += 1.0;
                }
            }
            if self.rng.unit() < rate / 100.0 {
                self.ask();
            }
        }
        (answered, lost)
    }

    fn ask(&mut self) {
        let models = &mut self.models;
        self.stats.refresh(self.now, &mut |ix, see| see(&mut models[ix.get()]));
        let live: Vec<CandidateLive<'_>> = self
            .models
            .iter()
            .map(|m| CandidateLive { pending: m.pending(), ..CandidateLive::default() })
            .collect();
        let view = View {
            eligible: u64::MAX,
            live: &live,
            lineups: self.stats.lineups(),
            routers: 1,
            ..View::default()
        };
        let ranked = rank(&self.alias, &view, &facts(400), self.now, &mut self.rng);
        self.stats.apply(&ranked.effects, self.now);
        let at = ranked.ranking[0].get();
        let upstream = self.upstreams[at];
        let refused = upstream.fails || self.tokens[at] < 1.0;
        let takes = if refused { TICK } else { upstream.takes };
        if !refused {
            self.tokens[at] -= 1.0;
        }
        let id = self.models[at].admit(self.now, 400, false);
        self.running.push(Running { ends: self.now + takes, at, id, refused });
    }
}

fn upstream(per_second: f64) -> Upstream {
    Upstream { per_second, takes: Duration::from_secs(1), fails: false }
}

#[test]
fn more_is_sent_where_there_is_more_room() {
    let mut world = World::new(vec![upstream(5.0), upstream(10.0), upstream(25.0)]);
    // Until the limits have shown; together they answer 40 a second.
    world.run(120, 36.0);
    let (answered, lost) = world.run(120, 30.0);
    let all: f64 = answered.iter().sum();
    assert!(lost < 0.08 * all, "{lost} of {all} were refused");
    assert!(answered[2] > 1.5 * answered[1] && answered[1] > 1.4 * answered[0], "{answered:?}");
}

#[test]
fn the_busiest_does_not_stay_so_for_that_alone() {
    let mut world = World::new(vec![upstream(20.0), upstream(20.0)]);
    // One alone gets everything for a while: the other cannot be seen.
    for n in 0..300 {
        let now = world.now + Duration::from_millis(100 * n);
        let id = world.models[0].admit(now, 400, false);
        let end = Completion { output_tokens: 200, ..Completion::default() };
        world.models[0].complete(now + Duration::from_millis(50), &id, end);
    }
    world.now = world.now + Duration::from_secs(30);
    world.run(120, 15.0);
    let (answered, _) = world.run(120, 15.0);
    assert!(answered[1] > 0.3 * answered[0], "{answered:?}");
    assert!(answered[0] > 0.3 * answered[1], "{answered:?}");
}

#[test]
fn what_only_fails_fast_attracts_nothing() {
    let mut world = World::new(vec![upstream(20.0), Upstream { fails: true, ..upstream(20.0) }]);
    world.run(60, 10.0);
    let (answered, lost) = world.run(60, 10.0);
    assert!(lost < 0.05 * answered[0], "{lost} of {answered:?}");
}

#[test]
fn a_new_target_gets_its_part() {
    let mut world = World::new(vec![upstream(10.0), upstream(10.0), upstream(10.0)]);
    let (tier, third) = {
        let tier = &mut world.alias.lineup.tiers[0];
        let third = tier.pop().unwrap();
        (tier.clone(), third)
    };
    world.run(120, 15.0);
    world.alias.lineup.tiers[0] = [tier, vec![third]].concat();
    world.run(30, 15.0);
    let (answered, _) = world.run(90, 15.0);
    let all: f64 = answered.iter().sum();
    assert!((0.15..0.6).contains(&(answered[2] / all)), "{answered:?}");
}

#[test]
fn sessions_stay_and_are_shared_out_by_capacity() {
    let mut world = World::new(vec![upstream(5.0), upstream(40.0)]);
    world.run(240, 40.0);
    let view = View { eligible: 3, lineups: world.stats.lineups(), ..View::default() };
    let first = |session, seed| {
        let mut facts = facts(400);
        facts.session = Some(session);
        rank(&world.alias, &view, &facts, world.now, &mut Rng::new(seed)).ranking[0]
    };
    let large = (0..1_000).filter(|s| first(*s, 1) == CandidateIx(1)).count();
    assert!((700..970).contains(&large), "{large} of 1000 at eight times the capacity");
    assert!((0..1_000).all(|s| first(s, 1) == first(s, 2)), "no draw decides");
}

#[test]
fn by_tokens_the_fastest_writer_gets_most() {
    let mut alias = alias(StrategyKind::HighestThroughput, &[&[1, 1]]);
    alias.lineup.strategy.highest_throughput =
        Some(Params { metric: Some(Metric::TokensPerSecond), exploration_percent: Some(0) });
    let mut stats = AliasStats::new(&alias);
    let mut models = [(); 2].map(|()| ModelStats::default());
    let mut now = Nanos(1_000_000_000);
    for _ in 0..30 {
        // The first starts late and writes 100 tokens a second, the second writes 25 at once.
        for (model, wait, writes) in [(0, 2_000, 2_000), (1, 100, 8_000)] {
            let mut id = models[model].admit(now, 400, true);
            let started = now + Duration::from_millis(wait);
            models[model].first_token(started, &mut id);
            let end = Completion { output_tokens: 201, events: 200, ..Completion::default() };
            models[model].complete(started + Duration::from_millis(writes), &id, end);
        }
        now = now + Duration::from_secs(10);
    }
    stats.refresh(now, &mut |ix, see| see(&mut models[ix.get()]));
    let view = View { eligible: 3, lineups: stats.lineups(), ..View::default() };
    let mut rng = Rng::new(4);
    let mut first = [0; 2];
    for _ in 0..1_000 {
        let ranked = rank(&alias, &view, &facts(400), now, &mut rng);
        first[ranked.ranking[0].get()] += 1;
        let Some(Score::TokensPerSecond(speed)) = ranked.scores[0] else { panic!("{ranked:?}") };
        assert!((60.0..101.0).contains(&speed), "{speed}");
    }
    assert!(first[0] > 990, "{first:?}");
}
