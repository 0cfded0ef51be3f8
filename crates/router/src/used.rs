//! What an attempt used and cost: as the provider counted it, else estimated from what was asked
//! and seen.

use providers::{Amount, BYTES_PER_TOKEN};
use routing::{Money, Price, Usage};
use serde::{Serialize, Serializer, ser::SerializeStruct as _};

/// What an attempt used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    /// The tokens.
    pub(crate) usage: Usage,
    /// The provider did not count them.
    pub(crate) estimated: bool,
}

/// What a request is known to hold before a provider has counted it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    /// The prompt's tokens.
    pub(crate) prompt_tokens: u64,
    /// Bytes of text that are a token.
    pub(crate) bytes_per_token: f64,
    /// Bytes of the prompt, where it is all text: else 0, since they tell nothing of its tokens.
    pub(crate) text_bytes: u64,
    /// Tokens of the audio that it asks for.
    pub(crate) audio_out: u64,
}

impl Default for Estimate {
    fn default() -> Self {
        Self { prompt_tokens: 0, bytes_per_token: BYTES_PER_TOKEN, text_bytes: 0, audio_out: 0 }
    }
}

impl Used {
    /// What the provider counted.
    pub(crate) fn counted(usage: Usage) -> Self {
        Self { usage, estimated: false }
    }

    /// What a prompt and an answer of this size come to, where nobody has counted. An event with
    /// content is at least a token.
    pub(crate) fn estimated(estimate: Estimate, answer: Amount, deltas: u64, images: u64) -> Self {
        let Estimate { prompt_tokens, bytes_per_token, audio_out, .. } = estimate;
        let output = answer.tokens(bytes_per_token).max(deltas);
        let usage = Usage { input: prompt_tokens, output, audio_out, images, ..Usage::default() };
        Self { usage, estimated: true }
    }

    /// What two attempts used together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { usage: self.usage.plus(other.usage), estimated: self.estimated || other.estimated }
    }

    /// What it costs; `None` where there is no price, which is never 0.
    pub(crate) fn cost(&self, price: Option<&Price>) -> Option<Money> {
        price.map(|price| price.cost(&self.usage))
    }
}

impl Serialize for Used {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let Usage { cache_read, cache_write, reasoning, audio_in, audio_out, images, .. } =
            self.usage;
        let mut out = s.serialize_struct("Used", 9)?;
        // The whole of the prompt and of the answer, then the parts of them that are there.
        out.serialize_field("input", &self.usage.prompt())?;
        out.serialize_field("output", &self.usage.completion())?;
        for (name, tokens) in [
            ("cacheRead", cache_read),
            ("cacheWrite", cache_write),
            ("reasoning", reasoning),
            ("audioInput", audio_in),
            ("audioOutput", audio_out),
            ("images", images),
        ] {
            if tokens > 0 {
                out.serialize_field(name, &tokens)?;
            }
        }
        if self.estimated {
            out.serialize_field("estimated", &true)?;
        }
        out.end()
    }
}
