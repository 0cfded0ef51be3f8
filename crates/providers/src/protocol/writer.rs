//! Answers and streams, written for the caller whatever its protocol.

use bytes::Bytes;

use super::{Caller, Protocol, chat, completions, messages, responses};
use crate::neutral::{Event, Reply};

/// Encodes a whole answer.
pub fn encode_reply(reply: &Reply, caller: &Caller) -> Bytes {
    let value = match caller.protocol {
        Protocol::Chat => chat::encode(reply, caller),
        Protocol::Completions => completions::encode(reply, caller),
        Protocol::Responses => responses::encode(reply, caller),
        Protocol::Messages => messages::encode(reply, caller),
    };
    Bytes::from(value.to_vec())
}

/// Writes the events of an answer as the caller's protocol has them.
#[derive(Debug)]
pub struct Writer(Inner);

#[derive(Debug)]
enum Inner {
    Chat(Box<chat::Writer>),
    Completions(Box<completions::Writer>),
    Responses(Box<responses::Writer>),
    Messages(Box<messages::Writer>),
}

impl Writer {
    /// A writer for this caller.
    pub fn new(caller: Caller) -> Self {
        Self(match caller.protocol {
            Protocol::Chat => Inner::Chat(Box::new(chat::Writer::new(caller))),
            Protocol::Completions => Inner::Completions(Box::new(completions::Writer::new(caller))),
            Protocol::Responses => Inner::Responses(Box::new(responses::Writer::new(caller))),
            Protocol::Messages => Inner::Messages(Box::new(messages::Writer::new(caller))),
        })
    }

    /// Writes an event: none, one or several frames.
    pub fn event(&mut self, event: &Event, out: &mut Vec<Bytes>) {
        match &mut self.0 {
            Inner::Chat(writer) => writer.event(event, out),
            Inner::Completions(writer) => writer.event(event, out),
            Inner::Responses(writer) => writer.event(event, out),
            Inner::Messages(writer) => writer.event(event, out),
        }
    }

    /// What keeps the connection alive while a model thinks: between events, after the commit point.
    pub fn keep_alive(&mut self) -> Bytes {
        match &mut self.0 {
            // A comment without a blank line: some SDKs dispatch an empty event after one, and fail.
            Inner::Chat(_) | Inner::Completions(_) => Bytes::from_static(b": keep-alive\n"),
            Inner::Responses(writer) => writer.keep_alive(),
            Inner::Messages(_) => Bytes::from_static(b"event: ping\ndata: {\"type\":\"ping\"}\n\n"),
        }
    }
}
