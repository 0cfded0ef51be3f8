//! A request's body, read once: where the members stand that routing needs or an edit rewrites, and
//! the facts of the request. Nothing is copied out of it but the model's name when that is asked
//! for; every byte that no edit names reaches the provider as it came.

mod parts;

use std::borrow::Cow;

use routing::{Capability, CapabilitySet, Endpoint};

use crate::{
    amount::{Amount, BYTES_PER_TOKEN},
    json::{JsonError, Kind, Reader, Span, Text},
};

/// Why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is no JSON.
    #[error("The request's body is no JSON: {0}.")]
    Syntax(#[from] JsonError),
    /// It is JSON, but no object.
    #[error("The request's body must be a JSON object with a member \"model\".")]
    NotAnObject,
    /// A member that decides something stands in it twice.
    #[error("The request's body has the member \"{0}\" twice: send it once.")]
    Duplicate(&'static str),
    /// It names no model.
    #[error("The request names no model: set \"model\" to the name of an alias.")]
    NoModel,
    /// A member is of the wrong type.
    #[error("The request's member \"{member}\" must be {want}.")]
    WrongType {
        /// Which.
        member: &'static str,
        /// What it must be.
        want: &'static str,
    },
}

impl BodyError {
    /// The member that is the reason.
    pub fn param(&self) -> Option<&'static str> {
        match self {
            Self::Syntax(_) | Self::NotAnObject => None,
            Self::Duplicate(member) | Self::WrongType { member, .. } => Some(member),
            Self::NoModel => Some("model"),
        }
    }

    /// `error.code`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Syntax(_) => "invalid_json",
            Self::NotAnObject | Self::WrongType { .. } => "invalid_type",
            Self::Duplicate(_) => "duplicate_member",
            Self::NoModel => "missing_model",
        }
    }
}

/// A cap on output tokens, as a member of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// Where its value stands.
    pub span: Span,
    /// Its value.
    pub tokens: u64,
}

/// What `stream_options` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamOptions {
    /// It is not there.
    Absent,
    /// It is null.
    Null(Span),
    /// An object without `include_usage`.
    Object {
        /// Where it stands.
        span: Span,
        /// Whether it has no member.
        empty: bool,
    },
    /// An object with `include_usage`.
    IncludeUsage {
        /// Where the member's value stands.
        span: Span,
        /// Whether it is true.
        on: bool,
    },
    /// Something else, for the provider to refuse.
    Other,
}

/// Whether an answer is to be stored by the provider, as the request says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// It does not say.
    Absent,
    /// It says null, here.
    Null(Span),
    /// It says so, or not.
    Is(bool),
}

/// What `include` of a responses request holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Include {
    /// It is not there.
    Absent,
    /// It is null.
    Null(Span),
    /// A list that does not ask for encrypted reasoning.
    List {
        /// Where it stands.
        span: Span,
        /// Whether nothing is in it.
        empty: bool,
    },
    /// It asks for that, or is something else, for the provider to refuse.
    Said,
}

/// What was found in a body. Spans are of the body that was read.
#[derive(Clone, Copy, Debug)]
pub struct RequestBody {
    /// Where the model's name stands, quotes included.
    pub model: Span,
    /// Whether a stream of events is asked for.
    pub stream: bool,
    /// `stream_options`.
    pub stream_options: StreamOptions,
    /// The caps on output tokens that are there: `max_tokens`, `max_completion_tokens`,
    /// `max_output_tokens`.
    pub caps: [Option<Cap>; 3],
    /// What a model must be capable of, the endpoint itself included.
    pub needs: CapabilitySet,
    /// Whether reasoning is asked for.
    pub reasoning: bool,
    /// How many answers are asked for.
    pub choices: u64,
    /// How much the prompt holds, tools and schema included.
    pub prompt: Amount,
    /// Where stands what the prompt begins with: what is before the first message of the user
    /// (system and developer messages), the tools, and that message, as far as they are there.
    /// Requests of one conversation have it in common.
    pub opening: [Option<Span>; 3],
    /// The member that names what lives at one provider (a file, an earlier answer), if one does.
    pub bound: Option<&'static str>,
    /// `store`, of a responses request.
    pub store: Store,
    /// `include`, of a responses request.
    pub include: Include,
    /// Whether an answer in the background is asked for.
    pub background: bool,
    /// Bytes of text that are to be spoken.
    pub spoken: u64,
}

