//! A message of a chat request, decoded to parts.

use crate::{
    neutral::{
        Call, CallKind, Media, Message, Part, Reasoning, Request, Role, Signature, Source,
        ToolResult,
    },
    origin::{self, Maker},
    protocol::{
        DecodeError,
        fields::{Fields, document, media},
    },
    tree::Json,
};

/// Decodes a message onto the request.
pub(super) fn message(mut fields: Fields, request: &mut Request) -> Result<(), DecodeError> {
    let role = fields.string("role")?.unwrap_or_default();
    let name = fields.string("name")?;
    let mut parts = content(&mut fields, request)?;
    let late = request.messages.iter().any(|m| m.role != Role::System);
    let role = match role.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => {
            parts = assistant(&mut fields, parts)?;
            Role::Assistant
        }
        "tool" | "function" => {
            let id = fields.string("tool_call_id")?;
            // The old form has no ids: the last call of that name.
            let id = id.or_else(|| last_call(request, name.as_deref())).unwrap_or_default();
            let kind = call_kind(request, &id);
            parts = vec![Part::Result(ToolResult { id, error: false, kind, parts })];
            let joins = request.messages.last_mut().filter(|m| m.role == Role::Tool);
            if let Some(last) = joins {
                last.parts.append(&mut parts);
                fields.rest(request);
                return Ok(());
            }
            Role::Tool
        }
        _ => {
            let what = "must be developer, system, user, assistant, tool or function.";
            return Err(fields.wrong("role", what));
        }
    };
    fields.rest(request);
    let late = late && role == Role::System;
    // The name of a tool's message is the tool's.
    let name = name.filter(|_| role != Role::Tool);
    request.messages.push(Message { role, late, name, parts });
    Ok(())
}

fn last_call(request: &Request, name: Option<&str>) -> Option<String> {
    let calls = request.messages.iter().rev().flat_map(|m| m.parts.iter().rev());
    let found = calls.filter_map(|part| match part {
        Part::Call(call) if name.is_none_or(|n| n == call.name) => Some(call.id.clone()),
        _ => None,
    });
    found.into_iter().next()
}

fn call_kind(request: &Request, id: &str) -> CallKind {
    let parts = request.messages.iter().rev().flat_map(|m| m.parts.iter());
    let found = parts.filter_map(|part| match part {
        Part::Call(call) if call.id == id => Some(call.kind),
        _ => None,
    });
    found.into_iter().next().unwrap_or(CallKind::Function)
}

fn content(fields: &mut Fields, request: &mut Request) -> Result<Vec<Part>, DecodeError> {
    let mut parts = Vec::new();
    match fields.take("content") {
        Json::Null => {}
        Json::String(text) => {
            if !text.is_empty() {
                parts.push(Part::text(text));
            }
        }
        Json::Array(items) => {
            for (at, item) in items.into_iter().enumerate() {
                let path = fields.path(&format!("content[{at}]"));
                part(Fields::new(item, path), request, &mut parts)?;
            }
        }
        _ => return Err(fields.wrong("content", "must be a string or an array of parts.")),
    }
    Ok(parts)
}

fn part(
    mut fields: Fields,
    request: &mut Request,
    parts: &mut Vec<Part>,
) -> Result<(), DecodeError> {
    let kind = fields.string("type")?.unwrap_or_default();
    let cache = fields.some("cache_control").or_else(|| fields.some("prompt_cache_breakpoint"));
    match kind.as_str() {
        "text" | "input_text" => {
            let text = fields.string("text")?;
            let text = text.ok_or_else(|| fields.wrong("text", "is missing."))?;
            parts.push(Part::text(text));
        }
        "image_url" => {
            let mut detail = None;
            let url = match fields.take("image_url") {
                Json::String(url) => url,
                Json::Object(members) => {
                    let mut inner = Fields::new(Json::Object(members), fields.path("image_url"));
                    detail = inner.string("detail")?.filter(|d| d != "auto");
                    let url = inner.string("url")?.unwrap_or_default();
                    inner.rest(request);
                    url
                }
                _ => return Err(fields.wrong("image_url", "must be an object with `url`.")),
            };
            parts.push(Part::Image(media(&url, detail)));
        }
        "input_audio" => {
            let inner = fields.object("input_audio")?;
            let mut inner = inner.ok_or_else(|| fields.wrong("input_audio", "is missing."))?;
            let data = inner.string("data")?.unwrap_or_default();
            let format = inner.string("format")?.unwrap_or_default();
            parts.push(Part::Audio(Media {
                source: Source::Base64(data),
                media_type: format!("audio/{format}"),
                detail: None,
            }));
            inner.rest(request);
        }
        "file" => {
            let inner = fields.object("file")?;
            let mut inner = inner.ok_or_else(|| fields.wrong("file", "is missing."))?;
            let name = inner.string("filename")?;
            if let Some(id) = inner.string("file_id")? {
                parts.push(Part::File { field: "file.file_id", id });
            } else {
                let data = inner.string("file_data")?.unwrap_or_default();
                parts.push(document(&data, name));
            }
            inner.rest(request);
        }
        "refusal" => {
            parts.push(Part::Refusal(fields.string("refusal")?.unwrap_or_default()));
        }
        "thinking" => {
            // As Mistral writes it: chunks of text.
            let thinking = fields.take("thinking");
            let text: String = match &thinking {
                Json::String(text) => text.clone(),
                chunks => chunks.items().iter().map(|c| c.get("text").text()).collect(),
            };
            parts.push(Part::Reasoning(Reasoning { text, ..Reasoning::default() }));
        }
        "" => return Err(fields.wrong("type", "is missing.")),
        _ => {
            let what = "must be text, image_url, input_audio, file or refusal.";
            return Err(fields.wrong("type", what));
        }
    }
    if let Some(cache) = cache {
        parts.push(Part::Cache(cache.get("ttl").str().map(str::to_owned)));
    }
    fields.rest(request);
    Ok(())
}

