//! What a frame is about. The set is open: a newer controller may send kinds that this build does
//! not know, and they still count for the revision.

use std::{cmp::Ordering, fmt, sync::Arc};

use routing::{ObjectId, revision};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The kind of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A compiled alias.
    Alias,
    /// A target's credential.
    Credential,
    /// The key of the hashes that stand for callers' keys; there is one, which has no name.
    HashKey,
    /// The hashes of a caller's key.
    Hashes,
    /// A caller's key, compiled.
    Key,
    /// A compiled target.
    Target,
    /// One that this build does not know.
    Other(Arc<str>),
}

impl Kind {
    /// As it stands in frames.
    pub fn name(&self) -> &str {
        match self {
            Self::Alias => revision::ALIAS,
            Self::Credential => "Credential",
            Self::HashKey => "HashKey",
            Self::Hashes => "Hashes",
            Self::Key => revision::KEY,
            Self::Target => revision::TARGET,
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for Kind {
    fn from(name: &str) -> Self {
        match name {
            revision::ALIAS => Self::Alias,
            "Credential" => Self::Credential,
            "HashKey" => Self::HashKey,
            "Hashes" => Self::Hashes,
            revision::KEY => Self::Key,
            revision::TARGET => Self::Target,
            other => Self::Other(other.into()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// By name, which is the order of the revision; a kind that becomes known does not move.
impl Ord for Kind {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(other.name())
    }
}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Ok(Self::from(&*name))
    }
}

/// A resource's kind and id: what it is found by on the stream.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The kind.
    pub kind: Kind,
    /// The object.
    pub id: ObjectId,
}

impl Key {
    /// The key of this object.
    pub fn new(kind: Kind, id: ObjectId) -> Self {
        Self { kind, id }
    }

    /// The key of an alias.
    pub fn alias(id: &ObjectId) -> Self {
        Self::new(Kind::Alias, id.clone())
    }

    /// The key of a target.
    pub fn target(id: &ObjectId) -> Self {
        Self::new(Kind::Target, id.clone())
    }

    /// The key of an AccessKey.
    pub fn access_key(id: &ObjectId) -> Self {
        Self::new(Kind::Key, id.clone())
    }

    /// The key of the hashes of an AccessKey.
    pub fn hashes(id: &ObjectId) -> Self {
        Self::new(Kind::Hashes, id.clone())
    }

    /// The key of the one key of all hashes.
    pub fn hash_key() -> Self {
        Self::new(Kind::HashKey, ObjectId::new("", ""))
    }

    /// The key of a target's credential.
    pub fn credential(target: &ObjectId) -> Self {
        Self::new(Kind::Credential, target.clone())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