impl RequestBody {
    /// Reads a body whole.
    pub fn read(endpoint: Endpoint, body: &[u8]) -> Result<Self, BodyError> {
        let mut reader = Reader::new(body)?;
        let is_object = reader.peek()? == Kind::Object;
        if !is_object {
            reader.skip()?;
            reader.end()?;
            return Err(BodyError::NotAnObject);
        }
        let mut scan = Scan::new(endpoint);
        reader.object(|r, key| scan.member(r, key))?;
        reader.end()?;
        scan.finish()
    }

    /// The model's name. `body` is the one that was read.
    pub fn model_name<'b>(&self, body: &'b [u8]) -> Cow<'b, str> {
        // It was read and decoded before, so this finds it again.
        Reader::new(&body[self.model.start..self.model.end])
            .and_then(|mut r| r.string())
            .ok()
            .and_then(Text::decoded)
            .unwrap_or_default()
    }

    /// The estimated tokens of the prompt, where nothing is known of the caller's texts.
    pub fn prompt_tokens(&self) -> u64 {
        self.prompt.tokens(BYTES_PER_TOKEN)
    }

    /// The caller's own cap on output tokens: the smallest of those that are there.
    pub fn output_cap(&self) -> Option<u64> {
        self.caps.iter().flatten().map(|cap| cap.tokens).min()
    }
}

/// What `include` asks for where an answer is not stored: reasoning that its maker alone can read.
pub(crate) const ENCRYPTED: &str = "reasoning.encrypted_content";

/// The members that are read, each at most once.
const MEMBERS: [&str; 28] = [
    "model",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "messages",
    "prompt",
    "input",
    "tools",
    "functions",
    "response_format",
    "reasoning_effort",
    "reasoning",
    "modalities",
    "n",
    "user",
    // Of responses and messages alone.
    "instructions",
    "system",
    "text",
    "output_config",
    "thinking",
    "previous_response_id",
    "conversation",
    "container",
    "background",
    "store",
    "include",
];
/// How many of them every endpoint has that another dialect may have a form of.
const COMMON: usize = 17;
/// Those of the endpoints that are passed through alone.
const ASIS: [&str; 8] =
    ["model", "stream", "stream_format", "input", "query", "documents", "instructions", "user"];
/// Those of images.
const IMAGES: [&str; 5] = ["model", "stream", "prompt", "n", "user"];

struct Scan {
    endpoint: Endpoint,
    seen: u32,
    model: Option<Span>,
    body: RequestBody,
}

impl Scan {
    fn new(endpoint: Endpoint) -> Self {
        let body = RequestBody {
            model: Span { start: 0, end: 0 },
            stream: false,
            stream_options: StreamOptions::Absent,
            caps: [None; 3],
            needs: CapabilitySet::default(),
            reasoning: false,
            choices: 1,
            prompt: Amount::default(),
            opening: [None; 3],
            bound: None,
            store: Store::Absent,
            include: Include::Absent,
            background: false,
            spoken: 0,
        };
        Self { endpoint, seen: 0, model: None, body }
    }

