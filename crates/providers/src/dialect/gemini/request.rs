//! A request, encoded as generateContent.

use super::{
    super::{
        Candidate, Encoded, Host, common,
        cx::Cx,
        effort::{self, gemini_budget_of},
        history::{self, Shape, Side},
    },
    contents,
};
use crate::{
    family::{self, Family, Gemini, nearest},
    ids::{IdRule, NameRule},
    neutral::{Choose, Effort, Format, Request, ToolKind, Wish},
    rules::{Field, Refusal},
    schema::{self, Subset},
    tree::{Json, object},
};

const IDS: IdRule = IdRule { max: 256, exact: false, beside: None };
const NAMES: NameRule = NameRule { max: 128, beside: "_.:-", letter_first: true };

/// Encodes a request.
pub(in crate::dialect) fn encode(
    request: &Request,
    to: &Candidate<'_>,
) -> Result<Encoded, Refusal> {
    let rules = match to.family {
        Family::Gemini(rules) => rules,
        _ => family::NEWEST_GEMINI,
    };
    let mut cx = Cx::new(request, to, IDS, NAMES);
    let shape = Shape {
        late_system: false,
        careful: false,
        merge: true,
        user_first: true,
        blanks_go: false,
    };
    let (system, turns) = history::turns(&mut cx, shape);
    if turns.last().map(|turn| turn.side) == Some(Side::Assistant) && !rules.prefill {
        return Err(cx.refuse(Field::Prefill, "The model does not continue its own message."));
    }
    let mut body = Json::empty();
    let system = contents::system(&mut cx, &system);
    if !system.is_empty() {
        body.set("systemInstruction", object! {"parts": system});
    }
    let contents = contents::encode(&mut cx, &turns, &rules)?;
    body.set("contents", contents);
    tools(&mut cx, &mut body)?;
    let mut config = Json::empty();
    config.set_some("maxOutputTokens", cx.max_output());
    config.set_some("temperature", request.temperature);
    config.set_some("topP", request.top_p);
    config.set_some("topK", request.top_k);
    if request.stop.len() > 5 {
        return Err(cx.refuse(Field::Stop, "At most 5 texts are taken."));
    }
    if !request.stop.is_empty() {
        config.set("stopSequences", request.stop.iter().map(Json::from).collect::<Json>());
    }
    format(&mut cx, &mut config, &rules)?;
    config.set_some("thinkingConfig", thinking(&mut cx, &rules));
    for (field, value) in cx.others()? {
        carry(&mut cx, field, value, &rules, &mut config, &mut body)?;
    }
    cx.unknown(false);
    if config.filled() {
        body.set("generationConfig", config);
    }
    let model = to.model.trim_start_matches("models/");
    let path = if request.stream {
        format!("models/{model}:streamGenerateContent?alt=sse")
    } else {
        format!("models/{model}:generateContent")
    };
    Ok(cx.done(path, &body, Vec::new()))
}

fn tools(cx: &mut Cx<'_>, body: &mut Json) -> Result<(), Refusal> {
    let request = cx.request;
    if request.tools.is_empty() {
        return Ok(());
    }
    // In mode auto the list is sent alone; a forced choice names its tools.
    let only = matches!(request.choose, Some(Choose::Of(_, false)));
    let (tools, choice) = if only {
        common::only_allowed(cx)
    } else {
        (request.tools.iter().collect(), request.choose.clone())
    };
    let mut strict = true;
    let mut out = Vec::new();
    for tool in tools {
        let custom = matches!(tool.kind, ToolKind::Custom(_));
        if tool.cache.is_some() {
            cx.drop(Field::CacheControl, "This provider cuts its prompt cache by itself.");
        }
        let schema = cx.input_schema(tool)?;
        let name = cx.name(&tool.name, tool.namespace.as_deref(), custom);
        strict &= tool.strict == Some(true);
        out.push(object! {
            "name": name,
            "description": tool.description.as_str(),
            "parametersJsonSchema": schema,
        });
    }
    let any_strict = request.tools.iter().any(|tool| tool.strict == Some(true));
    body.set("tools", vec![object! {"functionDeclarations": out}]);
    let mode = |mode: &str| object! {"mode": mode};
    let config = match choice {
        Some(Choose::None) => Some(mode("NONE")),
        Some(Choose::Any) => Some(mode("ANY")),
        Some(Choose::One(name)) => {
            let names = vec![Json::from(cx.chosen(&name))];
            Some(mode("ANY").with("allowedFunctionNames", names))
        }
        Some(Choose::Of(names, _)) => {
            let names: Json = names.iter().map(|name| cx.chosen(name).into()).collect();
            Some(mode("ANY").with("allowedFunctionNames", names))
        }
        None | Some(Choose::Auto) if strict => Some(mode("VALIDATED")),
        None | Some(Choose::Auto) => None,
    };
    let validated = config.as_ref().is_some_and(|c| c.get("mode").text() == "VALIDATED");
    if any_strict && !validated {
        cx.drop(Field::Strict, "Only when all tools are strict are their schemas enforced.");
    }
    if let Some(config) = config {
        body.set("toolConfig", object! {"functionCallingConfig": config});
    }
    if request.parallel == Some(false) {
        cx.drop(Field::Parallel, "This provider has no such field.");
    }
    Ok(())
}

