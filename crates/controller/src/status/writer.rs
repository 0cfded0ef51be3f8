//! Performs what the entries ask for: a queue by time, a few writes at once, each a server-side
//! apply of the whole status by one field manager, on the condition that the object is still the
//! one that was looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::{AccessKey, ConditionType, ModelAlias, ProviderTarget};
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client};
use routing::spend::Heard;
use routing::{Digest, ObjectId};
use serde_json::{Value, json};
use telemetry::{ControllerMetrics, StatusWrite};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use super::entry::{Entry, Live, Now, Outcome, Step, Text};
use super::programmed::Observed;
use crate::events::{News, Recorder};
use crate::lease::Leadership;
use crate::watch::{Backoff, Kind, said, version};

/// Who owns the fields of every status that a controller writes, whichever replica.
const FIELD_MANAGER: &str = "moniker-controller";
/// How many writes are under way at once.
const AT_ONCE: usize = 8;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a write that conflicted waits for the news of what it conflicted with.
const NEWS: Duration = Duration::from_secs(2);

/// An object that has a status of ours.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Subject {
    pub(crate) kind: Kind,
    pub(crate) id: ObjectId,
}

impl Subject {
    /// An alias.
    pub(crate) fn alias(id: ObjectId) -> Self {
        Self { kind: Kind::Alias, id }
    }

    /// A target.
    pub(crate) fn target(id: ObjectId) -> Self {
        Self { kind: Kind::Target, id }
    }

    fn resource(&self) -> ApiResource {
        match self.kind {
            Kind::Alias => ApiResource::erase::<ModelAlias>(&()),
            Kind::Key => ApiResource::erase::<AccessKey>(&()),
            _ => ApiResource::erase::<ProviderTarget>(&()),
        }
    }

    /// Its `apiVersion` and `kind`.
    pub(crate) fn gvk(&self) -> (String, String) {
        let resource = self.resource();
        (resource.api_version, resource.kind)
    }
}

/// News for the writer.
#[derive(Debug)]
pub(crate) enum Report {
    /// What the compiler wants of those whose wish changed; `None`: nothing any more.
    Wanted(Vec<(Subject, Option<Text>)>),
    /// What the API server holds of those that changed; `None`: gone.
    Live(Vec<(Subject, Option<Live>)>),
    /// What was seen of aliases and targets on the ready routers.
    Observed(Vec<(Subject, Observed)>),
    /// What was heard of the spending of these keys, each with what tells it from another.
    Spent(Vec<(Subject, Digest, Arc<Heard>)>),
    /// The routers were asked what they see of credentials, and what is wanted tells it.
    Asked,
    /// The namespaces that are being deleted: nothing is written there.
    Terminating(BTreeSet<String>),
}

/// The one task that writes status.
pub(crate) struct Writer {
    client: Client,
    /// The types of conditions that are ours.
    ours: Vec<&'static str>,
    /// Whether routers are asked what they serve.
    asks: bool,
    /// Those of which nothing is known yet.
    kept: Vec<&'static str>,
    entries: BTreeMap<Subject, Entry>,
    /// When to look at which again, and the same the other way round.
    queue: BTreeSet<(Instant, Subject)>,
    queued: BTreeMap<Subject, Instant>,
    backoffs: BTreeMap<Subject, Backoff>,
    terminating: BTreeSet<String>,
    writes: JoinSet<(Subject, Result<DynamicObject, Failed>)>,
    /// Whether this replica writes at all.
    leadership: Leadership,
    /// Who tells the transitions.
    recorder: Recorder,
    metrics: Arc<ControllerMetrics>,
}

/// Why a write failed.
#[derive(Debug)]
enum Failed {
    Refused(kube::Error),
    Silent,
}

