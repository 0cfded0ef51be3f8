//! Small aliases for the tests of routing.

use routing::{
    CandidateIx, CapabilitySet, Endpoint, ObjectId, RequestFacts, StrategyKind, StrategySpec,
    outcome::Fault,
    snapshot::{
        CompiledAffinity, CompiledAlias, CompiledCandidate, CompiledEntry, CompiledFallback,
        CompiledGuardrails, CompiledLineup, CompiledTimeouts, Exported, Members, Visibility,
    },
};

/// A chat request of a prompt of this length.
pub(crate) fn facts(prompt_tokens: u64) -> RequestFacts<'static> {
    RequestFacts {
        endpoint: Endpoint::ChatCompletions,
        stream: false,
        prompt_tokens,
        output_cap: None,
        images: 0,
        audio_out: 0,
        needs: CapabilitySet::default(),
        reasoning: false,
        providers: [].into_iter().collect(),
        session: None,
    }
}

/// The policy of an alias that says nothing.
pub(crate) fn policy() -> CompiledFallback {
    CompiledFallback { max_attempts: 5, retries: None, outcomes: Fault::default_fallback() }
}

/// An alias of one candidate per weight, in the tiers given.
pub(crate) fn alias(kind: StrategyKind, tiers: &[&[u32]]) -> CompiledAlias {
    let mut candidates = Vec::new();
    let tiers = tiers
        .iter()
        .map(|weights| {
            weights
                .iter()
                .map(|weight| {
                    let ix = CandidateIx(u8::try_from(candidates.len()).unwrap());
                    let name = format!("e{}", ix.0);
                    candidates.push(CompiledCandidate {
                        entry: name.clone(),
                        target: ObjectId::new("ns", format!("t{}", ix.0)),
                        model: "m".into(),
                    });
                    CompiledEntry { name, weight: *weight, members: Members::Candidates(vec![ix]) }
                })
                .collect()
        })
        .collect();
    CompiledAlias {
        id: ObjectId::new("ns", "a"),
        model: "a".into(),
        visibility: Visibility::Public,
        export: Exported::Same,
        created: 0,
        candidates,
        lineup: CompiledLineup { ix: 0, strategy: StrategySpec::of(kind), tiers },
        categories: None,
        fallback: policy(),
        timeouts: CompiledTimeouts {
            request_ms: 600_000,
            first_token_ms: 60_000,
            attempt_ms: None,
            stream_idle_ms: 60_000,
        },
        affinity: CompiledAffinity::None,
        guardrails: CompiledGuardrails::default(),
    }
}
