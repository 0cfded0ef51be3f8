//! The hard filter over live candidates: what each is to `routing::filter`, and what a caller is
//! told when nothing is left.

use http::StatusCode;
use routing::{
    CandidateIx, Capability, RequestFacts,
    filter::{self, FilterReason, Filterable, Filtered},
};

use crate::{
    errors::Refusal,
    live::LiveAlias,
    translate::{Unfit, Ways},
};

/// Filters the candidates of an alias.
pub(crate) fn filter(alias: &LiveAlias, facts: &RequestFacts<'_>, ways: &Ways) -> Filtered {
    filter::filter(&alias.compiled, facts, &|ix| filterable(alias, ix, ways))
}

/// Why a candidate cannot serve the request, if it cannot.
pub(crate) fn reason(
    alias: &LiveAlias,
    ix: CandidateIx,
    facts: &RequestFacts<'_>,
    ways: &Ways,
) -> Option<FilterReason> {
    filter::reason(&alias.compiled, facts, ix, filterable(alias, ix, ways))
}

/// The same in words.
pub(crate) fn told(
    alias: &LiveAlias,
    ix: CandidateIx,
    facts: &RequestFacts<'_>,
    ways: &Ways,
) -> Option<String> {
    let reason = reason(alias, ix, facts, ways)?;
    Some(match (reason, ways.unfit(ix)) {
        (FilterReason::Inexpressible, Some(unfit)) => unfit.to_string(),
        _ => reason.to_string(),
    })
}

fn filterable<'a>(alias: &'a LiveAlias, ix: CandidateIx, ways: &Ways) -> Filterable<'a> {
    let place = alias.candidates.get(ix.get()).and_then(|c| c.place.as_ref());
    Filterable {
        target: place.map(|(t, model)| (&t.compiled, &t.compiled.models[*model])),
        credential: place.is_some_and(|(t, _)| t.has_credential()),
        expressible: ways.unfit(ix).is_none(),
        funds: ways.funds(ix),
    }
}

/// Whether a candidate could serve the request, had the caller's key something left of its budget.
pub(crate) fn any_over_budget(alias: &LiveAlias, facts: &RequestFacts<'_>, ways: &Ways) -> bool {
    let mut all = filter::indexes(&alias.compiled);
    all.any(|ix| reason(alias, ix, facts, ways) == Some(FilterReason::OverBudget))
}

/// A candidate's context window, where it is stated.
pub(crate) fn window(alias: &LiveAlias, ix: CandidateIx) -> Option<u64> {
    alias.candidates[ix.get()].model()?.1.context_window
}

/// Whether a candidate's model thinks before it answers.
pub(crate) fn reasons(alias: &LiveAlias, ix: CandidateIx) -> bool {
    let model = alias.candidates[ix.get()].model();
    model.is_some_and(|(_, model)| model.capabilities.has(Capability::Reasoning))
}

/// What a caller is told when no candidate is left.
pub(crate) fn none_left(alias: &LiveAlias, facts: &RequestFacts<'_>, ways: &Ways) -> Refusal {
    let name = &alias.compiled.id;
    let why: Vec<(CandidateIx, FilterReason)> = filter::indexes(&alias.compiled)
        .filter_map(|ix| Some((ix, reason(alias, ix, facts, ways)?)))
        .collect();
    if why.is_empty() {
        let message = format!("The alias {name} has no target that works: see its status.");
        return Refusal::server(StatusCode::SERVICE_UNAVAILABLE, "no_target", message);
    }
    let list: Vec<String> = why
        .iter()
        .map(|(ix, _)| {
            let candidate = &alias.compiled.candidates[ix.get()];
            let reason = told(alias, *ix, facts, ways).unwrap_or_default();
            format!("{}/{}: {reason}", candidate.target, candidate.model)
        })
        .collect();
    let message = format!("No target of the alias {name} can serve this: {}.", list.join("; "));
    let of_request = why.iter().find_map(|(ix, reason)| match reason {
        FilterReason::Capability(_) => {
            Some((reason.field(facts.endpoint).or(Some("model")), "unsupported_parameter"))
        }
        FilterReason::NotAsked => Some((Some("x-moniker-providers"), "unsupported_parameter")),
        FilterReason::Inexpressible => ways.unfit(*ix).map(Unfit::told),
        _ => None,
    });
    match of_request {
        Some((field, code)) => {
            let mut refusal = Refusal::request(StatusCode::BAD_REQUEST, code, message);
            refusal.param = field.map(|field| field.to_owned().into());
            refusal
        }
        None => Refusal::server(StatusCode::SERVICE_UNAVAILABLE, "no_target", message),
    }
}
