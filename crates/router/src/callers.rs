//! What callers used, by their keys. A key has a cell from its first request on, until the key is
//! gone: what is counted belongs to the AccessKey's uid, so that neither an edit nor another value
//! of the key loses it. Limits are held as those of targets are, by this router's shares.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use routing::{
    Digest, Money, Nanos,
    fleet::{Dimension, Draw, KeyId, KeyReport},
    key::{CompiledKey, CompiledLimits},
    quota::{Estimate, Full, Limits, Rule},
    spend::Purse,
};
use telemetry::{Metrics, metrics::keys::KeyMetrics};

use crate::{
    access::{LiveKey, unix_now},
    clock,
    fleet::Fleet,
    limits::{Hold, SharedLimits},
};

/// Parts of the table, so that requests of many keys do not wait for one lock.
const SHARDS: usize = 16;
/// The most keys that a report tells of: those with the highest demand.
const REPORTED: usize = 5_000;

type Cells = HashMap<Digest, Arc<CallerCell>, RandomState>;

/// The cells of all keys that were used, by uid.
#[derive(Debug, Default)]
pub(crate) struct Callers([Mutex<Cells>; SHARDS]);

impl Callers {
    /// The cell of a key.
    pub(crate) fn of(&self, key: &LiveKey, metrics: &Metrics) -> Arc<CallerCell> {
        let uid = key.compiled.uid;
        let mut cells = self.0[usize::from(uid.as_bytes()[0]) % SHARDS].lock();
        if let Some(cell) = cells.get(&uid) {
            return Arc::clone(cell);
        }
        let label: Arc<str> = key.id.to_string().into();
        let cell = CallerCell {
            key: KeyId { id: key.id.clone(), uid },
            metrics: metrics.keys.of(&label),
            label,
            limits: Mutex::default(),
            purse: Mutex::default(),
        };
        Arc::clone(cells.entry(uid).or_insert(Arc::new(cell)))
    }

    /// All cells.
    pub(crate) fn all(&self) -> impl Iterator<Item = Arc<CallerCell>> {
        self.0.iter().flat_map(|cells| cells.lock().values().cloned().collect::<Vec<_>>())
    }

    /// Forgets the keys that are not to be kept, and their metrics.
    pub(crate) fn retain(&self, metrics: &Metrics, keep: impl Fn(&KeyId) -> bool) {
        let mut labels = std::collections::HashSet::<Arc<str>, RandomState>::default();
        for cells in &self.0 {
            let mut cells = cells.lock();
            cells.retain(|_, cell| keep(&cell.key));
            labels.extend(cells.values().map(|cell| Arc::clone(&cell.label)));
        }
        metrics.keys.retain(|label| labels.contains(label));
    }

    /// What is reported of them.
    pub(crate) fn report(&self, now: Nanos) -> impl Iterator<Item = (KeyId, KeyReport)> {
        let told = |cell: Arc<CallerCell>| Some((cell.key.clone(), cell.report(now)?));
        let mut all: Vec<_> = self.all().filter_map(told).collect();
        if all.len() > REPORTED {
            // What was spent is told before anything.
            let demand = |seen: &KeyReport| {
                let draws = seen.draws.values().map(|d| d.demand).sum::<f64>();
                (seen.spending.is_some(), draws)
            };
            all.sort_by(|(_, a), (_, b)| {
                let (a, b) = (demand(a), demand(b));
                b.0.cmp(&a.0).then(b.1.total_cmp(&a.1))
            });
            all.truncate(REPORTED);
        }
        all.into_iter()
    }
}

/// What is known of the callers with one key.
#[derive(Debug)]
pub(crate) struct CallerCell {
    /// The key.
    pub(crate) key: KeyId,
    /// `namespace/name` of it.
    pub(crate) label: Arc<str>,
    /// What is counted of it.
    pub(crate) metrics: Arc<KeyMetrics>,
    /// Its limits, with what they were made of; `None`: it has none, or was not used lately.
    limits: Mutex<Option<(CompiledLimits, SharedLimits)>>,
    /// Its budget; `None`: it never had one. It stays as long as the cell, for it counts what was
    /// spent.
    purse: Mutex<Option<Held>>,
}

/// A budget.
#[derive(Debug)]
struct Held {
    purse: Purse,
    /// Whether there is one now.
    holds: bool,
}