fn format(cx: &mut Cx<'_>, config: &mut Json, rules: &Gemini) -> Result<(), Refusal> {
    match &cx.request.format {
        None => {}
        Some(Format::JsonObject) => config.set("responseMimeType", "application/json"),
        Some(Format::Schema(wanted)) => {
            if !rules.third && !cx.request.tools.is_empty() {
                let why = "The model does not take a schema beside tools.";
                return Err(cx.refuse(Field::JsonSchema, why));
            }
            let fitted = schema::fit(&wanted.schema, Subset::Gemini)
                .map_err(|beyond| cx.refuse(Field::JsonSchema, beyond.to_string()))?;
            if !fitted.adapted.is_empty() {
                let what = fitted.adapted.join(", ");
                cx.adapt(Field::JsonSchema, format!("Moved or rewritten: {what}."));
            }
            config.set("responseMimeType", "application/json");
            config.set("responseJsonSchema", fitted.schema);
        }
    }
    Ok(())
}

fn thinking(cx: &mut Cx<'_>, rules: &Gemini) -> Option<Json> {
    let wish = cx.request.wish?;
    let shown = cx.request.shown == Some(true) && wish != Wish::Off;
    let mut out = Json::empty();
    if rules.levels.is_empty() {
        let (least, most) = rules.budget;
        if most == 0 {
            if wish != Wish::Off {
                cx.drop(Field::Effort, "The model does not think.");
            }
            return None;
        }
        let budget = match wish {
            Wish::Adaptive => None,
            Wish::Off => Some(0),
            Wish::Effort(effort) => Some(gemini_budget_of(effort)),
            Wish::Budget(tokens) => Some(tokens),
        };
        match budget {
            None => out.set("thinkingBudget", -1_i64),
            Some(wanted) => {
                let budget = wanted.clamp(least, most);
                if budget != wanted && matches!(wish, Wish::Off | Wish::Budget(_)) {
                    cx.adapt(Field::Effort, format!("{wanted} tokens are sent as {budget}."));
                }
                out.set("thinkingBudget", budget);
            }
        }
    } else {
        let wanted = match wish {
            Wish::Adaptive => None,
            Wish::Off => Some(Effort::Minimal),
            Wish::Effort(effort) => Some(effort),
            Wish::Budget(tokens) => Some(effort::of_budget(tokens)),
        };
        if let Some(wanted) = wanted {
            // Medium is high where there is none: better too much thought than too little.
            let found = if wanted == Effort::Medium && !rules.levels.contains(&wanted) {
                Some(Effort::High)
            } else {
                nearest(rules.levels, wanted)
            };
            let found = found.unwrap_or(Effort::Low);
            if Wish::Effort(found) != wish {
                cx.adapt(Field::Effort, format!("Sent as the level `{}`.", found.name()));
            }
            out.set("thinkingLevel", found.name());
        }
    }
    if shown {
        out.set("includeThoughts", true);
    }
    Some(out).filter(Json::filled)
}

fn carry(
    cx: &mut Cx<'_>,
    field: Field,
    value: &Json,
    rules: &Gemini,
    config: &mut Json,
    body: &mut Json,
) -> Result<(), Refusal> {
    match field {
        Field::Seed => config.set("seed", value),
        Field::PresencePenalty => config.set("presencePenalty", value),
        Field::FrequencyPenalty => config.set("frequencyPenalty", value),
        Field::Logprobs => config.set("responseLogprobs", value.is_true()),
        Field::TopLogprobs => {
            if value.u64().is_some_and(|n| n > 20) {
                return Err(cx.refuse(field, "At most 20 are given."));
            }
            config.set("responseLogprobs", true);
            config.set("logprobs", value);
        }
        Field::N => {
            if rules.third || value.u64().is_none_or(|n| n > 8) {
                return Err(cx.refuse(field, "The model makes one answer at a time."));
            }
            config.set("candidateCount", value);
        }
        Field::ServiceTier => {
            if let Some(tier) = common::tier(cx, value, &["flex", "priority", "default"]) {
                let tier = if tier == "default" { "standard".to_owned() } else { tier };
                body.set("serviceTier", tier);
            }
        }
        Field::Metadata => {
            let label = |text: &str| {
                text.len() <= 63
                    && text.chars().all(|c| {
                        c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-')
                    })
            };
            let fits = value.members().len() <= 64
                && value
                    .members()
                    .iter()
                    .all(|(name, value)| !name.is_empty() && label(name) && label(value.text()));
            if cx.to.host == Host::Vertex && fits {
                body.set("labels", value);
            } else {
                cx.drop(field, "Only VertexAI takes labels, of lower-case letters and digits.");
            }
        }
        Field::Moderation => common::moderation(cx, value)?,
        _ => {}
    }
    Ok(())
}
