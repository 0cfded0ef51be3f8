//! A messages request, decoded to the neutral model.

use super::blocks;
use crate::{
    neutral::{Choose, Effort, Format, Message, Part, Request, Role, Schema, Tool, ToolKind, Wish},
    protocol::{DecodeError, Protocol, fields::Fields},
    rules::Field,
    tree::Json,
};

/// Fields that are carried as they are.
const CARRIED: [(&str, Field); 13] = [
    ("service_tier", Field::ServiceTier),
    ("speed", Field::Speed),
    ("cache_control", Field::CacheControl),
    ("context_management", Field::ContextManagement),
    ("diagnostics", Field::Diagnostics),
    ("inference_geo", Field::InferenceGeo),
    ("fallbacks", Field::Fallbacks),
    ("thread", Field::Thread),
    ("user_profile_id", Field::UserProfile),
    ("workspace_id", Field::Workspace),
    ("billing_policy", Field::BillingPolicy),
    ("mcp_servers", Field::ServerTools),
    ("container", Field::Container),
];

/// Decodes the body of a messages request.
pub fn decode(body: &[u8]) -> Result<Request, DecodeError> {
    let mut fields = Fields::of_body(body)?;
    let mut request = Request::new(Protocol::Messages);
    request.model = fields.string("model")?.unwrap_or_default();
    request.stream = fields.bool("stream")?.unwrap_or(false);
    system(&mut fields, &mut request)?;
    for (at, item) in fields.array("messages")?.into_iter().enumerate() {
        message(Fields::new(item, format!("messages[{at}]")), &mut request)?;
    }
    if !request.messages.iter().any(|m| m.role != Role::System) {
        return Err(fields.wrong("messages", "must hold at least one message."));
    }
    tools(&mut fields, &mut request)?;
    thinking(&mut fields, &mut request)?;
    request.max_output = fields.count("max_tokens")?;
    if request.max_output == Some(0) {
        request.others.push((Field::WarmUp, 0_u64.into()));
    }
    request.temperature = fields.number("temperature")?;
    request.top_p = fields.number("top_p")?;
    request.top_k = fields.count("top_k")?;
    request.stop = fields.texts("stop_sequences")?;
    if let Some(mut metadata) = fields.object("metadata")? {
        if let Some(user) = metadata.some("user_id") {
            request.others.push((Field::SafetyIdentifier, user));
        }
        metadata.rest(&mut request);
    }
    fields.carry(&CARRIED, &mut request);
    fields.rest(&mut request);
    Ok(request)
}

fn system(fields: &mut Fields, request: &mut Request) -> Result<(), DecodeError> {
    let parts = match fields.take("system") {
        Json::Null => return Ok(()),
        Json::String(text) => vec![Part::text(text)],
        Json::Array(items) => blocks::list(items, &fields.path("system"), request)?,
        _ => return Err(fields.wrong("system", "must be a string or an array of blocks.")),
    };
    request.messages.push(Message { role: Role::System, late: false, name: None, parts });
    Ok(())
}

fn message(mut fields: Fields, request: &mut Request) -> Result<(), DecodeError> {
    let role = fields.string("role")?.unwrap_or_default();
    let wrong_role = fields.wrong("role", "must be user, assistant or system.");
    let parts = match fields.take("content") {
        Json::String(text) if text.is_empty() => Vec::new(),
        Json::String(text) => vec![Part::text(text)],
        Json::Array(items) => blocks::list(items, &fields.path("content"), request)?,
        _ => return Err(fields.wrong("content", "must be a string or an array of blocks.")),
    };
    fields.rest(request);
    let late = request.messages.iter().any(|m| m.role != Role::System);
    match role.as_str() {
        "assistant" => {
            request.messages.push(Message {
                role: Role::Assistant,
                late: false,
                name: None,
                parts,
            });
        }
        "system" => request.messages.push(Message { role: Role::System, late, name: None, parts }),
        "user" => {
            // The results of tools are messages of their own.
            let (results, rest) = split_results(parts);
            if !results.is_empty() {
                request.messages.push(Message {
                    role: Role::Tool,
                    late: false,
                    name: None,
                    parts: results,
                });
            }
            let only_results = matches!(request.messages.last(), Some(m) if m.role == Role::Tool);
            if !(rest.is_empty() && only_results) {
                request.messages.push(Message {
                    role: Role::User,
                    late: false,
                    name: None,
                    parts: rest,
                });
            }
        }
        _ => return Err(wrong_role),
    }
    Ok(())
}

