//! One connection: what the controller has stated on it, and what of that waits for a COMMIT. A
//! later frame about a resource replaces an earlier one, so that what waits is bounded by what there
//! is.

use std::collections::BTreeMap;

use routing::{Digest, ObjectId, key::KeyHash, ordered::OrderedMap, revision::Counting};
use wire::{Cause, Counts, Credential, Frame, HashKey, Hello, Key, Kind, Upsert};

use super::{AllHashes, Reason, Shared, Sides, check};

/// A change that waits for a COMMIT.
#[derive(Clone, Debug)]
pub(super) struct Staged {
    pub(super) version: u64,
    pub(super) change: Change,
}

/// What changes.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// A new form.
    Put(Digest, check::Value),
    /// The form of this digest, which is held, is the present one.
    Confirm(Digest),
    /// It did not compile.
    Hold(Box<Reason>),
    /// Its new form cannot be used.
    Reject(Option<Digest>, Box<check::Unusable>),
    /// It was deleted.
    Delete,
    /// A target's credential.
    Credential(Option<Box<Credential>>),
    /// The hashes of a caller's key; none: it is revoked.
    Hashes(Box<[KeyHash]>),
    /// What the hashes are made with.
    HashKey(HashKey),
}

/// What the controller has of a resource: a digest, or that it is held; `None`: it has it not.
pub(super) type Stated = Option<Option<Digest>>;

/// A connection to a controller that was told what is held.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) hello: Option<Hello>,
    /// Whether nothing was committed on it yet.
    pub(super) first: bool,
    pub(super) staged: OrderedMap<Key, Staged>,
    /// What the controller does not have, as of which version.
    pub(super) absent: BTreeMap<Key, u64>,
    /// Where the controller has something else than what is held, though nothing is staged: what
    /// was refused or rejected, what is of an unknown kind, what is absent.
    pub(super) differs: BTreeMap<Key, Stated>,
    /// Whether a resource's digest could not be read, so that the revision cannot be checked. The
    /// checksum of the lines was.
    pub(super) unverifiable: bool,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            hello: None,
            first: true,
            staged: OrderedMap::default(),
            absent: BTreeMap::new(),
            differs: BTreeMap::new(),
            unverifiable: false,
        }
    }
}

impl Change {
    /// What the controller has, since it says this.
    pub(super) fn stated(&self) -> Stated {
        match self {
            Self::Put(digest, _) | Self::Confirm(digest) => Some(Some(*digest)),
            Self::Hold(_) | Self::HashKey(_) => Some(None),
            Self::Reject(digest, _) => Some(*digest),
            Self::Delete => None,
            Self::Credential(credential) => credential.as_ref().map(|_| None),
            Self::Hashes(hashes) => (!hashes.is_empty()).then_some(None),
        }
    }
}

impl Connection {
    /// Stages a frame that is no COMMIT; says whether it is known.
    pub(super) fn stage(&mut self, frame: Frame, shared: &mut Shared) -> bool {
        match frame {
            Frame::Upsert(upsert) => return self.upsert(&upsert, shared),
            Frame::Hold(hold) => {
                let key = hold.key();
                let reason = Reason { reason: hold.reason, message: hold.message };
                return self.put(key, hold.version, Change::Hold(reason.into()));
            }
            Frame::Remove(remove) => {
                let key = remove.key();
                // What goes with it.
                let with = match key.kind {
                    Kind::Target => Some(Key::credential(&key.id)),
                    Kind::Key => Some(Key::hashes(&key.id)),
                    _ => None,
                };
                if let Some(with) = with {
                    self.staged.remove(&with);
                    self.differs.insert(with, None);
                }
                if remove.cause == Cause::Absent {
                    self.staged.remove(&key);
                    self.differs.insert(key.clone(), None);
                    self.absent.insert(key, remove.version);
                } else {
                    return self.put(key, remove.version, Change::Delete);
                }
            }
            Frame::Credential(frame) => {
                let key = Key::credential(&frame.target);
                let credential = frame.credential.map(Box::new);
                return self.put(key, frame.version, Change::Credential(credential));
            }
            Frame::Hashes(frame) => {
                let key = Key::hashes(&frame.id);
                return self.put(key, frame.version, Change::Hashes(frame.hashes.into()));
            }
            Frame::HashKey(key) => return self.put(Key::hash_key(), 0, Change::HashKey(key)),
            Frame::Unreadable(unreadable) => {
                let wire::Unreadable { key, version, digest, message } = unreadable;
                let secret = matches!(key.kind, Kind::Credential | Kind::Hashes);
                self.unverifiable |= digest.is_none() && !secret;
                let unusable = check::Unusable { reason: "DoesNotDecode", message };
                let version = version.unwrap_or(u64::MAX);
                return self.put(key, version, Change::Reject(digest, unusable.into()));
            }
            // What the fleet saw waits for no COMMIT: the link hands it on by itself.
            Frame::Hello(_)
            | Frame::Heartbeat(_)
            | Frame::Fleet(_)
            | Frame::Commit(_)
            | Frame::Reconnect(_) => {}
            Frame::Unknown(_) => return false,
        }
        true
    }

