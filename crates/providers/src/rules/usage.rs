//! How usage is counted: each part of it by the members of a provider's answer that it is made of, and
//! each member that a caller gets by the parts that it is the sum of. One table each, which the readers
//! and writers of usage go by, and the guide prints.

use crate::{Usage, dialect::Dialect, protocol::Protocol};

/// A part of usage. All are disjoint but for reasoning, which is within the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Tokens of the prompt that came from no cache.
    Input,
    /// Tokens of the prompt that a cache held.
    CacheRead,
    /// Tokens of the prompt that were written to a cache.
    CacheWrite,
    /// Tokens of the answer, reasoning included.
    Output,
    /// Tokens of reasoning, for show.
    Reasoning,
    /// Tokens of audio in the prompt.
    AudioIn,
    /// Tokens of audio in the answer.
    AudioOut,
}

use Part::{AudioIn, AudioOut, CacheRead, CacheWrite, Input, Output, Reasoning};

impl Part {
    /// Every one, in the order of the guide.
    pub const ALL: [Self; 7] = [Input, CacheRead, CacheWrite, Output, Reasoning, AudioIn, AudioOut];

    /// The name, as the metadata of an answer and prices have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CacheRead => "cache read",
            Self::CacheWrite => "cache write",
            Self::Output => "output",
            Self::Reasoning => "reasoning (within output)",
            Self::AudioIn => "audio input",
            Self::AudioOut => "audio output",
        }
    }

    pub(crate) fn of(self, usage: &mut Usage) -> &mut u64 {
        match self {
            Self::Input => &mut usage.input,
            Self::CacheRead => &mut usage.cache_read,
            Self::CacheWrite => &mut usage.cache_write,
            Self::Output => &mut usage.output,
            Self::Reasoning => &mut usage.reasoning,
            Self::AudioIn => &mut usage.audio_in,
            Self::AudioOut => &mut usage.audio_out,
        }
    }
}

/// A step of a count: it never goes below 0. Members are written with their path; the first that is
/// there counts, since servers call them differently. `NAME[AUDIO]` is the `tokenCount` of those items
/// of a list whose `modality` is that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Adds one of these members.
    Plus(&'static [&'static str]),
    /// Takes one of them off.
    Minus(&'static [&'static str]),
}

use Step::{Minus, Plus};

/// How a dialect counts, part by part; what is not here it does not tell apart.
pub type Counts = &'static [(Part, &'static [Step])];

const CHAT_CACHED: &[&str] = &[
    "prompt_tokens_details.cached_tokens",
    "prompt_cache_hit_tokens",
    "cached_tokens",
    "num_cached_tokens",
];
const CHAT_WRITTEN: &[&str] = &["prompt_tokens_details.cache_write_tokens"];
const CHAT_AUDIO: &[&str] = &["prompt_tokens_details.audio_tokens"];
const CHAT_SPOKEN: &[&str] = &["completion_tokens_details.audio_tokens"];

const CHAT: Counts = &[
    (
        Input,
        &[Plus(&["prompt_tokens"]), Minus(CHAT_CACHED), Minus(CHAT_WRITTEN), Minus(CHAT_AUDIO)],
    ),
    (CacheRead, &[Plus(CHAT_CACHED)]),
    (CacheWrite, &[Plus(CHAT_WRITTEN)]),
    (Output, &[Plus(&["completion_tokens"]), Minus(CHAT_SPOKEN)]),
    (Reasoning, &[Plus(&["completion_tokens_details.reasoning_tokens"])]),
    (AudioIn, &[Plus(CHAT_AUDIO)]),
    (AudioOut, &[Plus(CHAT_SPOKEN)]),
];

const RESPONSES_CACHED: &[&str] = &["input_tokens_details.cached_tokens"];
const RESPONSES_WRITTEN: &[&str] = &["input_tokens_details.cache_write_tokens"];
const RESPONSES_AUDIO: &[&str] = &["input_tokens_details.audio_tokens"];
const RESPONSES_SPOKEN: &[&str] = &["output_tokens_details.audio_tokens"];

