//! The charts: what they refuse, what they render to, and what the API server says of it.

mod accepted;
mod argocd;
mod features;
mod installed;
mod kustomize;
mod rendered;

use serde::Deserialize as _;
use serde_json::Value;
use testkit::helm::{self, Version};

/// The objects that the chart renders to, hooks included.
async fn objects(namespace: &str, release: &str, values: &str) -> Vec<Value> {
    let text = helm::render(Version::Four, "moniker", namespace, release, values).await;
    parsed(&text.unwrap_or_else(|error| panic!("{values}\n{error}")))
}

/// YAML documents without the empty ones.
fn parsed(text: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(text);
    let documents = documents.map(|one| Value::deserialize(one).unwrap());
    documents.filter(|value| !value.is_null()).collect()
}

/// The one object of this kind and name.
fn find<'a>(all: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is = |one: &&Value| one["kind"] == kind && one["metadata"]["name"] == name;
    let mut found = all.iter().filter(is);
    let first = found.next().unwrap_or_else(|| panic!("no {kind} {name}"));
    assert!(found.next().is_none(), "{kind} {name} is there twice");
    first
}
