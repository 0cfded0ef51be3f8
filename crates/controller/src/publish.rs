//! The watch stream's server: snapshots in, frames out.
//!
//! A [`Publisher`] holds the latest compiled state and nothing per change: every connection compares
//! that state with what its router holds, whenever it is ready to send more. So changes that come
//! faster than a router reads are never queued, a slow router costs one old state at most, and it
//! delays nobody.
//!
//! ```text
//! publish(Publication) -> State --(generation)--> Connection: plan -> frames -> COMMIT
//! ```

mod connection;
mod credentials;
mod hints;
mod plan;
mod server;
mod state;
mod view;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use compiler::{CredentialState, KeyState, SecretBytes};
use parking_lot::RwLock;
use routing::{ObjectId, RoutingSnapshot};
use telemetry::ControllerMetrics;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use wire::{AdminToken, Key, Kind};

use crate::fleet::Fleet;
use crate::fleet::programmed::Pair;
use crate::status::Subject;

pub(crate) use server::Admitted;
pub use server::{NotLoopback, check_address, routes, serve};
use state::State;

/// As of which version an object of this kind and namespace that is not there is absent; `None`
/// where nothing is known of such objects. [`Kind::Credential`] and
/// [`Kind::Hashes`] stand for Secrets.
pub type KnownUntil = dyn Fn(&Kind, &str) -> Option<u64> + Send + Sync;

/// What a publisher is set up with.
pub struct Settings {
    /// This controller's name, unique among replicas.
    pub controller: String,
    /// The cluster whose versions it serves.
    pub cluster: String,
    /// The time between two heartbeats.
    pub heartbeat: Duration,
    /// The key of the hashes that stand for credentials, the same on every replica.
    pub credential_key: SecretBytes,
    /// What opens the routers' `/config`; `None` leaves it open.
    pub admin_token: Option<AdminToken>,
    /// Where connected routers are counted.
    pub metrics: Arc<ControllerMetrics>,
    /// What routers are told of each other; `None`: nothing.
    pub fleet: Option<Fleet>,
}

impl Settings {
    /// The time between two heartbeats, unless said otherwise.
    pub const HEARTBEAT: Duration = Duration::from_secs(5);
}

/// A state to publish.
pub struct Publication {
    /// What routers serve from.
    pub snapshot: Arc<RoutingSnapshot>,
    /// The credentials of its targets; of one that is not here nothing is said.
    pub credentials: BTreeMap<ObjectId, CredentialState>,
    /// The hashes of callers' keys; of a key that is not here nothing is said.
    pub hashes: BTreeMap<ObjectId, KeyState>,
    /// What these hashes are made with.
    pub hash_key: SecretBytes,
    /// Deletions that were seen since the last publication, with their versions.
    pub deleted: BTreeMap<Key, u64>,
    /// As of when what is not there is absent.
    pub known: Box<KnownUntil>,
}

/// Serves the latest state to every router that asks. A clone is the same publisher.
#[derive(Clone)]
pub struct Publisher(Arc<Shared>);

struct Shared {
    settings: Settings,
    open: AtomicBool,
    state: RwLock<Option<Arc<State>>>,
    /// Rises with every publication.
    generation: watch::Sender<u64>,
    /// Rises when a router was told that most of its aliases are absent.
    doubts: watch::Sender<u64>,
    closed: CancellationToken,
}

impl Publisher {
    /// A publisher that has nothing to serve yet.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Shared {
            settings,
            open: AtomicBool::new(true),
            state: RwLock::default(),
            generation: watch::Sender::new(0),
            doubts: watch::Sender::new(0),
            closed: CancellationToken::new(),
        }))
    }

    /// From now on this is served. Never waits for a router.
    pub fn publish(&self, publication: Publication) {
        if let Some(fleet) = &self.0.settings.fleet {
            fleet.serve(&publication.snapshot);
        }
        let before = self.0.state.read().clone();
        let key = &self.0.settings.credential_key;
        let state = State::next(before.as_deref(), publication, key, Instant::now());
        *self.0.state.write() = Some(Arc::new(state));
        self.0.generation.send_modify(|generation| *generation += 1);
    }

    /// Of every alias and target that is served now, all that a router should hold to serve it.
    pub(crate) fn pairs(&self) -> BTreeMap<Subject, Vec<Pair>> {
        let state = self.0.state.read().clone();
        state.map(|state| state.pairs()).unwrap_or_default()
    }

    /// Whether routers that ask anew are served; those that are connected stay. It begins as true.
    pub fn open(&self, open: bool) {
        self.0.open.store(open, Ordering::Relaxed);
    }

    /// Rises whenever a router was told that more than half of its aliases are absent without having
    /// been deleted. The router waits for a second complete list before it believes that, so that
    /// whoever feeds this publisher should list everything again and publish.
    pub fn doubts(&self) -> watch::Receiver<u64> {
        self.0.doubts.subscribe()
    }

    /// Ends every stream, for good; each router is told when to ask again, whoever then answers.
    pub fn close(&self) {
        self.0.closed.cancel();
    }

    /// What a router that asks now gets; `None` while it gets nothing.
    fn state(&self) -> Option<Arc<State>> {
        self.0.open.load(Ordering::Relaxed).then(|| self.0.state.read().clone())?
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("open", &self.0.open).finish_non_exhaustive()
    }
}
