//! The keys that all replicas must have alike, now and later: derived (HKDF, RFC 5869, SHA-256) from
//! the one secret in `RELEASE-keys`, so that no two of them are the same and none tells another.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use compiler::SecretBytes;
use routing::Digest;
use wire::AdminToken;

/// How long each is, and the least that they are derived from, in bytes.
pub(super) const LENGTH: usize = 32;

/// The derived keys.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// What opens a router's `/config`; `None`: it is open.
    pub(crate) admin: Option<AdminToken>,
    /// Of the hashes that stand for credentials on the stream.
    pub(crate) credential_hashes: SecretBytes,
    /// Of `status.credentialVersion`.
    pub(crate) credential_versions: SecretBytes,
    /// Of the hashes that stand for callers' keys, which routers make too.
    pub(crate) key_hashes: SecretBytes,
}

/// A length, as the derivation wants it.
#[derive(Clone, Copy, Debug)]
struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        LENGTH
    }
}

impl Keys {
    /// Those of this secret; `None` where it is too short to be one.
    pub(crate) fn of(secret: &SecretBytes) -> Option<Self> {
        if secret.expose().len() < LENGTH {
            return None;
        }
        let derived = Salt::new(HKDF_SHA256, b"moniker.dev").extract(secret.expose());
        let key = |purpose: &str| {
            let mut key = vec![0; LENGTH];
            derived.expand(&[purpose.as_bytes()], Length).ok()?.fill(&mut key).ok()?;
            Some(SecretBytes::new(key))
        };
        let admin = key("admin token")?;
        Some(Self {
            admin: Some(AdminToken::new(hex::encode(admin.expose()))),
            credential_hashes: key("credential hashes")?,
            credential_versions: key("credential versions")?,
            key_hashes: key("hashes of callers' keys")?,
        })
    }

    /// Those of a stream that is open to this machine: the same for all controllers of a cluster,
    /// and no secret. The hashes stay in the cluster and on loopback, and are too short to tell what
    /// they are of.
    pub(crate) fn open(cluster: &str) -> Self {
        let key = |purpose: &str| {
            let half = |n: u8| Digest::of_parts([cluster.as_bytes(), purpose.as_bytes(), &[n]]);
            SecretBytes::new([half(0).as_bytes(), half(1).as_bytes()].concat())
        };
        Self {
            admin: None,
            credential_hashes: key("credential hashes"),
            credential_versions: key("credential versions"),
            key_hashes: key("hashes of callers' keys"),
        }
    }

    /// A new secret, from the system's randomness.
    pub(super) fn secret() -> Result<SecretBytes, aws_lc_rs::error::Unspecified> {
        let mut bytes = vec![0; LENGTH];
        aws_lc_rs::rand::fill(&mut bytes)?;
        Ok(SecretBytes::new(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_secret_gives_every_replica_the_same_keys_and_no_two_alike() {
        let of = |byte| Keys::of(&SecretBytes::new(vec![byte; LENGTH])).unwrap();
        let (one, same, other) = (of(1), of(1), of(2));
        assert_eq!(one.admin, same.admin);
        assert_eq!(one.credential_hashes, same.credential_hashes);
        assert_eq!(one.credential_versions, same.credential_versions);
        assert_ne!(one.admin, other.admin);
        assert_ne!(one.credential_hashes, one.credential_versions);
        let printed = format!("{one:?}");
        assert!(!printed.contains(one.admin.as_ref().unwrap().expose()), "{printed}");
        assert!(Keys::of(&SecretBytes::new(vec![1; LENGTH - 1])).is_none());
        assert_ne!(Keys::secret().unwrap(), Keys::secret().unwrap());
    }
}
