//! The joined state: every object that decoded, a note for each that did not, and the settings that
//! change what objects mean. Made by a watch or from files; the only input of the compiler.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use api::{AccessKey, ModelAlias, ProviderTarget};
use routing::{
    ObjectId,
    key::{IssuerKey, List},
};
use secrecy::{ExposeSecret, SecretSlice};

/// Everything that the compiler reads.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The aliases that decoded.
    pub aliases: BTreeMap<ObjectId, Stored<ModelAlias>>,
    /// The targets that decoded.
    pub targets: BTreeMap<ObjectId, Stored<ProviderTarget>>,
    /// The callers' keys that decoded.
    pub keys: BTreeMap<ObjectId, Stored<AccessKey>>,
    /// The Secrets that targets and keys name. What is not here does not exist.
    pub secrets: BTreeMap<ObjectId, Arc<SecretData>>,
    /// The ConfigMaps that targets name, for CA bundles.
    pub config_maps: BTreeMap<ObjectId, Arc<BTreeMap<String, String>>>,
    /// The Secrets that they name and that cannot be read: nothing is known of them. A target
    /// that names one stays in the lineups and has no credential state, so that routers keep the
    /// credential that they have.
    pub unknown_secrets: BTreeSet<ObjectId>,
    /// The ConfigMaps that targets name and that cannot be read. A target that names one stays in
    /// the lineups and is a hold, so that routers keep the form that they have.
    pub unknown_config_maps: BTreeSet<ObjectId>,
    /// The Services that targets name; `None`: not known, so nothing is said of them.
    pub services: Option<BTreeMap<ObjectId, ServiceFacts>>,
    /// The labels of all namespaces; `None`: not known, so selectors cannot be resolved.
    pub namespaces: Option<BTreeMap<String, BTreeMap<String, String>>>,
    /// Who issues the tokens of the cluster's ServiceAccounts; `None`: not known.
    pub issuer: Option<Arc<Issuer>>,
    /// The objects that did not decode.
    pub undecodable: BTreeMap<(Kind, ObjectId), Undecodable>,
    /// What changes the meaning of objects.
    pub settings: Settings,
    /// The time, in seconds since 1970, for what statuses say of it; `None`: nothing.
    pub now: Option<i64>,
}

/// The kinds of objects that are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub enum Kind {
    /// A ModelAlias.
    #[serde(rename = "ModelAlias")]
    Alias,
    /// A ProviderTarget.
    #[serde(rename = "ProviderTarget")]
    Target,
    /// An AccessKey.
    #[serde(rename = "AccessKey")]
    Key,
}

impl Kind {
    /// As it is written in `kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alias => "ModelAlias",
            Self::Target => "ProviderTarget",
            Self::Key => "AccessKey",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An object as it is stored, cheap to clone.
#[derive(Clone, Debug)]
pub struct Stored<T> {
    /// Its resourceVersion as an integer.
    pub version: u64,
    /// `metadata.generation`.
    pub generation: i64,
    /// When it was made, seconds since 1970.
    pub created: i64,
    /// The object.
    pub object: Arc<T>,
}

/// An object that does not decode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// Its resourceVersion as an integer.
    pub version: u64,
    /// `metadata.generation`.
    pub generation: i64,
    /// Why it does not decode, with the field.
    pub message: String,
}

/// A Secret that a target may name.
#[derive(Debug, Default)]
pub struct SecretData {
    /// Its resourceVersion as an integer.
    pub version: u64,
    /// Its values.
    pub data: BTreeMap<String, SecretBytes>,
    /// The uids of the objects that own it.
    pub owners: Vec<String>,
    /// The annotation `moniker.dev/allowed-hosts`: hosts that its values may be sent to.
    pub allowed_hosts: Option<String>,
}

/// Who issues the tokens of ServiceAccounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issuer {
    /// Its name, as it stands in tokens.
    pub name: Box<str>,
    /// Its public keys.
    pub keys: List<IssuerKey>,
}

/// A value of a Secret: redacted when printed, wiped when dropped.
#[derive(Clone)]
pub struct SecretBytes(SecretSlice<u8>);

impl SecretBytes {
    /// These bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for who must read them.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for SecretBytes {}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What is read of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceFacts {
    /// `type: ExternalName`: it leads out of the cluster, to wherever its owner says.
    pub external_name: bool,
}

/// Namespaces that something is allowed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// Every one.
    All,
    /// These.
    Named(BTreeSet<String>),
}

impl Namespaces {
    /// Whether this one is among them.
    pub fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(namespace),
        }
    }
}

impl Default for Namespaces {
    fn default() -> Self {
        Self::Named(BTreeSet::new())
    }
}

/// What changes the meaning of objects.
#[derive(Clone)]
pub struct Settings {
    /// The namespaces whose objects may be exported beyond them.
    pub exporting_namespaces: Namespaces,
    /// The namespaces whose targets may use the routers' own identity.
    pub workload_identity_namespaces: Namespaces,
    /// The cluster's domain, such as `cluster.local`.
    pub cluster_domain: String,
    /// `moniker dev`: plain HTTP and loopback are fine.
    pub dev: bool,
    /// The key of `credentialVersion`, the same on every replica.
    pub credential_version_key: SecretBytes,
    /// The key of the hashes that stand for callers' keys, the same on every replica. Routers get
    /// it, to make the same hashes.
    pub key_hash_key: SecretBytes,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            exporting_namespaces: Namespaces::default(),
            workload_identity_namespaces: Namespaces::default(),
            cluster_domain: "cluster.local".to_owned(),
            dev: false,
            credential_version_key: SecretBytes::new(vec![0; 32]),
            key_hash_key: SecretBytes::new(vec![0; 32]),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("exporting_namespaces", &self.exporting_namespaces)
            .field("workload_identity_namespaces", &self.workload_identity_namespaces)
            .field("cluster_domain", &self.cluster_domain)
            .field("dev", &self.dev)
            .finish_non_exhaustive()
    }
}