    /// The members that mean something to the endpoint.
    fn members(&self) -> &'static [&'static str] {
        match self.endpoint {
            Endpoint::Images => &IMAGES,
            Endpoint::Moderations | Endpoint::Rerank | Endpoint::Speech => &ASIS,
            Endpoint::Responses | Endpoint::Messages | Endpoint::CountTokens => &MEMBERS,
            _ => &MEMBERS[..COMMON],
        }
    }

    /// A member names what lives at one provider.
    fn bind(&mut self, member: &'static str) {
        self.body.bound.get_or_insert(member);
    }

    fn need(&mut self, capability: Capability) {
        self.body.needs = self.body.needs.with(capability);
    }

    fn member(&mut self, r: &mut Reader<'_>, key: Text<'_>) -> Result<(), BodyError> {
        let members = self.members();
        let Some(ix) = members.iter().position(|m| key.is(m)) else {
            r.skip()?;
            return Ok(());
        };
        let member = members[ix];
        if self.seen & 1 << ix != 0 {
            return Err(BodyError::Duplicate(member));
        }
        self.seen |= 1 << ix;
        match member {
            "model" => {
                let wrong = BodyError::WrongType { member, want: "a string: the name of an alias" };
                let Some(text) = r.maybe_string()? else { return Err(wrong) };
                text.decoded().ok_or(wrong)?;
                self.model = Some(text.span);
            }
            // There it is `stream_format` that says it.
            "stream" if self.endpoint == Endpoint::Speech => drop(r.skip()?),
            "stream" => {
                self.body.stream = match r.peek()? {
                    Kind::Bool | Kind::Null => r.literal()?.0 == Some(true),
                    _ => return Err(BodyError::WrongType { member, want: "true or false" }),
                }
            }
            "stream_options" => self.body.stream_options = stream_options(r)?,
            "max_tokens" | "max_completion_tokens" | "max_output_tokens" => {
                if r.peek()? == Kind::Number {
                    let (text, span) = r.number()?;
                    let cap = text.parse().ok().map(|tokens| Cap { span, tokens });
                    self.body.caps[ix - 3] = cap;
                } else {
                    r.skip()?;
                }
            }
            "messages" => self.messages(r)?,
            // What is not known of it the provider refuses.
            "stream_format" => {
                let sse = r.maybe_string()?.is_some_and(|t| t.is("sse"));
                self.body.stream = sse && self.endpoint == Endpoint::Speech;
            }
            // Of a text, or of texts and images.
            "input" if self.endpoint == Endpoint::Moderations && r.peek()? == Kind::Array => {
                self.list(r, Self::part)?;
            }
            "query" | "documents" => self.text(r)?,
            "input" if self.endpoint == Endpoint::Responses && r.peek()? == Kind::Array => {
                self.messages(r)?;
            }
            "prompt" | "input" => {
                if r.peek()? == Kind::Object && self.endpoint == Endpoint::Responses {
                    self.bind(member);
                }
                let start = r.at();
                let before = self.body.prompt.text_bytes;
                self.text(r)?;
                self.body.opening[2] = Some(Span { start, end: r.at() });
                if self.endpoint == Endpoint::Speech && member == "input" {
                    self.body.spoken = self.body.prompt.text_bytes - before;
                }
            }
            "tools" | "functions" => {
                let span = r.skip()?;
                // Anything longer than brackets with space between is a list of something.
                if span.len() > 4 {
                    self.need(Capability::Tools);
                    self.body.prompt.text_bytes += span.len() as u64;
                    self.body.opening[1] = Some(span);
                }
            }
            "response_format" => self.format(r)?,
            "text" | "output_config" => self.output(r)?,
            "instructions" | "system" => {
                r.peek()?;
                let start = r.at();
                if r.peek()? == Kind::Array {
                    self.list(r, Self::part)?;
                } else {
                    self.text(r)?;
                }
                self.body.opening[0] = Some(Span { start, end: r.at() });
            }
            "thinking" => {
                if r.peek()? == Kind::Object {
                    r.object(|r, key| {
                        if key.is("type") {
                            self.body.reasoning |=
                                r.maybe_string()?.is_some_and(|t| !t.is("disabled"));
                            return Ok(());
                        }
                        r.skip().map(drop)
                    })?;
                } else {
                    r.skip()?;
                }
            }
            "previous_response_id" | "conversation" | "container" => {
                if r.filled()? {
                    self.bind(member);
                }
            }
            "background" => self.body.background = r.filled()?,
            "store" => {
                self.body.store = match r.peek()? {
                    Kind::Null => Store::Null(r.literal()?.1),
                    Kind::Bool => Store::Is(r.literal()?.0 == Some(true)),
                    _ => {
                        r.skip()?;
                        Store::Is(false)
                    }
                };
                if self.endpoint == Endpoint::Responses && self.body.store == Store::Is(true) {
                    self.bind(member);
                }
            }
            "include" => self.body.include = include(r)?,
            "reasoning_effort" => {
                self.body.reasoning |=
                    r.maybe_string()?.is_some_and(|t| !t.is_empty() && !t.is("none"));
            }
            "reasoning" => self.body.reasoning |= reasoning(r)?,
            "modalities" => {
                let mut audio = false;
                if r.peek()? == Kind::Array {
                    r.array(|r| {
                        audio |= r.maybe_string()?.is_some_and(|t| t.is("audio"));
                        Ok::<(), JsonError>(())
                    })?;
                } else {
                    r.skip()?;
                }
                if audio {
                    self.need(Capability::Audio);
                }
            }
            "n" => self.body.choices = r.maybe_u64()?.unwrap_or(1).max(1),
            _ => drop(r.skip()?),
        }
        Ok(())
    }

    /// Reads the form that an answer must have.
    fn format(&mut self, r: &mut Reader<'_>) -> Result<(), JsonError> {
        let mut schema = false;
        let span = if r.peek()? == Kind::Object {
            r.object(|r, key| {
                if key.is("type") {
                    schema = r.maybe_string()?.is_some_and(|t| t.is("json_schema"));
                    return Ok(());
                }
                r.skip().map(drop)
            })?
        } else {
            r.skip()?
        };
        if schema {
            self.need(Capability::JsonSchema);
            self.body.prompt.text_bytes += span.len() as u64;
        }
        Ok(())
    }

    /// Reads `text` of responses and `output_config` of messages: both hold a format, the latter an
    /// effort too.
    fn output(&mut self, r: &mut Reader<'_>) -> Result<(), JsonError> {
        if r.peek()? != Kind::Object {
            return r.skip().map(drop);
        }
        r.object(|r, key| {
            if key.is("format") {
                return self.format(r);
            }
            if key.is("effort") {
                self.body.reasoning |= r.maybe_string()?.is_some_and(|t| !t.is_empty());
                return Ok(());
            }
            r.skip().map(drop)
        })
        .map(drop)
    }

    fn finish(mut self) -> Result<RequestBody, BodyError> {
        self.body.model = self.model.ok_or(BodyError::NoModel)?;
        // Where streams are not known, `stream` means nothing.
        self.body.stream &= match self.endpoint {
            Endpoint::Embeddings
            | Endpoint::CountTokens
            | Endpoint::Moderations
            | Endpoint::Rerank => false,
            Endpoint::ChatCompletions
            | Endpoint::Completions
            | Endpoint::Responses
            | Endpoint::Messages
            | Endpoint::Images
            | Endpoint::Speech => true,
        };
        if self.body.stream {
            self.need(Capability::Streaming);
        }
        Ok(self.body)
    }
}

