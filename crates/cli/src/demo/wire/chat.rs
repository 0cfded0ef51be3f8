//! OpenAI's chat completions, completions and embeddings, as OpenAI, Azure and compatible servers
//! have them. Source: OpenAI's API reference.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{Event, Form, Op, SSE, retry_after, unescaped};
use crate::demo::{
    answer::{Answer, Call, Finish, words},
    ask::{self, Ask, Choice, Format, Talk, Tool, list, strings, text},
    embed,
    fault::Fault,
};

pub(super) const FORM: Form = Form { kind: SSE, whole: chat_whole, events: chat_events };
pub(super) const COMPLETION: Form = Form { kind: SSE, whole, events };

/// `/v1/...`, Azure's `/openai/v1/...` and `/openai/deployments/NAME/...`.
pub(super) fn place(path: &str) -> Option<(Op, Option<String>)> {
    let path = path.strip_prefix("openai/").unwrap_or(path);
    let (path, model) = match path.strip_prefix("deployments/").and_then(|p| p.split_once('/')) {
        Some((name, path)) => (path, Some(unescaped(name))),
        None => (path.strip_prefix("v1/").unwrap_or(path), None),
    };
    let op = match path {
        "chat/completions" => Op::Chat,
        "completions" => Op::Completions,
        "embeddings" => Op::Embeddings,
        "images/generations" => Op::Images,
        "moderations" => Op::Moderations,
        "rerank" => Op::Rerank,
        "audio/speech" => Op::Speech,
        "models" => Op::Models,
        _ => return None,
    };
    Some((op, model))
}

pub(super) fn models() -> Value {
    let model = json!({"id": "any", "object": "model", "created": 0, "owned_by": "demo"});
    json!({"object": "list", "data": [model]})
}

pub(super) fn name(body: &Value, named: Option<&str>) -> Result<String, Fault> {
    named.map_or_else(|| ask::model(body), |name| Ok(name.to_owned()))
}

/// A chat.
pub(super) fn ask(body: &Value, named: Option<&str>) -> Result<Ask, Fault> {
    let mut ask = common(body, name(body, named)?);
    ask.talk = talk(&body["messages"])?;
    ask.tools = list(&body["tools"]).iter().map(tool).collect();
    let old = list(&body["functions"]).iter().map(|f| function(&f["name"], &f["parameters"]));
    ask.tools.extend(old);
    ask.choice = choice(&body["tool_choice"], &body["function_call"]);
    ask.single = body["parallel_tool_calls"] == json!(false) || body["functions"].is_array();
    ask.format = match body["response_format"]["type"].as_str() {
        Some("json_schema") => {
            Format::Json(body["response_format"]["json_schema"]["schema"].clone())
        }
        Some("json_object") => {
            Format::Json(json!({"type": "object", "properties": {"answer": {"type": "string"}}}))
        }
        _ => Format::Text,
    };
    ask.thinks = body["reasoning_effort"].as_str().is_some_and(|effort| effort != "none");
    Ok(ask)
}

/// A plain completion.
pub(super) fn ask_completion(body: &Value, named: Option<&str>) -> Result<Ask, Fault> {
    let mut ask = common(body, name(body, named)?);
    ask.talk.user();
    ask.talk.says(&text(&body["prompt"]));
    Ok(ask)
}

fn common(body: &Value, model: String) -> Ask {
    let limit = body["max_completion_tokens"].as_u64().or_else(|| body["max_tokens"].as_u64());
    Ask { model, limit, stops: strings(&body["stop"]), ..Ask::default() }
}

fn function(name: &Value, schema: &Value) -> Tool {
    let empty = json!({"type": "object", "properties": {}});
    let schema = if schema.is_object() { schema.clone() } else { empty };
    Tool { name: name.as_str().unwrap_or_default().to_owned(), schema }
}

fn tool(tool: &Value) -> Tool {
    if tool["type"] == "custom" {
        let name = tool["custom"]["name"].as_str().unwrap_or_default().to_owned();
        return Tool { name, schema: Value::Null };
    }
    function(&tool["function"]["name"], &tool["function"]["parameters"])
}

/// The name of a tool that is chosen or allowed.
fn chosen(tool: &Value) -> Option<&str> {
    tool["function"]["name"].as_str().or(tool["custom"]["name"].as_str())
}

fn choice(choice: &Value, old: &Value) -> Choice {
    match choice.as_str().or(old.as_str()) {
        Some("none") => Choice::Never,
        Some("required") => Choice::Must(Vec::new()),
        Some(_) => Choice::Auto,
        None if choice["type"] == "allowed_tools" => {
            let allowed = &choice["allowed_tools"];
            let names = list(&allowed["tools"]).iter().filter_map(chosen).map(str::to_owned);
            if allowed["mode"] == "required" { Choice::Must(names.collect()) } else { Choice::Auto }
        }
        None => chosen(choice)
            .or(old["name"].as_str())
            .map_or(Choice::Auto, |name| Choice::Must(vec![name.to_owned()])),
    }
}

