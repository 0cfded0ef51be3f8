//! What the callers of an AccessKey may have of all routers together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much callers with this key may ask for, all routers together. At least one of the limits must
/// be there. A request that would go beyond one is answered 429 with Retry-After.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyLimits {
    /// Requests in a minute, counted when they are admitted, whatever becomes of them. Default: no
    /// limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub requests_per_minute: Option<i64>,
    /// Tokens of prompts and answers in a minute: reserved when a request is admitted, as many as it
    /// is expected to use, and corrected to what it used. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub tokens_per_minute: Option<i64>,
    /// Requests under way at once, each until the end of its answer. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_in_flight: Option<i64>,
}
