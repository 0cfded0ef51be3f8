//! The status of a ModelAlias.

use std::collections::BTreeSet;

use api::{
    ConditionType, ModelAlias, ModelAliasStatus, Reason,
    alias::{CandidateStatus, EntryStatus, LineupStatus, Summary},
    condition::Class,
};
use routing::{Capability, ObjectId};

use super::{Conditions, described, prices};
use crate::{
    finding::Finding,
    resolve::{EntryState, Lineup, Resolved, ResolvedAlias},
    text,
    world::{Kind, Stored},
};

/// Beyond so many candidates only those that are not usable are listed.
const MAX_LISTED: usize = 32;

pub(super) fn status(
    resolved: &Resolved<'_>,
    id: &ObjectId,
    stored: &Stored<ModelAlias>,
    alias: &ResolvedAlias<'_>,
    findings: &mut Vec<Finding>,
) -> ModelAliasStatus {
    let mut found = |condition, reason, message: &str, path: Option<&str>| {
        findings.push(Finding {
            kind: Kind::Alias,
            id: id.clone(),
            condition,
            reason,
            message: text::join(&[message]),
            path: path.map(str::to_owned),
        });
    };
    let entries = stored.object.spec.targets.len();
    let (conditions, usable, lineups) = match &alias.lineup {
        Err(refusal) => {
            found(ConditionType::Accepted, refusal.reason, &refusal.message, None);
            (Conditions::refused(refusal.reason, &refusal.message), 0, Vec::new())
        }
        Ok(lineup) => {
            let guarded_out = alias
                .options
                .as_ref()
                .and_then(|options| prices::nothing_left(resolved, options, lineup));
            let usable = match guarded_out {
                Some(_) => 0,
                None => lineup.entries.iter().filter(|entry| entry.is_usable()).count(),
            };
            let state = State { resolved, alias, lineup, usable, guarded_out };
            let conditions = conditions(&state, &mut found);
            (conditions, usable, vec![listed(lineup)])
        }
    };
    ModelAliasStatus {
        observed_generation: Some(stored.generation),
        model: alias.model.map(str::to_owned),
        summary: Some(Summary { targets: format!("{usable}/{entries}") }),
        lineups,
        programmed: None,
        conditions: conditions.finish(stored.generation),
    }
}

/// An alias that is accepted.
struct State<'s, 'a> {
    resolved: &'s Resolved<'a>,
    alias: &'s ResolvedAlias<'a>,
    lineup: &'s Lineup,
    /// The entries with a usable candidate.
    usable: usize,
    /// Why its guardrails leave nothing, if so.
    guarded_out: Option<Vec<String>>,
}

