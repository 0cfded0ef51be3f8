//! The compiled snapshot: what the controller sends and the router serves from. Every type here
//! travels on the watch stream one resource at a time, so each stands alone: an alias names its
//! targets by id, and what it nests is inlined. Holds no secret.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

pub use crate::key::CompiledKey;
use crate::{
    catalog::{AuthKind, CapabilitySet, ProviderKind},
    category::{CompiledChoice, CompiledOverride},
    id::{CandidateIx, Digest, ObjectId},
    ordered::OrderedMap,
    outcome::{Fault, FaultSet},
    price::{PerMillion, Price},
    strategy::{StrategyKind, StrategySpec},
};

/// The most candidates of a lineup, nested ones included: a set of them is a `u64`.
pub const MAX_CANDIDATES: usize = 64;

/// Everything that a router serves from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoutingSnapshot {
    /// Digest over the digests of all resources, in order of kind and id.
    pub revision: Digest,
    /// The aliases, by id.
    pub aliases: BTreeMap<ObjectId, Resource<CompiledAlias>>,
    /// The targets, by id.
    pub targets: BTreeMap<ObjectId, Resource<CompiledTarget>>,
    /// The callers' keys, by id. Shared, since there may be many and they change seldom.
    #[serde(default, skip_serializing_if = "no_keys")]
    pub keys: Arc<CompiledKeys>,
}

/// Callers' keys, by id.
pub type CompiledKeys = OrderedMap<ObjectId, Resource<Arc<CompiledKey>>>;

fn no_keys(keys: &CompiledKeys) -> bool {
    keys.is_empty()
}

/// One resource of the snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Resource<T> {
    /// It compiled.
    Value {
        /// The object's resourceVersion as an integer.
        version: u64,
        /// Digest of the value's JSON.
        digest: Digest,
        /// What it compiled to.
        value: T,
    },
    /// It did not: routers keep the last good form, if they have one.
    Hold {
        /// The object's resourceVersion as an integer.
        version: u64,
        /// The condition's reason, such as `InvalidSpec`.
        reason: String,
        /// What is wrong, where, and how to mend it.
        message: String,
    },
}

impl<T> Resource<T> {
    /// The value, unless held.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value { value, .. } => Some(value),
            Self::Hold { .. } => None,
        }
    }

    /// The object's version.
    pub fn version(&self) -> u64 {
        match self {
            Self::Value { version, .. } | Self::Hold { version, .. } => *version,
        }
    }
}

/// Who may see an alias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Visibility {
    /// Callers may name it, and `/v1/models` lists it.
    #[default]
    Public,
    /// Only other aliases may use it.
    Internal,
}

/// Which namespaces' callers (of an alias) or aliases (of a target) may use an object, beside its
/// own namespace. Selectors are resolved to names when compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exported {
    /// Its own namespace alone.
    #[default]
    Same,
    /// Every namespace.
    All,
    /// Its own and these, sorted.
    Namespaces(Vec<String>),
}

impl Exported {
    /// Whether an object in `owner` exported so may be used from `from`.
    pub fn admits(&self, owner: &str, from: &str) -> bool {
        owner == from
            || match self {
                Self::Same => false,
                Self::All => true,
                Self::Namespaces(list) => list.iter().any(|ns| ns == from),
            }
    }
}

/// A ModelAlias as routers serve it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledAlias {
    /// Its id.
    pub id: ObjectId,
    /// What callers write as `model`.
    pub model: String,
    /// Whether callers may name it.
    pub visibility: Visibility,
    /// Which namespaces' callers may name it.
    pub export: Exported,
    /// When the object was made, seconds since 1970: of two that conflict the older serves, and it
    /// is the `created` of `/v1/models`.
    pub created: i64,
    /// All candidates, nested ones included, in list order; a [`CandidateIx`] points here. At most
    /// [`MAX_CANDIDATES`].
    pub candidates: Vec<CompiledCandidate>,
    /// How they are ordered.
    pub lineup: CompiledLineup,
    /// The lineups of categories, where the alias chooses by them; `candidates` and `lineup` are then
    /// those of Default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<Box<CompiledChoice>>,
    /// When the next one is tried.
    pub fallback: CompiledFallback,
    /// How long each part may take.
    pub timeouts: CompiledTimeouts,
    /// What requests of one session have in common, so that they go to the same target.
    #[serde(default, skip_serializing_if = "is_default")]
    pub affinity: CompiledAffinity,
    /// What a candidate must be, whatever the strategy.
    #[serde(default, skip_serializing_if = "is_default")]
    pub guardrails: CompiledGuardrails,
}

