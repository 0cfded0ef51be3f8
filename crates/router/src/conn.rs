//! What hyper does not watch on a caller's connection: that a first byte comes at all, that what is
//! written is taken, and whether a request had a `Content-Length` beside its `Transfer-Encoding`
//! (hyper drops the one and goes on; such a request is how requests are smuggled, so ours is
//! refused).

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// Bytes that every request has at least, and the length of HTTP/2's preface: until so many have
/// come, the first-byte timer runs (hyper-util's detection of the version has none).
const PREFACE: usize = 24;

/// How long a peer may take nothing of what is written to it.
const WRITE_IDLE: Duration = Duration::from_secs(60);

/// The line whose occurrences are counted.
const PATTERN: &[u8] = b"\ncontent-length";

/// How many `Content-Length` lines came on a connection and are not yet accounted for by a request
/// that hyper handed out. Shared by the connection's reader and its requests.
#[derive(Debug, Default)]
pub(crate) struct Lengths(AtomicU32);

impl Lengths {
    /// Accounts for one request; false: it came with both lengths.
    pub(crate) fn admit(&self, headers: &http::HeaderMap) -> bool {
        if headers.contains_key(http::header::CONTENT_LENGTH) {
            let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        }
        !headers.contains_key(http::header::TRANSFER_ENCODING)
            || self.0.load(Ordering::Relaxed) == 0
    }
}

/// A caller's connection, watched.
pub(crate) struct Watched<IO> {
    io: IO,
    first: Option<Pin<Box<Sleep>>>,
    read: usize,
    matched: usize,
    lengths: Arc<Lengths>,
    /// Runs while the peer does not take what is written.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<IO> Watched<IO> {
    /// Watches `io`: its first bytes must come within `first_byte`.
    pub(crate) fn new(io: IO, first_byte: Duration, lengths: Arc<Lengths>) -> Self {
        // The connection's first line is no header, so matching begins at a line's start only.
        Self {
            io,
            first: Some(Box::pin(sleep(first_byte))),
            read: 0,
            matched: 0,
            lengths,
            stalled: None,
        }
    }

    /// Ends a write that the peer has taken nothing of for too long: a caller that does not read
    /// holds a stream, and a connection to a provider with it.
    fn written(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(WRITE_IDLE)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Runs the matcher over what was read. Its state survives between reads; a newline occurs in
    /// the pattern only at its start, so a mismatch never has to look back.
    fn scan(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.matched == 0 {
                let Some(at) = memchr::memchr(b'\n', bytes) else { return };
                bytes = &bytes[at + 1..];
                self.matched = 1;
                continue;
            }
            let byte = bytes[0];
            if byte.to_ascii_lowercase() == PATTERN[self.matched] {
                bytes = &bytes[1..];
                self.matched += 1;
                if self.matched == PATTERN.len() {
                    self.matched = 0;
                    self.lengths.0.fetch_add(1, Ordering::Relaxed);
                }
            } else {
                // Not consumed: it may be the newline that begins the next line.
                self.matched = 0;
            }
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Watched<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if let (Poll::Pending, Some(sleep)) = (&polled, &mut self.first) {
            ready!(sleep.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        ready!(polled)?;
        let this = &mut *self;
        let got = &buf.filled()[before..];
        this.read = this.read.saturating_add(got.len());
        if this.read >= PREFACE {
            this.first = None;
        }
        this.scan(got);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Watched<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.written(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.written(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_line_across_any_split() {
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nCONTENT-Length: 3\r\n\r\n\n\ncontent-lengthy";
        for split in 0..head.len() {
            let lengths = Arc::new(Lengths::default());
            let rt = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let _guard = rt.enter();
            let mut conn =
                Watched::new(tokio::io::empty(), Duration::from_secs(1), Arc::clone(&lengths));
            conn.scan(&head[..split]);
            conn.scan(&head[split..]);
            assert_eq!(lengths.0.load(Ordering::Relaxed), 2, "split at {split}");
        }
    }

    #[test]
    fn a_request_with_both_is_refused() {
        let lengths = Lengths(AtomicU32::new(2));
        let mut headers = http::HeaderMap::new();
        headers.insert("content-length", http::HeaderValue::from_static("3"));
        assert!(lengths.admit(&headers));
        headers.remove("content-length");
        headers.insert("transfer-encoding", http::HeaderValue::from_static("chunked"));
        assert!(!lengths.admit(&headers));
    }
}
