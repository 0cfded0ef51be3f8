//! A request in the neutral form.

use super::message::Message;
use crate::{protocol::Protocol, rules::Field, tree::Json};

/// A request for an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The protocol in which it was asked.
    pub protocol: Protocol,
    /// The name that the caller asks for.
    pub model: String,
    /// Whether the answer is to be a stream.
    pub stream: bool,
    /// Whether a stream is to end with its usage (Chat).
    pub stream_usage: bool,
    /// The conversation.
    pub messages: Vec<Message>,
    /// The tools, in order.
    pub tools: Vec<Tool>,
    /// Which of them may or must be called.
    pub choose: Option<Choose>,
    /// Whether several may be called at once.
    pub parallel: Option<bool>,
    /// Whether tools came as `functions` and calls are answered as `function_call` (Chat).
    pub old_functions: bool,
    /// The form of the answer.
    pub format: Option<Format>,
    /// How much the model is to think.
    pub wish: Option<Wish>,
    /// Whether the caller wants to see what it thinks, where the protocol can say so.
    pub shown: Option<bool>,
    /// The most tokens of the answer.
    pub max_output: Option<u64>,
    /// Sampling.
    pub temperature: Option<f64>,
    /// Sampling.
    pub top_p: Option<f64>,
    /// Sampling.
    pub top_k: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// Fields that are carried as they are: known to the rules, and to some dialects.
    pub others: Vec<(Field, Json)>,
    /// Members that no rule knows, by their path.
    pub unknown: Vec<(String, Json)>,
    /// Values of `anthropic-beta`.
    pub betas: Vec<String>,
}

impl Request {
    /// A request without anything in it.
    pub fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            model: String::new(),
            stream: false,
            stream_usage: false,
            messages: Vec::new(),
            tools: Vec::new(),
            choose: None,
            parallel: None,
            old_functions: false,
            format: None,
            wish: None,
            shown: None,
            max_output: None,
            temperature: None,
            top_p: None,
            top_k: None,
            stop: Vec::new(),
            others: Vec::new(),
            unknown: Vec::new(),
            betas: Vec::new(),
        }
    }

    /// A field that is carried as it is.
    pub fn other(&self, field: Field) -> Option<&Json> {
        self.others.iter().find(|(f, _)| *f == field).map(|(_, value)| value)
    }
}

/// How a tool takes its input, and who runs it.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolKind {
    /// A JSON object of this schema, from the caller's code.
    Function(Json),
    /// Free text, maybe of a grammar.
    Custom(Json),
    /// The provider runs it: opaque, of one dialect.
    Hosted(Json),
}

/// A tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its namespace, in Responses.
    pub namespace: Option<String>,
    /// What it does.
    pub description: String,
    /// How it takes its input.
    pub kind: ToolKind,
    /// Whether the input must be of the schema.
    pub strict: Option<bool>,
    /// Whether a prompt cache may be cut behind it, and for how long.
    pub cache: Option<Option<String>>,
}

/// Which tools may or must be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choose {
    /// As the model likes.
    Auto,
    /// None.
    None,
    /// At least one.
    Any,
    /// This one.
    One(String),
    /// Of these; whether one must be called.
    Of(Vec<String>, bool),
}

/// The form of the answer's text.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Some JSON object.
    JsonObject,
    /// JSON of a schema.
    Schema(Schema),
}

/// A schema for the answer's text.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// What it is called.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The schema.
    pub schema: Json,
    /// Whether it must be kept.
    pub strict: Option<bool>,
}

/// A degree of thinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it, as OpenAI's do")]
pub enum Effort {
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl Effort {
    /// Every one, the least first.
    pub const ALL: [Self; 6] =
        [Self::Minimal, Self::Low, Self::Medium, Self::High, Self::Xhigh, Self::Max];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The effort of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.name() == name)
    }
}

/// How much a model is to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Not at all.
    Off,
    /// As it finds right.
    Adaptive,
    /// To this degree.
    Effort(Effort),
    /// With at most this many tokens.
    Budget(u64),
}
