//! One connection: what the controller has stated on it, and what of that waits for a COMMIT. A
//! later frame about a resource replaces an earlier one, so that what waits is bounded by what there
//! is.

use std::collections::{BTreeMap, BTreeSet};

use routing::{Digest, ObjectId, key::KeyHash, revision::revision};
use wire::{Cause, Counts, Credential, Frame, HashKey, Hello, Key, Kind, Upsert};

use super::{Reason, Side, check};

/// A change that waits for a COMMIT.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) version: u64,
    pub(super) change: Change,
}

/// What changes.
#[derive(Debug)]
pub(super) enum Change {
    /// A new form.
    Put(Digest, check::Value),
    /// The form of this digest, which is held, is the present one.
    Confirm(Digest),
    /// It did not compile.
    Hold(Reason),
    /// Its new form cannot be used.
    Reject(Option<Digest>, check::Unusable),
    /// It was deleted.
    Delete,
    /// A target's credential.
    Credential(Option<Credential>),
    /// The hashes of a caller's key; none: it is revoked.
    Hashes(Vec<KeyHash>),
    /// What the hashes are made with.
    HashKey(HashKey),
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) hello: Option<Hello>,
    /// Whether nothing was committed on it yet.
    pub(super) first: bool,
    pub(super) staged: BTreeMap<Key, Staged>,
    /// What the controller does not have, as of which version.
    pub(super) absent: BTreeMap<Key, u64>,
    /// Every resource as the controller has it; `None`: held.
    stated: BTreeMap<Key, Option<Digest>>,
    /// Whether a resource's digest could not be read, so that the revision cannot be checked. The
    /// checksum of the lines was.
    pub(super) unverifiable: bool,
    credentials: BTreeSet<ObjectId>,
    hashes: BTreeSet<ObjectId>,
}

impl Connection {
    /// A connection to a controller that was told what is held.
    pub(super) fn new<'a>(
        sides: &BTreeMap<Key, Side>,
        (credentials, hashes): (
            impl Iterator<Item = &'a ObjectId>,
            impl Iterator<Item = &'a ObjectId>,
        ),
    ) -> Self {
        let digest = |side: &Side| side.digest.filter(|_| side.hold.is_none());
        Self {
            hello: None,
            first: true,
            staged: BTreeMap::new(),
            absent: BTreeMap::new(),
            stated: sides.iter().map(|(key, side)| (key.clone(), digest(side))).collect(),
            unverifiable: false,
            credentials: credentials.cloned().collect(),
            hashes: hashes.cloned().collect(),
        }
    }

    /// Stages a frame that is no COMMIT; says whether it is known.
    pub(super) fn stage(&mut self, frame: Frame) -> bool {
        match frame {
            Frame::Hello(hello) => self.hello = Some(hello),
            Frame::Upsert(upsert) => return self.upsert(&upsert),
            Frame::Hold(hold) => {
                let key = hold.key();
                self.stated.insert(key.clone(), None);
                let reason = Reason { reason: hold.reason, message: hold.message };
                return self.put(key, hold.version, Change::Hold(reason));
            }
            Frame::Remove(remove) => {
                let key = remove.key();
                self.stated.remove(&key);
                match key.kind {
                    Kind::Target => drop(self.credentials.remove(&key.id)),
                    Kind::Key => drop(self.hashes.remove(&key.id)),
                    _ => {}
                }
                if remove.cause == Cause::Absent {
                    self.staged.remove(&key);
                    self.absent.insert(key, remove.version);
                } else {
                    return self.put(key, remove.version, Change::Delete);
                }
            }
            Frame::Credential(frame) => {
                if frame.credential.is_some() {
                    self.credentials.insert(frame.target.clone());
                } else {
                    self.credentials.remove(&frame.target);
                }
                let key = Key::credential(&frame.target);
                return self.put(key, frame.version, Change::Credential(frame.credential));
            }
            Frame::Hashes(frame) => {
                if frame.hashes.is_empty() {
                    self.hashes.remove(&frame.id);
                } else {
                    self.hashes.insert(frame.id.clone());
                }
                let key = Key::hashes(&frame.id);
                return self.put(key, frame.version, Change::Hashes(frame.hashes));
            }
            Frame::HashKey(key) => return self.put(Key::hash_key(), 0, Change::HashKey(key)),
            Frame::Unreadable(unreadable) => {
                let wire::Unreadable { key, version, digest, message } = unreadable;
                if key.kind == Kind::Credential {
                    self.credentials.insert(key.id.clone());
                } else if key.kind == Kind::Hashes {
                    self.hashes.insert(key.id.clone());
                } else {
                    self.unverifiable |= digest.is_none();
                    self.stated.insert(key.clone(), digest);
                }
                let unusable = check::Unusable { reason: "DoesNotDecode", message };
                let version = version.unwrap_or(u64::MAX);
                return self.put(key, version, Change::Reject(digest, unusable));
            }
            // What the fleet saw waits for no COMMIT: the link hands it on by itself.
            Frame::Heartbeat(_) | Frame::Fleet(_) | Frame::Commit(_) | Frame::Reconnect(_) => {}
            Frame::Unknown(_) => return false,
        }
        true
    }

    fn upsert(&mut self, upsert: &Upsert) -> bool {
        let key = upsert.key();
        self.stated.insert(key.clone(), Some(upsert.digest));
        let change = match check::value(upsert) {
            Ok(Some(value)) => Change::Put(upsert.digest, value),
            Ok(None) => Change::Confirm(upsert.digest),
            Err(unusable) => Change::Reject(Some(upsert.digest), unusable),
        };
        self.put(key, upsert.version, change)
    }

    /// Stages a change of a kind that is known here.
    fn put(&mut self, key: Key, version: u64, change: Change) -> bool {
        self.absent.remove(&key);
        let known = !matches!(key.kind, Kind::Other(_));
        if known {
            self.staged.insert(key, Staged { version, change });
        }
        known
    }

    /// The revision and numbers of what the controller has stated.
    pub(super) fn stated(&self) -> (Digest, Counts) {
        let all = self.stated.iter().map(|(key, digest)| (key.kind.name(), &key.id, *digest));
        let of = |kind: Kind| self.stated.keys().filter(|key| key.kind == kind).count();
        let counts = Counts {
            aliases: of(Kind::Alias),
            targets: of(Kind::Target),
            credentials: self.credentials.len(),
            keys: of(Kind::Key),
            hashes: self.hashes.len(),
        };
        (revision(all), counts)
    }
}
