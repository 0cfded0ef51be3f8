//! What a router says that it holds when it asks for the stream, so that it gets only the
//! difference. It names no secret: of a credential it tells the version and the keyed hash.

use routing::{Digest, ObjectId};
use serde::{Deserialize, Serialize};

use crate::kind::Kind;

/// The body of a request for the stream. A body that is empty, or `{}`, holds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The cluster that it all came from; empty at first.
    #[serde(default)]
    pub cluster: String,
    /// The resources.
    #[serde(default)]
    pub resources: Vec<HeldResource>,
    /// The credentials.
    #[serde(default)]
    pub credentials: Vec<HeldCredential>,
    /// The hashes of callers' keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<HeldHashes>,
    /// What tells the key of these hashes from others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_key: Option<Digest>,
}

/// A resource that a router holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldResource {
    /// Its kind.
    pub kind: Kind,
    /// The object.
    pub id: ObjectId,
    /// Its version.
    pub version: u64,
    /// The digest of the form that is served; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The digest of why it is held, when it is ([`hold_digest`](crate::hold_digest)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Digest>,
}

/// A credential that a router holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldCredential {
    /// The target that it is for.
    pub target: ObjectId,
    /// Its version.
    pub version: u64,
    /// The keyed hash that came with it.
    pub hash: Digest,
}

/// The hashes of a caller's key that a router holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldHashes {
    /// The AccessKey.
    pub id: ObjectId,
    /// Their version.
    pub version: u64,
    /// What tells them from others.
    pub digest: Digest,
}
