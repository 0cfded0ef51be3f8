//! The dialects of providers: requests are encoded from the neutral model, answers, streams and
//! errors decode to it. One directory each, chosen by an exhaustive match over [`Dialect`].

mod anthropic;
mod bedrock;
mod claude;
mod common;
pub(crate) mod cx;
mod decode;
pub mod effort;
pub(crate) mod errors;
mod event_stream;
mod gemini;
mod history;
mod openai_chat;
mod openai_responses;
mod parts;
pub mod quirks;
mod usage;

pub use cx::{Back, BackName, Encoded};
pub use decode::{Decoder, decode_reply};
pub use errors::{classify, daily_quota, refuses_signature};
use routing::{Capability, CapabilitySet};

use crate::{
    failure::Failure,
    family::Family,
    neutral::Request,
    origin::{self, Maker, Origin},
    rules::{Column, Refusal},
};

/// The version of Anthropic's protocol that VertexAI wants in a body that states none.
pub(crate) const VERTEX_VERSION: &str = "vertex-2023-10-16";

/// A provider's dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// Chat completions, of OpenAI, Azure and every compatible server.
    OpenAiChat,
    /// OpenAI's responses.
    OpenAiResponses,
    /// Anthropic's messages, and Claude on VertexAI.
    Anthropic,
    /// Gemini's generateContent, and Gemini on VertexAI.
    Gemini,
    /// Bedrock's Converse.
    Bedrock,
}

impl Dialect {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::OpenAiChat, Self::OpenAiResponses, Self::Anthropic, Self::Gemini, Self::Bedrock];

    /// The name, for logs and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai-chat",
            Self::OpenAiResponses => "openai-responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
        }
    }

    /// The dialect of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.name() == name)
    }
}

/// Where a dialect is spoken, as far as a request differs by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Host {
    /// At its maker's own API, or a server compatible with it.
    #[default]
    Own,
    /// On VertexAI: Claude without `model`, with `anthropic_version` in the body.
    Vertex,
}

/// A candidate for an answer: whom a request is encoded for.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// The dialect.
    pub dialect: Dialect,
    /// Where it is spoken.
    pub host: Host,
    /// The ProviderTarget's id: signatures are bound to it.
    pub target: &'a str,
    /// What the provider calls the model.
    pub model: &'a str,
    /// The model's family.
    pub family: Family,
    /// What the model can do.
    pub capabilities: CapabilitySet,
    /// The most tokens of an answer, where the target states it.
    pub max_output: Option<u64>,
    /// The peculiarities of a compatible server; `None`: OpenAI itself.
    pub quirks: Option<&'static quirks::Quirks>,
    /// All candidates share one ProviderTarget, so that what is bound to it may pass.
    pub bound: bool,
}

/// The failure that an error under a status of success is.
pub(crate) fn error_within(from: &Candidate<'_>, value: &crate::tree::Json) -> Failure {
    errors::of_value(from.dialect, from.quirks.is_some(), value)
}

/// Encodes a request for a candidate, or says which field it cannot express.
pub fn encode(request: &Request, to: &Candidate<'_>) -> Result<Encoded, Refusal> {
    match to.dialect {
        Dialect::OpenAiChat => openai_chat::encode(request, to),
        Dialect::OpenAiResponses => openai_responses::encode(request, to),
        Dialect::Anthropic => anthropic::encode(request, to),
        Dialect::Gemini => gemini::encode(request, to),
        Dialect::Bedrock => bedrock::encode(request, to),
    }
}

impl<'a> Candidate<'a> {
    /// A candidate of a dialect, the family told from the names: that of the lineup first.
    pub fn new(dialect: Dialect, target: &'a str, name: &str, model: &'a str) -> Self {
        let newest = match dialect {
            Dialect::OpenAiChat | Dialect::OpenAiResponses => Family::newest_openai(),
            Dialect::Anthropic | Dialect::Bedrock => Family::newest_claude(),
            Dialect::Gemini => Family::newest_gemini(),
        };
        Self {
            dialect,
            host: Host::Own,
            target,
            model,
            family: Family::of(name).or_else(|| Family::of(model)).unwrap_or(newest),
            capabilities: Capability::ALL.iter().copied().collect(),
            max_output: None,
            quirks: None,
            bound: false,
        }
    }

    /// The column of the rules.
    pub fn column(&self) -> Column {
        match self.dialect {
            Dialect::OpenAiChat if self.quirks.is_some() => Column::Compatible,
            Dialect::OpenAiChat => Column::OpenAi,
            Dialect::OpenAiResponses => Column::Responses,
            Dialect::Anthropic => Column::Anthropic,
            Dialect::Gemini => Column::Gemini,
            Dialect::Bedrock => Column::Bedrock,
        }
    }

    /// The tag of its signatures.
    pub fn tag(&self) -> String {
        origin::tag(self.target, &crate::family::stripped(self.model))
    }

    /// Who made the model.
    pub fn maker(&self) -> Option<Maker> {
        match (self.dialect, &self.family) {
            (_, Family::Claude(_)) => Some(Maker::Claude),
            (_, Family::Gemini(_)) => Some(Maker::Gemini),
            (Dialect::OpenAiResponses, _) => Some(Maker::OpenAi),
            _ => None,
        }
    }

    /// Whether this candidate issued a signature.
    pub fn owns(&self, origin: &Origin) -> bool {
        match origin {
            Origin::Tag(tag) => *tag == self.tag(),
            Origin::Maker(maker) => self.maker() == Some(*maker),
        }
    }
}
