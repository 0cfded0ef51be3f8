//! Anthropic's messages, at its own API and on VertexAI. Source: Anthropic's API reference.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{Event, Form, Op, SSE, colon, retry_after};
use crate::demo::{
    answer::{Answer, Finish, signature, words},
    ask::{self, Ask, Choice, Format, Talk, Tool, list, stranger, strings, text},
    fault::Fault,
};

pub(super) const FORM: Form = Form { kind: SSE, whole, events };

/// What it signs its thinking with.
const SIGNER: &str = "anthropic";

/// What a request may have.
const KNOWN: &[&str] = &[
    "anthropic_beta",
    "anthropic_version",
    "cache_control",
    "container",
    "context_management",
    "diagnostics",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

pub(super) fn place(path: &str) -> Option<(Op, Option<String>)> {
    if let Some((model, method)) = colon(path, "publishers/anthropic/models/") {
        let op = match method {
            "rawPredict" if model == "count-tokens" => Op::MessagesCount,
            "rawPredict" | "streamRawPredict" => Op::RawPredict,
            _ => return None,
        };
        return Some((op, Some(model)));
    }
    match path.strip_prefix("v1/").unwrap_or(path) {
        "messages" => Some((Op::Messages, None)),
        "messages/count_tokens" => Some((Op::MessagesCount, None)),
        "models" => Some((Op::Models, None)),
        _ => None,
    }
}

pub(super) fn models() -> Value {
    let model = json!({"type": "model", "id": "any", "display_name": "Any model",
        "created_at": "2026-01-01T00:00:00Z"});
    json!({"data": [model], "has_more": false, "first_id": "any", "last_id": "any"})
}

pub(super) fn ask(body: &Value, named: Option<&str>) -> Result<Ask, Fault> {
    let limit = body["max_tokens"].as_u64();
    if limit.is_none() {
        return Err(Fault::invalid("max_tokens: Field required"));
    }
    if body["temperature"].as_f64().is_some_and(|t| !(0.0..=1.0).contains(&t)) {
        return Err(Fault::invalid("temperature: Input should be less than or equal to 1"));
    }
    let mut ask = conversation(body, named)?;
    ask.limit = limit;
    Ok(ask)
}

fn conversation(body: &Value, named: Option<&str>) -> Result<Ask, Fault> {
    if let Some(name) = stranger(body, KNOWN) {
        return Err(Fault::invalid(format!("{name}: Extra inputs are not permitted")));
    }
    let model = match named {
        Some(name) if body["anthropic_version"].is_string() => name.to_owned(),
        Some(_) => return Err(Fault::invalid("anthropic_version: Field required")),
        None => ask::model(body).map_err(|_| Fault::invalid("model: Field required"))?,
    };
    let choice = &body["tool_choice"];
    let format = &body["output_config"]["format"];
    let thinking = body["thinking"]["type"].as_str();
    Ok(Ask {
        talk: talk(body, thinking == Some("enabled"))?,
        model,
        tools: list(&body["tools"]).iter().filter_map(tool).collect(),
        choice: match choice["type"].as_str() {
            Some("none") => Choice::Never,
            Some("any") => Choice::Must(Vec::new()),
            Some("tool") => Choice::Must(strings(&choice["name"])),
            _ => Choice::Auto,
        },
        single: choice["disable_parallel_tool_use"] == json!(true),
        format: match format["type"].as_str() {
            Some("json_schema") => Format::Json(format["schema"].clone()),
            _ => Format::Text,
        },
        thinks: matches!(thinking, Some("enabled" | "adaptive" | "between_tools")),
        limit: None,
        stops: strings(&body["stop_sequences"]),
    })
}

fn tool(tool: &Value) -> Option<Tool> {
    let name = tool["name"].as_str()?.to_owned();
    tool["input_schema"].is_object().then(|| Tool { name, schema: tool["input_schema"].clone() })
}

fn talk(body: &Value, manual: bool) -> Result<Talk, Fault> {
    let messages = list(&body["messages"]);
    if messages.is_empty() {
        return Err(Fault::invalid("messages: at least one message is required"));
    }
    let mut talk = Talk::default();
    talk.hears(&text(&body["system"]));
    for (n, message) in messages.iter().enumerate() {
        let blocks = match &message["content"] {
            Value::String(text) => vec![json!({"type": "text", "text": text})],
            other => list(other).to_vec(),
        };
        let last = n + 1 == messages.len();
        match message["role"].as_str() {
            Some("user") => user(&mut talk, &blocks, n)?,
            Some("assistant") => {
                answered(&talk, n)?;
                assistant(&mut talk, &blocks, n, last)?;
                if manual && open_without_thinking(messages, n) {
                    let text = format!(
                        "messages.{n}.content.0.type: Expected `thinking` or `redacted_thinking`, \
                         but found `tool_use`. When `thinking` is enabled, a final `assistant` \
                         message must start with a thinking block"
                    );
                    return Err(Fault::invalid(text));
                }
            }
            Some("system") if n > 0 => talk.hears(&text(&message["content"])),
            _ => {
                let text = format!("messages.{n}.role: Input should be 'user' or 'assistant'");
                return Err(Fault::invalid(text));
            }
        }
    }
    answered(&talk, messages.len())?;
    Ok(talk)
}

/// Whether this is the last turn of the model, its calls have been answered, and it began without
/// thinking.
fn open_without_thinking(messages: &[Value], n: usize) -> bool {
    let later = messages.get(n + 1..).unwrap_or_default();
    let begins = |kind: &str| messages[n]["content"][0]["type"] == kind;
    let calls = list(&messages[n]["content"]).iter().any(|block| block["type"] == "tool_use");
    let is_last = !later.iter().any(|message| message["role"] == "assistant");
    calls && is_last && !begins("thinking") && !begins("redacted_thinking")
}

fn user(talk: &mut Talk, blocks: &[Value], n: usize) -> Result<(), Fault> {
    talk.user();
    if blocks.is_empty() {
        let text = format!("messages.{n}: user messages must have non-empty content");
        return Err(Fault::invalid(text));
    }
    for (at, block) in blocks.iter().enumerate() {
        match block["type"].as_str() {
            Some("text") => talk.says(spoken(block, n, at)?),
            Some("image") => talk.images += 1,
            Some("document") => talk.documents += 1,
            Some("tool_result") => {
                let id = block["tool_use_id"].as_str().unwrap_or_default();
                let content = &block["content"];
                talk.images += list(content).iter().filter(|part| part["type"] == "image").count();
                if !talk.gives(id, text(content)) {
                    let text = format!(
                        "messages.{n}.content.{at}: unexpected `tool_use_id` found in \
                         `tool_result` blocks: {id}. Each `tool_result` block must have a \
                         corresponding `tool_use` block in the previous message."
                    );
                    return Err(Fault::invalid(text));
                }
            }
            _ => talk.hears(&text(&block["content"])),
        }
    }
    Ok(())
}

fn assistant(talk: &mut Talk, blocks: &[Value], n: usize, last: bool) -> Result<(), Fault> {
    talk.model();
    if blocks.is_empty() && !last {
        let text = format!("messages.{n}: all messages must have non-empty content");
        return Err(Fault::invalid(text));
    }
    for (at, block) in blocks.iter().enumerate() {
        match block["type"].as_str() {
            Some("text") => {
                let text = spoken(block, n, at)?;
                if last && at + 1 == blocks.len() && text.ends_with(char::is_whitespace) {
                    let text =
                        "messages: final assistant content cannot end with trailing whitespace";
                    return Err(Fault::invalid(text));
                }
                talk.hears(text);
            }
            Some("thinking") => {
                let thinking = block["thinking"].as_str().unwrap_or_default();
                if block["signature"] != json!(signature(SIGNER, thinking)) {
                    let text = format!(
                        "messages.{n}.content.{at}: Invalid `signature` in `thinking` block"
                    );
                    return Err(Fault::invalid(text));
                }
            }
            Some("tool_use") => {
                let id = block["id"].as_str().unwrap_or_default();
                let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                if id.is_empty() || !id.chars().all(legal) {
                    let text = format!(
                        "messages.{n}.content.{at}.tool_use.id: String should match pattern \
                         '^[a-zA-Z0-9_-]+$'"
                    );
                    return Err(Fault::invalid(text));
                }
                if !block["input"].is_object() {
                    let text = format!(
                        "messages.{n}.content.{at}.tool_use.input: Input should be a valid dictionary"
                    );
                    return Err(Fault::invalid(text));
                }
                talk.calls(id);
            }
            _ => {}
        }
    }
    Ok(())
}

fn spoken(block: &Value, n: usize, at: usize) -> Result<&str, Fault> {
    let text = block["text"].as_str().unwrap_or_default();
    if text.is_empty() {
        return Err(Fault::invalid("messages: text content blocks must be non-empty"));
    }
    if text.trim().is_empty() {
        let text = format!(
            "messages.{n}.content.{at}: text content blocks must contain non-whitespace text"
        );
        return Err(Fault::invalid(text));
    }
    Ok(text)
}

fn answered(talk: &Talk, n: usize) -> Result<(), Fault> {
    if talk.unanswered().is_empty() {
        return Ok(());
    }
    let ids = talk.unanswered().join(", ");
    Err(Fault::invalid(format!(
        "messages.{n}: `tool_use` ids were found without `tool_result` blocks immediately after: \
         {ids}. Each `tool_use` block must have a corresponding `tool_result` block in the next \
         message."
    )))
}

/// `POST /v1/messages/count_tokens`.
pub(super) fn count(body: &Value) -> Result<Value, Fault> {
    Ok(json!({"input_tokens": conversation(body, None)?.talk.tokens()}))
}

fn stop_reason(answer: &Answer) -> &'static str {
    match answer.finish {
        Finish::Stop => "end_turn",
        Finish::StopSequence => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::Calls => "tool_use",
    }
}

