//! A request, encoded as a messages request.

use super::{
    super::{
        Candidate, Encoded, Host, VERTEX_VERSION, claude, common,
        cx::Cx,
        history::{self, Shape},
    },
    blocks,
};
use crate::{
    family::{self, Claude},
    ids::{IdRule, NameRule},
    neutral::{Choose, Format, Part, Request, Tool},
    rules::{Field, Refusal},
    schema::{self, Subset},
    tree::{Json, object},
};

const IDS: IdRule = IdRule { max: 128, exact: false, beside: Some("_-") };
const NAMES: NameRule = NameRule { max: 128, beside: "_-", letter_first: false };
/// The version under which each model's own rules hold.
const VERSION: &str = "2023-06-01";
const BINDING_BETA: &str = "thinking-binding-controls-2026-08-01";
/// The most tools that may be strict.
pub(in crate::dialect) const STRICT_TOOLS: usize = 20;

/// The rules of the candidate's model.
pub(in crate::dialect) fn rules_of(to: &Candidate<'_>) -> Claude {
    to.family.claude().copied().unwrap_or(family::NEWEST)
}

/// Encodes a request.
pub(in crate::dialect) fn encode(
    request: &Request,
    to: &Candidate<'_>,
) -> Result<Encoded, Refusal> {
    let rules = rules_of(to);
    let mut cx = Cx::new(request, to, IDS, NAMES);
    let shape = Shape {
        late_system: rules.late_system,
        careful: true,
        merge: true,
        user_first: true,
        blanks_go: true,
    };
    let (system, turns) = history::turns(&mut cx, shape);
    let forced = claude::forces(request.choose.as_ref()) && !request.tools.is_empty();
    let plan = claude::plan(&mut cx, &rules, &turns, forced)?;
    let mut body = Json::empty();
    if to.host == Host::Own {
        body.set("model", to.model);
    } else {
        body.set("anthropic_version", VERTEX_VERSION);
    }
    body.set("max_tokens", plan.max_tokens);
    tools(&mut cx, &mut body)?;
    let system = system_blocks(&system);
    if !system.is_empty() {
        body.set("system", system);
    }
    let messages = blocks::messages(&mut cx, &turns)?;
    body.set("messages", messages);
    let mut headers = Vec::new();
    let mut thinking = plan.thinking;
    // Its own API checks the conversation before each block, and can drop what does not match.
    if rules.preserved && to.host == Host::Own {
        let on = thinking.get_or_insert_with(|| object! {"type": "adaptive"});
        if on.get("type").text() != "disabled" {
            on.set_at(&["block_binding", "prefix_mismatch_behavior"], "drop_block");
            headers.push(("anthropic-beta", BINDING_BETA.to_owned()));
        }
    }
    body.set_some("thinking", thinking);
    if let Some(effort) = plan.effort {
        body.set_at(&["output_config", "effort"], effort);
    }
    if let Some(schema) = format(&mut cx, &rules)? {
        let format = object! {"type": "json_schema", "schema": schema};
        body.set_at(&["output_config", "format"], format);
    }
    body.set_some("temperature", plan.temperature);
    body.set_some("top_p", plan.top_p);
    body.set_some("top_k", plan.top_k);
    if !plan.stop.is_empty() {
        let texts: Json = plan.stop.iter().map(Json::from).collect();
        body.set("stop_sequences", texts);
    }
    for (field, value) in cx.others()? {
        carry(&mut cx, field, value, &mut body)?;
    }
    cx.unknown(false);
    last_four(&mut cx, &mut body);
    if request.stream {
        body.set("stream", true);
    }
    let path = match (to.host, request.stream) {
        (Host::Own, _) => {
            headers.insert(0, ("anthropic-version", VERSION.to_owned()));
            "messages".to_owned()
        }
        (Host::Vertex, false) => format!("models/{}:rawPredict", to.model),
        (Host::Vertex, true) => format!("models/{}:streamRawPredict", to.model),
    };
    Ok(cx.done(path, &body, headers))
}

fn carry(cx: &mut Cx<'_>, field: Field, value: &Json, body: &mut Json) -> Result<(), Refusal> {
    match field {
        Field::User | Field::SafetyIdentifier => {
            body.set_at(&["metadata", "user_id"], value);
        }
        Field::ServiceTier => {
            if let Some(tier) = common::tier(cx, value, &["auto", "default"]) {
                body.set("service_tier", if tier == "default" { "standard_only" } else { "auto" });
            }
        }
        Field::Moderation => common::moderation(cx, value)?,
        Field::TaskBudget => body.set_at(&["output_config", "task_budget"], value),
        // Breakpoints stand on their blocks; hints of a tool were written with it.
        Field::CacheControl if !value.is_object() => {}
        Field::ToolHints | Field::WarmUp => {}
        _ => body.set(field.row().names[2], value),
    }
    Ok(())
}

