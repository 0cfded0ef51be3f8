//! Usage as the protocols of callers count it.

use super::Protocol;
use crate::{
    neutral::{Reply, Usage},
    tree::{Json, object},
};

/// Bytes of text that a token is worth, roughly.
const BYTES_PER_TOKEN: u64 = 4;

/// Chat and completions: sums, and details within them.
pub(super) fn chat(usage: &Usage) -> Json {
    let tokens = &usage.tokens;
    object! {
        "prompt_tokens": tokens.prompt(),
        "completion_tokens": tokens.completion(),
        "total_tokens": tokens.prompt().saturating_add(tokens.completion()),
        "prompt_tokens_details": object! {
            "cached_tokens": tokens.cache_read,
            "cache_write_tokens": tokens.cache_write,
            "audio_tokens": tokens.audio_in,
        },
        "completion_tokens_details": object! {
            "reasoning_tokens": tokens.reasoning,
            "audio_tokens": tokens.audio_out,
        },
    }
}

/// Responses: sums too.
pub(super) fn responses(usage: &Usage) -> Json {
    let tokens = &usage.tokens;
    object! {
        "input_tokens": tokens.prompt(),
        "input_tokens_details": object! {
            "cached_tokens": tokens.cache_read,
            "cache_write_tokens": tokens.cache_write,
        },
        "output_tokens": tokens.completion(),
        "output_tokens_details": object! {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.prompt().saturating_add(tokens.completion()),
    }
}

/// Messages: parts apart. What is written to a cache is told by its time to live only where all of
/// it has one that the protocol knows.
pub(super) fn messages(usage: &Usage) -> Json {
    let tokens = &usage.tokens;
    let (short, long) = usage.written;
    let told = short.saturating_add(long) == tokens.cache_write;
    let creation = told.then(|| {
        object! {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long}
    });
    object! {
        "input_tokens": tokens.input.saturating_add(tokens.audio_in),
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation": creation,
        "output_tokens": tokens.completion(),
        "output_tokens_details": object! {"thinking_tokens": tokens.reasoning},
    }
}

/// An estimate, for a protocol that demands numbers: of the answer by its bytes.
pub(super) fn estimate(prompt: u64, answer_bytes: usize) -> Usage {
    let output = (answer_bytes as u64).div_ceil(BYTES_PER_TOKEN);
    let tokens = crate::Usage { input: prompt, output, ..crate::Usage::default() };
    Usage { tokens, estimated: true, ..Usage::default() }
}

/// The usage of a whole answer: estimated where the provider states none.
pub(super) fn of_reply(reply: &Reply, prompt: u64) -> Usage {
    reply.usage.unwrap_or_else(|| {
        let parts = reply.choices.iter().flat_map(|choice| &choice.parts);
        estimate(prompt, parts.map(super::bytes_of).sum())
    })
}

/// A service tier that the protocol knows.
pub(super) fn tier(protocol: Protocol, tier: Option<&str>) -> Option<&str> {
    let known: &[&str] = match protocol {
        Protocol::Messages => &["standard", "priority", "batch"],
        _ => &["auto", "default", "flex", "scale", "priority"],
    };
    tier.filter(|tier| known.contains(tier))
}
