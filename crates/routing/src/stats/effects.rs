//! What a ranking changes of live state. A ranking is pure: it returns these, and whoever starts
//! the first attempt applies them.

use smallvec::SmallVec;

use crate::id::CandidateIx;

/// What a ranking changes, by lineup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    lineups: SmallVec<[LineupEffects; 1]>,
}

/// What a ranking changes of one lineup. Candidates are the anchors of what was ranked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LineupEffects {
    /// Which lineup.
    pub lineup: u16,
    /// Whether candidates that were due for a probe got it.
    pub probes: SmallVec<[(CandidateIx, ProbeDraw); 2]>,
    /// The weights of the draw, as smoothed up to now.
    pub weights: SmallVec<[(CandidateIx, f64); 8]>,
    /// The weights that sessions are spread by, as evaluated now: powers of two.
    pub affinity: SmallVec<[(CandidateIx, i8); 8]>,
}

/// What came of a candidate's turn to be probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeDraw {
    /// This request is the probe, if this candidate is first in the end.
    Taken {
        /// The candidate that is probed: the anchor, or another of its block.
        by: CandidateIx,
    },
    /// It was never seen and the draw went against it: it waits a little before the next draw.
    Deferred,
}

impl Effects {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.lineups.is_empty()
    }

    /// What changes of each lineup that changes.
    pub fn iter(&self) -> impl Iterator<Item = &LineupEffects> {
        self.lineups.iter()
    }

    /// Drops the probes that are none, since another candidate is first.
    pub(crate) fn settle(&mut self, first: Option<&CandidateIx>) {
        for lineup in &mut self.lineups {
            lineup.probes.retain(|(_, draw)| match draw {
                ProbeDraw::Taken { by } => Some(&*by) == first,
                ProbeDraw::Deferred => true,
            });
        }
    }

    /// The candidate that is put first only because it has shown nothing of late, if one is.
    pub(crate) fn probed(&self) -> Option<CandidateIx> {
        let draws = self.lineups.iter().flat_map(|lineup| &lineup.probes);
        draws.into_iter().find_map(|(_, draw)| match draw {
            ProbeDraw::Taken { by } => Some(*by),
            ProbeDraw::Deferred => None,
        })
    }

    /// What changes of the lineup with this index.
    pub(crate) fn of(&mut self, lineup: u16) -> &mut LineupEffects {
        let at = self.lineups.iter().position(|effects| effects.lineup == lineup);
        let at = at.unwrap_or_else(|| {
            self.lineups.push(LineupEffects { lineup, ..LineupEffects::default() });
            self.lineups.len() - 1
        });
        &mut self.lineups[at]
    }
}
