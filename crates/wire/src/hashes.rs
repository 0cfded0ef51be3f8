//! What routers know callers' keys by: the hashes of each, and the key that all hashes are made
//! with. Both travel in frames of their own, are redacted when printed and are in no snapshot; the
//! callers' keys themselves do not travel at all.

use std::fmt;

use routing::{Digest, ObjectId, key::KeyHash};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

/// The hashes of a caller's key, or that it has none any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashesFrame {
    /// The AccessKey.
    pub id: ObjectId,
    /// The version of what they are, or of their end: that of the Secret, or of the AccessKey where
    /// that is newer.
    pub version: u64,
    /// Of the key, and while keys rotate of the one before; empty: revoked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<KeyHash>,
}

/// The hashes of a caller's key, as they are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashes {
    /// The version that they came with.
    pub version: u64,
    /// At least one.
    pub hashes: Box<[KeyHash]>,
}

impl Hashes {
    /// What tells them from others, of use to nobody.
    pub fn digest(&self) -> Digest {
        KeyHash::digest(&self.hashes)
    }
}

/// The key of all hashes: with it, and the hashes, a caller's key can be tried. Redacted when
/// printed, wiped when dropped.
#[derive(Clone)]
pub struct HashKey(SecretString);

impl HashKey {
    /// These bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(hex::encode(bytes).into())
    }

    /// The bytes, for who makes hashes.
    pub fn bytes(&self) -> Vec<u8> {
        hex::decode(self.0.expose_secret()).unwrap_or_default()
    }

    /// What tells it from others, of use to nobody.
    pub fn digest(&self) -> Digest {
        Digest::of_parts([b"key of hashes", self.0.expose_secret().as_bytes()])
    }

    pub(crate) fn text(&self) -> &str {
        self.0.expose_secret()
    }

    pub(crate) fn read(text: String) -> Option<Self> {
        // One that is no key must not take the place of one that is.
        let fits = text.len() >= 32
            && text.len().is_multiple_of(2)
            && text.bytes().all(|b| b.is_ascii_hexdigit());
        fits.then(|| Self(text.into()))
    }
}

impl PartialEq for HashKey {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for HashKey {}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
