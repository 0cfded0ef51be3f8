//! What resources have in common, held once: of a hundred thousand callers' keys most may the same
//! and stand in few namespaces, and each comes in two frames that name it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use routing::{Digest, ObjectId, snapshot::CompiledKey};
use wire::{Frame, Key, Kind};

use super::{Store, connection::Connection};

/// How many forms of callers' keys are looked for among those that are there.
const FORMS: usize = 4096;

/// What may be shared.
#[derive(Debug, Default)]
pub(super) struct Shared {
    namespaces: BTreeSet<Arc<str>>,
    forms: BTreeMap<Digest, Arc<CompiledKey>>,
}

impl Shared {
    /// This form, or the same one that is there already.
    pub(super) fn key(&mut self, digest: Digest, form: Arc<CompiledKey>) -> Arc<CompiledKey> {
        if let Some(known) = self.forms.get(&digest).filter(|known| **known == form) {
            return Arc::clone(known);
        }
        if self.forms.len() >= FORMS {
            self.forms.retain(|_, known| Arc::strong_count(known) > 1);
        }
        if self.forms.len() < FORMS {
            self.forms.insert(digest, Arc::clone(&form));
        }
        form
    }

    fn namespace(&mut self, name: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.namespaces.get(name) {
            return Arc::clone(known);
        }
        // Those that nobody names any more.
        if self.namespaces.len() >= FORMS {
            self.namespaces.retain(|known| Arc::strong_count(known) > 1);
        }
        self.namespaces.insert(Arc::clone(name));
        Arc::clone(name)
    }
}

impl Store {
    /// Lets a frame about a caller's key name it by the id that is there already.
    pub(super) fn share(&mut self, connection: &Connection, frame: &mut Frame) {
        let id = match frame {
            Frame::Upsert(upsert) if upsert.kind == Kind::Key => &mut upsert.id,
            Frame::Hashes(hashes) => &mut hashes.id,
            _ => return,
        };
        let wanted = Key::access_key(id);
        let known = self.sides.get_key_value(&wanted).map(|(key, _)| key);
        let known = known.or_else(|| Some(connection.staged.get_key_value(&wanted)?.0));
        *id = match known {
            Some(key) => key.id.clone(),
            None => ObjectId {
                namespace: self.shared.namespace(&id.namespace),
                name: Arc::clone(&id.name),
            },
        };
    }
}