fn conditions(
    state: &State<'_, '_>,
    found: &mut impl FnMut(ConditionType, Reason, &str, Option<&str>),
) -> Conditions {
    let State { resolved, alias, lineup, usable, ref guarded_out } = *state;
    let mut conditions = Conditions::default();
    let accepted = ConditionType::Accepted;
    match &alias.export_fault {
        Some((reason, message)) => {
            found(accepted, *reason, message, Some("spec.export"));
            conditions.push(accepted, Some(false), *reason, message);
        }
        None => conditions.push(accepted, Some(true), Reason::Accepted, "the spec is accepted"),
    }
    let refs = ConditionType::ResolvedRefs;
    let problems: Vec<_> = lineup.problems().collect();
    for problem in &problems {
        found(refs, problem.reason, &problem.message, Some(&problem.path));
    }
    let told: Vec<String> = problems.iter().map(|problem| described(problem)).collect();
    match problems.first() {
        Some(first) => conditions.push(refs, Some(false), first.reason, &text::join(&told)),
        None => conditions.push(refs, Some(true), Reason::Resolved, "every reference is resolved"),
    }
    let ready = ConditionType::Ready;
    if let Some((reason, message)) = &alias.export_fault {
        conditions.not_ready(*reason, reason.class(), message);
    } else if let Some(parts) = guarded_out {
        let message = text::join(parts);
        found(ready, Reason::NoUsableTarget, &message, Some("spec.guardrails"));
        conditions.not_ready(Reason::NoUsableTarget, Class::Permanent, &message);
    } else if usable == 0 {
        let message = match told.as_slice() {
            [] => "no target is usable: all of them are cordoned".to_owned(),
            told => {
                let mut parts = told.to_vec();
                if let Some(first) = parts.first_mut() {
                    first.insert_str(0, "no target is usable: ");
                }
                text::join(&parts)
            }
        };
        found(ready, Reason::NoUsableTarget, &message, None);
        conditions.not_ready(Reason::NoUsableTarget, lineup.class(), &message);
    } else {
        let message = format!("{usable} of {} targets are usable", lineup.entries.len());
        conditions.push(ready, Some(true), Reason::Ready, &message);
    }
    if let Some(older) = alias.shadowed_by {
        let message = format!(
            "ModelAlias {older}, which is older and exported too, serves this name in namespaces \
             that see both"
        );
        found(ConditionType::Shadowed, Reason::Shadowed, &message, None);
        conditions.push(ConditionType::Shadowed, Some(true), Reason::Shadowed, &message);
    }
    let unpriced =
        alias.options.as_ref().and_then(|options| prices::unknown(resolved, options, lineup));
    if let Some(message) = unpriced {
        let (kind, reason) = (ConditionType::PriceUnknown, Reason::PriceUnknown);
        found(kind, reason, &message, Some("spec.targets"));
        conditions.push(kind, Some(true), reason, &message);
    }
    if let Some(message) = mixed_embeddings(resolved, lineup) {
        let (kind, reason) = (ConditionType::MixedEmbeddingModels, Reason::MixedEmbeddingModels);
        found(kind, reason, &message, Some("spec.targets"));
        conditions.push(kind, Some(true), reason, &message);
    }
    conditions
}

/// Vectors of different models do not mix: where a model does nothing but embeddings, an alias
/// over several models uses the first alone.
fn mixed_embeddings(resolved: &Resolved<'_>, lineup: &Lineup) -> Option<String> {
    let models: BTreeSet<&str> = lineup.candidates.iter().map(|c| c.model.as_str()).collect();
    if models.len() < 2 {
        return None;
    }
    let embeds_only = |target: &ObjectId, model: &str| {
        let compiled = resolved.targets.get(target).and_then(|t| t.value.as_ref().ok());
        compiled.and_then(|t| t.model(model)).is_some_and(|(_, model)| {
            let can = |capability| model.capabilities.has(capability);
            can(Capability::Embeddings) && !can(Capability::Chat) && !can(Capability::Completions)
        })
    };
    lineup.candidates.iter().find(|c| embeds_only(&c.target, &c.model))?;
    let first = &lineup.candidates.first()?.model;
    Some(format!(
        "spec.targets names several models and embeddings of different models do not mix: \
         requests for embeddings go to {} alone; make an alias for each embedding model",
        text::quote(first)
    ))
}

fn listed(lineup: &Lineup) -> LineupStatus {
    let count: usize = lineup.entries.iter().map(|entry| entry.candidates.len()).sum();
    let all = count <= MAX_LISTED;
    let entry = |entry: &EntryState| {
        let candidates: Vec<CandidateStatus> = entry
            .candidates
            .iter()
            .filter(|candidate| all || !candidate.usable)
            .map(|candidate| {
                let reason = match &candidate.problem {
                    Some(problem) => Some(problem.reason),
                    None if candidate.usable => None,
                    None => Some(Reason::Cordoned),
                };
                CandidateStatus {
                    provider: candidate.target.to_string(),
                    resolved: candidate.usable,
                    reason: reason.map(|reason| reason.name().to_owned()),
                }
            })
            .collect();
        let told = all || !candidates.is_empty() || entry.problem.is_some();
        told.then(|| EntryStatus { name: entry.name.clone(), candidates })
    };
    LineupStatus { name: String::new(), targets: lineup.entries.iter().filter_map(entry).collect() }
}
