//! What a COMMIT does: first it is checked, and then everything that was staged takes effect, each
//! resource by the rules of its own.

use std::{collections::BTreeMap, mem, sync::Arc};

use routing::{Digest, Nanos, key::KeyHash, snapshot::Resource};
use wire::{Commit, Credential, Hashes, Key, Kind};

use super::{
    Applied, Changed, DOUBT, Effects, Reason, Rejection, Shrink, Side, Store, Void,
    check::{Unusable, Value},
    connection::{Change, Connection, Staged, Stated},
};

/// Absences of so many aliases are never doubted.
const FEW: usize = 10;
/// The longest message of a rejection that is kept, in bytes.
const MAX_MESSAGE: usize = 1024;

/// One COMMIT at work.
#[derive(Default)]
pub(super) struct Work {
    now: Nanos,
    /// What was refused before, since when.
    refused_before: BTreeMap<Key, Nanos>,
    pub(super) changed: Changed,
    refused: u64,
    rejected: u64,
}

impl Store {
    /// Takes in what is staged, if that is what the controller meant.
    pub(super) fn commit(
        &mut self,
        connection: &mut Connection,
        commit: &Commit,
        now: Nanos,
    ) -> Result<Effects, Void> {
        let hello = connection.hello.as_ref();
        let hello = hello.ok_or_else(|| Void::NoHello("COMMIT".to_owned()))?;
        let (counted, counts) = connection.stated(&self.sides, &self.credentials, &self.hashes);
        if counted != commit.revision && !connection.unverifiable {
            return Err(Void::Revision { said: commit.revision, counted });
        }
        if counts != commit.counts {
            return Err(Void::Counts { said: commit.counts, counted: counts });
        }
        self.confirmations_hold(connection, now)?;

        if hello.cluster != self.cluster {
            self.enter(&hello.cluster);
        }
        let controller = hello.controller.clone();
        let aliases = self.snapshot.aliases.len();
        // On a new connection everything that is still to be refused comes again.
        let refused_before =
            if connection.first { mem::take(&mut self.refused) } else { self.refused.clone() };
        let mut work =
            Work { now, refused_before, changed: Changed::default(), refused: 0, rejected: 0 };
        for (key, staged) in mem::take(&mut connection.staged) {
            let stated = staged.change.stated();
            self.take_in(&mut work, &key, staged);
            if self.holds(&key) == stated {
                connection.differs.remove(&key);
            } else {
                connection.differs.insert(key, stated);
            }
        }
        self.absences(&mut work, connection, aliases);
        self.drop_orphans();
        connection.differs.retain(|key, stated| self.holds(key) != *stated);
        connection.first = false;

        let first = self.last_commit.replace((controller, now)).is_none();
        let Work { changed, refused, rejected, .. } = work;
        self.refusals += refused;
        let applied = (first || changed.any()).then(|| {
            let revision = self.content_revision();
            Arc::make_mut(&mut self.snapshot).revision = revision;
            Applied {
                snapshot: Arc::clone(&self.snapshot),
                credentials: Arc::clone(&self.credentials),
                hashes: Arc::clone(&self.hashes),
                hash_key: self.hash_key.clone(),
                changed,
            }
        });
        Ok(Effects { committed: true, applied, refused, rejected })
    }

    /// A form that is confirmed must be held, or known to be unusable.
    fn confirmations_hold(&self, connection: &Connection, now: Nanos) -> Result<(), Void> {
        for (key, staged) in connection.staged.iter() {
            let Change::Confirm(digest) = &staged.change else { continue };
            let held = self.sides.get(key).and_then(|side| side.digest) == Some(*digest);
            if !held && !self.is_rejected(key, *digest) && staged.version >= self.floor(key, now) {
                return Err(Void::NotHeld(key.clone()));
            }
        }
        Ok(())
    }

    fn is_rejected(&self, key: &Key, digest: Digest) -> bool {
        self.rejections.get(key).is_some_and(|r| r.digest == Some(digest))
    }

