//! A request, encoded as a responses request. Nothing is stored, and encrypted reasoning is always
//! asked for: who sends the conversation again has all of it.

use super::{
    super::{
        Candidate, Encoded, common,
        cx::Cx,
        openai_chat::request::{openai_effort, strict_schema},
    },
    items,
};
use crate::{
    family::Family,
    ids::{IdRule, NameRule},
    neutral::{Choose, Format, Request, Tool, ToolKind, Wish},
    protocol::Protocol,
    rules::{Field, Refusal},
    schema::{self, Subset},
    tree::{Json, object},
};

const IDS: IdRule = IdRule { max: 64, exact: false, beside: None };
const NAMES: NameRule = NameRule { max: 64, beside: "_-", letter_first: false };
/// The least limit of an answer.
const LEAST: u64 = 16;

/// Encodes a request.
pub(in crate::dialect) fn encode(
    request: &Request,
    to: &Candidate<'_>,
) -> Result<Encoded, Refusal> {
    let mut cx = Cx::new(request, to, IDS, NAMES);
    let mut body = object! {"model": to.model};
    items::encode(&mut cx, &mut body)?;
    tools(&mut cx, &mut body)?;
    format(&mut cx, &mut body)?;
    let mut include = vec![Json::from("reasoning.encrypted_content")];
    let reasons = matches!(to.family, Family::OpenAi(rules) if !rules.efforts.is_empty());
    let mut thinks = reasons;
    if let Family::OpenAi(rules) = to.family {
        let effort = openai_effort(&mut cx, &rules);
        thinks &= effort != Some("none");
        let summary = request.shown.filter(|shown| *shown && thinks).map(|_| "auto");
        let reasoning = Json::Null.with_some("effort", effort).with_some("summary", summary);
        body.set_some("reasoning", Some(reasoning).filter(Json::filled));
    }
    limits(&mut cx, &mut body, thinks && request.wish != Some(Wish::Off))?;
    body.set("store", false);
    for (field, value) in cx.others()? {
        match field {
            Field::Store if to.bound => body.set("store", value),
            Field::Store => return Err(cx.not_portable(field)),
            Field::Logprobs => include.push("message.output_text.logprobs".into()),
            Field::Include => include.extend_from_slice(value.items()),
            Field::Verbosity => body.set_at(&["text", "verbosity"], value),
            Field::ReasoningMode => {
                for (name, value) in value.members() {
                    body.set_at(&["reasoning", name], value);
                }
            }
            Field::User | Field::SafetyIdentifier => {
                let name = if field == Field::User { "user" } else { "safety_identifier" };
                let text = common::user(&mut cx, field, value);
                body.set(name, text);
            }
            Field::ServiceTier => {
                let known = ["auto", "default", "flex", "priority", "scale"];
                let tier = common::tier(&mut cx, value, &known);
                body.set_some("service_tier", tier);
            }
            Field::Obfuscation => body.set_at(&["stream_options", "include_obfuscation"], value),
            _ => body.set(field.name(Protocol::Responses), value),
        }
    }
    let pass = request.protocol == Protocol::Responses;
    for (path, value) in cx.unknown(pass) {
        if !path.contains(['.', '[']) {
            body.set(&path, value);
        }
    }
    body.set("include", include);
    if request.stream {
        body.set("stream", true);
    }
    Ok(cx.done("responses".to_owned(), &body, Vec::new()))
}

fn tools(cx: &mut Cx<'_>, body: &mut Json) -> Result<(), Refusal> {
    let request = cx.request;
    if request.tools.is_empty() {
        return Ok(());
    }
    let mut out: Vec<Json> = Vec::new();
    for one in &request.tools {
        let item = tool(cx, one)?;
        // Tools of one namespace stand together.
        match &one.namespace {
            None => out.push(item),
            Some(space) => {
                let known = out
                    .iter_mut()
                    .find(|t| t.get("type").text() == "namespace" && t.get("name").text() == space);
                if let Some(known) = known {
                    if let Json::Array(mut tools) = known.take("tools") {
                        tools.push(item);
                        known.set("tools", tools);
                    }
                } else {
                    out.push(object! {
                        "type": "namespace", "name": space.as_str(), "description": "",
                        "tools": vec![item],
                    });
                }
            }
        }
    }
    body.set("tools", out);
    match &request.choose {
        None | Some(Choose::Auto) => {}
        Some(Choose::None) => body.set("tool_choice", "none"),
        Some(Choose::Any) => body.set("tool_choice", "required"),
        Some(Choose::One(name)) => {
            let choice = named(cx, name);
            body.set("tool_choice", choice);
        }
        Some(Choose::Of(names, must)) => {
            let tools: Json = names.iter().map(|name| named(cx, name)).collect();
            let mode = if *must { "required" } else { "auto" };
            body.set(
                "tool_choice",
                object! {"type": "allowed_tools", "mode": mode, "tools": tools},
            );
        }
    }
    if request.parallel == Some(false) {
        body.set("parallel_tool_calls", false);
    }
    Ok(())
}

