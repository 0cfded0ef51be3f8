//! The stream's bytes as they were before the controller compressed them, a bounded piece at a
//! time: how much a few bytes may stand for is for whoever reads the pieces to judge.

use std::io;

use zstd::stream::raw::{Decoder, InBuffer, Operation as _, OutBuffer};

/// The largest piece.
const PIECE: usize = 64 << 10;

/// Undoes the stream's content encoding.
pub(super) enum Inflate {
    /// There is none.
    Identity,
    /// It is zstd.
    Zstd(Box<Decoder<'static>>, Vec<u8>),
}

impl Inflate {
    /// For this content encoding.
    pub(super) fn new(encoding: Option<&str>) -> io::Result<Self> {
        match encoding {
            None | Some("identity") => Ok(Self::Identity),
            Some("zstd") => Ok(Self::Zstd(Box::new(Decoder::new()?), vec![0; PIECE])),
            Some(other) => {
                let message = format!("the content encoding {other:?} was not asked for");
                Err(io::Error::new(io::ErrorKind::Unsupported, message))
            }
        }
    }

    /// Takes from `bytes` what makes the next piece; `None` once nothing is left of them.
    pub(super) fn piece<'s, 'b: 's>(
        &'s mut self,
        bytes: &mut &'b [u8],
    ) -> io::Result<Option<&'s [u8]>> {
        match self {
            Self::Identity => Ok(Some(std::mem::take(bytes)).filter(|piece| !piece.is_empty())),
            Self::Zstd(decoder, piece) => loop {
                let mut input = InBuffer::around(bytes);
                let mut output = OutBuffer::around(&mut piece[..]);
                decoder.run(&mut input, &mut output)?;
                let (read, written) = (input.pos(), output.pos());
                *bytes = &bytes[read..];
                if written > 0 {
                    return Ok(Some(&piece[..written]));
                }
                if read == 0 {
                    return Ok(None);
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_pieces_give_what_was_compressed() {
        let text: Vec<u8> = (0..300_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let packed = zstd::encode_all(&text[..], 1).unwrap();
        let mut inflate = Inflate::new(Some("zstd")).unwrap();
        let mut back = Vec::new();
        for mut chunk in packed.chunks(1000) {
            while let Some(piece) = inflate.piece(&mut chunk).unwrap() {
                assert!(piece.len() <= PIECE);
                back.extend_from_slice(piece);
            }
        }
        assert_eq!(back, text);
        assert!(Inflate::new(Some("gzip")).is_err());
        let mut noise = &b"this is no zstd at all"[..];
        assert!(Inflate::new(Some("zstd")).unwrap().piece(&mut noise).is_err());
    }
}
