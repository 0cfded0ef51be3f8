//! Unpacking an answer that came packed although `identity` was asked for: in pieces, so that a
//! stream stays one, and never beyond the limits that hold for plain bytes.

use std::io::Write as _;

use bytes::Bytes;
use flate2::write::GzDecoder;

/// Packed bytes that are unpacked at a time: a piece cannot grow a thousandfold unseen.
const PIECE: usize = 4096;

/// Unpacks one answer.
pub(crate) struct Unpacker {
    decoder: GzDecoder<Vec<u8>>,
}

/// Why bytes were not unpacked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unpackable {
    /// They are no gzip.
    Malformed,
    /// Unpacked they are more than `limit`.
    TooLarge,
}

impl Default for Unpacker {
    fn default() -> Self {
        Self { decoder: GzDecoder::new(Vec::new()) }
    }
}

impl Unpacker {
    /// Unpacks the next bytes, to at most `limit`.
    pub(crate) fn push(&mut self, packed: &[u8], limit: usize) -> Result<Bytes, Unpackable> {
        for piece in packed.chunks(PIECE) {
            self.decoder.write_all(piece).map_err(|_| Unpackable::Malformed)?;
            self.decoder.flush().map_err(|_| Unpackable::Malformed)?;
            if self.decoder.get_ref().len() > limit {
                return Err(Unpackable::TooLarge);
            }
        }
        Ok(Bytes::from(std::mem::take(self.decoder.get_mut())))
    }

    /// The end: what was left inside, or that the end is missing.
    pub(crate) fn finish(mut self) -> Result<Bytes, Unpackable> {
        self.decoder.try_finish().map_err(|_| Unpackable::Malformed)?;
        self.decoder.finish().map(Bytes::from).map_err(|_| Unpackable::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn pack(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn any_split_gives_the_same() {
        let plain = b"data: {\"a\":1}\n\ndata: [DONE]\n\n";
        let packed = pack(plain);
        for split in 0..packed.len() {
            let mut unpacker = Unpacker::default();
            let mut out = unpacker.push(&packed[..split], 1024).unwrap().to_vec();
            out.extend_from_slice(&unpacker.push(&packed[split..], 1024).unwrap());
            out.extend_from_slice(&unpacker.finish().unwrap());
            assert_eq!(out, plain, "split at {split}");
        }
    }

    #[test]
    fn bombs_and_garbage_end() {
        let bomb = pack(&vec![0; 64 << 20]);
        assert_eq!(Unpacker::default().push(&bomb, 1 << 20), Err(Unpackable::TooLarge));
        let html = b"<html>busy</html>";
        assert_eq!(Unpacker::default().push(html, 1024), Err(Unpackable::Malformed));
        let mut cut = Unpacker::default();
        let packed = pack(b"hello");
        cut.push(&packed[..packed.len() - 4], 1024).unwrap();
        assert_eq!(cut.finish(), Err(Unpackable::Malformed));
    }
}
