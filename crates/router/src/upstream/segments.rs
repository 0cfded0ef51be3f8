//! A request body of known length in a few slices: a caller's body with its edits spliced in,
//! nothing copied.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use smallvec::SmallVec;

/// Slices that are sent one after another. Cheap to clone: every attempt sends its own.
#[derive(Clone, Debug, Default)]
pub struct Segments {
    /// The one edit of most requests makes three slices of a body.
    slices: SmallVec<[Bytes; 4]>,
    next: usize,
    left: u64,
}

impl Segments {
    /// No body.
    pub fn empty() -> Self {
        Self::default()
    }

    /// How many bytes are left to send.
    pub fn len(&self) -> u64 {
        self.left
    }

    /// Whether nothing is left to send.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// What is left to send.
    pub fn slices(&self) -> impl Iterator<Item = &Bytes> {
        self.slices.iter().skip(self.next)
    }

    /// Adds a slice at the end.
    pub fn push(&mut self, slice: Bytes) {
        if !slice.is_empty() {
            self.left += slice.len() as u64;
            self.slices.push(slice);
        }
    }
}

impl FromIterator<Bytes> for Segments {
    fn from_iter<I: IntoIterator<Item = Bytes>>(slices: I) -> Self {
        let mut out = Self::default();
        slices.into_iter().for_each(|slice| out.push(slice));
        out
    }
}

impl From<Bytes> for Segments {
    fn from(slice: Bytes) -> Self {
        Self::from_iter([slice])
    }
}

impl Body for Segments {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let Some(slice) = this.slices.get_mut(this.next) else { return Poll::Ready(None) };
        let slice = std::mem::take(slice);
        this.next += 1;
        this.left -= slice.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
