//! The messages of a chat request.

use std::borrow::Cow;

use routing::Capability;

use super::super::{
    common,
    cx::Cx,
    history::{self, Shape, Side, Turn},
};
use crate::{
    neutral::{CallKind, Document, Part, Source, ToolResult},
    origin::{Maker, Origin},
    rules::{Field, Refusal},
    tree::{Json, object},
};

/// Encodes the conversation. Gives the messages, and whether calls stand there without the thought
/// that the server wants back with them.
pub(super) fn encode(cx: &mut Cx<'_>) -> Result<(Vec<Json>, bool), Refusal> {
    let quirks = cx.to.quirks;
    let strict = quirks.is_some_and(|q| q.alternate);
    let shape = Shape {
        late_system: quirks.is_none_or(|q| !q.system_first),
        careful: false,
        merge: strict,
        user_first: strict,
        blanks_go: false,
    };
    let (system, turns) = history::turns(cx, shape);
    let mut out = Vec::new();
    if !system.is_empty() {
        let parts: Vec<Cow<'_, Part>> = system.into_iter().map(Cow::Borrowed).collect();
        out.push(object! {"role": "system", "content": system_content(cx, &parts)});
    }
    let mut bare = false;
    let last = turns.len();
    for (at, turn) in turns.iter().enumerate() {
        match turn.side {
            Side::System => {
                let content = system_content(cx, &turn.parts);
                out.push(object! {"role": "system", "content": content});
            }
            Side::User => {
                gap(cx, &mut out);
                let content = content(cx, &turn.parts)?;
                let mut message = object! {"role": "user", "content": content};
                name(cx, turn, &mut message);
                out.push(message);
            }
            Side::Assistant => {
                let mut message = assistant(cx, turn, &mut bare)?;
                name(cx, turn, &mut message);
                if let Some(mark) = quirks.and_then(|q| q.prefill)
                    && at + 1 == last
                    && !message.has("tool_calls")
                {
                    message.set(mark, true);
                }
                out.push(message);
            }
            Side::Tool => results(cx, turn, &turns[..at], &mut out)?,
        }
    }
    Ok((out, bare))
}

/// Where no user may follow a tool, an assistant says something between.
fn gap(cx: &mut Cx<'_>, out: &mut Vec<Json>) {
    let refused = cx.to.quirks.is_some_and(|q| q.no_user_after_tool);
    if refused && out.last().is_some_and(|last| last.get("role").text() == "tool") {
        cx.adapt(Field::Order, "An assistant `OK.` stands between tool and user.");
        out.push(object! {"role": "assistant", "content": "OK."});
    }
}

fn name(cx: &mut Cx<'_>, turn: &Turn<'_>, message: &mut Json) {
    let Some(name) = turn.name else { return };
    if cx.to.quirks.is_some_and(|q| q.drops(Field::Name)) {
        cx.drop(Field::Name, "This server refuses it.");
    } else {
        message.set("name", name);
    }
}

/// The system's text; with breakpoints of a prompt cache where the server knows them.
fn system_content(cx: &mut Cx<'_>, parts: &[Cow<'_, Part>]) -> Json {
    let cached = parts.iter().any(|p| matches!(**p, Part::Cache(_)));
    if cached && cx.to.quirks.is_some_and(|q| q.cache_control) {
        let mut out: Vec<Json> = Vec::new();
        for part in parts {
            match &**part {
                Part::Text { text, .. } => {
                    out.push(object! {"type": "text", "text": text.as_str()});
                }
                Part::Cache(ttl) => breakpoint(out.last_mut(), ttl.as_deref()),
                _ => {}
            }
        }
        return Json::Array(out);
    }
    if cached {
        cx.drop(Field::CacheControl, "This provider cuts its prompt cache by itself.");
    }
    Json::String(common::joined(parts.iter().map(|part| &**part)))
}

fn breakpoint(last: Option<&mut Json>, ttl: Option<&str>) {
    if let Some(last) = last {
        let value = object! {"type": "ephemeral"}.with_some("ttl", ttl);
        last.set("cache_control", value);
    }
}

