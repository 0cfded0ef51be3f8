//! What a strategy works with while it orders a tier: the request, the live view, the draws, and
//! the ranking that it appends to.

use smallvec::SmallVec;

use super::{Ranked, Ranking, Score, View};
use crate::{
    affinity,
    facts::RequestFacts,
    id::CandidateIx,
    rng::Rng,
    snapshot::{CompiledAlias, CompiledEntry, CompiledLineup, Members},
    stats::LineupEffects,
    time::Nanos,
};

/// The request and the view that are ranked for, and the ranking so far.
#[derive(Debug)]
pub struct SelectCx<'a, 'f> {
    /// The alias.
    pub alias: &'a CompiledAlias,
    /// What is live.
    pub view: &'a View<'a>,
    /// The request.
    pub facts: &'a RequestFacts<'f>,
    /// The time.
    pub now: Nanos,
    /// The seeded generator of all draws.
    pub rng: &'a mut Rng,
    out: &'a mut Ranked,
    seen: u64,
}

/// What a strategy that goes by numbers ranks: a candidate, or a nested alias, whose own ranking
/// stays together and which is scored as the first of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its first candidate in list order: what is remembered of the block is found by it.
    pub anchor: CandidateIx,
    /// The candidate that it is scored as: the first of its ranking that is open, else the first.
    pub head: CandidateIx,
    /// The entry's weight; 0: behind all others of the tier.
    pub weight: u32,
    /// Whether the head may be sent to: not ejected, and below its share of limits.
    pub open: bool,
    members: Ranking,
}

impl<'a, 'f> SelectCx<'a, 'f> {
    pub(super) fn new(
        alias: &'a CompiledAlias,
        view: &'a View<'a>,
        facts: &'a RequestFacts<'f>,
        now: Nanos,
        rng: &'a mut Rng,
        out: &'a mut Ranked,
    ) -> Self {
        Self { alias, view, facts, now, rng, out, seen: 0 }
    }

    /// Whether the entry has a candidate that is eligible and open.
    pub fn is_open(&self, entry: &CompiledEntry) -> bool {
        match &entry.members {
            Members::Candidates(list) => {
                list.iter().any(|ix| self.view.eligible & ix.bit() != 0 && self.view.is_open(*ix))
            }
            Members::Alias { lineup, .. } => lineup.tiers.iter().flatten().any(|e| self.is_open(e)),
        }
    }

    /// Appends the entry: its targets in their order of preference, or, for a nested alias, its
    /// own ranking as one block. What is not eligible, or stands already, is left out.
    pub fn push(&mut self, entry: &CompiledEntry) {
        match &entry.members {
            Members::Candidates(list) => {
                for ix in list {
                    if self.take(*ix) {
                        self.out.ranking.push(*ix);
                    }
                }
            }
            Members::Alias { lineup, .. } => self.push_lineup(lineup),
        }
    }

    /// The eligible blocks of a tier, in list order. Each of them has to be pushed.
    pub fn blocks(&mut self, tier: &[CompiledEntry]) -> SmallVec<[Block; 8]> {
        let mut blocks = SmallVec::new();
        for entry in tier {
            match &entry.members {
                Members::Candidates(list) => {
                    for ix in list {
                        if self.take(*ix) {
                            let open = self.view.is_open(*ix);
                            let members = Ranking::from_slice(&[*ix]);
                            let weight = entry.weight;
                            blocks.push(Block { anchor: *ix, head: *ix, weight, open, members });
                        }
                    }
                }
                Members::Alias { lineup, .. } => {
                    let so_far = std::mem::take(&mut self.out.ranking);
                    self.push_lineup(lineup);
                    let members = std::mem::replace(&mut self.out.ranking, so_far);
                    let Some(anchor) = members.iter().min().copied() else { continue };
                    let open = members.iter().find(|ix| self.view.is_open(**ix)).copied();
                    blocks.push(Block {
                        anchor,
                        head: open.unwrap_or(members[0]),
                        weight: entry.weight,
                        open: open.is_some(),
                        members,
                    });
                }
            }
        }
        blocks
    }

    /// Appends a block.
    pub fn push_block(&mut self, block: &Block) {
        self.out.ranking.extend_from_slice(&block.members);
    }

    /// Appends all blocks by ascending cost, which is by position: first the open ones, then the
    /// others, and both again for those of weight 0. The list's order breaks ties. `first`, if any,
    /// goes before all.
    pub fn push_by_cost(&mut self, blocks: &[Block], costs: &[f64], first: Option<usize>) {
        let cost = |at: usize| costs.get(at).copied().unwrap_or(f64::INFINITY);
        let mut order: SmallVec<[usize; 8]> = (0..blocks.len()).collect();
        order.sort_by(|&a, &b| {
            let rank = |at: usize| (first != Some(at), blocks[at].weight == 0, !blocks[at].open);
            rank(a).cmp(&rank(b)).then(cost(a).total_cmp(&cost(b)))
        });
        for at in order {
            self.push_block(&blocks[at]);
        }
    }

    /// Appends what a lineup ranks.
    pub(super) fn push_lineup(&mut self, lineup: &CompiledLineup) {
        for tier in &lineup.tiers {
            lineup.strategy.rank_tier(self, lineup, tier);
        }
    }

    /// A candidate's time in a race that decides a draw by weight: exponentially distributed with
    /// the weight as its rate, so that candidates in ascending order of it are drawn by weight
    /// without replacement (Efraimidis and Spirakis, "Weighted random sampling with a reservoir",
    /// 2006). A weight that is not above 0 never arrives. With a session there is no draw: the hash
    /// of session and candidate decides.
    pub fn race(&mut self, ix: CandidateIx, weight: f64) -> f64 {
        let point = match (self.facts.session, self.alias.candidates.get(ix.get())) {
            (Some(session), Some(candidate)) => affinity::point(session, candidate),
            _ => 1.0 - self.rng.unit(),
        };
        affinity::arrival(point, weight)
    }

    /// Notes what a candidate was ranked by.
    pub fn score(&mut self, ix: CandidateIx, score: Score) {
        if let Some(slot) = self.out.scores.get_mut(ix.get()) {
            *slot = Some(score);
        }
    }

    /// What this ranking changes of a lineup's live state.
    pub fn effects(&mut self, lineup: &CompiledLineup) -> &mut LineupEffects {
        self.out.effects.of(lineup.ix)
    }

    /// Takes an eligible candidate that does not stand yet.
    fn take(&mut self, ix: CandidateIx) -> bool {
        let free = self.view.eligible & !self.seen & ix.bit() != 0;
        self.seen |= ix.bit();
        free
    }
}
