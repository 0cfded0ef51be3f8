//! What holds of every world: the order of objects changes nothing, whatever stands in an object
//! panics nowhere and touches no other, no secret comes out, and what routers are told is sound.

#![cfg(test)]

mod support;

use api::{Reason, condition::MAX_MESSAGE};
use compiler::{Compiled, CredentialState, compile};
use proptest::{prelude::*, sample::Index};
use routing::snapshot::{CompiledAlias, CompiledLineup, MAX_CANDIDATES, Members, Resource};
use serde_json::{Value, json};

/// All golden files as one list of documents.
fn goldens() -> Vec<Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let texts = paths.iter().map(|path| std::fs::read_to_string(path).unwrap());
    // Each file in namespaces of its own, so that none hides another.
    let files = texts.enumerate().flat_map(|(i, text)| {
        let mut documents = support::documents(&text);
        for document in &mut documents {
            let namespace = document["metadata"]["namespace"].as_str().unwrap_or("shop");
            let namespace = format!("{namespace}-{i}");
            if document["kind"] != "Settings" && document["kind"] != "Namespace" {
                document["metadata"]["namespace"] = json!(namespace);
            }
        }
        documents
    });
    files.collect()
}

/// A namespace that nobody else has to do with.
fn bystander() -> Vec<Value> {
    support::documents(
        "
{kind: ProviderTarget, apiVersion: moniker.dev/v1alpha1, metadata: {name: t, namespace: quiet}, spec: {provider: OpenAI, auth: {type: None}, models: [{name: m}]}}
---
{kind: ModelAlias, apiVersion: moniker.dev/v1alpha1, metadata: {name: a, namespace: quiet}, spec: {strategy: {type: Priority}, targets: [{name: a, model: m}]}}
",
    )
}

/// Values that make no sense in most places.
fn absurd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!("")),
        Just(json!([])),
        Just(json!({})),
        Just(json!(-1)),
        Just(json!(0)),
        Just(json!(i64::MAX)),
        Just(json!(1e300)),
        Just(json!(true)),
        Just(json!("a/b/c")),
        Just(json!("99999h99999h99999h99999h")),
        Just(json!("0s")),
        Just(json!("Bearer \u{0}\r\n")),
        Just(json!("\u{202e}\u{1F600}\u{0301}")),
        Just(json!("x".repeat(5_000))),
        Just(json!(vec![json!({"name": "x", "model": "m"}); 40])),
        Just(json!([{"name": "x"}, {"name": "x"}])),
        "[ -~]{0,20}".prop_map(|text| json!(text)),
        "\\PC{0,20}".prop_map(|text| json!(text)),
        any::<i32>().prop_map(|number| json!(number)),
    ]
}

/// Every place within a value.
fn places(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                places(field, &format!("{at}/{name}"), out);
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{i}"), out);
            }
        }
        _ => {}
    }
}

fn break_one(documents: &mut [Value], which: Index, place: Index, value: Value) {
    let document = which.get_mut(documents);
    let mut all = Vec::new();
    places(&document["spec"], "/spec", &mut all);
    if let Some(field) = document.pointer_mut(place.get(&all).as_str()) {
        *field = value;
    }
}

fn sound(compiled: &Compiled) {
    for finding in &compiled.findings {
        assert!(finding.message.len() <= MAX_MESSAGE, "{finding:?}");
        assert!(!finding.message.is_empty(), "{finding:?}");
    }
    let aliases = compiled.statuses.aliases.values().flat_map(|status| &status.conditions);
    let targets = compiled.statuses.targets.values().flat_map(|status| &status.conditions);
    for condition in aliases.chain(targets) {
        assert!(condition.message.len() <= MAX_MESSAGE, "{condition:?}");
        assert_ne!(condition.reason, Reason::Cordoned.name(), "of a candidate alone");
    }
    for alias in compiled.snapshot.aliases.values().filter_map(Resource::value) {
        assert!(alias.candidates.len() <= MAX_CANDIDATES, "{alias:?}");
        assert_eq!(alias.candidates.is_empty(), alias.lineup.tiers.is_empty(), "{alias:?}");
        for candidate in &alias.candidates {
            assert!(compiled.snapshot.targets.contains_key(&candidate.target), "{alias:?}");
        }
        lineup_is_sound(alias, &alias.lineup);
    }
    assert_eq!(compiled.snapshot.revision, compiled.snapshot.content_revision());
    assert!(!support::whole(compiled).to_string().contains("CANARY"), "a secret came out");
}

