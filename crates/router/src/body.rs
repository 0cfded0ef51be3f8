//! Reading a caller's body: bounded in bytes, in silence, and in what all bodies together may hold.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{errors::Refusal, http::body_too_large};

/// Longest silence within a body.
const IDLE: Duration = Duration::from_secs(30);
/// How long, and how much, what a refused caller still sends is read and thrown away, so that it
/// gets to read the refusal instead of a reset.
const LINGER: (Duration, u64) = (Duration::from_secs(5), 256 << 20);
/// The least that a body counts: what is kept beside its bytes.
const LEAST: u64 = 1024;

/// What all bodies in flight hold, and may hold.
#[derive(Debug)]
pub(crate) struct BodyMemory {
    used: AtomicU64,
    cap: u64,
}

impl BodyMemory {
    /// At most `cap` bytes.
    pub(crate) fn new(cap: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), cap })
    }

    fn lease(self: &Arc<Self>) -> Result<Lease, Refusal> {
        let mut lease = Lease { memory: Arc::clone(self), bytes: 0 };
        lease.grow_to(LEAST)?;
        Ok(lease)
    }
}

/// A share of [`BodyMemory`], given back when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    memory: Arc<BodyMemory>,
    bytes: u64,
}

impl Lease {
    fn grow_to(&mut self, bytes: u64) -> Result<(), Refusal> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let used = self.memory.used.fetch_add(more, Ordering::Relaxed) + more;
        self.bytes = bytes;
        if used <= self.memory.cap {
            return Ok(());
        }
        Err(Refusal::server(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            format!(
                "The bodies of the requests that this router is serving hold {} MiB, all that it \
                 may keep of them: ask again shortly, or run more routers.",
                self.memory.cap >> 20
            ),
        )
        .retry_after(Duration::from_secs(1))
        .closing())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Why a body was not read.
pub(crate) enum Unread {
    /// It was refused.
    Refused(Refusal),
    /// The caller went away.
    Left,
}

/// Reads a body whole. One that came in one piece is not copied.
pub(crate) async fn read(
    body: &mut Incoming,
    length: Option<u64>,
    max: u64,
    memory: &Arc<BodyMemory>,
) -> Result<(Bytes, Lease), Unread> {
    // What a caller only claims is not counted: a few idle connections could claim it all.
    let mut lease = memory.lease().map_err(Unread::Refused)?;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let frame = match timeout(IDLE, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(Unread::Left),
            Err(_) => {
                let message = format!(
                    "Nothing of the request's body came for {} seconds, the most that this router \
                     waits.",
                    IDLE.as_secs()
                );
                let refusal =
                    Refusal::request(StatusCode::REQUEST_TIMEOUT, "request_timeout", message);
                return Err(Unread::Refused(refusal.closing()));
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        let total = (first.len() + rest.len() + data.len()) as u64;
        if total > max {
            return Err(Unread::Refused(body_too_large(max)));
        }
        lease.grow_to(total).map_err(Unread::Refused)?;
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                // A length that a caller only claims is not allocated beyond a megabyte.
                let claimed = usize::try_from(length.unwrap_or_default()).unwrap_or_default();
                rest.reserve(claimed.min(1 << 20).max(first.len() + data.len()));
                rest.extend_from_slice(&first);
                first = Bytes::new();
            }
            rest.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            break;
        }
    }
    Ok((if rest.is_empty() { first } else { rest.freeze() }, lease))
}

/// Reads on what a refused caller still sends, within bounds, beside the answer. One that waits to
/// be told to go on is not.
pub(crate) fn linger(mut body: Incoming, headers: &HeaderMap) {
    if body.is_end_stream() || headers.contains_key(header::EXPECT) {
        return;
    }
    tokio::spawn(async move {
        let deadline = Instant::now() + LINGER.0;
        let mut read = 0;
        while read < LINGER.1 {
            match timeout_at(deadline, body.frame()).await {
                Ok(Some(Ok(frame))) => read += frame.data_ref().map_or(0, |d| d.len() as u64),
                _ => return,
            }
        }
    });
}

/// The memory that this process may use: its cgroup's limit, else the machine's.
pub(crate) fn memory_limit() -> u64 {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let cgroup = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .filter_map(|path| read(path)?.trim().parse::<u64>().ok())
        .min();
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kb| kb * 1024)
    });
    cgroup.unwrap_or(u64::MAX).min(machine.unwrap_or(1 << 30))
}