fn message(answer: &Answer, content: &Value, output: usize) -> Value {
    json!({
        "id": format!("msg_{}", answer.id),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": null,
        "stop_sequence": null,
        "stop_details": null,
        "usage": {
            "input_tokens": answer.input,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": output,
            "output_tokens_details": {"thinking_tokens": answer.thinking.min(output)},
            "service_tier": "standard",
        },
    })
}

fn whole(_: &Value, answer: &Answer) -> Value {
    let mut content = Vec::new();
    if let Some(thought) = &answer.thought {
        let signed = signature(SIGNER, thought);
        content.push(json!({"type": "thinking", "thinking": thought, "signature": signed}));
    }
    if !answer.text.is_empty() {
        content.push(json!({"type": "text", "text": answer.text}));
    }
    for call in &answer.calls {
        content.push(json!({"type": "tool_use", "id": format!("toolu_{}", call.id),
            "name": call.name, "input": call.arguments}));
    }
    let mut whole = message(answer, &json!(content), answer.output);
    whole["stop_reason"] = json!(stop_reason(answer));
    whole["stop_sequence"] = json!(answer.stop);
    whole
}

fn events(_: &Value, answer: &Answer) -> Vec<Event> {
    let start = json!({"type": "message_start", "message": message(answer, &json!([]), 1)});
    let mut events = vec![Event::named(false, &start)];
    let mut index = 0;
    let mut block = |events: &mut Vec<Event>, begin: Value, deltas: Vec<Value>| {
        let start = json!({"type": "content_block_start", "index": index, "content_block": begin});
        events.push(Event::named(false, &start));
        if index == 0 {
            events.push(Event::named(false, &json!({"type": "ping"})));
        }
        for delta in deltas {
            let delta = json!({"type": "content_block_delta", "index": index, "delta": delta});
            events.push(Event::named(true, &delta));
        }
        events.push(Event::named(false, &json!({"type": "content_block_stop", "index": index})));
        index += 1;
    };
    if let Some(thought) = &answer.thought {
        let delta = |word| json!({"type": "thinking_delta", "thinking": word});
        let mut deltas: Vec<Value> = words(thought).map(delta).collect();
        let signed = signature(SIGNER, thought);
        deltas.push(json!({"type": "signature_delta", "signature": signed}));
        let begin = json!({"type": "thinking", "thinking": "", "signature": ""});
        block(&mut events, begin, deltas);
    }
    if !answer.text.is_empty() {
        let delta = |word| json!({"type": "text_delta", "text": word});
        let deltas = words(&answer.text).map(delta).collect();
        block(&mut events, json!({"type": "text", "text": ""}), deltas);
    }
    for call in &answer.calls {
        let delta = |piece: String| json!({"type": "input_json_delta", "partial_json": piece});
        // The first is empty, as Anthropic's are.
        let deltas = std::iter::once(String::new()).chain(call.pieces()).map(delta).collect();
        let begin = json!({"type": "tool_use", "id": format!("toolu_{}", call.id),
            "name": call.name, "input": {}});
        block(&mut events, begin, deltas);
    }
    let delta = json!({"stop_reason": stop_reason(answer), "stop_sequence": answer.stop,
        "stop_details": null});
    let usage = json!({"input_tokens": answer.input, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0, "output_tokens": answer.output,
        "output_tokens_details": {"thinking_tokens": answer.thinking}});
    let end = json!({"type": "message_delta", "delta": delta, "usage": usage});
    events.push(Event::named(false, &end));
    events.push(Event::named(false, &json!({"type": "message_stop"})));
    events
}

/// `{type: "error", error: {type, message}, request_id}`.
pub(super) fn refusal(fault: &Fault) -> (StatusCode, HeaderMap, Value) {
    let mut headers = HeaderMap::new();
    let (status, kind) = match fault {
        Fault::Invalid { .. } => (StatusCode::BAD_REQUEST, "invalid_request_error"),
        Fault::NotFound(_) => (StatusCode::NOT_FOUND, "not_found_error"),
        Fault::Method => (StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error"),
        Fault::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "request_too_large"),
        Fault::RateLimited(wait) => {
            retry_after(&mut headers, *wait);
            (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error")
        }
        // Overloaded, which has no name in the registry of statuses.
        Fault::Failing => (
            StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
            "overloaded_error",
        ),
    };
    (status, headers, error(kind, &fault.message()))
}

fn error(kind: &str, text: &str) -> Value {
    let error = json!({"type": kind, "message": text});
    json!({"type": "error", "error": error, "request_id": "req_demo"})
}

/// An error in the middle of a stream.
pub(super) fn broken(text: &str) -> Bytes {
    Bytes::from(format!("event: error\ndata: {}\n\n", error("overloaded_error", text)))
}
