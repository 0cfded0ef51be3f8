//! What a provider grants a credential, and how it is asked whether it is there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::PATTERN;

/// What the provider grants this credential in a minute, for all routers together. At least one of
/// the limits must be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quota {
    /// Its name, for metrics and messages.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The models that it counts, by `name`. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20), inner(length(min = 1, max = 253)))]
    pub models: Option<Vec<String>>,
    /// Requests. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub requests_per_minute: Option<i64>,
    /// Tokens of prompts and answers together. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub tokens_per_minute: Option<i64>,
    /// Tokens of prompts. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub input_tokens_per_minute: Option<i64>,
    /// Tokens of answers. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub output_tokens_per_minute: Option<i64>,
    /// Whether tokens that came from the provider's cache count. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count_cached_input: Option<bool>,
}

/// How the target is asked whether it is there: one router sends a GET, never a generation, so that
/// a target that failed is found well before a caller has to try it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// From one probe to the next, at least 1s. Default: 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = PATTERN))]
    pub interval: Option<String>,
    /// The path behind the endpoint's own, answered without cost by the provider. Default: /models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1024), regex(pattern = "^/[^?#\\s\\\\]+$"))]
    pub path: Option<String>,
}