fn talk(messages: &Value) -> Result<Talk, Fault> {
    let mut talk = Talk::default();
    for message in list(messages) {
        let role = message["role"].as_str().unwrap_or_default();
        if role != "tool" {
            answered(&talk)?;
        }
        match role {
            "system" | "developer" => talk.hears(&text(&message["content"])),
            "user" => talk.asks(&message["content"], ["image_url", "file"]),
            "assistant" => {
                talk.model();
                talk.hears(&text(&message["content"]));
                for call in list(&message["tool_calls"]) {
                    talk.calls(call["id"].as_str().unwrap_or_default());
                }
            }
            "tool" => {
                let id = message["tool_call_id"].as_str().unwrap_or_default();
                if !talk.gives(id, text(&message["content"])) {
                    let text = "Invalid parameter: messages with role 'tool' must be a response \
                                to a preceeding message with 'tool_calls'.";
                    return Err(Fault::at("messages", text));
                }
            }
            "function" => {
                // The old form has no ids to hold against each other.
                let _ = talk.gives("", text(&message["content"]));
            }
            other => {
                return Err(Fault::at("messages", format!("Invalid value: '{other}'.")));
            }
        }
    }
    answered(&talk)?;
    Ok(talk)
}

fn answered(talk: &Talk) -> Result<(), Fault> {
    if talk.unanswered().is_empty() {
        return Ok(());
    }
    let ids = talk.unanswered().join(", ");
    let text = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to \
         each 'tool_call_id'. The following tool_call_ids did not have response messages: {ids}"
    );
    Err(Fault::at("messages", text))
}

fn finish(answer: &Answer) -> &'static str {
    match answer.finish {
        Finish::Stop | Finish::StopSequence => "stop",
        Finish::Length => "length",
        Finish::Calls => "tool_calls",
    }
}

fn call(index: Option<usize>, call: &Call, arguments: &str) -> Value {
    let id = format!("call_{}", call.id);
    let mut value = if call.arguments.is_string() {
        json!({"id": id, "type": "custom", "custom": {"name": call.name, "input": arguments}})
    } else {
        let function = json!({"name": call.name, "arguments": arguments});
        json!({"id": id, "type": "function", "function": function})
    };
    if let Some(index) = index {
        value["index"] = json!(index);
    }
    value
}

fn chat_whole(body: &Value, answer: &Answer) -> Value {
    let mut message = json!({"role": "assistant", "content": answer.text, "refusal": null});
    if let Some(thought) = &answer.thought {
        message["reasoning_content"] = json!(thought);
    }
    let mut finish = finish(answer);
    if let (Some(one), true) = (answer.calls.first(), body["functions"].is_array()) {
        message["function_call"] = json!({"name": one.name, "arguments": one.arguments_text()});
        finish = "function_call";
    } else if !answer.calls.is_empty() {
        let calls = answer.calls.iter().map(|c| call(None, c, &c.arguments_text()));
        message["tool_calls"] = calls.collect();
    }
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish});
    let mut whole = envelope(answer, "chat.completion", "chatcmpl", &json!([choice]));
    whole["usage"] = usage(answer);
    whole
}

fn chat_events(body: &Value, answer: &Answer) -> Vec<Event> {
    let with_usage = asks_usage(body);
    let event = |token: bool, delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        let mut chunk = envelope(answer, "chat.completion.chunk", "chatcmpl", &json!([choice]));
        if with_usage {
            chunk["usage"] = Value::Null;
        }
        Event::data(token, &chunk)
    };
    let delta = |token: bool, delta: Value| event(token, delta, Value::Null);
    let start = json!({"role": "assistant", "content": "", "refusal": null});
    let mut events = vec![delta(false, start)];
    for word in answer.thought.iter().flat_map(|t| words(t)) {
        events.push(delta(true, json!({ "reasoning_content": word })));
    }
    events.extend(words(&answer.text).map(|word| delta(true, json!({ "content": word }))));
    for (index, one) in answer.calls.iter().enumerate() {
        let custom = one.arguments.is_string();
        events.push(delta(true, json!({"tool_calls": [call(Some(index), one, "")]})));
        for piece in one.pieces() {
            let part = if custom {
                json!({"index": index, "custom": {"input": piece}})
            } else {
                json!({"index": index, "function": {"arguments": piece}})
            };
            events.push(delta(true, json!({"tool_calls": [part]})));
        }
    }
    events.push(event(false, json!({}), json!(finish(answer))));
    if with_usage {
        let mut chunk = envelope(answer, "chat.completion.chunk", "chatcmpl", &json!([]));
        chunk["usage"] = usage(answer);
        events.push(Event::data(false, &chunk));
    }
    events.push(Event::of(false, "data: [DONE]\n\n".to_owned()));
    events
}