    fn upsert(&mut self, upsert: &Upsert, shared: &mut Shared) -> bool {
        let change = match check::value(upsert) {
            Ok(Some(check::Value::Key(mut key))) => {
                shared.key(&mut key);
                Change::Put(upsert.digest, check::Value::Key(key))
            }
            Ok(Some(value)) => Change::Put(upsert.digest, value),
            Ok(None) => Change::Confirm(upsert.digest),
            Err(unusable) => Change::Reject(Some(upsert.digest), unusable.into()),
        };
        self.put(upsert.key(), upsert.version, change)
    }

    /// Stages a change of a kind that is known here.
    fn put(&mut self, key: Key, version: u64, change: Change) -> bool {
        self.absent.remove(&key);
        let known = !matches!(key.kind, Kind::Other(_));
        if known {
            self.staged.insert(key, Staged { version, change });
        } else {
            self.differs.insert(key, change.stated());
        }
        known
    }

    /// The revision and numbers of what the controller has stated, beside what is held.
    pub(super) fn stated(
        &self,
        sides: &Sides,
        credentials: &BTreeMap<ObjectId, Credential>,
        hashes: &AllHashes,
    ) -> (Digest, Counts) {
        let staged = self.staged.iter().map(|(key, staged)| (key, staged.change.stated()));
        let differs = self.differs.iter().map(|(key, stated)| (key, *stated));
        let mut counts =
            Counts { credentials: credentials.len(), hashes: hashes.len(), ..Counts::default() };
        let said = layered(differs, staged).filter(|(key, stated)| {
            let (count, held) = match key.kind {
                Kind::Credential => (&mut counts.credentials, credentials.contains_key(&key.id)),
                Kind::Hashes => (&mut counts.hashes, hashes.contains_key(&key.id)),
                Kind::HashKey => return false,
                _ => return true,
            };
            match (held, stated.is_some()) {
                (true, false) => *count = count.saturating_sub(1),
                (false, true) => *count += 1,
                _ => {}
            }
            false
        });
        let held = sides.iter().map(|(key, side)| (key, Some(side.served())));
        let mut counting = Counting::default();
        let (mut aliases, mut targets, mut keys) = (0, 0, 0);
        for (key, stated) in layered(held, said) {
            let Some(digest) = stated else { continue };
            match key.kind {
                Kind::Alias => aliases += 1,
                Kind::Target => targets += 1,
                Kind::Key => keys += 1,
                _ => {}
            }
            counting.add(key.kind.name(), &key.id, digest);
        }
        let counts = Counts { aliases, targets, keys, ..counts };
        (counting.revision(), counts)
    }
}

/// Both in the order of their keys; where both have a key that of `over` counts.
fn layered<'a>(
    base: impl Iterator<Item = (&'a Key, Stated)>,
    over: impl Iterator<Item = (&'a Key, Stated)>,
) -> impl Iterator<Item = (&'a Key, Stated)> {
    let (mut base, mut over) = (base.peekable(), over.peekable());
    std::iter::from_fn(move || {
        let order = match (base.peek(), over.peek()) {
            (Some((base, _)), Some((over, _))) => base.cmp(over),
            (_, None) => return base.next(),
            (None, _) => return over.next(),
        };
        if order.is_lt() {
            return base.next();
        }
        if order.is_eq() {
            base.next();
        }
        over.next()
    })
}
