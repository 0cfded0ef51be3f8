//! The status of a ProviderTarget.

use api::{ConditionType, ProviderTarget, ProviderTargetStatus, Reason, condition::Class};
use routing::ObjectId;

use super::Conditions;
use crate::{
    finding::Finding,
    resolve::ResolvedTarget,
    text,
    world::{Kind, Stored, World},
};

pub(super) fn status(
    world: &World,
    id: &ObjectId,
    stored: &Stored<ProviderTarget>,
    target: &ResolvedTarget<'_>,
    used_by: i32,
    findings: &mut Vec<Finding>,
) -> ProviderTargetStatus {
    let mut accepted: Vec<(Reason, &str, &str)> = Vec::new();
    let mut refs: Vec<(Reason, &str, &str)> = Vec::new();
    for fault in &target.faults {
        let list = if fault.reason == Reason::InvalidSpec { &mut accepted } else { &mut refs };
        list.push((fault.reason, &fault.message, fault.path));
    }
    if let Some((reason, message)) = &target.export_fault {
        accepted.push((*reason, message, "spec.export"));
    }
    let mut conditions = Conditions::default();
    let parts = [
        (ConditionType::Accepted, &accepted, Reason::Accepted, "the spec is accepted"),
        (ConditionType::ResolvedRefs, &refs, Reason::Resolved, "every reference is resolved"),
    ];
    for (kind, faults, fine, message) in parts {
        for (reason, message, path) in faults {
            findings.push(Finding {
                kind: Kind::Target,
                id: id.clone(),
                condition: kind,
                reason: *reason,
                message: text::join(&[message]),
                // The message of a spec names the fields itself.
                path: (*reason != Reason::InvalidSpec).then(|| (*path).to_owned()),
            });
        }
        match faults.first() {
            None => conditions.push(kind, Some(true), fine, message),
            Some((reason, ..)) => {
                conditions.push(kind, Some(false), *reason, &told(faults));
            }
        }
    }
    let all = [accepted, refs].concat();
    // All of it must be mended, so one that waiting does not mend decides.
    let lasting = all.iter().find(|(reason, ..)| reason.class() == Class::Permanent);
    match lasting.or_else(|| all.first()) {
        Some((reason, ..)) => conditions.not_ready(*reason, reason.class(), &told(&all)),
        None => conditions.push(ConditionType::Ready, Some(true), Reason::Ready, "it can serve"),
    }
    ProviderTargetStatus {
        observed_generation: Some(stored.generation),
        used_by: Some(used_by),
        credential_version: target.credential_version(world, id),
        models: i32::try_from(stored.object.spec.models.len()).ok(),
        conditions: conditions.finish(stored.generation),
    }
}

fn told(faults: &[(Reason, &str, &str)]) -> String {
    let parts: Vec<String> = faults
        .iter()
        .map(|(reason, message, path)| match reason {
            Reason::InvalidSpec | Reason::ExportNotPermitted | Reason::SelectorUnavailable => {
                (*message).to_owned()
            }
            _ => format!("{path}: {message}"),
        })
        .collect();
    text::join(&parts)
}
