//! The one loop of a controller: takes what the sources tell, compiles once they are quiet, and
//! hands the result to the publisher and the writer of statuses. The compilation runs beside it,
//! one at a time, so that a large one delays nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use compiler::{Compiled, Issuer, SecretBytes, Statuses, World, compile};
use routing::{Digest, ObjectId, snapshot::Resource, spend::Ledger};
use serde::Serialize;
use telemetry::{ControllerMetrics, metrics::SnapshotFacts};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};
use wire::Key;

use crate::fleet::programmed::{Programme, Programmes};
use crate::fleet::{Faults, Fleet, Spends};
use crate::generate::{AllMissing, Missing};
use crate::health::Health;
use crate::publish::{Publication, Publisher};
use crate::status::{Report, Subject, Text};
use crate::watch::{Cluster, Compile, Debounce, Effects, Fetches, Kind, Reach, Sources};

/// What the loop works with.
pub(crate) struct Join {
    pub(crate) sources: Sources,
    pub(crate) cluster: Cluster,
    pub(crate) fetches: Fetches,
    /// Which credentials fail, as routers report it; `None`: nobody asks them.
    pub(crate) faults: Option<watch::Receiver<Option<Arc<Faults>>>>,
    /// Who issues tokens of ServiceAccounts, once that is known.
    pub(crate) issuer: watch::Receiver<Option<Arc<Issuer>>>,
    /// Who makes the Secrets of keys that name none.
    pub(crate) missing: watch::Sender<Arc<AllMissing>>,
    /// Who is told what is stored of callers' spending, and tells what is new; `None`: nobody.
    pub(crate) spending: Option<(Fleet, watch::Receiver<Arc<Spends>>)>,
    /// Who asks routers what they serve; `None`: nobody does.
    pub(crate) programmes: Option<watch::Sender<Arc<Programmes>>>,
    pub(crate) reach: Reach,
    pub(crate) publisher: Publisher,
    pub(crate) reports: mpsc::Sender<Report>,
    pub(crate) health: Arc<ArcSwap<Health>>,
    pub(crate) metrics: Arc<ControllerMetrics>,
}

/// What a compilation gives.
struct Output {
    compiled: Compiled,
    /// What the hashes in it are made with.
    hash_key: SecretBytes,
    /// When the next caller's key ends, which is to be told.
    next_end: Option<Duration>,
    /// The Secrets that are to be made.
    missing: AllMissing,
    /// The statuses that are not what the compilation before wanted.
    wanted: Vec<(Subject, Option<Text>)>,
    took: Duration,
}

/// What changes while the loop runs.
struct Run {
    debounce: Debounce,
    compiling: Option<JoinHandle<Output>>,
    /// What the statuses should be.
    statuses: Arc<Statuses>,
    /// What was heard of callers' spending when it was last told.
    spends: Arc<Spends>,
    /// What routers reported when statuses were last wanted; `None`: they were not asked yet.
    faults: Option<Arc<Faults>>,
    serves: bool,
    second_look: Option<Pin<Box<Sleep>>>,
    /// When a caller's key ends.
    next_end: Option<Pin<Box<Sleep>>>,
    /// The Secrets that are to be made, and where none are.
    missing: AllMissing,
    terminating: BTreeSet<String>,
}

/// How long after a router was told that most of its aliases are absent everything is listed again:
/// it believes it if the second list, at least 60 s later, says so too.
const SECOND_LOOK: Duration = Duration::from_secs(65);

