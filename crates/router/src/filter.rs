//! The hard filter over live candidates: what each is to `routing::filter`, and what a caller is
//! told when nothing is left.

use http::StatusCode;
use routing::{
    CandidateIx, RequestFacts,
    filter::{self, FilterReason, Filterable, Filtered},
};

use crate::{errors::Refusal, live::LiveAlias};

/// Filters the candidates of an alias.
pub(crate) fn filter(alias: &LiveAlias, facts: &RequestFacts<'_>) -> Filtered {
    filter::filter(&alias.compiled, facts, &|ix| filterable(alias, ix))
}

/// Why a candidate cannot serve the request, if it cannot.
pub(crate) fn reason(
    alias: &LiveAlias,
    ix: CandidateIx,
    facts: &RequestFacts<'_>,
) -> Option<FilterReason> {
    filter::reason(&alias.compiled, facts, ix, filterable(alias, ix))
}

fn filterable(alias: &LiveAlias, ix: CandidateIx) -> Filterable<'_> {
    let place = alias.candidates.get(ix.get()).and_then(|c| c.place.as_ref());
    Filterable {
        target: place.map(|(t, model)| (&t.compiled, &t.compiled.models[*model])),
        credential: place.is_some_and(|(t, _)| t.has_credential()),
    }
}

/// A candidate's context window, where it is stated.
pub(crate) fn window(alias: &LiveAlias, ix: CandidateIx) -> Option<u64> {
    alias.candidates[ix.get()].model()?.1.context_window
}

/// What a caller is told when no candidate is left.
pub(crate) fn none_left(alias: &LiveAlias, facts: &RequestFacts<'_>) -> Refusal {
    let name = &alias.compiled.id;
    let why: Vec<(CandidateIx, FilterReason)> = filter::indexes(&alias.compiled)
        .filter_map(|ix| Some((ix, reason(alias, ix, facts)?)))
        .collect();
    if why.is_empty() {
        let message = format!("The alias {name} has no target that works: see its status.");
        return Refusal::server(StatusCode::SERVICE_UNAVAILABLE, "no_target", message);
    }
    let list: Vec<String> = why
        .iter()
        .map(|(ix, reason)| {
            let candidate = &alias.compiled.candidates[ix.get()];
            format!("{}/{}: {reason}", candidate.target, candidate.model)
        })
        .collect();
    let message = format!("No target of the alias {name} can serve this: {}.", list.join("; "));
    let of_request = why.iter().find_map(|(_, reason)| match reason {
        FilterReason::Capability(_) => Some(reason.field().unwrap_or("model")),
        FilterReason::NotAsked => Some("x-moniker-providers"),
        _ => None,
    });
    match of_request {
        Some(field) => {
            Refusal::request(StatusCode::BAD_REQUEST, "unsupported_parameter", message).param(field)
        }
        None => Refusal::server(StatusCode::SERVICE_UNAVAILABLE, "no_target", message),
    }
}
