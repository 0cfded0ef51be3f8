//! The revision of a snapshot: a digest over what its resources are, not over when they were
//! written, so that replicas agree without talking and a router can prove that it holds the same.

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
    let mut text = Vec::new();
    for (kind, id, digest) in resources {
        for part in [kind.as_bytes(), b" ", id.namespace.as_bytes(), b"/", id.name.as_bytes()] {
            text.extend_from_slice(part);
        }
        text.push(b' ');
        match digest {
            Some(digest) => text.extend_from_slice(digest.as_bytes()),
            None => text.extend_from_slice(b"hold"),
        }
        text.push(b'\n');
    }
    Digest::of(&text)
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
