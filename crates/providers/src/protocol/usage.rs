//! Usage as the protocols of callers count it.

use super::Protocol;
use crate::{
    neutral::{Reply, Usage},
    rules::usage::{members, sum},
    tree::{Json, object},
};

/// Bytes of text that a token is worth, roughly.
const BYTES_PER_TOKEN: u64 = 4;

/// Chat and completions: sums, and details within them.
pub(super) fn chat(usage: &Usage) -> Json {
    write(Protocol::Chat, usage)
}

/// Responses: sums too.
pub(super) fn responses(usage: &Usage) -> Json {
    write(Protocol::Responses, usage)
}

/// Messages: parts apart.
pub(super) fn messages(usage: &Usage) -> Json {
    write(Protocol::Messages, usage)
}

fn write(protocol: Protocol, usage: &Usage) -> Json {
    let mut out = Json::empty();
    for (path, parts) in members(protocol) {
        let value = if parts.is_empty() { by_ttl(usage) } else { sum(parts, &usage.tokens).into() };
        match path.split_once('.') {
            Some((outer, inner)) => out.set_at(&[outer, inner], value),
            None => out.set(path, value),
        }
    }
    out
}

/// What is written to a cache, by its time to live: told only where all of it has one that Messages
/// knows.
fn by_ttl(usage: &Usage) -> Json {
    let (short, long) = usage.written;
    if short.saturating_add(long) != usage.tokens.cache_write {
        return Json::Null;
    }
    object! {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long}
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
