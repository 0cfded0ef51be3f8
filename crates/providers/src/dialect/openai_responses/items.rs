//! The input of a responses request.

use std::borrow::Cow;

use super::super::{
    common,
    cx::Cx,
    history::{self, Shape, Side, Turn},
};
use crate::{
    neutral::{CallKind, Document, Part, Source},
    rules::{Field, Refusal},
    tree::{Json, object},
};

/// Encodes the conversation: leading system texts as instructions, the rest as items.
pub(super) fn encode(cx: &mut Cx<'_>, body: &mut Json) -> Result<(), Refusal> {
    let shape = Shape {
        late_system: true,
        careful: false,
        merge: false,
        user_first: false,
        blanks_go: false,
    };
    let (system, turns) = history::turns(cx, shape);
    if system.iter().any(|part| matches!(part, Part::Cache(_))) {
        cx.drop(Field::CacheControl, "This provider cuts its prompt cache by itself.");
    }
    let text = common::joined(system);
    if !text.is_empty() {
        body.set("instructions", text);
    }
    let mut out = Vec::new();
    for turn in &turns {
        if turn.name.is_some() {
            cx.drop(Field::Name, "Messages have no names here.");
        }
        match turn.side {
            Side::System => {
                let text = common::joined(turn.parts.iter().map(|part| &**part));
                out.push(object! {"type": "message", "role": "developer", "content": text});
            }
            Side::User => {
                let content = content(cx, &turn.parts)?;
                out.push(object! {"type": "message", "role": "user", "content": content});
            }
            Side::Assistant => assistant(cx, turn, &mut out)?,
            Side::Tool => results(cx, turn, &mut out)?,
        }
    }
    body.set("input", out);
    Ok(())
}

fn content(cx: &mut Cx<'_>, parts: &[Cow<'_, Part>]) -> Result<Vec<Json>, Refusal> {
    let mut out = Vec::new();
    let text = |said: &str| object! {"type": "input_text", "text": said};
    for part in parts {
        match &**part {
            Part::Text { text: said, .. } | Part::Refusal(said) => out.push(text(said)),
            Part::Image(media) => out.push(
                object! {"type": "input_image", "image_url": &*common::url_of(media)}
                    .with("detail", media.detail.as_deref().unwrap_or("auto")),
            ),
            Part::Audio(_) => {
                return Err(cx.refuse(Field::InputAudio, "This endpoint hears nothing."));
            }
            Part::Document(document) => out.push(file(cx, document)),
            Part::Search { .. } => out.extend(common::search_text(cx, part).map(|t| text(&t))),
            Part::Cache(_) => {
                cx.drop(Field::CacheControl, "This provider cuts its prompt cache by itself.");
            }
            other => cx.foreign(other)?,
        }
    }
    Ok(out)
}

fn file(cx: &mut Cx<'_>, document: &Document) -> Json {
    if document.citations {
        cx.drop(Field::Citations, "This provider does not cite documents.");
    }
    if let Some(text) = common::document_text(cx, document) {
        return object! {"type": "input_text", "text": text};
    }
    let mut out = object! {"type": "input_file"};
    match &document.source {
        Some(Source::Base64(data)) => {
            out.set("filename", document.title.as_deref().unwrap_or("document"));
            out.set("file_data", format!("data:{};base64,{data}", document.media_type));
        }
        Some(Source::Url(url)) => out.set("file_url", url),
        None => {}
    }
    out
}

fn assistant(cx: &mut Cx<'_>, turn: &Turn<'_>, out: &mut Vec<Json>) -> Result<(), Refusal> {
    let message = |content: Json| {
        object! {"type": "message", "role": "assistant", "content": vec![content]}
    };
    for part in &turn.parts {
        match &**part {
            Part::Text { text, citations, .. } => {
                if !citations.is_empty() {
                    cx.drop(Field::Citations, "Citations of the history say nothing here.");
                }
                if !text.is_empty() {
                    let content = object! {"type": "output_text", "text": text.as_str()};
                    out.push(message(content));
                }
            }
            Part::Refusal(text) => {
                out.push(message(object! {"type": "refusal", "refusal": text.as_str()}));
            }
            Part::Reasoning(part) => {
                let own = part.signature.as_ref().filter(|proof| cx.to.owns(&proof.origin));
                let Some(proof) = own else {
                    cx.foreign_reasoning();
                    continue;
                };
                cx.back.signed = true;
                let mut summary = Vec::new();
                if !part.text.is_empty() {
                    summary.push(object! {"type": "summary_text", "text": part.text.as_str()});
                }
                let mut item = object! {"type": "reasoning"};
                item.set_some("id", part.id.as_deref());
                item.set("summary", summary);
                item.set("encrypted_content", proof.data.as_str());
                out.push(item);
            }
            Part::Call(call) => {
                let custom = call.kind == CallKind::Custom;
                let name = cx.name(&call.name, call.namespace.as_deref(), custom);
                let id = cx.id(&call.id);
                let (kind, member) = if custom {
                    ("custom_tool_call", "input")
                } else {
                    ("function_call", "arguments")
                };
                let text =
                    if call.arguments.is_empty() && !custom { "{}" } else { &call.arguments };
                out.push(
                    object! {"type": kind, "call_id": id, "name": name}
                        .with_some("namespace", call.namespace.as_deref())
                        .with(member, text),
                );
            }
            Part::Audio(_) => {
                cx.drop(Field::AudioReply, "The sound of an answer lives at its provider.");
            }
            Part::Cache(_)
            | Part::Image(_)
            | Part::Document(_)
            | Part::Search { .. }
            | Part::Result(_) => {}
            other => cx.foreign(other)?,
        }
    }
    Ok(())
}

fn results(cx: &mut Cx<'_>, turn: &Turn<'_>, out: &mut Vec<Json>) -> Result<(), Refusal> {
    for part in &turn.parts {
        let Part::Result(result) = &**part else { continue };
        let (mut text, media) = common::split_result(cx, result);
        if result.error && !text.starts_with("error: ") {
            cx.adapt(Field::ResultError, "Marked by a text prefix `error: `.");
            text.insert_str(0, "error: ");
        }
        let custom = result.kind == CallKind::Custom;
        let kind = if custom { "custom_tool_call_output" } else { "function_call_output" };
        let id = cx.id(&result.id);
        let output = if media.is_empty() {
            Json::String(text)
        } else {
            let mut parts = Vec::new();
            if !text.is_empty() {
                parts.push(Cow::Owned(Part::text(text)));
            }
            parts.extend(media.into_iter().map(Cow::Owned));
            Json::Array(content(cx, &parts)?)
        };
        out.push(object! {"type": kind, "call_id": id, "output": output});
    }
    Ok(())
}
