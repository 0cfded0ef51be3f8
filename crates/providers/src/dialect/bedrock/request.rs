//! A request, encoded as Converse or ConverseStream.

use routing::Capability;

use super::{
    super::{
        Candidate, Encoded, anthropic, claude, common,
        cx::Cx,
        effort::budget_of,
        history::{self, Shape, Side},
    },
    blocks,
};
use crate::{
    address::segment,
    family::Family,
    ids::{IdRule, NameRule},
    neutral::{Choose, Effort, Format, Part, Request, Role, ToolKind, Wish},
    rules::{Field, Refusal},
    tree::{Json, object},
};

const IDS: IdRule = IdRule { max: 64, exact: false, beside: Some("_.:-") };
const NAMES: NameRule = NameRule { max: 64, beside: "_-", letter_first: false };
/// Values of `anthropic-beta` that Bedrock has.
const BETAS: [&str; 5] = [
    "context-1m-2025-08-07",
    "computer-use-2025-01-24",
    "fine-grained-tool-streaming-2025-05-14",
    "interleaved-thinking-2025-05-14",
    "token-efficient-tools-2025-02-19",
];

/// Encodes a request.
pub(in crate::dialect) fn encode(
    request: &Request,
    to: &Candidate<'_>,
) -> Result<Encoded, Refusal> {
    let mut cx = Cx::new(request, to, IDS, NAMES);
    let called = request
        .messages
        .iter()
        .any(|m| m.role == Role::Tool || m.parts.iter().any(|p| matches!(p, Part::Call(_))));
    // Without tools no call may stand in the history.
    let none = request.tools.is_empty() || request.choose == Some(Choose::None);
    let flat = none && called;
    if flat {
        cx.adapt(Field::CallsWithoutTools, "Calls and results become text.");
    }
    let shape = Shape {
        late_system: false,
        careful: false,
        merge: true,
        user_first: true,
        blanks_go: true,
    };
    let (system, turns) = history::turns(&mut cx, shape);
    let mut body = Json::empty();
    let mut config = Json::empty();
    let mut extra = Json::empty();
    if let Family::Claude(rules) = to.family {
        let forced = claude::forces(request.choose.as_ref()) && !none;
        let plan = claude::plan(&mut cx, &rules, &turns, forced)?;
        config.set("maxTokens", plan.max_tokens);
        config.set_some("temperature", plan.temperature);
        config.set_some("topP", plan.top_p);
        extra.set_some("top_k", plan.top_k);
        extra.set_some("thinking", plan.thinking);
        if let Some(effort) = plan.effort {
            body.set_at(&["outputConfig", "effort"], effort);
        }
        if !plan.stop.is_empty() {
            config.set("stopSequences", plan.stop.iter().map(Json::from).collect::<Json>());
        }
        if let Some(schema) = anthropic::format(&mut cx, &rules)? {
            text_format(&mut body, &schema);
        }
    } else {
        if turns.last().map(|turn| turn.side) == Some(Side::Assistant) {
            let why = "The model is not known to continue an assistant's message.";
            return Err(cx.refuse(Field::Prefill, why));
        }
        others(&mut cx, &mut config, &mut extra);
        format(&mut cx, &mut body)?;
    }
    let system = blocks::system(&system);
    let messages = blocks::messages(&mut cx, &turns, flat)?;
    body.set("messages", messages);
    if !system.is_empty() {
        body.set("system", system);
    }
    if !none {
        tools(&mut cx, &mut body)?;
    }
    if request.parallel == Some(false) && !request.tools.is_empty() {
        cx.drop(Field::Parallel, "This provider has no such field.");
    }
    if config.filled() {
        body.set("inferenceConfig", config);
    }
    for (field, value) in cx.others()? {
        carry(&mut cx, field, value, &mut body)?;
    }
    betas(&mut cx, &mut extra);
    if extra.filled() {
        body.set("additionalModelRequestFields", extra);
    }
    cx.unknown(false);
    blocks::last_four(&mut cx, &mut body);
    let operation = if request.stream { "converse-stream" } else { "converse" };
    Ok(cx.done(format!("model/{}/{operation}", segment(to.model)), &body, Vec::new()))
}

/// Limits, sampling and thinking of models that are not Claude's.
fn others(cx: &mut Cx<'_>, config: &mut Json, extra: &mut Json) {
    let request = cx.request;
    config.set_some("maxTokens", cx.max_output());
    if let Some(value) = request.temperature {
        if value > 1.0 {
            cx.adapt(Field::Temperature, format!("{value} is sent as 1, the most."));
        }
        config.set("temperature", value.clamp(0.0, 1.0));
    }
    config.set_some("topP", request.top_p);
    if request.top_k.is_some() {
        cx.drop(Field::TopK, "The model has no such field here.");
    }
    if !request.stop.is_empty() {
        config.set("stopSequences", request.stop.iter().map(Json::from).collect::<Json>());
    }
    let Some(wish) = request.wish else { return };
    let effort = match wish {
        Wish::Off | Wish::Adaptive => None,
        Wish::Effort(effort) => Some(effort),
        Wish::Budget(tokens) => {
            let of = super::super::effort::of_budget(tokens);
            cx.adapt(Field::Effort, format!("{tokens} tokens are sent as {}.", of.name()));
            Some(of)
        }
    };
    // Both have three degrees.
    let degree = effort.map(|effort| match budget_of(effort) {
        ..=1_024 => Effort::Low.name(),
        1_025..=8_192 => Effort::Medium.name(),
        _ => Effort::High.name(),
    });
    match cx.to.family {
        Family::OpenAi(rules) if !rules.efforts.is_empty() => match (wish, degree) {
            (Wish::Off, _) => {
                cx.adapt(Field::Effort, "The model cannot but reason: the least effort.");
                extra.set("reasoning_effort", "low");
            }
            (_, degree) => extra.set_some("reasoning_effort", degree),
        },
        Family::Nova if wish != Wish::Off => {
            let mut config = object! {"type": "enabled"};
            config.set("maxReasoningEffort", degree.unwrap_or("medium"));
            extra.set("reasoningConfig", config);
        }
        _ if wish == Wish::Off => {}
        _ => cx.drop(Field::Effort, "The model has no such field here."),
    }
}