impl CompiledAlias {
    /// What stands for a model of a target where a key names it without an alias. It is seen by
    /// those keys alone that say so.
    pub fn direct(target: &CompiledTarget, model: &str) -> Self {
        let name = format!("{}/{model}", target.id.name);
        let entry = "direct".to_owned();
        let members = Members::Candidates(vec![CandidateIx(0)]);
        Self {
            id: ObjectId::new(Arc::clone(&target.id.namespace), name.as_str()),
            model: name,
            visibility: Visibility::Internal,
            export: Exported::Same,
            created: target.created,
            candidates: vec![CompiledCandidate {
                entry: entry.clone(),
                target: target.id.clone(),
                model: model.to_owned(),
            }],
            lineup: CompiledLineup {
                ix: 0,
                strategy: StrategySpec::of(StrategyKind::Priority),
                tiers: vec![vec![CompiledEntry { name: entry, weight: 1, members }]],
            },
            categories: None,
            fallback: CompiledFallback::default(),
            timeouts: CompiledTimeouts::default(),
            affinity: CompiledAffinity::None,
            guardrails: CompiledGuardrails::default(),
        }
    }

    /// Every lineup with its candidates: its own, then those of its categories in order.
    pub fn lineups(&self) -> impl Iterator<Item = (&[CompiledCandidate], &CompiledLineup)> {
        let overrides = self.categories.iter().flat_map(|choice| &choice.overrides);
        let overrides = overrides.map(|one| (one.candidates.as_slice(), &one.lineup));
        std::iter::once((self.candidates.as_slice(), &self.lineup)).chain(overrides)
    }

    /// The alias as requests of the category at this place know it; `None`: no such place.
    pub fn of_category(&self, place: usize) -> Option<Self> {
        let CompiledOverride { candidates, lineup } =
            self.categories.as_ref()?.overrides.get(place)?.clone();
        Some(Self {
            id: self.id.clone(),
            model: self.model.clone(),
            visibility: self.visibility,
            export: self.export.clone(),
            created: self.created,
            candidates,
            lineup,
            categories: None,
            fallback: self.fallback.clone(),
            timeouts: self.timeouts,
            affinity: self.affinity.clone(),
            guardrails: self.guardrails.clone(),
        })
    }
}

/// What requests of one session have in common. `x-moniker-session` goes before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CompiledAffinity {
    /// Nothing: every request stands alone.
    #[default]
    None,
    /// The value of this header, whose name is in lower case.
    Header(String),
    /// What the prompt begins with: system, tools and the first message of the user.
    PromptPrefix,
    /// The caller's key.
    AccessKey,
}

/// What a candidate must be, whatever the strategy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledGuardrails {
    /// The highest price of input tokens. A candidate of unknown price is above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price_input: Option<PerMillion>,
    /// The highest price of output tokens. A candidate of unknown price is above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price_output: Option<PerMillion>,
    /// What it must be capable of, whether the request needs it or not.
    #[serde(default, skip_serializing_if = "is_default")]
    pub require_capabilities: CapabilitySet,
}

impl CompiledGuardrails {
    /// Whether a price of tokens is above a ceiling for a prompt of so many tokens; an unknown one
    /// is, where there is a ceiling.
    pub fn price_above(&self, price: Option<&Price>, prompt_tokens: u64) -> bool {
        if self.max_price_input.is_none() && self.max_price_output.is_none() {
            return false;
        }
        let Some(price) = price else { return true };
        let rates = price.rates(prompt_tokens);
        self.max_price_input.is_some_and(|max| rates.input > max)
            || self.max_price_output.is_some_and(|max| rates.output > max)
    }
}

/// An entry's target: what a request can be sent to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledCandidate {
    /// The name of the entry (`outer/inner` for one of a nested alias).
    pub entry: String,
    /// The ProviderTarget.
    pub target: ObjectId,
    /// The model, by the name that the ProviderTarget gives it.
    pub model: String,
}

/// A strategy over tiers of entries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledLineup {
    /// Its place among the alias's lineups, each before those that it nests; 0 is the outermost.
    /// Its live state is found by it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ix: u16,
    /// What orders the entries of a tier.
    pub strategy: StrategySpec,
    /// The tiers, in the order in which they are tried; entries in list order. Under Priority one.
    pub tiers: Vec<Vec<CompiledEntry>>,
}

/// Whether it is what its absence means.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// One item of `targets`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledEntry {
    /// Its name.
    pub name: String,
    /// Its weight; 0: for fallback only.
    pub weight: u32,
    /// What it stands for.
    pub members: Members,
}

/// What an entry stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Members {
    /// Targets in the order of preference. Never empty.
    Candidates(Vec<CandidateIx>),
    /// Another alias, whose lineup stays one block.
    Alias {
        /// The nested alias.
        id: ObjectId,
        /// Its lineup, over the outer alias's candidates.
        lineup: Box<CompiledLineup>,
    },
}

impl Members {
    /// The first candidate in list order; `None` only of a nested alias without any.
    pub fn first(&self) -> Option<CandidateIx> {
        match self {
            Self::Candidates(list) => list.first().copied(),
            Self::Alias { lineup, .. } => {
                lineup.tiers.iter().flatten().find_map(|entry| entry.members.first())
            }
        }
    }
}

/// When the next candidate is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledFallback {
    /// The most attempts that may reach a model.
    pub max_attempts: u32,
    /// Retries of the same candidate; `None`: 0 while another candidate is left, 1 for the last.
    pub retries: Option<u32>,
    /// The faults after which the next candidate is tried.
    pub outcomes: FaultSet,
}

