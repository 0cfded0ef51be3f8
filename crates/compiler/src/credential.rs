//! Credentials: what a Secret's value must be to go into a header, and the version that shows that
//! it was rotated without showing what it is.

use std::fmt;

use routing::ObjectId;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

use crate::world::SecretBytes;

/// A key as the provider gave it: printable ASCII, without the scheme that its header may have.
/// Redacted when printed, wiped when dropped, and nothing serialises it.
#[derive(Clone)]
pub struct Credential(SecretString);

impl Credential {
    /// The key, for who puts it into a header or keeps it out of a log.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Credential {}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What a target's credential is now. A target without one of these states says nothing of it:
/// whoever holds a credential for it keeps that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialState {
    /// It is there.
    Present {
        /// The Secret's resourceVersion as an integer.
        version: u64,
        /// The key.
        material: Credential,
    },
    /// There is none, or it may not be sent to this target: what was there is revoked at once.
    Absent,
    /// It is there and unusable: the last good one goes on for 10 minutes.
    Invalid {
        /// The Secret's resourceVersion as an integer.
        version: u64,
    },
}

/// Reads a Secret's value as a key; the error says what is wrong with it and never quotes it.
pub(crate) fn parse(value: &SecretBytes) -> Result<Credential, &'static str> {
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
    Ok(Credential(text.into()))
}

/// The short keyed hash that stands in `status.credentialVersion`: it changes when the key does,
/// tells nothing about the key, and is not the same for two targets that share one.
pub(crate) fn version(key: &SecretBytes, target: &ObjectId, material: &Credential) -> String {
    let message = [target.to_string().as_bytes(), b"\0", material.expose().as_bytes()].concat();
    hex::encode(&hmac_sha256(key.expose(), &message)[..4])
}

/// HMAC of RFC 2104 over SHA-256.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut padded = [0; BLOCK];
    if key.len() > BLOCK {
        padded[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        padded[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(padded.map(|b| b ^ 0x36)).chain_update(message);
    let outer = Sha256::new().chain_update(padded.map(|b| b ^ 0x5c));
    outer.chain_update(inner.finalize()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<String, &'static str> {
        parse(&SecretBytes::new(text.to_vec())).map(|c| c.expose().to_owned())
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
        let material = parse(&secret).unwrap();
        let state = CredentialState::Present { version: 1, material };
        assert!(!format!("{secret:?} {state:?}").contains("sk-1"));
    }

    /// Test case 2 of RFC 4231, and a key longer than a block (case 6).
    #[test]
    fn the_hash_is_hmac() {
        assert_eq!(
            hex::encode(hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let long = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(
            hex::encode(hmac_sha256(&[0xaa; 131], long)),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn the_version_moves_with_the_key_and_differs_between_targets() {
        let key = SecretBytes::new(vec![7; 32]);
        let of = |name: &str, secret: &str| {
            let secret = SecretBytes::new(secret.as_bytes().to_vec());
            version(&key, &ObjectId::new("shop", name), &parse(&secret).unwrap())
        };
        assert_eq!(of("a", "one").len(), 8);
        assert_eq!(of("a", "one"), of("a", "one\n"));
        assert_ne!(of("a", "one"), of("a", "two"));
        assert_ne!(of("a", "one"), of("b", "one"));
    }
}
