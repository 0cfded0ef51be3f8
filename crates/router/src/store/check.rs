//! Whether a resource can be used: it is intact, nothing in it is unknown that matters, it decodes,
//! and what requests rely on without looking holds (indexes are in range, lists that are never empty
//! are not).

use std::{collections::BTreeSet, sync::Arc};

use routing::{
    ObjectId,
    snapshot::{
        CompiledAlias, CompiledKey, CompiledLineup, CompiledTarget, MAX_CANDIDATES, Members,
    },
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use wire::{FEATURES, Key, Kind, MAX_RESOURCE, Upsert};

/// The longest id: what Kubernetes allows for namespace and name, and the slash.
const MAX_ID: usize = 63 + 1 + 253;
/// How deep aliases nest: far beyond what the compiler allows.
const MAX_DEPTH: usize = 64;

/// A resource's value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Alias(Box<CompiledAlias>),
    Target(Box<CompiledTarget>),
    Key(Arc<CompiledKey>),
}

/// Why a resource cannot be used.
#[derive(Clone, Debug)]
pub(super) struct Unusable {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

fn unusable(reason: &'static str, message: impl Into<String>) -> Unusable {
    Unusable { reason, message: message.into() }
}

/// The value of an UPSERT; `None` where it carries none, or is of a kind that is ignored.
pub(super) fn value(upsert: &Upsert) -> Result<Option<Value>, Unusable> {
    let lacking = upsert.requires.iter().find(|f| !FEATURES.contains(&f.as_str()));
    if let Some(feature) = lacking {
        let message = format!("it requires the feature {feature:?}, which this router lacks");
        return Err(unusable("FeatureUnknown", message));
    }
    if upsert.id.namespace.len() + 1 + upsert.id.name.len() > MAX_ID {
        return Err(unusable("TooLarge", format!("its id is over the limit of {MAX_ID} bytes")));
    }
    let Some(raw) = &upsert.resource else { return Ok(None) };
    if raw.get().len() > MAX_RESOURCE {
        let bytes = raw.get().len();
        let message = format!("its {bytes} bytes are over the limit of {MAX_RESOURCE}");
        return Err(unusable("TooLarge", message));
    }
    if !upsert.is_intact() {
        return Err(unusable("DigestMismatch", "its bytes are not those of its digest"));
    }
    match &upsert.kind {
        Kind::Alias => {
            let alias: Box<CompiledAlias> = decode(raw.get())?;
            alias_holds(&upsert.id, &alias).map_err(|message| unusable("Invalid", message))?;
            Ok(Some(Value::Alias(alias)))
        }
        Kind::Target => {
            let target: Box<CompiledTarget> = decode(raw.get())?;
            target_holds(&upsert.id, &target).map_err(|message| unusable("Invalid", message))?;
            Ok(Some(Value::Target(target)))
        }
        Kind::Key => Ok(Some(Value::Key(decode(raw.get())?))),
        Kind::Credential | Kind::HashKey | Kind::Hashes | Kind::Other(_) => Ok(None),
    }
}

/// The value of a resource as this router wrote it down: its bytes need not be those of its digest,
/// since what this build did not know of it is gone. The error says what is wrong.
pub(crate) fn restored(key: &Key, form: &RawValue) -> Result<Value, String> {
    let wrong = |unusable: Unusable| unusable.message;
    match &key.kind {
        Kind::Alias => {
            let alias: Box<CompiledAlias> = decode(form.get()).map_err(wrong)?;
            alias_holds(&key.id, &alias)?;
            Ok(Value::Alias(alias))
        }
        Kind::Target => {
            let target: Box<CompiledTarget> = decode(form.get()).map_err(wrong)?;
            target_holds(&key.id, &target)?;
            Ok(Value::Target(target))
        }
        Kind::Key => Ok(Value::Key(decode(form.get()).map_err(wrong)?)),
        Kind::Credential | Kind::HashKey | Kind::Hashes | Kind::Other(_) => {
            Err("it is of no kind that is served".to_owned())
        }
    }
}

fn decode<T: DeserializeOwned>(json: &str) -> Result<T, Unusable> {
    serde_json::from_str(json).map_err(|error| unusable("DoesNotDecode", error.to_string()))
}

fn alias_holds(id: &ObjectId, alias: &CompiledAlias) -> Result<(), String> {
    if alias.id != *id {
        return Err(format!("it says that it is {}", alias.id));
    }
    if alias.model.is_empty() {
        return Err("its model is empty".to_owned());
    }
    if alias.fallback.max_attempts == 0 || alias.timeouts.request_ms == 0 {
        return Err("it allows no attempt or no time".to_owned());
    }
    for (candidates, lineup) in alias.lineups() {
        if candidates.len() > MAX_CANDIDATES {
            let n = candidates.len();
            return Err(format!(
                "{n} candidates of a lineup are over the limit of {MAX_CANDIDATES}"
            ));
        }
        if let Some(bad) = candidates.iter().find(|c| c.model.is_empty() || c.entry.is_empty()) {
            return Err(format!("a candidate at {} names no model or no entry", bad.target));
        }
        lineup_holds(lineup, candidates.len(), 0)?;
    }
    match &alias.categories {
        Some(choice) if choice.overrides.len() != choice.known.categories.len() => {
            Err("it has not as many lineups as categories".to_owned())
        }
        _ => Ok(()),
    }
}

fn lineup_holds(lineup: &CompiledLineup, candidates: usize, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("its lineup nests deeper than {MAX_DEPTH}"));
    }
    for entry in lineup.tiers.iter().flatten() {
        match &entry.members {
            Members::Candidates(members) if members.is_empty() => {
                return Err(format!("its entry {:?} stands for nothing", entry.name));
            }
            Members::Candidates(members) => {
                if let Some(ix) = members.iter().find(|ix| ix.get() >= candidates) {
                    return Err(format!("its entry {:?} has no candidate {}", entry.name, ix.0));
                }
            }
            Members::Alias { lineup, .. } => lineup_holds(lineup, candidates, depth + 1)?,
        }
    }
    Ok(())
}

fn target_holds(id: &ObjectId, target: &CompiledTarget) -> Result<(), String> {
    if target.id != *id {
        return Err(format!("it says that it is {}", target.id));
    }
    if target.endpoint.url.is_empty() {
        return Err("its endpoint is empty".to_owned());
    }
    let mut names = BTreeSet::new();
    for model in &target.models {
        if model.name.is_empty() || model.upstream_name.is_empty() {
            return Err("a model of it has no name".to_owned());
        }
        if !names.insert(&model.name) {
            return Err(format!("it has the model {:?} twice", model.name));
        }
    }
    Ok(())
}