fn whole(_: &Value, answer: &Answer) -> Value {
    let choice = json!({
        "index": 0, "text": answer.text, "logprobs": null, "finish_reason": finish(answer)});
    let mut whole = envelope(answer, "text_completion", "cmpl", &json!([choice]));
    whole["usage"] = usage(answer);
    whole
}

fn events(body: &Value, answer: &Answer) -> Vec<Event> {
    let event = |token: bool, text: &str, finish: Value| {
        let choice = json!({"index": 0, "text": text, "logprobs": null, "finish_reason": finish});
        Event::data(token, &envelope(answer, "text_completion", "cmpl", &json!([choice])))
    };
    let words = words(&answer.text).map(|word| event(true, word, Value::Null));
    let mut events: Vec<Event> = words.collect();
    events.push(event(false, "", json!(finish(answer))));
    if asks_usage(body) {
        let mut chunk = envelope(answer, "text_completion", "cmpl", &json!([]));
        chunk["usage"] = usage(answer);
        events.push(Event::data(false, &chunk));
    }
    events.push(Event::of(false, "data: [DONE]\n\n".to_owned()));
    events
}

fn asks_usage(body: &Value) -> bool {
    body["stream_options"]["include_usage"] == json!(true)
}

fn envelope(answer: &Answer, object: &str, prefix: &str, choices: &Value) -> Value {
    json!({
        "id": format!("{prefix}-{}", answer.id),
        "object": object,
        "created": answer.created,
        "model": answer.model,
        "system_fingerprint": "fp_demo",
        "choices": choices,
    })
}

fn usage(answer: &Answer) -> Value {
    json!({
        "prompt_tokens": answer.input,
        "completion_tokens": answer.output,
        "total_tokens": answer.input + answer.output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": answer.thinking,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// Embeddings of the inputs.
pub(super) fn embeddings(body: &Value, named: Option<&str>) -> Result<Value, Fault> {
    let model = name(body, named)?;
    let inputs: Vec<String> = match &body["input"] {
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().map(text).collect()
        }
        // Tokens, as numbers: each is a word of its own.
        Value::Array(items) => {
            vec![items.iter().map(Value::to_string).collect::<Vec<_>>().join(" ")]
        }
        other => vec![text(other)],
    };
    let floats = body["encoding_format"] != json!("base64");
    let dimensions = body["dimensions"].as_u64();
    let one = |(index, input): (usize, &String)| {
        let vector = embed::vector(&model, input, dimensions);
        let embedding = if floats { json!(vector) } else { json!(embed::base64(&vector)) };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    let data: Vec<Value> = inputs.iter().enumerate().map(one).collect();
    let tokens: usize = inputs.iter().map(|i| i.split_whitespace().count().max(1)).sum();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(json!({"object": "list", "data": data, "model": model, "usage": usage}))
}

/// `{error: {message, type, param, code}}`.
pub(super) fn refusal(fault: &Fault) -> (StatusCode, HeaderMap, Value) {
    let mut headers = HeaderMap::new();
    let invalid = "invalid_request_error";
    let (status, kind, param, code) = match fault {
        Fault::Invalid { param, code, .. } => {
            (StatusCode::BAD_REQUEST, invalid, param.clone(), *code)
        }
        Fault::NotFound(_) => (StatusCode::NOT_FOUND, invalid, None, None),
        Fault::Method => (StatusCode::METHOD_NOT_ALLOWED, invalid, None, None),
        Fault::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, invalid, None, None),
        Fault::RateLimited(wait) => {
            retry_after(&mut headers, *wait);
            (StatusCode::TOO_MANY_REQUESTS, "requests", None, Some("rate_limit_exceeded"))
        }
        Fault::Failing => {
            (StatusCode::INTERNAL_SERVER_ERROR, "server_error", None, Some("server_error"))
        }
    };
    let error = json!({"message": fault.message(), "type": kind, "param": param, "code": code});
    (status, headers, json!({ "error": error }))
}

/// An error in the middle of a stream.
pub(super) fn broken(text: &str) -> Bytes {
    let error = json!({"message": text, "type": "server_error", "param": null, "code": null});
    Bytes::from(format!("data: {}\n\n", json!({ "error": error })))
}
