//! What callers' keys have in common, held once: of a hundred thousand most may the same, they stand
//! in few namespaces, and each comes in two frames that name it.

use std::{collections::BTreeSet, sync::Arc};

use routing::{
    ObjectId,
    key::{CompiledKey, List},
};
use wire::{Frame, Key, Kind};

use super::{Store, connection::Connection};

/// How many of a sort are looked among for one that is there.
const MOST: usize = 4096;

/// What may be shared.
#[derive(Debug, Default)]
pub(super) struct Shared {
    namespaces: BTreeSet<Arc<str>>,
    globs: BTreeSet<List<Box<str>>>,
    direct: BTreeSet<List<ObjectId>>,
}

impl Shared {
    /// Lets a key have the lists that others have.
    pub(super) fn key(&mut self, key: &mut Arc<CompiledKey>) {
        let Some(key) = Arc::get_mut(key) else { return };
        if let Some(globs) = &mut key.aliases {
            *globs = one(&mut self.globs, globs, |known| known.sharers() > 1);
        }
        key.direct = one(&mut self.direct, &key.direct, |known| known.sharers() > 1);
    }
}

/// This one, or the same that is there already. Those that nobody uses any more make room.
fn one<T: Clone + Ord>(all: &mut BTreeSet<T>, wanted: &T, used: impl FnMut(&T) -> bool) -> T {
    if let Some(known) = all.get(wanted) {
        return known.clone();
    }
    if all.len() >= MOST {
        all.retain(used);
    }
    if all.len() < MOST {
        all.insert(wanted.clone());
    }
    wanted.clone()
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
        if let Some(key) = known {
            *id = key.id.clone();
            return;
        }
        let used = |known: &Arc<str>| Arc::strong_count(known) > 1;
        id.namespace = one(&mut self.shared.namespaces, &id.namespace, used);
    }
}