impl Join {
    /// Runs until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut run = Run {
            debounce: Debounce::default(),
            compiling: None,
            statuses: Arc::default(),
            spends: Arc::default(),
            faults: None,
            serves: false,
            second_look: None,
            next_end: None,
            missing: AllMissing::new(),
            terminating: BTreeSet::new(),
        };
        self.tell_health(&run);
        let mut doubts = self.publisher.doubts();
        loop {
            // Nothing is compiled from a part: what is not listed yet would look deleted.
            let may_compile = run.compiling.is_none() && self.cluster.missing().is_empty();
            let unread = self.cluster.unread();
            tokio::select! {
                () = stop.cancelled() => break,
                change = self.sources.news.recv() => match change {
                    Some(change) => {
                        let effects = self.cluster.apply(change);
                        self.perform(effects, &mut run).await;
                    }
                    None => break,
                },
                (name, read) = self.fetches.next() => {
                    let (when, again) = self.cluster.read(&name, read);
                    run.touch(when);
                    if again {
                        self.fetches.retry(name);
                    }
                }
                () = run.debounce.quiet(unread), if may_compile => self.compile(&mut run),
                output = done(&mut run.compiling) => self.publish(output, &mut run).await,
                faults = reported(&mut self.faults) => self.faults(faults, &mut run).await,
                spends = spent(&mut self.spending) => self.spent(spends, &mut run).await,
                issuer = told(&mut self.issuer) => {
                    self.cluster.issued_by(issuer);
                    run.touch(Compile::Now);
                }
                () = self.reach.changed() => self.tell_health(&run),
                // The publisher, which tells of doubts, lives as long as this does.
                _ = doubts.changed(), if run.second_look.is_none() => {
                    warn!("a router holds many aliases that are not there; listing again");
                    run.second_look = Some(Box::pin(sleep(SECOND_LOOK)));
                }
                () = elapsed(&mut run.next_end) => {
                    run.next_end = None;
                    run.touch(Compile::Now);
                }
                () = elapsed(&mut run.second_look) => {
                    run.second_look = None;
                    self.sources.restart();
                }
            }
        }
    }

    async fn perform(&mut self, effects: Effects, run: &mut Run) {
        let Effects { compile, reads, live, terminating } = effects;
        run.touch(compile);
        for name in reads {
            self.fetches.start(name);
        }
        if !live.is_empty() {
            self.report(Report::Live(live)).await;
        }
        if let Some(namespaces) = terminating {
            run.terminating.clone_from(&namespaces);
            self.tell_missing(run);
            self.report(Report::Terminating(namespaces)).await;
        }
        if compile == Compile::Now {
            self.tell_health(run);
        }
    }

    /// Tells which Secrets are to be made: none in a namespace that is being deleted.
    fn tell_missing(&self, run: &Run) {
        let stays = |id: &ObjectId| !run.terminating.contains(&*id.namespace);
        let missing = run.missing.iter().filter(|(id, _)| stays(id));
        let missing: AllMissing = missing.map(|(id, one)| (id.clone(), one.clone())).collect();
        self.missing.send_if_modified(|before| {
            let changed = **before != missing;
            if changed {
                *before = Arc::new(missing);
            }
            changed
        });
    }

    /// Fails only once the writer has ended, which it does with this loop.
    async fn report(&self, report: Report) {
        let _ = self.reports.send(report).await;
    }

    fn compile(&mut self, run: &mut Run) {
        self.cluster.is_now(unix_now());
        let (world, before) = (self.cluster.world(), run.statuses.clone());
        run.compiling = Some(tokio::task::spawn_blocking(move || output(&world, &before)));
    }

    async fn publish(&mut self, output: Option<Output>, run: &mut Run) {
        let Some(output) = output else { return };
        let Output { compiled, hash_key, next_end, missing, wanted, took } = output;
        run.missing = missing;
        self.tell_missing(run);
        run.next_end = next_end.map(|wait| Box::pin(sleep(wait)));
        let facts = facts(&compiled);
        let Compiled { snapshot, credentials, hashes, findings, statuses, .. } = compiled;
        if let Some((fleet, _)) = &self.spending {
            fleet.store(ledgers(&self.cluster.world()));
        }
        let deleted = self.cluster.deletions();
        let known = self.cluster.known();
        self.publisher.publish(Publication {
            snapshot: Arc::new(snapshot),
            credentials,
            hashes,
            hash_key,
            deleted: deleted.iter().map(|(subject, at)| (key(subject), *at)).collect(),
            known: Box::new(move |kind, namespace| known.until(kind_of(kind)?, namespace)),
        });
        debug!(
            revision = facts.revision,
            aliases = facts.aliases,
            targets = facts.targets,
            findings = findings.len(),
            ?took,
            "published"
        );
        self.metrics.compiled(took, facts);
        if let Some(programmes) = &self.programmes {
            let one = |(subject, pairs): (Subject, _)| {
                let generation = match subject.kind {
                    Kind::Alias => statuses.aliases.get(&subject.id)?.observed_generation?,
                    _ => statuses.targets.get(&subject.id)?.observed_generation?,
                };
                Some((subject, Programme { generation, pairs }))
            };
            let all = self.publisher.pairs().into_iter().filter_map(one).collect();
            programmes.send_replace(Arc::new(all));
        }
        run.statuses = Arc::new(statuses);
        let wanted = wanted.into_iter().map(|(subject, text)| run.with_health(subject, text));
        let wanted: Vec<_> = wanted.collect();
        if !wanted.is_empty() {
            self.report(Report::Wanted(wanted)).await;
        }
        if !run.serves {
            run.serves = true;
            info!("everything was listed; routers are served");
            self.tell_health(run);
        }
    }

    /// Routers see other credentials fail than before: a transition of those targets alone.
    async fn faults(&mut self, faults: Arc<Faults>, run: &mut Run) {
        let first = run.faults.is_none();
        let before = run.faults.replace(faults.clone()).unwrap_or_default();
        let ids: BTreeSet<&ObjectId> = before.keys().chain(faults.keys()).collect();
        let changed = ids.into_iter().filter(|id| before.get(*id) != faults.get(*id));
        let wanted: Vec<_> = changed
            .filter(|id| run.statuses.targets.contains_key(*id))
            .map(|id| run.with_health(Subject { kind: Kind::Target, id: id.clone() }, None))
            .collect();
        if !wanted.is_empty() {
            self.report(Report::Wanted(wanted)).await;
        }
        if first {
            self.report(Report::Asked).await;
        }
    }

    /// Routers spent more than before.
    async fn spent(&mut self, spends: Arc<Spends>, run: &mut Run) {
        let before = std::mem::replace(&mut run.spends, spends.clone());
        let changed = spends
            .iter()
            .filter(|(key, heard)| before.get(key).is_none_or(|known| !Arc::ptr_eq(known, heard)));
        let told = changed.map(|(key, heard)| {
            let subject = Subject { kind: Kind::Key, id: key.id.clone() };
            (subject, key.uid, heard.clone())
        });
        let told: Vec<_> = told.collect();
        if !told.is_empty() {
            self.report(Report::Spent(told)).await;
        }
    }

    /// Says on the admin port, in the metrics and to the publisher how it stands.
    fn tell_health(&self, run: &Run) {
        let away = self.reach.away();
        let unknown = self.cluster.unknown();
        self.metrics.set_away(away);
        self.metrics.set_unknown(
            unknown
                .iter()
                .map(|(source, _)| {
                    let namespace = source.namespace.clone().unwrap_or_default();
                    (source.kind.plural().to_owned(), namespace)
                })
                .collect(),
        );
        let health = Health {
            missing: self.cluster.missing().into_iter().map(ToString::to_string).collect(),
            unknown: unknown.into_iter().map(|(source, why)| (source.to_string(), why)).collect(),
            serves: run.serves,
            away,
        };
        self.publisher.open(health.ready());
        self.health.store(Arc::new(health));
    }
}

