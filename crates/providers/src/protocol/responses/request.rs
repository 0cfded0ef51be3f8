//! A responses request, decoded to the neutral model.

use super::{items::item, tools};
use crate::{
    neutral::{Effort, Format, Message, Part, Request, Role, Schema, Wish},
    protocol::{DecodeError, Protocol, fields::Fields},
    rules::Field,
    tree::Json,
};

/// Fields that are carried as they are.
const CARRIED: [(&str, Field); 20] = [
    ("top_logprobs", Field::TopLogprobs),
    ("user", Field::User),
    ("safety_identifier", Field::SafetyIdentifier),
    ("metadata", Field::Metadata),
    ("service_tier", Field::ServiceTier),
    ("store", Field::Store),
    ("prompt_cache_key", Field::PromptCacheKey),
    ("prompt_cache_options", Field::PromptCacheOptions),
    ("prompt_cache_retention", Field::PromptCacheRetention),
    ("previous_response_id", Field::PreviousResponse),
    ("conversation", Field::Conversation),
    ("prompt", Field::Prompt),
    ("background", Field::Background),
    ("truncation", Field::Truncation),
    ("context_management", Field::ContextManagement),
    ("max_tool_calls", Field::MaxToolCalls),
    ("access_programs", Field::AccessPrograms),
    ("image", Field::ImageOptions),
    ("moderation", Field::Moderation),
    ("verbosity", Field::Verbosity),
];

/// Members of a request that an answer repeats, and what they are where the caller left them out.
const ECHOED: [(&str, &str); 14] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("reasoning", "{\"effort\":null,\"summary\":null}"),
    ("temperature", "1"),
    ("text", "{\"format\":{\"type\":\"text\"}}"),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_p", "1"),
    ("truncation", "\"disabled\""),
    ("store", "false"),
    ("background", "false"),
];

/// What an answer repeats of its request.
pub fn echo(body: &[u8]) -> Json {
    let value = Json::parse(body).unwrap_or_default();
    let mut out = Json::empty();
    for (name, default) in ECHOED {
        let given = value.get(name);
        if given.is_null() {
            out.set(name, Json::parse(default.as_bytes()).unwrap_or_default());
        } else {
            out.set(name, given);
        }
    }
    // What is not stored, is not: whatever was asked.
    out.set("store", false);
    out
}

/// Decodes the body of a responses request.
pub fn decode(body: &[u8]) -> Result<Request, DecodeError> {
    let mut fields = Fields::of_body(body)?;
    let mut request = Request::new(Protocol::Responses);
    request.model = fields.string("model")?.unwrap_or_default();
    request.stream = fields.bool("stream")?.unwrap_or(false);
    if let Some(mut options) = fields.object("stream_options")? {
        if let Some(value) = options.some("include_obfuscation") {
            request.others.push((Field::Obfuscation, value));
        }
        options.rest(&mut request);
    }
    if let Some(text) = fields.string("instructions")?.filter(|text| !text.is_empty()) {
        let parts = vec![Part::text(text)];
        request.messages.push(Message { role: Role::System, late: false, name: None, parts });
    }
    match fields.take("input") {
        Json::Null => {}
        Json::String(text) => {
            let parts = vec![Part::text(text)];
            request.messages.push(Message { role: Role::User, late: false, name: None, parts });
        }
        Json::Array(items) => {
            for (at, value) in items.into_iter().enumerate() {
                item(Fields::new(value, format!("input[{at}]")), &mut request)?;
            }
        }
        _ => return Err(fields.wrong("input", "must be a string or an array of items.")),
    }
    tools::decode(&mut fields, &mut request)?;
    request.parallel = fields.bool("parallel_tool_calls")?;
    reasoning(&mut fields, &mut request)?;
    text(&mut fields, &mut request)?;
    include(&mut fields, &mut request)?;
    request.max_output = fields.count("max_output_tokens")?;
    request.temperature = fields.number("temperature")?;
    request.top_p = fields.number("top_p")?;
    fields.carry(&CARRIED, &mut request);
    fields.rest(&mut request);
    Ok(request)
}

fn reasoning(fields: &mut Fields, request: &mut Request) -> Result<(), DecodeError> {
    let Some(mut reasoning) = fields.object("reasoning")? else { return Ok(()) };
    request.wish = match reasoning.string("effort")?.as_deref() {
        None => None,
        Some("none") => Some(Wish::Off),
        Some(effort) => Some(Wish::Effort(Effort::of(effort).ok_or_else(|| {
            let what = "must be one of none, minimal, low, medium, high, xhigh, max.";
            reasoning.wrong("effort", what)
        })?)),
    };
    let older = reasoning.string("generate_summary")?;
    request.shown = reasoning.string("summary")?.or(older).map(|_| true);
    let mode = reasoning.some("mode").filter(|mode| mode.text() != "standard");
    let context = reasoning.some("context").filter(|context| context.text() != "auto");
    if mode.is_some() || context.is_some() {
        let value = Json::empty().with_some("mode", mode).with_some("context", context);
        request.others.push((Field::ReasoningMode, value));
    }
    reasoning.rest(request);
    Ok(())
}

fn text(fields: &mut Fields, request: &mut Request) -> Result<(), DecodeError> {
    let Some(mut text) = fields.object("text")? else { return Ok(()) };
    if let Some(verbosity) = text.some("verbosity") {
        request.others.push((Field::Verbosity, verbosity));
    }
    if let Some(mut format) = text.object("format")? {
        request.format = match format.string("type")?.unwrap_or_default().as_str() {
            "text" => None,
            "json_object" => Some(Format::JsonObject),
            "json_schema" => Some(Format::Schema(Schema {
                name: format.string("name")?.unwrap_or_else(|| "answer".to_owned()),
                description: format.string("description")?,
                schema: format.take("schema"),
                strict: format.bool("strict")?,
            })),
            _ => return Err(format.wrong("type", "must be text, json_object or json_schema.")),
        };
        format.rest(request);
    }
    text.rest(request);
    Ok(())
}

/// Encrypted reasoning is always given, and log probabilities have a field of their own.
fn include(fields: &mut Fields, request: &mut Request) -> Result<(), DecodeError> {
    let mut rest = Vec::new();
    for value in fields.array("include")? {
        match value.text() {
            "reasoning.encrypted_content" => {}
            "message.output_text.logprobs" => request.others.push((Field::Logprobs, true.into())),
            _ => rest.push(value),
        }
    }
    if !rest.is_empty() {
        request.others.push((Field::Include, Json::Array(rest)));
    }
    Ok(())
}
