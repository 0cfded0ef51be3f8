//! One watch per kind and namespace, as a stream of news that begins with a complete list.
//!
//! A list carries the version of a consistent read that was made before it began, so that "it is
//! not in my list" can be told as of that version: the watcher hands out neither bookmarks nor its
//! list's version, but it does not begin to list before it is polled again after `Init`.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::pin::pin;
use std::time::Duration;

use api::{AccessKey, ModelAlias, ProviderTarget};
use futures::StreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service};
use kube::api::{Api, ListParams, PartialObjectMeta};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Resource};
use routing::ObjectId;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::backoff::Backoff;
use super::errors::{for_good, said};
use super::reach::Reach;
use super::stored::Stored;

/// How long the API server lets one watch run, in seconds: 5 s later a connection that fell silent
/// is given up.
const WATCH_SECONDS: u32 = 30;
/// How many news may wait to be joined.
const QUEUE: usize = 1024;
/// A kind that is absent is looked for this often: its CRD may be installed any moment.
const ABSENT_PERIOD: Duration = Duration::from_secs(5);

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Alias,
    Target,
    Key,
    Secret,
    ConfigMap,
    Service,
    Namespace,
}

impl Kind {
    /// As `kubectl` and RBAC name it.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Alias => "modelaliases",
            Self::Target => "providertargets",
            Self::Key => "accesskeys",
            Self::Secret => "secrets",
            Self::ConfigMap => "configmaps",
            Self::Service => "services",
            Self::Namespace => "namespaces",
        }
    }
}

/// One watch: a kind in one namespace, or in all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    pub(crate) kind: Kind,
    pub(crate) namespace: Option<String>,
}

impl Source {
    /// Whether objects of this kind in this namespace are its.
    pub(super) fn holds(&self, kind: Kind, namespace: &str) -> bool {
        self.kind == kind && self.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} in namespace {namespace}", self.kind.plural()),
            None => f.write_str(self.kind.plural()),
        }
    }
}

/// What a source tells.
#[derive(Debug)]
pub(crate) enum News<T> {
    /// All that there is, and the version as of which what is not here is absent.
    Listed { items: Vec<T>, read: u64 },
    /// New or changed.
    Applied(T),
    /// Gone; its version is that of the deletion.
    Deleted(T),
    /// It cannot be read, for good as it seems, so what there is is unknown. It goes on trying.
    Unknown(String),
}

/// News with their source.
#[derive(Debug)]
pub(crate) enum Change {
    Aliases(Source, News<Stored<ModelAlias>>),
    Targets(Source, News<Stored<ProviderTarget>>),
    Keys(Source, News<Stored<AccessKey>>),
    Named(Source, News<Mark>),
    Namespaces(Source, News<NamespaceMark>),
}

/// What is kept of an object that one of ours may name.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) id: ObjectId,
    pub(crate) version: u64,
}

/// What is kept of a namespace.
#[derive(Clone, Debug)]
pub(crate) struct NamespaceMark {
    pub(crate) name: String,
    pub(crate) facts: NamespaceFacts,
}

/// What is read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamespaceFacts {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) terminating: bool,
}

/// All watches, running.
pub(crate) struct Sources {
    pub(crate) news: mpsc::Receiver<Change>,
    /// Which there are.
    pub(crate) all: Vec<Source>,
    client: Client,
    namespaces: Vec<String>,
    reach: Reach,
    /// They end with this value.
    tasks: JoinSet<()>,
}

impl Sources {
    /// Watches all namespaces, or these alone.
    pub(crate) fn start(client: Client, mut namespaces: Vec<String>, reach: Reach) -> Self {
        namespaces.sort();
        namespaces.dedup();
        let (news, all, tasks) = Self::spawn(&client, &namespaces, &reach);
        Self { news, all, client, namespaces, reach, tasks }
    }

    /// Lists everything again.
    pub(crate) fn restart(&mut self) {
        (self.news, self.all, self.tasks) =
            Self::spawn(&self.client, &self.namespaces, &self.reach);
    }

    fn spawn(
        client: &Client,
        namespaces: &[String],
        reach: &Reach,
    ) -> (mpsc::Receiver<Change>, Vec<Source>, JoinSet<()>) {
        let (send, news) = mpsc::channel(QUEUE);
        let mut start = Start { client, reach, send, all: Vec::new(), tasks: JoinSet::new() };
        let scopes: Vec<Option<String>> = match namespaces {
            [] => vec![None],
            some => some.iter().cloned().map(Some).collect(),
        };
        for scope in scopes {
            start.namespaced(Kind::Alias, scope.as_deref(), named, Change::Aliases);
            start.namespaced(Kind::Target, scope.as_deref(), named, Change::Targets);
            start.namespaced(Kind::Key, scope.as_deref(), named, Change::Keys);
            let tell = Change::Named;
            start.namespaced(Kind::Secret, scope.as_deref(), mark::<Secret>, tell);
            start.namespaced(Kind::ConfigMap, scope.as_deref(), mark::<ConfigMap>, tell);
            start.namespaced(Kind::Service, scope.as_deref(), mark::<Service>, tell);
        }
        if namespaces.is_empty() {
            let source = Source { kind: Kind::Namespace, namespace: None };
            let api = Api::<PartialObjectMeta<Namespace>>::all(client.clone());
            start.one(api, source, namespace_mark, Change::Namespaces);
        }
        (news, start.all, start.tasks)
    }
}

struct Start<'a> {
    client: &'a Client,
    reach: &'a Reach,
    send: mpsc::Sender<Change>,
    all: Vec<Source>,
    tasks: JoinSet<()>,
}

