//! The CRDs keep the rules that api servers, kubectl, Helm and Argo CD need, and the files under
//! `crds/` are what the types say.

#![cfg(test)]

use std::path::Path;

use api::alias::{self, ModelAliasSpec, ModelAliasStatus};
use api::target::{self, ProviderTargetStatus};
use api::{common, crd, price, quota, rules, rules::Kind};
use serde_json::Value;

/// Calls `visit` with the path and the value of every node of a schema.
fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), member, visit);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            walk(&format!("{path}[]"), &schema[inner], visit);
        }
    }
}

fn every_node(mut visit: impl FnMut(&str, &Value)) {
    for kind in Kind::ALL {
        walk(kind.name(), &crd::schema(kind, false), &mut visit);
    }
}

#[test]
fn the_files_are_what_the_types_say() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crds");
    for (name, yaml) in crd::all() {
        let there = std::fs::read_to_string(directory.join(&name)).unwrap_or_default();
        assert!(there == yaml, "crds/{name} is stale: run `cargo xtask crds`");
    }
}

#[test]
fn no_field_is_a_boolean_of_yaml_1_1() {
    let words = ["on", "off", "yes", "no", "y", "n", "true", "false", "null"];
    every_node(|path, _| {
        let name = path.rsplit('.').next().unwrap().trim_end_matches("[]");
        assert!(!words.contains(&name.to_lowercase().as_str()), "{path}");
    });
}

#[test]
fn the_schema_is_structural_and_has_no_default_under_spec() {
    every_node(|path, node| {
        assert!(node.get("nullable").is_none(), "{path}");
        let format = node["format"].as_str().unwrap_or_default();
        assert!(["", "int32", "int64", "date-time"].contains(&format), "{path}: {format}");
        let list = node["x-kubernetes-list-type"].as_str();
        assert_eq!(node["type"] == "array", list.is_some(), "{path}");
        for keyword in ["anyOf", "oneOf", "allOf", "$ref", "not", "const"] {
            assert!(node.get(keyword).is_none(), "{path}: {keyword}");
        }
        assert!(!path.contains(".spec") || node.get("default").is_none(), "{path}");
        // The schema of `metadata` is the API server's own.
        assert!(node["type"].is_string(), "{path} has no type");
    });
}

#[test]
fn everything_under_spec_is_bounded_and_described() {
    every_node(|path, node| {
        let Some((_, inside)) = path.split_once(".spec.") else { return };
        let bounded = match node["type"].as_str().unwrap() {
            "string" => node.get("maxLength").or(node.get("enum")).is_some(),
            "array" => node.get("maxItems").is_some(),
            "integer" => node.get("minimum").is_some(),
            "object" => node.get("properties").is_some() || node.get("maxProperties").is_some(),
            _ => true,
        };
        assert!(bounded, "{path} has no bound: {node}");
        assert!(inside.ends_with(']') || node["description"].is_string(), "{path}: no description");
    });
}

#[test]
fn optional_fields_state_their_default() {
    // What is absent means that the thing itself is absent; the union's rule says when it is.
    let plain = [
        "spec.endpoint",
        "spec.endpoint.url",
        "spec.endpoint.service",
        "spec.endpoint.tls",
        "spec.auth.secretRef",
        "spec.auth.secretRef.key",
        "spec.auth.header",
        "spec.azureOpenAI.apiVersion",
        "spec.vertexAI",
        "spec.bedrock",
        "spec.ejection",
        "spec.export.selector",
        "spec.targets",
        "spec.categories",
        "spec.targets[].model",
        "spec.targets[].alias",
        "spec.fallback",
        "spec.timeouts",
        "spec.affinity.header",
    ];
    // Options of a strategy that are absent are each at its own default.
    let options: Vec<_> =
        api::strategy::options().map(|(_, member)| format!("spec.strategy.{member}")).collect();
    every_node(|path, node| {
        if !path.contains(".spec") {
            return;
        }
        let required: Vec<&str> =
            node["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, member) in node["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            let told = member["description"].as_str().unwrap_or_default().contains("Default: ");
            let path = path.split_once('.').unwrap().1;
            // A category's lineup has the fields of an alias's own.
            let of_lineup = ["spec.categories.default.", "spec.categories.overrides[]."];
            let below = of_lineup.iter().find_map(|lineup| path.strip_prefix(lineup));
            let path = &below.map_or_else(|| path.to_owned(), |below| format!("spec.{below}"));
            assert!(
                told || required.contains(&name.as_str())
                    || plain.contains(&path.as_str())
                    || options.iter().any(|option| option == path),
                "{path} does not state its default"
            );
        }
    });
}

