//! The callers' keys that reports may be about. There may be a hundred thousand, so they are looked up
//! in the snapshot itself; of one that is held, routers use the last good form, and so does this.

use std::collections::BTreeMap;
use std::sync::Arc;

use routing::fleet::{Dimension, KeyId};
use routing::key::CompiledKey;
use routing::snapshot::Resource;
use routing::spend::Period;
use routing::{ObjectId, RoutingSnapshot};

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Keys {
    served: RoutingSnapshot,
    /// The last good form of those that are held.
    held: BTreeMap<ObjectId, Arc<CompiledKey>>,
}

impl Keys {
    /// From now on these are served.
    pub(super) fn serve(&mut self, snapshot: &RoutingSnapshot) {
        let holds = snapshot.keys.iter().filter(|(_, key)| matches!(key, Resource::Hold { .. }));
        self.held = holds.filter_map(|(id, _)| Some((id.clone(), self.get(id)?.clone()))).collect();
        // Shared, so this copies nothing.
        self.served.keys = snapshot.keys.clone();
    }

    fn get(&self, id: &ObjectId) -> Option<&Arc<CompiledKey>> {
        match self.served.keys.get(id)? {
            Resource::Value { value, .. } => Some(value),
            Resource::Hold { .. } => self.held.get(id),
        }
    }

    /// A key, if it is there and no other of that name.
    fn of(&self, key: &KeyId) -> Option<&CompiledKey> {
        self.get(&key.id).map(|found| &**found).filter(|found| found.uid == key.uid)
    }

    /// The periods of a key's budget, if it has one.
    pub(super) fn budget(&self, key: &KeyId) -> Option<Period> {
        Some(self.of(key)?.budget.as_deref()?.period)
    }

    /// The limits of a key, each with the amount; none of one that is not there, or of another of
    /// that name.
    pub(super) fn limits(&self, key: &KeyId) -> Vec<(Dimension, u64)> {
        let limits = self.of(key).and_then(|found| found.limits.as_deref());
        limits.map(|limits| limits.amounts().collect()).unwrap_or_default()
    }
}
