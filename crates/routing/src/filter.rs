//! The filter: which candidates may take a request at all, before health and strategy. Hard, but
//! for the context estimate, which never empties the list.

use std::fmt;

use serde::Serialize;

use crate::{
    catalog::{Capability, CapabilitySet, Endpoint},
    facts::RequestFacts,
    id::CandidateIx,
    rank::Ranking,
    snapshot::{CompiledAlias, CompiledModel, CompiledTarget},
};

/// Why a candidate may not take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum FilterReason {
    /// The target, or the model in it, is not in the snapshot.
    TargetMissing,
    /// `cordoned: true`.
    Cordoned,
    /// The credential is not there.
    CredentialMissing,
    /// The model lacks it.
    Capability(Capability),
    /// The model lacks what the alias's guardrails require of every one.
    Guardrail(Capability),
    /// The model's price is above the alias's ceiling.
    AbovePriceCeiling,
    /// The alias has a price ceiling, and the model's price is not known.
    PriceUnknown,
    /// The caller's key has a budget, and the model's price is not known.
    Unpriced,
    /// The budget of the caller's key has nothing left for what costs something.
    OverBudget,
    /// The caller's `x-moniker-providers` leaves it out.
    NotAsked,
    /// Not even half of the estimated prompt fits the context window.
    ContextWindow,
    /// Embeddings of different models do not mix: only the first candidate's model is asked.
    OtherEmbeddingModel,
    /// The request holds what the candidate's dialect cannot say.
    Inexpressible,
}

impl FilterReason {
    /// The member of a request to this endpoint that is why, where it is one.
    pub fn field(self, endpoint: Endpoint) -> Option<&'static str> {
        match self {
            Self::Capability(Capability::Streaming) => Some("stream"),
            Self::Capability(Capability::Tools) => Some("tools"),
            Self::Capability(Capability::JsonSchema) => Some(match endpoint {
                Endpoint::Responses => "text",
                Endpoint::Messages | Endpoint::CountTokens => "output_config",
                _ => "response_format",
            }),
            Self::Capability(Capability::Vision | Capability::Audio | Capability::Documents) => {
                Some(match endpoint {
                    Endpoint::Responses | Endpoint::Moderations => "input",
                    _ => "messages",
                })
            }
            _ => None,
        }
    }
}

impl fmt::Display for FilterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TargetMissing => f.write_str("the target is not there"),
            Self::Cordoned => f.write_str("the target is cordoned"),
            Self::CredentialMissing => f.write_str("the target's credential is missing"),
            Self::Capability(capability) => write!(f, "the model lacks {capability}"),
            Self::Guardrail(capability) => {
                write!(f, "the alias's guardrails require {capability}, which the model lacks")
            }
            Self::AbovePriceCeiling => {
                f.write_str("its price is above the ceiling of the alias's guardrails")
            }
            Self::PriceUnknown => f.write_str(
                "its price is not known, and the alias's guardrails have a price ceiling",
            ),
            Self::Unpriced => {
                f.write_str("its price is not known, and the caller's access key has a budget")
            }
            Self::OverBudget => {
                f.write_str("the budget of the caller's access key has nothing left for it")
            }
            Self::NotAsked => f.write_str("x-moniker-providers leaves it out"),
            Self::ContextWindow => f.write_str("the prompt does not fit its context window"),
            Self::OtherEmbeddingModel => f.write_str("embeddings of different models do not mix"),
            Self::Inexpressible => {
                f.write_str("the request holds what its provider's protocol cannot say")
            }
        }
    }
}

/// What the filter reads of one candidate.
#[derive(Clone, Copy, Debug)]
pub struct Filterable<'a> {
    /// Its target and model, where the snapshot has them.
    pub target: Option<(&'a CompiledTarget, &'a CompiledModel)>,
    /// Whether its credential is there, or it needs none.
    pub credential: bool,
    /// Whether its dialect can say what the request holds.
    pub expressible: bool,
    /// What the budget of the caller's key has for it.
    pub funds: Funds,
}

/// What the budget of a caller's key has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Funds {
    /// There is no budget.
    #[default]
    Unlimited,
    /// Enough for what has a price.
    Some,
    /// Nothing but for what is free.
    None,
}

/// The outcome of the filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filtered {
    /// The candidates that may be asked, as a set of [`CandidateIx::bit`].
    pub eligible: u64,
    /// The prompt fits none by the estimate: larger windows go first.
    pub by_window: bool,
}

/// Filters all candidates of the alias; `candidate` gives what is known of each.
pub fn filter<'a>(
    alias: &CompiledAlias,
    facts: &RequestFacts<'_>,
    candidate: &dyn Fn(CandidateIx) -> Filterable<'a>,
) -> Filtered {
    let (mut fits, mut too_small) = (0, 0);
    for ix in indexes(alias) {
        match reason(alias, facts, ix, candidate(ix)) {
            None => fits |= ix.bit(),
            Some(FilterReason::ContextWindow) => too_small |= ix.bit(),
            Some(_) => {}
        }
    }
    if fits == 0 && too_small != 0 {
        Filtered { eligible: too_small, by_window: true }
    } else {
        Filtered { eligible: fits, by_window: false }
    }
}

