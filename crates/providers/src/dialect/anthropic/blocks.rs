//! The messages of a messages request, in blocks.

use std::borrow::Cow;

use super::super::{
    claude::image_format,
    common,
    cx::Cx,
    history::{Side, Turn},
};
use crate::{
    neutral::{CallKind, Citation, Document, Media, Part, Reasoning, Source},
    rules::{Field, Refusal},
    tree::{Json, object},
};

/// Encodes the turns: results and what the user says after them are one message.
pub(super) fn messages(cx: &mut Cx<'_>, turns: &[Turn<'_>]) -> Result<Vec<Json>, Refusal> {
    let mut out: Vec<(&'static str, Vec<Json>)> = Vec::new();
    let last = turns.len();
    for (at, turn) in turns.iter().enumerate() {
        if turn.name.is_some() {
            cx.drop(Field::Name, "Messages have no names here.");
        }
        let role = match turn.side {
            Side::System => "system",
            Side::User | Side::Tool => "user",
            Side::Assistant => "assistant",
        };
        let mut blocks = blocks(cx, &turn.parts, turn.side == Side::Assistant)?;
        if at + 1 == last && turn.side == Side::Assistant {
            cut_trailing(cx, &mut blocks);
        }
        match out.last_mut() {
            Some((before, content)) if *before == role => content.append(&mut blocks),
            _ => out.push((role, blocks)),
        }
    }
    let filled = out.into_iter().filter(|(_, content)| !content.is_empty());
    Ok(filled.map(|(role, content)| object! {"role": role, "content": content}).collect())
}

/// White space at the end of what is to be continued is refused.
fn cut_trailing(cx: &mut Cx<'_>, blocks: &mut [Json]) {
    if let Some(last) = blocks.last_mut()
        && let Some(text) = last.get("text").str()
        && text.trim_end().len() < text.len()
    {
        let text = text.trim_end().to_owned();
        last.set("text", text);
        cx.adapt(Field::Prefill, "White space at the end is cut.");
    }
}

/// Marks a block as one behind which a prompt cache may be cut.
pub(super) fn breakpoint(last: Option<&mut Json>, ttl: Option<&str>) {
    let known = |last: &Json| !matches!(last.get("type").text(), "thinking" | "redacted_thinking");
    if let Some(last) = last.filter(|last| known(last)) {
        let ttl = ttl.filter(|ttl| matches!(*ttl, "5m" | "1h"));
        last.set("cache_control", object! {"type": "ephemeral"}.with_some("ttl", ttl));
    }
}

fn blocks(cx: &mut Cx<'_>, parts: &[Cow<'_, Part>], assistant: bool) -> Result<Vec<Json>, Refusal> {
    let mut out: Vec<Json> = Vec::new();
    for part in parts {
        match &**part {
            Part::Text { text, citations, .. } => {
                if text.trim().is_empty() {
                    continue;
                }
                let mut block = object! {"type": "text", "text": text.as_str()};
                let kept: Vec<Json> = citations.iter().filter_map(citation).collect();
                if assistant && !kept.is_empty() {
                    block.set("citations", kept);
                }
                out.push(block);
            }
            Part::Refusal(text) => out.push(object! {"type": "text", "text": text.as_str()}),
            Part::Image(media) => out.push(image(cx, media)?),
            Part::Audio(_) if assistant => {
                cx.drop(Field::AudioReply, "The sound of an answer means nothing here.");
            }
            Part::Audio(_) => return Err(cx.refuse(Field::InputAudio, "The model hears nothing.")),
            Part::Document(one) => out.push(document(cx, one)?),
            Part::Search { title, source, text, citations } => {
                let content = vec![object! {"type": "text", "text": text.as_str()}];
                out.push(object! {
                    "type": "search_result", "title": title.as_str(), "source": source.as_str(),
                    "content": content, "citations": object! {"enabled": *citations},
                });
            }
            Part::Reasoning(part) => out.extend(thinking(cx, part)),
            Part::Call(call) => {
                let custom = call.kind == CallKind::Custom;
                let name = cx.name(&call.name, call.namespace.as_deref(), custom);
                let id = cx.id(&call.id);
                let input = if custom {
                    common::custom_input(&call.arguments)
                } else {
                    cx.arguments(&call.arguments)
                };
                out.push(object! {"type": "tool_use", "id": id, "name": name, "input": input});
            }
            Part::Result(result) => {
                let id = cx.id(&result.id);
                let mut block = object! {"type": "tool_result", "tool_use_id": id};
                let inner: Vec<Cow<'_, Part>> = result.parts.iter().map(Cow::Borrowed).collect();
                let content = blocks(cx, &inner, false)?;
                if !content.is_empty() {
                    block.set("content", content);
                }
                if result.error {
                    block.set("is_error", true);
                }
                out.push(block);
            }
            Part::Cache(ttl) => breakpoint(out.last_mut(), ttl.as_deref()),
            other => cx.foreign(other)?,
        }
    }
    Ok(out)
}

fn image(cx: &Cx<'_>, media: &Media) -> Result<Json, Refusal> {
    let source = match &media.source {
        Source::Url(url) => object! {"type": "url", "url": url.as_str()},
        Source::Base64(data) => {
            let format = image_format(cx, &media.media_type)?;
            object! {
                "type": "base64", "media_type": format!("image/{format}"), "data": data.as_str(),
            }
        }
    };
    Ok(object! {"type": "image", "source": source})
}

fn document(cx: &Cx<'_>, document: &Document) -> Result<Json, Refusal> {
    let pdf = document.media_type == "application/pdf";
    let source = match (&document.source, common::plain_text(document)) {
        (_, Some(text)) => {
            object! {"type": "text", "media_type": "text/plain", "data": text}
        }
        (Some(Source::Base64(data)), None) if pdf => object! {
            "type": "base64", "media_type": "application/pdf", "data": data.as_str(),
        },
        (Some(Source::Url(url)), None) if pdf || document.media_type.is_empty() => {
            object! {"type": "url", "url": url.as_str()}
        }
        _ => {
            let kind = &document.media_type;
            let why = format!("Documents of type `{kind}` are not taken: PDF and plain text are.");
            return Err(cx.refuse(Field::FileData, why));
        }
    };
    let mut out = object! {"type": "document", "source": source};
    out.set_some("title", document.title.as_deref());
    out.set_some("context", document.context.as_deref());
    if document.citations {
        out.set("citations", object! {"enabled": true});
    }
    Ok(out)
}

/// A citation that Claude would take back: one of the web has an index that only its issuer knows.
fn citation(citation: &Citation) -> Option<Json> {
    match citation {
        Citation::Document(value) if value.is_object() => Some(value.clone()),
        _ => None,
    }
}

fn thinking(cx: &mut Cx<'_>, part: &Reasoning) -> Option<Json> {
    let own = part.signature.as_ref().filter(|proof| cx.to.owns(&proof.origin));
    let Some(proof) = own else {
        cx.foreign_reasoning();
        return None;
    };
    cx.back.signed = true;
    let data = proof.data.as_str();
    Some(if part.redacted {
        object! {"type": "redacted_thinking", "data": data}
    } else {
        object! {"type": "thinking", "thinking": part.text.as_str(), "signature": data}
    })
}
