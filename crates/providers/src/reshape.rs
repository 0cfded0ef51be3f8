//! An answer in the other shape than was asked: JSON as the events of a stream, and the events of a
//! stream as JSON. Only for servers that ignore `stream`; everything else passes as it came.

use bytes::Bytes;
use routing::{Endpoint, ProviderKind};
use serde_json::{Map, Value, json};

use crate::{
    asis,
    failure::Failure,
    sse::fields,
    stream::{End, Judgement, Stream},
};

/// The events of a JSON answer that was judged to be one: a chunk with all of each choice, one with
/// its finish reason, usage where the caller wants it, `[DONE]`.
pub(crate) fn events(endpoint: Endpoint, body: &[u8], usage: bool) -> Vec<Bytes> {
    let Ok(Value::Object(mut answer)) = serde_json::from_slice(body) else { return Vec::new() };
    let choices = match answer.remove("choices") {
        Some(Value::Array(choices)) => choices,
        _ => Vec::new(),
    };
    let used = answer.remove("usage").filter(Value::is_object);
    let chat = endpoint == Endpoint::ChatCompletions;
    if chat {
        answer.insert("object".into(), "chat.completion.chunk".into());
    }
    let mut out = Vec::new();
    let mut chunk = |choices: Value, used: Option<&Value>| {
        let mut chunk = answer.clone();
        chunk.insert("choices".into(), choices);
        if let Some(used) = used {
            chunk.insert("usage".into(), used.clone());
        }
        out.push(Bytes::from(format!("data: {}\n\n", Value::Object(chunk))));
    };
    for (ordinal, choice) in choices.into_iter().enumerate() {
        let Value::Object(mut choice) = choice else { continue };
        choice.entry("index").or_insert_with(|| ordinal.into());
        if !chat {
            chunk(json!([choice]), None);
            continue;
        }
        let index = choice["index"].clone();
        // A choice without a reason is whole all the same: the JSON has ended.
        let reason =
            choice.remove("finish_reason").filter(|r| r.as_str().is_some_and(|r| !r.is_empty()));
        let mut delta = match choice.remove("message") {
            Some(Value::Object(message)) => message,
            _ => Map::new(),
        };
        let calls = delta.get_mut("tool_calls").and_then(Value::as_array_mut);
        let mut called = false;
        for (at, call) in calls.into_iter().flatten().enumerate() {
            called = true;
            if let Some(call) = call.as_object_mut() {
                call.insert("index".into(), at.into());
            }
        }
        choice.insert("delta".into(), Value::Object(delta));
        choice.insert("finish_reason".into(), Value::Null);
        chunk(json!([choice]), None);
        let reason = reason.unwrap_or_else(|| if called { "tool_calls" } else { "stop" }.into());
        chunk(json!([{"index": index, "delta": {}, "finish_reason": reason}]), None);
    }
    if usage && let Some(used) = used {
        chunk(json!([]), Some(&used));
    }
    out.push(Bytes::from_static(b"data: [DONE]\n\n"));
    out
}

/// Whether a body is a stream of events rather than JSON.
pub fn is_event_stream(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    [&b"data:"[..], b"event:", b":", b"id:", b"retry:"].iter().any(|p| body.starts_with(p))
}

