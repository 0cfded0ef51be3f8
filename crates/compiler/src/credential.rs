//! Credentials: what a Secret's value must be to go into a header, and the version that shows that
//! it was rotated without showing what it is.

use routing::{
    AuthKind, ObjectId,
    hmac::Hmac,
    key::KeyHash,
    material::{AwsKey, GoogleKey, Material},
};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::world::{SecretBytes, SecretData};

/// The keys of a Secret that holds an access key of AWS.
const AWS_ID: &str = "access-key-id";
const AWS_SECRET: &str = "secret-access-key";
const AWS_TOKEN: &str = "session-token";

/// What a target's credential is now. A target without one of these states says nothing of it:
/// whoever holds a credential for it keeps that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialState {
    /// It is there.
    Present {
        /// The Secret's resourceVersion as an integer.
        version: u64,
        /// It.
        material: Material,
    },
    /// There is none, or it may not be sent to this target: what was there is revoked at once.
    Absent,
    /// It is there and unusable: the last good one goes on for 10 minutes.
    Invalid {
        /// The Secret's resourceVersion as an integer.
        version: u64,
    },
}

/// What is known of a caller's key now: its hashes, and never the key itself. Without one of these
/// states nothing is known, and whoever holds hashes keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// These hashes stand for it: of the key, and while keys rotate of the one before.
    Present {
        /// The Secret's resourceVersion as an integer.
        version: u64,
        /// At least one.
        hashes: Vec<KeyHash>,
    },
    /// There is none: what was there is revoked at once.
    Absent,
    /// It is there and unusable: the last good one goes on for 10 minutes.
    Invalid {
        /// The Secret's resourceVersion as an integer.
        version: u64,
    },
}

/// Why a Secret holds no credential. It never quotes what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It has no such key.
    NoKey(String),
    /// The value of a key is wrong in this way.
    Bad(String, &'static str),
}

/// Reads a Secret as the credential of this kind, of which `key` names the value where one does.
/// `dev`: tokens may be given anywhere.
pub(crate) fn read(
    kind: AuthKind,
    secret: &SecretData,
    key: Option<&str>,
    dev: bool,
) -> Result<Material, Unfit> {
    let value = |key: &str| secret.data.get(key).ok_or_else(|| Unfit::NoKey(key.to_owned()));
    let text = |key: &str| {
        let text = parse(value(key)?).map_err(|what| Unfit::Bad(key.to_owned(), what))?;
        Ok(text.as_str().into())
    };
    let named = || key.ok_or_else(|| Unfit::NoKey(String::new()));
    match kind {
        AuthKind::Bearer | AuthKind::Header | AuthKind::WorkloadIdentity | AuthKind::None => {
            Ok(Material::Key(text(named()?)?))
        }
        AuthKind::AWSSigV4 => Ok(Material::Aws(AwsKey {
            access_key_id: text(AWS_ID)?,
            secret_access_key: text(AWS_SECRET)?,
            session_token: if secret.data.contains_key(AWS_TOKEN) {
                Some(text(AWS_TOKEN)?)
            } else {
                None
            },
        })),
        AuthKind::GoogleServiceAccount => {
            let key = named()?;
            let read = google(value(key)?, dev);
            read.map(Material::Google).map_err(|what| Unfit::Bad(key.to_owned(), what))
        }
    }
}

/// What a Secret of a credential of this kind may hold, for who checks objects without their Secrets.
pub fn supposed(kind: AuthKind, key: Option<&str>) -> Vec<(String, SecretBytes)> {
    let entry =
        |key: &str, text: &str| (key.to_owned(), SecretBytes::new(text.as_bytes().to_vec()));
    match kind {
        AuthKind::AWSSigV4 => vec![entry(AWS_ID, "supposed"), entry(AWS_SECRET, "supposed")],
        AuthKind::GoogleServiceAccount => {
            let file = r#"{"type": "service_account", "client_email": "supposed", "private_key":
                "-----BEGIN PRIVATE KEY-----", "token_uri": "https://oauth2.googleapis.com/token"}"#;
            key.map(|key| entry(key, file)).into_iter().collect()
        }
        AuthKind::Bearer | AuthKind::Header | AuthKind::WorkloadIdentity | AuthKind::None => {
            key.map(|key| entry(key, "supposed")).into_iter().collect()
        }
    }
}

