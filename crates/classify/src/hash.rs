//! CRC-32 (the polynomial of zlib, reflected: 0xEDB88320) piece by piece, so that n-grams with the
//! same beginning share the work. Sixteen bits of it are the bucket of a feature.

/// How many buckets features are hashed into.
pub(crate) const BUCKETS: usize = 1 << 16;

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0_u32;
    while at < 256 {
        let (mut value, mut bit) = (at, 0);
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ 0xEDB8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[at as usize] = value;
        at += 1;
    }
    table
}

/// A checksum under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hash(u32);

impl Hash {
    /// Of what begins with `prefix`.
    pub(crate) const fn new(prefix: &str) -> Self {
        let (bytes, mut hash, mut at) = (prefix.as_bytes(), Self(u32::MAX), 0);
        while at < bytes.len() {
            hash = hash.byte(bytes[at]);
            at += 1;
        }
        hash
    }

    const fn byte(self, byte: u8) -> Self {
        Self((self.0 >> 8) ^ TABLE[((self.0 & 0xFF) as u8 ^ byte) as usize])
    }

    #[inline]
    pub(crate) fn then(self, bytes: &[u8]) -> Self {
        bytes.iter().fold(self, |hash, byte| hash.byte(*byte))
    }

    /// The checksum of what was hashed.
    pub(crate) fn sum(self) -> u32 {
        !self.0
    }

    /// The bucket of what was hashed.
    #[inline]
    pub(crate) fn bucket(self) -> u16 {
        (!self.0 & 0xFFFF) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_crc_32() {
        assert_eq!(Hash::new("123456789").sum(), 0xCBF4_3926);
        assert_eq!(Hash::new("1234").then(b"56789").bucket(), 0x3926);
    }
}
