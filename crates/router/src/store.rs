//! What the controller said: staged until its COMMIT, then taken in whole or not at all. Pure: time
//! is an argument, and what is to be done comes back as [`Effects`].
//!
//! Three rules keep a bad or late controller from harming what flows:
//!
//! - A resource that cannot be used is *rejected* alone, one that did not compile is *held* alone:
//!   the last good form stays. Where there is none, the snapshot says why.
//! - What is older than what is held, or than its deletion (a tombstone, kept for 10 minutes), is
//!   *refused*. A cluster that was restored from a backup has older versions for good, so a refusal
//!   that stands for 60 s ends: the router asks again and accepts what it then gets.
//! - *Absences*, unlike deletions, may be a mistake: when they would take away more than half of the
//!   aliases (and more than ten), they wait until they are stated again, after another complete
//!   list, at least 60 s later.

mod check;
mod commit;
mod connection;
mod report;
mod restore;
mod shared;
mod tombstones;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use routing::{Digest, Nanos, ObjectId, RoutingSnapshot, ordered::OrderedMap, revision::revision};
use serde::{Deserialize, Serialize};
use wire::{
    AdminToken, Credential, Frame, HashKey, Hashes, Held, HeldCredential, HeldHashes, HeldResource,
    Key, Kind, hold_digest,
};

pub(crate) use check::{Value, restored};
use connection::Connection;
pub use report::{Asked, Config, Missing, Verdict};
use shared::Shared;
use tombstones::Tombstones;

/// How long refusals and absences are doubted.
const DOUBT: Duration = Duration::from_secs(60);

/// A snapshot that took effect.
#[derive(Clone, Debug)]
pub struct Applied {
    /// What is served from now on.
    pub snapshot: Arc<RoutingSnapshot>,
    /// The credentials of its targets.
    pub credentials: Arc<BTreeMap<ObjectId, Credential>>,
    /// The hashes of its keys.
    pub hashes: Arc<AllHashes>,
    /// What these hashes are made with; `None`: there are none.
    pub hash_key: Option<HashKey>,
    /// What is different from the one before.
    pub changed: Changed,
}

/// How much of a snapshot changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Aliases that came, went or changed.
    pub aliases: usize,
    /// Targets that came, went or changed.
    pub targets: usize,
    /// Credentials that came, went or changed.
    pub credentials: usize,
    /// Callers' keys, or hashes of them, that came, went or changed.
    pub keys: usize,
    /// Whether only what is held, or why, is different.
    pub holds: bool,
}

impl Changed {
    fn any(self) -> bool {
        self.aliases + self.targets + self.credentials + self.keys > 0 || self.holds
    }

    fn count(&mut self, kind: &Kind) {
        match kind {
            Kind::Alias => self.aliases += 1,
            Kind::Target => self.targets += 1,
            Kind::Credential => self.credentials += 1,
            Kind::Key | Kind::Hashes | Kind::HashKey => self.keys += 1,
            Kind::Other(_) => {}
        }
    }
}

/// What a frame leads to.
#[derive(Debug, Default)]
pub struct Effects {
    /// It was a COMMIT, and the controller's state was taken in.
    pub committed: bool,
    /// What is served from now on, when that changed.
    pub applied: Option<Applied>,
    /// Resources that were refused because they are older than what is held.
    pub refused: u64,
    /// Resources that were rejected because they cannot be used.
    pub rejected: u64,
}

/// Why a transmission cannot go on. What was staged is void; what is held stays.
#[derive(Debug, thiserror::Error)]
pub enum Void {
    /// A frame came before HELLO.
    #[error("{0} came before HELLO")]
    NoHello(String),
    /// Another protocol.
    #[error("the controller speaks protocol {0} of the watch stream, this router {ours}", ours = wire::PROTOCOL)]
    Protocol(u32),
    /// The controller thinks that this router holds something else than it does.
    #[error("the COMMIT's revision {said} is not that of what it sent, {counted}")]
    Revision {
        /// What the COMMIT says.
        said: Digest,
        /// What came to.
        counted: Digest,
    },
    /// The same, by numbers.
    #[error("the COMMIT counts {said:?}, and what it sent is {counted:?}")]
    Counts {
        /// What the COMMIT says.
        said: wire::Counts,
        /// What came to.
        counted: wire::Counts,
    },
    /// It confirms a form of a resource that is not held.
    #[error("{0} was confirmed at a digest that this router does not hold")]
    NotHeld(Key),
}

/// What is known of a resource beside its form.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) version: u64,
    /// The digest of the form in the snapshot; `None`: it has none.
    pub(crate) digest: Option<Digest>,
    pub(crate) hold: Option<Box<Reason>>,
}

impl Side {
    /// The digest of the form that is the present one; `None`: it is held.
    fn served(&self) -> Option<Digest> {
        self.digest.filter(|_| self.hold.is_none())
    }
}

/// All of it.
pub(crate) type Sides = OrderedMap<Key, Side>;
/// The hashes of callers' keys.
pub type AllHashes = OrderedMap<ObjectId, Hashes>;

/// Why a resource is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reason {
    reason: String,
    message: String,
}

