//! Frames to bytes and back. Both sides chain a checksum over every line since the last COMMIT, so
//! that what a COMMIT lets take effect is what was sent, to the bit.

use routing::Digest;
use zeroize::Zeroize as _;

use crate::{Commit, Counts, Frame, MAX_LINE, frame};

/// A frame that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// Its line would be too long.
    #[error("a frame of {bytes} bytes is over the limit of {MAX_LINE}")]
    TooLong {
        /// How long it would be.
        bytes: usize,
    },
    /// It has no JSON form.
    #[error("a frame has no JSON form: {0}")]
    Json(#[from] serde_json::Error),
}

/// Bytes that are no stream of frames: whatever came since the last COMMIT is void.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A line does not end.
    #[error("a line is over the limit of {MAX_LINE} bytes")]
    TooLong,
    /// A line is no frame. What it says is left out: it may have been about a credential.
    #[error("line {line} is no frame (column {column})")]
    Malformed {
        /// Which one, counted from 1.
        line: u64,
        /// Where it goes wrong.
        column: usize,
    },
    /// What came is not what was sent.
    #[error("the checksum of the COMMIT in line {line} does not fit what came before it")]
    Checksum {
        /// Which one, counted from 1.
        line: u64,
    },
}

/// The checksum after one more line.
fn chain(sum: Digest, line: &[u8]) -> Digest {
    Digest::of_parts([sum.as_bytes(), line])
}

/// The checksum that a COMMIT carries: over what came before it and what it says itself.
fn seal(sum: Digest, commit: &Commit) -> Digest {
    let Counts { aliases, targets, credentials, keys, hashes } = commit.counts;
    let counts = [aliases, targets, credentials, keys, hashes].map(|n| (n as u64).to_le_bytes());
    Digest::of_parts([sum.as_bytes(), commit.revision.as_bytes(), counts.as_flattened()])
}

/// Writes frames.
#[derive(Debug, Default)]
pub struct Encoder {
    sum: Digest,
}

impl Encoder {
    /// Appends the frame's line to `out`, which is as it was when this fails.
    pub fn encode(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        let checksum = match frame {
            Frame::Commit(commit) => seal(self.sum, commit),
            _ => self.sum,
        };
        let mut written = frame::write(frame, checksum, out).map_err(EncodeError::from);
        let bytes = out.len() - start;
        if written.is_ok() && bytes > MAX_LINE {
            written = Err(EncodeError::TooLong { bytes });
        }
        if let Err(error) = written {
            out.truncate(start);
            return Err(error);
        }
        self.sum = match frame {
            Frame::Commit(_) => Digest::default(),
            _ => chain(self.sum, &out[start..]),
        };
        out.push(b'\n');
        Ok(())
    }
}

/// Reads frames from bytes that come in any pieces.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Up to here the buffer was read.
    read: usize,
    /// Up to here it holds no end of a line that was not read.
    searched: usize,
    sum: Digest,
    line: u64,
}

impl Decoder {
    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.read > 0 {
            // What was read may have held a credential.
            self.buffer[..self.read].zeroize();
            self.buffer.drain(..self.read);
            self.searched -= self.read;
            self.read = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, if all of it is there. After an error there is none.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, DecodeError> {
        loop {
            let end = self.buffer[self.searched..].iter().position(|b| *b == b'\n');
            let Some(end) = end.map(|at| self.searched + at) else {
                self.searched = self.buffer.len();
                return match self.buffer.len() - self.read {
                    0..=MAX_LINE => Ok(None),
                    _ => Err(DecodeError::TooLong),
                };
            };
            let start = self.read;
            self.read = end + 1;
            self.searched = end + 1;
            if end - start > MAX_LINE {
                return Err(DecodeError::TooLong);
            }
            self.line += 1;
            if end > start {
                return self.frame(start, end).map(Some);
            }
        }
    }

    fn frame(&mut self, start: usize, end: usize) -> Result<Frame, DecodeError> {
        let line = &self.buffer[start..end];
        let (frame, checksum) = frame::read(line)
            .map_err(|error| DecodeError::Malformed { line: self.line, column: error.column() })?;
        match (&frame, checksum) {
            (Frame::Commit(commit), Some(checksum)) => {
                if checksum != seal(self.sum, commit) {
                    return Err(DecodeError::Checksum { line: self.line });
                }
                self.sum = Digest::default();
            }
            _ => self.sum = chain(self.sum, line),
        }
        Ok(frame)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}