const RESPONSES: Counts = &[
    (
        Input,
        &[
            Plus(&["input_tokens"]),
            Minus(RESPONSES_CACHED),
            Minus(RESPONSES_WRITTEN),
            Minus(RESPONSES_AUDIO),
        ],
    ),
    (CacheRead, &[Plus(RESPONSES_CACHED)]),
    (CacheWrite, &[Plus(RESPONSES_WRITTEN)]),
    (Output, &[Plus(&["output_tokens"]), Minus(RESPONSES_SPOKEN)]),
    (Reasoning, &[Plus(&["output_tokens_details.reasoning_tokens"])]),
    (AudioIn, &[Plus(RESPONSES_AUDIO)]),
    (AudioOut, &[Plus(RESPONSES_SPOKEN)]),
];

const ANTHROPIC: Counts = &[
    (Input, &[Plus(&["input_tokens"])]),
    (CacheRead, &[Plus(&["cache_read_input_tokens"])]),
    (CacheWrite, &[Plus(&["cache_creation_input_tokens"])]),
    (Output, &[Plus(&["output_tokens"])]),
    (Reasoning, &[Plus(&["output_tokens_details.thinking_tokens"])]),
];

const GEMINI_CACHED: &[&str] = &["cachedContentTokenCount"];
const GEMINI_THOUGHTS: &[&str] = &["thoughtsTokenCount"];
const GEMINI_AUDIO: &[&str] = &["promptTokensDetails[AUDIO]"];
const GEMINI_SPOKEN: &[&str] = &["candidatesTokensDetails[AUDIO]"];

const GEMINI: Counts = &[
    (
        Input,
        &[
            Plus(&["promptTokenCount"]),
            Minus(GEMINI_CACHED),
            Minus(GEMINI_AUDIO),
            // What tools put into the prompt stands beside it, not within.
            Plus(&["toolUsePromptTokenCount"]),
        ],
    ),
    (CacheRead, &[Plus(GEMINI_CACHED)]),
    (Output, &[Plus(&["candidatesTokenCount"]), Plus(GEMINI_THOUGHTS), Minus(GEMINI_SPOKEN)]),
    (Reasoning, &[Plus(GEMINI_THOUGHTS)]),
    (AudioIn, &[Plus(GEMINI_AUDIO)]),
    (AudioOut, &[Plus(GEMINI_SPOKEN)]),
];

const BEDROCK: Counts = &[
    (Input, &[Plus(&["inputTokens"])]),
    (CacheRead, &[Plus(&["cacheReadInputTokens"])]),
    (CacheWrite, &[Plus(&["cacheWriteInputTokens"])]),
    (Output, &[Plus(&["outputTokens"])]),
];

/// How a dialect counts.
pub fn counts(dialect: Dialect) -> Counts {
    match dialect {
        Dialect::OpenAiChat => CHAT,
        Dialect::OpenAiResponses => RESPONSES,
        Dialect::Anthropic => ANTHROPIC,
        Dialect::Gemini => GEMINI,
        Dialect::Bedrock => BEDROCK,
    }
}

/// What these steps come to, of the members that `get` gives by their paths; `None`: none that adds is
/// there.
pub(crate) fn count(steps: &[Step], get: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let first = |names: &[&str]| names.iter().copied().find_map(&get);
    steps.iter().fold(None, |sum: Option<u64>, step| match step {
        Plus(names) => match first(names) {
            Some(count) => Some(sum.unwrap_or_default().saturating_add(count)),
            None => sum,
        },
        Minus(names) => sum.map(|sum| sum.saturating_sub(first(names).unwrap_or_default())),
    })
}

/// Usage in a dialect's members.
pub(crate) fn read(dialect: Dialect, get: impl Fn(&str) -> Option<u64>) -> Usage {
    let mut usage = Usage::default();
    for (part, steps) in counts(dialect) {
        *part.of(&mut usage) = count(steps, &get).unwrap_or_default();
    }
    usage
}

