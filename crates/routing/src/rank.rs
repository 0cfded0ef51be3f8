//! Ranking: every eligible candidate of an alias in the order in which it is to be tried. Pure: the
//! same alias, view, facts, time and seed give the same ranking. A strategy orders, it never picks,
//! so fallback is "take the next" under every strategy.
//!
//! What a ranking changes of live state (a probe that is taken, weights that are smoothed) it does
//! not do: it returns it as [`Effects`], which are applied when the first attempt starts. Who only
//! explains drops them.

mod cx;
mod score;

use smallvec::{SmallVec, smallvec};

pub use self::{
    cx::{Block, SelectCx},
    score::{Score, reason},
};
pub use crate::stats::Effects;
use crate::{
    ejection::Availability,
    facts::RequestFacts,
    fleet::Dimension,
    id::CandidateIx,
    price::Price,
    rng::Rng,
    snapshot::{CompiledAlias, CompiledLineup},
    stats::LineupStats,
    time::Nanos,
};

/// The candidates to try, best first.
pub type Ranking = SmallVec<[CandidateIx; 8]>;

/// What ranking sees of the live state. Slices are by index of the candidate (or lineup); what is
/// not in them reads as `Default`: available, idle, nothing known.
#[derive(Clone, Copy, Debug, Default)]
pub struct View<'a> {
    /// The candidates that passed the filter, as a set of [`CandidateIx::bit`].
    pub eligible: u64,
    /// Those at their share of a limit, a set as well: they rank behind all others.
    pub full: u64,
    /// How many routers serve, this one included; 0 reads as 1.
    pub routers: u32,
    /// Whether each candidate is available or ejected.
    pub availability: &'a [Availability],
    /// What each candidate is doing.
    pub live: &'a [CandidateLive<'a>],
    /// What is remembered of each lineup, by [`CompiledLineup::ix`].
    pub lineups: &'a [LineupStats],
}

/// What one candidate is doing.
#[derive(Clone, Copy, Debug, Default)]
pub struct CandidateLive<'a> {
    /// Requests of this router that are under way at its model.
    pub pending: u32,
    /// The fullest of its quotas' dimensions, from 0, this request included; `None`: it has none.
    pub utilization: Option<f64>,
    /// What the first of its quotas' limits counts, and how much a minute; `None`: it has none.
    pub quota: Option<(Dimension, u64)>,
    /// Tokens over the last 60 s, by the whole fleet.
    pub used_tokens: f64,
    /// What it costs; `None`: not known.
    pub price: Option<&'a Price>,
}

impl<'a> View<'a> {
    /// Whether a candidate is available or ejected.
    pub fn availability(&self, ix: CandidateIx) -> Availability {
        self.availability.get(ix.get()).copied().unwrap_or_default()
    }

    /// Whether a request may be sent to it just so: not ejected, and below its share of limits.
    pub fn is_open(&self, ix: CandidateIx) -> bool {
        self.full & ix.bit() == 0 && self.availability(ix) == Availability::Available
    }

    /// What a candidate is doing.
    pub fn live(&self, ix: CandidateIx) -> CandidateLive<'a> {
        self.live.get(ix.get()).copied().unwrap_or_default()
    }

    /// What is remembered of a lineup.
    pub fn lineup(&self, lineup: &CompiledLineup) -> &'a LineupStats {
        static EMPTY: LineupStats = LineupStats::EMPTY;
        self.lineups.get(usize::from(lineup.ix)).unwrap_or(&EMPTY)
    }
}

/// A ranking, and what comes with it.
#[derive(Clone, Debug, Default)]
pub struct Ranked {
    /// Every eligible candidate, best first.
    pub ranking: Ranking,
    /// What it changes of live state, once the first attempt starts.
    pub effects: Effects,
    /// What each candidate was ranked by, by index; `None` where its strategy goes by no number.
    pub scores: SmallVec<[Option<Score>; 8]>,
}

/// Ranks all eligible candidates of the alias: tiers in order, within a tier as the strategy says;
/// behind all available ones the ejected, soft before hard, each by time of recovery; and last
/// those at their share of a limit.
pub fn rank(
    alias: &CompiledAlias,
    view: &View<'_>,
    facts: &RequestFacts<'_>,
    now: Nanos,
    rng: &mut Rng,
) -> Ranked {
    let mut ranked =
        Ranked { scores: smallvec![None; alias.candidates.len()], ..Ranked::default() };
    let mut cx = SelectCx::new(alias, view, facts, now, rng, &mut ranked);
    cx.push_lineup(&alias.lineup);
    let all_open = ranked.ranking.iter().all(|ix| view.is_open(*ix));
    if !all_open {
        // Stable: those that are open keep the strategy's order.
        ranked.ranking.sort_by_key(|ix| (view.full & ix.bit() != 0, view.availability(*ix)));
    }
    ranked.effects.settle(ranked.ranking.first());
    ranked
}
