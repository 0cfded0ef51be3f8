//! The contents of generateContent.

use std::borrow::Cow;

use super::super::{
    common,
    cx::Cx,
    history::{Side, Turn},
};
use crate::{
    family::Gemini,
    ids::is_made,
    neutral::{Call, CallKind, Document, Media, Part, Signature, Source, ToolResult},
    protocol::fields::by_extension,
    rules::{Field, Refusal},
    tree::{Json, object},
};

/// What stands for a signature that is not there, as Google documents it.
const PLACEHOLDER: &str = "skip_thought_signature_validator";

/// The parts of the system instruction.
pub(super) fn system(cx: &mut Cx<'_>, parts: &[&Part]) -> Vec<Json> {
    let mut out = Vec::new();
    for part in parts {
        match part {
            Part::Text { text, .. } if !text.is_empty() => {
                out.push(object! {"text": text.as_str()});
            }
            Part::Cache(_) => {
                cx.drop(Field::CacheControl, "This provider cuts its prompt cache by itself.");
            }
            _ => {}
        }
    }
    out
}

/// Encodes the turns.
pub(super) fn encode(
    cx: &mut Cx<'_>,
    turns: &[Turn<'_>],
    rules: &Gemini,
) -> Result<Vec<Json>, Refusal> {
    let mut out = Vec::new();
    for (at, turn) in turns.iter().enumerate() {
        if turn.name.is_some() {
            cx.drop(Field::Name, "Messages have no names here.");
        }
        let content = |role: &str, parts: Vec<Json>| object! {"role": role, "parts": parts};
        match turn.side {
            Side::User | Side::System => {
                let parts = user(cx, &turn.parts, rules)?;
                if !parts.is_empty() {
                    out.push(content("user", parts));
                }
            }
            Side::Assistant => {
                let parts = model(cx, turn, rules)?;
                if !parts.is_empty() {
                    out.push(content("model", parts));
                }
            }
            Side::Tool => {
                let (responses, media) = results(cx, turn, &turns[..at], rules)?;
                // Alone: anything beside responses is refused.
                out.push(content("user", responses));
                if !media.is_empty() {
                    cx.adapt(Field::ResultMedia, "Sent as a user content after the results.");
                    out.push(content("user", media));
                }
            }
        }
    }
    Ok(out)
}

fn user(cx: &mut Cx<'_>, parts: &[Cow<'_, Part>], rules: &Gemini) -> Result<Vec<Json>, Refusal> {
    let mut out = Vec::new();
    for part in parts {
        match &**part {
            Part::Text { text, .. } | Part::Refusal(text) => {
                if !text.is_empty() {
                    out.push(object! {"text": text.as_str()});
                }
            }
            Part::Image(media) => out.push(image(cx, media, rules)),
            Part::Audio(media) => {
                let Source::Base64(data) = &media.source else {
                    cx.drop(Field::AudioReply, "The sound of an answer means nothing here.");
                    continue;
                };
                out.push(inline(&media.media_type, data));
            }
            Part::Document(one) => out.push(document(cx, one)?),
            Part::Search { .. } => {
                out.extend(common::search_text(cx, part).map(|text| object! {"text": text}));
            }
            Part::Cache(_) => {
                cx.drop(Field::CacheControl, "This provider cuts its prompt cache by itself.");
            }
            other => cx.foreign(other)?,
        }
    }
    Ok(out)
}

fn inline(media_type: &str, data: &str) -> Json {
    object! {"inlineData": object! {"mimeType": media_type, "data": data}}
}

fn image(cx: &mut Cx<'_>, media: &Media, rules: &Gemini) -> Json {
    let mut out = match &media.source {
        Source::Base64(data) => inline(&media.media_type, data),
        Source::Url(url) => {
            let kind = by_extension(url).unwrap_or("image/jpeg");
            object! {"fileData": object! {"mimeType": kind, "fileUri": url.as_str()}}
        }
    };
    if let Some(detail) = &media.detail {
        let level = match detail.as_str() {
            "low" => Some("MEDIA_RESOLUTION_LOW"),
            "medium" => Some("MEDIA_RESOLUTION_MEDIUM"),
            "high" => Some("MEDIA_RESOLUTION_HIGH"),
            _ => None,
        };
        match level.filter(|_| rules.third) {
            Some(level) => out.set("mediaResolution", object! {"level": level}),
            None => cx.drop(Field::Detail, "The model has no such resolution for one image."),
        }
    }
    out
}

fn document(cx: &mut Cx<'_>, document: &Document) -> Result<Json, Refusal> {
    if document.citations {
        cx.drop(Field::Citations, "This provider does not cite documents.");
    }
    if let Some(text) = common::document_text(cx, document) {
        return Ok(object! {"text": text});
    }
    let kind = document.media_type.as_str();
    match &document.source {
        Some(Source::Base64(data)) if kind == "application/pdf" || kind.starts_with("text/") => {
            Ok(inline(kind, data))
        }
        Some(Source::Url(url)) => {
            let kind = if kind.is_empty() { "application/pdf" } else { kind };
            Ok(object! {"fileData": object! {"mimeType": kind, "fileUri": url.as_str()}})
        }
        _ => {
            let why = format!("Documents of type `{kind}` are not taken: PDF and text are.");
            Err(cx.refuse(Field::FileData, why))
        }
    }
}