fn lineup_is_sound(alias: &CompiledAlias, lineup: &CompiledLineup) {
    for tier in &lineup.tiers {
        assert!(!tier.is_empty(), "{alias:?}");
        for entry in tier {
            match &entry.members {
                Members::Candidates(list) => {
                    assert!(!list.is_empty(), "{alias:?}");
                    assert!(list.iter().all(|ix| ix.get() < alias.candidates.len()), "{alias:?}");
                }
                Members::Alias { lineup, .. } => {
                    assert!(!lineup.tiers.is_empty(), "{alias:?}");
                    lineup_is_sound(alias, lineup);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn the_order_of_objects_changes_nothing(documents in Just(goldens()).prop_shuffle()) {
        // Of two settings the last one counts, so they keep their place.
        let (settings, mut others): (Vec<_>, Vec<_>) =
            documents.into_iter().partition(|document| document["kind"] == "Settings");
        let mut settings = settings;
        settings.sort_by_key(ToString::to_string);
        let mut all = settings.clone();
        all.append(&mut others);
        let shuffled = support::whole(&compile(&support::world(&all)));
        all[settings.len()..].sort_by_key(ToString::to_string);
        prop_assert_eq!(shuffled, support::whole(&compile(&support::world(&all))));
    }

    #[test]
    fn whatever_stands_in_an_object_touches_no_other_project(
        breaks in prop::collection::vec((any::<Index>(), any::<Index>(), absurd()), 1..6)
    ) {
        let alone = compile(&support::world(&bystander()));
        let mut documents = goldens();
        documents.retain(|d| ["ModelAlias", "ProviderTarget"].contains(&d["kind"].as_str().unwrap()));
        for (which, place, value) in breaks {
            break_one(&mut documents, which, place, value);
        }
        documents.extend(bystander());
        let compiled = compile(&support::world(&documents));
        sound(&compiled);
        for (id, resource) in &alone.snapshot.aliases {
            prop_assert_eq!(Some(resource), compiled.snapshot.aliases.get(id));
        }
        for (id, status) in &alone.statuses.aliases {
            prop_assert_eq!(Some(status), compiled.statuses.aliases.get(id));
        }
        // Everything has a status, what does not decode too.
        let statuses = compiled.statuses.aliases.len() + compiled.statuses.targets.len();
        prop_assert_eq!(statuses, documents.len());
    }
}

#[test]
fn the_golden_files_show_every_reason() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots");
    let texts = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let all: String = texts.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    // Pending is what the API server fills in before anything was compiled; what a provider says
    // of a credential, and what is served, comes from the routers.
    let elsewhere = [
        Reason::Pending,
        Reason::CredentialRejected,
        Reason::OutOfCredit,
        Reason::Programmed,
        Reason::NoRouters,
        Reason::RouterRejected,
        Reason::RoutersDisconnected,
    ];
    for reason in Reason::ALL.iter().filter(|reason| !elsewhere.contains(reason)) {
        assert!(all.contains(&format!(" {reason}")), "no golden file shows {reason}");
    }
}

#[test]
fn the_goldens_are_sound() {
    sound(&compile(&support::world(&goldens())));
}

#[test]
fn nobody_draws_an_alias_of_others_into_a_circle() {
    // shop uses what platform exports; platform names shop's alias, which is not exported.
    let compiled = compile(&support::yaml(
        "
{kind: Settings, exportingNamespaces: [platform]}
---
{kind: ProviderTarget, apiVersion: moniker.dev/v1alpha1, metadata: {name: t, namespace: platform}, spec: {provider: OpenAI, auth: {type: None}, models: [{name: m}]}}
---
{kind: ModelAlias, apiVersion: moniker.dev/v1alpha1, metadata: {name: a, namespace: platform}, spec: {export: {from: All}, strategy: {type: Priority}, targets: [{name: m, model: m}, {name: back, alias: b, namespace: shop}]}}
---
{kind: ModelAlias, apiVersion: moniker.dev/v1alpha1, metadata: {name: b, namespace: shop}, spec: {strategy: {type: Priority}, targets: [{name: a, alias: a, namespace: platform}]}}
",
    ));
    let found = compiled.findings.iter().filter(|f| &*f.id.namespace == "platform");
    let found: Vec<_> = found.map(|f| (f.reason, f.message.as_str())).collect();
    let message =
        "ModelAlias shop/b is not exported to namespace platform; its spec.export must admit it";
    assert_eq!(found, [(Reason::RefNotPermitted, message)]);
    for (id, alias) in &compiled.snapshot.aliases {
        assert_eq!(alias.value().map(|alias| alias.candidates.len()), Some(1), "{id}");
    }
}

#[test]
fn a_key_for_some_hosts_goes_to_no_form_that_routers_kept() {
    let world = |tls: &str, allowed: &str| {
        support::yaml(&format!(
            "
{{kind: Secret, metadata: {{name: k, annotations: {{moniker.dev/allowed-hosts: {allowed}}}}}, stringData: {{k: CANARY}}}}
---
{{kind: ConfigMap, metadata: {{name: ca}}, data: {{ca.crt: none}}}}
---
{{kind: ProviderTarget, apiVersion: moniker.dev/v1alpha1, metadata: {{name: t}}, spec: {{provider: OpenAI, endpoint: {{url: 'https://a.example'{tls}}}, auth: {{type: Bearer, secretRef: {{name: k, key: k}}}}, models: [{{name: m}}]}}}}
"
        ))
    };
    let credential = |tls, allowed| {
        let compiled = compile(&world(tls, allowed));
        compiled.credentials.into_values().next()
    };
    let held = ", tls: {caBundleRef: {name: ca, key: ca.crt}}";
    assert!(matches!(credential("", "a.example"), Some(CredentialState::Present { .. })));
    assert_eq!(credential(held, "a.example"), None, "what routers have stays, nothing new comes");
    assert_eq!(credential(held, "b.example"), Some(CredentialState::Absent));
}