/// Results of tools and what is none. A cache point stays with the block before it.
fn split_results(parts: Vec<Part>) -> (Vec<Part>, Vec<Part>) {
    let (mut results, mut rest) = (Vec::new(), Vec::new());
    let mut after_result = false;
    for part in parts {
        after_result =
            matches!(part, Part::Result(_)) || (after_result && matches!(part, Part::Cache(_)));
        if after_result { results.push(part) } else { rest.push(part) }
    }
    (results, rest)
}

fn tools(fields: &mut Fields, request: &mut Request) -> Result<(), DecodeError> {
    for (at, item) in fields.array("tools")?.into_iter().enumerate() {
        let whole = item.clone();
        let mut tool = Fields::new(item, format!("tools[{at}]"));
        let kind = tool.string("type")?.unwrap_or_else(|| "custom".to_owned());
        let name = tool.string("name")?;
        let cache = tool.some("cache_control").map(|c| c.get("ttl").str().map(str::to_owned));
        if kind != "custom" {
            request.tools.push(Tool {
                name: name.unwrap_or(kind),
                namespace: None,
                description: String::new(),
                kind: ToolKind::Hosted(whole),
                strict: None,
                cache,
            });
            continue;
        }
        for hint in ["input_examples", "eager_input_streaming", "defer_loading", "allowed_callers"]
        {
            let value = tool.take(hint);
            if value.filled() && value != Json::Bool(false) {
                request.others.push((Field::ToolHints, object_of(&whole, hint)));
            }
        }
        request.tools.push(Tool {
            name: name.ok_or_else(|| tool.wrong("name", "is missing."))?,
            namespace: None,
            description: tool.string("description")?.unwrap_or_default(),
            kind: ToolKind::Function(tool.take("input_schema")),
            strict: tool.bool("strict")?,
            cache,
        });
        tool.rest(request);
    }
    if let Some(mut choice) = fields.object("tool_choice")? {
        let kind = choice.string("type")?.unwrap_or_default();
        request.parallel = choice.bool("disable_parallel_tool_use")?.map(|disabled| !disabled);
        let name = choice.string("name")?;
        request.choose = Some(match (kind.as_str(), name) {
            ("auto", _) => Choose::Auto,
            ("none", _) => Choose::None,
            ("any", _) => Choose::Any,
            ("tool", Some(name)) => Choose::One(name),
            _ => return Err(choice.wrong("type", "must be auto, any, none, or tool with a name.")),
        });
        choice.rest(request);
    }
    Ok(())
}

fn object_of(whole: &Json, member: &str) -> Json {
    Json::empty().with("tool", whole.get("name")).with(member, whole.get(member))
}

fn thinking(fields: &mut Fields, request: &mut Request) -> Result<(), DecodeError> {
    let mut wish = None;
    if let Some(mut thinking) = fields.object("thinking")? {
        let kind = thinking.string("type")?.unwrap_or_default();
        let budget = thinking.count("budget_tokens")?;
        wish = Some(match (kind.as_str(), budget) {
            ("enabled", Some(tokens)) => Wish::Budget(tokens),
            ("enabled" | "adaptive", _) => Wish::Adaptive,
            ("disabled" | "between_tools", _) => Wish::Off,
            _ => {
                let what = "must be enabled, adaptive, between_tools or disabled.";
                return Err(thinking.wrong("type", what));
            }
        });
        request.shown = thinking.string("display")?.map(|display| display != "omitted");
        thinking.take("block_binding");
        thinking.rest(request);
    }
    let mut format = fields.take("output_format");
    if let Some(mut config) = fields.object("output_config")? {
        if let Some(effort) = config.string("effort")? {
            let effort = Effort::of(&effort).ok_or_else(|| {
                config.wrong("effort", "must be one of low, medium, high, xhigh, max.")
            })?;
            if matches!(wish, None | Some(Wish::Adaptive)) {
                wish = Some(Wish::Effort(effort));
            }
        }
        if let Some(found) = config.some("format") {
            format = found;
        }
        if let Some(budget) = config.some("task_budget") {
            request.others.push((Field::TaskBudget, budget));
        }
        config.rest(request);
    }
    request.wish = wish;
    if format.get("type").text() == "json_schema" {
        request.format = Some(Format::Schema(Schema {
            name: "answer".to_owned(),
            description: None,
            schema: format.get("schema").clone(),
            strict: Some(true),
        }));
    }
    Ok(())
}
