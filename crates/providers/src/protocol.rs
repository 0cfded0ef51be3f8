//! The protocols of callers: requests decode to the neutral model, answers, streams and errors are
//! encoded from it. One directory each.

pub mod chat;
pub mod completions;
mod error;
pub(crate) mod fields;
pub mod messages;
pub mod responses;
mod usage;
mod writer;

pub use error::{encode_error, error_frame};
pub use writer::{Writer, encode_reply};

use bytes::Bytes;

use crate::{
    neutral::{Finish, Part, Request},
    origin::Maker,
    tree::Json,
};

/// A caller's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's completions.
    Completions,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
}

impl Protocol {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Chat, Self::Completions, Self::Responses, Self::Messages];

    /// The name, for logs and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Responses => "responses",
            Self::Messages => "messages",
        }
    }

    /// Who issued a signature that bears no tag: an answer that was passed through is untagged.
    pub fn maker(self) -> Maker {
        match self {
            Self::Chat | Self::Completions | Self::Responses => Maker::OpenAi,
            Self::Messages => Maker::Claude,
        }
    }
}

/// Decodes the body of a request of a protocol.
pub fn decode(protocol: Protocol, body: &[u8]) -> Result<Request, DecodeError> {
    match protocol {
        Protocol::Chat => chat::decode(body),
        Protocol::Completions => completions::decode(body),
        Protocol::Responses => responses::decode(body),
        Protocol::Messages => messages::decode(body),
    }
}

/// A request that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    /// The member that is wrong, if one is: the error's `param`.
    pub param: Option<String>,
    /// What is wrong, and what it should be.
    pub message: String,
}

impl DecodeError {
    /// A member that is not what it should be.
    pub(crate) fn at(param: impl Into<String>, what: &str) -> Self {
        let param = param.into();
        Self { message: format!("`{param}` {what}"), param: Some(param) }
    }

    /// A body that is no JSON object.
    pub(crate) fn body(why: &str) -> Self {
        Self { param: None, message: format!("The body is not a JSON object: {why}") }
    }
}

/// What an encoder of answers must know beside the answer.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The caller's protocol.
    pub protocol: Protocol,
    /// The router's clock at the first byte, in seconds of Unix, where the provider gives no time.
    pub now: u64,
    /// Makes the ids that the provider does not give: anything that no other answer has.
    pub seed: String,
    /// What is said of the model, where the provider says nothing.
    pub model: String,
    /// Whether a stream of Chat ends with its usage.
    pub stream_usage: bool,
    /// Calls are answered in the old form, `function_call`.
    pub old_functions: bool,
    /// Members of the request that an answer of Responses repeats.
    pub echo: Json,
    /// The tag of the target that answers, which its signatures get.
    pub tag: String,
    /// The request's id, for errors of Messages.
    pub request_id: Option<String>,
    /// The tokens of the request, estimated: for protocols that demand a number where the provider
    /// states none.
    pub estimate: u64,
}

/// An id with the protocol's prefix before it; made of the seed where the provider gives none.
pub(crate) fn prefixed(prefix: &str, id: Option<&str>, seed: &str) -> String {
    match id.filter(|id| !id.is_empty()) {
        Some(id) if id.starts_with(prefix) => id.to_owned(),
        Some(id) => format!("{prefix}{id}"),
        None => format!("{prefix}{seed}"),
    }
}

/// The word of a protocol for the reason why an answer ended; of Responses the status, and why it is
/// incomplete.
pub fn finish_word(protocol: Protocol, finish: &Finish) -> String {
    match protocol {
        Protocol::Chat => chat::finish_reason(Some(finish), false).to_owned(),
        Protocol::Completions => completions::finish_reason(finish).to_owned(),
        Protocol::Responses => match responses::status(Some(finish)) {
            (status, Some(why)) => format!("{status}, {why}"),
            (status, None) => status.to_owned(),
        },
        Protocol::Messages => messages::stop(Some(finish)).get("stop_reason").text().to_owned(),
    }
}

/// One event without a name.
pub(crate) fn data_frame(data: &Json) -> Bytes {
    let mut frame = b"data: ".to_vec();
    frame.extend(data.to_vec());
    frame.extend_from_slice(b"\n\n");
    Bytes::from(frame)
}

/// One event with its name.
pub(crate) fn named_frame(name: &str, data: &Json) -> Bytes {
    let mut frame = format!("event: {name}\ndata: ").into_bytes();
    frame.extend(data.to_vec());
    frame.extend_from_slice(b"\n\n");
    Bytes::from(frame)
}

/// The bytes of an answer's part, for an estimate.
fn bytes_of(part: &Part) -> usize {
    match part {
        Part::Text { text, .. } | Part::Refusal(text) => text.len(),
        Part::Reasoning(part) => part.text.len(),
        Part::Call(call) => call.name.len() + call.arguments.len(),
        _ => 0,
    }
}
