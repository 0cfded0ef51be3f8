//! Versions of what is gone, so that a controller that lags cannot bring it back. Kept for a while,
//! and not without bound.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use routing::Nanos;
use wire::Key;

/// How long one is kept.
pub(super) const KEPT: Duration = Duration::from_mins(10);
/// How many are kept; the oldest goes first.
const MOST: usize = 20_000;

/// The tombstones.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    versions: BTreeMap<Key, (u64, Nanos)>,
    /// In the order in which they were made; a key may stand here more than once.
    order: VecDeque<(Nanos, Key)>,
}

impl Tombstones {
    /// The object went with this version.
    pub(super) fn insert(&mut self, key: Key, version: u64, now: Nanos) {
        self.expire(now);
        if self.order.len() >= MOST {
            self.pop();
        }
        self.order.push_back((now, key.clone()));
        self.versions.insert(key, (version, now));
    }

    /// The version that it went with.
    pub(super) fn version(&self, key: &Key, now: Nanos) -> Option<u64> {
        let (version, made) = self.versions.get(key)?;
        (now.since(*made) < KEPT).then_some(*version)
    }

    /// All that are kept, with the versions that they went with.
    pub(super) fn all(&self) -> Vec<(Key, u64)> {
        self.versions.iter().map(|(key, (version, _))| (key.clone(), *version)).collect()
    }

    /// It is back.
    pub(super) fn remove(&mut self, key: &Key) {
        self.versions.remove(key);
    }

    /// Versions do not compare any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn expire(&mut self, now: Nanos) {
        while self.order.front().is_some_and(|(made, _)| now.since(*made) >= KEPT) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        let Some((made, key)) = self.order.pop_front() else { return };
        // A later one of the same key stays.
        if self.versions.get(&key).is_some_and(|(_, at)| *at == made) {
            self.versions.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use routing::ObjectId;

    use super::*;

    #[test]
    fn they_expire_and_are_bounded() {
        let key = |n: usize| Key::alias(&ObjectId::new("a", n.to_string()));
        let mut stones = Tombstones::default();
        stones.insert(key(0), 5, Nanos::ZERO);
        let later = Nanos::ZERO + Duration::from_secs(599);
        assert_eq!(stones.version(&key(0), later), Some(5));
        stones.insert(key(0), 9, later);
        let end = Nanos::ZERO + KEPT;
        stones.insert(key(1), 1, end);
        assert_eq!(stones.version(&key(0), end), Some(9), "the later one counts");
        assert_eq!(stones.version(&key(0), later + KEPT), None);
        for n in 2..2 * MOST {
            stones.insert(key(n), 1, end);
        }
        assert!(stones.order.len() <= MOST && stones.versions.len() <= MOST);
    }
}