/// Why this candidate may not be asked, if so.
pub fn reason(
    alias: &CompiledAlias,
    facts: &RequestFacts<'_>,
    ix: CandidateIx,
    candidate: Filterable<'_>,
) -> Option<FilterReason> {
    let Some((target, model)) = candidate.target else {
        return Some(FilterReason::TargetMissing);
    };
    if target.cordoned {
        return Some(FilterReason::Cordoned);
    }
    if !candidate.credential {
        return Some(FilterReason::CredentialMissing);
    }
    let served_by = facts.endpoint.served_by();
    if served_by.minus(model.capabilities) == served_by {
        return Some(FilterReason::Capability(facts.endpoint.capability()));
    }
    let mut needs: CapabilitySet = facts.needs;
    if facts.stream {
        needs = needs.with(Capability::Streaming);
    }
    if let Some(missing) = needs.minus(model.capabilities).iter().next() {
        return Some(FilterReason::Capability(missing));
    }
    let guardrails = &alias.guardrails;
    if let Some(missing) = guardrails.require_capabilities.minus(model.capabilities).iter().next() {
        return Some(FilterReason::Guardrail(missing));
    }
    if guardrails.price_above(model.price.as_ref(), facts.prompt_tokens) {
        return Some(match model.price {
            Some(_) => FilterReason::AbovePriceCeiling,
            None => FilterReason::PriceUnknown,
        });
    }
    match candidate.funds {
        Funds::Unlimited => {}
        Funds::Some if model.price.is_some() => {}
        Funds::Some | Funds::None if model.price.is_none() => return Some(FilterReason::Unpriced),
        Funds::Some | Funds::None => return Some(FilterReason::OverBudget),
    }
    if !facts.admits(&target.id) {
        return Some(FilterReason::NotAsked);
    }
    if facts.endpoint == Endpoint::Embeddings
        && alias.candidates.first().is_some_and(|first| {
            alias.candidates.get(ix.get()).is_some_and(|this| this.model != first.model)
        })
    {
        return Some(FilterReason::OtherEmbeddingModel);
    }
    if !candidate.expressible {
        return Some(FilterReason::Inexpressible);
    }
    if model.context_window.is_some_and(|window| facts.prompt_tokens / 2 > window) {
        return Some(FilterReason::ContextWindow);
    }
    None
}

/// Puts larger context windows first, unstated ones before all, among the available candidates and
/// among the ejected ones, which stay behind; stable otherwise.
pub fn order_by_window(
    ranking: &mut Ranking,
    available: &dyn Fn(CandidateIx) -> bool,
    window: &dyn Fn(CandidateIx) -> Option<u64>,
) {
    ranking.sort_by_key(|ix| (!available(*ix), std::cmp::Reverse(window(*ix).unwrap_or(u64::MAX))));
}

/// Puts candidates that reason first, among the available ones and among the ejected ones, which
/// stay behind; stable otherwise. For a request that wishes for it.
pub fn order_by_reasoning(
    ranking: &mut Ranking,
    available: &dyn Fn(CandidateIx) -> bool,
    reasons: &dyn Fn(CandidateIx) -> bool,
) {
    ranking.sort_by_key(|ix| (!available(*ix), !reasons(*ix)));
}

/// The indexes of all candidates of the alias.
pub fn indexes(alias: &CompiledAlias) -> impl Iterator<Item = CandidateIx> + use<> {
    (0..u8::try_from(alias.candidates.len().min(crate::snapshot::MAX_CANDIDATES)).unwrap_or(0))
        .map(CandidateIx)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_windows_go_first_and_the_ejected_stay_behind() {
        let windows = [Some(8), None, Some(32), Some(16), None];
        let mut ranking: Ranking = (0..5).map(CandidateIx).collect();
        order_by_window(&mut ranking, &|ix| !matches!(ix.0, 2 | 4), &|ix| windows[ix.get()]);
        let order: Vec<u8> = ranking.iter().map(|ix| ix.0).collect();
        assert_eq!(order, [1, 3, 0, 4, 2]);
    }

    #[test]
    fn those_that_reason_go_first_and_the_ejected_stay_behind() {
        let mut ranking: Ranking = (0..5).map(CandidateIx).collect();
        let reasons = |ix: CandidateIx| matches!(ix.0, 1 | 3 | 4);
        order_by_reasoning(&mut ranking, &|ix| !matches!(ix.0, 2 | 4), &reasons);
        let order: Vec<u8> = ranking.iter().map(|ix| ix.0).collect();
        assert_eq!(order, [1, 3, 0, 4, 2]);
    }
}