impl Run {
    /// The status that is wanted of a target with what routers saw of its credential; of others, and
    /// of one that is well, what is wanted anyway.
    fn with_health(&self, subject: Subject, text: Option<Text>) -> (Subject, Option<Text>) {
        let status = match subject.kind {
            Kind::Target => self.statuses.targets.get(&subject.id),
            _ => None,
        };
        let fault = self.faults.as_ref().and_then(|faults| faults.get(&subject.id)).copied();
        let text = match status {
            Some(status) if text.is_none() || fault.is_some() => {
                Some(Text::of(&status.clone().with_health(fault)))
            }
            _ => text,
        };
        (subject, text)
    }

    fn touch(&mut self, when: Compile) {
        match when {
            Compile::Never => {}
            Compile::Soon => self.debounce.touch_lazily(),
            Compile::Now => self.debounce.touch(),
        }
    }
}

/// What routers report of credentials, when that is something else; never while nobody asks them.
async fn reported(faults: &mut Option<watch::Receiver<Option<Arc<Faults>>>>) -> Arc<Faults> {
    if let Some(faults) = faults
        && faults.changed().await.is_ok()
        && let Some(now) = faults.borrow_and_update().clone()
    {
        return now;
    }
    std::future::pending().await
}

/// What routers spent, when that is more; never while nobody asks them.
async fn spent(spending: &mut Option<(Fleet, watch::Receiver<Arc<Spends>>)>) -> Arc<Spends> {
    if let Some((_, spends)) = spending
        && spends.changed().await.is_ok()
    {
        return spends.borrow_and_update().clone();
    }
    std::future::pending().await
}

/// What is stored of callers' spending.
fn ledgers(world: &World) -> BTreeMap<ObjectId, (Digest, Ledger)> {
    let stored = world.keys.iter().filter_map(|(id, key)| {
        let budget = key.object.status.as_ref()?.budget.as_ref()?;
        let uid = Digest::of(key.object.metadata.uid.as_deref()?.as_bytes());
        Some((id.clone(), (uid, budget.ledger())))
    });
    stored.collect()
}