impl Writer {
    /// `asks`: routers are asked what they see of credentials and what they serve; until
    /// they were, what stands of that stays.
    pub(crate) fn new(
        client: Client,
        asks: bool,
        leadership: Leadership,
        recorder: Recorder,
        metrics: Arc<ControllerMetrics>,
    ) -> Self {
        let kept = asks.then(|| ConditionType::Healthy.name());
        Self {
            client,
            asks,
            kept: kept.into_iter().collect(),
            ours: ConditionType::ALL.iter().map(|kind| kind.name()).collect(),
            entries: BTreeMap::new(),
            queue: BTreeSet::new(),
            queued: BTreeMap::new(),
            backoffs: BTreeMap::new(),
            terminating: BTreeSet::new(),
            writes: JoinSet::new(),
            leadership,
            recorder,
            metrics,
        }
    }

    /// Writes until nobody reports any more; a write that is under way then ends first.
    pub(crate) async fn run(mut self, mut reports: mpsc::Receiver<Report>) {
        loop {
            let due = self.queue.first().map(|(due, _)| *due).filter(|_| self.has_room());
            tokio::select! {
                report = reports.recv() => match report {
                    Some(report) => self.take(report),
                    None => break,
                },
                Some(written) = self.writes.join_next() => {
                    if let Ok((subject, result)) = written {
                        self.written(subject, result);
                    }
                }
                () = at(due) => self.next(),
                () = self.leadership.changed() => {
                    self.metrics.leader.set(u64::from(self.leadership.leads()));
                }
            }
        }
        self.end().await;
    }

    /// Writes what was counted and not written yet, as long as this replica may, and waits for what
    /// is under way.
    async fn end(mut self) {
        let keys = self
            .entries
            .iter_mut()
            .filter_map(|(subject, entry)| entry.hurry().then(|| subject.clone()));
        let keys: Vec<Subject> = keys.collect();
        for subject in keys {
            while self.writes.len() >= AT_ONCE {
                self.join().await;
            }
            if !self.leadership.leads() {
                break;
            }
            // Nothing but this one is looked at any more.
            self.queue = [(Instant::now(), subject)].into();
            self.next();
        }
        while !self.writes.is_empty() {
            self.join().await;
        }
    }

    async fn join(&mut self) {
        if let Some(Ok((subject, result))) = self.writes.join_next().await {
            self.written(subject, result);
        }
    }

    /// Whether one more may be written now. What is due stays so until this replica writes.
    fn has_room(&self) -> bool {
        self.writes.len() < AT_ONCE && self.leadership.leads()
    }

    fn take(&mut self, report: Report) {
        match report {
            Report::Wanted(all) => {
                for (subject, wanted) in all {
                    self.entry(&subject).want(wanted);
                    self.look(subject);
                }
            }
            Report::Live(all) => {
                for (subject, live) in all {
                    self.entry(&subject).see(live);
                    self.look(subject);
                }
            }
            Report::Observed(all) => {
                for (subject, observed) in all {
                    // One that is gone by now is not begun anew.
                    if let Some(entry) = self.entries.get_mut(&subject) {
                        entry.observe(observed);
                        self.look(subject);
                    }
                }
            }
            Report::Spent(all) => {
                for (subject, uid, heard) in all {
                    if let Some(entry) = self.entries.get_mut(&subject) {
                        entry.spent(uid, heard);
                        self.look(subject);
                    }
                }
            }
            Report::Asked => {
                self.kept.clear();
                let targets = self.entries.keys().filter(|subject| subject.kind == Kind::Target);
                for subject in targets.cloned().collect::<Vec<_>>() {
                    self.look(subject);
                }
            }
            Report::Terminating(namespaces) => {
                // One that was deleted and made again in the meantime is looked at again.
                let before = std::mem::replace(&mut self.terminating, namespaces);
                let again: Vec<Subject> = self
                    .entries
                    .keys()
                    .filter(|subject| before.contains(&*subject.id.namespace))
                    .cloned()
                    .collect();
                for subject in again {
                    self.look(subject);
                }
            }
        }
    }

    fn entry(&mut self, subject: &Subject) -> &mut Entry {
        let programmed = self.asks && matches!(subject.kind, Kind::Alias | Kind::Target);
        self.entries.entry(subject.clone()).or_insert_with(|| Entry::new(programmed))
    }

    /// Looks at one now.
    fn look(&mut self, subject: Subject) {
        self.schedule(subject, Instant::now());
    }

