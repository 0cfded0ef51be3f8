//! Answers, decoded whatever their dialect: bytes in, as the network splits them; neutral events out.
//! What an answer is is told by its content: server-sent events, frames, or JSON, whatever was asked
//! for.

use bytes::{Bytes, BytesMut};

use super::{
    Candidate, Dialect, anthropic, bedrock, errors, event_stream::Frames, gemini, openai_chat,
    openai_responses,
};
use crate::{
    failure::Failure,
    neutral::{Collector, Event, Reply},
    sse::{Splitter, fields},
    stream::{MAX_EVENT, MAX_JSON},
    tree::Json,
};

/// The state of a dialect's decoder.
#[derive(Debug)]
enum Inner {
    OpenAiChat(Box<openai_chat::Reader>),
    OpenAiResponses(Box<openai_responses::Reader>),
    Anthropic(Box<anthropic::Reader>),
    Gemini(Box<gemini::Reader>),
    Bedrock(Box<bedrock::Reader>),
}

#[derive(Debug)]
enum Mode {
    Undecided(BytesMut),
    Events(Splitter),
    Frames(Frames),
    Json(BytesMut),
}

/// Decodes an answer.
#[derive(Debug)]
pub struct Decoder {
    dialect: Dialect,
    compatible: bool,
    inner: Inner,
    mode: Mode,
    /// The end, or an error, was given: nothing follows.
    over: bool,
}

impl Decoder {
    /// A decoder of what this dialect answers. `compatible`: from another server than OpenAI's own.
    pub fn new(dialect: Dialect, compatible: bool) -> Self {
        let inner = match dialect {
            Dialect::OpenAiChat => Inner::OpenAiChat(Box::default()),
            Dialect::OpenAiResponses => Inner::OpenAiResponses(Box::default()),
            Dialect::Anthropic => Inner::Anthropic(Box::default()),
            Dialect::Gemini => Inner::Gemini(Box::default()),
            Dialect::Bedrock => Inner::Bedrock(Box::default()),
        };
        let mode = Mode::Undecided(BytesMut::new());
        Self { dialect, compatible, inner, mode, over: false }
    }

    /// A decoder of what this candidate answers.
    pub fn of(candidate: &Candidate<'_>) -> Self {
        Self::new(candidate.dialect, candidate.quirks.is_some())
    }

    /// More bytes.
    pub fn push(&mut self, chunk: Bytes, out: &mut Vec<Event>) {
        if self.over {
            return;
        }
        match &mut self.mode {
            Mode::Undecided(held) => {
                held.extend_from_slice(&chunk);
                let text = held.split().freeze();
                self.decide(text);
            }
            Mode::Events(splitter) => splitter.push(chunk),
            Mode::Frames(frames) => frames.push(&chunk),
            Mode::Json(body) => {
                if body.len() + chunk.len() > MAX_JSON {
                    let failure = "The provider answered with more than 64 MiB of JSON.";
                    self.fail(Failure::invalid(failure), out);
                    return;
                }
                body.extend_from_slice(&chunk);
            }
        }
        self.drain(out);
    }