async fn elapsed(timer: &mut Option<Pin<Box<Sleep>>>) {
    match timer {
        Some(timer) => timer.await,
        None => std::future::pending().await,
    }
}

/// The issuer of tokens, when it is another one.
async fn told(issuer: &mut watch::Receiver<Option<Arc<Issuer>>>) -> Arc<Issuer> {
    loop {
        if issuer.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        if let Some(issuer) = issuer.borrow_and_update().clone() {
            return issuer;
        }
    }
}

/// The compilation that runs, once it has ended; never while none does.
async fn done(compiling: &mut Option<JoinHandle<Output>>) -> Option<Output> {
    let Some(running) = compiling else { return std::future::pending().await };
    let ended = running.await;
    *compiling = None;
    match ended {
        Ok(output) => Some(output),
        Err(failed) => {
            error!("a compilation was lost, the next change makes another: {failed}");
            None
        }
    }
}

fn output(world: &World, before: &Statuses) -> Output {
    let started = Instant::now();
    let compiled = compile(world);
    let mut wanted = Vec::new();
    let now = &compiled.statuses;
    differences(Kind::Alias, &before.aliases, &now.aliases, &mut wanted);
    differences(Kind::Target, &before.targets, &now.targets, &mut wanted);
    differences(Kind::Key, &before.keys, &now.keys, &mut wanted);
    let (hash_key, next_end) = (world.settings.key_hash_key.clone(), next_end(world, &compiled));
    let missing = compiled.missing.iter().filter_map(|(id, secret)| {
        let uid = world.keys.get(id)?.object.metadata.uid.clone()?;
        Some((id.clone(), Missing { secret: secret.clone(), uid }))
    });
    let missing = missing.collect();
    Output { compiled, hash_key, next_end, missing, wanted, took: started.elapsed() }
}

/// Now, in seconds since 1970.
fn unix_now() -> i64 {
    k8s_openapi::jiff::Timestamp::now().as_second()
}

/// How long until the next caller's key ends, and a moment more. Routers see to it that it does; it
/// is only told. Looked at again after a day at most, whatever the clock did meanwhile.
fn next_end(world: &World, compiled: &Compiled) -> Option<Duration> {
    let now = world.now?;
    let ends = compiled.snapshot.keys.values().filter_map(|key| key.value()?.expires_at);
    let next = ends.filter(|end| *end > now).min()?;
    let wait = u64::try_from(next.saturating_sub(now)).ok()?;
    Some(Duration::from_secs(wait.min(24 * 3600) + 1))
}

/// The statuses of a kind that are not what they were.
fn differences<S: Serialize + PartialEq>(
    kind: Kind,
    before: &BTreeMap<ObjectId, S>,
    now: &BTreeMap<ObjectId, S>,
    wanted: &mut Vec<(Subject, Option<Text>)>,
) {
    let subject = |id: &ObjectId| Subject { kind, id: id.clone() };
    let changed = now.iter().filter(|(id, status)| before.get(*id) != Some(*status));
    wanted.extend(changed.map(|(id, status)| (subject(id), Some(Text::of(status)))));
    let gone = before.keys().filter(|id| !now.contains_key(*id));
    wanted.extend(gone.map(|id| (subject(id), None)));
}

fn key(subject: &Subject) -> Key {
    match subject.kind {
        Kind::Alias => Key::alias(&subject.id),
        Kind::Key => Key::access_key(&subject.id),
        _ => Key::target(&subject.id),
    }
}

/// Whose absence makes a resource absent.
fn kind_of(kind: &wire::Kind) -> Option<Kind> {
    match kind {
        wire::Kind::Alias => Some(Kind::Alias),
        wire::Kind::Target => Some(Kind::Target),
        wire::Kind::Key => Some(Kind::Key),
        wire::Kind::Credential | wire::Kind::Hashes => Some(Kind::Secret),
        wire::Kind::HashKey | wire::Kind::Other(_) => None,
    }
}

/// What is told of a snapshot.
fn facts(compiled: &Compiled) -> SnapshotFacts {
    let snapshot = &compiled.snapshot;
    let held = snapshot.aliases.values().filter(|one| matches!(one, Resource::Hold { .. })).count()
        + snapshot.targets.values().filter(|one| matches!(one, Resource::Hold { .. })).count()
        + snapshot.keys.values().filter(|one| matches!(one, Resource::Hold { .. })).count();
    SnapshotFacts {
        revision: snapshot.revision.to_string(),
        aliases: snapshot.aliases.len(),
        targets: snapshot.targets.len(),
        held,
    }
}