/// A user's content: a string where it is one text, else parts.
fn content(cx: &mut Cx<'_>, parts: &[Cow<'_, Part>]) -> Result<Json, Refusal> {
    if let [one] = parts
        && let Part::Text { text, .. } = &**one
    {
        return Ok(Json::from(text));
    }
    let mut out: Vec<Json> = Vec::new();
    for part in parts {
        match &**part {
            Part::Cache(ttl) if cx.to.quirks.is_some_and(|q| q.cache_control) => {
                breakpoint(out.last_mut(), ttl.as_deref());
            }
            Part::Cache(_) => {
                cx.drop(Field::CacheControl, "This provider cuts its prompt cache by itself.");
            }
            part => out.extend(user_part(cx, part)?),
        }
    }
    Ok(Json::Array(out))
}

fn text(text: &str) -> Json {
    object! {"type": "text", "text": text}
}

fn user_part(cx: &mut Cx<'_>, part: &Part) -> Result<Option<Json>, Refusal> {
    let compatible = cx.to.quirks.is_some();
    Ok(match part {
        Part::Text { text: said, .. } | Part::Refusal(said) => Some(text(said)),
        Part::Image(media) => {
            let inner = object! {"url": &*common::url_of(media)}
                .with_some("detail", media.detail.as_deref());
            Some(object! {"type": "image_url", "image_url": inner})
        }
        Part::Audio(media) => {
            if compatible && !common::has(cx, Capability::Audio) {
                return Err(cx.refuse(Field::InputAudio, "The model is not known to hear."));
            }
            let Source::Base64(data) = &media.source else { return Ok(None) };
            let format = media.media_type.trim_start_matches("audio/");
            let inner = object! {"data": data.as_str(), "format": format};
            Some(object! {"type": "input_audio", "input_audio": inner})
        }
        Part::Document(document) => Some(file(cx, document)?),
        Part::Search { .. } => common::search_text(cx, part).map(|said| text(&said)),
        other => {
            cx.foreign(other)?;
            None
        }
    })
}

fn file(cx: &mut Cx<'_>, document: &Document) -> Result<Json, Refusal> {
    if document.citations {
        cx.drop(Field::Citations, "This provider does not cite documents.");
    }
    if let Some(said) = common::document_text(cx, document) {
        return Ok(text(&said));
    }
    match &document.source {
        Some(Source::Base64(data)) => {
            let pdf = document.media_type == "application/pdf";
            if cx.to.quirks.is_some() && !(pdf && common::has(cx, Capability::Documents)) {
                let why = "The model is not known to read documents of this kind.";
                return Err(cx.refuse(Field::FileData, why));
            }
            let url = format!("data:{};base64,{data}", document.media_type);
            let name = document.title.as_deref().unwrap_or("document");
            let inner = object! {"filename": name, "file_data": url};
            Ok(object! {"type": "file", "file": inner})
        }
        _ => Err(cx.refuse(Field::FileUrl, "Documents are taken as bytes only.")),
    }
}