    fn decide(&mut self, text: Bytes) {
        let start = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text).trim_ascii_start();
        self.mode = match start.first() {
            Some(b'{' | b'[') => Mode::Json(BytesMut::from(text)),
            Some(0) => {
                let mut frames = Frames::default();
                frames.push(&text);
                Mode::Frames(frames)
            }
            // A byte order mark may be cut: wait for more.
            Some(0xef) if text.len() < 3 => Mode::Undecided(BytesMut::from(text)),
            None if text.len() <= 64 << 10 => Mode::Undecided(BytesMut::from(text)),
            _ => {
                let mut splitter = Splitter::new(MAX_EVENT);
                splitter.push(text);
                Mode::Events(splitter)
            }
        };
    }

    fn drain(&mut self, out: &mut Vec<Event>) {
        while !self.over {
            match &mut self.mode {
                Mode::Events(splitter) => match splitter.next() {
                    Ok(Some(raw)) => self.event(&raw, false, out),
                    Ok(None) => return,
                    Err(_) => {
                        let what = "The provider sent one event of more than 16 MiB.";
                        self.fail(Failure::invalid(what), out);
                    }
                },
                Mode::Frames(frames) => match frames.next() {
                    Ok(Some(frame)) => {
                        if let Inner::Bedrock(reader) = &mut self.inner {
                            let result = reader.frame(&frame, out);
                            self.settle(result, out);
                        } else {
                            self.fail(Failure::invalid("The provider sent binary frames."), out);
                        }
                    }
                    Ok(None) => return,
                    Err(error) => self.fail(Failure::invalid(error.to_string()), out),
                },
                Mode::Undecided(_) | Mode::Json(_) => return,
            }
        }
    }

    /// One server-sent event. `last`: it was not terminated, and half an event is none.
    fn event(&mut self, raw: &[u8], last: bool, out: &mut Vec<Event>) {
        let event = fields(raw);
        let data = event.data.trim_ascii();
        let error = event.name == b"error";
        // VertexAI's partner models write their comments as data.
        if (data.is_empty() || data.starts_with(b":")) && !error {
            return;
        }
        if data == b"[DONE]" {
            let result = match &mut self.inner {
                Inner::OpenAiChat(reader) => reader.done(out),
                _ => Ok(()),
            };
            self.settle(result, out);
            return;
        }
        match Json::parse(data) {
            Ok(value) if error || is_error(&value) => self.fail(self.classify(&value), out),
            Ok(value) => self.value(&value, out),
            Err(_) if error => {
                let text = String::from_utf8_lossy(data).into_owned();
                self.fail(self.classify(&Json::String(text)), out);
            }
            Err(_) if last => {}
            Err(_) => {
                self.fail(Failure::invalid("The provider sent an event that is no JSON."), out);
            }
        }
    }

    fn value(&mut self, value: &Json, out: &mut Vec<Event>) {
        let result = match &mut self.inner {
            Inner::OpenAiChat(reader) => reader.chunk(value, out),
            Inner::OpenAiResponses(reader) => reader.event(value, out),
            Inner::Anthropic(reader) => reader.event(value, out),
            Inner::Gemini(reader) => reader.chunk(value, out),
            Inner::Bedrock(reader) => reader.json(value, out),
        };
        self.settle(result, out);
    }

    fn settle(&mut self, result: Result<(), Failure>, out: &mut Vec<Event>) {
        match result {
            Err(failure) => self.fail(failure, out),
            Ok(()) => self.over |= matches!(out.last(), Some(Event::End)),
        }
    }

    fn classify(&self, value: &Json) -> Failure {
        errors::of_value(self.dialect, self.compatible, value)
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<Event>) {
        self.over = true;
        out.push(Event::Error(Box::new(failure)));
    }

    /// The bytes have ended well. Not to be called where the connection was lost.
    pub fn close(&mut self, out: &mut Vec<Event>) {
        if self.over {
            return;
        }
        match std::mem::replace(&mut self.mode, Mode::Undecided(BytesMut::new())) {
            Mode::Undecided(_) => {
                self.fail(Failure::invalid("The provider's answer is empty."), out);
            }
            Mode::Events(mut splitter) => {
                if let Some(raw) = splitter.rest() {
                    self.event(&raw, true, out);
                }
            }
            Mode::Frames(frames) => {
                if !frames.is_empty() {
                    self.fail(Failure::invalid("The provider's last frame is cut."), out);
                }
            }
            Mode::Json(body) => self.whole(&body, out),
        }
        if self.over {
            return;
        }
        let result = match &mut self.inner {
            Inner::OpenAiChat(reader) => reader.end(out),
            Inner::OpenAiResponses(reader) => reader.end(out),
            Inner::Anthropic(reader) => reader.end(out),
            Inner::Gemini(reader) => reader.end(out),
            Inner::Bedrock(reader) => reader.end(out),
        };
        self.settle(result, out);
    }

    /// A JSON answer.
    fn whole(&mut self, body: &[u8], out: &mut Vec<Event>) {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
        let value = match Json::parse(body) {
            Ok(value) => value,
            Err(error) => {
                let what =
                    format!("The provider's answer is not the JSON that it should be: {error}.");
                self.fail(Failure::invalid(what), out);
                return;
            }
        };
        // Gemini's stream without `alt=sse` is an array of chunks; some wrap their errors in one.
        let items =
            if let Json::Array(items) = &value { items } else { std::slice::from_ref(&value) };
        for item in items {
            if self.over {
                return;
            }
            if is_error(item) {
                self.fail(self.classify(item), out);
                return;
            }
            let result = match &mut self.inner {
                Inner::OpenAiChat(reader) => reader.whole(item, out),
                Inner::OpenAiResponses(reader) => reader.whole(item, out),
                Inner::Anthropic(reader) => reader.whole(item, out),
                Inner::Gemini(reader) => reader.chunk(item, out),
                Inner::Bedrock(reader) => reader.whole(item, out),
            };
            self.settle(result, out);
        }
    }
}

/// Whether this is an error, wherever it stands.
fn is_error(value: &Json) -> bool {
    let kind = |name: &str| value.get(name).text() == "error";
    value.get("error").filled() || kind("type") || kind("object")
}

/// Decodes a whole answer, JSON or collected from a stream.
pub fn decode_reply(candidate: &Candidate<'_>, body: &Bytes) -> Result<Reply, Failure> {
    let mut decoder = Decoder::of(candidate);
    let mut events = Vec::new();
    decoder.push(body.clone(), &mut events);
    decoder.close(&mut events);
    Collector::collect(events)
}
