//! Which endpoint of which dialect a request is for, and the answer in that dialect.

mod anthropic;
mod bedrock;
mod chat;
mod frames;
mod gemini;
mod media;
mod responses;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use providers::dialect::Dialect;
use serde_json::Value;

use super::{
    Protocol,
    answer::Answer,
    ask::Ask,
    fault::{BROKEN, Fault},
};

/// An endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Chat,
    Completions,
    Embeddings,
    Images,
    Moderations,
    Rerank,
    Speech,
    Responses,
    ResponsesCount,
    Messages,
    /// Claude on VertexAI: whether as a stream stands in the path.
    RawPredict,
    MessagesCount,
    Generate,
    StreamGenerate,
    ContentsCount,
    EmbedContent,
    BatchEmbed,
    Predict,
    Converse,
    ConverseStream,
    ConverseCount,
    Models,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) op: Op,
    pub(super) dialect: Dialect,
    /// The model, where the path names it.
    model: Option<String>,
    /// Whether Gemini is asked for events rather than an array.
    sse: bool,
}

/// A piece of a stream.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Whether it takes the time of a token.
    pub(super) token: bool,
    pub(super) bytes: Bytes,
}

impl Event {
    fn of(token: bool, text: String) -> Self {
        Self { token, bytes: Bytes::from(text) }
    }

    /// An event without a name.
    fn data(token: bool, data: &Value) -> Self {
        Self::of(token, format!("data: {data}\n\n"))
    }

    /// An event named as its `type`.
    fn named(token: bool, data: &Value) -> Self {
        let name = data["type"].as_str().unwrap_or_default();
        Self::of(token, format!("event: {name}\ndata: {data}\n\n"))
    }
}

/// What is answered.
#[derive(Debug)]
pub(super) enum Reply {
    /// JSON that takes the time of so many tokens.
    Json { body: Value, tokens: usize },
    /// A stream of this media type: events, frames, or a sound.
    Stream { kind: &'static str, events: Vec<Event> },
}

const SSE: &str = "text/event-stream";

/// The endpoint at this path, if this protocol has it.
pub(super) fn route(protocol: Protocol, path: &str, query: &str) -> Option<Route> {
    let path = path.trim_matches('/');
    let sse = query.split('&').any(|pair| pair == "alt=sse");
    let found = |dialect: Dialect| {
        let (op, model) = match dialect {
            Dialect::OpenAiChat => chat::place(path),
            Dialect::OpenAiResponses => responses::place(path),
            Dialect::Anthropic => anthropic::place(path),
            Dialect::Gemini => gemini::place(path),
            Dialect::Bedrock => bedrock::place(path),
        }?;
        Some(Route { op, dialect, model, sse })
    };
    Dialect::ALL.into_iter().filter(|d| protocol.speaks(*d)).find_map(found)
}

/// The list of models: a demo plays any.
pub(super) fn models(dialect: Dialect) -> Value {
    match dialect {
        Dialect::Anthropic => anthropic::models(),
        Dialect::Gemini => gemini::models(),
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Bedrock => chat::models(),
    }
}

/// Answers a request; `seed` tells its ids from all others.
pub(super) fn answer(route: &Route, body: &Value, seed: &[u8]) -> Result<Reply, Fault> {
    let named = route.model.as_deref();
    let told = body["stream"] == Value::Bool(true);
    let text = |ask: Ask, stream: bool, form: Form| {
        let answer = Answer::to(&ask, seed);
        if stream {
            Reply::Stream { kind: form.kind, events: (form.events)(body, &answer) }
        } else {
            Reply::Json { body: (form.whole)(body, &answer), tokens: answer.output }
        }
    };
    let json = |body: Value| Ok(Reply::Json { body, tokens: 0 });
    match route.op {
        Op::Chat => Ok(text(chat::ask(body, named)?, told, chat::FORM)),
        Op::Completions => Ok(text(chat::ask_completion(body, named)?, told, chat::COMPLETION)),
        Op::Embeddings => json(chat::embeddings(body, named)?),
        Op::Images => media::images(body, named),
        Op::Moderations => json(media::moderations(body, named, &id(seed))?),
        Op::Rerank => json(media::rerank(body, named, &id(seed))?),
        Op::Speech => media::speech(body, named),
        Op::Responses => Ok(text(responses::ask(body)?, told, responses::FORM)),
        Op::ResponsesCount => json(responses::count(body)?),
        Op::Messages => Ok(text(anthropic::ask(body, None)?, told, anthropic::FORM)),
        Op::RawPredict => Ok(text(anthropic::ask(body, named)?, told, anthropic::FORM)),
        Op::MessagesCount => json(anthropic::count(body)?),
        Op::Generate => Ok(text(gemini::ask(body, named)?, false, gemini::FORM)),
        Op::StreamGenerate => {
            let form = if route.sse { gemini::FORM } else { gemini::ARRAY };
            Ok(text(gemini::ask(body, named)?, true, form))
        }
        Op::ContentsCount => json(gemini::count(body, named)?),
        Op::EmbedContent => json(gemini::embed(body, named)?),
        Op::BatchEmbed => json(gemini::batch_embed(body, named)?),
        Op::Predict => json(gemini::predict(body, named)?),
        Op::Converse => Ok(text(bedrock::ask(body, named)?, false, bedrock::FORM)),
        Op::ConverseStream => Ok(text(bedrock::ask(body, named)?, true, bedrock::FORM)),
        Op::ConverseCount => json(bedrock::count(body, named)?),
        Op::Models => json(models(route.dialect)),
    }
}

/// Hex digits that no other answer has.
fn id(seed: &[u8]) -> String {
    let digest = routing::Digest::of_parts([seed]);
    hex::encode(digest.as_bytes().get(..12).unwrap_or_default())
}

/// How a dialect writes an answer down.
#[derive(Clone, Copy)]
struct Form {
    /// The media type of its streams.
    kind: &'static str,
    whole: fn(&Value, &Answer) -> Value,
    events: fn(&Value, &Answer) -> Vec<Event>,
}

/// A fault in a dialect's words.
pub(super) fn refusal(dialect: Dialect, fault: &Fault) -> (StatusCode, HeaderMap, Value) {
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => chat::refusal(fault),
        Dialect::Anthropic => anthropic::refusal(fault),
        Dialect::Gemini => gemini::refusal(fault),
        Dialect::Bedrock => bedrock::refusal(fault),
    }
}