fn assistant(cx: &mut Cx<'_>, turn: &Turn<'_>, bare: &mut bool) -> Result<Json, Refusal> {
    let quirks = cx.to.quirks;
    let mut said: Vec<&str> = Vec::new();
    let mut refusal = String::new();
    let mut thought = String::new();
    let mut calls = Vec::new();
    let mut audio = None;
    for part in &turn.parts {
        match &**part {
            Part::Text { text, citations, .. } => {
                if !citations.is_empty() {
                    cx.drop(Field::Citations, "Citations of the history say nothing here.");
                }
                said.push(text);
            }
            Part::Refusal(text) if quirks.is_none() => refusal.push_str(text),
            Part::Refusal(text) => said.push(text),
            Part::Reasoning(part) => thought.push_str(&part.text),
            Part::Call(call) => {
                let custom = call.kind == CallKind::Custom;
                let name = cx.name(&call.name, call.namespace.as_deref(), custom);
                let id = cx.id(&call.id);
                let mut item = object! {"id": id};
                if custom && quirks.is_none() {
                    item.set("type", "custom");
                    let inner = object! {"name": name, "input": call.arguments.as_str()};
                    item.set("custom", inner);
                } else {
                    let arguments = if custom {
                        common::custom_input(&call.arguments).to_text()
                    } else if call.arguments.is_empty() {
                        "{}".to_owned()
                    } else if quirks.is_some_and(|q| q.parses_arguments)
                        && !Json::parse(call.arguments.as_bytes()).is_ok_and(|a| a.is_object())
                    {
                        cx.arguments(&call.arguments).to_text()
                    } else {
                        call.arguments.clone()
                    };
                    item.set("type", "function");
                    item.set("function", object! {"name": name, "arguments": arguments});
                }
                let own = call.signature.as_ref().filter(|proof| {
                    quirks.is_some_and(|q| q.name == "gemini")
                        && (proof.origin == Origin::Tag(cx.to.tag())
                            || proof.origin == Origin::Maker(Maker::Gemini))
                });
                if let Some(proof) = own {
                    let google = object! {"thought_signature": proof.data.as_str()};
                    item.set("extra_content", object! {"google": google});
                    cx.back.signed = true;
                }
                calls.push(item);
            }
            Part::Audio(media) => {
                // An answer's sound is named by an id, which lives at its provider.
                match &media.source {
                    Source::Url(id) if quirks.is_none() && cx.to.bound => {
                        audio = Some(object! {"id": id.as_str()});
                    }
                    _ if quirks.is_some() => {
                        cx.drop(Field::AudioReply, "The sound of an answer lives at its provider.");
                    }
                    _ => return Err(cx.not_portable(Field::AudioReply)),
                }
            }
            Part::Cache(_)
            | Part::Image(_)
            | Part::Document(_)
            | Part::Search { .. }
            | Part::Result(_) => {}
            other => cx.foreign(other)?,
        }
    }
    let text = said.concat();
    let content = if text.is_empty() && !(calls.is_empty() && refusal.is_empty()) {
        Json::Null
    } else {
        Json::String(text)
    };
    let mut message = object! {"role": "assistant", "content": content};
    if !refusal.is_empty() {
        message.set("refusal", refusal);
    }
    message.set_some("audio", audio);
    let wanted = quirks.is_some_and(|q| q.returns_reasoning);
    if wanted && !calls.is_empty() {
        // Any thought that we have, from whichever model; without one it does not think.
        *bare |= thought.is_empty();
        let thought = if thought.is_empty() { " ".to_owned() } else { thought };
        message.set("reasoning_content", thought);
    } else if !thought.is_empty() {
        cx.drop(Field::Reasoning, "Thoughts of the history are not sent to this provider.");
    }
    if !calls.is_empty() {
        message.set("tool_calls", calls);
    }
    Ok(message)
}

fn results(
    cx: &mut Cx<'_>,
    turn: &Turn<'_>,
    before: &[Turn<'_>],
    out: &mut Vec<Json>,
) -> Result<(), Refusal> {
    let mut media = Vec::new();
    for part in &turn.parts {
        let Part::Result(result) = &**part else { continue };
        let (mut text, mut rest) = common::split_result(cx, result);
        if result.error && !text.starts_with("error: ") {
            cx.adapt(Field::ResultError, "Marked by a text prefix `error: `.");
            text.insert_str(0, "error: ");
        }
        let id = cx.id(&result.id);
        let mut message = object! {"role": "tool", "tool_call_id": id, "content": text};
        if cx.to.quirks.is_some_and(|q| q.tool_names) {
            let name = called(before, result);
            message.set_some("name", name.map(|name| cx.chosen(name)));
        }
        out.push(message);
        media.append(&mut rest);
    }
    if !media.is_empty() {
        cx.adapt(Field::ResultMedia, "Sent as a user message after the results.");
        let parts: Vec<Cow<'_, Part>> = media.into_iter().map(Cow::Owned).collect();
        let content = content(cx, &parts)?;
        gap(cx, out);
        out.push(object! {"role": "user", "content": content});
    }
    Ok(())
}

/// The name of the tool whose result this is.
fn called<'t>(before: &'t [Turn<'_>], result: &ToolResult) -> Option<&'t str> {
    before.iter().rev().flat_map(|turn| &turn.parts).find_map(|part| match &**part {
        Part::Call(call) if call.id == result.id => Some(call.name.as_str()),
        _ => None,
    })
}