fn system_blocks(system: &[&Part]) -> Vec<Json> {
    let mut out: Vec<Json> = Vec::new();
    for part in system {
        match part {
            Part::Text { text, .. } if !text.trim().is_empty() => {
                out.push(object! {"type": "text", "text": text.as_str()});
            }
            Part::Cache(ttl) => blocks::breakpoint(out.last_mut(), ttl.as_deref()),
            _ => {}
        }
    }
    out
}

fn tools(cx: &mut Cx<'_>, body: &mut Json) -> Result<(), Refusal> {
    let request = cx.request;
    if request.tools.is_empty() {
        from_history(cx, body);
        return Ok(());
    }
    let (tools, choice) = common::only_allowed(cx);
    let mut out = Vec::new();
    for one in tools {
        let strict = out.iter().filter(|tool: &&Json| tool.has("strict")).count() < STRICT_TOOLS;
        out.push(tool(cx, one, strict)?);
    }
    body.set("tools", out);
    let mut choice = match choice {
        None | Some(Choose::Auto | Choose::Of(..)) => None,
        Some(Choose::None) => Some(object! {"type": "none"}),
        Some(Choose::Any) => Some(object! {"type": "any"}),
        Some(Choose::One(name)) => Some(object! {"type": "tool", "name": cx.chosen(&name)}),
    };
    if request.parallel == Some(false) && request.choose != Some(Choose::None) {
        choice
            .get_or_insert_with(|| object! {"type": "auto"})
            .set("disable_parallel_tool_use", true);
    }
    body.set_some("tool_choice", choice);
    Ok(())
}

/// Calls in the history without tools: they are made of the calls, and none may be called.
fn from_history(cx: &mut Cx<'_>, body: &mut Json) {
    let mut names: Vec<String> = Vec::new();
    let parts = cx.request.messages.iter().flat_map(|message| &message.parts);
    for part in parts {
        if let Part::Call(call) = part {
            let name = cx.name(&call.name, call.namespace.as_deref(), false);
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    if names.is_empty() {
        return;
    }
    cx.adapt(Field::CallsWithoutTools, "Tools are made from the history; none may be called.");
    let open = object! {"type": "object", "properties": Json::empty()};
    let tools: Json =
        names.iter().map(|name| object! {"name": name, "input_schema": &open}).collect();
    body.set("tools", tools);
    body.set("tool_choice", object! {"type": "none"});
}

fn tool(cx: &mut Cx<'_>, tool: &Tool, may_be_strict: bool) -> Result<Json, Refusal> {
    let custom = matches!(tool.kind, crate::neutral::ToolKind::Custom(_));
    let name = cx.name(&tool.name, tool.namespace.as_deref(), custom);
    let mut out = object! {"name": name};
    if !tool.description.is_empty() {
        out.set("description", tool.description.as_str());
    }
    let mut schema = cx.input_schema(tool)?;
    let mut strict = None;
    if tool.strict == Some(true) {
        match schema::fit(&schema, Subset::Claude) {
            Ok(fitted) if may_be_strict => {
                common::strict_as(cx, &fitted.adapted);
                schema = fitted.schema;
                strict = Some(true);
            }
            _ => cx.drop(Field::Strict, "The schema is beyond the strict subset."),
        }
    }
    out.set("input_schema", schema);
    out.set_some("strict", strict);
    if let Some(ttl) = &tool.cache {
        blocks::breakpoint(Some(&mut out), ttl.as_deref());
    }
    Ok(out)
}

/// The schema of the answer, within Claude's subset.
pub(in crate::dialect) fn format(cx: &mut Cx<'_>, rules: &Claude) -> Result<Option<Json>, Refusal> {
    let wanted = match &cx.request.format {
        None => return Ok(None),
        Some(Format::JsonObject) => {
            return Err(cx.refuse(Field::JsonObject, "There is no such mode: give a schema."));
        }
        Some(Format::Schema(wanted)) => wanted,
    };
    if !rules.format {
        return Err(cx.refuse(Field::JsonSchema, "The model does not answer in a schema."));
    }
    let fitted = schema::fit(&wanted.schema, Subset::Claude)
        .map_err(|beyond| cx.refuse(Field::JsonSchema, beyond.to_string()))?;
    if !fitted.adapted.is_empty() {
        cx.adapt(Field::JsonSchema, format!("Moved or rewritten: {}.", fitted.adapted.join(", ")));
    }
    Ok(Some(fitted.schema))
}

/// Of the breakpoints of a prompt cache the last four stay.
fn last_four(cx: &mut Cx<'_>, body: &mut Json) {
    fn walk(value: &mut Json, seen: &mut usize, drop: usize) {
        match value {
            Json::Array(items) => items.iter_mut().for_each(|item| walk(item, seen, drop)),
            Json::Object(_) => {
                if value.has("cache_control") {
                    if *seen < drop {
                        value.take("cache_control");
                    }
                    *seen += 1;
                }
                if let Json::Object(members) = value {
                    for (name, inner) in members {
                        if name == "content" {
                            walk(inner, seen, drop);
                        }
                    }
                }
            }
            _ => {}
        }
    }
    common::last_breakpoints(cx, body, ["tools", "system", "messages"], walk);
}
