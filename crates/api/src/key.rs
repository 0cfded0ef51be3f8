//! AccessKey: a caller, its key, and what it may use.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    common::KeyRef,
    spending::{Budget, BudgetStatus, KeyLimits},
};

/// What follows the name of the key in a Secret whose value is valid beside it.
pub const PREVIOUS: &str = "-previous";
/// What follows the name of an AccessKey in that of the Secret that is made for it.
pub const GENERATED: &str = "-access-key";
/// The key of that Secret.
pub const GENERATED_KEY: &str = "api-key";

/// A caller: its key, and what it may use.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "moniker.dev",
    version = "v1alpha1",
    kind = "AccessKey",
    plural = "accesskeys",
    singular = "accesskey",
    shortname = "ak",
    category = "moniker",
    namespaced,
    status = "AccessKeyStatus",
    derive = "PartialEq",
    doc = "A caller: a key, which aliases it may use, and until when. A request's namespace is its key's.",
    printcolumn = r#"{"name":"Prefix","type":"string","jsonPath":".status.prefix"}"#,
    printcolumn = r#"{"name":"Aliases","type":"string","jsonPath":".status.aliases"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Spent","type":"string","priority":1,"jsonPath":".status.budget.spent"}"#,
    printcolumn = r#"{"name":"Expires","type":"string","jsonPath":".spec.expiresAt"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct AccessKeySpec {
    /// The key of a Secret in the namespace of this object that holds the caller's key, without a
    /// scheme such as `Bearer`. Default: `api-key` of the Secret `NAME-access-key`, which the
    /// controller makes with a key of its own, `mk-` and what is random, and which goes with this
    /// object; delete that Secret to get another key. While keys rotate the Secret may also hold the one of before, under
    /// the same name followed by `-previous`, such as `api-key-previous`: both are valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<KeyRef>,
    /// Instead of a key of its own: pods of this ServiceAccount, in the namespace of this object, send
    /// the token that Kubernetes projects into them for the audience `moniker`. Routers verify it by
    /// the cluster's public keys. A token lives until it expires, whatever becomes of its pod:
    /// disable this object to revoke. Default: none, it has a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccount>,
    /// Globs on the models that it may name, in which `*` stands for any characters. Default: all
    /// that its namespace may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 253)))]
    pub aliases: Option<Vec<String>>,
    /// How much callers with this key may ask for. Default: no limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<KeyLimits>,
    /// true: it may also name a model of a ProviderTarget without an alias, as `target/model`: of
    /// its namespace's targets, else of those that others export to it, of which the oldest has the
    /// name. `aliases` counts for these names too: `openai/*`. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_direct_models: Option<bool>,
    /// How much callers with this key may spend. Default: as much as they like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// When it ends, such as 2027-06-30T00:00:00Z. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("format" = "date-time"))]
    pub expires_at: Option<String>,
    /// true: it serves nobody. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// A ServiceAccount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceAccount {
    /// `metadata.name` of the ServiceAccount, in the namespace of this object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

impl AccessKeySpec {
    /// Where the key is, of an AccessKey of this name.
    pub fn key_ref(&self, name: &str) -> KeyRef {
        self.secret_ref.clone().unwrap_or_else(|| KeyRef {
            name: format!("{name}{GENERATED}"),
            key: GENERATED_KEY.to_owned(),
        })
    }
}

/// What the controller says of an AccessKey.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessKeyStatus {
    /// The generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The public part of a key that was generated, by which it is told from others; `-` for one
    /// that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The models that it may name, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aliases: Option<String>,
    /// What was spent of the budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetStatus>,
    /// Accepted, ResolvedRefs, Ready; Reconciling or Stalled while it is not ready; BudgetLow while
    /// little of the budget is left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
