//! Reads `tests/corpus/cel`: for every CEL rule, documents that it accepts and documents that it
//! refuses. Included by the tests that run them offline and by those that ask real API servers.

use std::collections::BTreeMap;
use std::path::Path;

use api::rules::{self, Kind, Rule};
use routing::{AuthKind, ProviderKind, StrategyKind};
use serde_json::{Value, json};

/// A document, or a stored one and what is to replace it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The object that is there, under a rule on changes.
    pub(crate) old: Option<Value>,
    /// The object that is written.
    pub(crate) new: Value,
}

/// A rule with its documents.
#[derive(Debug)]
pub(crate) struct Documents {
    pub(crate) rule: Rule,
    pub(crate) valid: Vec<Case>,
    pub(crate) invalid: Vec<Case>,
}

/// All rules with their documents; fails where a rule has none, or documents have no rule.
pub(crate) fn read() -> Vec<Documents> {
    let bases = file("base.yaml");
    let mut found = BTreeMap::new();
    for (kind, name) in [
        (Kind::ProviderTarget, "provider-target.yaml"),
        (Kind::ModelAlias, "model-alias.yaml"),
        (Kind::AccessKey, "access-key.yaml"),
    ] {
        for item in file(name).as_array().unwrap() {
            let cases = |member: &str| -> Vec<Case> {
                let cases = item[member].as_array().unwrap_or_else(|| panic!("{item}: {member}"));
                assert!(!cases.is_empty(), "{}: {member} is empty", item["rule"]);
                cases.iter().map(|patch| case(&bases[kind.name()], patch)).collect()
            };
            let id = item["rule"].as_str().unwrap().to_owned();
            let before = found.insert(id, (kind, cases("valid"), cases("invalid")));
            assert!(before.is_none(), "{} stands twice in {name}", item["rule"]);
        }
    }
    let written = found.clone();
    let documents = rules::all().into_iter().map(|rule| {
        let base = &bases[rule.kind.name()];
        let documents = |id: &str| {
            let of_table = || of_strategy(&rule, id, base).or_else(|| of_auth(&rule, base));
            written.get(id).cloned().or_else(of_table)
        };
        let own = documents(&rule.id).or_else(|| moved(&rule.id, documents));
        found.remove(&rule.id);
        let Some((kind, valid, invalid)) = own else {
            panic!("tests/corpus/cel has no documents for the rule {}", rule.id);
        };
        assert_eq!(kind, rule.kind, "{} stands in the other kind's file", rule.id);
        Documents { rule, valid, invalid }
    });
    let documents = documents.collect();
    assert!(found.is_empty(), "there is no such rule: {:?}", found.keys());
    documents
}

/// Documents of one rule: its kind, what it accepts, what it refuses.
type Cases = (Kind, Vec<Case>, Vec<Case>);

/// The documents of a rule that says which strategy options belong to: they follow from the table
/// of strategies as the rule does. Category has no targets, and so rules of its own.
fn of_strategy(rule: &Rule, id: &str, base: &Value) -> Option<Cases> {
    let options = id.strip_prefix("strategy-")?;
    let of = |kind: StrategyKind| {
        let patch = json!({"spec": {"strategy": {"type": kind.name(), options: {}}}});
        (rule.rule.ends_with(&format!("'{kind}'")), case(base, &patch))
    };
    let kinds = StrategyKind::ALL.iter().copied().filter(|kind| *kind != StrategyKind::Category);
    let (valid, invalid): (Vec<_>, Vec<_>) = kinds.map(of).partition(|(own, _)| *own);
    let cases = |list: Vec<(bool, Case)>| list.into_iter().map(|(_, case)| case).collect();
    Some((rule.kind, cases(valid), cases(invalid)))
}

/// The documents of a rule that says how a provider is authenticated: they follow from the catalog
/// as the rule does.
fn of_auth(rule: &Rule, base: &Value) -> Option<(Kind, Vec<Case>, Vec<Case>)> {
    let name = rule.id.strip_prefix("auth-of-")?;
    let provider = ProviderKind::ALL.iter().find(|kind| kind.name() == name)?;
    let of = |kind: AuthKind| {
        let key = if kind.needs_secret_key() { json!("api-key") } else { Value::Null };
        let secret =
            if kind.needs_secret() { json!({"name": "key", "key": key}) } else { Value::Null };
        let header = match kind {
            AuthKind::Header => json!({"name": "x-key"}),
            _ => Value::Null,
        };
        let auth = json!({"type": kind.name(), "secretRef": secret, "header": header});
        let mut patch = json!({"spec": {"provider": provider.name(), "auth": auth}});
        if provider.needs_options() {
            let options = provider.options().unwrap();
            patch["spec"][options] = match provider {
                ProviderKind::Bedrock => json!({"region": "eu-west-1"}),
                _ => json!({"project": "p", "location": "eu"}),
            };
        }
        (provider.auth_kinds().contains(&kind), case(base, &patch))
    };
    let (valid, invalid): (Vec<_>, Vec<_>) =
        AuthKind::ALL.iter().copied().map(of).partition(|(fits, _)| *fits);
    let cases = |list: Vec<(bool, Case)>| list.into_iter().map(|(_, case)| case).collect();
    Some((rule.kind, cases(valid), cases(invalid)))
}

/// The documents of a rule of lineups where it stands for a category's: those of an alias's own
/// lineup, moved there.
fn moved(id: &str, documents: impl Fn(&str) -> Option<Cases>) -> Option<Cases> {
    let at = ["default", "override"].into_iter().find(|at| id.starts_with(&format!("{at}-")))?;
    let (kind, valid, invalid) = documents(id.strip_prefix(at)?.strip_prefix('-')?)?;
    let moved = |case: Case| {
        let mut new = case.new;
        let spec = new["spec"].as_object_mut().unwrap();
        let mut lineup = json!({
            "strategy": spec.remove("strategy").unwrap(),
            "targets": spec.remove("targets").unwrap(),
        });
        let mut categories = json!({"default": lineup});
        if at == "override" {
            lineup["name"] = json!("coding");
            let default =
                json!({"strategy": {"type": "Priority"}, "targets": [{"name": "a", "model": "m"}]});
            categories = json!({"default": default, "overrides": [lineup]});
        }
        spec.insert("strategy".to_owned(), json!({"type": "Category"}));
        spec.insert("categories".to_owned(), categories);
        Case { old: None, new }
    };
    let all = |cases: Vec<Case>| cases.into_iter().map(moved).collect();
    Some((kind, all(valid), all(invalid)))
}

fn case(base: &Value, patch: &Value) -> Case {
    let apply = |patch: &Value| {
        let mut object = base.clone();
        merge(&mut object, patch);
        object
    };
    match patch.get("new") {
        Some(new) => Case { old: Some(apply(&patch["old"])), new: apply(new) },
        None => Case { old: None, new: apply(patch) },
    }
}

/// RFC 7396.
fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(serde_json::Map::new());
    }
    for (name, patch) in members {
        if patch.is_null() {
            object.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut object[name.as_str()], patch);
        }
    }
}

fn file(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let path = path.map(|root| root.join("tests/corpus/cel").join(name)).find(|path| path.exists());
    let text = std::fs::read_to_string(path.expect("the corpus is in this project")).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}
