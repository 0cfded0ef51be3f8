//! The tools of a chat request, and which of them may be called.

use super::super::{
    common,
    cx::Cx,
    quirks::{ChoiceForms, Quirks},
};
use crate::{
    neutral::{Choose, Tool, ToolKind},
    rules::{Field, Refusal},
    schema::{self, Subset},
    tree::{Json, object},
};

/// Tools and their choice. Gives whether thinking must be off for it.
pub(super) fn encode(cx: &mut Cx<'_>, body: &mut Json) -> Result<bool, Refusal> {
    let quirks = cx.to.quirks;
    let request = cx.request;
    if request.tools.is_empty() {
        return Ok(false);
    }
    if quirks.is_some_and(|q| q.refuses(Field::Tools)) {
        return Err(cx.refuse(Field::Tools, "This server takes no tools."));
    }
    let listed = quirks.is_none() && matches!(request.choose, Some(Choose::Of(..)));
    let (tools, choice) = if listed {
        (request.tools.iter().collect(), request.choose.clone())
    } else {
        common::only_allowed(cx)
    };
    let mut out = Vec::new();
    for one in tools {
        out.push(tool(cx, one)?);
    }
    body.set("tools", out);
    let mut off = false;
    match choice {
        None | Some(Choose::Auto) => {}
        Some(Choose::None) => body.set("tool_choice", "none"),
        Some(choice) => off = forced(cx, body, choice, quirks)?,
    }
    let asked = quirks.is_some_and(|q| q.parallel_asked);
    match request.parallel {
        Some(false) if quirks.is_some_and(|q| q.drops(Field::Parallel)) => {
            cx.drop(Field::Parallel, "This server refuses it.");
        }
        Some(false) => body.set("parallel_tool_calls", false),
        _ if asked => body.set("parallel_tool_calls", true),
        _ => {}
    }
    Ok(off)
}

fn forced(
    cx: &mut Cx<'_>,
    body: &mut Json,
    choice: Choose,
    quirks: Option<&Quirks>,
) -> Result<bool, Refusal> {
    let value = match choice {
        Choose::Any => match quirks.map(|q| q.choice) {
            Some(ChoiceForms::Any) => "any".into(),
            Some(ChoiceForms::RequiredAsAuto) => {
                cx.adapt(Field::ToolChoice, "Sent as auto: the server refuses required.");
                "auto".into()
            }
            _ => Json::from("required"),
        },
        Choose::One(name) => named(cx, &name),
        Choose::Of(names, must) => {
            let tools: Json = names.iter().map(|name| named(cx, name)).collect();
            let mode = if must { "required" } else { "auto" };
            object! {
                "type": "allowed_tools",
                "allowed_tools": object! {"mode": mode, "tools": tools},
            }
        }
        Choose::Auto | Choose::None => return Ok(false),
    };
    if quirks.is_some_and(|q| q.choice == ChoiceForms::AutoNone) {
        return Err(cx.refuse(Field::ToolChoice, "This server takes only auto and none."));
    }
    body.set("tool_choice", value);
    let off = quirks.is_some_and(|q| q.choice == ChoiceForms::NotThinking);
    if off {
        cx.adapt(Field::ThinkingOff, "This server forces no tool while it thinks.");
    }
    Ok(off)
}

/// A tool by its name: a custom one is one only at OpenAI.
fn named(cx: &mut Cx<'_>, name: &str) -> Json {
    let custom = cx.to.quirks.is_none() && cx.is_custom(name);
    let kind = if custom { "custom" } else { "function" };
    let name = cx.chosen(name);
    object! {"type": kind}.with(kind, object! {"name": name})
}

fn tool(cx: &mut Cx<'_>, tool: &Tool) -> Result<Json, Refusal> {
    let quirks = cx.to.quirks;
    if tool.cache.is_some() {
        cx.drop(Field::CacheControl, "This provider cuts its prompt cache by itself.");
    }
    let custom = matches!(tool.kind, ToolKind::Custom(_));
    let name = cx.name(&tool.name, tool.namespace.as_deref(), custom);
    if let (ToolKind::Custom(format), None) = (&tool.kind, quirks) {
        let mut inner = object! {"name": name};
        if !tool.description.is_empty() {
            inner.set("description", tool.description.as_str());
        }
        inner.set_some("format", grammar(format));
        return Ok(object! {"type": "custom", "custom": inner});
    }
    let mut parameters = cx.input_schema(tool)?;
    let mut strict = tool.strict;
    if strict == Some(true) {
        match quirks {
            Some(quirks) if !quirks.strict => {
                cx.drop(Field::Strict, "This server refuses it.");
                strict = None;
            }
            Some(_) => {}
            None => match schema::fit(&parameters, Subset::OpenAi) {
                Ok(fitted) if fitted.strict => {
                    common::strict_as(cx, &fitted.adapted);
                    parameters = fitted.schema;
                }
                _ => {
                    cx.adapt(Field::Strict, "The schema is beyond the strict subset: not strict.");
                    strict = Some(false);
                }
            },
        }
    }
    let mut inner = object! {"name": name};
    if !tool.description.is_empty() {
        inner.set("description", tool.description.as_str());
    }
    inner.set("parameters", parameters);
    inner.set_some("strict", strict.filter(|_| quirks.is_none_or(|q| q.strict)));
    Ok(object! {"type": "function", "function": inner})
}

/// A custom tool's format: Responses has its grammar flat.
fn grammar(format: &Json) -> Option<Json> {
    if !format.filled() {
        return None;
    }
    if format.get("type").text() == "grammar" && !format.has("grammar") {
        let inner = object! {
            "syntax": format.get("syntax"), "definition": format.get("definition"),
        };
        return Some(object! {"type": "grammar", "grammar": inner});
    }
    Some(format.clone())
}
