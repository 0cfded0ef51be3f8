//! Bedrock's Converse, ConverseStream and CountTokens. No signature is checked: a demo has no
//! accounts. Source: the API reference of Amazon Bedrock Runtime.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::{Event, Form, Op, frames, unescaped};
use crate::demo::{
    answer::{Answer, Finish, signature, words},
    ask::{Ask, Choice, Format, Talk, Tool, list, strings, text},
    fault::Fault,
};

pub(super) const FORM: Form = Form { kind: "application/vnd.amazon.eventstream", whole, events };

/// What it signs its reasoning with.
const SIGNER: &str = "bedrock";

pub(super) fn place(path: &str) -> Option<(Op, Option<String>)> {
    let (model, method) = path.strip_prefix("model/")?.rsplit_once('/')?;
    let op = match method {
        "converse" => Op::Converse,
        "converse-stream" => Op::ConverseStream,
        "count-tokens" => Op::ConverseCount,
        _ => return None,
    };
    Some((op, Some(unescaped(model))))
}

pub(super) fn ask(body: &Value, named: Option<&str>) -> Result<Ask, Fault> {
    let config = &body["inferenceConfig"];
    let tools = &body["toolConfig"];
    let more = &body["additionalModelRequestFields"];
    let specs = list(&tools["tools"]);
    let nameless = |t: &&Value| t["toolSpec"]["description"] == "";
    if specs.iter().any(|t| nameless(&t)) {
        let text = "1 validation error detected: Value '' at 'toolConfig.tools.1.member.toolSpec.\
                    description' failed to satisfy constraint: Member must have length greater \
                    than or equal to 1";
        return Err(Fault::invalid(text));
    }
    if config["temperature"].as_f64().is_some_and(|t| !(0.0..=1.0).contains(&t)) {
        let text = "1 validation error detected: Value at 'inferenceConfig.temperature' failed to \
                    satisfy constraint: Member must have value less than or equal to 1";
        return Err(Fault::invalid(text));
    }
    let choice = &tools["toolChoice"];
    let format = &body["outputConfig"]["textFormat"];
    // The schema is a string.
    let schema = format["structure"]["jsonSchema"]["schema"].as_str();
    let schema = schema.and_then(|s| serde_json::from_str(s).ok());
    let thinking = more["thinking"]["type"].as_str();
    Ok(Ask {
        model: named.unwrap_or_default().to_owned(),
        talk: talk(body, !specs.is_empty())?,
        tools: specs.iter().filter_map(tool).collect(),
        choice: match choice {
            one if one["tool"].is_object() => Choice::Must(strings(&one["tool"]["name"])),
            any if any["any"].is_object() => Choice::Must(Vec::new()),
            _ => Choice::Auto,
        },
        single: false,
        format: match (format["type"].as_str(), schema) {
            (Some("json_schema"), Some(schema)) => Format::Json(schema),
            _ => Format::Text,
        },
        thinks: matches!(thinking, Some("enabled" | "adaptive")),
        limit: config["maxTokens"].as_u64(),
        stops: strings(&config["stopSequences"]),
    })
}

fn tool(tool: &Value) -> Option<Tool> {
    let spec = &tool["toolSpec"];
    let name = spec["name"].as_str()?.to_owned();
    Some(Tool { name, schema: spec["inputSchema"]["json"].clone() })
}