impl CallerCell {
    /// Its limits as they are now, if it has any.
    pub(crate) fn limits(
        &self,
        key: &CompiledKey,
        fleet: &Fleet,
        seed: impl FnOnce() -> u64,
    ) -> Option<SharedLimits> {
        let mut held = self.limits.lock();
        let Some(wanted) = key.limits.as_deref() else {
            *held = None;
            return None;
        };
        let (made_of, limits) = held.get_or_insert_with(|| {
            let mut limits = Limits::new(Rule::of_key(wanted), wanted.max_in_flight, seed());
            fleet.tell_key(&self.key.uid, &mut limits);
            (*wanted, Arc::new(Mutex::new(limits)))
        });
        if made_of != wanted {
            limits.lock().apply(Rule::of_key(wanted), wanted.max_in_flight);
            *made_of = *wanted;
        }
        Some(Arc::clone(limits))
    }

    /// Reserves what a request is expected to use.
    pub(crate) fn reserve(&self, limits: &SharedLimits, expected: Estimate) -> Result<Hold, Full> {
        let reserved = Hold::reserve(limits, &self.label, "", expected, clock::now());
        reserved.inspect_err(|full| self.metrics.refused(full.dimension))
    }

    /// Its budget is as it is now.
    pub(crate) fn budget(&self, key: &CompiledKey, fleet: &Fleet) {
        let mut held = self.purse.lock();
        let Some(wanted) = key.budget.as_deref() else {
            held.iter_mut().for_each(|held| held.holds = false);
            return;
        };
        let held = held.get_or_insert_with(|| {
            let mut purse = Purse::new(wanted.clone(), fleet.routers());
            fleet.tell_budget(&self.key.uid, &mut purse);
            Held { purse, holds: true }
        });
        held.holds = true;
        if held.purse.budget() != wanted {
            held.purse.apply(wanted);
        }
    }

    /// Does something to its budget, if there is one.
    pub(crate) fn with_purse<T>(&self, act: impl FnOnce(&mut Purse) -> T) -> Option<T> {
        let mut held = self.purse.lock();
        held.as_mut().filter(|held| held.holds).map(|held| act(&mut held.purse))
    }

    /// Something of this price was asked for, and is reserved until [`CallerCell::release`].
    pub(crate) fn hold(&self, cost: Money) {
        if let Some(held) = &mut *self.purse.lock() {
            held.purse.ask(clock::now(), cost);
            held.purse.reserve(cost);
        }
    }

    /// What was reserved is not any more. Like [`CallerCell::hold`] also where the budget has gone
    /// meanwhile, for it may come back.
    pub(crate) fn release(&self, cost: Money) {
        if let Some(held) = &mut *self.purse.lock() {
            held.purse.release(cost);
        }
    }

    /// Something of this price was asked for.
    pub(crate) fn ask(&self, cost: Money) {
        self.with_purse(|purse| purse.ask(clock::now(), cost));
    }

    /// An attempt used so much, and it cost this.
    pub(crate) fn charge(&self, input: u64, output: u64, cost: Option<Money>) {
        self.metrics.tokens(input, output);
        if let Some(cost) = cost {
            self.metrics.cost(cost);
            self.with_purse(|purse| purse.spend(unix_now(), cost));
        }
    }

    /// Does something to its limits, if there are any.
    pub(crate) fn with_limits(&self, act: impl FnOnce(&mut Limits)) {
        if let Some((_, limits)) = &*self.limits.lock() {
            act(&mut limits.lock());
        }
    }

    /// What is reported of it, where that matters to others. Limits that were not used lately are
    /// forgotten: nothing of them counts any more.
    fn report(&self, now: Nanos) -> Option<KeyReport> {
        let spending = self.with_purse(|purse| purse.spending(now)).flatten();
        let draws = self.draws(now);
        (!draws.is_empty() || spending.is_some()).then_some(KeyReport { draws, spending })
    }

    fn draws(&self, now: Nanos) -> BTreeMap<Dimension, Draw> {
        let mut held = self.limits.lock();
        let Some((_, limits)) = &*held else { return BTreeMap::new() };
        let (idle, draws) = {
            let limits = limits.lock();
            let draws = limits.draws(now).map(|(_, dimension, draw)| (dimension, draw)).collect();
            (limits.is_idle(now), draws)
        };
        if idle && Arc::strong_count(limits) == 1 {
            *held = None;
            return BTreeMap::new();
        }
        draws
    }
}
