//! The decision: filter, availability and ranking of one request, the same for a request that is
//! served and for one that is only explained.

use routing::{
    Nanos, RequestFacts, Rng,
    ejection::Availability,
    filter::order_by_window,
    rank::{Ranking, View, rank},
};
use smallvec::SmallVec;

use crate::{filter, live::LiveAlias};

/// A decision, replayable from the same facts, live view and seed.
#[derive(Debug)]
pub(crate) struct Decision {
    /// The seed of its draws.
    pub(crate) seed: u64,
    /// Whether each candidate is available or ejected, by index.
    pub(crate) availability: SmallVec<[Availability; 8]>,
    /// The candidates to try, best first.
    pub(crate) ranking: Ranking,
}

/// Decides, at `now`, with the draws of `rng` that starts from `seed`.
pub(crate) fn decide(
    alias: &LiveAlias,
    facts: &RequestFacts<'_>,
    seed: u64,
    rng: &mut Rng,
    now: Nanos,
) -> Decision {
    let filtered = filter::filter(alias, facts);
    let availability: SmallVec<[Availability; 8]> =
        alias.candidates.iter().map(|c| c.availability(now)).collect();
    let view = View {
        eligible: filtered.eligible,
        availability: &availability,
        ..View::default()
    };
    let mut ranking = rank(&alias.compiled, &view, facts, now, rng).ranking;
    if filtered.by_window {
        let available = |ix: routing::CandidateIx| {
            availability.get(ix.get()).is_none_or(|a| *a == Availability::Available)
        };
        order_by_window(&mut ranking, &available, &|ix| filter::window(alias, ix));
    }
    Decision { seed, availability, ranking }
}

impl Decision {
    /// Whether a candidate that stands before the first of the ranking in the list is ejected, so
    /// that this may not be what the strategy would have chosen were all well.
    pub(crate) fn skips(&self) -> bool {
        let Some(first) = self.ranking.first() else { return false };
        self.ranking
            .iter()
            .any(|ix| ix < first && self.availability[ix.get()] != Availability::Available)
    }
}