fn talk(body: &Value, tools: bool) -> Result<Talk, Fault> {
    let messages = list(&body["messages"]);
    if messages.first().is_none_or(|first| first["role"] != "user") {
        let text = "A conversation must start with a user message. Try again with a conversation \
                    that starts with a user message.";
        return Err(Fault::invalid(text));
    }
    let mut talk = Talk::default();
    talk.hears(&text(&body["system"]));
    for (n, message) in messages.iter().enumerate() {
        let blocks = list(&message["content"]);
        let user = message["role"] == "user";
        if user != (n % 2 == 0) {
            let text = "A conversation must alternate between user and assistant roles. Make sure \
                        the conversation alternates between user and assistant roles and try again.";
            return Err(Fault::invalid(text));
        }
        if blocks.is_empty() {
            let text = format!(
                "The content field in the Message object at messages.{n} is empty. \
                                Add a ContentBlock object to the content field and try again."
            );
            return Err(Fault::invalid(text));
        }
        let uses = |b: &Value| b["toolUse"].is_object() || b["toolResult"].is_object();
        if !tools && blocks.iter().any(uses) {
            let text = "The toolConfig field must be defined when using toolUse and toolResult \
                        content blocks.";
            return Err(Fault::invalid(text));
        }
        if user {
            talk.user();
        } else {
            talk.model();
        }
        for (at, one) in blocks.iter().enumerate() {
            block(&mut talk, one, user, &format!("messages.{n}.content.{at}"))?;
        }
        if user && !talk.unanswered().is_empty() {
            return Err(unanswered(&talk, n));
        }
    }
    if !talk.unanswered().is_empty() {
        return Err(unanswered(&talk, messages.len()));
    }
    Ok(talk)
}

fn unanswered(talk: &Talk, n: usize) -> Fault {
    let ids = talk.unanswered().join(", ");
    let text =
        format!("Expected toolResult blocks at messages.{n}.content for the following Ids: {ids}");
    Fault::invalid(text)
}

fn block(talk: &mut Talk, block: &Value, user: bool, at: &str) -> Result<(), Fault> {
    if let Some(text) = block["text"].as_str() {
        if text.trim().is_empty() {
            let text = format!(
                "The text field in the ContentBlock object at {at} is blank. Add text to the text \
                 field, and try again."
            );
            return Err(Fault::invalid(text));
        }
        if user { talk.says(text) } else { talk.hears(text) }
    }
    if block["image"].is_object() {
        if block["image"]["source"]["bytes"].as_str().is_none_or(str::is_empty) {
            return Err(Fault::invalid(format!("The image at {at} has no bytes.")));
        }
        talk.images += 1;
    }
    talk.documents += usize::from(block["document"].is_object());
    talk.sounds += usize::from(block["audio"].is_object());
    let call = &block["toolUse"];
    if call.is_object() {
        let id = call["toolUseId"].as_str().unwrap_or_default();
        let legal = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
        if id.is_empty() || id.len() > 64 || !id.chars().all(legal) {
            let text = format!(
                "1 validation error detected: Value '{id}' at '{at}.toolUse.toolUseId' failed to \
                 satisfy constraint: Member must satisfy regular expression pattern: \
                 [a-zA-Z0-9_.:-]+"
            );
            return Err(Fault::invalid(text));
        }
        talk.calls(id);
    }
    let result = &block["toolResult"];
    if result.is_object() {
        let id = result["toolUseId"].as_str().unwrap_or_default();
        let content = list(&result["content"]);
        talk.images += content.iter().filter(|part| part["image"].is_object()).count();
        let said: Vec<String> = content
            .iter()
            .map(|part| match &part["json"] {
                Value::Null => text(&part["text"]),
                json => json.to_string(),
            })
            .collect();
        if !talk.gives(id, said.join(" ")) {
            let text = format!(
                "The number of toolResult blocks at {at} exceeds the number of toolUse blocks of \
                 previous turn."
            );
            return Err(Fault::invalid(text));
        }
    }
    let thought = &block["reasoningContent"]["reasoningText"];
    let thinking = thought["text"].as_str().unwrap_or_default();
    if thought.is_object() && thought["signature"] != json!(signature(SIGNER, thinking)) {
        let text = format!(
            "The model returned the following errors: {at}: Invalid `signature` in `thinking` block"
        );
        return Err(Fault::invalid(text));
    }
    Ok(())
}

/// `POST /model/NAME/count-tokens`.
pub(super) fn count(body: &Value, named: Option<&str>) -> Result<Value, Fault> {
    let input = &body["input"]["converse"];
    if !input.is_object() {
        return Err(Fault::invalid("input: exactly one of converse and invokeModel is required"));
    }
    Ok(json!({"inputTokens": ask(input, named)?.talk.tokens()}))
}

fn stop_reason(answer: &Answer) -> &'static str {
    match answer.finish {
        Finish::Stop => "end_turn",
        Finish::StopSequence => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::Calls => "tool_use",
    }
}

