//! The product's own LowestLatency: the routing crate as a router uses it, with its statistics, its
//! ranking and its fleet view.

use std::{collections::HashMap, time::Duration};

use routing::{
    CandidateIx, CapabilitySet, Endpoint, ObjectId, OutcomeClass, RequestFacts, Rng, StrategyKind,
    StrategySpec,
    outcome::Fault,
    rank::{CandidateLive, Ranking, View, rank},
    snapshot::{
        CompiledAffinity, CompiledAlias, CompiledCandidate, CompiledEntry, CompiledFallback,
        CompiledGuardrails, CompiledLineup, CompiledTimeouts, Exported, Members, Visibility,
    },
    stats::{AliasStats, Completion, ModelStats, PendingId},
};

use super::{Call, Failure, Pick, Policy, Report, Setup};
use crate::nanos;

/// One router.
pub(super) struct LowestLatency {
    alias: CompiledAlias,
    stats: AliasStats,
    models: Vec<ModelStats>,
    rng: Rng,
    routers: u32,
    /// What was decided for the requests under way, and their place at the model that they are at.
    calls: HashMap<usize, (Ranking, Option<PendingId>)>,
}

impl LowestLatency {
    pub(super) fn new(setup: &Setup<'_>) -> Self {
        let alias = alias(setup.targets());
        Self {
            stats: AliasStats::new(&alias),
            alias,
            models: vec![ModelStats::default(); setup.targets()],
            rng: Rng::new(setup.seed),
            routers: u32::try_from(setup.world.routers).unwrap_or(u32::MAX),
            calls: HashMap::new(),
        }
    }

    /// Ranks as a router does when a request comes.
    fn decide(&mut self, cx: &Pick<'_>) -> Ranking {
        let now = nanos(cx.now);
        let models = &mut self.models;
        self.stats.refresh(now, &mut |ix, see| see(&mut models[ix.get()]));
        let live: smallvec::SmallVec<[CandidateLive<'_>; 8]> = models
            .iter()
            .map(|model| CandidateLive { pending: model.pending(), ..CandidateLive::default() })
            .collect();
        let view = View {
            eligible: cx.exists,
            routers: self.routers,
            availability: cx.availability,
            live: &live,
            lineups: self.stats.lineups(),
            ..View::default()
        };
        let facts = RequestFacts {
            endpoint: Endpoint::ChatCompletions,
            stream: cx.call.stream,
            prompt_tokens: whole(cx.call.prompt),
            output_cap: None,
            images: 0,
            audio_out: 0,
            needs: CapabilitySet::default(),
            reasoning: false,
            providers: [].into_iter().collect(),
            session: None,
        };
        let ranked = rank(&self.alias, &view, &facts, now, &mut self.rng);
        self.stats.apply(&ranked.effects, now);
        ranked.ranking
    }
}

impl Policy for LowestLatency {
    fn pick(&mut self, cx: &Pick<'_>) -> usize {
        if cx.call.attempt == 0 {
            let ranking = self.decide(cx);
            self.calls.insert(cx.call.number, (ranking, None));
        }
        let ranking = self.calls.get(&cx.call.number).map(|(ranking, _)| ranking.as_slice());
        let ranked = ranking.unwrap_or_default().iter().map(|ix| ix.get());
        ranked.into_iter().find(|target| cx.open.contains(target)).unwrap_or(cx.open[0])
    }

    fn sent(&mut self, now: f64, call: &Call, target: usize) {
        let id = self.models[target].admit(nanos(now), whole(call.prompt), call.stream);
        if let Some((_, pending)) = self.calls.get_mut(&call.number) {
            *pending = Some(id);
        }
    }

    fn first_token(&mut self, now: f64, call: &Call, target: usize) {
        if let Some((_, Some(id))) = self.calls.get_mut(&call.number) {
            self.models[target].first_token(nanos(now), id);
        }
    }

    fn answered(&mut self, now: f64, call: &Call, target: usize, _: f64, _: f64) {
        let Some((_, Some(id))) = self.calls.remove(&call.number) else { return };
        let output = whole(call.output);
        let end = Completion { output_tokens: output, events: output, waited_for_caller: false };
        self.models[target].complete(nanos(now), &id, end);
        let usage = routing::Usage { output, ..routing::Usage::default() };
        self.stats.answered(ix(target), &usage, 0);
    }

    fn failed(&mut self, now: f64, call: &Call, target: usize, failure: Failure) {
        let Some((_, pending)) = self.calls.get_mut(&call.number) else { return };
        let Some(id) = pending.take() else { return };
        let fault = match failure {
            Failure::RateLimited => Fault::RateLimited,
            Failure::Error => Fault::ServerError,
            Failure::Timeout => Fault::Timeout,
        };
        self.models[target].fail(nanos(now), &id, OutcomeClass::Fault(fault));
    }

    fn report(&mut self, now: f64) -> Option<Report> {
        let now = nanos(now);
        Some(Report::Sums(self.models.iter_mut().map(|model| model.export(now)).collect()))
    }

    fn told(&mut self, now: f64, age: f64, fleet: &Report) {
        if let Report::Sums(sums) = fleet {
            for (model, sums) in self.models.iter_mut().zip(sums) {
                model.fleet(nanos(now), sums, Duration::from_secs_f64(age));
            }
        }
    }
}

fn ix(target: usize) -> CandidateIx {
    CandidateIx(u8::try_from(target).unwrap_or(u8::MAX))
}

/// Whole tokens.
fn whole(tokens: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let tokens = tokens.round() as u64;
    tokens
}

/// An alias of one tier of so many targets.
fn alias(targets: usize) -> CompiledAlias {
    let name = |target: usize| format!("t{target}");
    let candidates = (0..targets).map(|target| CompiledCandidate {
        entry: name(target),
        target: ObjectId::new("simulation", name(target)),
        model: "model".into(),
    });
    let entries = (0..targets).map(|target| CompiledEntry {
        name: name(target),
        weight: 1,
        members: Members::Candidates(vec![ix(target)]),
    });
    CompiledAlias {
        id: ObjectId::new("simulation", "alias"),
        model: "alias".into(),
        visibility: Visibility::Public,
        export: Exported::Same,
        created: 0,
        candidates: candidates.collect(),
        lineup: CompiledLineup {
            ix: 0,
            strategy: StrategySpec::of(StrategyKind::LowestLatency),
            tiers: vec![entries.collect()],
        },
        categories: None,
        fallback: CompiledFallback {
            max_attempts: 6,
            retries: Some(0),
            outcomes: Fault::default_fallback(),
        },
        timeouts: CompiledTimeouts {
            request_ms: 600_000,
            first_token_ms: 30_000,
            attempt_ms: None,
            stream_idle_ms: 60_000,
        },
        affinity: CompiledAffinity::None,
        guardrails: CompiledGuardrails::default(),
    }
}
