//! What one router holds: what it said when it connected, and what it was sent since. Names and
//! digests only.

use std::collections::BTreeMap;

use routing::{
    Digest, ObjectId,
    revision::{ALIAS, KEY, TARGET, revision},
};
use wire::{Counts, Held, Key, Kind};

/// What a router holds of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) version: u64,
    /// The form that it has.
    pub(super) digest: Option<Digest>,
    /// Why it is held, when it is.
    pub(super) hold: Option<Digest>,
}

/// What a router holds.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) aliases: BTreeMap<ObjectId, Mark>,
    pub(super) targets: BTreeMap<ObjectId, Mark>,
    /// Version and keyed hash.
    pub(super) credentials: BTreeMap<ObjectId, (u64, Digest)>,
    /// Callers' keys.
    pub(super) keys: BTreeMap<ObjectId, Mark>,
    /// Version and digest of the hashes of callers' keys.
    pub(super) hashes: BTreeMap<ObjectId, (u64, Digest)>,
    /// What tells the key of these hashes from others.
    pub(super) hash_key: Option<Digest>,
    /// What the router was told to be absent, as of which version, and will not believe before it
    /// hears it again of a newer list.
    pub(super) doubted: BTreeMap<Key, u64>,
}

impl View {
    /// What the router said. Kinds that this controller does not know are not its to speak of.
    pub(super) fn of(held: Held) -> Self {
        let mut view = Self::default();
        for resource in held.resources {
            let wire::HeldResource { kind, id, version, digest, hold } = resource;
            let mark = Mark { version, digest, hold };
            match kind {
                Kind::Alias => drop(view.aliases.insert(id, mark)),
                Kind::Target => drop(view.targets.insert(id, mark)),
                Kind::Key => drop(view.keys.insert(id, mark)),
                Kind::Credential | Kind::HashKey | Kind::Hashes | Kind::Other(_) => {}
            }
        }
        view.hash_key = held.hash_key;
        for hashes in held.hashes {
            view.hashes.insert(hashes.id, (hashes.version, hashes.digest));
        }
        for credential in held.credentials {
            view.credentials.insert(credential.target, (credential.version, credential.hash));
        }
        view
    }

    /// The revision and numbers of it, as the router will find them.
    pub(super) fn sums(&self) -> (Digest, Counts) {
        fn of<'a>(
            kind: &'a str,
            marks: &'a BTreeMap<ObjectId, Mark>,
        ) -> impl Iterator<Item = (&'a str, &'a ObjectId, Option<Digest>)> {
            marks.iter().map(move |(id, m)| (kind, id, m.digest.filter(|_| m.hold.is_none())))
        }
        let all = of(ALIAS, &self.aliases).chain(of(KEY, &self.keys));
        let all = all.chain(of(TARGET, &self.targets));
        let counts = Counts {
            aliases: self.aliases.len(),
            targets: self.targets.len(),
            credentials: self.credentials.len(),
            keys: self.keys.len(),
            hashes: self.hashes.len(),
        };
        (revision(all), counts)
    }
}