/// What an assistant's message holds beside its content, in the order of its making: thought, text,
/// calls.
fn assistant(fields: &mut Fields, content: Vec<Part>) -> Result<Vec<Part>, DecodeError> {
    let mut parts = Vec::new();
    let mut extra = fields.take("extra_content");
    let blocks = extra.take("anthropic").take("thinking_blocks");
    for block in blocks.items() {
        parts.push(thinking_block(block));
    }
    let text = [fields.take("reasoning_content"), fields.take("reasoning")];
    let text = text.into_iter().find_map(|t| t.str().map(str::to_owned));
    let details = fields.take("reasoning_details");
    let said = text.or_else(|| {
        let texts = details
            .items()
            .iter()
            .map(|d| d.get("text").str().or_else(|| d.get("summary").str()).unwrap_or_default());
        Some(texts.collect::<String>())
    });
    if let Some(text) = said.filter(|text| !text.is_empty() && parts.is_empty()) {
        parts.push(Part::Reasoning(Reasoning { text, ..Reasoning::default() }));
    }
    let proof = extra.take("google").take("thought_signature");
    let mut content = content;
    if let Some(proof) = proof.str().map(|data| signature(data, Maker::Gemini)) {
        match content.iter_mut().rev().find(|p| matches!(p, Part::Text { .. })) {
            Some(Part::Text { signature, .. }) => *signature = Some(proof),
            _ => content.push(Part::Text {
                text: String::new(),
                citations: Vec::new(),
                signature: Some(proof),
            }),
        }
    }
    parts.append(&mut content);
    if let Some(refusal) = fields.string("refusal")?.filter(|r| !r.is_empty()) {
        parts.push(Part::Refusal(refusal));
    }
    for (at, item) in fields.array("tool_calls")?.into_iter().enumerate() {
        parts.push(Part::Call(call(&item, &fields.path(&format!("tool_calls[{at}]")))?));
    }
    let old = fields.take("function_call");
    if old.is_object() {
        let ordinal = parts.len();
        parts.push(Part::Call(Call {
            id: format!("call_{}_{ordinal}", old.get("name").text()),
            name: old.get("name").text().to_owned(),
            namespace: None,
            arguments: old.get("arguments").text().to_owned(),
            kind: CallKind::Function,
            signature: None,
        }));
    }
    if let Some(audio) = fields.some("audio") {
        let id = audio.get("id").text().to_owned();
        parts.push(Part::Audio(Media {
            source: Source::Url(id),
            media_type: String::new(),
            detail: None,
        }));
    }
    // Echoes of answers that say nothing to a model.
    fields.take("annotations");
    Ok(parts)
}

fn call(item: &Json, path: &str) -> Result<Call, DecodeError> {
    let (inner, input, kind) = match item.get("custom") {
        custom @ Json::Object(_) => (custom, custom.get("input"), CallKind::Custom),
        _ => {
            let function = item.get("function");
            (function, function.get("arguments"), CallKind::Function)
        }
    };
    let name = inner.get("name").str();
    let name = name.ok_or_else(|| DecodeError::at(path, "must have a function with a name."))?;
    let arguments = match input {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        other => other.to_text(),
    };
    let proof = item.at(&["extra_content", "google", "thought_signature"]).str();
    Ok(Call {
        id: item.get("id").text().to_owned(),
        name: name.to_owned(),
        namespace: None,
        arguments,
        kind,
        signature: proof.map(|data| signature(data, Maker::Gemini)),
    })
}

/// A thinking block of Claude.
pub(in crate::protocol) fn thinking_block(block: &Json) -> Part {
    let redacted = block.get("type").text() == "redacted_thinking";
    let data = if redacted { block.get("data") } else { block.get("signature") };
    Part::Reasoning(Reasoning {
        text: block.get("thinking").text().to_owned(),
        signature: data.str().map(|data| signature(data, Maker::Claude)),
        redacted,
        id: None,
    })
}

/// A signature as a caller sent it.
pub(in crate::protocol) fn signature(data: &str, maker: Maker) -> Signature {
    let (origin, data) = origin::read(data, maker);
    Signature { origin, data: data.to_owned() }
}