fn usage(answer: &Answer) -> Value {
    json!({
        "inputTokens": answer.input,
        "outputTokens": answer.output,
        "totalTokens": answer.input + answer.output,
        "cacheReadInputTokens": 0,
        "cacheWriteInputTokens": 0,
    })
}

fn whole(_: &Value, answer: &Answer) -> Value {
    let mut content = Vec::new();
    if let Some(thought) = &answer.thought {
        let text = json!({"text": thought, "signature": signature(SIGNER, thought)});
        content.push(json!({"reasoningContent": {"reasoningText": text}}));
    }
    if !answer.text.is_empty() {
        content.push(json!({"text": answer.text}));
    }
    for call in &answer.calls {
        let id = format!("tooluse_{}", call.id);
        let one = json!({"toolUseId": id, "name": call.name, "input": call.arguments});
        content.push(json!({ "toolUse": one }));
    }
    json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason(answer),
        "usage": usage(answer),
        "metrics": {"latencyMs": 1},
    })
}

/// An event, padded as Bedrock pads it, so that the length of a frame does not tell that of a word.
fn event(token: bool, kind: &str, mut payload: Value) -> Event {
    let letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let length = payload.to_string().len() * 7 % letters.len();
    payload["p"] = json!(letters.get(..=length));
    Event { token, bytes: frames::event(kind, &payload) }
}

fn events(_: &Value, answer: &Answer) -> Vec<Event> {
    let mut events = vec![event(false, "messageStart", json!({"role": "assistant"}))];
    let mut index = 0;
    let mut block = |events: &mut Vec<Event>, start: Option<Value>, deltas: Vec<Value>| {
        // Only calls are announced.
        if let Some(start) = start {
            let start = json!({"contentBlockIndex": index, "start": start});
            events.push(event(true, "contentBlockStart", start));
        }
        for delta in deltas {
            let delta = json!({"contentBlockIndex": index, "delta": delta});
            events.push(event(true, "contentBlockDelta", delta));
        }
        events.push(event(false, "contentBlockStop", json!({"contentBlockIndex": index})));
        index += 1;
    };
    if let Some(thought) = &answer.thought {
        let delta = |word| json!({"reasoningContent": {"text": word}});
        let mut deltas: Vec<Value> = words(thought).map(delta).collect();
        deltas.push(json!({"reasoningContent": {"signature": signature(SIGNER, thought)}}));
        block(&mut events, None, deltas);
    }
    if !answer.text.is_empty() {
        let deltas = words(&answer.text).map(|word| json!({ "text": word })).collect();
        block(&mut events, None, deltas);
    }
    for call in &answer.calls {
        let id = format!("tooluse_{}", call.id);
        let start = json!({"toolUse": {"toolUseId": id, "name": call.name}});
        let delta = |piece: String| json!({"toolUse": {"input": piece}});
        block(&mut events, Some(start), call.pieces().into_iter().map(delta).collect());
    }
    events.push(event(false, "messageStop", json!({"stopReason": stop_reason(answer)})));
    let metadata = json!({"usage": usage(answer), "metrics": {"latencyMs": 1}});
    events.push(event(false, "metadata", metadata));
    events
}

/// `{message}`, and the kind in a header.
pub(super) fn refusal(fault: &Fault) -> (StatusCode, HeaderMap, Value) {
    let (status, kind) = match fault {
        Fault::Invalid { .. } | Fault::TooLarge => (StatusCode::BAD_REQUEST, "ValidationException"),
        Fault::NotFound(_) | Fault::Method => (StatusCode::NOT_FOUND, "UnknownOperationException"),
        Fault::RateLimited(_) => (StatusCode::TOO_MANY_REQUESTS, "ThrottlingException"),
        Fault::Failing => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException"),
    };
    let mut headers = HeaderMap::new();
    headers.insert("x-amzn-errortype", HeaderValue::from_static(kind));
    (status, headers, json!({"message": fault.message()}))
}

/// An exception in the middle of a stream.
pub(super) fn broken(text: &str) -> Bytes {
    frames::exception("modelStreamErrorException", text)
}
