//! A stream of events, judged as it passes. Bytes go in as the network splits them; events come out
//! as slices of them, unchanged, each with what it means for the commit point, fallback and the
//! end. What the stream is is told by its content: a JSON answer to a stream request comes out as
//! its events too.
//!
//! Before the first [`Judgement::Decisive`] or [`Judgement::Terminal`] event nothing may reach the
//! caller, so that another candidate can still answer. When the bytes end, [`Stream::end`] says
//! whether the answer was whole: every choice seen has its finish reason, or `[DONE]` came after
//! content.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use routing::{Endpoint, ProviderKind};
use serde_json::Value;

use crate::{
    Usage,
    amount::Amount,
    answer::{Seen, classify_span, judge_answer, provider_gave_up},
    asis::{self, Kinds},
    failure::{Failure, classify_value},
    openai::Finish,
    reshape,
    sse::{Fields, Splitter, fields},
};

/// The longest event.
pub const MAX_EVENT: usize = 16 << 20;
/// The longest JSON answer to a stream request.
pub const MAX_JSON: usize = 64 << 20;
/// The most white space before anything else.
const MAX_BLANK: usize = 64 << 10;

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// An event is longer than [`MAX_EVENT`].
    #[error("The provider sent one event of more than 16 MiB.")]
    EventTooLong,
    /// A JSON answer is longer than [`MAX_JSON`].
    #[error("The provider answered with more than 64 MiB of JSON.")]
    AnswerTooLong,
}

/// What an event means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It has content: the commit point, if there was none before.
    Decisive,
    /// With it every choice seen has its finish reason. A commit point too: an empty answer is an
    /// answer.
    Terminal {
        /// A filter ended it before any content: Moderation, where the alias falls back on that.
        filtered: bool,
    },
    /// Nothing yet: a role, an empty delta, a comment, a ping, prompt filter results.
    Lifecycle,
    /// Usage and no choice.
    Usage,
    /// `[DONE]`, where it may stand.
    Done,
    /// An error. Before the commit point the attempt failed so; after it the stream is over.
    Error(Box<Failure>),
    /// It cannot be read. It is passed on as it came.
    Malformed,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its bytes, as they came.
    pub raw: Bytes,
    /// What it means.
    pub judgement: Judgement,
    /// It is not for the caller: it answers what only we asked.
    pub hidden: bool,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Well.
    Complete,
    /// Without the dialect's terminal event. Before the commit point that is InvalidResponse, after
    /// it an error frame.
    Truncated,
}

#[derive(Debug)]
enum Mode {
    /// Only white space so far.
    Undecided(BytesMut),
    /// Server-sent events.
    Events(Splitter),
    /// JSON, whole at the end.
    Json(BytesMut),
}

/// A stream being read.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, of no order to make states of"
)]
pub struct Stream {
    provider: ProviderKind,
    endpoint: Endpoint,
    hide_usage: bool,
    mode: Mode,
    /// Events that were made, not received.
    made: VecDeque<Event>,
    usage: Option<Usage>,
    amount: Amount,
    /// Images that are finished.
    images: u64,
    /// Events with content.
    deltas: u64,
    content: bool,
    finish: Finish,
    /// A bit per choice: seen, and finished.
    choices: (u64, u64),
    done: bool,
    too_long: bool,
}

impl Stream {
    /// A stream that a target of this kind answers with. `hide_usage`: only we asked for usage.
    pub fn new(provider: ProviderKind, endpoint: Endpoint, hide_usage: bool) -> Self {
        Self {
            provider,
            endpoint,
            hide_usage,
            mode: Mode::Undecided(BytesMut::new()),
            made: VecDeque::new(),
            usage: None,
            amount: Amount::default(),
            images: 0,
            deltas: 0,
            content: false,
            finish: Finish::None,
            choices: (0, 0),
            done: false,
            too_long: false,
        }
    }

    /// More bytes. [`Self::next`] is then called until it has no more.
    pub fn push(&mut self, chunk: Bytes) {
        match &mut self.mode {
            Mode::Events(splitter) => splitter.push(chunk),
            Mode::Json(body) => {
                self.too_long |= body.len() + chunk.len() > MAX_JSON;
                if !self.too_long {
                    body.extend_from_slice(&chunk);
                }
            }
            Mode::Undecided(held) => {
                let text = if held.is_empty() {
                    chunk
                } else {
                    held.extend_from_slice(&chunk);
                    held.split().freeze()
                };
                self.decide(text);
            }
        }
    }