#[test]
fn lists_have_the_identity_that_server_side_apply_needs() {
    let mut found = Vec::new();
    every_node(|path, node| match node["x-kubernetes-list-type"].as_str() {
        Some("atomic") | None => {}
        Some(kind) => found.push(format!("{path}: {kind} {}", node["x-kubernetes-list-map-keys"])),
    });
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "AccessKey.spec.aliases: set null",
            "AccessKey.status.conditions: map [\"type\"]",
            "ModelAlias.spec.fallback.outcomes: set null",
            "ModelAlias.spec.guardrails.requireCapabilities: set null",
            "ModelAlias.status.conditions: map [\"type\"]",
            "ProviderTarget.spec.models: map [\"name\"]",
            "ProviderTarget.spec.models[].capabilities: set null",
            "ProviderTarget.spec.quotas: map [\"name\"]",
            "ProviderTarget.spec.quotas[].models: set null",
            "ProviderTarget.status.conditions: map [\"type\"]",
        ]
    );
}

#[test]
fn a_fresh_object_is_pending() {
    for kind in Kind::ALL {
        let default = crd::schema(kind, false)["properties"]["status"]["default"].clone();
        let condition = &default["conditions"][0];
        assert_eq!(
            (&condition["type"], &condition["status"], &condition["reason"]),
            (&"Ready".into(), &"Unknown".into(), &"Pending".into())
        );
    }
}

/// What is absent must not be written as null: server-side apply would own it.
#[test]
fn nothing_is_written_as_null() {
    fn check<T: serde::Serialize>(value: &T) {
        let text = serde_json::to_string(value).unwrap();
        assert!(!text.contains("null"), "{text}");
    }
    let spec = |text: &str| serde_json::from_str::<ModelAliasSpec>(text).unwrap();
    check(&spec(r#"{"strategy": {"type": "Priority"}, "targets": [{"name": "a", "model": "m"}]}"#));
    check(&alias::Entry::default());
    check(&alias::ProviderRef::default());
    check(&alias::Fallback::default());
    check(&alias::Timeouts::default());
    check(&alias::Affinity::default());
    check(&alias::Guardrails::default());
    check(&alias::MaxPrice::default());
    check(&ModelAliasStatus::default());
    check(&alias::Summary::default());
    check(&alias::LineupStatus::default());
    check(&alias::EntryStatus::default());
    check(&alias::CandidateStatus::default());
    let spec = |text: &str| serde_json::from_str::<api::ProviderTargetSpec>(text).unwrap();
    check(&spec(r#"{"provider": "OpenAI", "auth": {"type": "None"}, "models": [{"name": "m"}]}"#));
    check(&target::Endpoint::default());
    check(&target::Service::default());
    check(&target::Tls::default());
    check(&target::AuthHeader::default());
    check(&target::Model::default());
    check(&target::Ejection::default());
    check(&price::Price::default());
    check(&price::LongContext::default());
    check(&quota::Quota::default());
    check(&quota::Probe::default());
    check(&ProviderTargetStatus::default());
    check(&api::AccessKeySpec::default());
    check(&api::AccessKeyStatus::default());
    check(&common::KeyRef::default());
    check(&common::Export::default());
    check(&common::NamespaceSelector::default());
}

#[test]
fn rules_are_told_apart_and_say_what_to_do() {
    let rules = rules::all();
    for rule in &rules {
        assert_eq!(rules.iter().filter(|other| other.id == rule.id).count(), 1, "{}", rule.id);
        assert!(rule.message.len() > 20, "{}", rule.id);
        let crd = crd::schema(rule.kind, false).to_string();
        let message = serde_json::to_string(&rule.message).unwrap();
        assert!(crd.contains(&message), "{} is not in the schema: wrong path", rule.id);
    }
}
