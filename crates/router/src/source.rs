//! The bytes of a provider's answer, in plain: one that came packed is unpacked as it comes, within
//! the limits that hold for plain bytes.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body as _;

use crate::{
    gzip::{Unpackable, Unpacker},
    upstream::PooledBody,
};

/// The most that one piece may unpack to.
const PIECE: usize = 16 << 20;

/// An answer's body.
pub(crate) struct Source {
    body: PooledBody,
    unpacker: Option<Unpacker>,
}

/// Why an answer's bytes do not go on.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The connection was lost.
    Lost(String),
    /// It is packed in a way that cannot be undone here.
    Packed(&'static str),
    /// It is larger than what is read.
    TooLarge,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lost(message) => f.write_str(message),
            Self::Packed(what) => f.write_str(what),
            Self::TooLarge => f.write_str("the answer is larger than this router reads"),
        }
    }
}

impl Source {
    /// The body of a response with these headers.
    pub(crate) fn new(body: PooledBody, headers: &HeaderMap) -> Result<Self, Broken> {
        let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
        let unpacker = match (codings.next().map(http::HeaderValue::as_bytes), codings.next()) {
            (None, _) => None,
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"identity") => None,
            (Some(coding), None)
                if coding.eq_ignore_ascii_case(b"gzip")
                    || coding.eq_ignore_ascii_case(b"x-gzip") =>
            {
                Some(Unpacker::default())
            }
            _ => {
                return Err(Broken::Packed(
                    "the answer came in a content-encoding that nobody asked for and this router \
                     does not read",
                ));
            }
        };
        Ok(Self { body, unpacker })
    }

    /// The next bytes; `None`: the answer is at its end.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(lost)) => return Poll::Ready(Some(Err(Broken::Lost(lost.to_string())))),
                None => {
                    let Some(unpacker) = self.unpacker.take() else { return Poll::Ready(None) };
                    return Poll::Ready(match unpacker.finish() {
                        Ok(rest) if rest.is_empty() => None,
                        Ok(rest) => Some(Ok(rest)),
                        Err(error) => Some(Err(error.into())),
                    });
                }
            };
            let Ok(bytes) = frame.into_data() else { continue };
            let bytes = match &mut self.unpacker {
                None => bytes,
                Some(unpacker) => match unpacker.push(&bytes, PIECE) {
                    Ok(plain) => plain,
                    Err(error) => return Poll::Ready(Some(Err(error.into()))),
                },
            };
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(bytes)));
            }
        }
    }

    /// The next bytes.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// All bytes, behind those that are given; an answer in one piece is not copied.
    pub(crate) async fn all(&mut self, first: Bytes, limit: usize) -> Result<Bytes, Broken> {
        let mut first = first;
        let mut rest = BytesMut::new();
        while let Some(bytes) = self.next().await {
            let bytes = bytes?;
            if first.len() + rest.len() + bytes.len() > limit {
                return Err(Broken::TooLarge);
            }
            if first.is_empty() && rest.is_empty() {
                first = bytes;
                continue;
            }
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&bytes);
        }
        Ok(if rest.is_empty() { first } else { rest.freeze() })
    }
}

impl From<Unpackable> for Broken {
    fn from(error: Unpackable) -> Self {
        match error {
            Unpackable::Malformed => Self::Packed("the answer says that it is gzip and is none"),
            Unpackable::TooLarge => Self::TooLarge,
        }
    }
}
