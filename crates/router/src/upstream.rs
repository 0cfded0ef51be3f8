//! Connections to providers: a pool of HTTP/1.1 connections per endpoint, which says of each
//! request whether its connection was reused and whether a byte of an answer came, so that the
//! attempt loop can tell a stale connection from a failing provider.
//!
//! Invariant: an address is judged after the name was resolved, on what is dialled, by
//! [`guard`] alone. Redirects are not followed and proxy variables are not read.

mod conn;
mod dial;
mod error;
mod guard;
mod io;
mod pool;
mod resolve;
mod segments;
mod tls;

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock, Weak},
};

use ipnet::IpNet;
use parking_lot::Mutex;
use routing::snapshot::CompiledEndpoint;

pub use crate::credentials::Environment;
use crate::credentials::Issuers;

pub use conn::PooledBody;
pub use error::{BodyLost, SendError, Stage};
pub use pool::{EndpointPool, Reuse, Sent};
pub use segments::Segments;

/// What this process may connect to, and how names are resolved.
#[derive(Clone, Debug, Default)]
pub struct UpstreamConfig {
    /// Private and loopback ranges that any target may be in (`--allow-cidr`).
    pub allow_cidrs: Vec<IpNet>,
    /// Names that are answered before DNS is asked (`--resolve NAME=ADDR:PORT`).
    pub resolve: Vec<(String, SocketAddr)>,
    /// `moniker dev`: plain HTTP and loopback are fine for every target.
    pub dev: bool,
    /// What says which identity this process has at which cloud, and where that is.
    pub environment: Environment,
}

/// The pools of all endpoints: targets with the same endpoint share one.
pub struct Pools {
    config: Arc<UpstreamConfig>,
    /// The public authorities, read from the system when first needed.
    roots: OnceLock<Arc<rustls::RootCertStore>>,
    by_endpoint: Mutex<HashMap<Key, Weak<EndpointPool>>>,
    /// Who gives tokens for targets.
    issuers: OnceLock<Arc<Issuers>>,
}

/// What makes two endpoints the same.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    url: String,
    service: bool,
    ca_bundle: Option<String>,
    server_name: Option<String>,
    reserved: &'static [IpAddr],
}

impl Key {
    fn new(endpoint: &CompiledEndpoint, reserved: &'static [IpAddr]) -> Self {
        Self {
            reserved,
            url: endpoint.url.clone(),
            service: endpoint.service,
            ca_bundle: endpoint.ca_bundle.clone(),
            server_name: endpoint.server_name.clone(),
        }
    }
}

impl Pools {
    /// No pool yet.
    pub fn new(config: UpstreamConfig) -> Self {
        Self {
            config: Arc::new(config),
            roots: OnceLock::new(),
            by_endpoint: Mutex::default(),
            issuers: OnceLock::new(),
        }
    }

    /// Who gives tokens for targets, reached by pools of their own under the same configuration.
    pub(crate) fn issuers(&self) -> &Arc<Issuers> {
        self.issuers.get_or_init(|| Issuers::new(UpstreamConfig::clone(&self.config)))
    }

    /// The pool of an endpoint: the one that is in use for the same endpoint, else a new one. An
    /// endpoint that cannot be connected to has a pool too, which says why on every request.
    pub fn pool(&self, endpoint: &CompiledEndpoint) -> Arc<EndpointPool> {
        self.identity(endpoint, &[])
    }

    /// The same for who asks for the identity of this process, at one of these addresses if there are
    /// any: no target can name them.
    pub(crate) fn identity(
        &self,
        endpoint: &CompiledEndpoint,
        reserved: &'static [IpAddr],
    ) -> Arc<EndpointPool> {
        let key = Key::new(endpoint, reserved);
        let mut pools = self.by_endpoint.lock();
        if let Some(pool) = pools.get(&key).and_then(Weak::upgrade) {
            return pool;
        }
        let dialer =
            dial::Dialer::new((endpoint, reserved), Arc::clone(&self.config), || self.roots());
        let pool = Arc::new(EndpointPool::new(endpoint, dialer));
        pools.retain(|_, pool| pool.strong_count() > 0);
        pools.insert(key, Arc::downgrade(&pool));
        pool
    }

    /// Closes the idle connections of every pool that `keep` is not true of, now and when those
    /// that still answer are done: their endpoints are no longer in the snapshot.
    pub fn retain(&self, keep: impl Fn(&Arc<EndpointPool>) -> bool) {
        self.by_endpoint.lock().retain(|_, pool| match pool.upgrade() {
            Some(pool) if keep(&pool) => true,
            Some(pool) => {
                pool.retire();
                false
            }
            None => false,
        });
    }

    fn roots(&self) -> Arc<rustls::RootCertStore> {
        Arc::clone(self.roots.get_or_init(tls::native_roots))
    }
}

impl std::fmt::Debug for Pools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pools").field("config", &self.config).finish_non_exhaustive()
    }
}
