//! The metrics of one process. Handles are resolved when a snapshot is applied and counted on
//! through atomics, so that a request neither hashes a label nor takes a lock; a series shows once
//! it has counted something.

pub mod category;
pub mod controller;
pub(crate) mod family;
pub mod handles;
pub mod keys;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use prometheus::{Encoder as _, TextEncoder, core::Collector as _};
use routing::{OutcomeClass, fleet::Report};

use crate::{feedback, names};
use category::CategoryMetrics;
use family::Families;
use handles::{AliasMetrics, AttemptMetrics, TargetMetrics};

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// A count of something that has no labels.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// One less, of a gauge.
    pub fn dec(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Exactly so many, of a gauge.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Reads, from live state, what this router tells the fleet, as of now. It changes nothing.
pub type Reporter = dyn Fn() -> Report + Send + Sync;

/// An alias and a target.
type Pair = (Arc<str>, Arc<str>);

/// All metrics of this process.
pub struct Metrics {
    started: Instant,
    aliases: Mutex<BTreeMap<Arc<str>, Arc<AliasMetrics>>>,
    targets: Mutex<BTreeMap<Arc<str>, Arc<TargetMetrics>>>,
    attempts: Mutex<BTreeMap<Pair, Arc<AttemptMetrics>>>,
    /// By alias and category.
    categories: Mutex<BTreeMap<Pair, Arc<CategoryMetrics>>>,
    /// Callers' keys.
    pub keys: keys::AllKeys,
    /// Probes of each ProviderTarget, by outcome.
    probes: Mutex<BTreeMap<(Arc<str>, &'static str), u64>>,
    unknown: Arc<AliasMetrics>,
    unnamed: Arc<AliasMetrics>,
    snapshot: Mutex<Option<Snapshot>>,
    /// Snapshots that were applied.
    pub applied: Count,
    /// Resources or transmissions that could not be used.
    pub rejections: Count,
    /// Resources that were older than what is held.
    pub refusals: Count,
    kept_failures: [Count; 2],
    link: AtomicBool,
    fleet: Mutex<Option<(u32, Instant)>>,
    reporter: OnceLock<Box<Reporter>>,
    process: prometheus::process_collector::ProcessCollector,
}

/// What is served from.
struct Snapshot {
    facts: SnapshotFacts,
    confirmed: Instant,
    /// How old it was then.
    age: Duration,
}

/// What of the last known good could not be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptWhat {
    /// The snapshot.
    Snapshot,
    /// The credentials.
    Credentials,
}

/// What is told of the snapshot that is served from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotFacts {
    /// Its revision.
    pub revision: String,
    /// How many aliases are in it.
    pub aliases: usize,
    /// How many targets are in it.
    pub targets: usize,
    /// How many of them are held at their last good form.
    pub held: usize,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Metrics that have counted nothing.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            aliases: Mutex::default(),
            targets: Mutex::default(),
            attempts: Mutex::default(),
            categories: Mutex::default(),
            keys: keys::AllKeys::default(),
            probes: Mutex::default(),
            unknown: Arc::default(),
            unnamed: Arc::default(),
            snapshot: Mutex::default(),
            applied: Count::default(),
            rejections: Count::default(),
            refusals: Count::default(),
            kept_failures: Default::default(),
            link: AtomicBool::new(false),
            fleet: Mutex::default(),
            reporter: OnceLock::new(),
            process: prometheus::process_collector::ProcessCollector::for_self(),
        }
    }

    /// The handle of an alias (namespace/name): the same as long as it is not removed.
    pub fn alias(&self, alias: &str) -> Arc<AliasMetrics> {
        let mut map = self.aliases.lock();
        if let Some(known) = map.get(alias) {
            return Arc::clone(known);
        }
        Arc::clone(map.entry(alias.into()).or_default())
    }

    /// The handle of a target (namespace/ProviderTarget/model), whatever alias it is used by.
    pub fn target(&self, target: &str) -> Arc<TargetMetrics> {
        let mut map = self.targets.lock();
        if let Some(known) = map.get(target) {
            return Arc::clone(known);
        }
        let made = Arc::new(TargetMetrics::new(self.started));
        Arc::clone(map.entry(target.into()).or_insert(made))
    }

    /// The handle of an alias's attempts at a target.
    pub fn alias_target(&self, alias: &str, target: &str) -> Arc<AttemptMetrics> {
        Arc::clone(self.attempts.lock().entry((alias.into(), target.into())).or_default())
    }

    /// The handle of an alias's requests of a category.
    pub fn category(&self, alias: &str, category: &str) -> Arc<CategoryMetrics> {
        Arc::clone(self.categories.lock().entry((alias.into(), category.into())).or_default())
    }

    /// Forgets the series of categories that are no longer there.
    pub fn retain_categories(&self, keep: impl Fn(&str, &str) -> bool) {
        self.categories.lock().retain(|(alias, category), _| keep(alias, category));
    }

    /// A probe of a ProviderTarget (namespace/name) ended so.
    pub fn probed(&self, target: &str, outcome: OutcomeClass) {
        *self.probes.lock().entry((target.into(), outcome.name())).or_default() += 1;
    }

    /// The handle of requests whose model is no alias that their caller may name.
    pub fn unknown_alias(&self) -> &AliasMetrics {
        &self.unknown
    }

    /// The handle of requests that named no model.
    pub fn no_alias(&self) -> &AliasMetrics {
        &self.unnamed
    }

    /// Forgets the series of what is no longer there. Who still holds such a handle (a stream that
    /// runs on) counts where nobody looks.
    pub fn retain(
        &self,
        alias: impl Fn(&str) -> bool,
        target: impl Fn(&str) -> bool,
        alias_target: impl Fn(&str, &str) -> bool,
    ) {
        self.aliases.lock().retain(|name, _| alias(name));
        self.targets.lock().retain(|name, _| target(name));
        self.attempts.lock().retain(|(a, t), _| alias_target(a, t));
        let targets = self.targets.lock();
        self.probes.lock().retain(|(probed, _), _| {
            let of = |label: &Arc<str>| {
                label.strip_prefix(&**probed).is_some_and(|model| model.starts_with('/'))
            };
            targets.keys().any(of)
        });
    }

    /// A snapshot was applied, and is current.
    pub fn snapshot_applied(&self, facts: SnapshotFacts) {
        self.applied.inc();
        *self.snapshot.lock() =
            Some(Snapshot { facts, confirmed: Instant::now(), age: Duration::ZERO });
    }

    /// A snapshot is served that was written down so long ago.
    pub fn snapshot_restored(&self, facts: SnapshotFacts, age: Duration) {
        *self.snapshot.lock() = Some(Snapshot { facts, confirmed: Instant::now(), age });
    }

    /// The last known good could not be written down.
    pub fn kept_failed(&self, what: KeptWhat) {
        self.kept_failures[what as usize].inc();
    }

    /// The controller said that the snapshot is current.
    pub fn snapshot_confirmed(&self) {
        if let Some(snapshot) = &mut *self.snapshot.lock() {
            snapshot.confirmed = Instant::now();
            snapshot.age = Duration::ZERO;
        }
    }

    /// The link to a controller was made or lost.
    pub fn set_link_connected(&self, connected: bool) {
        self.link.store(connected, Ordering::Relaxed);
    }

    /// The controller told what the fleet saw, and how many routers are ready.
    pub fn fleet_told(&self, routers: u32) {
        *self.fleet.lock() = Some((routers, Instant::now()));
    }

    /// From now on a scrape tells this report as well. The first reporter stays. Whoever keeps these
    /// metrics alive should be held weakly by it.
    pub fn report_with(&self, reporter: impl Fn() -> Report + Send + Sync + 'static) {
        let _ = self.reporter.set(Box::new(reporter));
    }

    /// What of `/metrics` is for the fleet, alone.
    pub fn render_feedback(&self) -> String {
        self.reporter.get().map(|report| feedback::text(&report())).unwrap_or_default()
    }

    /// The text of `/metrics`.
    pub fn render(&self) -> String {
        let mut families = Families::new();
        self.aliases.lock().iter().for_each(|(name, alias)| alias.collect(name, &mut families));
        self.unknown.collect(names::UNKNOWN_ALIAS, &mut families);
        self.unnamed.collect(names::NO_ALIAS, &mut families);
        for ((alias, target), attempts) in &*self.attempts.lock() {
            attempts.collect(alias, target, &mut families);
        }
        for ((alias, category), told) in &*self.categories.lock() {
            told.collect(alias, category, &mut families);
        }
        self.keys.collect(&mut families);
        self.targets.lock().iter().for_each(|(name, target)| target.collect(name, &mut families));
        for ((target, outcome), count) in &*self.probes.lock() {
            families.count(&names::PROBES, &[target, outcome], *count);
        }
        let mut amounts = String::new();
        if let Some(report) = self.reporter.get() {
            let report = report();
            feedback::collect(&report, &mut families);
            amounts = feedback::amounts(&report);
        }
        self.collect_process(&mut families);
        let mut families = families.finish();
        families.extend(self.process.collect());
        encode(families) + &amounts
    }

    fn collect_process(&self, families: &mut Families) {
        families.add(&names::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
        families.count(&names::SNAPSHOT_APPLIED, &[], self.applied.get());
        families.count(&names::SNAPSHOT_REJECTIONS, &[], self.rejections.get());
        families.count(&names::SNAPSHOT_REFUSALS, &[], self.refusals.get());
        let connected = self.link.load(Ordering::Relaxed);
        families.count(&names::LINK_CONNECTED, &[], u64::from(connected));
        if let Some((routers, told)) = *self.fleet.lock() {
            families.count(&names::FLEET_ROUTERS, &[], routers.into());
            families.add(&names::FLEET_AGE, &[], told.elapsed().as_secs_f64());
        }
        for (what, failures) in ["snapshot", "credentials"].iter().zip(&self.kept_failures) {
            families.count(&names::KEPT_FAILURES, &[what], failures.get());
        }
        if let Some(Snapshot { facts, confirmed, age }) = &*self.snapshot.lock() {
            families.add(&names::SNAPSHOT_AGE, &[], (confirmed.elapsed() + *age).as_secs_f64());
            families.snapshot(facts);
        }
    }
}

/// The text of these families.
pub(crate) fn encode(mut families: Vec<prometheus::proto::MetricFamily>) -> String {
    families.retain(|family| !family.get_metric().is_empty());
    let mut out = Vec::new();
    // Fails only for a family without a series, and those are gone.
    if let Err(error) = TextEncoder::new().encode(&families, &mut out) {
        tracing::error!(%error, "the metrics were not written in full");
    }
    String::from_utf8(out).unwrap_or_default()
}
