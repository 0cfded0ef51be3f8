//! The messages of Converse, in blocks.

use std::borrow::Cow;

use routing::Capability;

use super::super::{
    claude::image_format,
    common,
    cx::Cx,
    history::{Side, Turn},
};
use crate::{
    neutral::{CallKind, Citation, Document, Media, Part, Source},
    rules::{Field, Refusal},
    tree::{Json, object},
};

/// A place where a prompt cache may be cut.
pub(super) fn cache_point(ttl: Option<&str>) -> Json {
    let point = object! {"type": "default"};
    let ttl = ttl.filter(|ttl| matches!(*ttl, "5m" | "1h"));
    object! {"cachePoint": point.with_some("ttl", ttl)}
}

/// The system's blocks.
pub(super) fn system(parts: &[&Part]) -> Vec<Json> {
    let mut out = Vec::new();
    for part in parts {
        match part {
            Part::Text { text, .. } if !text.trim().is_empty() => {
                out.push(object! {"text": text.as_str()});
            }
            Part::Cache(ttl) if !out.is_empty() => out.push(cache_point(ttl.as_deref())),
            _ => {}
        }
    }
    out
}

/// Encodes the turns. `flat`: calls and results become text.
pub(super) fn messages(
    cx: &mut Cx<'_>,
    turns: &[Turn<'_>],
    flat: bool,
) -> Result<Vec<Json>, Refusal> {
    let mut out: Vec<(&'static str, Vec<Json>)> = Vec::new();
    let mut names = Names::default();
    for turn in turns {
        if turn.name.is_some() {
            cx.drop(Field::Name, "Messages have no names here.");
        }
        let assistant = turn.side == Side::Assistant;
        let role = if assistant { "assistant" } else { "user" };
        let mut content = blocks(cx, &turn.parts, &mut names, flat)?;
        match out.last_mut() {
            Some((before, blocks)) if *before == role => blocks.append(&mut content),
            _ => out.push((role, content)),
        }
    }
    if let Some(("assistant", content)) = out.last_mut()
        && let Some(last) = content.last_mut()
        && let Some(text) = last.get("text").str()
        && text.trim_end().len() < text.len()
    {
        let text = text.trim_end().to_owned();
        last.set("text", text);
        cx.adapt(Field::Prefill, "White space at the end is cut.");
    }
    let filled = out.into_iter().filter(|(_, content)| !content.is_empty());
    Ok(filled.map(|(role, content)| object! {"role": role, "content": content}).collect())
}

/// The names of documents, which must differ within a request.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    /// A name of the alphabet that documents may have: letters, digits, single spaces, hyphens,
    /// brackets.
    fn fit(&mut self, title: &str) -> String {
        let mut name = String::new();
        for c in title.chars() {
            let c = if c.is_ascii_alphanumeric() || "-()[]".contains(c) { c } else { ' ' };
            if !(c == ' ' && name.ends_with(' ')) {
                name.push(c);
            }
        }
        let mut name = name.trim().to_owned();
        if name.is_empty() {
            name.push_str("document");
        }
        name.truncate(190);
        let mut unique = name.clone();
        let mut ordinal = 2;
        while self.0.contains(&unique) {
            unique = format!("{name} ({ordinal})");
            ordinal += 1;
        }
        self.0.push(unique.clone());
        unique
    }
}

fn blocks(
    cx: &mut Cx<'_>,
    parts: &[Cow<'_, Part>],
    names: &mut Names,
    flat: bool,
) -> Result<Vec<Json>, Refusal> {
    let mut out: Vec<Json> = Vec::new();
    for part in parts {
        match &**part {
            Part::Text { text, citations, .. } => {
                if text.trim().is_empty() {
                    continue;
                }
                let cited: Vec<Json> = citations.iter().filter_map(citation).collect();
                if cited.is_empty() {
                    out.push(object! {"text": text.as_str()});
                } else {
                    let content = vec![object! {"text": text.as_str()}];
                    out.push(object! {
                        "citationsContent": object! {"content": content, "citations": cited},
                    });
                }
            }
            Part::Refusal(text) => out.push(object! {"text": text.as_str()}),
            Part::Image(media) => out.push(image(cx, media)?),
            Part::Audio(media) => out.extend(audio(cx, media)?),
            Part::Document(one) => out.push(document(cx, one, names)?),
            Part::Search { title, source, text, citations } => {
                let content = vec![object! {"text": text.as_str()}];
                out.push(object! {"searchResult": object! {
                    "title": title.as_str(), "source": source.as_str(), "content": content,
                    "citations": object! {"enabled": *citations},
                }});
            }
            Part::Reasoning(part) => {
                let own = part.signature.as_ref().filter(|proof| cx.to.owns(&proof.origin));
                let Some(proof) = own else {
                    cx.foreign_reasoning();
                    continue;
                };
                cx.back.signed = true;
                let data = proof.data.as_str();
                let inner = if part.redacted {
                    object! {"redactedContent": data}
                } else {
                    let text = object! {"text": part.text.as_str(), "signature": data};
                    object! {"reasoningText": text}
                };
                out.push(object! {"reasoningContent": inner});
            }
            Part::Call(call) => {
                let custom = call.kind == CallKind::Custom;
                if flat {
                    let text = format!("Called the tool {}: {}", call.name, call.arguments);
                    cx.back.seen.insert(call.id.clone());
                    out.push(object! {"text": text});
                    continue;
                }
                let name = cx.name(&call.name, call.namespace.as_deref(), custom);
                let id = cx.id(&call.id);
                let input = if custom {
                    common::custom_input(&call.arguments)
                } else {
                    cx.arguments(&call.arguments)
                };
                out.push(object! {"toolUse": object! {
                    "toolUseId": id, "name": name, "input": input,
                }});
            }
            Part::Result(result) => {
                if flat {
                    let (text, media) = common::split_result(cx, result);
                    let mark = if result.error { "error: " } else { "" };
                    out.push(object! {"text": format!("Result of the tool call: {mark}{text}")});
                    let media: Vec<Cow<'_, Part>> = media.into_iter().map(Cow::Owned).collect();
                    out.extend(blocks(cx, &media, names, flat)?);
                    continue;
                }
                let id = cx.id(&result.id);
                let inner: Vec<Cow<'_, Part>> = result.parts.iter().map(Cow::Borrowed).collect();
                let mut content = blocks(cx, &inner, names, flat)?;
                if content.is_empty() {
                    cx.adapt(Field::Blank, "A result without text is sent as `(empty)`.");
                    content.push(object! {"text": "(empty)"});
                }
                let mut inner = object! {"toolUseId": id, "content": content};
                if result.error {
                    inner.set("status", "error");
                }
                out.push(object! {"toolResult": inner});
            }
            Part::Cache(ttl) => {
                if !out.is_empty() {
                    out.push(cache_point(ttl.as_deref()));
                }
            }
            other => cx.foreign(other)?,
        }
    }
    Ok(out)
}

fn image(cx: &mut Cx<'_>, media: &Media) -> Result<Json, Refusal> {
    if media.detail.is_some() {
        cx.drop(Field::Detail, "This provider has no such field.");
    }
    match &media.source {
        Source::Url(_) => {
            let why = "The provider takes bytes only, and the router fetches nothing.";
            Err(cx.refuse(Field::ImageUrl, why))
        }
        Source::Base64(data) => {
            let format = image_format(cx, &media.media_type)?;
            let source = object! {"bytes": data.as_str()};
            Ok(object! {"image": object! {"format": format, "source": source}})
        }
    }
}

fn audio(cx: &mut Cx<'_>, media: &Media) -> Result<Option<Json>, Refusal> {
    let Source::Base64(data) = &media.source else {
        cx.drop(Field::AudioReply, "The sound of an answer means nothing here.");
        return Ok(None);
    };
    if !common::has(cx, Capability::Audio) {
        return Err(cx.refuse(Field::InputAudio, "The model is not known to hear."));
    }
    let format = media.media_type.trim_start_matches("audio/");
    let source = object! {"bytes": data.as_str()};
    Ok(Some(object! {"audio": object! {"format": format, "source": source}}))
}

fn document(cx: &mut Cx<'_>, document: &Document, names: &mut Names) -> Result<Json, Refusal> {
    let format = match document.media_type.as_str() {
        "application/pdf" => "pdf",
        "text/csv" => "csv",
        "application/msword" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.ms-excel" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        "text/html" => "html",
        "text/plain" => "txt",
        "text/markdown" => "md",
        other => {
            let why = format!("Documents of type `{other}` are not taken.");
            return Err(cx.refuse(Field::FileData, why));
        }
    };
    let source = match (&document.source, &document.text) {
        (_, Some(text)) => object! {"text": text.as_str()},
        (Some(Source::Base64(data)), None) => object! {"bytes": data.as_str()},
        _ => {
            let why = "The provider takes bytes only, and the router fetches nothing.";
            return Err(cx.refuse(Field::FileUrl, why));
        }
    };
    let title = document.title.as_deref().unwrap_or("document");
    let name = names.fit(title);
    if name != title && document.title.is_some() {
        cx.adapt(Field::FileData, format!("The name is sent as `{name}`."));
    }
    let mut inner = object! {"format": format, "name": name, "source": source};
    inner.set_some("context", document.context.as_deref());
    if document.citations {
        inner.set("citations", object! {"enabled": true});
    }
    Ok(object! {"document": inner})
}

/// A citation of the history, where it is complete.
fn citation(citation: &Citation) -> Option<Json> {
    match citation {
        Citation::Url { url, title, quote, .. } => {
            let content = vec![object! {"text": quote.as_str()}];
            Some(object! {
                "title": title.as_str(), "sourceContent": content,
                "location": object! {"web": object! {"url": url.as_str()}},
            })
        }
        Citation::Document(value) => {
            let (name, start, end) = match value.get("type").text() {
                "char_location" => ("documentChar", "start_char_index", "end_char_index"),
                "page_location" => ("documentPage", "start_page_number", "end_page_number"),
                "content_block_location" => {
                    ("documentChunk", "start_block_index", "end_block_index")
                }
                _ => return None,
            };
            let place = object! {
                "documentIndex": value.get("document_index").u64()?,
                "start": value.get(start).u64()?,
                "end": value.get(end).u64()?,
            };
            let content = vec![object! {"text": value.get("cited_text")}];
            Some(object! {
                "title": value.get("document_title").text(), "sourceContent": content,
                "location": Json::empty().with(name, place),
            })
        }
    }
}

/// Of the points where a prompt cache may be cut the last four stay.
pub(super) fn last_four(cx: &mut Cx<'_>, body: &mut Json) {
    fn walk(value: &mut Json, seen: &mut usize, drop: usize) {
        match value {
            Json::Array(items) => {
                items.retain(|item| {
                    if !item.has("cachePoint") {
                        return true;
                    }
                    *seen += 1;
                    *seen > drop
                });
                for item in items {
                    walk(item, seen, drop);
                }
            }
            Json::Object(members) => {
                let places = members
                    .iter_mut()
                    .filter(|(name, _)| matches!(name.as_str(), "tools" | "content"));
                for (_, value) in places {
                    walk(value, seen, drop);
                }
            }
            _ => {}
        }
    }
    common::last_breakpoints(cx, body, ["toolConfig", "system", "messages"], walk);
}
