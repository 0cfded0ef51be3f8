//! Reads the objects that ours name: Secrets, ConfigMaps and Services are watched as metadata
//! alone, and one that is named is read when it is first named and whenever it changed. A cluster
//! full of other people's Secrets so costs next to nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use compiler::{SecretBytes, SecretData, ServiceFacts};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::{Api, Client, Resource};
use routing::ObjectId;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::backoff::Backoff;
use super::errors::{for_good, said};
use super::source::{Kind, version};

/// How many are read at once.
const AT_ONCE: usize = 16;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What may not be read is asked for again this often.
const REFUSED_PERIOD: Duration = Duration::from_secs(30);
/// The annotation of a Secret that says where its values may be sent.
const ALLOWED_HOSTS: &str = "moniker.dev/allowed-hosts";

/// A named object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) kind: Kind,
    pub(crate) id: ObjectId,
}

/// What reading one gave.
#[derive(Clone, Debug)]
pub(crate) enum Read {
    Secret(Arc<SecretData>),
    /// With its version.
    ConfigMap(u64, Arc<BTreeMap<String, String>>),
    /// With its version.
    Service(u64, ServiceFacts),
    /// There is none.
    Absent,
    /// It may not be read.
    Refused,
}

impl Read {
    /// The version of what was read.
    pub(super) fn version(&self) -> Option<u64> {
        match self {
            Self::Secret(data) => Some(data.version),
            Self::ConfigMap(version, _) | Self::Service(version, _) => Some(*version),
            Self::Absent | Self::Refused => None,
        }
    }

    /// Whether another reading gave the same.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, Self::Absent) | (Self::Refused, Self::Refused) => true,
            _ => self.version().is_some() && self.version() == other.version(),
        }
    }
}

/// The reads that are under way.
pub(crate) struct Fetches {
    client: Client,
    permits: Arc<Semaphore>,
    tasks: JoinSet<(Name, Read)>,
    /// Whether what is read changed meanwhile, so that it must be read again.
    running: BTreeMap<Name, bool>,
    /// What was refused and waits to be read again.
    later: JoinSet<Name>,
    waiting: BTreeSet<Name>,
}

impl Fetches {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            tasks: JoinSet::new(),
            running: BTreeMap::new(),
            later: JoinSet::new(),
            waiting: BTreeSet::new(),
        }
    }

    /// Reads it, as it is now or later.
    pub(crate) fn start(&mut self, name: Name) {
        if let Some(again) = self.running.get_mut(&name) {
            *again = true;
            return;
        }
        self.running.insert(name.clone(), false);
        self.spawn(name);
    }

    /// Reads what was refused again, some time later.
    pub(crate) fn retry(&mut self, name: Name) {
        if self.waiting.insert(name.clone()) {
            self.later.spawn(async move {
                sleep(REFUSED_PERIOD).await;
                name
            });
        }
    }

    fn spawn(&mut self, name: Name) {
        let client = self.client.clone();
        let permits = self.permits.clone();
        self.tasks.spawn(async move {
            let read = read(client, permits, &name).await;
            (name, read)
        });
    }

    /// The next that was read; never while none is under way. Dropped before it returns, it has
    /// lost nothing.
    pub(crate) async fn next(&mut self) -> (Name, Read) {
        loop {
            tokio::select! {
                Some(Ok((name, read))) = self.tasks.join_next() => {
                    if self.running.remove(&name) != Some(true) {
                        return (name, read);
                    }
                    self.start(name);
                }
                Some(Ok(name)) = self.later.join_next() => {
                    self.waiting.remove(&name);
                    self.start(name);
                }
                else => std::future::pending().await,
            }
        }
    }
}

/// Asks until there is an answer.
async fn read(client: Client, permits: Arc<Semaphore>, name: &Name) -> Read {
    let mut backoff = Backoff::default();
    loop {
        let answer = {
            // It is never closed; and were it, reading without a bound is still reading.
            let _permit = permits.acquire().await.ok();
            timeout(PATIENCE, get(client.clone(), name)).await
        };
        let delay = match answer {
            Ok(Ok(read)) => return read,
            Ok(Err(error)) if for_good(&error) => {
                warn!("cannot read {} {}: {}", name.kind.plural(), name.id, said(&error));
                return Read::Refused;
            }
            Ok(Err(error)) => {
                let (of, id, why) = (name.kind.plural(), &name.id, said(&error));
                warn!("cannot read {of} {id}, trying again: {why}");
                backoff.after(&error)
            }
            Err(_elapsed) => backoff.next(),
        };
        sleep(delay).await;
    }
}

async fn get(client: Client, name: &Name) -> Result<Read, kube::Error> {
    let read = match name.kind {
        Kind::Secret => one(client, &name.id).await?.map(secret),
        Kind::ConfigMap => one(client, &name.id).await?.map(config_map),
        Kind::Service => one(client, &name.id).await?.map(service),
        // These are watched in full.
        Kind::Alias | Kind::Target | Kind::Key | Kind::Namespace => None,
    };
    Ok(read.unwrap_or(Read::Absent))
}

async fn one<K>(client: Client, id: &ObjectId) -> Result<Option<K>, kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let objects: Api<K> = Api::namespaced(client, &id.namespace);
    objects.get_opt(&id.name).await
}

fn secret(secret: Secret) -> Read {
    let values = secret.data.unwrap_or_default().into_iter();
    let owners = secret.metadata.owner_references.unwrap_or_default();
    Read::Secret(Arc::new(SecretData {
        version: version(secret.metadata.resource_version.as_deref()),
        data: values.map(|(key, value)| (key, SecretBytes::new(value.0))).collect(),
        owners: owners.into_iter().map(|owner| owner.uid).collect(),
        allowed_hosts: secret.metadata.annotations.unwrap_or_default().remove(ALLOWED_HOSTS),
    }))
}

fn config_map(map: ConfigMap) -> Read {
    let version = version(map.metadata.resource_version.as_deref());
    Read::ConfigMap(version, Arc::new(map.data.unwrap_or_default()))
}

fn service(service: Service) -> Read {
    let version = version(service.metadata.resource_version.as_deref());
    let kind = service.spec.and_then(|spec| spec.type_);
    Read::Service(version, ServiceFacts { external_name: kind.as_deref() == Some("ExternalName") })
}
