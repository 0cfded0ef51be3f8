//! What a model costs, as it is written: decimal strings, for a float cannot hold 0.1.

use routing::price::{MAX_LENGTH, PATTERN};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a model costs, in the currency of all your prices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// A million tokens of the prompt, such as "2.50": a decimal in quotes, at most six digits
    /// before the point and twelve behind it. "0" is a price like any other.
    #[schemars(length(min = 1, max = MAX_LENGTH), regex(pattern = PATTERN))]
    pub input: String,
    /// A million tokens of the prompt that the provider had in its cache. Default: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_LENGTH), regex(pattern = PATTERN))]
    pub cached_input: Option<String>,
    /// A million tokens of the prompt that were written to the provider's cache. Default: as
    /// `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_LENGTH), regex(pattern = PATTERN))]
    pub cache_write: Option<String>,
    /// A million tokens of the answer, reasoning included. "0" for models without such, as those
    /// for embeddings.
    #[schemars(length(min = 1, max = MAX_LENGTH), regex(pattern = PATTERN))]
    pub output: String,
    /// A million tokens of audio in the prompt. Default: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_LENGTH), regex(pattern = PATTERN))]
    pub audio_input: Option<String>,
    /// A million tokens of audio in the answer. Default: as `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_LENGTH), regex(pattern = PATTERN))]
    pub audio_output: Option<String>,
    /// An image that was made, beside its tokens. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_LENGTH), regex(pattern = PATTERN))]
    pub per_image: Option<String>,
    /// A request, beside its tokens. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_LENGTH), regex(pattern = PATTERN))]
    pub per_request: Option<String>,
    /// What a request costs whose prompt is long: these prices hold for all of it. Default: the
    /// length does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<LongContext>,
}

/// The prices of requests with long prompts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LongContext {
    /// Prompts with more tokens than these are long; cached ones are counted.
    #[schemars(range(min = 1))]
    pub input_tokens: i64,
    /// A million tokens of the prompt.
    #[schemars(length(min = 1, max = MAX_LENGTH), regex(pattern = PATTERN))]
    pub input: String,
    /// A million tokens of the prompt that the provider had in its cache. Default: as the `input`
    /// beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_LENGTH), regex(pattern = PATTERN))]
    pub cached_input: Option<String>,
    /// A million tokens of the prompt that were written to the provider's cache. Default: as the
    /// `input` beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_LENGTH), regex(pattern = PATTERN))]
    pub cache_write: Option<String>,
    /// A million tokens of the answer. Default: as for shorter prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_LENGTH), regex(pattern = PATTERN))]
    pub output: Option<String>,
}
