//! A request, encoded as a chat request.

use routing::Capability;

use super::{
    super::{Candidate, Encoded, common, cx::Cx, effort, quirks::EffortForm},
    message, tools,
};
use crate::{
    family::{ChatTools, Family, OpenAi, nearest},
    ids::{IdRule, NameRule},
    neutral::{Format, Request, Wish},
    protocol::Protocol,
    rules::{Field, Refusal},
    schema::{self, Subset},
    tree::{Json, object},
};

const IDS: IdRule = IdRule { max: 40, exact: false, beside: None };
const NAMES: NameRule = NameRule { max: 64, beside: "_-", letter_first: false };

/// Encodes a request.
pub(in crate::dialect) fn encode(
    request: &Request,
    to: &Candidate<'_>,
) -> Result<Encoded, Refusal> {
    let mut cx = Cx::new(request, to, to.quirks.map_or(IDS, |q| q.ids), NAMES);
    let mut body = object! {"model": to.model};
    let (messages, bare_calls) = message::encode(&mut cx)?;
    body.set("messages", messages);
    let mut off = bare_calls;
    off |= tools::encode(&mut cx, &mut body)?;
    format(&mut cx, &mut body)?;
    let thinks = reasoning(&mut cx, &mut body, off);
    limits(&mut cx, &mut body, thinks)?;
    for (field, value) in cx.others()? {
        carry(&mut cx, field, value, &mut body)?;
    }
    let pass = request.protocol == Protocol::Chat;
    for (path, value) in cx.unknown(pass) {
        if !path.contains(['.', '[']) {
            body.set(&path, value);
        }
    }
    for (name, value) in to.quirks.map_or(&[][..], |q| q.added) {
        body.set(name, Json::parse(value.as_bytes()).unwrap_or_default());
    }
    if request.stream {
        body.set("stream", true);
        if to.quirks.is_none_or(|q| q.stream_options) {
            body.set("stream_options", object! {"include_usage": true});
        }
    }
    Ok(cx.done("chat/completions".to_owned(), &body, Vec::new()))
}

fn format(cx: &mut Cx<'_>, body: &mut Json) -> Result<(), Refusal> {
    let quirks = cx.to.quirks;
    match &cx.request.format {
        None => {}
        Some(Format::JsonObject) => {
            let value = if quirks.is_some_and(|q| q.object_as_schema) {
                cx.adapt(Field::JsonObject, "Sent as a schema of any object.");
                let schema = object! {"type": "object"};
                object! {
                    "type": "json_schema",
                    "json_schema": object! {"name": "answer", "schema": schema},
                }
            } else {
                object! {"type": "json_object"}
            };
            body.set("response_format", value);
        }
        Some(Format::Schema(wanted)) => {
            if quirks.is_some() && !common::has(cx, Capability::JsonSchema) {
                let why = "The model is not known to answer in a schema.";
                return Err(cx.refuse(Field::JsonSchema, why));
            }
            let (schema, strict) = strict_schema(cx, wanted)?;
            let mut inner = object! {"name": wanted.name.as_str()};
            inner.set_some("description", wanted.description.as_deref());
            inner.set("schema", schema);
            inner.set_some("strict", strict);
            body.set("response_format", object! {"type": "json_schema", "json_schema": inner});
        }
    }
    Ok(())
}

/// The schema of an answer, and whether it is strict, for OpenAI and who follows it.
pub(in crate::dialect) fn strict_schema(
    cx: &mut Cx<'_>,
    wanted: &crate::neutral::Schema,
) -> Result<(Json, Option<bool>), Refusal> {
    if wanted.strict != Some(true) {
        return Ok((schema::plain(&wanted.schema), wanted.strict));
    }
    let fitted = schema::fit(&wanted.schema, Subset::OpenAi)
        .map_err(|beyond| cx.refuse(Field::JsonSchema, beyond.to_string()))?;
    if !fitted.strict {
        cx.adapt(Field::JsonSchema, "The schema is beyond the strict subset: not strict.");
        return Ok((fitted.schema, Some(false)));
    }
    if !fitted.adapted.is_empty() {
        cx.adapt(Field::JsonSchema, format!("Moved or rewritten: {}.", fitted.adapted.join(", ")));
    }
    Ok((fitted.schema, Some(true)))
}

