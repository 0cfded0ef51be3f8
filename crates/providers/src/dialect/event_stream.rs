//! AWS event stream: binary frames, each of a prelude (lengths and their CRC), headers, a payload
//! and a CRC over all. Lengths are checked before anything is kept, and nothing is reserved by what
//! a length declares: what is kept is what has come.
//!
//! Source: the event stream encoding of the AWS SDKs (`application/vnd.amazon.eventstream`).

use bytes::{Buf as _, Bytes, BytesMut};

use crate::stream::MAX_EVENT;

/// Prelude: total length, length of the headers, CRC of both.
const PRELUDE: usize = 12;
/// The prelude and the CRC behind the payload.
const FRAME: usize = 16;
/// The most headers may take.
const MAX_HEADERS: usize = 128 << 10;

/// Why frames cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("The provider sent a frame of impossible length.")]
    Length,
    #[error("The provider sent a frame of more than 16 MiB.")]
    TooLong,
    #[error("The provider sent a frame whose checksum is wrong.")]
    Checksum,
    #[error("The provider sent a frame whose headers cannot be read.")]
    Headers,
}

/// A frame's headers that mean something to us, and its payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) message_type: String,
    /// `:event-type`, `:exception-type` or `:error-code`.
    pub(super) name: String,
    /// `:error-message`.
    pub(super) message: String,
    pub(super) payload: Bytes,
}

/// Cuts a stream of bytes into frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    held: BytesMut,
}

impl Frames {
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.held.extend_from_slice(chunk);
    }

    /// Whether half a frame is left.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        let held = &self.held[..];
        let (Some(total), Some(headers), Some(crc)) = (word(held, 0), word(held, 4), word(held, 8))
        else {
            return Ok(None);
        };
        if crc32fast::hash(&held[..8]) != crc {
            return Err(FrameError::Checksum);
        }
        let (total, headers) = (total as usize, headers as usize);
        if total > MAX_EVENT {
            return Err(FrameError::TooLong);
        }
        if total < FRAME || headers > MAX_HEADERS || headers > total - FRAME {
            return Err(FrameError::Length);
        }
        if held.len() < total {
            return Ok(None);
        }
        let whole = self.held.split_to(total).freeze();
        if word(&whole, total - 4) != Some(crc32fast::hash(&whole[..total - 4])) {
            return Err(FrameError::Checksum);
        }
        let mut frame =
            Frame { payload: whole.slice(PRELUDE + headers..total - 4), ..Frame::default() };
        read_headers(&whole[PRELUDE..PRELUDE + headers], &mut frame).ok_or(FrameError::Headers)?;
        Ok(Some(frame))
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Reads headers: the length of the name, the name, the type, the value.
fn read_headers(mut rest: &[u8], frame: &mut Frame) -> Option<()> {
    while !rest.is_empty() {
        let length = usize::from(rest[0]);
        let name = rest.get(1..=length)?;
        rest = &rest[1 + length..];
        let kind = *rest.first()?;
        rest.advance(1);
        let length = match kind {
            0 | 1 => 0,
            2 => 1,
            3 => 2,
            4 => 4,
            5 | 8 => 8,
            6 | 7 => {
                let length = u16::from_be_bytes(rest.get(..2)?.try_into().ok()?);
                rest.advance(2);
                usize::from(length)
            }
            9 => 16,
            _ => return None,
        };
        let value = rest.get(..length)?;
        rest = &rest[length..];
        if kind == 7 {
            let value = String::from_utf8_lossy(value).into_owned();
            match name {
                b":message-type" => frame.message_type = value,
                b":event-type" | b":exception-type" | b":error-code" => frame.name = value,
                b":error-message" => frame.message = value,
                _ => {}
            }
        }
    }
    Some(())
}

/// A frame, as a provider would write it.
#[cfg(test)]
pub(super) fn encode(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap());
        head.extend_from_slice(name.as_bytes());
        head.push(7);
        head.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let total = FRAME + head.len() + payload.len();
    let mut out = u32::try_from(total).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(&u32::try_from(head.len()).unwrap().to_be_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(chunks: &[&[u8]]) -> Result<Vec<Frame>, FrameError> {
        let mut frames = Frames::default();
        let mut out = Vec::new();
        for chunk in chunks {
            frames.push(chunk);
            while let Some(frame) = frames.next()? {
                out.push(frame);
            }
        }
        Ok(out)
    }

    fn two() -> Vec<u8> {
        let headers = [(":message-type", "event"), (":event-type", "messageStop")];
        [encode(&headers, b"{}"), encode(&headers, b"{\"a\":1}")].concat()
    }

    #[test]
    fn the_same_frames_at_every_split() {
        let bytes = two();
        let whole = frames(&[&bytes]).unwrap();
        assert_eq!(whole.len(), 2);
        assert_eq!(
            (whole[1].name.as_str(), &whole[1].payload[..]),
            ("messageStop", &b"{\"a\":1}"[..])
        );
        for at in 0..=bytes.len() {
            assert_eq!(frames(&[&bytes[..at], &bytes[at..]]).unwrap(), whole);
        }
    }

    #[test]
    fn one_wrong_bit_is_seen() {
        let bytes = two();
        let first = bytes.len() / 2 - 4;
        for at in 0..first {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert!(frames(&[&wrong]).is_err(), "at {at}");
        }
    }

    #[test]
    fn a_declared_length_is_checked_before_anything_is_kept() {
        let prelude = |total: u32, headers: u32| {
            let mut out = [total.to_be_bytes(), headers.to_be_bytes()].concat();
            out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
            out
        };
        for (total, headers, error) in [
            (u32::MAX, 0, FrameError::TooLong),
            (15, 0, FrameError::Length),
            (100, 85, FrameError::Length),
            (16 << 20, 1 << 20, FrameError::Length),
        ] {
            assert_eq!(frames(&[&prelude(total, headers)]), Err(error), "{total} {headers}");
        }
    }
}