    /// The versions that are held do not compare with those of this cluster.
    fn enter(&mut self, cluster: &str) {
        cluster.clone_into(&mut self.cluster);
        self.sides.for_each_mut(|side| side.version = 0);
        if !self.credentials.is_empty() {
            for credential in Arc::make_mut(&mut self.credentials).values_mut() {
                credential.version = 0;
            }
        }
        if !self.hashes.is_empty() {
            Arc::make_mut(&mut self.hashes).for_each_mut(|hashes| hashes.version = 0);
        }
        self.tombstones.clear();
        self.refused.clear();
    }

    /// What is held of it, as a controller states it.
    fn holds(&self, key: &Key) -> Stated {
        match key.kind {
            Kind::Credential => self.credentials.get(&key.id).map(|_| None),
            Kind::Hashes => self.hashes.get(&key.id).map(|_| None),
            Kind::HashKey => self.hash_key.as_ref().map(|_| None),
            _ => self.sides.get(key).map(Side::served),
        }
    }

    /// What is lower than this is older than what is held.
    fn floor(&self, key: &Key, now: Nanos) -> u64 {
        let held = match key.kind {
            Kind::Credential => self.credentials.get(&key.id).map(|c| c.version),
            Kind::Hashes => self.hashes.get(&key.id).map(|h| h.version),
            _ => self.sides.get(key).map(|side| side.version),
        };
        held.max(self.tombstones.version(key, now)).unwrap_or(0)
    }

    /// Whether a change of this version must not take effect.
    fn refuse(&mut self, work: &mut Work, key: &Key, version: u64) -> bool {
        let floor = self.floor(key, work.now);
        if version >= floor {
            self.refused.remove(key);
            return false;
        }
        let since = work.refused_before.get(key).copied().unwrap_or(work.now);
        if work.now.since(since) >= DOUBT {
            tracing::warn!(
                resource = %key, version, held = floor,
                "accepted although it is older than what is held, which nobody has confirmed for \
                 60 s: the cluster seems to be restored from a backup"
            );
            self.refused.remove(key);
            self.tombstones.remove(key);
            return false;
        }
        tracing::warn!(resource = %key, version, held = floor, "refused: older than what is held");
        self.refused.insert(key.clone(), since);
        work.refused += 1;
        true
    }

    fn take_in(&mut self, work: &mut Work, key: &Key, staged: Staged) {
        let Staged { version, change } = staged;
        if self.refuse(work, key, version) {
            return;
        }
        let ends = match &change {
            Change::Delete | Change::Credential(None) => true,
            Change::Hashes(hashes) => hashes.is_empty(),
            _ => false,
        };
        if !ends {
            self.tombstones.remove(key);
        }
        match change {
            Change::Put(digest, value) => {
                self.rejections.remove(key);
                self.put(work, key, version, digest, value);
            }
            Change::Confirm(digest) => {
                let held = self.sides.get(key).and_then(|side| side.digest) == Some(digest);
                if held {
                    self.rejections.remove(key);
                    self.set_hold(work, key, version, None);
                }
            }
            Change::Hold(reason) => {
                self.rejections.remove(key);
                self.set_hold(work, key, version, Some(reason));
            }
            Change::Reject(digest, unusable) => {
                self.reject(work, key.clone(), version, digest, *unusable);
            }
            Change::Delete => self.remove(work, key, version),
            Change::Credential(credential) => {
                self.credential(work, key, version, credential.map(|c| *c));
            }
            Change::Hashes(hashes) => self.hashes(work, key, version, hashes),
            Change::HashKey(hash_key) => {
                if self.hash_key.as_ref() != Some(&hash_key) {
                    work.changed.count(&key.kind);
                    self.hash_key = Some(hash_key);
                }
            }
        }
    }

