//! A target's credential as it travels: in a CREDENTIAL frame and nowhere else. It has no
//! `Serialize`; only the encoder of that frame reads it.

use std::fmt;

use routing::Digest;
use secrecy::{ExposeSecret as _, SecretString};

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
