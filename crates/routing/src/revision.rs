//! The revision of a snapshot: a digest over what its resources are, not over when they were
//! written, so that replicas agree without talking and a router can prove that it holds the same.

use sha2::{Digest as _, Sha256};

use crate::{
    id::{Digest, ObjectId},
    snapshot::{Resource, RoutingSnapshot},
};

/// The kind of aliases, as it enters the revision and stands in frames.
pub const ALIAS: &str = "Alias";
/// The kind of callers' keys.
pub const KEY: &str = "Key";
/// The kind of targets.
pub const TARGET: &str = "Target";

/// The revision of these resources, which come in the order of kind and id. A resource without a
/// digest is held.
pub fn revision<'a>(
    resources: impl IntoIterator<Item = (&'a str, &'a ObjectId, Option<Digest>)>,
) -> Digest {
    let mut counting = Counting::default();
    for (kind, id, digest) in resources {
        counting.add(kind, id, digest);
    }
    counting.revision()
}

/// A revision to which one resource after another is added, in the order of kind and id.
#[derive(Clone, Debug, Default)]
pub struct Counting(Sha256);

impl Counting {
    /// Adds a resource; without a digest it is held.
    pub fn add(&mut self, kind: &str, id: &ObjectId, digest: Option<Digest>) {
        for part in [kind, " ", &id.namespace, "/", &id.name, " "] {
            self.0.update(part);
        }
        match &digest {
            Some(digest) => self.0.update(digest.as_bytes()),
            None => self.0.update("hold"),
        }
        self.0.update("\n");
    }

    /// The revision of what was added.
    pub fn revision(self) -> Digest {
        Digest::finish(self.0)
    }
}

impl RoutingSnapshot {
    /// The revision of what is in it; [`RoutingSnapshot::revision`] is set to it.
    pub fn content_revision(&self) -> Digest {
        fn of<T>(resource: &Resource<T>) -> Option<Digest> {
            match resource {
                Resource::Value { digest, .. } => Some(*digest),
                Resource::Hold { .. } => None,
            }
        }
        let aliases = self.aliases.iter().map(|(id, r)| (ALIAS, id, of(r)));
        let keys = self.keys.iter().map(|(id, r)| (KEY, id, of(r)));
        let targets = self.targets.iter().map(|(id, r)| (TARGET, id, of(r)));
        revision(aliases.chain(keys).chain(targets))
    }
}