/// A turn of the model. From Gemini 3 on the first call of each step needs a signature: its own, or
/// the placeholder.
fn model(cx: &mut Cx<'_>, turn: &Turn<'_>, rules: &Gemini) -> Result<Vec<Json>, Refusal> {
    let mut out: Vec<Json> = Vec::new();
    // A signature whose call or text follows: other protocols carry it in a thought.
    let mut pending: Option<&Signature> = None;
    let mut own_call = false;
    let mut first = true;
    for part in &turn.parts {
        match &**part {
            Part::Text { text, citations, signature } => {
                if !citations.is_empty() {
                    cx.drop(Field::Citations, "Citations of the history say nothing here.");
                }
                let proof = own(cx, signature.as_ref()).or(pending.take());
                if text.is_empty() && proof.is_none() {
                    continue;
                }
                let mut part = object! {"text": text.as_str()};
                sign(cx, &mut part, proof.map(|proof| proof.data.as_str()));
                out.push(part);
            }
            Part::Refusal(text) => out.push(object! {"text": text.as_str()}),
            Part::Reasoning(part) => match own(cx, part.signature.as_ref()) {
                Some(proof) => pending = part.signature.as_ref().filter(|s| *s == proof),
                None => cx.foreign_reasoning(),
            },
            Part::Call(call) => {
                let proof = own(cx, call.signature.as_ref()).or(pending.take());
                own_call |= proof.is_some();
                let data = match proof {
                    Some(proof) => Some(proof.data.as_str()),
                    None if rules.third && first => Some(PLACEHOLDER),
                    None => None,
                };
                first = false;
                let mut part = function_call(cx, call, own_call);
                sign(cx, &mut part, data);
                out.push(part);
            }
            Part::Audio(_) => {
                cx.drop(Field::AudioReply, "The sound of an answer means nothing here.");
            }
            Part::Image(media) => out.push(image(cx, media, rules)),
            Part::Cache(_) | Part::Document(_) | Part::Search { .. } | Part::Result(_) => {}
            other => cx.foreign(other)?,
        }
    }
    Ok(out)
}

fn own<'s>(cx: &Cx<'_>, signature: Option<&'s Signature>) -> Option<&'s Signature> {
    signature.filter(|proof| cx.to.owns(&proof.origin))
}

fn sign(cx: &mut Cx<'_>, part: &mut Json, data: Option<&str>) {
    if let Some(data) = data {
        cx.back.signed = true;
        part.set("thoughtSignature", data);
    }
}

fn function_call(cx: &mut Cx<'_>, call: &Call, own: bool) -> Json {
    let custom = call.kind == CallKind::Custom;
    let name = cx.name(&call.name, call.namespace.as_deref(), custom);
    let args =
        if custom { common::custom_input(&call.arguments) } else { cx.arguments(&call.arguments) };
    cx.back.seen.insert(call.id.clone());
    let mut inner = Json::empty();
    // An id goes back only where Gemini gave it.
    if own && !call.id.is_empty() && !is_made(&call.id) {
        cx.own_ids.insert(call.id.clone());
        inner.set("id", call.id.as_str());
    }
    inner.set("name", name);
    inner.set("args", args);
    object! {"functionCall": inner}
}

fn results(
    cx: &mut Cx<'_>,
    turn: &Turn<'_>,
    before: &[Turn<'_>],
    rules: &Gemini,
) -> Result<(Vec<Json>, Vec<Json>), Refusal> {
    let (mut responses, mut after) = (Vec::new(), Vec::new());
    for part in &turn.parts {
        let Part::Result(result) = &**part else { continue };
        let (text, media) = common::split_result(cx, result);
        let key = if result.error { "error" } else { "output" };
        let mut inner = Json::empty();
        if cx.own_ids.contains(&result.id) {
            inner.set("id", result.id.as_str());
        }
        inner.set("name", name_of(cx, before, result));
        inner.set("response", Json::empty().with(key, text));
        let parts: Vec<Cow<'_, Part>> = media.into_iter().map(Cow::Owned).collect();
        let mut media = user(cx, &parts, rules)?;
        if rules.third && !media.is_empty() {
            inner.set("parts", media);
        } else {
            after.append(&mut media);
        }
        responses.push(object! {"functionResponse": inner});
    }
    Ok((responses, after))
}

/// The name of the tool, from its call.
fn name_of(cx: &mut Cx<'_>, before: &[Turn<'_>], result: &ToolResult) -> String {
    let mut parts = before.iter().rev().flat_map(|turn| turn.parts.iter());
    let found = parts.find_map(|part| match &**part {
        Part::Call(call) if call.id == result.id => Some(call),
        _ => None,
    });
    let Some(call) = found else { return "unknown".to_owned() };
    let custom = call.kind == CallKind::Custom;
    cx.name(&call.name, call.namespace.as_deref(), custom)
}
