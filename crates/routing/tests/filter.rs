//! The filter's verdicts: every reason, in the order in which they are told.

#![cfg(test)]

mod common;

use common::facts;

use routing::{
    AuthKind, CandidateIx, Capability, CapabilitySet, ObjectId, Price, ProviderKind, RequestFacts,
    StrategyKind,
    filter::{self, FilterReason, Filterable, Funds},
    price::PerMillion,
    snapshot::{
        CompiledAlias, CompiledAuth, CompiledEjection, CompiledEndpoint, CompiledGuardrails,
        CompiledModel, CompiledOptions, CompiledTarget,
    },
};

fn per_million(text: &str) -> PerMillion {
    PerMillion::parse(text).unwrap()
}

fn target(price: Option<Price>) -> CompiledTarget {
    CompiledTarget {
        id: ObjectId::new("ns", "t0"),
        created: 7,
        provider: ProviderKind::OpenAICompatible,
        options: CompiledOptions::None,
        endpoint: CompiledEndpoint {
            url: "http://t0".into(),
            service: false,
            ca_bundle: None,
            server_name: None,
        },
        auth: CompiledAuth { kind: AuthKind::None, header: None, identity: false },
        headers: vec![],
        models: vec![CompiledModel {
            name: "m".into(),
            upstream_name: "m".into(),
            family: None,
            context_window: None,
            max_output_tokens: None,
            capabilities: ProviderKind::OpenAICompatible.unstated_capabilities(),
            price,
        }],
        ejection: CompiledEjection::default(),
        cordoned: false,
        quotas: vec![],
        max_in_flight: None,
        probe: None,
    }
}

fn guarded(guardrails: CompiledGuardrails) -> CompiledAlias {
    CompiledAlias { guardrails, ..common::alias(StrategyKind::Priority, &[&[1]]) }
}

fn reason(
    alias: &CompiledAlias,
    target: &CompiledTarget,
    facts: &RequestFacts<'_>,
) -> Option<FilterReason> {
    let filterable = Filterable {
        target: Some((target, &target.models[0])),
        credential: true,
        expressible: true,
        funds: Funds::Unlimited,
    };
    filter::reason(alias, facts, CandidateIx(0), filterable)
}

#[test]
fn under_a_budget_a_price_must_be_known_and_what_is_left_be_enough() {
    let (alias, facts) = (guarded(CompiledGuardrails::default()), facts(1));
    let (priced, unknown) = (target(Some(Price::default())), target(None));
    let told = |target: &CompiledTarget, funds| {
        let target = Some((target, &target.models[0]));
        let filterable = Filterable { target, credential: true, expressible: true, funds };
        filter::reason(&alias, &facts, CandidateIx(0), filterable)
    };
    for target in [&priced, &unknown] {
        assert_eq!(told(target, Funds::Unlimited), None);
    }
    assert_eq!(told(&priced, Funds::Some), None);
    assert_eq!(told(&priced, Funds::None), Some(FilterReason::OverBudget));
    for funds in [Funds::Some, Funds::None] {
        assert_eq!(told(&unknown, funds), Some(FilterReason::Unpriced));
    }
}

#[test]
fn a_price_above_the_ceiling_is_left_out_and_an_unknown_one_counts_as_above() {
    let priced = |input: &str, output: &str| {
        target(Some(Price {
            input: per_million(input),
            output: per_million(output),
            ..Price::default()
        }))
    };
    let alias = guarded(CompiledGuardrails {
        max_price_input: Some(per_million("5")),
        max_price_output: Some(per_million("20")),
        ..CompiledGuardrails::default()
    });
    assert_eq!(reason(&alias, &priced("5.00", "20.0"), &facts(1)), None, "the ceiling itself");
    assert_eq!(reason(&alias, &priced("0", "0"), &facts(1)), None, "0 is a price");
    let above = Some(FilterReason::AbovePriceCeiling);
    assert_eq!(reason(&alias, &priced("5.000000000001", "1"), &facts(1)), above);
    assert_eq!(reason(&alias, &priced("1", "20.01"), &facts(1)), above);
    assert_eq!(reason(&alias, &target(None), &facts(1)), Some(FilterReason::PriceUnknown));
    let unguarded = guarded(CompiledGuardrails::default());
    assert_eq!(reason(&unguarded, &target(None), &facts(1)), None);
}

#[test]
fn a_long_prompt_is_held_against_the_price_of_its_tier() {
    let tiered = target(Some(Price {
        input: per_million("3"),
        output: per_million("15"),
        above: Some(routing::price::LongContext {
            input_tokens: 200_000,
            input: per_million("6"),
            ..Default::default()
        }),
        ..Price::default()
    }));
    let alias = guarded(CompiledGuardrails {
        max_price_input: Some(per_million("5")),
        ..CompiledGuardrails::default()
    });
    assert_eq!(reason(&alias, &tiered, &facts(200_000)), None);
    assert_eq!(reason(&alias, &tiered, &facts(200_001)), Some(FilterReason::AbovePriceCeiling));
}

#[test]
fn a_guardrail_requires_what_no_request_asked_for() {
    let require = |capability: Capability| {
        guarded(CompiledGuardrails {
            require_capabilities: [capability].into_iter().collect(),
            ..CompiledGuardrails::default()
        })
    };
    assert_eq!(reason(&require(Capability::Tools), &target(None), &facts(1)), None);
    assert_eq!(
        reason(&require(Capability::Vision), &target(None), &facts(1)),
        Some(FilterReason::Guardrail(Capability::Vision))
    );
}

#[test]
fn the_first_reason_is_told_in_the_pipelines_order() {
    let alias = guarded(CompiledGuardrails {
        max_price_input: Some(per_million("5")),
        require_capabilities: [Capability::Vision].into_iter().collect(),
        ..CompiledGuardrails::default()
    });
    let mut target = target(None);
    target.models[0].context_window = Some(8);
    target.cordoned = true;
    let mut facts = facts(1_000);
    facts.needs = [Capability::JsonSchema].into_iter().collect();
    facts.providers.push("other");
    let told = |target: &CompiledTarget, facts: &RequestFacts<'_>, credential| {
        let filterable = Filterable {
            target: Some((target, &target.models[0])),
            credential,
            expressible: true,
            funds: Funds::Unlimited,
        };
        filter::reason(&alias, facts, CandidateIx(0), filterable)
    };
    assert_eq!(told(&target, &facts, false), Some(FilterReason::Cordoned));
    target.cordoned = false;
    assert_eq!(told(&target, &facts, false), Some(FilterReason::CredentialMissing));
    let missing = FilterReason::Capability(Capability::JsonSchema);
    assert_eq!(told(&target, &facts, true), Some(missing));
    facts.needs = CapabilitySet::default();
    let required = FilterReason::Guardrail(Capability::Vision);
    assert_eq!(told(&target, &facts, true), Some(required));
    target.models[0].capabilities =
        ProviderKind::OpenAICompatible.unstated_capabilities().with(Capability::Vision);
    assert_eq!(told(&target, &facts, true), Some(FilterReason::PriceUnknown));
    target.models[0].price = Some(Price::default());
    assert_eq!(told(&target, &facts, true), Some(FilterReason::NotAsked));
    facts.providers.clear();
    assert_eq!(told(&target, &facts, true), Some(FilterReason::ContextWindow));
    target.models[0].context_window = None;
    assert_eq!(told(&target, &facts, true), None);
}