impl Start<'_> {
    fn namespaced<K, T>(
        &mut self,
        kind: Kind,
        namespace: Option<&str>,
        keep: fn(K) -> Option<T>,
        tell: fn(Source, News<T>) -> Change,
    ) where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + Sync
            + 'static,
        T: Send + 'static,
    {
        let client = self.client.clone();
        let api = match namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        };
        let source = Source { kind, namespace: namespace.map(str::to_owned) };
        self.one(api, source, keep, tell);
    }

    fn one<K, T>(
        &mut self,
        api: Api<K>,
        source: Source,
        keep: fn(K) -> Option<T>,
        tell: fn(Source, News<T>) -> Change,
    ) where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.all.push(source.clone());
        let follow = Follow { api, source, keep, tell, send: self.send.clone() };
        self.tasks.spawn(follow.run(self.reach.clone()));
    }
}

/// One source at work.
struct Follow<K, T> {
    api: Api<K>,
    source: Source,
    keep: fn(K) -> Option<T>,
    tell: fn(Source, News<T>) -> Change,
    send: mpsc::Sender<Change>,
}

/// Why a watch is begun anew.
enum Broken {
    /// Nobody listens any more.
    Unheard,
    /// It failed for good, as it seems: no permission, no such kind.
    Refused(kube::Error),
    /// The read before a list failed.
    Failed(kube::Error),
}

impl<K, T> Follow<K, T>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    T: Send + 'static,
{
    async fn run(self, reach: Reach) {
        let mut backoff = Backoff::default();
        let mut refused = String::new();
        loop {
            let delay = match self.watch(&mut backoff, &reach).await {
                Broken::Unheard => return,
                Broken::Refused(error) => {
                    let why = said(&error);
                    if why != refused {
                        warn!("cannot watch {}, so what there is is unknown: {why}", self.source);
                        refused.clone_from(&why);
                    }
                    if self.tell(News::Unknown(why)).await.is_err() {
                        return;
                    }
                    backoff.after(&error).min(ABSENT_PERIOD)
                }
                Broken::Failed(error) => {
                    debug!("cannot read {}: {}", self.source, said(&error));
                    backoff.after(&error)
                }
            };
            pause(delay, &reach, &mut backoff).await;
        }
    }

    /// One watcher, as long as it is of use.
    async fn watch(&self, backoff: &mut Backoff, reach: &Reach) -> Broken {
        let config = watcher::Config::default().timeout(WATCH_SECONDS);
        let mut events = pin!(watcher(self.api.clone(), config));
        let mut items = Vec::new();
        let mut read = 0;
        while let Some(event) = events.next().await {
            let news = match event {
                Ok(Event::Init) => {
                    items.clear();
                    read = match self.read().await {
                        Ok(version) => version,
                        Err(error) if for_good(&error) => return Broken::Refused(error),
                        Err(error) => return Broken::Failed(error),
                    };
                    continue;
                }
                Ok(Event::InitApply(object)) => {
                    items.extend((self.keep)(object));
                    continue;
                }
                Ok(Event::InitDone) => {
                    Some(News::Listed { items: std::mem::take(&mut items), read })
                }
                Ok(Event::Apply(object)) => (self.keep)(object).map(News::Applied),
                Ok(Event::Delete(object)) => (self.keep)(object).map(News::Deleted),
                Err(
                    watcher::Error::InitialListFailed(error)
                    | watcher::Error::WatchStartFailed(error),
                ) if for_good(&error) => {
                    return Broken::Refused(error);
                }
                Err(error) => {
                    debug!("the watch of {} was interrupted: {error}", self.source);
                    pause(backoff.next(), reach, backoff).await;
                    continue;
                }
            };
            backoff.reset();
            if let Some(news) = news
                && self.tell(news).await.is_err()
            {
                return Broken::Unheard;
            }
        }
        Broken::Unheard
    }

    /// The version of a consistent read: a list of one, as of now.
    async fn read(&self) -> Result<u64, kube::Error> {
        let list = self.api.list(&ListParams::default().limit(1)).await?;
        Ok(version(list.metadata.resource_version.as_deref()))
    }

    async fn tell(&self, news: News<T>) -> Result<(), mpsc::error::SendError<Change>> {
        self.send.send((self.tell)(self.source.clone(), news)).await
    }
}

/// Waits, but not longer than until the API server is back. Then the next delays are short again: one
/// that has just started refuses or fails for a moment what it soon answers.
async fn pause(delay: Duration, reach: &Reach, backoff: &mut Backoff) {
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = reach.back() => backoff.reset(),
    }
}

/// A resourceVersion as the integer that it is; 0, older than everything, where it is none.
pub(crate) fn version(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The name of an object in a namespace.
pub(super) fn id<K: Resource>(object: &K) -> Option<ObjectId> {
    let meta = object.meta();
    Some(ObjectId::new(meta.namespace.as_deref()?, meta.name.as_deref()?))
}

/// An object of ours, which always has a name.
fn named<K: Resource>(object: Stored<K>) -> Option<Stored<K>> {
    id(&object).is_some().then_some(object)
}

fn mark<K>(object: PartialObjectMeta<K>) -> Option<Mark>
where
    K: Resource,
{
    let id = id(&object)?;
    let version = version(object.metadata.resource_version.as_deref());
    drop(object);
    Some(Mark { id, version })
}

fn namespace_mark(object: PartialObjectMeta<Namespace>) -> Option<NamespaceMark> {
    Some(NamespaceMark {
        name: object.metadata.name?,
        facts: NamespaceFacts {
            labels: object.metadata.labels.unwrap_or_default(),
            terminating: object.metadata.deletion_timestamp.is_some(),
        },
    })
}
