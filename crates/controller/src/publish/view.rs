//! What one router holds: what it said when it connected, and what it was sent since. Names and
//! digests only.

use std::collections::BTreeMap;

use routing::{
    Digest, ObjectId,
    revision::{ALIAS, TARGET, revision},
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
                Kind::Credential | Kind::Other(_) => {}
            }
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
        let all = of(ALIAS, &self.aliases).chain(of(TARGET, &self.targets));
        let counts = Counts {
            aliases: self.aliases.len(),
            targets: self.targets.len(),
            credentials: self.credentials.len(),
        };
        (revision(all), counts)
    }
}
