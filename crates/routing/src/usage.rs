//! What a request used, in parts that do not overlap, so that each can be counted and priced alone.

use crate::price::Money;

/// Tokens of one request. The parts are disjoint but for `reasoning`, which is within `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens that came from no cache.
    pub input: u64,
    /// Prompt tokens that a cache held.
    pub cache_read: u64,
    /// Prompt tokens that were written to a cache.
    pub cache_write: u64,
    /// Tokens of the answer, reasoning included.
    pub output: u64,
    /// Tokens of reasoning, for show: they are within `output`.
    pub reasoning: u64,
    /// Tokens of audio in the prompt.
    pub audio_in: u64,
    /// Tokens of audio in the answer.
    pub audio_out: u64,
    /// Images that were made.
    pub images: u64,
    /// What the provider says that it costs, in its own currency, for show (OpenRouter: US dollars).
    pub stated_cost: Option<Money>,
}

impl Usage {
    /// All tokens of the prompt.
    pub fn prompt(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
            .saturating_add(self.audio_in)
    }

    /// All tokens of the answer.
    pub fn completion(&self) -> u64 {
        self.output.saturating_add(self.audio_out)
    }

    /// What two answers used together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
            audio_in: self.audio_in.saturating_add(other.audio_in),
            audio_out: self.audio_out.saturating_add(other.audio_out),
            images: self.images.saturating_add(other.images),
            stated_cost: match (self.stated_cost, other.stated_cost) {
                (Some(one), Some(other)) => Some(one.plus(other)),
                (one, other) => one.or(other),
            },
        }
    }
}
