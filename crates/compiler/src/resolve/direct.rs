//! The targets whose models a key with `spec.allowDirectModels` may name without an alias.

use std::collections::BTreeMap;

use routing::{ObjectId, key::List};

use super::target::{Fault, ResolvedTarget};
use crate::world::{Kind, World};

/// Those of a namespace's keys: of each name its own target, else the oldest of those that are
/// exported to it. A name whose owner serves nobody stands for nothing, and not for another's.
pub(super) fn targets(
    world: &World,
    targets: &BTreeMap<&ObjectId, ResolvedTarget<'_>>,
    namespace: &str,
) -> List<ObjectId> {
    let mut owners: BTreeMap<&str, (&ObjectId, bool)> = BTreeMap::new();
    let unreadable = world.undecodable.keys().filter(|(kind, _)| *kind == Kind::Target);
    for (_, id) in unreadable.filter(|(_, id)| &*id.namespace == namespace) {
        // Routers go on with its last good form.
        owners.insert(&id.name, (id, true));
    }
    let admitted = targets.iter().filter(|(id, of)| of.export.admits(&id.namespace, namespace));
    let mut admitted: Vec<_> = admitted
        .map(|(id, of)| {
            let created = world.targets.get(*id).map_or(0, |stored| stored.created);
            (&*id.namespace != namespace, created, *id, of.faults.iter().all(Fault::keeps))
        })
        .collect();
    admitted.sort_unstable();
    for (_, _, id, serves) in admitted {
        owners.entry(&id.name).or_insert((id, serves));
    }
    let serving = owners.into_values().filter(|(_, serves)| *serves);
    serving.map(|(id, _)| id.clone()).collect()
}
