//! What Claude takes, wherever it is served: thinking, sampling, forced tools, the forms of content.

use super::{
    cx::Cx,
    effort::{self, ADAPTIVE, LEAST},
};
use crate::{
    family::{Claude, Forced, Thinking, nearest},
    neutral::{Choose, Effort, Part, Wish},
    rules::{Field, Refusal},
    tree::{Json, object},
};

use super::history::{Side, Turn};

/// The limit of an answer where nobody states one.
const DEFAULT_MAX: u64 = 8_192;

/// What Claude is told beside the conversation.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) max_tokens: u64,
    pub(super) thinking: Option<Json>,
    pub(super) effort: Option<&'static str>,
    /// Whether it may think.
    pub(super) thinks: bool,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) top_k: Option<u64>,
    pub(super) stop: Vec<String>,
}

/// Decides it, for a model of these rules and these turns.
pub(super) fn plan(
    cx: &mut Cx<'_>,
    rules: &Claude,
    turns: &[Turn<'_>],
    forced: bool,
) -> Result<Plan, Refusal> {
    let asked = cx.max_output();
    let max_tokens = asked.or(cx.to.max_output).unwrap_or(DEFAULT_MAX);
    let mut wish = cx.request.wish;
    if forced {
        match rules.forced {
            Forced::Yes => {}
            Forced::NotThinking => {
                if wish.is_some_and(|w| w != Wish::Off) {
                    cx.adapt(Field::ThinkingOff, "A tool cannot be forced while it thinks.");
                }
                // From version 5 on it thinks unless it is told not to.
                if wish.is_some() || rules.from >= (5, 0) {
                    wish = Some(Wish::Off);
                }
            }
            Forced::Never => {
                let why = "The model always thinks, and then no tool can be forced.";
                return Err(cx.refuse(Field::ToolChoice, why));
            }
        }
    }
    if rules.thinking == Thinking::Budget
        && wish.is_some_and(|w| w != Wish::Off)
        && open_loop_without_thought(cx, turns)
    {
        cx.adapt(Field::ThinkingOff, "The turn under way has no thinking block of this model.");
        wish = Some(Wish::Off);
    }
    let (thinking, effort, thinks) = thinking(cx, rules, wish, max_tokens);
    let mut plan = Plan {
        max_tokens,
        thinking,
        effort,
        thinks,
        temperature: None,
        top_p: None,
        top_k: None,
        stop: Vec::new(),
    };
    sampling(cx, rules, &mut plan);
    for text in &cx.request.stop {
        if text.trim().is_empty() {
            cx.adapt(Field::Stop, "Texts of white space alone are left out.");
        } else {
            plan.stop.push(text.clone());
        }
    }
    prefill(cx, rules, turns, thinks)?;
    Ok(plan)
}

/// Whether the last turn of the model called tools without a thought that it can read.
fn open_loop_without_thought(cx: &Cx<'_>, turns: &[Turn<'_>]) -> bool {
    if turns.last().map(|turn| turn.side) != Some(Side::Tool) {
        return false;
    }
    let Some(turn) = turns.iter().rev().find(|turn| turn.side == Side::Assistant) else {
        return false;
    };
    !turn.parts.iter().any(|part| match &**part {
        Part::Reasoning(part) => {
            part.signature.as_ref().is_some_and(|proof| cx.to.owns(&proof.origin))
        }
        _ => false,
    })
}