fn format(cx: &mut Cx<'_>, body: &mut Json) -> Result<(), Refusal> {
    match &cx.request.format {
        None => Ok(()),
        Some(Format::JsonObject) => {
            Err(cx.refuse(Field::JsonObject, "There is no such mode: give a schema."))
        }
        Some(Format::Schema(wanted)) if common::has(cx, Capability::JsonSchema) => {
            text_format(body, &crate::schema::plain(&wanted.schema));
            Ok(())
        }
        Some(Format::Schema(_)) => {
            Err(cx.refuse(Field::JsonSchema, "The model is not known to answer in a schema."))
        }
    }
}

/// The schema goes as a string.
fn text_format(body: &mut Json, schema: &Json) {
    let inner = object! {"schema": schema.to_text(), "name": "answer"};
    let format = object! {
        "type": "json_schema", "structure": object! {"jsonSchema": inner},
    };
    body.set_at(&["outputConfig", "textFormat"], format);
}

fn tools(cx: &mut Cx<'_>, body: &mut Json) -> Result<(), Refusal> {
    let (tools, choice) = common::only_allowed(cx);
    let claude = matches!(cx.to.family, Family::Claude(_));
    let mut out: Vec<Json> = Vec::new();
    let mut strict = 0;
    for tool in tools {
        let custom = matches!(tool.kind, ToolKind::Custom(_));
        let name = cx.name(&tool.name, tool.namespace.as_deref(), custom);
        let mut spec = object! {"name": name};
        if !tool.description.is_empty() {
            spec.set("description", tool.description.as_str());
        }
        let mut schema = cx.input_schema(tool)?;
        if tool.strict == Some(true) {
            match crate::schema::fit(&schema, crate::schema::Subset::Claude) {
                Ok(fitted) if claude && strict < anthropic::STRICT_TOOLS => {
                    common::strict_as(cx, &fitted.adapted);
                    schema = fitted.schema;
                    spec.set("strict", true);
                    strict += 1;
                }
                _ => cx.drop(Field::Strict, "Only Claude enforces a schema, of its own subset."),
            }
        }
        spec.set("inputSchema", object! {"json": schema});
        out.push(object! {"toolSpec": spec});
        if let Some(ttl) = &tool.cache {
            out.push(blocks::cache_point(ttl.as_deref()));
        }
    }
    let mut config = object! {"tools": out};
    let nova = cx.to.family == Family::Nova;
    let mistral = cx.to.family == Family::Mistral;
    let why = "The model cannot be made to call a tool.";
    match choice {
        Some(Choose::Any) if claude || nova || mistral => {
            config.set("toolChoice", object! {"any": Json::empty()});
        }
        Some(Choose::One(name)) if claude || nova => {
            let name = cx.chosen(&name);
            config.set("toolChoice", object! {"tool": object! {"name": name}});
        }
        Some(Choose::Any | Choose::One(_)) => return Err(cx.refuse(Field::ToolChoice, why)),
        _ => {}
    }
    body.set("toolConfig", config);
    Ok(())
}

fn carry(cx: &mut Cx<'_>, field: Field, value: &Json, body: &mut Json) -> Result<(), Refusal> {
    match field {
        Field::Metadata => {
            if fits(value) {
                body.set("requestMetadata", value);
            } else {
                cx.drop(field, "16 pairs at most, of 256 characters of a small alphabet.");
            }
        }
        Field::SafetyIdentifier => {
            let pair = object! {"user_id": value};
            if fits(&pair) && !body.has("requestMetadata") {
                body.set("requestMetadata", pair);
            } else {
                cx.drop(field, "Not of the alphabet that the provider takes.");
            }
        }
        Field::ServiceTier => {
            let tier = common::tier(cx, value, &["flex", "priority", "default"]);
            body.set_some("serviceTier", tier.map(|tier| object! {"type": tier}));
        }
        Field::Moderation => common::moderation(cx, value)?,
        _ => {}
    }
    Ok(())
}

/// Whether this can be metadata of a request.
fn fits(value: &Json) -> bool {
    let legal = |text: &str| {
        text.len() <= 256
            && text.chars().all(|c| c.is_ascii_alphanumeric() || " :_@$#=/+,-.".contains(c))
    };
    value.members().len() <= 16
        && value
            .members()
            .iter()
            .all(|(name, value)| !name.is_empty() && legal(name) && value.str().is_some_and(legal))
}

fn betas(cx: &mut Cx<'_>, extra: &mut Json) {
    let claude = matches!(cx.to.family, Family::Claude(_));
    let mut known = Vec::new();
    for beta in &cx.request.betas {
        if claude && BETAS.contains(&beta.as_str()) {
            known.push(Json::from(beta));
        } else {
            cx.drop(Field::Betas, "Not known to this provider.");
        }
    }
    if !known.is_empty() {
        extra.set("anthropic_beta", known);
    }
}