/// A tool by its name.
fn named(cx: &mut Cx<'_>, name: &str) -> Json {
    let kind = if cx.is_custom(name) { "custom" } else { "function" };
    object! {"type": kind, "name": cx.chosen(name)}
}

fn tool(cx: &mut Cx<'_>, tool: &Tool) -> Result<Json, Refusal> {
    if tool.cache.is_some() {
        cx.drop(Field::CacheControl, "This provider cuts its prompt cache by itself.");
    }
    let custom = matches!(tool.kind, ToolKind::Custom(_));
    let name = cx.name(&tool.name, tool.namespace.as_deref(), custom);
    let description = Some(tool.description.as_str()).filter(|text| !text.is_empty());
    if let ToolKind::Custom(format) = &tool.kind {
        let out = object! {"type": "custom", "name": name}.with_some("description", description);
        // Chat nests its grammar.
        let inner = format.get("grammar");
        let format = if inner.is_object() {
            object! {
                "type": "grammar", "syntax": inner.get("syntax"),
                "definition": inner.get("definition"),
            }
        } else {
            format.clone()
        };
        return Ok(out.with_some("format", Some(format).filter(Json::filled)));
    }
    let mut parameters = cx.input_schema(tool)?;
    let mut strict = tool.strict;
    if strict == Some(true) {
        match schema::fit(&parameters, Subset::OpenAi) {
            Ok(fitted) if fitted.strict => {
                common::strict_as(cx, &fitted.adapted);
                parameters = fitted.schema;
            }
            _ => {
                cx.adapt(Field::Strict, "The schema is beyond the strict subset: not strict.");
                strict = Some(false);
            }
        }
    }
    Ok(object! {"type": "function", "name": name}
        .with_some("description", description)
        .with("parameters", parameters)
        // Absent would be true here.
        .with("strict", strict.unwrap_or(false)))
}

fn format(cx: &mut Cx<'_>, body: &mut Json) -> Result<(), Refusal> {
    match &cx.request.format {
        None => {}
        Some(Format::JsonObject) => {
            body.set_at(&["text", "format"], object! {"type": "json_object"});
        }
        Some(Format::Schema(wanted)) => {
            let (schema, strict) = strict_schema(cx, wanted)?;
            let format = object! {"type": "json_schema", "name": wanted.name.as_str()}
                .with_some("description", wanted.description.as_deref())
                .with("schema", schema)
                .with_some("strict", strict);
            body.set_at(&["text", "format"], format);
        }
    }
    Ok(())
}

fn limits(cx: &mut Cx<'_>, body: &mut Json, thinks: bool) -> Result<(), Refusal> {
    let request = cx.request;
    if let Some(most) = cx.max_output() {
        if most < LEAST {
            cx.adapt(Field::MaxTokens, format!("{most} is sent as {LEAST}, the least."));
        }
        body.set("max_output_tokens", most.max(LEAST));
    }
    for (field, name, value) in [
        (Field::Temperature, "temperature", request.temperature),
        (Field::TopP, "top_p", request.top_p),
    ] {
        let Some(value) = value else { continue };
        if !thinks {
            body.set(name, value);
        } else if (value - 1.0).abs() > f64::EPSILON {
            cx.drop(field, "The model takes only the default.");
        }
    }
    if request.top_k.is_some() {
        cx.drop(Field::TopK, "This provider has no such field.");
    }
    if !request.stop.is_empty() {
        return Err(cx.refuse(Field::Stop, "This endpoint has no such field."));
    }
    Ok(())
}
