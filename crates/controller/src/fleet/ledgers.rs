//! What callers spent, as it is stored and as routers tell it. Whoever is heard is remembered after
//! it is gone, until what it spent is stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use routing::fleet::KeyId;
use routing::spend::{Counter, Heard, Ledger, Period};
use routing::{Digest, ObjectId};

/// What was heard of the spending of each key.
pub type Spends = BTreeMap<KeyId, Arc<Heard>>;

/// The ledgers of all keys that have budgets.
#[derive(Debug, Default)]
pub(super) struct Ledgers {
    stored: BTreeMap<ObjectId, (Digest, Ledger)>,
    heard: Spends,
}

impl Ledgers {
    /// This is stored now.
    pub(super) fn store(&mut self, stored: BTreeMap<ObjectId, (Digest, Ledger)>) {
        self.stored = stored;
    }

    fn stored(&self, key: &KeyId) -> Option<&Ledger> {
        self.stored.get(&key.id).filter(|(uid, _)| *uid == key.uid).map(|(_, ledger)| ledger)
    }

    /// A run of a router has spent this, in a period that began then.
    pub(super) fn hear(&mut self, key: &KeyId, router: &str, counter: Counter, start: i64) {
        let known = self.heard.get(key);
        let known = known.filter(|heard| heard.period_start >= start);
        if known.and_then(|heard| heard.counter(router)) == Some(counter) {
            return;
        }
        let heard = Arc::make_mut(self.heard.entry(key.clone()).or_default());
        heard.is_period(start);
        heard.hear(router, counter);
    }

    /// It is now: periods that are over end, of the keys that have a budget; others are forgotten.
    pub(super) fn turn(&mut self, budget: impl Fn(&KeyId) -> Option<Period>, now: i64) {
        let ended = self.stored.iter().filter_map(|(id, (uid, ledger))| {
            let key = KeyId { id: id.clone(), uid: *uid };
            let start = budget(&key)?.start(now);
            (start > ledger.period_start).then_some((key, start))
        });
        for (key, start) in ended.collect::<Vec<_>>() {
            if self.heard.get(&key).is_none_or(|heard| heard.period_start < start) {
                Arc::make_mut(self.heard.entry(key).or_default()).is_period(start);
            }
        }
        self.heard.retain(|key, _| budget(key).is_some());
    }

    /// Forgets the runs of routers that are gone, once what they spent is stored.
    pub(super) fn forget(&mut self, keep: impl Fn(&str) -> bool) {
        for (key, heard) in &mut self.heard {
            let stored = self.stored.get(&key.id).filter(|(uid, _)| *uid == key.uid);
            let Some((_, stored)) = stored else { continue };
            if heard.has_gone(stored, &keep) {
                Arc::make_mut(heard).forget(stored, &keep);
            }
        }
    }

    /// The ledger with all that was heard; as it is stored, and nothing, where nothing is known.
    pub(super) fn of(&self, key: &KeyId) -> Ledger {
        let stored = self.stored(key).cloned().unwrap_or_default();
        match self.heard.get(key) {
            Some(heard) => stored.with(heard),
            None => stored,
        }
    }

    /// How much of a run's counter is stored.
    pub(super) fn counted(&self, key: &KeyId, router: &str) -> Option<routing::Money> {
        self.stored(key)?.sources.get(router).copied()
    }

    /// All that was heard.
    pub(super) fn spends(&self) -> &Spends {
        &self.heard
    }
}
