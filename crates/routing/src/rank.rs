//! Ranking: every eligible candidate of an alias in the order in which it is to be tried. Pure: the
//! same alias, view and seed give the same ranking. A strategy orders, it never picks, so fallback
//! is "take the next" under every strategy.

use smallvec::SmallVec;

use crate::{
    ejection::Availability,
    id::CandidateIx,
    rng::Rng,
    snapshot::{CompiledAlias, CompiledEntry, CompiledLineup, Members},
};

/// The candidates to try, best first.
pub type Ranking = SmallVec<[CandidateIx; 8]>;

/// What ranking sees of the live state, per candidate of the alias.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The candidates that passed the filter, as a set of [`CandidateIx::bit`].
    pub eligible: u64,
    /// Whether each candidate is available or ejected, by index.
    pub availability: &'a [Availability],
}

impl View<'_> {
    fn is_available(&self, ix: CandidateIx) -> bool {
        self.availability.get(ix.get()).is_some_and(|a| *a == Availability::Available)
    }
}

/// What a strategy works with while it orders a tier.
pub struct SelectCx<'a> {
    view: View<'a>,
    /// The seeded generator of all draws.
    pub rng: &'a mut Rng,
    out: Ranking,
    seen: u64,
}

impl SelectCx<'_> {
    /// Whether the entry has a candidate that is eligible and not ejected.
    pub fn available(&self, entry: &CompiledEntry) -> bool {
        match &entry.members {
            Members::Candidates(list) => list
                .iter()
                .any(|ix| self.view.eligible & ix.bit() != 0 && self.view.is_available(*ix)),
            Members::Alias { lineup, .. } => {
                lineup.tiers.iter().flatten().any(|e| self.available(e))
            }
        }
    }

    /// Appends the entry: its targets in their order of preference, or, for a nested alias, its
    /// own ranking as one block. What is not eligible, or stands already, is left out.
    pub fn push(&mut self, entry: &CompiledEntry) {
        match &entry.members {
            Members::Candidates(list) => list.iter().for_each(|ix| self.push_candidate(*ix)),
            Members::Alias { lineup, .. } => self.push_lineup(lineup),
        }
    }

    fn push_candidate(&mut self, ix: CandidateIx) {
        if self.view.eligible & !self.seen & ix.bit() != 0 {
            self.seen |= ix.bit();
            self.out.push(ix);
        }
    }

    fn push_lineup(&mut self, lineup: &CompiledLineup) {
        for tier in &lineup.tiers {
            lineup.strategy.rank_tier(self, tier);
        }
    }
}

/// Ranks all eligible candidates of the alias: tiers in order, within a tier as the strategy says,
/// and behind all available ones the ejected: soft before hard, each by time of recovery.
pub fn rank(alias: &CompiledAlias, view: View<'_>, rng: &mut Rng) -> Ranking {
    let mut cx = SelectCx { view, rng, out: Ranking::new(), seen: 0 };
    cx.push_lineup(&alias.lineup);
    let mut out = cx.out;
    if !out.iter().all(|ix| view.is_available(*ix)) {
        // Stable: available ones keep the strategy's order.
        out.sort_by_key(|ix| view.availability.get(ix.get()).copied().unwrap_or_default());
    }
    out
}
