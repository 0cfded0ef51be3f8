//! The blocks of a messages request, decoded to parts.

use crate::{
    neutral::{Call, CallKind, Citation, Document, Media, Part, Request, Source, ToolResult},
    protocol::{
        DecodeError,
        chat::parts::thinking_block,
        fields::{Fields, by_extension},
    },
    tree::Json,
};

/// Decodes an array of blocks.
pub(super) fn list(
    items: Vec<Json>,
    path: &str,
    request: &mut Request,
) -> Result<Vec<Part>, DecodeError> {
    let mut parts = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        block(Fields::new(item, format!("{path}[{at}]")), request, &mut parts)?;
    }
    Ok(parts)
}

fn block(
    mut fields: Fields,
    request: &mut Request,
    parts: &mut Vec<Part>,
) -> Result<(), DecodeError> {
    let kind = fields.string("type")?.unwrap_or_default();
    let cache = fields.some("cache_control");
    match kind.as_str() {
        "text" => {
            let text = fields.string("text")?;
            let citations = fields.array("citations")?.iter().map(citation).collect();
            parts.push(Part::Text {
                text: text.ok_or_else(|| fields.wrong("text", "is missing."))?,
                citations,
                signature: None,
            });
        }
        "image" => parts.push(image(&mut fields)?),
        "document" => parts.push(document(&mut fields)?),
        "search_result" => {
            let content = fields.array("content")?;
            let texts: Vec<&str> = content.iter().map(|c| c.get("text").text()).collect();
            parts.push(Part::Search {
                title: fields.string("title")?.unwrap_or_default(),
                source: fields.string("source")?.unwrap_or_default(),
                text: texts.join("\n"),
                citations: fields.take("citations").get("enabled").is_true(),
            });
        }
        "thinking" | "redacted_thinking" => {
            let mut whole = Json::empty().with("type", kind);
            for name in ["thinking", "signature", "data"] {
                whole.set_some(name, fields.string(name)?);
            }
            // A signature that is empty is one that we wrote for want of one.
            if !whole.get("signature").filled() {
                whole.take("signature");
            }
            parts.push(thinking_block(&whole));
        }
        "tool_use" => {
            fields.take("caller");
            parts.push(Part::Call(Call {
                id: fields.string("id")?.unwrap_or_default(),
                name: fields.string("name")?.ok_or_else(|| fields.wrong("name", "is missing."))?,
                namespace: None,
                arguments: match fields.take("input") {
                    Json::Null => "{}".to_owned(),
                    Json::String(text) => text,
                    input => input.to_text(),
                },
                kind: CallKind::Function,
                signature: None,
            }));
        }
        "tool_result" => {
            let content = match fields.take("content") {
                Json::Null => Vec::new(),
                Json::String(text) if text.is_empty() => Vec::new(),
                Json::String(text) => vec![Part::text(text)],
                Json::Array(items) => list(items, &fields.path("content"), request)?,
                _ => return Err(fields.wrong("content", "must be a string or blocks.")),
            };
            parts.push(Part::Result(ToolResult {
                id: fields.string("tool_use_id")?.unwrap_or_default(),
                error: fields.bool("is_error")?.unwrap_or(false),
                kind: CallKind::Function,
                parts: content,
            }));
        }
        "container_upload" => {
            let id = fields.string("file_id")?.unwrap_or_default();
            parts.push(Part::File { field: "file_id", id });
        }
        "" => return Err(fields.wrong("type", "is missing.")),
        _ => {
            parts.push(Part::Hosted(fields.whole().with("type", kind)));
            return Ok(());
        }
    }
    if let Some(cache) = cache {
        parts.push(Part::Cache(cache.get("ttl").str().map(str::to_owned)));
    }
    fields.rest(request);
    Ok(())
}

fn image(fields: &mut Fields) -> Result<Part, DecodeError> {
    let inner = fields.object("source")?;
    let mut source = inner.ok_or_else(|| fields.wrong("source", "is missing."))?;
    let kind = source.string("type")?.unwrap_or_default();
    let media_type = source.string("media_type")?;
    let (place, media_type) = match kind.as_str() {
        "base64" => (Source::Base64(source.string("data")?.unwrap_or_default()), media_type),
        "url" => {
            let url = source.string("url")?.unwrap_or_default();
            let named = by_extension(&url).map(str::to_owned);
            (Source::Url(url), media_type.or(named))
        }
        "file" => {
            let id = source.string("file_id")?.unwrap_or_default();
            return Ok(Part::File { field: "source.file_id", id });
        }
        _ => return Err(source.wrong("type", "must be base64, url or file.")),
    };
    let media_type = media_type.unwrap_or_default();
    Ok(Part::Image(Media { source: place, media_type, detail: None }))
}

fn document(fields: &mut Fields) -> Result<Part, DecodeError> {
    let inner = fields.object("source")?;
    let mut source = inner.ok_or_else(|| fields.wrong("source", "is missing."))?;
    let mut document = Document {
        source: None,
        text: None,
        media_type: source.string("media_type")?.unwrap_or_default(),
        title: fields.string("title")?,
        context: fields.string("context")?,
        citations: fields.take("citations").get("enabled").is_true(),
    };
    match source.string("type")?.unwrap_or_default().as_str() {
        "base64" => {
            document.source = Some(Source::Base64(source.string("data")?.unwrap_or_default()));
        }
        "text" => {
            document.text = source.string("data")?;
            "text/plain".clone_into(&mut document.media_type);
        }
        "content" => {
            let content = match source.take("content") {
                Json::String(text) => text,
                items => {
                    let texts = items.items().iter().map(|i| i.get("text").text());
                    texts.collect::<Vec<_>>().join("\n")
                }
            };
            document.text = Some(content);
            "text/plain".clone_into(&mut document.media_type);
        }
        "url" => {
            "application/pdf".clone_into(&mut document.media_type);
            document.source = Some(Source::Url(source.string("url")?.unwrap_or_default()));
        }
        "file" => {
            let id = source.string("file_id")?.unwrap_or_default();
            return Ok(Part::File { field: "source.file_id", id });
        }
        _ => return Err(source.wrong("type", "must be base64, text, content, url or file.")),
    }
    Ok(Part::Document(document))
}

/// A citation, of the web or of a document.
pub(crate) fn citation(value: &Json) -> Citation {
    match value.get("url").str() {
        Some(url) if value.get("type").text() == "web_search_result_location" => Citation::Url {
            url: url.to_owned(),
            title: value.get("title").text().to_owned(),
            quote: value.get("cited_text").text().to_owned(),
            start: None,
            end: None,
        },
        _ => Citation::Document(value.clone()),
    }
}
