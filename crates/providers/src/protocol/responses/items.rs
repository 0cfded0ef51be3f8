//! The items of a responses request, decoded to messages. What the model made in one turn is one
//! message: thought, text and calls one after the other.

use super::tools;
use crate::{
    neutral::{Call, CallKind, Message, Part, Reasoning, Request, Role, ToolResult},
    origin::Maker,
    protocol::{
        DecodeError,
        chat::parts::signature,
        fields::{Fields, document, media},
    },
    rules::Field,
    tree::Json,
};

/// Decodes an item onto the request.
pub(super) fn item(mut fields: Fields, request: &mut Request) -> Result<(), DecodeError> {
    let kind = fields.string("type")?.unwrap_or_else(|| "message".to_owned());
    match kind.as_str() {
        "message" => return message(fields, request),
        "function_call" | "custom_tool_call" => {
            let custom = kind == "custom_tool_call";
            let input = fields.take(if custom { "input" } else { "arguments" });
            let call = Call {
                id: fields.string("call_id")?.unwrap_or_default(),
                name: fields.string("name")?.ok_or_else(|| fields.wrong("name", "is missing."))?,
                namespace: fields.string("namespace")?,
                arguments: input.str().map_or_else(|| input.to_text(), str::to_owned),
                kind: if custom { CallKind::Custom } else { CallKind::Function },
                signature: None,
            };
            model(request, vec![Part::Call(call)]);
        }
        "function_call_output" | "custom_tool_call_output" => {
            let custom = kind == "custom_tool_call_output";
            let parts = match fields.take("output") {
                Json::Null => Vec::new(),
                Json::String(text) if text.is_empty() => Vec::new(),
                Json::String(text) => vec![Part::text(text)],
                Json::Array(items) => content(items, &fields.path("output"), request)?,
                other => vec![Part::text(other.to_text())],
            };
            let result = Part::Result(ToolResult {
                id: fields.string("call_id")?.unwrap_or_default(),
                error: false,
                kind: if custom { CallKind::Custom } else { CallKind::Function },
                parts,
            });
            match request.messages.last_mut() {
                Some(last) if last.role == Role::Tool => last.parts.push(result),
                _ => request.messages.push(Message {
                    role: Role::Tool,
                    late: false,
                    name: None,
                    parts: vec![result],
                }),
            }
        }
        "reasoning" => {
            let texts = |items: Vec<Json>| {
                let texts: Vec<String> =
                    items.iter().map(|item| item.get("text").text().to_owned()).collect();
                texts.join("\n\n")
            };
            let summary = texts(fields.array("summary")?);
            let content = texts(fields.array("content")?);
            let proof = fields.string("encrypted_content")?.filter(|data| !data.is_empty());
            let part = Part::Reasoning(Reasoning {
                text: if content.is_empty() { summary } else { content },
                signature: proof.map(|data| signature(&data, Maker::OpenAi)),
                redacted: false,
                id: fields.string("id")?,
            });
            model(request, vec![part]);
        }
        "item_reference" => {
            request.others.push((Field::ItemReference, fields.take("id")));
        }
        "compaction" | "compaction_summary" => {
            request.others.push((Field::Compaction, fields.take("id")));
            return Ok(());
        }
        "additional_tools" => {
            for (at, value) in fields.array("tools")?.into_iter().enumerate() {
                let path = fields.path(&format!("tools[{at}]"));
                tools::tool(Fields::new(value, path), None, request)?;
            }
            fields.take("role");
        }
        _ => {
            model(request, vec![Part::Hosted(fields.whole().with("type", kind))]);
            return Ok(());
        }
    }
    // Ids of items live at their provider, and what is sent over and over is whole.
    for name in ["id", "status", "caller"] {
        fields.take(name);
    }
    fields.rest(request);
    Ok(())
}

/// Adds to the model's turn.
fn model(request: &mut Request, mut parts: Vec<Part>) {
    match request.messages.last_mut() {
        Some(last) if last.role == Role::Assistant => last.parts.append(&mut parts),
        _ => {
            let message = Message { role: Role::Assistant, late: false, name: None, parts };
            request.messages.push(message);
        }
    }
}

fn message(mut fields: Fields, request: &mut Request) -> Result<(), DecodeError> {
    let role = fields.string("role")?.unwrap_or_default();
    let parts = match fields.take("content") {
        Json::Null => Vec::new(),
        Json::String(text) if text.is_empty() => Vec::new(),
        Json::String(text) => vec![Part::text(text)],
        Json::Array(items) => content(items, &fields.path("content"), request)?,
        _ => return Err(fields.wrong("content", "must be a string or an array of parts.")),
    };
    for name in ["id", "status", "phase"] {
        fields.take(name);
    }
    let role = match role.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => {
            model(request, parts);
            fields.rest(request);
            return Ok(());
        }
        _ => return Err(fields.wrong("role", "must be user, assistant, system or developer.")),
    };
    fields.rest(request);
    let late = role == Role::System && request.messages.iter().any(|m| m.role != Role::System);
    request.messages.push(Message { role, late, name: None, parts });
    Ok(())
}

fn content(items: Vec<Json>, path: &str, request: &mut Request) -> Result<Vec<Part>, DecodeError> {
    let mut parts = Vec::new();
    for (at, value) in items.into_iter().enumerate() {
        let mut fields = Fields::new(value, format!("{path}[{at}]"));
        let cache = fields.some("prompt_cache_breakpoint");
        match fields.string("type")?.unwrap_or_default().as_str() {
            "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text" => {
                let text = fields.string("text")?;
                parts.push(Part::text(text.ok_or_else(|| fields.wrong("text", "is missing."))?));
                // Echoes of an answer.
                fields.take("annotations");
                fields.take("logprobs");
            }
            "refusal" => parts.push(Part::Refusal(fields.string("refusal")?.unwrap_or_default())),
            "input_image" => {
                let detail = fields.string("detail")?.filter(|d| d != "auto");
                match (fields.string("file_id")?, fields.string("image_url")?) {
                    (Some(id), _) => parts.push(Part::File { field: "file_id", id }),
                    (None, Some(url)) => parts.push(Part::Image(media(&url, detail))),
                    (None, None) => return Err(fields.wrong("image_url", "is missing.")),
                }
            }
            "input_file" => {
                let name = fields.string("filename")?;
                let data = [fields.string("file_data")?, fields.string("file_url")?];
                match (fields.string("file_id")?, data.into_iter().flatten().next()) {
                    (Some(id), _) => parts.push(Part::File { field: "file_id", id }),
                    (None, Some(data)) => parts.push(document(&data, name)),
                    (None, None) => return Err(fields.wrong("file_data", "is missing.")),
                }
                fields.take("detail");
            }
            _ => {
                let what = "must be input_text, input_image, input_file, output_text or refusal.";
                return Err(fields.wrong("type", what));
            }
        }
        if let Some(cache) = cache {
            parts.push(Part::Cache(cache.get("ttl").str().map(str::to_owned)));
        }
        fields.rest(request);
    }
    Ok(parts)
}
