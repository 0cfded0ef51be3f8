//! A provider that does what a test tells it: answers, errors, resets, silence, half a stream. Real
//! sockets, and HTTP/1.1 written by hand, since its faults are what no HTTP library would send.

mod script;
mod serve;
mod speech;

use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc, time::Duration};

use http::HeaderMap;
use parking_lot::Mutex;
pub use script::{Script, Step, delta, error, finish, role};
pub use speech::{Speech, frame};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};
use tokio_rustls::TlsAcceptor;

/// The longest that an event is waited for; only a failure takes it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request that it received.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Vec<u8>,
    /// Which connection it came on, from 0.
    pub connection: usize,
}

impl Received {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    requests: usize,
    connections: usize,
    /// Peers that went away while an answer was under way.
    left: usize,
}

#[derive(Debug)]
struct Shared {
    scripts: Mutex<VecDeque<Script>>,
    default: Mutex<Script>,
    received: Mutex<Vec<Received>>,
    counts: watch::Sender<Counts>,
}

/// A running provider, stopped when dropped.
pub struct Upstream {
    shared: Arc<Shared>,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Upstream {
    /// Listens on a free port of 127.0.0.1 and answers every chat request.
    pub async fn start() -> io::Result<Self> {
        Self::listen("127.0.0.1:0", None).await
    }

    /// Listens there, under TLS if given.
    pub async fn listen(address: &str, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let shared = Arc::new(Shared {
            scripts: Mutex::default(),
            default: Mutex::new(Script::chat("hello")),
            received: Mutex::default(),
            counts: watch::Sender::default(),
        });
        let address = listener.local_addr()?;
        let running = tokio::spawn(serve::run(listener, tls.clone(), Arc::clone(&shared)));
        Ok(Self { shared, address, tls, running: Mutex::new(Some(running)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for a ProviderTarget.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/v1", self.address)
    }

    /// What the next request that has no script before it gets.
    pub fn then(&self, script: Script) -> &Self {
        self.shared.scripts.lock().push_back(script);
        self
    }

    /// What every request without a script of its own gets from now on.
    pub fn always(&self, script: Script) -> &Self {
        *self.shared.default.lock() = script;
        self
    }

    /// The requests so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().clone()
    }

    /// How many requests came so far.
    pub fn count(&self) -> usize {
        self.shared.counts.borrow().requests
    }

    /// How many connections were opened so far.
    pub fn connections(&self) -> usize {
        self.shared.counts.borrow().connections
    }

    /// Waits until so many requests have come.
    pub async fn wait_for(&self, requests: usize) -> io::Result<()> {
        self.wait(|counts| counts.requests >= requests, "requests").await
    }

    /// Waits until so many peers have gone away while an answer was under way.
    pub async fn wait_for_left(&self, peers: usize) -> io::Result<()> {
        self.wait(|counts| counts.left >= peers, "peers that left").await
    }

    /// Closes the port and every connection.
    pub async fn stop(&self) {
        let running = self.running.lock().take();
        if let Some(running) = running {
            running.abort();
            // Aborted or ended, it is gone.
            let _ = running.await;
        }
    }

    /// Listens again on the same port after [`stop`](Self::stop).
    pub async fn start_again(&self) -> io::Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        let shared = Arc::clone(&self.shared);
        let task = tokio::spawn(serve::run(listener, self.tls.clone(), shared));
        *self.running.lock() = Some(task);
        Ok(())
    }

    async fn wait(&self, done: impl Fn(&Counts) -> bool, what: &str) -> io::Result<()> {
        let mut counts = self.shared.counts.subscribe();
        let outcome = timeout(PATIENCE, counts.wait_for(|c| done(c))).await;
        match outcome {
            Ok(Ok(_)) => Ok(()),
            _ => {
                let seen = *self.shared.counts.borrow();
                Err(io::Error::other(format!("waited for {what}, saw {seen:?}")))
            }
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(running) = self.running.lock().take() {
            running.abort();
        }
    }
}
