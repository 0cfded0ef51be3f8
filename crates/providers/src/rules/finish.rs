//! Why an answer ended: every word that a provider has for it, and what the word is. One table, which
//! the decoders of answers read, translated or passed through, and the guide prints.

use routing::outcome::Fault;

use crate::dialect::Dialect;

/// A reason in the neutral model, without what it carries along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The model had said all.
    Stop,
    /// A stop sequence of the request.
    StopSequence,
    /// The limit of the answer.
    Length,
    /// The model's context window is full.
    ContextWindow,
    /// Tools are to be called.
    ToolCalls,
    /// A filter of the provider.
    Filter,
    /// The model refuses.
    Refusal,
    /// The provider pauses a long turn: the caller sends it on.
    Pause,
}

impl Why {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Stop,
        Self::StopSequence,
        Self::Length,
        Self::ContextWindow,
        Self::ToolCalls,
        Self::Filter,
        Self::Refusal,
        Self::Pause,
    ];

    /// The name, for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "Stop",
            Self::StopSequence => "StopSequence",
            Self::Length => "Length",
            Self::ContextWindow => "ContextWindow",
            Self::ToolCalls => "ToolCalls",
            Self::Filter => "Filter",
            Self::Refusal => "Refusal",
            Self::Pause => "Pause",
        }
    }
}

/// What a word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Nothing: the answer is not at its end.
    NotYet,
    /// The answer ended so.
    Is(Why),
    /// Stop if there is content, else an invalid answer.
    Maybe,
    /// The provider failed.
    Fails(Fault),
}

/// A row: a dialect, its words, and what they say.
pub type FinishRow = (Dialect, &'static [&'static str], Ends);

use Dialect::{Anthropic, Bedrock, Gemini, OpenAiChat, OpenAiResponses};
use Ends::{Fails, Is, Maybe, NotYet};
use Fault::{Auth, InvalidResponse, ServerError};

/// Every word that is known. One that is not is [`Ends::Maybe`]. Of Responses: `status`, and of an
/// incomplete one `incomplete_details.reason`.
pub const FINISHES: &[FinishRow] = &[
    (OpenAiChat, &["stop", "eos", "eos_token", "end_turn", "COMPLETE"], Is(Why::Stop)),
    (OpenAiChat, &["length"], Is(Why::Length)),
    (OpenAiChat, &["model_length"], Is(Why::ContextWindow)),
    (OpenAiChat, &["tool_calls", "function_call"], Is(Why::ToolCalls)),
    (OpenAiChat, &["content_filter"], Is(Why::Filter)),
    (OpenAiChat, &["", "null"], NotYet),
    (OpenAiChat, &["error", "abort", "insufficient_system_resource"], Fails(ServerError)),
    // Calls of Gemini's own endpoint.
    (OpenAiChat, &["MALFORMED_FUNCTION_CALL"], Fails(InvalidResponse)),
    (OpenAiResponses, &["completed", "max_messages", "steered"], Is(Why::Stop)),
    (OpenAiResponses, &["max_output_tokens", "max_tokens"], Is(Why::Length)),
    (OpenAiResponses, &["content_filter"], Is(Why::Filter)),
    (OpenAiResponses, &["failed", "cancelled"], Fails(ServerError)),
    (OpenAiResponses, &["queued", "in_progress"], Fails(InvalidResponse)),
    (Anthropic, &["end_turn"], Is(Why::Stop)),
    (Anthropic, &["stop_sequence"], Is(Why::StopSequence)),
    (Anthropic, &["max_tokens"], Is(Why::Length)),
    (Anthropic, &["model_context_window_exceeded"], Is(Why::ContextWindow)),
    (Anthropic, &["tool_use"], Is(Why::ToolCalls)),
    (Anthropic, &["refusal"], Is(Why::Refusal)),
    (Anthropic, &["pause_turn", "compaction"], Is(Why::Pause)),
    (Gemini, &["STOP"], Is(Why::Stop)),
    (Gemini, &["MAX_TOKENS", "CONTINUATION"], Is(Why::Length)),
    (
        Gemini,
        &[
            "SAFETY",
            "RECITATION",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "MODEL_ARMOR",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "LANGUAGE",
            "ESCALATION",
        ],
        Is(Why::Filter),
    ),
    (Gemini, &["OTHER", "IMAGE_OTHER", "NO_IMAGE", "FINISH_REASON_UNSPECIFIED"], Maybe),
    (
        Gemini,
        &[
            "MALFORMED_FUNCTION_CALL",
            "MALFORMED_RESPONSE",
            "UNEXPECTED_TOOL_CALL",
            "TOO_MANY_TOOL_CALLS",
            "MISSING_THOUGHT_SIGNATURE",
        ],
        Fails(InvalidResponse),
    ),
    (Gemini, &["PUP_LIMITED_DISABLED"], Fails(Auth)),
    (Bedrock, &["end_turn"], Is(Why::Stop)),
    (Bedrock, &["stop_sequence"], Is(Why::StopSequence)),
    (Bedrock, &["max_tokens"], Is(Why::Length)),
    (Bedrock, &["model_context_window_exceeded"], Is(Why::ContextWindow)),
    (Bedrock, &["tool_use"], Is(Why::ToolCalls)),
    (Bedrock, &["guardrail_intervened", "content_filtered"], Is(Why::Filter)),
    (Bedrock, &["refusal"], Is(Why::Refusal)),
    (Bedrock, &["pause_turn"], Is(Why::Pause)),
    (Bedrock, &["malformed_model_output", "malformed_tool_use"], Fails(InvalidResponse)),
];

/// What a word of a dialect says.
pub fn ends(dialect: Dialect, word: &str) -> Ends {
    let row = FINISHES.iter().find(|(of, words, _)| *of == dialect && words.contains(&word));
    row.map_or(Maybe, |(.., says)| *says)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_stands_once_and_every_dialect_has_its_reasons() {
        for (at, (dialect, words, _)) in FINISHES.iter().enumerate() {
            for word in *words {
                let again = FINISHES[at + 1..].iter();
                let mut again =
                    again.filter(|(of, others, _)| of == dialect && others.contains(word));
                assert!(again.next().is_none(), "{} {word}", dialect.name());
            }
        }
        for dialect in Dialect::ALL {
            for why in [Why::Stop, Why::Length] {
                assert!(FINISHES.iter().any(|(of, _, says)| *of == dialect && *says == Is(why)));
            }
            assert_eq!(ends(dialect, "a word of next year"), Maybe);
        }
    }
}
