//! Too many candidates, and aliases that nest each other so often that they would grow without
//! bound: refused, quickly, and nothing else suffers. And what a status is made of when it is long.

#![cfg(test)]

mod support;

use api::Reason;
use compiler::{Compiled, compile};
use routing::{ObjectId, snapshot::Resource};
use serde_json::{Value, json};

fn target(name: &str, models: usize) -> Value {
    let models: Vec<Value> = (0..models).map(|m| json!({"name": format!("m{m}")})).collect();
    json!({
        "apiVersion": "moniker.dev/v1alpha1", "kind": "ProviderTarget", "metadata": {"name": name},
        "spec": {"provider": "OpenAI", "auth": {"type": "None"}, "models": models},
    })
}

fn alias(name: &str, entries: &[Value]) -> Value {
    json!({
        "apiVersion": "moniker.dev/v1alpha1", "kind": "ModelAlias", "metadata": {"name": name},
        "spec": {"strategy": {"type": "Priority"}, "targets": entries},
    })
}

fn models(range: std::ops::Range<usize>) -> Vec<Value> {
    range.map(|m| json!({"name": format!("e{m}"), "model": format!("m{m}")})).collect()
}

fn compiled(documents: &[Value]) -> Compiled {
    compile(&support::world(documents))
}

fn resource<'a>(
    compiled: &'a Compiled,
    name: &str,
) -> &'a Resource<routing::snapshot::CompiledAlias> {
    &compiled.snapshot.aliases[&ObjectId::new("shop", name)]
}

#[test]
fn sixty_four_candidates_are_fine_and_one_more_is_not() {
    let mut documents = vec![target("t", 40), target("u", 32)];
    documents.push(alias("full", &models(0..32)));
    let mut over = models(0..31);
    over.push(json!({"name": "more", "alias": "rest"}));
    documents.push(alias("rest", &models(31..34)));
    documents.push(alias("over", &over));
    let compiled = compiled(&documents);
    assert_eq!(resource(&compiled, "full").value().unwrap().candidates.len(), 64);
    let Resource::Hold { reason, message, .. } = resource(&compiled, "over") else {
        panic!("it has more than 64")
    };
    assert_eq!(reason, Reason::TooManyCandidates.name());
    assert!(message.contains("66 candidates"), "{message}");
}

#[test]
fn what_stands_twice_is_one_candidate() {
    let entries = vec![
        json!({"name": "a", "model": "m0"}),
        json!({"name": "b", "model": "m0"}),
        json!({"name": "c", "alias": "inner"}),
    ];
    let documents = [target("t", 1), alias("inner", &models(0..1)), alias("outer", &entries)];
    let compiled = compiled(&documents);
    let outer = resource(&compiled, "outer").value().unwrap();
    assert_eq!(outer.candidates.len(), 1);
    assert_eq!(outer.candidates[0].entry, "a");
    assert_eq!(outer.lineup.tiers[0].len(), 3, "each entry keeps its own weight");
}

#[test]
fn nesting_over_and_over_is_refused_and_not_built() {
    let nest = |inner: &str| -> Vec<Value> {
        (0..32).map(|i| json!({"name": format!("e{i}"), "alias": inner})).collect()
    };
    let mut documents = vec![target("t", 32), alias("n0", &models(0..32))];
    for depth in 1..=4 {
        documents.push(alias(&format!("n{depth}"), &nest(&format!("n{}", depth - 1))));
    }
    let compiled = compiled(&documents);
    // 32 x 32 places are the most; 32 times more are refused, and what is over that is left out.
    assert!(resource(&compiled, "n1").value().is_some());
    let Resource::Hold { reason, .. } = resource(&compiled, "n2") else {
        panic!("too many places")
    };
    assert_eq!(reason, Reason::TooManyCandidates.name());
    assert!(resource(&compiled, "n3").value().is_none());
}

#[test]
fn a_long_lineup_lists_what_does_not_work() {
    let mut documents = vec![target("t", 32), target("u", 32)];
    let mut entries = models(0..20);
    entries.push(json!({"name": "gone", "model": "m0", "providers": [{"name": "gone"}]}));
    documents.push(alias("long", &entries));
    let compiled = compiled(&documents);
    let status = &compiled.statuses.aliases[&ObjectId::new("shop", "long")];
    let names: Vec<&str> = status.lineups[0].targets.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["gone"]);
    assert_eq!(status.summary.as_ref().unwrap().targets, "20/21");
}

#[test]
fn only_faults_that_last_stall_at_once() {
    let documents = [
        target("t", 1),
        alias("lasting", &[json!({"name": "a", "model": "x", "providers": [{"name": "t"}]})]),
        alias("waiting", &[json!({"name": "a", "model": "x", "providers": [{"name": "u"}]})]),
    ];
    let compiled = compiled(&documents);
    let kinds = |name: &str| -> Vec<&str> {
        let status = &compiled.statuses.aliases[&ObjectId::new("shop", name)];
        status.conditions.iter().map(|c| c.type_.as_str()).collect()
    };
    assert_eq!(kinds("lasting"), ["Accepted", "ResolvedRefs", "Ready", "Stalled"]);
    assert_eq!(kinds("waiting"), ["Accepted", "ResolvedRefs", "Ready", "Reconciling"]);
}

#[test]
fn one_poisoned_alias_among_ten_thousand_is_alone() {
    let mut world = support::scale::world(10_000, 200);
    let before = compile(&world);
    assert!(before.snapshot.aliases.values().all(|alias| alias.value().is_some()));
    assert_eq!(before.findings, []);
    let id = world.aliases.keys().nth(5_003).unwrap().clone();
    let stored = world.aliases.get_mut(&id).unwrap();
    let mut object = (*stored.object).clone();
    object.spec.targets = Some(Vec::new());
    stored.object = object.into();
    let after = compile(&world);
    for (other, resource) in &before.snapshot.aliases {
        assert_eq!(*other == id, after.snapshot.aliases.get(other) != Some(resource), "{other}");
    }
    assert!(matches!(after.snapshot.aliases[&id], Resource::Hold { .. }));
}