/// The members of a protocol's usage in order, each the sum of these parts; one without parts is made by
/// other means.
pub fn members(protocol: Protocol) -> &'static [(&'static str, &'static [Part])] {
    const PROMPT: &[Part] = &[Input, CacheRead, CacheWrite, AudioIn];
    const ANSWER: &[Part] = &[Output, AudioOut];
    const ALL: &[Part] = &[Input, CacheRead, CacheWrite, AudioIn, Output, AudioOut];
    match protocol {
        Protocol::Chat | Protocol::Completions => &[
            ("prompt_tokens", PROMPT),
            ("completion_tokens", ANSWER),
            ("total_tokens", ALL),
            ("prompt_tokens_details.cached_tokens", &[CacheRead]),
            ("prompt_tokens_details.cache_write_tokens", &[CacheWrite]),
            ("prompt_tokens_details.audio_tokens", &[AudioIn]),
            ("completion_tokens_details.reasoning_tokens", &[Reasoning]),
            ("completion_tokens_details.audio_tokens", &[AudioOut]),
        ],
        Protocol::Responses => &[
            ("input_tokens", PROMPT),
            ("input_tokens_details.cached_tokens", &[CacheRead]),
            ("input_tokens_details.cache_write_tokens", &[CacheWrite]),
            ("output_tokens", ANSWER),
            ("output_tokens_details.reasoning_tokens", &[Reasoning]),
            ("total_tokens", ALL),
        ],
        Protocol::Messages => &[
            ("input_tokens", &[Input, AudioIn]),
            ("cache_creation_input_tokens", &[CacheWrite]),
            ("cache_read_input_tokens", &[CacheRead]),
            ("cache_creation", &[]),
            ("output_tokens", ANSWER),
            ("output_tokens_details.thinking_tokens", &[Reasoning]),
        ],
    }
}

/// What a member comes to that is the sum of these parts.
pub(crate) fn sum(parts: &[Part], usage: &Usage) -> u64 {
    let mut usage = *usage;
    parts.iter().fold(0, |sum: u64, part| sum.saturating_add(*part.of(&mut usage)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_never_goes_below_nothing() {
        let of = |pairs: &'static [(&str, u64)]| {
            move |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, count)| *count)
        };
        let steps = &[Plus(&["a"]), Minus(&["b", "c"]), Plus(&["d"])];
        assert_eq!(count(steps, of(&[])), None);
        assert_eq!(count(steps, of(&[("b", 9)])), None);
        assert_eq!(count(steps, of(&[("a", 5), ("c", 2)])), Some(3));
        assert_eq!(count(steps, of(&[("a", 5), ("b", 9), ("c", 2), ("d", 1)])), Some(1));
        assert_eq!(count(steps, of(&[("d", u64::MAX), ("a", 5)])), Some(u64::MAX));
    }

    /// What a protocol says of usage is read as the same usage by the dialect of that protocol.
    #[test]
    fn what_is_written_is_read_as_it_was() {
        for (protocol, dialect) in [
            (Protocol::Chat, Dialect::OpenAiChat),
            (Protocol::Responses, Dialect::OpenAiResponses),
            (Protocol::Messages, Dialect::Anthropic),
        ] {
            let mut usage = Usage::default();
            for (n, (part, _)) in (1..).zip(counts(dialect)) {
                *part.of(&mut usage) = 100 + n;
            }
            if protocol == Protocol::Responses {
                // It has no place for audio.
                (usage.audio_in, usage.audio_out) = (0, 0);
            }
            let written: Vec<_> = members(protocol)
                .iter()
                .filter(|(_, parts)| !parts.is_empty())
                .map(|(name, parts)| (*name, sum(parts, &usage)))
                .collect();
            let get = |name: &str| written.iter().find(|(n, _)| *n == name).map(|(_, c)| *c);
            assert_eq!(read(dialect, get), usage, "{protocol:?}");
        }
    }
}
