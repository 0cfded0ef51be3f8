//! What is written down of a store, and a store that begins with what was.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use routing::Nanos;

use super::{Applied, Store, Value, commit::Work, tombstones::KEPT};
use crate::kept::{Beginning, Restored, Saved};

impl Store {
    /// All that is written down of it.
    pub(crate) fn saved(&self) -> Saved {
        Saved {
            cluster: self.cluster.clone(),
            snapshot: Arc::clone(&self.snapshot),
            sides: self.sides.clone(),
            gone: self.tombstones.all(),
            credentials: Arc::clone(&self.credentials),
            hashes: Arc::clone(&self.hashes),
            hash_key: self.hash_key.clone(),
            admin_token: self.admin_token.load_full(),
        }
    }

    /// Begins with what was written down, as if a controller had sent it; only a controller's COMMIT
    /// makes it current.
    pub(crate) fn restore(&mut self, beginning: Beginning) -> Applied {
        let Beginning { cluster, resources, gone, credentials, hashes, hash_key, admin_token, age } =
            beginning;
        self.cluster = cluster;
        let mut work = Work::default();
        for Restored { key, version, hold, form } in resources {
            if let Some((digest, mut value)) = form {
                if let Value::Key(key) = &mut value {
                    self.shared.key(key);
                }
                self.put(&mut work, &key, version, digest, value);
            }
            if hold.is_some() {
                self.set_hold(&mut work, &key, version, hold);
            }
        }
        if age < KEPT {
            // As if it had gone just now: how long ago each did is not written down.
            for (key, version) in gone {
                self.tombstones.insert(key, version, Nanos::ZERO);
            }
        }
        self.credentials = Arc::new(credentials);
        self.hashes = Arc::new(hashes);
        self.hash_key = hash_key;
        self.drop_orphans();
        if let Some(token) = admin_token {
            self.admin_token.store(Some(Arc::new(token)));
        }
        let revision = self.content_revision();
        Arc::make_mut(&mut self.snapshot).revision = revision;
        self.restored.store(self.snapshot.aliases.len() + 1, Ordering::Release);
        Applied {
            snapshot: Arc::clone(&self.snapshot),
            credentials: Arc::clone(&self.credentials),
            hashes: Arc::clone(&self.hashes),
            hash_key: self.hash_key.clone(),
            changed: work.changed,
        }
    }

    /// How many aliases there were in what was written down, and one (0: nothing was), to be asked
    /// without a lock.
    pub(crate) fn restored(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.restored)
    }
}