    pub(super) fn put(
        &mut self,
        work: &mut Work,
        key: &Key,
        version: u64,
        digest: Digest,
        value: Value,
    ) {
        let before =
            self.sides.insert(key.clone(), Side { version, digest: Some(digest), hold: None });
        work.changed.holds |= before.as_ref().is_some_and(|side| side.hold.is_some());
        if before.is_none_or(|side| side.digest != Some(digest)) {
            work.changed.count(&key.kind);
        }
        let snapshot = Arc::make_mut(&mut self.snapshot);
        let id = key.id.clone();
        match value {
            Value::Alias(value) => {
                snapshot.aliases.insert(id, Resource::Value { version, digest, value: *value });
            }
            Value::Target(value) => {
                snapshot.targets.insert(id, Resource::Value { version, digest, value: *value });
            }
            Value::Key(value) => {
                let keys = Arc::make_mut(&mut snapshot.keys);
                keys.insert(id, Resource::Value { version, digest, value });
            }
        }
    }

    /// A resource is held, or no longer; its last good form stays in the snapshot, where it has one.
    pub(super) fn set_hold(
        &mut self,
        work: &mut Work,
        key: &Key,
        version: u64,
        hold: Option<Box<Reason>>,
    ) {
        let before = self.sides.get(key);
        work.changed.holds |= before.is_none_or(|side| side.hold != hold);
        let side = Side { version, digest: before.and_then(|side| side.digest), hold };
        let snapshot = Arc::make_mut(&mut self.snapshot);
        let id = &key.id;
        match key.kind {
            Kind::Alias => {
                let hold = shown(snapshot.aliases.get_mut(id), &side);
                snapshot.aliases.extend(hold.map(|hold| (id.clone(), hold)));
            }
            Kind::Target => {
                let hold = shown(snapshot.targets.get_mut(id), &side);
                snapshot.targets.extend(hold.map(|hold| (id.clone(), hold)));
            }
            Kind::Key => {
                let keys = Arc::make_mut(&mut snapshot.keys);
                let hold = shown(keys.get_mut(id), &side);
                keys.extend(hold.map(|hold| (id.clone(), hold)));
            }
            Kind::Credential | Kind::HashKey | Kind::Hashes | Kind::Other(_) => {}
        }
        self.sides.insert(key.clone(), side);
    }

    fn reject(
        &mut self,
        work: &mut Work,
        key: Key,
        version: u64,
        digest: Option<Digest>,
        unusable: Unusable,
    ) {
        let Unusable { reason, mut message } = unusable;
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        tracing::error!(resource = %key, version, reason, message, "rejected: its last good form stays");
        work.rejected += 1;
        // A version that cannot be read is not remembered: it must not stand above later ones.
        let version = if version == u64::MAX { self.floor(&key, work.now) } else { version };
        if !matches!(key.kind, Kind::Credential | Kind::Hashes) {
            match self.sides.get_mut(&key) {
                Some(side) => side.version = version,
                None => {
                    let message = format!("this router cannot use it: {message}");
                    let hold = Reason { reason: reason.to_owned(), message };
                    self.set_hold(work, &key, version, Some(hold.into()));
                }
            }
        }
        let (kind, id) = (key.kind.clone(), key.id.clone());
        self.rejections.insert(key, Rejection { kind, id, version, digest, reason, message });
    }

    fn remove(&mut self, work: &mut Work, key: &Key, version: u64) {
        self.rejections.remove(key);
        self.refused.remove(key);
        self.tombstones.insert(key.clone(), version, work.now);
        if self.sides.remove(key).is_none() {
            return;
        }
        work.changed.count(&key.kind);
        let snapshot = Arc::make_mut(&mut self.snapshot);
        match key.kind {
            Kind::Alias => drop(snapshot.aliases.remove(&key.id)),
            Kind::Target => drop(snapshot.targets.remove(&key.id)),
            Kind::Key => drop(Arc::make_mut(&mut snapshot.keys).remove(&key.id)),
            Kind::Credential | Kind::HashKey | Kind::Hashes | Kind::Other(_) => {}
        }
    }

    fn credential(
        &mut self,
        work: &mut Work,
        key: &Key,
        version: u64,
        credential: Option<Credential>,
    ) {
        self.rejections.remove(key);
        let before = self.credentials.get(&key.id).map(|c| c.hash);
        if before != credential.as_ref().map(|c| c.hash) {
            work.changed.count(&key.kind);
        }
        let credentials = Arc::make_mut(&mut self.credentials);
        match credential {
            Some(credential) => {
                credentials.insert(key.id.clone(), credential);
            }
            None => {
                credentials.remove(&key.id);
                self.tombstones.insert(key.clone(), version, work.now);
            }
        }
    }

