//! Tools of a responses request, and which of them may be called.

use crate::{
    neutral::{Choose, Request, Tool, ToolKind},
    protocol::{DecodeError, fields::Fields},
    tree::Json,
};

/// Decodes `tools` and `tool_choice`.
pub(super) fn decode(fields: &mut Fields, request: &mut Request) -> Result<(), DecodeError> {
    for (at, item) in fields.array("tools")?.into_iter().enumerate() {
        tool(Fields::new(item, format!("tools[{at}]")), None, request)?;
    }
    request.choose = choose(fields)?;
    Ok(())
}

/// Decodes a tool, or a namespace of them, onto the request.
pub(super) fn tool(
    mut fields: Fields,
    namespace: Option<&str>,
    request: &mut Request,
) -> Result<(), DecodeError> {
    let kind = fields.string("type")?.unwrap_or_default();
    let name = fields.string("name")?;
    let namespace = namespace.map(str::to_owned);
    match kind.as_str() {
        "function" => request.tools.push(Tool {
            name: name.ok_or_else(|| fields.wrong("name", "is missing."))?,
            namespace,
            description: fields.string("description")?.unwrap_or_default(),
            kind: ToolKind::Function(fields.take("parameters")),
            strict: fields.bool("strict")?,
            cache: None,
        }),
        "custom" => request.tools.push(Tool {
            name: name.ok_or_else(|| fields.wrong("name", "is missing."))?,
            namespace,
            description: fields.string("description")?.unwrap_or_default(),
            kind: ToolKind::Custom(fields.take("format")),
            strict: None,
            cache: None,
        }),
        "namespace" => {
            let space = name.ok_or_else(|| fields.wrong("name", "is missing."))?;
            fields.take("description");
            for (at, item) in fields.array("tools")?.into_iter().enumerate() {
                let path = fields.path(&format!("tools[{at}]"));
                tool(Fields::new(item, path), Some(&space), request)?;
            }
        }
        "" => return Err(fields.wrong("type", "is missing.")),
        _ => {
            let mut whole = fields.whole();
            whole.set("type", kind.as_str());
            whole.set_some("name", name.as_deref());
            request.tools.push(Tool {
                name: name.unwrap_or(kind),
                namespace,
                description: String::new(),
                kind: ToolKind::Hosted(whole),
                strict: None,
                cache: None,
            });
            return Ok(());
        }
    }
    fields.rest(request);
    Ok(())
}

fn choose(fields: &mut Fields) -> Result<Option<Choose>, DecodeError> {
    const WRONG: &str = "must be none, auto, required, or name a tool.";
    let value = fields.take("tool_choice");
    let name = |value: &Json| {
        let kind = value.get("type").str();
        value.get("name").str().or(kind).map(str::to_owned)
    };
    Ok(Some(match &value {
        Json::Null => return Ok(None),
        Json::String(word) => match word.as_str() {
            "none" => Choose::None,
            "auto" => Choose::Auto,
            "required" => Choose::Any,
            _ => return Err(fields.wrong("tool_choice", WRONG)),
        },
        Json::Object(_) if value.get("type").text() == "allowed_tools" => {
            let tools = value.get("tools").items().iter().filter_map(name).collect();
            Choose::Of(tools, value.get("mode").text() == "required")
        }
        value => Choose::One(name(value).ok_or_else(|| fields.wrong("tool_choice", WRONG))?),
    }))
}
