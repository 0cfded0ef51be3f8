//! What callers used, by their keys. A key has a cell from its first request on, until the key is
//! gone: what is counted belongs to the AccessKey's uid, so that neither an edit nor another value
//! of the key loses it. Limits are held as those of targets are, by this router's shares.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use routing::{
    Digest, Nanos,
    fleet::{KeyId, KeyReport},
    key::{CompiledKey, CompiledLimits},
    quota::{Estimate, Full, Limits, Rule},
};
use telemetry::{Metrics, metrics::keys::KeyMetrics};

use crate::{
    access::LiveKey,
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
            let demand = |seen: &KeyReport| seen.draws.values().map(|d| d.demand).sum::<f64>();
            all.sort_by(|(_, a), (_, b)| demand(b).total_cmp(&demand(a)));
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

    /// Does something to its limits, if there are any.
    pub(crate) fn with_limits(&self, act: impl FnOnce(&mut Limits)) {
        if let Some((_, limits)) = &*self.limits.lock() {
            act(&mut limits.lock());
        }
    }

    /// What is reported of it, where that matters to others. What was not used lately is forgotten:
    /// nothing of it counts any more.
    fn report(&self, now: Nanos) -> Option<KeyReport> {
        let mut held = self.limits.lock();
        let limits = &held.as_ref()?.1;
        let (idle, draws) = {
            let limits = limits.lock();
            let draws = limits.draws(now).map(|(_, dimension, draw)| (dimension, draw)).collect();
            (limits.is_idle(now), draws)
        };
        if idle && Arc::strong_count(limits) == 1 {
            *held = None;
            return None;
        }
        Some(KeyReport { draws })
    }
}