/// Whether a `reasoning` member asks for any: an object may also turn it off.
fn reasoning(r: &mut Reader<'_>) -> Result<bool, JsonError> {
    if r.peek()? != Kind::Object {
        return r.filled();
    }
    let (mut said, mut off) = (false, false);
    r.object(|r, key| {
        said = true;
        match key.raw() {
            "effort" => off |= r.maybe_string()?.is_some_and(|t| t.is("none")),
            "enabled" if r.peek()? == Kind::Bool => off |= r.literal()?.0 == Some(false),
            _ => drop(r.skip()?),
        }
        Ok::<(), JsonError>(())
    })?;
    Ok(said && !off)
}

fn include(r: &mut Reader<'_>) -> Result<Include, JsonError> {
    match r.peek()? {
        Kind::Null => Ok(Include::Null(r.literal()?.1)),
        Kind::Array => {
            let (mut empty, mut said) = (true, false);
            let span = r.array(|r| {
                empty = false;
                said |= r.maybe_string()?.is_some_and(|t| t.is(ENCRYPTED));
                Ok::<(), JsonError>(())
            })?;
            Ok(if said { Include::Said } else { Include::List { span, empty } })
        }
        _ => r.skip().map(|_| Include::Said),
    }
}

fn stream_options(r: &mut Reader<'_>) -> Result<StreamOptions, BodyError> {
    match r.peek()? {
        Kind::Null => Ok(StreamOptions::Null(r.literal()?.1)),
        Kind::Object => {
            let mut empty = true;
            let mut found = None;
            let span = r.object(|r, key| {
                empty = false;
                if !key.is("include_usage") {
                    r.skip()?;
                    return Ok(());
                }
                if found.is_some() {
                    return Err(BodyError::Duplicate("stream_options.include_usage"));
                }
                found = Some(match r.peek()? {
                    Kind::Bool => r.literal().map(|(on, span)| (on == Some(true), span))?,
                    _ => (false, r.skip()?),
                });
                Ok(())
            })?;
            Ok(match found {
                Some((on, span)) => StreamOptions::IncludeUsage { span, on },
                None => StreamOptions::Object { span, empty },
            })
        }
        _ => {
            r.skip()?;
            Ok(StreamOptions::Other)
        }
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
