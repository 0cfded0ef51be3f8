//! The status of a ProviderTarget.

use api::{ProviderTarget, ProviderTargetStatus, Reason};
use routing::ObjectId;

use super::{Conditions, Faults};
use crate::{
    finding::Finding,
    resolve::ResolvedTarget,
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
    let mut faults = Faults::default();
    for fault in &target.faults {
        let told = (fault.reason, fault.message.as_str(), fault.path);
        match fault.reason {
            Reason::InvalidSpec => faults.accepted.push(told),
            _ => faults.refs.push(told),
        }
    }
    if let Some((reason, message)) = &target.export_fault {
        faults.accepted.push((*reason, message, "spec.export"));
    }
    let conditions = Conditions::of(&faults, &[], (Kind::Target, id), "it can serve", findings);
    ProviderTargetStatus {
        observed_generation: Some(stored.generation),
        used_by: Some(used_by),
        credential_version: target.credential_version(world, id),
        programmed: None,
        models: i32::try_from(stored.object.spec.models.len()).ok(),
        conditions: conditions.finish(stored.generation),
    }
}