/// The effort of OpenAI's families that a wish is.
pub(in crate::dialect) fn openai_effort(cx: &mut Cx<'_>, rules: &OpenAi) -> Option<&'static str> {
    let wish = cx.request.wish?;
    if rules.efforts.is_empty() {
        if wish != Wish::Off {
            cx.drop(Field::Effort, "The model does not reason.");
        }
        return None;
    }
    let wanted = match wish {
        Wish::Off if rules.off => return Some("none"),
        Wish::Off => {
            cx.adapt(Field::Effort, "The model cannot but reason: the least effort.");
            return rules.efforts.first().map(|effort| effort.name());
        }
        Wish::Adaptive => return None,
        Wish::Effort(effort) => effort,
        Wish::Budget(tokens) => {
            let effort = effort::of_budget(tokens);
            cx.adapt(Field::Effort, format!("{tokens} tokens are sent as {}.", effort.name()));
            effort
        }
    };
    let found = nearest(rules.efforts, wanted)?;
    if found != wanted {
        cx.adapt(Field::Effort, format!("`{}` is sent as `{}`.", wanted.name(), found.name()));
    }
    Some(found.name())
}

/// How much to think. Gives whether the model is one that reasons here.
fn reasoning(cx: &mut Cx<'_>, body: &mut Json, off: bool) -> bool {
    let Some(quirks) = cx.to.quirks else {
        let Family::OpenAi(rules) = cx.to.family else { return false };
        let mut effort = openai_effort(cx, &rules);
        let tools = body.has("tools");
        let refused = match rules.chat_tools {
            ChatTools::Taken => false,
            ChatTools::NotWithEffort => effort.is_some_and(|e| e != "none"),
            ChatTools::OnlyWithNone => effort != Some("none"),
        };
        if tools && refused {
            cx.adapt(Field::Effort, "The model takes tools here only without reasoning.");
            effort = Some("none");
        }
        body.set_some("reasoning_effort", effort);
        return !rules.efforts.is_empty() && effort != Some("none");
    };
    let mut off = off;
    if !cx.request.stream && quirks.thinks_in_streams_only(cx.to.model) {
        if cx.request.wish.is_some_and(|wish| wish != Wish::Off) {
            cx.adapt(Field::Effort, "The model thinks in streams only.");
        }
        off = true;
    }
    let wish = if off { Some(Wish::Off) } else { cx.request.wish };
    let Some(wish) = wish else { return false };
    if !off && wish != Wish::Off && !common::has(cx, Capability::Reasoning) {
        cx.drop(Field::Effort, "The model is not known to reason.");
        return false;
    }
    let thinks = wish != Wish::Off;
    match quirks.effort {
        EffortForm::ThinkingType => {
            let kind = if thinks { "enabled" } else { "disabled" };
            body.set("thinking", object! {"type": kind});
        }
        EffortForm::EnableThinking => {
            body.set("enable_thinking", thinks);
            if let Wish::Budget(tokens) = wish {
                body.set("thinking_budget", tokens);
            }
        }
        EffortForm::Effort | EffortForm::Google => match wish {
            Wish::Off if !common::has(cx, Capability::Reasoning) => {}
            Wish::Off => body.set("reasoning_effort", "none"),
            Wish::Adaptive => {}
            Wish::Effort(effort) => body.set("reasoning_effort", effort.name()),
            Wish::Budget(tokens) => {
                let effort = effort::of_budget(tokens).name();
                cx.adapt(Field::Effort, format!("{tokens} tokens are sent as {effort}."));
                body.set("reasoning_effort", effort);
            }
        },
    }
    thinks
}

/// The limit of the answer, and sampling.
fn limits(cx: &mut Cx<'_>, body: &mut Json, thinks: bool) -> Result<(), Refusal> {
    let request = cx.request;
    let quirks = cx.to.quirks;
    let reasons = matches!(cx.to.family, Family::OpenAi(rules) if !rules.efforts.is_empty());
    let name = match quirks {
        Some(quirks) => quirks.max_tokens,
        None if reasons => "max_completion_tokens",
        None => "max_tokens",
    };
    let most = cx.max_output();
    body.set_some(name, most);
    for (field, name, value, least) in [
        (Field::Temperature, "temperature", request.temperature, 0.0),
        (Field::TopP, "top_p", request.top_p, 0.0),
    ] {
        let Some(value) = value else { continue };
        let refused = quirks.is_some_and(|q| q.drops(field));
        let default = (value - 1.0).abs() < f64::EPSILON;
        if refused || (quirks.is_none() && reasons && thinks) {
            if !default {
                cx.drop(field, "The model takes only the default.");
            }
            continue;
        }
        let most =
            if field == Field::Temperature { quirks.map_or(2.0, |q| q.temperature) } else { 1.0 };
        let sent = value.clamp(least, most);
        if (sent - value).abs() > f64::EPSILON && quirks.is_some() {
            cx.adapt(field, format!("{value} is sent as {sent}."));
        }
        body.set(name, if quirks.is_some() { sent } else { value });
    }
    if let Some(top_k) = request.top_k {
        match quirks {
            Some(quirks) if !quirks.drops(Field::TopK) => body.set("top_k", top_k),
            _ => cx.drop(Field::TopK, "This provider has no such field."),
        }
    }
    if !request.stop.is_empty() {
        let refused = match (quirks, cx.to.family) {
            (Some(quirks), _) => quirks.refuses(Field::Stop),
            (None, Family::OpenAi(rules)) => !rules.stop,
            _ => false,
        };
        if refused {
            return Err(cx.refuse(Field::Stop, "The model refuses it."));
        }
        if request.stop.len() > 4 {
            return Err(cx.refuse(Field::Stop, "At most 4 texts are taken."));
        }
        let texts: Json = request.stop.iter().map(Json::from).collect();
        body.set("stop", texts);
    }
    Ok(())
}

/// Fields that are carried as they are.
fn carry(cx: &mut Cx<'_>, field: Field, value: &Json, body: &mut Json) -> Result<(), Refusal> {
    let quirks = cx.to.quirks;
    if let Some(quirks) = quirks {
        if field == Field::Moderation {
            return common::moderation(cx, value);
        }
        if quirks.drops(field) {
            cx.drop(field, "This server refuses it, or is not known to have it.");
            return Ok(());
        }
        if quirks.refuses(field) {
            return Err(cx.refuse(field, "This server refuses it."));
        }
        if matches!(field, Field::Modalities | Field::AudioOut)
            && !common::has(cx, Capability::Audio)
        {
            return Err(cx.refuse(field, "The model is not known to speak."));
        }
    }
    let renamed = quirks.and_then(|q| q.renames(field));
    let name = renamed.unwrap_or(field.name(Protocol::Chat));
    match field {
        Field::User | Field::SafetyIdentifier => {
            let name = match (field, renamed) {
                (_, Some(name)) => name,
                (Field::User, None) => "user",
                _ => "safety_identifier",
            };
            let text = common::user(cx, field, value);
            body.set(name, text);
        }
        Field::ServiceTier => {
            let known = ["auto", "default", "flex", "priority", "scale"];
            let tier = common::tier(cx, value, &known);
            body.set_some("service_tier", tier);
        }
        Field::Store if cx.to.bound => body.set("store", value),
        Field::Store => return Err(cx.not_portable(Field::Store)),
        Field::CacheControl if quirks.is_some_and(|q| q.cache_control) => {
            body.set("cache_control", value);
        }
        Field::CacheControl => cx.drop(field, "This server is not known to have it."),
        _ => body.set(name, value),
    }
    Ok(())
}