    fn hashes(&mut self, work: &mut Work, key: &Key, version: u64, hashes: Box<[KeyHash]>) {
        self.rejections.remove(key);
        let before = self.hashes.get(&key.id).map(|held| &*held.hashes);
        if before.unwrap_or_default() != &*hashes {
            work.changed.count(&key.kind);
        }
        let all = Arc::make_mut(&mut self.hashes);
        if hashes.is_empty() {
            all.remove(&key.id);
            self.tombstones.insert(key.clone(), version, work.now);
        } else {
            all.insert(key.id.clone(), Hashes { version, hashes });
        }
    }

    /// Takes in what the controller does not have, unless that is suspiciously much.
    fn absences(&mut self, work: &mut Work, connection: &mut Connection, aliases: usize) {
        let mut pending = BTreeMap::new();
        for (key, version) in &connection.absent {
            if self.sides.contains_key(key) && !self.refuse(work, key, *version) {
                pending.insert(key.clone(), *version);
            }
        }
        let gone = pending.keys().filter(|key| key.kind == Kind::Alias).count();
        if gone > FEW && gone * 2 > aliases && !self.second_opinion(work.now, connection, &pending)
        {
            return;
        }
        self.shrink = None;
        for (key, version) in pending {
            connection.absent.remove(&key);
            self.remove(work, &key, version);
        }
    }

    /// Whether the same absence was stated before, by an earlier list and long enough ago.
    fn second_opinion(
        &mut self,
        now: Nanos,
        connection: &Connection,
        pending: &BTreeMap<Key, u64>,
    ) -> bool {
        let known = self
            .shrink
            .as_ref()
            .is_some_and(|s| pending.keys().all(|key| s.absent.contains_key(key)));
        let Some(shrink) = self.shrink.as_mut().filter(|_| known) else {
            tracing::error!(
                resources = pending.len(),
                "held: the controller lacks more than half of the aliases without having seen them \
                 deleted; they stay until a second complete list, at least 60 s from now, lacks \
                 them too"
            );
            let absent = pending.clone();
            self.shrink = Some(Shrink { since: now, ask_again: now + DOUBT, absent });
            return false;
        };
        let late = now.since(shrink.since) >= DOUBT;
        let newer = |(key, version): (&Key, &u64)| shrink.absent.get(key) < Some(version);
        if late && pending.iter().all(newer) {
            return true;
        }
        if !late {
            // What a list says that was made meanwhile is not yet a second opinion.
            shrink.absent.extend(pending.iter().map(|(key, version)| (key.clone(), *version)));
        }
        if connection.first {
            shrink.ask_again = now + DOUBT;
        }
        false
    }

    /// A credential goes with its target, hashes go with their key.
    pub(super) fn drop_orphans(&mut self) {
        let keys = &self.snapshot.keys;
        if self.hashes.keys().any(|id| !keys.contains_key(id)) {
            Arc::make_mut(&mut self.hashes).retain(|id, _| keys.contains_key(id));
        }
        let targets = &self.snapshot.targets;
        if self.credentials.keys().any(|target| !targets.contains_key(target)) {
            Arc::make_mut(&mut self.credentials).retain(|target, _| targets.contains_key(target));
        }
    }
}

/// Shows in the snapshot what is known of a resource that did not get a new form; what is to be
/// there where nothing is.
fn shown<T>(there: Option<&mut Resource<T>>, side: &Side) -> Option<Resource<T>> {
    if let Some(Resource::Value { version, .. }) = there {
        *version = side.version;
        return None;
    }
    let (reason, message) = match &side.hold {
        Some(why) => (why.reason.clone(), why.message.clone()),
        None => ("NotHeld".to_owned(), String::new()),
    };
    let hold = Resource::Hold { version: side.version, reason, message };
    match there {
        Some(there) => {
            *there = hold;
            None
        }
        None => Some(hold),
    }
}
