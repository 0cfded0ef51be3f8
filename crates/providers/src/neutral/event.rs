//! An answer in the neutral form: as events in the order of their arrival, and as their sum.

use super::message::{CallKind, Citation, Part, Signature};
use crate::{failure::Failure, rules::finish::Why, tree::Json};

/// What happens in an answer. Parts have numbers of their own within a choice, in the order of
/// their opening; several may be open at once (see [`Sequencer`](super::Sequencer)).
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The answer begins.
    Start(Start),
    /// A part opens.
    Open {
        /// Which choice, from 0.
        choice: u32,
        /// Which part of it, from 0.
        part: u32,
        /// What it is.
        kind: Kind,
    },
    /// A piece of an open part. Never empty.
    Delta {
        /// Which choice.
        choice: u32,
        /// Which part.
        part: u32,
        /// The piece.
        delta: Delta,
    },
    /// A part is whole.
    Close {
        /// Which choice.
        choice: u32,
        /// Which part.
        part: u32,
    },
    /// A choice is whole.
    Finish {
        /// Which choice.
        choice: u32,
        /// Why.
        reason: Finish,
    },
    /// What was used; the last one counts.
    Usage(Usage),
    /// It failed. Nothing follows.
    Error(Box<Failure>),
    /// It ended well. Nothing follows.
    End,
}

/// What is known when an answer begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The provider's id.
    pub id: Option<String>,
    /// The model that serves it.
    pub model: Option<String>,
    /// When, in seconds of Unix.
    pub created: Option<u64>,
    /// The provider's `system_fingerprint`.
    pub fingerprint: Option<String>,
    /// The tier that served it.
    pub tier: Option<String>,
}

/// What a part of an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// What the model thinks.
    Reasoning {
        /// Its text is hidden altogether.
        redacted: bool,
        /// The id of the item, in Responses.
        id: Option<String>,
    },
    /// A call of a tool.
    Call {
        /// Its id; empty where the provider gave none.
        id: String,
        /// The tool's name.
        name: String,
        /// How its input is written.
        kind: CallKind,
        /// The namespace of the name.
        namespace: Option<String>,
        /// Gemini's signature on it.
        signature: Option<Signature>,
    },
    /// A refusal, in words.
    Refusal,
    /// An image, whole.
    Image {
        /// Its media type.
        media_type: String,
    },
    /// Sound.
    Audio,
}

impl Kind {
    /// What the model thinks, in the open and without an id.
    pub const THOUGHT: Self = Self::Reasoning { redacted: false, id: None };
}

/// A piece of a part.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Text, thought, refusal, or the fragment of a call's input.
    Text(String),
    /// The signature of what was thought, or of a text.
    Signature(Signature),
    /// A citation of a text.
    Citation(Citation),
    /// Log probabilities of a text, as OpenAI writes those of one token.
    Logprobs(Vec<Json>),
    /// An image, or sound, in base64.
    Data(String),
    /// Members of OpenAI's `audio` object.
    Audio(Json),
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It was whole.
    Stop,
    /// At a text that the caller named, which it is where the provider says it.
    StopSequence(Option<String>),
    /// At the limit of its length.
    Length,
    /// At the end of the context window.
    ContextWindow,
    /// To call tools.
    ToolCalls,
    /// A filter cut it.
    Filter,
    /// The model refused; whether as an answer (OpenAI) or as a stop (Anthropic), and what it said.
    Refusal {
        /// It came as a text in an answer that ended well.
        answered: bool,
        /// The provider's category.
        category: Option<String>,
        /// The provider's words.
        explanation: Option<String>,
    },
    /// The provider paused a long turn.
    Pause,
}

impl From<Why> for Finish {
    fn from(why: Why) -> Self {
        match why {
            Why::Stop => Self::Stop,
            Why::StopSequence => Self::StopSequence(None),
            Why::Length => Self::Length,
            Why::ContextWindow => Self::ContextWindow,
            Why::ToolCalls => Self::ToolCalls,
            Why::Filter => Self::Filter,
            Why::Refusal => Self::Refusal { answered: false, category: None, explanation: None },
            Why::Pause => Self::Pause,
        }
    }
}

/// What was used. The parts of [`crate::Usage`] are disjoint but for reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens.
    pub tokens: crate::Usage,
    /// Of the tokens written to a cache: for 5 minutes, for 1 hour. The rest has another time to
    /// live, or one that is not told.
    pub written: (u64, u64),
    /// It is an estimate: the provider stated none.
    pub estimated: bool,
}

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// What is known of it.
    pub start: Start,
    /// The choices, in order.
    pub choices: Vec<Choice>,
    /// What was used.
    pub usage: Option<Usage>,
}

/// One of an answer's choices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// Its parts, in order.
    pub parts: Vec<Part>,
    /// Why it ended.
    pub finish: Option<Finish>,
    /// Log probabilities of its tokens.
    pub logprobs: Vec<Json>,
    /// OpenAI's `audio` object.
    pub audio: Option<Json>,
}