/// The JSON answer that a stream of events adds up to. An error in it is the failure; so is an end
/// without the dialect's terminal event.
pub fn collect(provider: ProviderKind, endpoint: Endpoint, body: &Bytes) -> Result<Bytes, Failure> {
    let mut stream = Stream::new(provider, endpoint, false);
    let mut whole = Map::new();
    let (mut choices, mut images) = (Vec::new(), Vec::new());
    let mut take = |stream: &mut Stream| {
        while let Some(event) = stream.next().map_err(|e| Failure::invalid(e.to_string()))? {
            if let Judgement::Error(failure) = event.judgement {
                return Err(*failure);
            }
            if endpoint == Endpoint::Images {
                asis::add(&mut whole, &mut images, &event.raw);
            } else if let Ok(Value::Object(chunk)) =
                serde_json::from_slice(&fields(&event.raw).data)
            {
                add_chunk(&mut whole, &mut choices, chunk);
            }
        }
        Ok(())
    };
    stream.push(body.clone());
    take(&mut stream)?;
    stream.close();
    take(&mut stream)?;
    if stream.end() == End::Truncated {
        return Err(Failure::invalid("The provider's stream ended before it was finished."));
    }
    if endpoint.passes_only() {
        whole.insert("data".into(), Value::Array(images));
        return Ok(Bytes::from(Value::Object(whole).to_string()));
    }
    if endpoint == Endpoint::ChatCompletions {
        whole.insert("object".into(), "chat.completion".into());
    }
    let choices = choices.into_iter().map(finish_choice).collect();
    whole.insert("choices".into(), Value::Array(choices));
    Ok(Bytes::from(Value::Object(whole).to_string()))
}

fn add_chunk(
    whole: &mut Map<String, Value>,
    choices: &mut Vec<Map<String, Value>>,
    mut chunk: Map<String, Value>,
) {
    if let Some(Value::Array(parts)) = chunk.remove("choices") {
        for part in parts {
            add_choice(choices, part);
        }
    }
    for (key, value) in chunk {
        if !value.is_null() || !whole.contains_key(&key) {
            whole.insert(key, value);
        }
    }
}

fn add_choice(choices: &mut Vec<Map<String, Value>>, part: Value) {
    let Value::Object(part) = part else { return };
    let index = part.get("index").cloned().unwrap_or_else(|| 0.into());
    let at = choices.iter().position(|c| c.get("index") == Some(&index)).unwrap_or_else(|| {
        choices.push(Map::from_iter([("index".to_owned(), index)]));
        choices.len() - 1
    });
    for (key, value) in part {
        match key.as_str() {
            "index" => {}
            "delta" | "message" => {
                let message = choices[at].entry("message").or_insert_with(|| json!({}));
                merge(message, value);
            }
            "text" => merge(choices[at].entry("text").or_insert(Value::Null), value),
            _ if value.is_null() => {
                choices[at].entry(key).or_insert(Value::Null);
            }
            _ => drop(choices[at].insert(key, value)),
        }
    }
}

/// Adds a delta: texts are joined, objects merged, lists merged by `index`, the rest replaced.
fn merge(into: &mut Value, delta: Value) {
    match (into, delta) {
        (_, Value::Null) => {}
        (Value::String(text), Value::String(more)) => text.push_str(&more),
        (Value::Object(object), Value::Object(more)) => {
            for (key, value) in more {
                match object.get_mut(&key) {
                    // Said once for all: a repetition adds nothing.
                    Some(Value::String(_))
                        if matches!(key.as_str(), "role" | "id" | "type" | "name") => {}
                    Some(old) => merge(old, value),
                    None => {
                        let mut new = if value.is_array() { json!([]) } else { Value::Null };
                        merge(&mut new, value);
                        object.insert(key, new);
                    }
                }
            }
        }
        (Value::Array(list), Value::Array(more)) => {
            for item in more {
                let index = item.get("index").cloned();
                let known = index
                    .is_some()
                    .then(|| list.iter_mut().find(|old| old.get("index") == index.as_ref()))
                    .flatten();
                match known {
                    Some(old) => merge(old, item),
                    None => list.push(item),
                }
            }
        }
        (into, delta) => *into = delta,
    }
}

fn finish_choice(mut choice: Map<String, Value>) -> Value {
    let calls = choice
        .get_mut("message")
        .and_then(|m| m.get_mut("tool_calls"))
        .and_then(Value::as_array_mut);
    for call in calls.into_iter().flatten() {
        if let Some(call) = call.as_object_mut() {
            call.remove("index");
        }
    }
    Value::Object(choice)
}

#[cfg(test)]
#[path = "reshape_tests.rs"]
mod tests;
