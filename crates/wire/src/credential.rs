//! The secrets of the stream. A target's credential travels in a CREDENTIAL frame and nowhere else;
//! its material is written in one form, [`Written`]. The admin token travels in HELLO.

use std::fmt;

use routing::{
    Digest,
    material::{AwsKey, GoogleKey, Material},
};
use secrecy::{ExposeSecret, SecretString};
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
    material: Material,
}

impl Credential {
    /// The credential with this material.
    pub fn new(version: u64, hash: Digest, material: Material) -> Self {
        Self { version, hash, material }
    }

    /// The material, for who authenticates requests with it.
    pub fn material(&self) -> &Material {
        &self.material
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

/// A credential's material as it is written where it may be: in its frame, and in memory that
/// outlives a process. `S` is borrowed text to write and owned text that was read.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Written<S> {
    /// A key that goes into a header.
    Key(S),
    /// An access key of AWS.
    Aws {
        /// Its id.
        access_key_id: S,
        /// What signs.
        secret_access_key: S,
        /// Of temporary keys, what goes with each request.
        #[serde(default = "none", skip_serializing_if = "Option::is_none")]
        session_token: Option<S>,
    },
    /// A key of a Google service account.
    Google {
        /// Whose it is.
        client_email: S,
        /// Its id.
        #[serde(default = "none", skip_serializing_if = "Option::is_none")]
        private_key_id: Option<S>,
        /// The key as PEM.
        private_key: S,
        /// Where tokens are given.
        token_uri: S,
    },
}

/// What is absent.
fn none<S>() -> Option<S> {
    None
}

impl<'a> From<&'a Material> for Written<&'a str> {
    fn from(material: &'a Material) -> Self {
        match material {
            Material::Key(key) => Self::Key(key.expose_secret()),
            Material::Aws(key) => Self::Aws {
                access_key_id: key.access_key_id.expose_secret(),
                secret_access_key: key.secret_access_key.expose_secret(),
                session_token: key.session_token.as_ref().map(ExposeSecret::expose_secret),
            },
            Material::Google(key) => Self::Google {
                client_email: &key.client_email,
                private_key_id: key.private_key_id.as_deref(),
                private_key: key.private_key.expose_secret(),
                token_uri: &key.token_uri,
            },
        }
    }
}

impl From<Written<String>> for Material {
    fn from(written: Written<String>) -> Self {
        match written {
            Written::Key(key) => Self::Key(key.into()),
            Written::Aws { access_key_id, secret_access_key, session_token } => Self::Aws(AwsKey {
                access_key_id: access_key_id.into(),
                secret_access_key: secret_access_key.into(),
                session_token: session_token.map(Into::into),
            }),
            Written::Google { client_email, private_key_id, private_key, token_uri } => {
                let private_key = private_key.into();
                Self::Google(GoogleKey { client_email, private_key_id, private_key, token_uri })
            }
        }
    }
}