    fn schedule(&mut self, subject: Subject, due: Instant) {
        if let Some(before) = self.queued.insert(subject.clone(), due) {
            self.queue.remove(&(before, subject.clone()));
        }
        self.queue.insert((due, subject));
    }

    /// Takes the next step of the first in the queue.
    fn next(&mut self) {
        let Some((_, subject)) = self.queue.pop_first() else { return };
        self.queued.remove(&subject);
        let Some(entry) = self.entries.get_mut(&subject) else { return };
        if entry.is_over() {
            self.entries.remove(&subject);
            self.backoffs.remove(&subject);
            return;
        }
        if self.terminating.contains(&*subject.id.namespace) {
            return;
        }
        let now = Now { instant: Instant::now(), wall: k8s_openapi::jiff::Timestamp::now() };
        match entry.step(now, &self.ours, &self.kept) {
            Step::Rest => {}
            Step::Wait(due) => self.schedule(subject, due),
            Step::Write { uid, version, status } => self.write(subject, &uid, version, &status),
        }
    }

    fn write(&mut self, subject: Subject, uid: &str, version: u64, status: &Value) {
        let resource = subject.resource();
        let objects: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &subject.id.namespace, &resource);
        // The uid and the version make it fail on an object that is not the one looked at.
        let body = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {
                "name": subject.id.name, "namespace": subject.id.namespace,
                "uid": uid, "resourceVersion": version.to_string(),
            },
            "status": status,
        });
        self.writes.spawn(async move {
            let params = PatchParams::apply(FIELD_MANAGER).force();
            let patch = Patch::Apply(&body);
            let answer =
                timeout(PATIENCE, objects.patch_status(&subject.id.name, &params, &patch)).await;
            let result = match answer {
                Ok(result) => result.map_err(Failed::Refused),
                Err(_elapsed) => Err(Failed::Silent),
            };
            (subject, result)
        });
    }

    fn written(&mut self, subject: Subject, result: Result<DynamicObject, Failed>) {
        let mut uid = String::new();
        let outcome = match result {
            Ok(object) => {
                self.backoffs.remove(&subject);
                uid = object.metadata.uid.clone().unwrap_or_default();
                let version = version(object.metadata.resource_version.as_deref());
                Outcome::Written { version, status: Text::of(&object.data["status"]) }
            }
            Err(failed) => {
                let backoff = self.backoffs.entry(subject.clone()).or_default();
                failed.outcome(&subject, backoff)
            }
        };
        self.metrics.status_write(match outcome {
            Outcome::Written { .. } => StatusWrite::Written,
            Outcome::Conflict(_) => StatusWrite::Conflict,
            Outcome::Later(_) | Outcome::Useless => StatusWrite::Failed,
        });
        if let Some(entry) = self.entries.get_mut(&subject) {
            let news = entry.done(outcome, Instant::now());
            // Nothing is made where everything is about to end.
            if !self.terminating.contains(&*subject.id.namespace) {
                for transition in news {
                    let (subject, uid) = (subject.clone(), uid.clone());
                    self.recorder.record(News { subject, uid, transition });
                }
            }
        }
        self.look(subject);
    }
}

impl Failed {
    fn outcome(self, subject: &Subject, backoff: &mut Backoff) -> Outcome {
        let Subject { kind, id } = subject;
        let of = kind.plural();
        match self {
            Self::Refused(kube::Error::Api(status)) if status.is_conflict() => {
                debug!("{of} {id} changed before its status was written: {status}");
                Outcome::Conflict(NEWS)
            }
            Self::Refused(kube::Error::Api(status)) if status.is_not_found() => Outcome::Useless,
            Self::Refused(kube::Error::Api(status)) if status.is_invalid() => {
                warn!("the API server refuses the status of {of} {id}: {status}");
                Outcome::Useless
            }
            Self::Refused(error) => {
                let delay = backoff.after(&error);
                let why = said(&error);
                warn!("cannot write the status of {of} {id}, again in {delay:.1?}: {why}");
                Outcome::Later(delay)
            }
            Self::Silent => Outcome::Later(backoff.next()),
        }
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
