//! OpenAI's responses. Source: OpenAI's API reference.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Event, Form, Op, SSE};
use crate::demo::{
    answer::{Answer, Call, Finish, signature, words},
    ask::{self, Ask, Choice, Format, Talk, Tool, list, stranger, text},
    fault::Fault,
};

pub(super) const FORM: Form = Form { kind: SSE, whole, events };

/// What it signs its encrypted reasoning with.
const SIGNER: &str = "openai";

/// What a request may have.
const KNOWN: &[&str] = &[
    "background",
    "context_management",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

pub(super) fn place(path: &str) -> Option<(Op, Option<String>)> {
    let path = path.strip_prefix("openai/").unwrap_or(path);
    match path.strip_prefix("v1/").unwrap_or(path) {
        "responses" => Some((Op::Responses, None)),
        "responses/input_tokens" => Some((Op::ResponsesCount, None)),
        "models" => Some((Op::Models, None)),
        _ => None,
    }
}

pub(super) fn ask(body: &Value) -> Result<Ask, Fault> {
    let model = ask::model(body)?;
    if let Some(name) = stranger(body, KNOWN) {
        let text = format!("Unknown parameter: '{name}'.");
        return Err(Fault::Invalid {
            message: text,
            param: Some(name.to_owned()),
            code: Some("unknown_parameter"),
        });
    }
    let limit = body["max_output_tokens"].as_u64();
    if limit.is_some_and(|limit| limit < 16) {
        let text =
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16.";
        return Err(Fault::at("max_output_tokens", text));
    }
    let mut tools: Vec<Tool> = list(&body["tools"]).iter().filter_map(tool).collect();
    let mut choice = Choice::Auto;
    match (&body["tool_choice"], body["tool_choice"]["type"].as_str()) {
        (Value::String(word), _) if word == "none" => choice = Choice::Never,
        (Value::String(word), _) if word == "required" => choice = Choice::Must(Vec::new()),
        (one, Some("function" | "custom")) => {
            choice = Choice::Must(one["name"].as_str().map(str::to_owned).into_iter().collect());
        }
        (some, Some("allowed_tools")) => {
            let name = |t: &Value| t["name"].as_str().map(str::to_owned);
            let names: Vec<String> = list(&some["tools"]).iter().filter_map(name).collect();
            tools.retain(|tool| names.contains(&tool.name));
            if some["mode"] == "required" {
                choice = Choice::Must(Vec::new());
            }
        }
        _ => {}
    }
    let format = &body["text"]["format"];
    let format = match format["type"].as_str() {
        Some("json_schema") => Format::Json(format["schema"].clone()),
        Some("json_object") => {
            Format::Json(json!({"type": "object", "properties": {"answer": {"type": "string"}}}))
        }
        _ => Format::Text,
    };
    let effort = body["reasoning"]["effort"].as_str();
    Ok(Ask {
        talk: talk(body, &model)?,
        model,
        tools,
        choice,
        single: body["parallel_tool_calls"] == json!(false),
        format,
        thinks: effort.is_some_and(|effort| effort != "none"),
        limit,
        stops: Vec::new(),
    })
}

fn tool(tool: &Value) -> Option<Tool> {
    let name = tool["name"].as_str()?.to_owned();
    match tool["type"].as_str()? {
        "function" => Some(Tool { name, schema: tool["parameters"].clone() }),
        "custom" => Some(Tool { name, schema: Value::Null }),
        _ => None,
    }
}

fn talk(body: &Value, model: &str) -> Result<Talk, Fault> {
    let mut talk = Talk::default();
    talk.hears(&text(&body["instructions"]));
    if let Some(text) = body["input"].as_str() {
        talk.user();
        talk.says(text);
    }
    let mut model_spoke = false;
    for item in list(&body["input"]) {
        let kind = item["type"].as_str().unwrap_or("message");
        let role = item["role"].as_str().unwrap_or_default();
        // What the model said last is one turn, of one item or several.
        let models = role == "assistant" || matches!(kind, "function_call" | "custom_tool_call");
        if models && !std::mem::replace(&mut model_spoke, true) {
            talk.model();
        }
        model_spoke = models || kind == "reasoning" && model_spoke;
        match kind {
            "message" if role == "user" => {
                talk.asks(&item["content"], ["input_image", "input_file"]);
            }
            "message" => talk.hears(&text(&item["content"])),
            "function_call" | "custom_tool_call" => {
                talk.calls(item["call_id"].as_str().unwrap_or_default());
            }
            "function_call_output" | "custom_tool_call_output" => {
                let id = item["call_id"].as_str().unwrap_or_default();
                let output = &item["output"];
                talk.images +=
                    list(output).iter().filter(|part| part["type"] == "input_image").count();
                if !talk.gives(id, text(output)) {
                    let text =
                        format!("No tool call found for function call output with call_id {id}.");
                    return Err(Fault::at("input", text));
                }
            }
            "reasoning" => {
                let sealed = item["encrypted_content"].as_str();
                if sealed.is_some_and(|sealed| sealed != signature(SIGNER, model)) {
                    let text = "The encrypted content could not be verified. Reason: Encrypted \
                                content could not be decrypted or parsed.";
                    return Err(Fault::code("invalid_encrypted_content", text));
                }
            }
            "item_reference" => {
                let id = item["id"].as_str().unwrap_or_default();
                return Err(Fault::at("input", format!("Item with id '{id}' not found.")));
            }
            other => return Err(Fault::at("input", format!("Invalid value: '{other}'."))),
        }
    }
    if let [first, ..] = talk.unanswered() {
        return Err(Fault::at("input", format!("No tool output found for function call {first}.")));
    }
    Ok(talk)
}

/// `POST /v1/responses/input_tokens`.
pub(super) fn count(body: &Value) -> Result<Value, Fault> {
    let tokens = ask(body)?.talk.tokens();
    Ok(json!({"object": "response.input_tokens", "input_tokens": tokens}))
}

fn message(answer: &Answer, status: &str, content: &Value) -> Value {
    json!({"id": format!("msg_{}", answer.id), "type": "message", "role": "assistant",
        "status": status, "content": content})
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn call(call: &Call, status: &str, arguments: &str) -> Value {
    let call_id = format!("call_{}", call.id);
    if call.arguments.is_string() {
        return json!({"id": format!("ctc_{}", call.id), "type": "custom_tool_call",
            "status": status, "call_id": call_id, "name": call.name, "input": arguments});
    }
    json!({"id": format!("fc_{}", call.id), "type": "function_call", "status": status,
        "call_id": call_id, "name": call.name, "arguments": arguments})
}

fn reasoning(answer: &Answer, summary: &Value) -> Value {
    json!({"id": format!("rs_{}", answer.id), "type": "reasoning", "summary": summary,
        "encrypted_content": signature(SIGNER, &answer.model)})
}

fn output(answer: &Answer) -> Vec<Value> {
    let mut items = Vec::new();
    if let Some(thought) = &answer.thought {
        items.push(reasoning(answer, &json!([{"type": "summary_text", "text": thought}])));
    }
    if !answer.text.is_empty() {
        items.push(message(answer, "completed", &json!([part(&answer.text)])));
    }
    items.extend(answer.calls.iter().map(|c| call(c, "completed", &c.arguments_text())));
    items
}

/// The response as it begins: the request said again, nothing answered yet.
fn begun(body: &Value, answer: &Answer) -> Value {
    let or = |name: &str, default: Value| match &body[name] {
        Value::Null => default,
        given => given.clone(),
    };
    let mut begun = json!({
        "id": format!("resp_{}", answer.id),
        "object": "response",
        "created_at": answer.created,
        "status": "in_progress",
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": body["instructions"],
        "max_output_tokens": body["max_output_tokens"],
        "max_tool_calls": body["max_tool_calls"],
        "model": answer.model,
        "output": [],
        "parallel_tool_calls": or("parallel_tool_calls", json!(true)),
        "previous_response_id": null,
        "reasoning": {"effort": body["reasoning"]["effort"], "summary": body["reasoning"]["summary"]},
        "service_tier": "default",
        "store": or("store", json!(true)),
        "temperature": or("temperature", json!(1.0)),
        "text": or("text", json!({"format": {"type": "text"}})),
        "tool_choice": or("tool_choice", json!("auto")),
        "tools": or("tools", json!([])),
        "top_logprobs": or("top_logprobs", json!(0)),
        "top_p": or("top_p", json!(1.0)),
        "truncation": or("truncation", json!("disabled")),
        "metadata": or("metadata", json!({})),
    });
    // Null where the schema knows strings alone: said again only where they were said.
    for name in ["prompt_cache_key", "safety_identifier", "user"] {
        if body[name].is_string() {
            begun[name] = body[name].clone();
        }
    }
    begun
}

fn whole(body: &Value, answer: &Answer) -> Value {
    let mut whole = begun(body, answer);
    whole["output"] = json!(output(answer));
    if answer.finish == Finish::Length {
        whole["status"] = json!("incomplete");
        whole["incomplete_details"] = json!({"reason": "max_output_tokens"});
    } else {
        whole["status"] = json!("completed");
        whole["completed_at"] = json!(answer.created);
    }
    whole["usage"] = json!({
        "input_tokens": answer.input,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": answer.output,
        "output_tokens_details": {"reasoning_tokens": answer.thinking},
        "total_tokens": answer.input + answer.output,
    });
    whole
}

/// Events with their numbers.
struct Events(Vec<Event>);

impl Events {
    fn push(&mut self, token: bool, kind: &str, mut data: Value) {
        data["type"] = json!(format!("response.{kind}"));
        data["sequence_number"] = json!(self.0.len());
        self.0.push(Event::named(token, &data));
    }
}

fn events(body: &Value, answer: &Answer) -> Vec<Event> {
    let mut events = Events(Vec::new());
    let begun = begun(body, answer);
    events.push(false, "created", json!({ "response": begun }));
    events.push(false, "in_progress", json!({ "response": begun }));
    let mut index = 0;
    if let Some(thought) = &answer.thought {
        think(&mut events, answer, thought, index);
        index += 1;
    }
    if !answer.text.is_empty() {
        speak(&mut events, answer, index);
        index += 1;
    }
    for one in &answer.calls {
        ask_for(&mut events, one, index);
        index += 1;
    }
    let last = if answer.finish == Finish::Length { "incomplete" } else { "completed" };
    events.push(false, last, json!({ "response": whole(body, answer) }));
    events.0
}

fn think(events: &mut Events, answer: &Answer, thought: &str, index: usize) {
    let at = json!({"item_id": format!("rs_{}", answer.id), "output_index": index,
        "summary_index": 0});
    let with = |name: &str, value: Value| {
        let mut data = at.clone();
        data[name] = value;
        data
    };
    let item = reasoning(answer, &json!([]));
    events.push(false, "output_item.added", json!({"output_index": index, "item": item}));
    let empty = json!({"type": "summary_text", "text": ""});
    events.push(false, "reasoning_summary_part.added", with("part", empty));
    for word in words(thought) {
        events.push(true, "reasoning_summary_text.delta", with("delta", json!(word)));
    }
    events.push(false, "reasoning_summary_text.done", with("text", json!(thought)));
    let full = json!({"type": "summary_text", "text": thought});
    events.push(false, "reasoning_summary_part.done", with("part", full.clone()));
    let item = reasoning(answer, &json!([full]));
    events.push(false, "output_item.done", json!({"output_index": index, "item": item}));
}

fn speak(events: &mut Events, answer: &Answer, index: usize) {
    let at = json!({"item_id": format!("msg_{}", answer.id), "output_index": index,
        "content_index": 0});
    let with = |more: &[(&str, Value)]| {
        let mut data = at.clone();
        for (name, value) in more {
            data[*name] = value.clone();
        }
        data
    };
    let logprobs = || ("logprobs", json!([]));
    let item = message(answer, "in_progress", &json!([]));
    events.push(false, "output_item.added", json!({"output_index": index, "item": item}));
    events.push(false, "content_part.added", with(&[("part", part(""))]));
    for word in words(&answer.text) {
        events.push(true, "output_text.delta", with(&[("delta", json!(word)), logprobs()]));
    }
    events.push(false, "output_text.done", with(&[("text", json!(answer.text)), logprobs()]));
    let full = part(&answer.text);
    events.push(false, "content_part.done", with(&[("part", full.clone())]));
    let item = message(answer, "completed", &json!([full]));
    events.push(false, "output_item.done", json!({"output_index": index, "item": item}));
}

fn ask_for(events: &mut Events, one: &Call, index: usize) {
    let (prefix, delta, done, whole) = if one.arguments.is_string() {
        ("ctc", "custom_tool_call_input.delta", "custom_tool_call_input.done", "input")
    } else {
        ("fc", "function_call_arguments.delta", "function_call_arguments.done", "arguments")
    };
    let id = format!("{prefix}_{}", one.id);
    let item = call(one, "in_progress", "");
    events.push(true, "output_item.added", json!({"output_index": index, "item": item}));
    for piece in one.pieces() {
        let data = json!({"item_id": id, "output_index": index, "delta": piece});
        events.push(true, delta, data);
    }
    let text = one.arguments_text();
    let data = json!({"item_id": id, "output_index": index, "name": one.name, whole: text});
    events.push(false, done, data);
    let item = call(one, "completed", &text);
    events.push(false, "output_item.done", json!({"output_index": index, "item": item}));
}

/// An error in the middle of a stream.
pub(super) fn broken(text: &str) -> Bytes {
    let event = json!({"type": "error", "code": "server_error", "message": text, "param": null,
        "sequence_number": 1000});
    Bytes::from(format!("event: error\ndata: {event}\n\n"))
}
