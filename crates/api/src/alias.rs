//! ModelAlias: one name, a lineup of targets, a strategy.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use routing::{
    Capability, StrategySpec,
    outcome::Fault,
    price::{MAX_LENGTH, PATTERN as PRICE_PATTERN},
    snapshot::Visibility,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    category::Categories,
    common::{Export, ProgrammedStatus},
    duration::PATTERN,
};

/// One name, what it may resolve to, and how that is chosen.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "moniker.dev",
    version = "v1alpha1",
    kind = "ModelAlias",
    plural = "modelaliases",
    singular = "modelalias",
    shortname = "ma",
    category = "moniker",
    namespaced,
    status = "ModelAliasStatus",
    derive = "PartialEq",
    doc = "One name that applications send as `model`, a lineup of targets, and the strategy that chooses among them.",
    printcolumn = r#"{"name":"Model","type":"string","jsonPath":".status.model"}"#,
    printcolumn = r#"{"name":"Strategy","type":"string","jsonPath":".spec.strategy.type"}"#,
    printcolumn = r#"{"name":"Targets","type":"string","jsonPath":".status.summary.targets"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Routers","type":"string","jsonPath":".status.programmed.routers"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ModelAliasSpec {
    /// What callers write as `model`. Default: metadata.name. It cannot be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub model: Option<String>,
    /// Public: callers may use it, and /v1/models lists it. Internal: only other aliases may use
    /// it. Default: Public.
    // As the plain enum: of an Option, the schema has the enum's words instead of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Visibility")]
    pub visibility: Option<Visibility>,
    /// Which namespaces' callers and aliases may use it. Default: those of its own. More is
    /// honoured only in namespaces that the controller's --exporting-namespaces names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<Export>,
    /// How the targets are ordered.
    pub strategy: StrategySpec,
    /// The lineup. Under Priority the order of the list is the order of preference. Required, but
    /// for the strategy Category, which has `categories` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub targets: Option<Vec<Entry>>,
    /// The lineups of the strategy Category. Required with it, and only with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<Categories>,
    /// When the next target is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// How long each part of a request may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
    /// What keeps the requests of a session at one target, so that its prompt cache stays warm.
    /// Strategies that draw then draw by session; health goes before it. Default: nothing, but for
    /// the header x-moniker-session, which always does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// What every candidate must be, whatever the strategy. Default: anything that works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardrails: Option<Guardrails>,
}

/// An entry of a lineup: exactly one of `model` and `alias`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its name in this lineup, for status, logs and `explain`.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// A model, by the name that ProviderTargets give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub model: Option<String>,
    /// The ProviderTargets to ask for the model, in order of preference. Default: all of this
    /// namespace that offer it, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    pub providers: Option<Vec<ProviderRef>>,
    /// metadata.name of another ModelAlias, whose lineup stands here as one block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub alias: Option<String>,
    /// The namespace of `alias`. Default: this object's. Another needs its export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// Its share of what the strategy draws. 0 keeps it for fallback only. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub weight: Option<i32>,
    /// A fallback step: all entries of tier 0 go before those of tier 1, and so on. Not with
    /// Priority, where the list is the order. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31))]
    pub tier: Option<i32>,
}

/// A ProviderTarget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace. Default: this object's. Another needs its export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// When the next target is tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fallback {
    /// The most attempts that may reach a model. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub max_attempts: Option<i32>,
    /// How often the same target is tried again after Connect, ServerError, InvalidResponse or
    /// RateLimited. Default: 0 while another target is left, 1 for the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3))]
    pub retries: Option<i32>,
    /// The outcomes after which the next target is tried. Default: all but Moderation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub outcomes: Option<Vec<Fault>>,
}

/// What the requests of a session have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Affinity {
    /// None: every request stands alone. Header: the value of `header`. PromptPrefix: how the
    /// prompt begins (system, tools and the first message of the user, 4 KiB at most). AccessKey:
    /// the key of its caller, whichever value of it; callers without one stand alone.
    pub by: AffinityBy,
    /// The header of `by: Header`, such as x-session-id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9_-]+$"))]
    pub header: Option<String>,
}

/// What tells sessions apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AffinityBy {
    /// Nothing: every request stands alone.
    #[default]
    None,
    /// The value of a header.
    Header,
    /// How the prompt begins.
    PromptPrefix,
    /// The caller's AccessKey.
    AccessKey,
}

/// What every candidate must be. Of an alias that another one nests, those of the outer one hold:
/// the one that callers name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Guardrails {
    /// The highest prices. A model whose price is not known counts as above them. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price: Option<MaxPrice>,
    /// What each model must be capable of, even if a request does not need it. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub require_capabilities: Option<Vec<Capability>>,
}

/// The highest prices: at least one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MaxPrice {
    /// Of a million tokens of the prompt, such as "5": a decimal in quotes. Of a long prompt the
    /// model's price for such is compared. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_LENGTH), regex(pattern = PRICE_PATTERN))]
    pub input: Option<String>,
    /// Of a million tokens of the answer, such as "20". Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_LENGTH), regex(pattern = PRICE_PATTERN))]
    pub output: Option<String>,
}

/// How long each part of a request may take, such as 30s or 1m30s.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// Everything until the answer begins, all attempts together. Default: 600s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = PATTERN))]
    pub request: Option<String>,
    /// One attempt. Default: half of what remains while another target is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = PATTERN))]
    pub attempt: Option<String>,
    /// One attempt of a stream until its first content. Default: 60s, or `request` where that is
    /// less or the request asks for reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = PATTERN))]
    pub first_token: Option<String>,
    /// Silence within a stream that has begun. Default: 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = PATTERN))]
    pub stream_idle: Option<String>,
}

/// What the controller says of a ModelAlias.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelAliasStatus {
    /// The generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What callers write as `model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// In short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// What the lineup resolved to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lineups: Vec<LineupStatus>,
    /// Which of the ready routers serve it; absent where nobody can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub programmed: Option<ProgrammedStatus>,
    /// Accepted, ResolvedRefs, Programmed, Ready; Reconciling or Stalled while it is not ready; warnings such as
    /// PriceUnknown while they hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// An alias in short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Entries with a usable candidate, of all: 2/3.
    pub targets: String,
}

/// What a lineup resolved to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LineupStatus {
    /// Empty for the lineup of `targets`; else `default` or a category.
    pub name: String,
    /// What was learnt from the examples of a category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingStatus>,
    /// Its entries; past 32 candidates only those that are unresolved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<EntryStatus>,
}

/// What was learnt from the examples of a category.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrainingStatus {
    /// How many examples there are.
    pub examples: i32,
    /// Of these, how many percent are told right by what was learnt from all the others.
    pub leave_one_out_percent: i32,
}

/// What an entry resolved to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntryStatus {
    /// Its name.
    pub name: String,
    /// Its candidates, in order of preference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<CandidateStatus>,
}

/// Whether a candidate is usable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CandidateStatus {
    /// namespace/name of the ProviderTarget.
    pub provider: String,
    /// Whether it is usable.
    pub resolved: bool,
    /// Why it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
