//! What a fake provider does with one request: a list of steps, and the common ones by name.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::speech::Speech;

/// One thing that it does.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes as they are.
    Send(Bytes),
    /// Says nothing until the peer goes away.
    Stall,
    /// Sends these bytes again and again until the peer goes away.
    Forever(Bytes),
    /// Resets the connection (RST).
    Reset,
    /// Closes the connection (FIN).
    Close,
}

/// What it does with one request.
#[derive(Clone, Debug)]
pub struct Script {
    pub(super) steps: Steps,
    /// How long it thinks first.
    pub(super) thinks: Duration,
}

#[derive(Clone, Debug)]
pub(super) enum Steps {
    /// These.
    Fixed(Vec<Step>),
    /// A good answer with this text: JSON or a stream, as the request wants.
    Chat { text: String, usage: (u64, u64) },
    /// This, in the dialect that is asked.
    Said(Box<Speech>),
}

impl Script {
    /// These steps.
    pub fn steps(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: Steps::Fixed(steps.into_iter().collect()), thinks: Duration::ZERO }
    }

    /// A good chat answer with this text: JSON, or a stream of words when the request wants one.
    pub fn chat(text: &str) -> Self {
        Self::chat_using(text, 5, 3)
    }

    /// The same, of which it says that it took so many tokens of prompt and of answer.
    pub fn chat_using(text: &str, prompt: u64, answer: u64) -> Self {
        let steps = Steps::Chat { text: text.to_owned(), usage: (prompt, answer) };
        Self { steps, thinks: Duration::ZERO }
    }

    /// This answer, in whatever dialect is asked: JSON, or a stream when the request wants one.
    pub(super) fn said(speech: Speech) -> Self {
        Self { steps: Steps::Said(Box::new(speech)), thinks: Duration::ZERO }
    }

    /// The same after so long: how fast a provider is.
    #[must_use]
    pub fn after(self, thinks: Duration) -> Self {
        Self { thinks, ..self }
    }

    /// This status, these headers, this body, with its length.
    pub fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        Self::steps([Step::Send(response(status, headers, body.as_bytes()))])
    }

    /// This status with a JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::answer(status, &[("content-type", "application/json")], &body.to_string())
    }

    /// An error of this status in OpenAI's shape.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &error(code, message))
    }

    /// 429 with this Retry-After.
    pub fn rate_limited(retry_after: &str) -> Self {
        let headers = [("content-type", "application/json"), ("retry-after", retry_after)];
        Self::answer(429, &headers, &error("rate_limit_exceeded", "slow down").to_string())
    }

    /// A stream whose body is these chunks; it ends the body unless the last step ends the
    /// connection.
    pub fn stream(chunks: impl IntoIterator<Item = String>) -> Self {
        Self::stream_then(chunks, [Step::Send(Bytes::from_static(b"0\r\n\r\n"))])
    }

    /// A stream of these chunks, and then these steps instead of the body's end.
    pub fn stream_then(
        chunks: impl IntoIterator<Item = String>,
        then: impl IntoIterator<Item = Step>,
    ) -> Self {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        let head = Step::Send(Bytes::from_static(head.as_bytes()));
        let body = chunks.into_iter().map(|c| Step::Send(chunk(c.as_bytes())));
        Self::steps(std::iter::once(head).chain(body).chain(then))
    }

    /// A body of these pieces, each a chunk of its own, of this content-type; `ends`: well, or the
    /// connection is closed in the middle.
    pub fn pieces(kind: &str, pieces: impl IntoIterator<Item = Bytes>, ends: bool) -> Self {
        let last = if ends { Step::Send(Bytes::from_static(b"0\r\n\r\n")) } else { Step::Close };
        Self::pieces_then(kind, pieces, [last])
    }

    /// The same, and then these steps instead of the body's end.
    pub fn pieces_then(
        kind: &str,
        pieces: impl IntoIterator<Item = Bytes>,
        then: impl IntoIterator<Item = Step>,
    ) -> Self {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        let body = pieces.into_iter().map(|piece| Step::Send(chunk(&piece)));
        Self::steps(std::iter::once(Step::Send(Bytes::from(head))).chain(body).chain(then))
    }

    /// Resets the connection before an answer.
    pub fn reset() -> Self {
        Self::steps([Step::Reset])
    }

    /// Closes the connection before an answer.
    pub fn close() -> Self {
        Self::steps([Step::Close])
    }

    /// Never answers.
    pub fn hang() -> Self {
        Self::steps([Step::Stall])
    }
}

/// An error object in OpenAI's shape.
pub fn error(code: &str, message: &str) -> Value {
    json!({"error": {"message": message, "type": "error", "param": null, "code": code}})
}

/// An event of a chat stream that adds this text.
pub fn delta(model: &str, text: &str) -> String {
    event(model, &json!({"content": text}), None)
}

/// The first event of a chat stream: a role and no content.
pub fn role(model: &str) -> String {
    event(model, &json!({"role": "assistant", "content": ""}), None)
}

/// The events that end a chat stream.
pub fn finish(model: &str) -> String {
    event(model, &json!({}), Some("stop")) + "data: [DONE]\n\n"
}

/// One chunk of a chat stream as an event.
fn event(model: &str, delta: &Value, finish: Option<&str>) -> String {
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    });
    format!("data: {chunk}\n\n")
}

/// A good answer for this request.
pub(super) fn good(request: &Value, text: &str, (prompt, answer): (u64, u64)) -> Vec<Step> {
    let model = request["model"].as_str().unwrap_or("unknown").to_owned();
    let usage = json!({
        "prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer,
    });
    if request["stream"] == json!(true) {
        let mut chunks = vec![role(&model)];
        chunks.extend(text.split_inclusive(' ').map(|word| delta(&model, word)));
        let mut end = event(&model, &json!({}), Some("stop"));
        if request["stream_options"]["include_usage"] == json!(true) {
            let chunk = json!({
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
                "model": model, "choices": [], "usage": usage,
            });
            end += &format!("data: {chunk}\n\n");
        }
        chunks.push(end + "data: [DONE]\n\n");
        let Steps::Fixed(steps) = Script::stream(chunks).steps else { return Vec::new() };
        return steps;
    }
    let body = if let Some(input) = request.get("input") {
        let n = input.as_array().map_or(1, Vec::len);
        let data: Vec<_> = (0..n)
            .map(|i| json!({"object": "embedding", "index": i, "embedding": [0.25, -0.5]}))
            .collect();
        json!({"object": "list", "data": data, "model": model, "usage": usage})
    } else if request.get("prompt").is_some() {
        let choice = json!({"index": 0, "text": text, "finish_reason": "stop", "logprobs": null});
        json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": model,
               "choices": [choice], "usage": usage})
    } else {
        let message = json!({"role": "assistant", "content": text});
        json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
               "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
               "usage": usage})
    };
    let headers = [("content-type", "application/json"), ("x-request-id", "req-upstream-1")];
    vec![Step::Send(response(200, &headers, body.to_string().as_bytes()))]
}

pub(super) fn response(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Bytes {
    let mut head = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat().into()
}

fn chunk(body: &[u8]) -> Bytes {
    [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat().into()
}