impl Default for CompiledFallback {
    fn default() -> Self {
        Self { max_attempts: 5, retries: None, outcomes: Fault::default_fallback() }
    }
}

/// Bounds on time, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledTimeouts {
    /// The deadline until the commit point.
    pub request_ms: u64,
    /// From the start of an attempt to the first decisive event of a stream.
    pub first_token_ms: u64,
    /// One attempt; `None`: half of what remains while another candidate is left (JSON).
    pub attempt_ms: Option<u64>,
    /// Silence within a stream that has begun.
    pub stream_idle_ms: u64,
}

impl Default for CompiledTimeouts {
    fn default() -> Self {
        Self {
            request_ms: 600_000,
            first_token_ms: 60_000,
            attempt_ms: None,
            stream_idle_ms: 60_000,
        }
    }
}

/// A ProviderTarget as routers use it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledTarget {
    /// Its id.
    pub id: ObjectId,
    /// When the object was made, seconds since 1970.
    #[serde(default)]
    pub created: i64,
    /// The kind of API behind it.
    pub provider: ProviderKind,
    /// What the provider wants to know beside the address.
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: CompiledOptions,
    /// Where it is.
    pub endpoint: CompiledEndpoint,
    /// How requests are authenticated. The credential itself is a frame of its own.
    pub auth: CompiledAuth,
    /// Static headers, names in lower case, sorted.
    pub headers: Vec<(String, String)>,
    /// The models, in the order that they are written.
    pub models: Vec<CompiledModel>,
    /// When it is left alone.
    pub ejection: CompiledEjection,
    /// No new requests; running ones finish.
    pub cordoned: bool,
    /// What the provider grants this credential, for all routers together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quotas: Vec<CompiledQuota>,
    /// The most requests under way at once, for all routers together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
    /// How it is asked whether it is there, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<CompiledProbe>,
}

impl CompiledTarget {
    /// The model of this name, and its index.
    pub fn model(&self, name: &str) -> Option<(usize, &CompiledModel)> {
        self.models.iter().enumerate().find(|(_, m)| m.name == name)
    }
}

/// What a provider wants to know beside its address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CompiledOptions {
    /// Nothing.
    #[default]
    None,
    /// AzureOpenAI by deployments: the model's upstream name is that of a deployment.
    #[serde(rename_all = "camelCase")]
    AzureDeployments {
        /// The version of the API, such as `2024-10-21`.
        api_version: String,
    },
    /// VertexAI.
    VertexAi {
        /// The project's id.
        project: String,
        /// The location, such as `europe-west4` or `global`.
        location: String,
    },
    /// Bedrock.
    #[serde(rename_all = "camelCase")]
    Bedrock {
        /// The region, such as `eu-west-1`.
        region: String,
        /// The role that is assumed with the credential.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role_arn: Option<String>,
    },
}

/// What a provider grants, over a minute; at least one of the limits is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledQuota {
    /// Its name, unique in the target.
    pub name: String,
    /// The models that it counts, by name; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Tokens of prompt and answer together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Tokens of the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens_per_minute: Option<u64>,
    /// Tokens of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens_per_minute: Option<u64>,
    /// Whether prompt tokens that a cache held count.
    pub count_cached_input: bool,
}

impl CompiledQuota {
    /// Whether it counts requests for this model.
    pub fn counts(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|name| name == model)
    }
}

/// How a target is asked whether it is there: a GET, never a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledProbe {
    /// From one probe to the next, in milliseconds.
    pub interval_ms: u64,
    /// The path behind the endpoint's base URL, without a slash at its beginning.
    pub path: String,
}

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledEndpoint {
    /// The base URL, without a slash at its end; an endpoint's path is appended after one slash.
    pub url: String,
    /// A Service of the cluster: its addresses may be the cluster's own.
    pub service: bool,
    /// PEM of the authorities that are trusted instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
    /// The name that the server's certificate must have, where it is not the URL's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// How requests are authenticated at a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledAuth {
    /// The kind.
    pub kind: AuthKind,
    /// The header's name, in lower case, for [`AuthKind::Header`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Whether the target may use the routers' own identity: its namespace is one of those that the
    /// operator names. Without it [`AuthKind::WorkloadIdentity`] is a credential that is missing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub identity: bool,
}

/// A model that a target serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledModel {
    /// The name that aliases use.
    pub name: String,
    /// What the provider calls it.
    pub upstream_name: String,
    /// The family of models that it belongs to, where its names hide that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Tokens of prompt and answer together; `None`: not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    /// The most output tokens; a larger cap of a caller is lowered to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// What it can do.
    pub capabilities: CapabilitySet,
    /// What it costs; `None`: not known, which is never 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

/// When a target is left alone, durations in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledEjection {
    /// Failures in a row before it is ejected.
    pub consecutive_failures: u32,
    /// The first ejection's length; doubled with each that follows.
    pub base_ms: u64,
    /// The longest ejection.
    pub max_ms: u64,
}

impl Default for CompiledEjection {
    fn default() -> Self {
        Self { consecutive_failures: 3, base_ms: 5_000, max_ms: 300_000 }
    }
}
