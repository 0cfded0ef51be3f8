//! The secrets of the stream. A target's credential travels in a CREDENTIAL frame and nowhere else:
//! it has no `Serialize`, only the encoder of that frame reads it. The admin token travels in HELLO.

use std::fmt;

use routing::Digest;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A credential. Redacted when printed, wiped when dropped.
#[derive(Clone)]
pub struct Credential {
    /// The resourceVersion of the Secret, or of the target where that is newer: naming another
    /// Secret is as much a change as writing one.
    pub version: u64,
    /// A keyed hash of the material: equal for equal material, and of no use to who guesses, since
    /// the key never leaves the controller. A router shows it to say what it holds.
    pub hash: Digest,
    material: SecretString,
}

impl Credential {
    /// The credential with this material.
    pub fn new(version: u64, hash: Digest, material: SecretString) -> Self {
        Self { version, hash, material }
    }

    /// The material, for who puts it into a header.
    pub fn material(&self) -> &SecretString {
        &self.material
    }

    pub(crate) fn expose(&self) -> &str {
        self.material.expose_secret()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("version", &self.version)
            .field("hash", &self.hash)
            .field("material", &"***")
            .finish()
    }
}

/// What opens a router's `/config` to who is not the router. Redacted when printed, wiped when
/// dropped; written in HELLO alone.
#[derive(Clone)]
pub struct AdminToken(SecretString);

impl AdminToken {
    /// The token of this text.
    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The text, for who puts it into a header.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether this is the token. How long it takes tells nothing but the lengths.
    pub fn is(&self, text: &str) -> bool {
        let (ours, theirs) = (self.expose().as_bytes(), text.as_bytes());
        let difference = ours.iter().zip(theirs).fold(0, |sum, (a, b)| sum | (a ^ b));
        ours.len() == theirs.len() && std::hint::black_box(difference) == 0
    }
}

impl PartialEq for AdminToken {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.expose())
    }
}

impl Eq for AdminToken {}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for AdminToken {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for AdminToken {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d).map(Self::new)
    }
}
