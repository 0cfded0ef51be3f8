//! A chat request, decoded to the neutral model.

use super::parts::message;
use crate::{
    neutral::{Choose, Effort, Format, Request, Role, Schema, Tool, ToolKind, Wish},
    protocol::{DecodeError, Protocol, fields::Fields},
    rules::Field,
    tree::Json,
};

/// Fields that are carried as they are.
const CARRIED: [(&str, Field); 26] = [
    ("seed", Field::Seed),
    ("presence_penalty", Field::PresencePenalty),
    ("frequency_penalty", Field::FrequencyPenalty),
    ("logprobs", Field::Logprobs),
    ("top_logprobs", Field::TopLogprobs),
    ("n", Field::N),
    ("logit_bias", Field::LogitBias),
    ("user", Field::User),
    ("safety_identifier", Field::SafetyIdentifier),
    ("metadata", Field::Metadata),
    ("service_tier", Field::ServiceTier),
    ("store", Field::Store),
    ("modalities", Field::Modalities),
    ("audio", Field::AudioOut),
    ("web_search_options", Field::WebSearch),
    ("prediction", Field::Prediction),
    ("verbosity", Field::Verbosity),
    ("moderation", Field::Moderation),
    ("prompt_cache_key", Field::PromptCacheKey),
    ("prompt_cache_options", Field::PromptCacheOptions),
    ("prompt_cache_retention", Field::PromptCacheRetention),
    ("cache_control", Field::CacheControl),
    ("mcp_servers", Field::ServerTools),
    ("fallbacks", Field::Fallbacks),
    ("conversation", Field::Conversation),
    ("previous_response_id", Field::PreviousResponse),
];

/// Decodes the body of a chat request.
pub fn decode(body: &[u8]) -> Result<Request, DecodeError> {
    let mut fields = Fields::of_body(body)?;
    let mut request = Request::new(Protocol::Chat);
    request.model = fields.string("model")?.unwrap_or_default();
    request.stream = fields.bool("stream")?.unwrap_or(false);
    if let Some(mut options) = fields.object("stream_options")? {
        request.stream_usage = options.bool("include_usage")?.unwrap_or(false);
        if options.some("include_obfuscation").is_some_and(|v| v.is_true()) {
            request.others.push((Field::Obfuscation, true.into()));
        }
        options.rest(&mut request);
    }
    for (at, item) in fields.array("messages")?.into_iter().enumerate() {
        message(Fields::new(item, format!("messages[{at}]")), &mut request)?;
    }
    if !request.messages.iter().any(|m| m.role != Role::System) && request.messages.is_empty() {
        return Err(fields.wrong("messages", "must hold at least one message."));
    }
    tools(&mut fields, &mut request)?;
    request.format = format(&mut fields, &mut request)?;
    request.wish = wish(&mut fields)?;
    request.shown = request.wish.filter(|w| *w != Wish::Off).map(|_| true);
    let newer = fields.count("max_completion_tokens")?;
    let older = fields.count("max_tokens")?;
    request.max_output = newer.or(older);
    request.temperature = fields.number("temperature")?;
    request.top_p = fields.number("top_p")?;
    request.top_k = fields.count("top_k")?;
    request.stop = fields.texts("stop")?;
    fields.carry(&CARRIED, &mut request);
    fields.rest(&mut request);
    Ok(request)
}

fn wish(fields: &mut Fields) -> Result<Option<Wish>, DecodeError> {
    let Some(effort) = fields.string("reasoning_effort")? else { return Ok(None) };
    if effort == "none" {
        return Ok(Some(Wish::Off));
    }
    let known = Effort::of(&effort).map(|effort| Some(Wish::Effort(effort)));
    known.ok_or_else(|| {
        let what = "must be one of none, minimal, low, medium, high, xhigh, max.";
        fields.wrong("reasoning_effort", what)
    })
}