/// A resource that cannot be used in its present form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// Its kind.
    pub kind: Kind,
    /// The object.
    pub id: ObjectId,
    /// The version that was rejected.
    pub version: u64,
    /// The digest that was rejected, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What kind of fault.
    pub reason: &'static str,
    /// What is wrong.
    pub message: String,
}

/// Absences that wait for a second opinion.
#[derive(Debug)]
struct Shrink {
    since: Nanos,
    ask_again: Nanos,
    /// What is absent, as of which version.
    absent: BTreeMap<Key, u64>,
}

/// All that is held, and the connection that it is kept up to date by.
#[derive(Debug, Default)]
pub struct Store {
    cluster: String,
    snapshot: Arc<RoutingSnapshot>,
    credentials: Arc<BTreeMap<ObjectId, Credential>>,
    hashes: Arc<AllHashes>,
    hash_key: Option<HashKey>,
    sides: Sides,
    shared: Shared,
    tombstones: Tombstones,
    /// What is refused, since when.
    refused: BTreeMap<Key, Nanos>,
    rejections: BTreeMap<Key, Rejection>,
    shrink: Option<Shrink>,
    connection: Option<Connection>,
    /// Who served the last COMMIT, and when.
    last_commit: Option<(String, Nanos)>,
    refusals: u64,
    ignored: u64,
    serving: Arc<AtomicBool>,
    /// How many aliases there were in what was written down, and one; 0: nothing was.
    restored: Arc<AtomicUsize>,
    admin_token: Arc<ArcSwapOption<AdminToken>>,
}

impl Store {
    /// A connection begins: what is held, for the controller to tell the difference to.
    pub fn connect(&mut self) -> Held {
        let resources = self
            .sides
            .iter()
            .map(|(key, side)| HeldResource {
                kind: key.kind.clone(),
                id: key.id.clone(),
                version: side.version,
                digest: side.digest,
                hold: side.hold.as_ref().map(|h| hold_digest(&h.reason, &h.message)),
            })
            .collect();
        let credentials = self
            .credentials
            .iter()
            .map(|(target, c)| HeldCredential {
                target: target.clone(),
                version: c.version,
                hash: c.hash,
            })
            .collect();
        let hashes = self.hashes.iter().map(|(id, h)| HeldHashes {
            id: id.clone(),
            version: h.version,
            digest: h.digest(),
        });
        let hashes = hashes.collect();
        let hash_key = self.hash_key.as_ref().map(HashKey::digest);
        self.connection = Some(Connection::default());
        Held { cluster: self.cluster.clone(), resources, credentials, hashes, hash_key }
    }

    /// The connection is over: what it staged is void.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Takes in a frame. After an error the connection is of no more use.
    pub fn step(&mut self, frame: Frame, now: Nanos) -> Result<Effects, Void> {
        let mut connection = match (self.connection.take(), &frame) {
            (Some(connection), Frame::Hello(_)) => connection,
            (Some(connection), _) if connection.hello.is_some() => connection,
            _ => return Err(Void::NoHello(frame.name().to_owned())),
        };
        let effects = match frame {
            Frame::Commit(commit) => self.commit(&mut connection, &commit, now)?,
            Frame::Hello(hello) if hello.protocol != wire::PROTOCOL => {
                return Err(Void::Protocol(hello.protocol));
            }
            Frame::Hello(hello) => {
                self.admin_token.store(hello.admin_token.clone().map(Arc::new));
                connection.hello = Some(hello);
                Effects::default()
            }
            mut frame => {
                self.share(&connection, &mut frame);
                self.ignored += u64::from(!connection.stage(frame, &mut self.shared));
                Effects::default()
            }
        };
        self.connection = Some(connection);
        Ok(effects)
    }

    /// When this connection should be given up and another one made, so that what is doubted now
    /// comes again.
    pub fn ask_again_at(&self) -> Option<Nanos> {
        // What a connection has to say is known with its first COMMIT.
        self.connection.as_ref().filter(|connection| !connection.first)?;
        let refusal = self.refused.values().map(|since| *since + DOUBT);
        refusal.chain(self.shrink.as_ref().map(|s| s.ask_again)).min()
    }

    /// Whether requests are served from a controller's state, to be asked without a lock.
    pub fn serving(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.serving)
    }

    /// What opens `/config`, as the controller said it last, to be asked without a lock.
    pub fn admin_token(&self) -> Arc<ArcSwapOption<AdminToken>> {
        Arc::clone(&self.admin_token)
    }

    /// What was applied has been taken over by those who serve.
    pub(crate) fn set_serving(&self) {
        self.serving.store(true, Ordering::Release);
    }

    /// Whether a COMMIT was ever taken in.
    pub fn is_applied(&self) -> bool {
        self.last_commit.is_some()
    }

    /// How many resources are held at their last good form, or for want of one not served.
    pub fn held_resources(&self) -> usize {
        self.sides.values().filter(|side| side.hold.is_some()).count()
    }

    /// What is served from.
    pub fn snapshot(&self) -> &RoutingSnapshot {
        &self.snapshot
    }

    /// The revision of what is held.
    fn content_revision(&self) -> Digest {
        revision(self.sides.iter().map(|(key, side)| (key.kind.name(), &key.id, side.served())))
    }
}
