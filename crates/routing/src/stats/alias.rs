//! What is remembered of one alias: its lineups, and how many bytes a token of its prompts has.

use super::{
    Effects, LineupStats,
    lineup::{Visit, apply_all},
};
use crate::{
    id::{CandidateIx, ObjectId},
    snapshot::{CompiledAlias, CompiledCandidate, CompiledEntry, CompiledLineup, Members},
    time::Nanos,
    usage::Usage,
};

/// The first guess of the bytes of a token.
const BYTES_START: f64 = 4.0;
/// How much of it a new request is.
const BYTES_STEP: f64 = 0.02;
/// What no tokenizer and no text goes beyond, by far.
const BYTES: (f64, f64) = (0.5, 16.0);
/// Prompts of fewer tokens than this are mostly what surrounds a text.
const TELLING_TOKENS: u64 = 32;

/// The live state of one alias. Bounded by its candidates and lineups.
#[derive(Clone, Debug)]
pub struct AliasStats {
    lineups: Vec<LineupStats>,
    /// The alias that each lineup is of, to find it again when an edit moves it.
    ids: Vec<ObjectId>,
    bytes_per_token: f64,
}

impl AliasStats {
    /// Nothing known yet of this alias.
    pub fn new(alias: &CompiledAlias) -> Self {
        let mut stats = Self { lineups: Vec::new(), ids: Vec::new(), bytes_per_token: BYTES_START };
        stats.insert(&alias.id, &alias.lineup, &alias.candidates);
        stats
    }

    /// Makes room for a lineup and those that it nests; returns the candidates in it.
    fn insert(
        &mut self,
        id: &ObjectId,
        lineup: &CompiledLineup,
        candidates: &[CompiledCandidate],
    ) -> u64 {
        let at = usize::from(lineup.ix);
        while self.lineups.len() <= at {
            self.lineups.push(LineupStats::EMPTY);
            self.ids.push(id.clone());
        }
        let entries = lineup.tiers.iter().flatten();
        let members = entries.fold(0, |set, entry| set | self.members(entry, candidates));
        self.lineups[at] = LineupStats::new(members, candidates);
        self.ids[at] = id.clone();
        members
    }

    fn members(&mut self, entry: &CompiledEntry, candidates: &[CompiledCandidate]) -> u64 {
        match &entry.members {
            Members::Candidates(list) => list.iter().fold(0, |set, ix| set | ix.bit()),
            Members::Alias { id, lineup } => self.insert(id, lineup, candidates),
        }
    }

    /// Takes over what was remembered under the snapshot before: by the id of each lineup's alias,
    /// and by entry, target and model of each candidate.
    pub fn adopt(
        &mut self,
        alias: &CompiledAlias,
        previous: &Self,
        previous_alias: &CompiledAlias,
    ) {
        self.bytes_per_token = previous.bytes_per_token;
        let before = |ix: CandidateIx| {
            let candidate = alias.candidates.get(ix.get())?;
            let old = previous_alias.candidates.iter().position(|old| old == candidate)?;
            u8::try_from(old).ok().map(CandidateIx)
        };
        let mut taken = vec![false; previous.ids.len()];
        for (lineup, id) in self.lineups.iter_mut().zip(&self.ids) {
            let old = (0..taken.len()).find(|old| !taken[*old] && previous.ids[*old] == *id);
            if let Some(old) = old {
                taken[old] = true;
                lineup.adopt(&previous.lineups[old], &before);
            }
        }
    }

    /// The lineups, for [`crate::rank::View::lineups`].
    pub fn lineups(&self) -> &[LineupStats] {
        &self.lineups
    }

    /// Computes what is believed of the models anew, where that is due: `visit` shows the
    /// statistics of a candidate's model.
    pub fn refresh(&mut self, now: Nanos, visit: &mut Visit<'_>) {
        for lineup in &mut self.lineups {
            lineup.refresh(now, visit);
        }
    }

    /// Takes in what a ranking changed, when its first attempt starts.
    pub fn apply(&mut self, effects: &Effects, now: Nanos) {
        apply_all(&mut self.lineups, effects, now);
    }

    /// Takes in what an answered request used: of the lineups that rank its candidate, and of the
    /// tokens that `prompt_bytes` of text were.
    pub fn answered(&mut self, ix: CandidateIx, usage: &Usage, prompt_bytes: u64) {
        for lineup in self.lineups.iter_mut().filter(|l| l.members() & ix.bit() != 0) {
            lineup.answered(ix, usage);
        }
        let tokens = usage.prompt();
        if prompt_bytes > 0 && tokens >= TELLING_TOKENS {
            #[expect(clippy::cast_precision_loss, reason = "no prompt has 2^53 bytes")]
            let ratio = (prompt_bytes as f64 / tokens as f64).clamp(BYTES.0, BYTES.1);
            self.bytes_per_token += BYTES_STEP * (ratio - self.bytes_per_token);
        }
    }

    /// How many bytes of text a token has, as learnt from usage.
    pub fn bytes_per_token(&self) -> f64 {
        self.bytes_per_token
    }
}