fn tools(fields: &mut Fields, request: &mut Request) -> Result<(), DecodeError> {
    for (at, item) in fields.array("tools")?.into_iter().enumerate() {
        let mut tool = Fields::new(item, format!("tools[{at}]"));
        let cache = tool.some("cache_control").map(|c| c.get("ttl").str().map(str::to_owned));
        let kind = tool.string("type")?.unwrap_or_else(|| "function".to_owned());
        match kind.as_str() {
            "function" => {
                let inner = tool.object("function")?;
                let mut inner = inner.ok_or_else(|| tool.wrong("function", "is missing."))?;
                request.tools.push(Tool { cache, ..function(&mut inner)? });
                inner.rest(request);
            }
            "custom" => {
                let inner = tool.object("custom")?;
                let mut inner = inner.ok_or_else(|| tool.wrong("custom", "is missing."))?;
                request.tools.push(Tool {
                    name: inner.string("name")?.unwrap_or_default(),
                    namespace: None,
                    description: inner.string("description")?.unwrap_or_default(),
                    kind: ToolKind::Custom(inner.take("format")),
                    strict: None,
                    cache,
                });
                inner.rest(request);
            }
            _ => request.tools.push(Tool {
                name: kind.clone(),
                namespace: None,
                description: String::new(),
                kind: ToolKind::Hosted(tool.take("function").with("type", kind)),
                strict: None,
                cache,
            }),
        }
        tool.rest(request);
    }
    for (at, item) in fields.array("functions")?.into_iter().enumerate() {
        request.old_functions = true;
        let mut inner = Fields::new(item, format!("functions[{at}]"));
        request.tools.push(function(&mut inner)?);
        inner.rest(request);
    }
    request.parallel = fields.bool("parallel_tool_calls")?;
    let old = fields.take("function_call");
    request.choose = choose(&fields.take("tool_choice"))
        .map_err(|what| fields.wrong("tool_choice", what))?
        .or(choose(&old).map_err(|what| fields.wrong("function_call", what))?);
    Ok(())
}

fn function(inner: &mut Fields) -> Result<Tool, DecodeError> {
    Ok(Tool {
        name: inner.string("name")?.ok_or_else(|| inner.wrong("name", "is missing."))?,
        namespace: None,
        description: inner.string("description")?.unwrap_or_default(),
        kind: ToolKind::Function(inner.take("parameters")),
        strict: inner.bool("strict")?,
        cache: None,
    })
}

/// Reads a `tool_choice`, or the older `function_call`.
fn choose(value: &Json) -> Result<Option<Choose>, &'static str> {
    const WRONG: &str = "must be none, auto, required, or name a tool.";
    let one = |value: &Json| {
        let name = [value.at(&["function", "name"]), value.at(&["custom", "name"])];
        name.into_iter().chain([value.get("name")]).find_map(Json::str).map(str::to_owned)
    };
    Ok(Some(match value {
        Json::Null => return Ok(None),
        Json::String(word) => match word.as_str() {
            "none" => Choose::None,
            "auto" => Choose::Auto,
            "required" | "any" => Choose::Any,
            _ => return Err(WRONG),
        },
        Json::Object(_) if value.get("type").text() == "allowed_tools" => {
            let inner = value.get("allowed_tools");
            let tools = inner.get("tools").items().iter().filter_map(one).collect();
            Choose::Of(tools, inner.get("mode").text() == "required")
        }
        value => Choose::One(one(value).ok_or(WRONG)?),
    }))
}

fn format(fields: &mut Fields, request: &mut Request) -> Result<Option<Format>, DecodeError> {
    let Some(mut format) = fields.object("response_format")? else { return Ok(None) };
    let kind = format.string("type")?.unwrap_or_default();
    let found = match kind.as_str() {
        "text" => None,
        "json_object" => Some(Format::JsonObject),
        "json_schema" => {
            let inner = format.object("json_schema")?;
            let mut inner = inner.ok_or_else(|| format.wrong("json_schema", "is missing."))?;
            let schema = Schema {
                name: inner.string("name")?.unwrap_or_else(|| "answer".to_owned()),
                description: inner.string("description")?,
                schema: inner.take("schema"),
                strict: inner.bool("strict")?,
            };
            inner.rest(request);
            Some(Format::Schema(schema))
        }
        _ => return Err(format.wrong("type", "must be text, json_object or json_schema.")),
    };
    format.rest(request);
    Ok(found)
}
