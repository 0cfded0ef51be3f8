//! Streams: when a provider's has ended well, and what a caller's looks like. What is shown is what
//! the writers write of one answer.

use bytes::Bytes;

use crate::{
    dialect::Dialect,
    neutral::{CallKind, Delta, Event, Finish, Kind, Start, Usage},
    protocol::{Protocol, Writer},
    tree::Json,
};

use super::{error::caller, finish::Why};

/// When a stream has ended well, and what may follow or be missing.
pub fn ended(dialect: Dialect) -> (&'static str, &'static str) {
    match dialect {
        Dialect::OpenAiChat => (
            "every choice that was seen has a finish reason",
            "a chunk with usage and `[DONE]` may follow or not; `[DONE]` after content without a \
             reason is an end, `[DONE]` alone is none",
        ),
        Dialect::OpenAiResponses => (
            "`response.completed` or `response.incomplete`",
            "`response.failed` and `error` are errors",
        ),
        Dialect::Anthropic => {
            ("`message_delta` with a `stop_reason`", "`message_stop` may be missing")
        }
        Dialect::Gemini => (
            "each candidate has a `finishReason`, or `promptFeedback` says that it is blocked",
            "there is no terminator; usage is on every chunk, and the last counts",
        ),
        Dialect::Bedrock => {
            ("`messageStop`", "`metadata` with usage follows; without it usage is estimated")
        }
    }
}

/// A step of an answer, in words, and the events that a caller of a protocol gets for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What happens.
    pub what: &'static str,
    /// The names of the events, with what tells them apart; none: nothing is written.
    pub events: Vec<String>,
}

/// What a caller of this protocol gets of an answer that thinks, speaks, calls a tool and ends.
pub fn shown(protocol: Protocol) -> Vec<Shown> {
    let open = |part, kind| Event::Open { choice: 0, part, kind };
    let text = |part| Event::Delta { choice: 0, part, delta: Delta::Text("{}".into()) };
    let close = |part| Event::Close { choice: 0, part };
    let call = Kind::Call {
        id: "call_1".into(),
        name: "tool".into(),
        kind: CallKind::Function,
        namespace: None,
        signature: None,
    };
    let script = [
        ("the answer begins", vec![Event::Start(Start::default())]),
        ("it thinks", vec![open(0, Kind::THOUGHT), text(0), close(0)]),
        ("text", vec![open(1, Kind::Text), text(1), close(1)]),
        ("a tool is called", vec![open(2, call), text(2), close(2)]),
        (
            "the end, with usage",
            vec![
                Event::Finish { choice: 0, reason: Finish::from(Why::ToolCalls) },
                Event::Usage(Usage::default()),
                Event::End,
            ],
        ),
    ];
    let mut writer = Writer::new(caller(protocol));
    let mut shown = Vec::new();
    for (what, events) in script {
        let mut frames = Vec::new();
        for event in &events {
            writer.event(event, &mut frames);
        }
        shown.push(Shown { what, events: frames.iter().map(named).collect() });
    }
    let mut alive = Writer::new(caller(protocol));
    shown.push(Shown { what: "nothing for a while", events: vec![named(&alive.keep_alive())] });
    let mut frames = Vec::new();
    let failure = crate::Failure::new(
        routing::OutcomeClass::Fault(routing::outcome::Fault::ServerError),
        "m",
    );
    Writer::new(caller(protocol)).event(&Event::Error(Box::new(failure)), &mut frames);
    shown
        .push(Shown { what: "an error in the middle", events: frames.iter().map(named).collect() });
    shown
}

/// What an event is called, or which members of a chunk say something.
fn named(frame: &Bytes) -> String {
    let text = String::from_utf8_lossy(frame);
    let text = text.trim_end();
    if let Some(name) = text.strip_prefix("event: ").and_then(|t| t.lines().next()) {
        let data = text.split_once("data: ").map(|(_, data)| data).unwrap_or_default();
        let data = Json::parse(data.as_bytes()).unwrap_or_default();
        let inner = ["content_block", "delta", "item"].map(|at| data.at(&[at, "type"]).text());
        let inner = inner.into_iter().find(|kind| !kind.is_empty());
        return inner.map_or_else(|| name.to_owned(), |kind| format!("{name} ({kind})"));
    }
    let Some(data) = text.strip_prefix("data: ") else { return text.to_owned() };
    let Ok(value) = Json::parse(data.as_bytes()) else { return data.to_owned() };
    let choice = value.get("choices").items().first().cloned().unwrap_or_default();
    let mut said: Vec<String> = Vec::new();
    for (name, value) in choice.get("delta").members() {
        if value.filled() || name == "role" {
            said.push(format!("delta.{name}"));
        }
    }
    said.extend(
        ["text", "finish_reason"].into_iter().filter(|n| choice.get(n).filled()).map(str::to_owned),
    );
    said.extend(
        ["usage", "error"].into_iter().filter(|n| value.get(n).filled()).map(str::to_owned),
    );
    format!("chunk: {}", said.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_shows_its_events() {
        let names =
            |protocol| shown(protocol).into_iter().flat_map(|s| s.events).collect::<Vec<_>>();
        let messages = names(Protocol::Messages);
        assert_eq!(messages.first().map(String::as_str), Some("message_start"));
        assert!(messages.contains(&"content_block_start (tool_use)".to_owned()));
        let chat = names(Protocol::Chat);
        assert!(chat.contains(&"chunk: delta.tool_calls".to_owned()), "{chat:?}");
        assert!(chat.contains(&"[DONE]".to_owned()));
        let responses = names(Protocol::Responses);
        assert!(responses.contains(&"response.completed".to_owned()), "{responses:?}");
        for protocol in Protocol::ALL {
            let last = shown(protocol).pop().unwrap();
            assert!(!last.events.is_empty(), "{}: {}", protocol.name(), last.what);
        }
    }
}