fn thinking(
    cx: &mut Cx<'_>,
    rules: &Claude,
    wish: Option<Wish>,
    max_tokens: u64,
) -> (Option<Json>, Option<&'static str>, bool) {
    let by_itself = rules.from >= (5, 0);
    let Some(wish) = wish else { return (None, None, by_itself) };
    let off = || Some(object! {"type": "disabled"});
    if rules.thinking == Thinking::Budget {
        let wanted = match wish {
            Wish::Off => return (off(), None, false),
            Wish::Adaptive => ADAPTIVE,
            Wish::Effort(effort) => effort::budget_of(effort),
            Wish::Budget(tokens) => tokens.max(LEAST),
        };
        let budget = wanted.min(max_tokens.saturating_sub(LEAST));
        if budget < LEAST {
            cx.adapt(Field::ThinkingOff, "The limit of the answer leaves no room to think.");
            return (off(), None, false);
        }
        if budget < wanted {
            cx.adapt(Field::Effort, format!("{wanted} tokens are cut to {budget}."));
        }
        return (Some(object! {"type": "enabled", "budget_tokens": budget}), None, true);
    }
    let mut on = object! {"type": "adaptive"};
    if cx.request.shown == Some(true) {
        on.set("display", "summarized");
    }
    let fit = |cx: &mut Cx<'_>, wanted: Effort| {
        let found = nearest(rules.efforts, wanted);
        if found != Some(wanted)
            && let Some(found) = found
        {
            cx.adapt(Field::Effort, format!("`{}` is sent as `{}`.", wanted.name(), found.name()));
        }
        found.map(Effort::name)
    };
    match wish {
        Wish::Off => match rules.thinking {
            Thinking::Always => {
                cx.adapt(Field::Effort, "The model always thinks: the least effort.");
                (Some(on), Some("low"), true)
            }
            Thinking::BetweenTools => (Some(object! {"type": "between_tools"}), None, false),
            _ => (off(), None, false),
        },
        Wish::Adaptive => (Some(on), None, true),
        Wish::Effort(effort) => {
            let effort = fit(cx, effort);
            (Some(on), effort, true)
        }
        Wish::Budget(tokens) => {
            let wanted = effort::of_budget(tokens);
            cx.adapt(Field::Effort, format!("{tokens} tokens are sent as {}.", wanted.name()));
            let effort = fit(cx, wanted);
            (Some(on), effort, true)
        }
    }
}

fn sampling(cx: &mut Cx<'_>, rules: &Claude, plan: &mut Plan) {
    let request = cx.request;
    let is_default = |value: f64| (value - 1.0).abs() < f64::EPSILON;
    let why = if rules.sampling {
        "It is not taken while the model thinks."
    } else {
        "The model takes only the default."
    };
    if let Some(value) = request.temperature {
        if !rules.sampling || plan.thinks {
            if !is_default(value) {
                cx.drop(Field::Temperature, why);
            }
        } else {
            if value > 1.0 {
                cx.adapt(Field::Temperature, format!("{value} is sent as 1, the most."));
            }
            plan.temperature = Some(value.clamp(0.0, 1.0));
        }
    }
    if let Some(value) = request.top_p {
        if !rules.sampling || (plan.thinks && value < 0.95) {
            if !is_default(value) {
                cx.drop(Field::TopP, why);
            }
        } else if rules.one_sampling && plan.temperature.is_some() {
            if !is_default(value) {
                cx.drop(Field::TopP, "Of temperature and top_p the model takes one.");
            }
        } else {
            plan.top_p = Some(value);
        }
    }
    if let Some(value) = request.top_k {
        if !rules.sampling || plan.thinks {
            cx.drop(Field::TopK, why);
        } else {
            plan.top_k = Some(value);
        }
    }
}

fn prefill(
    cx: &mut Cx<'_>,
    rules: &Claude,
    turns: &[Turn<'_>],
    thinks: bool,
) -> Result<(), Refusal> {
    if turns.last().map(|turn| turn.side) != Some(Side::Assistant) {
        return Ok(());
    }
    if !rules.prefill || thinks {
        return Err(
            cx.refuse(Field::Prefill, "The model does not continue an assistant's message.")
        );
    }
    Ok(())
}

/// Whether the choice forces a tool.
pub(super) fn forces(choice: Option<&Choose>) -> bool {
    matches!(choice, Some(Choose::Any | Choose::One(_) | Choose::Of(_, true)))
}

/// The media types of images that Claude and Bedrock take.
pub(super) fn image_format(cx: &Cx<'_>, media_type: &str) -> Result<&'static str, Refusal> {
    match media_type {
        "image/jpeg" | "image/jpg" => Ok("jpeg"),
        "image/png" => Ok("png"),
        "image/gif" => Ok("gif"),
        "image/webp" => Ok("webp"),
        other => {
            let why = format!("Images of type `{other}` are not taken: jpeg, png, gif, webp are.");
            Err(cx.refuse(Field::ImageData, why))
        }
    }
}
