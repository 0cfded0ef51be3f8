//! HMAC of RFC 2104 over SHA-256: the keyed hashes that stand for secrets where the secret itself
//! must not be.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The block of SHA-256, in bytes.
const BLOCK: usize = 64;

/// A key, worked in once: a hash of a short message then costs two blocks. Redacted when printed.
#[derive(Clone)]
pub struct Hmac {
    inner: Sha256,
    outer: Sha256,
}

impl Hmac {
    /// With this key.
    pub fn new(key: &[u8]) -> Self {
        let mut padded = [0; BLOCK];
        if key.len() > BLOCK {
            padded[..32].copy_from_slice(&Sha256::digest(key));
        } else {
            padded[..key.len()].copy_from_slice(key);
        }
        Self {
            inner: Sha256::new().chain_update(padded.map(|b| b ^ 0x36)),
            outer: Sha256::new().chain_update(padded.map(|b| b ^ 0x5c)),
        }
    }

    /// The code of a message.
    pub fn of(&self, message: &[u8]) -> [u8; 32] {
        let inner = self.inner.clone().chain_update(message).finalize();
        self.outer.clone().chain_update(inner).finalize().into()
    }
}

impl fmt::Debug for Hmac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 2 of RFC 4231, and a key longer than a block (case 6).
    #[test]
    fn it_is_that_of_the_rfc() {
        assert_eq!(
            hex::encode(Hmac::new(b"Jefe").of(b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let long = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(
            hex::encode(Hmac::new(&[0xaa; 131]).of(long)),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
