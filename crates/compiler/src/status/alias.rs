//! The status of a ModelAlias.

use std::collections::BTreeSet;

use api::{
    ConditionType, ModelAlias, ModelAliasSpec, ModelAliasStatus, Reason,
    alias::{CandidateStatus, EntryStatus, LineupStatus, Summary, TrainingStatus},
    condition::Class,
};
use routing::{Capability, ObjectId, category::Trained};

use super::{Conditions, described, prices};
use crate::{
    finding::Finding,
    resolve::{EntryState, Lineup, Lineups, Resolved, ResolvedAlias, unreliable},
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
    let entries = written(&stored.object.spec);
    let (conditions, usable, listed) = match &alias.lineups {
        Err(refusal) => {
            found(ConditionType::Accepted, refusal.reason, &refusal.message, None);
            (Conditions::refused(refusal.reason, &refusal.message), 0, Vec::new())
        }
        Ok(lineups) => {
            let mut usable = 0;
            let mut guarded_out = Vec::new();
            for (_, lineup) in lineups.all() {
                let options = alias.options.as_ref();
                match options.and_then(|options| prices::nothing_left(resolved, options, lineup)) {
                    Some(why) => guarded_out.push(why),
                    None => usable += lineup.entries.iter().filter(|e| e.is_usable()).count(),
                }
            }
            // One lineup that is left is enough to serve.
            let guarded_out = guarded_out.into_iter().next().filter(|_| usable == 0);
            let state = State { resolved, alias, lineups, usable, guarded_out };
            let conditions = conditions(&state, &mut found);
            (conditions, usable, listed(alias, lineups))
        }
    };
    ModelAliasStatus {
        observed_generation: Some(stored.generation),
        model: alias.model.map(str::to_owned),
        summary: Some(Summary { targets: format!("{usable}/{entries}") }),
        lineups: listed,
        programmed: None,
        conditions: conditions.finish(stored.generation),
    }
}

/// An alias that is accepted.
struct State<'s, 'a> {
    resolved: &'s Resolved<'a>,
    alias: &'s ResolvedAlias<'a>,
    lineups: &'s Lineups,
    /// The entries with a usable candidate.
    usable: usize,
    /// Why its guardrails leave nothing, if so.
    guarded_out: Option<Vec<String>>,
}

fn conditions(
    state: &State<'_, '_>,
    found: &mut impl FnMut(ConditionType, Reason, &str, Option<&str>),
) -> Conditions {
    let State { resolved, alias, lineups, usable, ref guarded_out } = *state;
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
    let choice = alias.options.as_ref().and_then(|options| options.choice.as_ref());
    let judge = choice.and_then(|choice| choice.judge.as_ref());
    let problems: Vec<_> = lineups.problems().chain(judge).collect();
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
        conditions.not_ready(Reason::NoUsableTarget, lineups.class(), &message);
    } else {
        let message = format!("{usable} of {} targets are usable", lineups.entries().count());
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
    for (name, lineup) in lineups.all() {
        let at = path(alias, name);
        let options = alias.options.as_ref();
        if let Some(message) = options.and_then(|o| prices::unknown(resolved, o, lineup)) {
            let (kind, reason) = (ConditionType::PriceUnknown, Reason::PriceUnknown);
            found(kind, reason, &message, Some(&at));
            conditions.push_once(kind, Some(true), reason, &message);
        }
        if let Some(message) = mixed_embeddings(resolved, lineup, &at) {
            let (kind, reason) =
                (ConditionType::MixedEmbeddingModels, Reason::MixedEmbeddingModels);
            found(kind, reason, &message, Some(&at));
            conditions.push_once(kind, Some(true), reason, &message);
        }
    }
    if let Some(choice) = choice {
        let kind = ConditionType::CategoryUnreliable;
        let unreliable = unreliable(&choice.known, &choice.detector);
        for (reason, message) in &unreliable {
            found(kind, *reason, message, Some("spec.categories.overrides"));
        }
        if let Some((reason, _)) = unreliable.first() {
            let told: Vec<&str> = unreliable.iter().map(|(_, message)| message.as_str()).collect();
            conditions.push(kind, Some(true), *reason, &text::join(&told));
        }
    }
    conditions
}

/// Vectors of different models do not mix: where a model does nothing but embeddings, an alias
/// over several models uses the first alone.
fn mixed_embeddings(resolved: &Resolved<'_>, lineup: &Lineup, at: &str) -> Option<String> {
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
        "{at} names several models and embeddings of different models do not mix: \
         requests for embeddings go to {} alone; make an alias for each embedding model",
        text::quote(first)
    ))
}

/// The entries that are written, in all lineups.
fn written(spec: &ModelAliasSpec) -> usize {
    let own = spec.targets.iter().map(Vec::len);
    let categories = spec.categories.iter();
    let default = categories.clone().map(|categories| categories.default.targets.len());
    let overrides = categories.flat_map(|categories| categories.overrides.iter().flatten());
    own.chain(default).chain(overrides.map(|one| one.targets.len())).sum()
}

/// Where the targets of the lineup of this name stand.
fn path(alias: &ResolvedAlias<'_>, name: &str) -> String {
    let lineups = alias.lineups.iter().flat_map(Lineups::all).skip(1);
    let place = lineups.map(|(name, _)| name).position(|one| one == name);
    match (name, place) {
        ("", _) => "spec.targets".to_owned(),
        (_, Some(place)) => format!("spec.categories.overrides[{place}].targets"),
        (_, None) => "spec.categories.default.targets".to_owned(),
    }
}

/// What every lineup resolved to, and what was learnt for it.
fn listed(alias: &ResolvedAlias<'_>, lineups: &Lineups) -> Vec<LineupStatus> {
    let count: usize = lineups.entries().map(|entry| entry.candidates.len()).sum();
    let choice = alias.options.as_ref().and_then(|options| options.choice.as_ref());
    let known = choice.iter().flat_map(|choice| &choice.known.categories);
    let mut known = known.map(|category| category.trained.as_ref());
    let mut all = lineups.all();
    let main = all.next().map(|(name, lineup)| (name, lineup, None));
    let overrides = all.map(|(name, lineup)| (name, lineup, known.next().flatten()));
    let one = |(name, lineup, trained): (&str, &Lineup, Option<&Trained>)| LineupStatus {
        name: name.to_owned(),
        training: trained.map(|trained| TrainingStatus {
            examples: i32::try_from(trained.examples).unwrap_or(i32::MAX),
            leave_one_out_percent: trained.leave_one_out_percent.into(),
        }),
        targets: entries(lineup, count <= MAX_LISTED),
    };
    main.into_iter().chain(overrides).map(one).collect()
}

/// The entries of a lineup: all of them, or those with something that is not usable.
fn entries(lineup: &Lineup, all: bool) -> Vec<EntryStatus> {
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
    lineup.entries.iter().filter_map(entry).collect()
}
