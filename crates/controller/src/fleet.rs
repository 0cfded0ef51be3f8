//! The feedback loop: asks every ready router what it saw, adds it up, and has for each router what
//! all others saw and its shares of the limits.
//!
//! ```text
//! EndpointSlices | streams -> members --(every interval)--> scrape -> Board -> view(router)
//!                                                                       '-> credential faults
//! ```
//!
//! Every replica does this for the streams that it serves; nothing of it is shared or stored. A
//! router that does not answer keeps its last report, which ages, until it is ready no longer. A
//! controller that is gone only makes what routers were told older.

mod board;
mod keys;
mod ledgers;
pub(crate) mod programmed;
mod scrape;
mod slices;
mod sweep;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api::HealthFault;
use parking_lot::Mutex;
use routing::{Digest, ObjectId, RoutingSnapshot, fleet::FleetView, spend::Ledger};
use telemetry::ControllerMetrics;
use tokio::sync::watch;
use tokio::time::Instant;

use board::Board;
pub use ledgers::Spends;
use scrape::Scraper;
pub(crate) use slices::follow;

/// The targets whose credential fails on a router at least, and how.
pub type Faults = BTreeMap<ObjectId, HealthFault>;

/// Where the ready routers are learnt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// From the EndpointSlices of their Service.
    Slices,
    /// From the routers themselves, which name their admin port when they ask for the stream: for
    /// `moniker dev`, where there is nobody else to ask and everything is on one machine.
    Streams,
}

/// What a fleet is set up with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The time from one sweep to the next; each is up to a tenth earlier or later.
    pub interval: Duration,
    /// Where the ready routers are learnt from.
    pub discovery: Discovery,
    /// Where sweeps are counted.
    pub metrics: Arc<ControllerMetrics>,
}

impl Settings {
    /// The time from one sweep to the next, unless said otherwise.
    pub const INTERVAL: Duration = Duration::from_secs(5);
}

/// A router that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// What it calls itself on the stream.
    pub(crate) name: String,
    /// Its admin port.
    pub(crate) admin: SocketAddr,
}

/// The ready routers, by what tells them apart (a pod's uid).
pub(crate) type Members = BTreeMap<String, Member>;

/// What is known of the fleet. A clone is the same fleet.
#[derive(Clone)]
pub struct Fleet(Arc<Shared>);

struct Shared {
    settings: Settings,
    /// `None`: nobody has told yet which routers are ready.
    members: watch::Sender<Option<Arc<Members>>>,
    board: Mutex<Board>,
    /// Whether it is known which targets there are, so that reports can be about them.
    serves: watch::Sender<bool>,
    /// Rises with every sweep that ended.
    rounds: watch::Sender<u64>,
    /// What was heard of callers' spending.
    spends: watch::Sender<Arc<Spends>>,
    /// `None` before the first sweep.
    faults: watch::Sender<Option<Arc<Faults>>>,
    joins: AtomicU64,
    scraper: Scraper,
}

/// The client of sweeps cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the client that asks routers for what they saw: {0}")]
pub struct NoClient(#[source] reqwest::Error);

impl Fleet {
    /// A fleet of which nothing is known yet. It is swept while [`run`](Self::run) runs.
    pub fn new(settings: Settings) -> Result<Self, NoClient> {
        let none = (settings.discovery == Discovery::Streams).then(Arc::default);
        let scraper = Scraper::new(sweep::patience(settings.interval)).map_err(NoClient)?;
        Ok(Self(Arc::new(Shared {
            settings,
            scraper,
            members: watch::Sender::new(none),
            board: Mutex::default(),
            serves: watch::Sender::new(false),
            rounds: watch::Sender::new(0),
            spends: watch::Sender::default(),
            faults: watch::Sender::new(None),
            joins: AtomicU64::new(0),
        })))
    }

    /// How many routers are ready, at least 1; `None` while nobody can tell.
    pub fn routers(&self) -> Option<u32> {
        let members = self.0.members.borrow();
        members.as_ref().map(|members| u32::try_from(members.len()).unwrap_or(u32::MAX).max(1))
    }

    /// What the router of this name is to be told now; `None` before the first sweep. One that is
    /// not ready yet is told as if it were one more.
    pub fn view(&self, router: &str) -> Option<FleetView> {
        let routers = self.routers()?;
        self.0.board.lock().view(router, routers, Instant::now())
    }

    /// Rises with every sweep: there is something new to tell.
    pub fn rounds(&self) -> watch::Receiver<u64> {
        self.0.rounds.subscribe()
    }

    /// The targets whose credential fails; `None` before the first sweep.
    pub fn faults(&self) -> watch::Receiver<Option<Arc<Faults>>> {
        self.0.faults.subscribe()
    }

    /// What was heard of callers' spending, when there is more.
    pub fn spends(&self) -> watch::Receiver<Arc<Spends>> {
        self.0.spends.subscribe()
    }

    /// This is stored of callers' spending, each with what tells the key from another.
    pub(crate) fn store(&self, stored: BTreeMap<ObjectId, (Digest, Ledger)>) {
        self.0.board.lock().store(stored);
    }

    /// From now on these limits and probes hold, and reports are about these targets.
    pub(crate) fn serve(&self, snapshot: &RoutingSnapshot) {
        self.0.board.lock().serve(snapshot);
        self.0.serves.send_replace(true);
    }

    /// From now on these routers are ready.
    pub(crate) fn set_members(&self, members: Members) {
        self.change(|before| *before = members);
    }

    /// Whether routers are learnt from themselves.
    pub(crate) fn takes_joins(&self) -> bool {
        self.0.settings.discovery == Discovery::Streams
    }

    /// A router asks for the stream and says where its admin port is: it is ready as long as what
    /// this gives lives. `None` where routers are learnt from the cluster.
    pub(crate) fn join(&self, router: &str, admin: SocketAddr) -> Option<Joined> {
        if !self.takes_joins() {
            return None;
        }
        let uid = format!("{router} {}", self.0.joins.fetch_add(1, Ordering::Relaxed));
        self.change(|members| {
            // A new connection of a router may come before the end of its last one is noticed.
            members.retain(|_, member| member.name != router);
            members.insert(uid.clone(), Member { name: router.to_owned(), admin });
        });
        Some(Joined { fleet: self.clone(), uid })
    }

    fn members(&self) -> Option<Arc<Members>> {
        self.0.members.borrow().clone()
    }

    fn change(&self, change: impl FnOnce(&mut Members)) {
        self.0.members.send_if_modified(|known| {
            let mut members = known.as_deref().cloned().unwrap_or_default();
            change(&mut members);
            let changed = known.as_deref() != Some(&members);
            self.0.settings.metrics.set_ready(u32::try_from(members.len()).ok());
            *known = Some(Arc::new(members));
            changed
        });
    }
}

/// A router that is ready as long as this lives.
#[derive(Debug)]
pub(crate) struct Joined {
    fleet: Fleet,
    uid: String,
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.fleet.change(|members| drop(members.remove(&self.uid)));
    }
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}
