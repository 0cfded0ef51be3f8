//! What the demo says: who it plays and what it was asked, with honest counts of tokens.

use std::time::{SystemTime, UNIX_EPOCH};

use routing::Rng;
use serde_json::{Value, json};

/// The dimensions of a demo embedding.
const DIMENSIONS: usize = 8;

/// A text as an answer to one request.
pub(super) struct Reply {
    model: String,
    text: String,
    prompt_tokens: usize,
    chat: bool,
    created: u64,
}

impl Reply {
    /// The answer to this chat or plain completion.
    pub(super) fn to(request: &Value, chat: bool) -> Self {
        let model = request["model"].as_str().unwrap_or("demo").to_owned();
        let prompt = if chat { last_text(&request["messages"]) } else { text(&request["prompt"]) };
        let mut tail: Vec<&str> = prompt.split_whitespace().rev().take(12).collect();
        tail.reverse();
        let asked = tail.join(" ");
        let reply = if asked.is_empty() {
            format!("This is {model} of the demo upstream, and you asked me nothing.")
        } else {
            format!("This is {model} of the demo upstream. You asked: {asked}")
        };
        let prompt_tokens = prompt.split_whitespace().count().max(1);
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        Self { model, text: reply, prompt_tokens, chat, created }
    }

    /// How many words it has.
    pub(super) fn words(&self) -> usize {
        self.text.split_whitespace().count()
    }

    /// The answer as one JSON body.
    pub(super) fn whole(&self) -> Value {
        let message = json!({"role": "assistant", "content": self.text, "refusal": null});
        let choice = if self.chat {
            json!({"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"})
        } else {
            json!({"index": 0, "text": self.text, "logprobs": null, "finish_reason": "stop"})
        };
        let object = if self.chat { "chat.completion" } else { "text_completion" };
        let mut body = self.body(object, &json!([choice]));
        body["usage"] = self.usage();
        body
    }

    /// The answer as events, the usage among them if it was asked for.
    pub(super) fn events(&self, usage: bool) -> Vec<String> {
        let object = if self.chat { "chat.completion.chunk" } else { "text_completion" };
        let chunk = |text: &str, role: bool, finish: Option<&str>| {
            let choice = if !self.chat {
                json!({"index": 0, "text": text, "logprobs": null, "finish_reason": finish})
            } else if role {
                let delta = json!({"role": "assistant", "content": ""});
                json!({"index": 0, "delta": delta, "finish_reason": null})
            } else if finish.is_some() {
                json!({"index": 0, "delta": {}, "finish_reason": finish})
            } else {
                json!({"index": 0, "delta": {"content": text}, "finish_reason": null})
            };
            format!("data: {}\n\n", self.body(object, &json!([choice])))
        };
        let mut events = vec![chunk("", true, None)];
        events.extend(self.text.split_inclusive(' ').map(|word| chunk(word, false, None)));
        events.push(chunk("", false, Some("stop")));
        if usage {
            let mut body = self.body(object, &json!([]));
            body["usage"] = self.usage();
            events.push(format!("data: {body}\n\n"));
        }
        events.push("data: [DONE]\n\n".to_owned());
        events
    }

    fn body(&self, object: &str, choices: &Value) -> Value {
        json!({
            "id": format!("{}-demo-{}", if self.chat { "chatcmpl" } else { "cmpl" }, self.created),
            "object": object,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }

    fn usage(&self) -> Value {
        let (prompt, completion) = (self.prompt_tokens, self.words());
        json!({
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        })
    }
}

/// Embeddings of the inputs: unit vectors, the same for the same text and model.
pub(super) fn embeddings(request: &Value) -> Value {
    let model = request["model"].as_str().unwrap_or("demo");
    let inputs: Vec<String> = match &request["input"] {
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().map(text).collect()
        }
        other => vec![text(other)],
    };
    let floats = request["encoding_format"] != json!("base64");
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = vector(model, input);
            let embedding = if floats { json!(vector) } else { json!(base64(&vector)) };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens: usize = inputs.iter().map(|i| i.split_whitespace().count().max(1)).sum();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    json!({"object": "list", "data": data, "model": model, "usage": usage})
}

/// What `GET /v1/models` says: a demo plays any model.
pub(super) fn models() -> Value {
    let model = json!({"id": "any", "object": "model", "created": 0, "owned_by": "demo"});
    json!({"object": "list", "data": [model]})
}

fn vector(model: &str, input: &str) -> Vec<f32> {
    let digest = routing::Digest::of_parts([model.as_bytes(), input.as_bytes()]);
    let seed = digest.as_bytes().iter().take(8).fold(0_u64, |seed, b| seed << 8 | u64::from(*b));
    let mut rng = Rng::new(seed);
    let raw: Vec<f64> = (0..DIMENSIONS).map(|_| rng.unit() - 0.5).collect();
    let norm = raw.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::EPSILON);
    #[expect(clippy::cast_possible_truncation, reason = "an embedding is made of f32")]
    raw.iter().map(|x| (x / norm) as f32).collect()
}

/// Little-endian f32 in base64, as OpenAI's `encoding_format: base64`.
fn base64(vector: &[f32]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>())
}

/// The text of the last message that has one.
fn last_text(messages: &Value) -> String {
    let messages = messages.as_array().map(Vec::as_slice).unwrap_or_default();
    messages.iter().rev().map(|m| text(&m["content"])).find(|t| !t.is_empty()).unwrap_or_default()
}

/// A string, or the text parts of a list.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let part = |p: &Value| p.as_str().or_else(|| p["text"].as_str()).map(str::to_owned);
            parts.iter().filter_map(part).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_says_who_and_what() {
        let request = json!({"model": "m-1", "messages": [
            {"role": "user", "content": [{"type": "text", "text": "what is love"}]}]});
        let whole = Reply::to(&request, true).whole();
        let content = whole["choices"][0]["message"]["content"].as_str().unwrap();
        assert!(content.contains("m-1") && content.ends_with("what is love"), "{content}");
        assert_eq!(whole["usage"]["prompt_tokens"], 3);
    }

    #[test]
    fn events_spell_the_same_text() {
        let request = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]});
        let reply = Reply::to(&request, true);
        let events = reply.events(true);
        let text: String = events
            .iter()
            .filter_map(|e| serde_json::from_str::<Value>(e.trim().strip_prefix("data: ")?).ok())
            .filter_map(|e| Some(e["choices"][0]["delta"]["content"].as_str()?.to_owned()))
            .collect();
        assert_eq!(text, reply.text);
        assert_eq!(events.last().unwrap(), "data: [DONE]\n\n");
    }

    #[test]
    fn the_same_text_has_the_same_vector() {
        let embed = |text: &str| embeddings(&json!({"model": "m", "input": text}))["data"].clone();
        assert_eq!(embed("a"), embed("a"));
        assert_ne!(embed("a"), embed("b"));
        let two = embeddings(&json!({"model": "m", "input": ["a", "b"]}));
        assert_eq!(two["data"].as_array().unwrap().len(), 2);
    }
}