/// Reads the JSON file of a service account's key.
fn google(value: &SecretBytes, dev: bool) -> Result<GoogleKey, &'static str> {
    #[derive(Deserialize)]
    struct File {
        r#type: Option<String>,
        client_email: Option<String>,
        private_key: Option<String>,
        private_key_id: Option<String>,
        token_uri: Option<String>,
    }
    let file: File = serde_json::from_slice(value.expose())
        .map_err(|_| "is not the JSON key file of a service account")?;
    let private_key = Zeroizing::new(file.private_key.unwrap_or_default());
    if file.r#type.as_deref() != Some("service_account") {
        return Err("is not of type service_account: make a key of a service account");
    }
    let printable = |text: &String| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    let client_email =
        file.client_email.filter(printable).ok_or("has no client_email that is one")?;
    if !private_key.starts_with("-----BEGIN PRIVATE KEY-----") {
        return Err("has no private_key that is PEM of PKCS #8");
    }
    let token_uri = file.token_uri.filter(printable).ok_or("has no token_uri that is a URL")?;
    let url = Url::parse(&token_uri).map_err(|_| "has no token_uri that is a URL")?;
    let host = url.host_str().unwrap_or_default();
    let googles = host == "googleapis.com" || host.ends_with(".googleapis.com");
    let plain = url.username().is_empty() && url.password().is_none();
    let fine = url.scheme() == "https" && googles && url.port().is_none() && plain;
    if !(fine || (dev && plain && !host.is_empty())) {
        return Err("has a token_uri that is not https on a host of googleapis.com");
    }
    Ok(GoogleKey {
        client_email,
        private_key_id: file.private_key_id.filter(|id| !id.is_empty()),
        private_key: private_key.as_str().into(),
        token_uri,
    })
}

/// Reads a Secret's value as a key; the error says what is wrong with it and never quotes it.
pub(crate) fn parse(value: &SecretBytes) -> Result<Zeroizing<String>, &'static str> {
    let text = std::str::from_utf8(value.expose()).map_err(|_| "is not UTF-8 text")?;
    // Files that are made by `echo` or an editor end with a newline.
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.trim().is_empty() {
        return Err("is empty");
    }
    if let Some((scheme, rest)) = text.trim_start().split_once([' ', '\t'])
        && scheme.eq_ignore_ascii_case("bearer")
        && !rest.trim().is_empty()
    {
        return Err("begins with `Bearer`: store the key alone, without the scheme");
    }
    if text.chars().any(char::is_control) {
        return Err("holds a control character, such as a line break");
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("holds a space or a character that is not ASCII");
    }
    Ok(Zeroizing::new(text.to_owned()))
}