    fn decide(&mut self, text: Bytes) {
        let first = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text).trim_ascii_start().first();
        self.mode = match first {
            Some(b'{' | b'[') => Mode::Json(BytesMut::from(text)),
            // A byte order mark may be cut: wait for more.
            Some(0xef) if text.len() < 3 => Mode::Undecided(BytesMut::from(text)),
            None if text.len() <= MAX_BLANK => Mode::Undecided(BytesMut::from(text)),
            _ => {
                let mut splitter = Splitter::new(MAX_EVENT);
                splitter.push(text);
                Mode::Events(splitter)
            }
        };
    }

    /// The bytes have ended well: what is left becomes events, which [`Self::next`] gives. Not to
    /// be called where the connection was lost, so that half an event never counts as one.
    pub fn close(&mut self) {
        match std::mem::replace(&mut self.mode, Mode::Undecided(BytesMut::new())) {
            Mode::Undecided(_) => {}
            Mode::Events(mut splitter) => {
                if let Some(raw) = splitter.rest() {
                    let event = self.judge(raw);
                    // Half an event is no event.
                    if event.judgement != Judgement::Malformed {
                        self.made.push_back(event);
                    }
                }
            }
            Mode::Json(body) => self.unfold(&body),
        }
    }

    /// Turns a JSON answer into its events.
    fn unfold(&mut self, body: &[u8]) {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
        match judge_answer(self.provider, self.endpoint, StatusCode::OK, body) {
            Err(failure) => self.made.push_back(Event {
                raw: Bytes::new(),
                judgement: Judgement::Error(Box::new(failure)),
                hidden: true,
            }),
            Ok(_) => {
                let events = match self.endpoint {
                    Endpoint::Images => asis::events(body),
                    endpoint => reshape::events(endpoint, body, !self.hide_usage),
                };
                for raw in events {
                    let event = self.judge(raw);
                    self.made.push_back(event);
                }
            }
        }
    }

    /// The next event of what was pushed.
    #[expect(clippy::should_implement_trait, reason = "it ends at each push, as no iterator does")]
    pub fn next(&mut self) -> Result<Option<Event>, StreamError> {
        if self.too_long {
            return Err(StreamError::AnswerTooLong);
        }
        if let Some(event) = self.made.pop_front() {
            return Ok(Some(event));
        }
        let Mode::Events(splitter) = &mut self.mode else { return Ok(None) };
        match splitter.next() {
            Ok(raw) => Ok(raw.map(|raw| self.judge(raw))),
            Err(_) => Err(StreamError::EventTooLong),
        }
    }

    /// Whether content was seen.
    pub fn has_content(&self) -> bool {
        self.content
    }

    /// The usage that was stated last: it is of all that was sent until then, so that a later one
    /// takes the place of an earlier one.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// How much content was seen.
    pub fn amount(&self) -> Amount {
        self.amount
    }

    /// How many images were finished.
    pub fn images(&self) -> u64 {
        self.images
    }

    /// How many events with content were seen, where each is at least a token of the answer.
    pub fn deltas(&self) -> u64 {
        self.deltas
    }

    /// Whether what was seen so far is a whole answer.
    pub fn end(&self) -> End {
        let (seen, finished) = self.choices;
        let whole = seen != 0 && seen == finished;
        if whole || (self.done && self.content) { End::Complete } else { End::Truncated }
    }

    fn judge(&mut self, raw: Bytes) -> Event {
        let judgement = self.judgement(&fields(&raw));
        let hidden = self.hide_usage && judgement == Judgement::Usage;
        Event { raw, judgement, hidden }
    }

    fn judgement(&mut self, event: &Fields<'_>) -> Judgement {
        let data = event.data.trim_ascii();
        let named_error = event.name == b"error";
        // VertexAI's partner models write their comments as data.
        if (data.is_empty() || data.starts_with(b":")) && !named_error {
            return Judgement::Lifecycle;
        }
        if data == b"[DONE]" {
            return self.on_done();
        }
        if self.endpoint.passes_only() && !named_error {
            return self.typed(data);
        }
        let seen = match Seen::read(data) {
            Ok(seen) if !named_error => seen,
            Err(_) if !named_error => return Judgement::Malformed,
            _ => {
                let value = serde_json::from_slice(data)
                    .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(data).into_owned()));
                return Judgement::Error(Box::new(classify_value(self.provider, &value)));
            }
        };
        self.usage = seen.usage.or(self.usage);
        self.content |= seen.content;
        self.deltas += u64::from(seen.content);
        self.amount.add(seen.amount);
        if let Some(error) = seen.error {
            return Judgement::Error(Box::new(classify_span(self.provider, data, error)));
        }
        if seen.finish == Finish::Error {
            return Judgement::Error(Box::new(provider_gave_up()));
        }
        if seen.choices == 0 {
            return if seen.states_usage { Judgement::Usage } else { Judgement::Lifecycle };
        }
        let (open, closed) = self.choices;
        self.choices = (open | seen.open, closed | seen.closed);
        if seen.finish != Finish::None {
            self.finish = seen.finish;
        }
        let whole = self.choices.0 == self.choices.1;
        if whole && seen.closed != 0 {
            return match self.finish {
                Finish::Unknown if !self.content => Judgement::Error(Box::new(Failure::invalid(
                    "The provider's stream ended with an unknown finish reason and no content.",
                ))),
                finish => {
                    Judgement::Terminal { filtered: !self.content && finish == Finish::Filter }
                }
            };
        }
        if seen.content { Judgement::Decisive } else { Judgement::Lifecycle }
    }

    /// An event of images or speech, which says by its type what it is.
    fn typed(&mut self, data: &[u8]) -> Judgement {
        let Ok(found) = asis::Found::read(self.endpoint, data) else { return Judgement::Malformed };
        if let Some(usage) = found.usage(self.endpoint) {
            self.usage = Some(usage);
        }
        if let Some(failure) = found.error(self.provider, data) {
            return Judgement::Error(Box::new(failure));
        }
        let ends = match found.kind {
            Kinds::Other => return Judgement::Lifecycle,
            Kinds::Spoken => true,
            Kinds::Piece | Kinds::Image if !found.has_payload() => return Judgement::Lifecycle,
            Kinds::Piece => false,
            Kinds::Image => {
                self.images += 1;
                true
            }
        };
        if let Some(usage) = &mut self.usage {
            usage.images = self.images;
        }
        self.content |= found.has_payload();
        // There is one choice.
        self.choices = (1, self.choices.1 | u64::from(ends));
        if ends && !self.content {
            return Judgement::Error(Box::new(Failure::invalid(
                "The provider's stream says that it is done, and nothing came before.",
            )));
        }
        if ends { Judgement::Terminal { filtered: false } } else { Judgement::Decisive }
    }

    fn on_done(&mut self) -> Judgement {
        self.done = true;
        if self.end() == End::Complete {
            return Judgement::Done;
        }
        Judgement::Error(Box::new(Failure::invalid(
            "The provider's stream says [DONE] without content or a finish reason before it.",
        )))
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
