//! What an alias asks of the prices and capabilities of its candidates: which of them have no price
//! where one is needed, and whether its guardrails leave any.

use routing::{
    StrategyKind,
    snapshot::{CompiledCandidate, CompiledModel},
};

use crate::{
    resolve::{Lineup, Options, Resolved},
    text::{self, quote, quote_id},
};

/// What is said where the price of candidates is needed and not known.
pub(super) fn unknown(
    resolved: &Resolved<'_>,
    options: &Options,
    lineup: &Lineup,
) -> Option<String> {
    let guardrails = &options.guardrails;
    let ceiling = guardrails.max_price_input.or(guardrails.max_price_output).is_some();
    let by_price = lineup.compiled.strategy.kind == StrategyKind::LowestPrice;
    if !ceiling && !by_price {
        return None;
    }
    let unpriced: Vec<String> = lineup
        .candidates
        .iter()
        .filter(|c| model(resolved, c).is_some_and(|model| model.price.is_none()))
        .map(|c| format!("{} of {}", quote(&c.model), quote_id(&c.target)))
        .collect();
    let what = match (unpriced.is_empty(), ceiling) {
        (true, _) => return None,
        (false, true) => "so spec.guardrails.maxPrice leaves them out",
        (false, false) => "so they go last",
    };
    let head = format!(
        "no price is known of some models, {what}; state `price` in spec.models of the \
         ProviderTarget: "
    );
    let mut parts = unpriced;
    if let Some(first) = parts.first_mut() {
        first.insert_str(0, &head);
    }
    Some(text::join(&parts))
}

/// Why the guardrails leave nothing that works, if so: a part for each candidate.
pub(super) fn nothing_left(
    resolved: &Resolved<'_>,
    options: &Options,
    lineup: &Lineup,
) -> Option<Vec<String>> {
    let guardrails = &options.guardrails;
    let mut parts = Vec::new();
    for candidate in &lineup.candidates {
        if resolved.targets.get(&candidate.target).is_some_and(|target| target.cordoned) {
            continue;
        }
        // What is not known of a target may be fine.
        let model = model(resolved, candidate)?;
        let lacks = guardrails.require_capabilities.minus(model.capabilities).iter().next();
        let why = match (lacks, &model.price) {
            (Some(capability), _) => format!("lacks {capability}"),
            (None, price) if !guardrails.price_above(price.as_ref(), 0) => return None,
            (None, Some(_)) => "costs more than maxPrice".to_owned(),
            (None, None) => "has no price, which counts as above maxPrice".to_owned(),
        };
        parts.push(format!("{} of {} {why}", quote(&candidate.model), quote_id(&candidate.target)));
    }
    let first = parts.first_mut()?;
    first.insert_str(0, "no target is usable: spec.guardrails leave out all of them; ");
    Some(parts)
}

/// The model that a candidate stands for, where its target compiled.
fn model<'r>(resolved: &'r Resolved<'_>, of: &CompiledCandidate) -> Option<&'r CompiledModel> {
    let target = resolved.targets.get(&of.target)?.value.as_ref().ok()?;
    target.model(&of.model).map(|(_, model)| model)
}
