//! Server-sent events, cut out of a stream of bytes wherever the network split it. An event is a
//! slice of what came, its blank line included: joined together, the events are the bytes.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

/// Where the scan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// At the start of a line.
    Start,
    /// Within a line that is not empty.
    Line,
    /// Behind a CR; whether an LF belongs to it is not known yet.
    Cr {
        /// Whether the line was empty.
        blank: bool,
    },
}

/// Cuts a stream into events.
#[derive(Debug)]
pub(crate) struct Splitter {
    /// The begun event, from earlier chunks. All of it is scanned.
    carry: BytesMut,
    /// What came last; none of it is scanned.
    chunk: Bytes,
    at: At,
    max: usize,
}

/// An event is longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Splitter {
    /// Events of at most `max` bytes.
    pub(crate) fn new(max: usize) -> Self {
        Self { carry: BytesMut::new(), chunk: Bytes::new(), at: At::Start, max }
    }

    /// More bytes. What came before must have been taken by [`Self::next`].
    pub(crate) fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty(), "events are taken before more is pushed");
        self.chunk = chunk;
    }

    /// The next whole event.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        let mut at = 0;
        while let Some(&byte) = self.chunk.get(at) {
            let blank = match (self.at, byte) {
                (At::Line, _) => {
                    match memchr::memchr2(b'\n', b'\r', &self.chunk[at..]) {
                        None => at = self.chunk.len(),
                        Some(found) => {
                            at += found + 1;
                            self.at = if self.chunk[at - 1] == b'\n' {
                                At::Start
                            } else {
                                At::Cr { blank: false }
                            };
                        }
                    }
                    false
                }
                (At::Start, b'\n') => {
                    at += 1;
                    true
                }
                (At::Start, b'\r') => {
                    at += 1;
                    self.at = At::Cr { blank: true };
                    false
                }
                (At::Start, _) => {
                    self.at = At::Line;
                    false
                }
                (At::Cr { blank }, byte) => {
                    at += usize::from(byte == b'\n');
                    self.at = At::Start;
                    blank
                }
            };
            if self.carry.len() + at > self.max {
                return Err(TooLong);
            }
            if blank {
                return Ok(Some(self.cut(at)));
            }
        }
        let rest = std::mem::take(&mut self.chunk);
        self.carry.extend_from_slice(&rest);
        Ok(None)
    }

    /// What is left when the stream has ended: an event whose blank line is missing.
    pub(crate) fn rest(&mut self) -> Option<Bytes> {
        self.at = At::Start;
        (!self.carry.is_empty()).then(|| self.carry.split().freeze())
    }

    fn cut(&mut self, at: usize) -> Bytes {
        let head = self.chunk.split_to(at);
        if self.carry.is_empty() {
            return head;
        }
        self.carry.extend_from_slice(&head);
        self.carry.split().freeze()
    }
}

/// The fields of an event that mean something to us.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields<'b> {
    /// `event`.
    pub(crate) name: &'b [u8],
    /// The `data` lines, joined by LF.
    pub(crate) data: Cow<'b, [u8]>,
}

/// Reads an event's fields. Comments, `id`, `retry` and unknown fields are passed over.
pub(crate) fn fields(event: &[u8]) -> Fields<'_> {
    let mut fields = Fields::default();
    let mut any = false;
    let mut rest = event.strip_prefix(b"\xef\xbb\xbf").unwrap_or(event);
    while !rest.is_empty() {
        let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"event" => fields.name = value,
            b"data" if !any => {
                any = true;
                fields.data = Cow::Borrowed(value);
            }
            b"data" => {
                let joined = fields.data.to_mut();
                joined.push(b'\n');
                joined.extend_from_slice(value);
            }
            _ => {}
        }
    }
    fields
}

#[cfg(test)]
#[path = "sse_tests.rs"]
mod tests;
