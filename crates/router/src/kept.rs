//! The last known good: what a router writes down of what it serves, and serves from when it starts
//! while no controller answers.
//!
//! The snapshot goes to `--state-dir`, three generations of it and no secret in any; credentials, and
//! what callers' keys are known by, go to `--credential-dir`, which must be memory, so that they never reach a disk. Writing waits for
//! nobody's request and nobody's snapshot: it is done beside them, the latest state alone, and
//! tried again while it fails.

pub(crate) mod credentials;
mod file;
pub(crate) mod snapshot;
mod writer;

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc, time::Duration};

use routing::{ObjectId, RoutingSnapshot};
use wire::{AdminToken, Credential, HashKey, Key};

use crate::store::{AllHashes, Reason, Sides};
pub use file::Unusable;
pub use writer::Keeper;

/// All that is written down of a store, as it was at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    pub(crate) cluster: String,
    pub(crate) snapshot: Arc<RoutingSnapshot>,
    pub(crate) sides: Sides,
    /// What is gone, with the versions that it went with.
    pub(crate) gone: Vec<(Key, u64)>,
    pub(crate) credentials: Arc<BTreeMap<ObjectId, Credential>>,
    pub(crate) hashes: Arc<AllHashes>,
    pub(crate) hash_key: Option<HashKey>,
    pub(crate) admin_token: Option<Arc<AdminToken>>,
}

/// A resource that was written down.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) key: Key,
    pub(crate) version: u64,
    pub(crate) hold: Option<Box<Reason>>,
    /// Its last good form, with the digest that the controller knows it by.
    pub(crate) form: Option<(routing::Digest, crate::store::Value)>,
}

/// What a router has to begin with.
#[derive(Debug, Default)]
pub(crate) struct Beginning {
    pub(crate) cluster: String,
    pub(crate) resources: Vec<Restored>,
    /// What was gone, so that a controller that lags does not bring it back.
    pub(crate) gone: Vec<(Key, u64)>,
    pub(crate) credentials: BTreeMap<ObjectId, Credential>,
    pub(crate) hashes: AllHashes,
    pub(crate) hash_key: Option<HashKey>,
    pub(crate) admin_token: Option<AdminToken>,
    /// How long ago it was written down.
    pub(crate) age: Duration,
}

/// Where to write down what.
#[derive(Clone, Debug, Default)]
pub struct Dirs {
    /// For the snapshot; `None`: it is not kept.
    pub state: Option<PathBuf>,
    /// For credentials; `None`: they are not kept.
    pub credentials: Option<PathBuf>,
}

/// Why nothing can be kept there.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// What is in it would reach a disk.
    #[error(
        "--credential-dir {0} is not in memory (tmpfs), and credentials must not reach a disk: mount \
         an emptyDir with `medium: Memory` there, or leave the flag out"
    )]
    NotInMemory(PathBuf),
    /// It cannot be looked at.
    #[error("--credential-dir {0}: {1}")]
    Dir(PathBuf, #[source] io::Error),
}
