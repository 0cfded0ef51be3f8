//! The pool of one endpoint: idle connections, the youngest first, and new ones where none is left.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use http::{HeaderValue, Request, Response};
use parking_lot::Mutex;
use routing::snapshot::CompiledEndpoint;
use tokio::time::{Instant, timeout};

use super::{
    conn::{Conn, PooledBody, Unanswered},
    dial::Dialer,
    error::{SendError, Stage},
    segments::Segments,
};

/// The most idle connections of an endpoint.
const MAX_IDLE: usize = 256;
/// How long a connection may be idle: below the minute after which many load balancers forget one.
const IDLE: Duration = Duration::from_secs(50);
/// How old a connection to a Service may be, so that its new endpoints are found.
const SERVICE_AGE: Duration = Duration::from_secs(60);
/// How often idle connections are looked through.
const SWEEP: Duration = Duration::from_secs(5);

/// Whether a request may be sent on a connection that has served others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// An idle connection if there is one.
    Allowed,
    /// A new connection: the last one was stale.
    Fresh,
}

/// A response's head, and how it came.
#[derive(Debug)]
pub struct Sent {
    /// The response.
    pub response: Response<PooledBody>,
    /// Whether the connection had served a request before.
    pub reused: bool,
}

/// The connections to one endpoint.
pub struct EndpointPool {
    dialer: Dialer,
    max_age: Option<Duration>,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// The most recently used last.
    conns: Vec<Parked>,
    /// Whether a task looks through them.
    swept: bool,
    /// Whether none is kept any more.
    retired: bool,
}

struct Parked {
    conn: Box<Conn>,
    since: Instant,
}

impl EndpointPool {
    pub(super) fn new(endpoint: &CompiledEndpoint, dialer: Dialer) -> Self {
        let max_age = endpoint.service.then_some(SERVICE_AGE);
        Self { dialer, max_age, idle: Mutex::default() }
    }

    /// The `Host` header of every request: the URL's host, with its port where that is not the
    /// scheme's own. `None`: the URL has none, and every request fails with the reason.
    pub fn host(&self) -> Option<&HeaderValue> {
        self.dialer.host_header()
    }

    /// Sends a request and waits for the head of its response. The request has its `Host` header,
    /// and its URI is a path. A connection must be there within `connect_within`; how long the
    /// answer may take is the caller's business, and dropping this closes the connection.
    pub async fn send(
        self: &Arc<Self>,
        mut request: Request<Segments>,
        mut reuse: Reuse,
        connect_within: Duration,
    ) -> Result<Sent, SendError> {
        loop {
            let idle = if reuse == Reuse::Allowed { self.take() } else { None };
            let (mut conn, reused) = match idle {
                Some(conn) => (conn, true),
                None => (Box::pin(self.connect(connect_within)).await?, false),
            };
            match conn.send(request).await {
                Ok(response) => {
                    let response =
                        response.map(|body| PooledBody::new(body, conn, Arc::clone(self)));
                    return Ok(Sent { response, reused });
                }
                // It closed after it was looked at: nothing was sent, so this is no attempt yet.
                Err(Unanswered { unsent: Some(unsent), .. }) if reused => {
                    request = unsent;
                    reuse = Reuse::Fresh;
                }
                Err(unanswered) => {
                    return Err(unanswered.into_error(reused, self.dialer.authority()));
                }
            }
        }
    }

    async fn connect(&self, within: Duration) -> Result<Box<Conn>, SendError> {
        let dialed = timeout(within, async {
            let transport = self.dialer.dial().await?;
            Conn::new(transport).await.map_err(|error| {
                SendError::connect(Stage::Tcp, format!("{}: {error}", self.dialer.authority()))
            })
        });
        dialed.await.unwrap_or_else(|_| {
            let message = format!(
                "no connection to {} within {} ms",
                self.dialer.authority(),
                within.as_millis()
            );
            Err(SendError::connect(Stage::Timeout, message))
        })
    }

    /// The youngest idle connection that is still good.
    fn take(&self) -> Option<Box<Conn>> {
        loop {
            // The lock is not held while a connection is looked at, or closed.
            let mut parked = self.idle.lock().conns.pop()?;
            if self.is_good(&mut parked, Instant::now()) {
                return Some(parked.conn);
            }
        }
    }

    fn is_good(&self, parked: &mut Parked, now: Instant) -> bool {
        now - parked.since < IDLE && !self.is_too_old(&parked.conn, now) && parked.conn.is_usable()
    }

    fn is_too_old(&self, conn: &Conn, now: Instant) -> bool {
        self.max_age.is_some_and(|age| now - conn.opened >= age)
    }

    /// Keeps a connection for the next request.
    pub(super) fn put(self: &Arc<Self>, conn: Box<Conn>) {
        let now = Instant::now();
        if self.is_too_old(&conn, now) {
            return;
        }
        let mut idle = self.idle.lock();
        if idle.retired || idle.conns.len() >= MAX_IDLE {
            return;
        }
        idle.conns.push(Parked { conn, since: now });
        if !idle.swept {
            idle.swept = true;
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes what is idle and keeps nothing from now on.
    pub(super) fn retire(&self) {
        let conns = {
            let mut idle = self.idle.lock();
            idle.retired = true;
            std::mem::take(&mut idle.conns)
        };
        drop(conns);
    }

    /// Closes what has been idle for too long. Says whether anything is left.
    fn sweep(&self) -> bool {
        let now = Instant::now();
        let mut idle = self.idle.lock();
        // They stand in the order in which they came back.
        let expired = idle.conns.partition_point(|parked| now - parked.since >= IDLE);
        let expired: Vec<_> = idle.conns.drain(..expired).collect();
        idle.swept = !idle.conns.is_empty();
        let left = idle.swept;
        drop(idle);
        drop(expired);
        left
    }
}

/// Looks through a pool's idle connections for as long as there are any.
async fn sweep(pool: Weak<EndpointPool>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        match pool.upgrade() {
            Some(pool) if pool.sweep() => {}
            _ => return,
        }
    }
}

impl std::fmt::Debug for EndpointPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndpointPool")
            .field("endpoint", &self.dialer.authority())
            .finish_non_exhaustive()
    }
}