/// The short keyed hash that stands in `status.credentialVersion`: it changes when the key does,
/// tells nothing about the key, and is not the same for two targets that share one.
pub(crate) fn version(key: &SecretBytes, target: &ObjectId, material: &Material) -> String {
    let parts = [target.to_string().as_bytes(), b"\0", &material.canonical()].concat();
    let message = Zeroizing::new(parts);
    hex::encode(&Hmac::new(key.expose()).of(&message)[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<String, &'static str> {
        parse(&SecretBytes::new(text.to_vec())).map(|text| text.to_string())
    }

    #[test]
    fn a_key_is_what_fits_a_header() {
        assert_eq!(read(b"sk-1").unwrap(), "sk-1");
        assert_eq!(read(b"sk-1\n").unwrap(), "sk-1");
        assert_eq!(read(b"sk-1\r\n").unwrap(), "sk-1");
        assert_eq!(read(b"bearer").unwrap(), "bearer");
        for bad in [
            &b""[..],
            b"\n",
            b" ",
            b"sk\n1",
            b"sk-1\n\n",
            b"sk\x001",
            b"sk 1",
            b" sk-1",
            b"\xff",
            "schl\u{fc}ssel".as_bytes(),
            b"Bearer sk-1",
            b"bearer\tsk-1",
            b"BEARER  sk-1\n",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nothing_prints_a_key() {
        let secret = SecretBytes::new(b"sk-1".to_vec());
        let material = Material::from(parse(&secret).unwrap().as_str());
        let state = CredentialState::Present { version: 1, material };
        assert!(!format!("{secret:?} {state:?}").contains("sk-1"));
    }

    #[test]
    fn the_version_moves_with_the_key_and_differs_between_targets() {
        let key = SecretBytes::new(vec![7; 32]);
        let of = |name: &str, secret: &str| {
            let secret = SecretBytes::new(secret.as_bytes().to_vec());
            let material = Material::from(parse(&secret).unwrap().as_str());
            version(&key, &ObjectId::new("shop", name), &material)
        };
        assert_eq!(of("a", "one").len(), 8);
        assert_eq!(of("a", "one"), of("a", "one\n"));
        assert_ne!(of("a", "one"), of("a", "two"));
        assert_ne!(of("a", "one"), of("b", "one"));
    }

    fn secret(pairs: &[(&str, &str)]) -> SecretData {
        let value = |text: &str| SecretBytes::new(text.as_bytes().to_vec());
        let data = pairs.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect();
        SecretData { data, ..SecretData::default() }
    }

    #[test]
    fn an_access_key_of_aws_is_of_fixed_names() {
        let of =
            |pairs: &[(&str, &str)]| super::read(AuthKind::AWSSigV4, &secret(pairs), None, false);
        let (id, key, token) =
            (("access-key-id", "AKIA"), ("secret-access-key", "s"), ("session-token", "t\n"));
        let Ok(Material::Aws(found)) = of(&[id, key, token]) else { panic!() };
        assert!(found.session_token.is_some());
        let Ok(Material::Aws(found)) = of(&[id, key]) else { panic!() };
        assert!(found.session_token.is_none());
        assert_eq!(of(&[id]), Err(Unfit::NoKey("secret-access-key".to_owned())));
        let bad = of(&[id, ("secret-access-key", "a b")]).unwrap_err();
        assert!(matches!(bad, Unfit::Bad(key, _) if key == "secret-access-key"));
        assert!(of(&[id, key, ("session-token", "")]).is_err());
    }

    #[test]
    fn a_service_accounts_key_gives_its_token_where_google_does() {
        let file = |change: &[(&str, serde_json::Value)]| {
            let mut file = serde_json::json!({
                "type": "service_account", "client_email": "m@p.iam.gserviceaccount.com",
                "private_key": "-----BEGIN PRIVATE KEY-----\ncanary", "private_key_id": "k1",
                "token_uri": "https://oauth2.googleapis.com/token", "project_id": "p",
            });
            for (name, value) in change {
                file[name] = value.clone();
            }
            secret(&[("key.json", &file.to_string())])
        };
        let kind = AuthKind::GoogleServiceAccount;
        let of = |change: &[(&str, serde_json::Value)], dev| {
            super::read(kind, &file(change), Some("key.json"), dev)
        };
        assert!(matches!(of(&[], false), Ok(Material::Google(_))));
        for wrong in [
            ("type", "authorized_user".into()),
            ("type", "external_account".into()),
            ("client_email", "".into()),
            ("private_key", "canary".into()),
            ("private_key", serde_json::Value::Null),
            ("token_uri", serde_json::Value::Null),
            ("token_uri", "http://oauth2.googleapis.com/token".into()),
            ("token_uri", "https://evil.example/token".into()),
            ("token_uri", "https://oauth2.googleapis.com.evil.example/token".into()),
            ("token_uri", "https://oauth2.googleapis.com:8443/token".into()),
            ("token_uri", "https://evilgoogleapis.com/token".into()),
        ] {
            let shown = format!(
                "{:?}",
                of(std::slice::from_ref(&wrong), false).expect_err(&wrong.1.to_string())
            );
            assert!(!shown.contains("canary"), "{shown}");
        }
        assert!(of(&[("token_uri", "http://127.0.0.1:9/token".into())], true).is_ok());
        assert!(of(&[("token_uri", "http://u:p@127.0.0.1:9/token".into())], true).is_err());
        let text = super::read(kind, &secret(&[("key.json", "sk-1")]), Some("key.json"), false);
        assert!(matches!(text, Err(Unfit::Bad(..))));
        let none = super::read(kind, &secret(&[]), Some("key.json"), false);
        assert_eq!(none, Err(Unfit::NoKey("key.json".to_owned())));
    }
}