/// What a dialect sends when a stream breaks off in the middle.
pub(super) fn broken(dialect: Dialect) -> Bytes {
    match dialect {
        Dialect::OpenAiChat => chat::broken(BROKEN),
        Dialect::OpenAiResponses => responses::broken(BROKEN),
        Dialect::Anthropic => anthropic::broken(BROKEN),
        Dialect::Gemini => gemini::broken(BROKEN),
        Dialect::Bedrock => bedrock::broken(BROKEN),
    }
}

/// Seconds to wait, as a `retry-after` header says them.
fn retry_after(headers: &mut HeaderMap, wait: std::time::Duration) {
    let seconds = wait.as_secs_f64().ceil().to_string();
    if let Ok(value) = seconds.parse() {
        headers.insert(http::header::RETRY_AFTER, value);
    }
}

/// The name and the method of `.../models/NAME:METHOD`, the name with its escapes undone.
fn colon<'a>(path: &'a str, before: &str) -> Option<(String, &'a str)> {
    let after = path.split_once(before).map(|(_, after)| after)?;
    let (name, method) = after.rsplit_once(':')?;
    Some((unescaped(name), method))
}

/// `%3A` as `:`; what is no escape stays.
fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, hex) {
            (b'%', Some(value)) => {
                plain.push(value);
                at += 3;
            }
            _ => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(path: &str) -> (Op, Dialect, Option<String>) {
        let route = route(Protocol::All, path, "").unwrap_or_else(|| panic!("{path}"));
        (route.op, route.dialect, route.model)
    }

    #[test]
    fn paths_tell_the_dialects_apart() {
        use Dialect::{Anthropic, Bedrock, Gemini, OpenAiChat, OpenAiResponses};
        let m = || Some("m".to_owned());
        for (path, expected) in [
            ("/v1/chat/completions", (Op::Chat, OpenAiChat, None)),
            ("/chat/completions", (Op::Chat, OpenAiChat, None)),
            ("/openai/deployments/m/chat/completions", (Op::Chat, OpenAiChat, m())),
            ("/openai/v1/embeddings", (Op::Embeddings, OpenAiChat, None)),
            ("/openai/deployments/m/images/generations", (Op::Images, OpenAiChat, m())),
            ("/v1/audio/speech", (Op::Speech, OpenAiChat, None)),
            ("/v1/responses", (Op::Responses, OpenAiResponses, None)),
            ("/openai/v1/responses", (Op::Responses, OpenAiResponses, None)),
            ("/v1/messages", (Op::Messages, Anthropic, None)),
            ("/v1/messages/count_tokens", (Op::MessagesCount, Anthropic, None)),
            (
                "/v1/projects/p/locations/l/publishers/anthropic/models/m:streamRawPredict",
                (Op::RawPredict, Anthropic, m()),
            ),
            ("/v1beta/models/m:generateContent", (Op::Generate, Gemini, m())),
            (
                "/v1/projects/p/locations/l/publishers/google/models/m:streamGenerateContent",
                (Op::StreamGenerate, Gemini, m()),
            ),
            ("/v1beta/models/m:batchEmbedContents", (Op::BatchEmbed, Gemini, m())),
            ("/model/m/converse", (Op::Converse, Bedrock, m())),
            ("/model/m/converse-stream", (Op::ConverseStream, Bedrock, m())),
        ] {
            assert_eq!(op(path), expected, "{path}");
        }
        let (_, _, model) = op("/model/us.anthropic.claude-v1%3A0/converse");
        assert_eq!(model.unwrap(), "us.anthropic.claude-v1:0");
    }

    #[test]
    fn a_protocol_serves_its_own_paths_alone() {
        let chat = Protocol::One(Dialect::OpenAiChat);
        assert!(route(chat, "/v1/messages", "").is_none());
        assert!(route(chat, "/v1/chat/completions", "").is_some());
        assert!(route(Protocol::One(Dialect::Anthropic), "/v1/chat/completions", "").is_none());
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescaped("a%3Ab%2fc%zz%"), "a:b/c%zz%");
    }
}
