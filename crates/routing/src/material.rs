//! What a credential is made of, as a Secret holds it: it is compiled from that, travels in a frame of
//! its own and is used by routers. Redacted when printed, wiped when dropped; it has no `Serialize`.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

/// A credential's material.
#[derive(Clone)]
pub enum Material {
    /// A key that goes into a header as it is: printable ASCII, without a scheme.
    Key(SecretString),
    /// An access key of AWS, which signs requests.
    Aws(AwsKey),
    /// A key of a Google service account, which signs the assertions that tokens are given for.
    Google(GoogleKey),
}

/// An access key of AWS.
#[derive(Clone)]
pub struct AwsKey {
    /// Its id, which stands in signatures.
    pub access_key_id: SecretString,
    /// What signs.
    pub secret_access_key: SecretString,
    /// Of temporary keys, what goes with each request.
    pub session_token: Option<SecretString>,
}

/// A key of a Google service account, out of its JSON file.
#[derive(Clone)]
pub struct GoogleKey {
    /// Whose it is: the issuer of assertions.
    pub client_email: String,
    /// Its id, where the file has one.
    pub private_key_id: Option<String>,
    /// The key, PEM of PKCS #8.
    pub private_key: SecretString,
    /// Where tokens are given: the audience of assertions.
    pub token_uri: String,
}

impl Material {
    /// What it is in one run of bytes, equal for equal material alone: for keyed hashes of it.
    pub fn canonical(&self) -> Zeroizing<Vec<u8>> {
        let parts: &[&str] = match self {
            // As it is, which cannot begin like the others.
            Self::Key(key) => return Zeroizing::new(key.expose_secret().as_bytes().to_vec()),
            Self::Aws(key) => &[
                "aws",
                key.access_key_id.expose_secret(),
                key.secret_access_key.expose_secret(),
                key.session_token.as_ref().map_or("", |token| token.expose_secret()),
            ],
            Self::Google(key) => &[
                "google",
                &key.client_email,
                key.private_key_id.as_deref().unwrap_or_default(),
                key.private_key.expose_secret(),
                &key.token_uri,
            ],
        };
        let mut out = Zeroizing::new(Vec::with_capacity(
            parts.iter().map(|part| part.len() + size_of::<u64>()).sum(),
        ));
        for part in parts {
            out.extend_from_slice(&(part.len() as u64).to_le_bytes());
            out.extend_from_slice(part.as_bytes());
        }
        out
    }
}

impl From<&str> for Material {
    fn from(key: &str) -> Self {
        Self::Key(key.into())
    }
}

impl From<String> for Material {
    fn from(key: String) -> Self {
        Self::Key(key.into())
    }
}

impl PartialEq for Material {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl Eq for Material {}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for AwsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for GoogleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aws(id: &str, secret: &str, token: Option<&str>) -> Material {
        Material::Aws(AwsKey {
            access_key_id: id.into(),
            secret_access_key: secret.into(),
            session_token: token.map(Into::into),
        })
    }

    #[test]
    fn material_is_equal_where_every_part_is() {
        let one = aws("AKIA", "canary", None);
        assert_eq!(one, one.clone());
        for other in [
            aws("AKIAc", "anary", None),
            aws("AKIA", "canary", Some("t")),
            aws("AKIA", "canarz", None),
            Material::from("AKIAcanary"),
        ] {
            assert_ne!(one, other);
        }
        assert_eq!(&*Material::from("sk-1").canonical(), b"sk-1");
    }

    #[test]
    fn nothing_prints_it() {
        let google = GoogleKey {
            client_email: "canary@x".to_owned(),
            private_key_id: None,
            private_key: "canary".into(),
            token_uri: "https://canary".to_owned(),
        };
        for material in [aws("canary", "canary", None), Material::Google(google)] {
            assert!(!format!("{material:?}").contains("canary"));
        }
    }
}
