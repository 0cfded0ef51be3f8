//! What is remembered of one lineup: what its models look like, how long its answers are, and the
//! state of its draws.

use super::{Estimate, Evidence, LineupEffects, ModelStats, Prior, ProbeDraw, effects::Effects};
use crate::{
    id::CandidateIx,
    snapshot::{CompiledCandidate, MAX_CANDIDATES},
    time::Nanos,
    usage::Usage,
};

/// The first guess of an answer's tokens.
const OUTPUT_START: f64 = 200.0;
/// How much of it a new answer is.
const OUTPUT_STEP: f64 = 0.02;
/// The first guess of the tokens of an answer of one model, which prices go by.
const MODEL_OUTPUT_START: f64 = 180.0;
/// How often what is believed of the models is computed anew.
const REFRESH: std::time::Duration = std::time::Duration::from_millis(100);
/// How many evaluations in a row must agree before a session's weights change.
const AGREEING: u8 = 3;
/// How long a probe is put off when the draw went against a model that nobody has seen, as if it
/// had been probed that long ago, in seconds.
const DEFERRED_AS_OF: f64 = 1.2;

/// The live state of one lineup. Bounded: a cell per candidate of the alias.
#[derive(Clone, Debug)]
pub struct LineupStats {
    prior: Prior,
    output: f64,
    /// The part of prompt tokens that a cache held.
    cached: f64,
    cells: Vec<Cell>,
    members: u64,
    refreshed: Option<Nanos>,
    smoothed: Option<Nanos>,
    evaluated: Option<Nanos>,
}

/// The state of one candidate, or of what it is the anchor of, in a lineup.
#[derive(Clone, Copy, Debug)]
struct Cell {
    estimate: Estimate,
    /// The first candidate of the lineup with the same model, which keeps what is shared.
    model: CandidateIx,
    /// The mean tokens of that model's answers.
    output: f64,
    weight: Option<f64>,
    /// When it was last probed, or may count as probed, in seconds.
    probed: Option<f64>,
    was_probed: bool,
    affinity: Option<i8>,
    proposed: i8,
    agreed: u8,
}

/// Looks at the statistics of a candidate's model, if it has any.
pub(super) type Visit<'a> = dyn FnMut(CandidateIx, &mut dyn FnMut(&mut ModelStats)) + 'a;

impl Default for Cell {
    fn default() -> Self {
        Self {
            estimate: Estimate::START,
            model: CandidateIx(0),
            output: MODEL_OUTPUT_START,
            weight: None,
            probed: None,
            was_probed: false,
            affinity: None,
            proposed: 0,
            agreed: 0,
        }
    }
}

impl Default for LineupStats {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl LineupStats {
    /// Nothing known.
    pub const EMPTY: Self = Self {
        prior: Prior::START,
        output: OUTPUT_START,
        cached: 0.0,
        cells: Vec::new(),
        members: 0,
        refreshed: None,
        smoothed: None,
        evaluated: None,
    };

    /// A lineup over these of the candidates of its alias, a set of [`CandidateIx::bit`].
    pub fn new(members: u64, candidates: &[CompiledCandidate]) -> Self {
        let len = MAX_CANDIDATES - members.leading_zeros() as usize;
        let mut cells = vec![Cell::default(); len];
        for ix in ixs(members) {
            let name = |ix: CandidateIx| candidates.get(ix.get()).map(|c| &c.model);
            let first = ixs(members).find(|first| name(*first) == name(ix));
            cells[ix.get()].model = first.unwrap_or(ix);
        }
        Self { cells, members, ..Self::EMPTY }
    }

    /// The candidates that it ranks, as a set of [`CandidateIx::bit`].
    pub fn members(&self) -> u64 {
        self.members
    }

    /// What is believed of a candidate's model.
    pub fn estimate(&self, ix: CandidateIx) -> &Estimate {
        static START: Estimate = Estimate::START;
        self.cells.get(ix.get()).map_or(&START, |cell| &cell.estimate)
    }

    /// The expected tokens of an answer, within the caller's own limit.
    pub fn output_tokens(&self, cap: Option<u64>) -> f64 {
        self.output.min(limit(cap))
    }

    /// The expected tokens of an answer of a candidate's model, within the caller's own limit: one
    /// writes more than another, and is paid for it.
    pub fn output_tokens_of(&self, ix: CandidateIx, cap: Option<u64>) -> f64 {
        let model = self.cells.get(ix.get()).and_then(|cell| self.cells.get(cell.model.get()));
        model.map_or(MODEL_OUTPUT_START, |cell| cell.output).min(limit(cap))
    }

    /// The part of prompt tokens that a cache held, over the whole lineup: a part of each
    /// candidate's own would keep whoever was asked first cheapest for ever.
    pub fn cached_part(&self) -> f64 {
        self.cached
    }

    /// Takes in what an answer of a candidate used.
    pub fn answered(&mut self, ix: CandidateIx, usage: &Usage) {
        if usage.output > 0 {
            let tokens = float(usage.output);
            self.output += OUTPUT_STEP * (tokens - self.output);
            let model = self.cells.get(ix.get()).map(|cell| cell.model.get());
            if let Some(cell) = model.and_then(|model| self.cells.get_mut(model)) {
                cell.output += OUTPUT_STEP * (tokens - cell.output);
            }
        }
        if usage.prompt() > 0 {
            let part = (float(usage.cache_read) / float(usage.prompt())).min(1.0);
            self.cached += OUTPUT_STEP * (part - self.cached);
        }
    }

    /// The smoothed weight of a draw, if there has been one.
    pub(crate) fn weight(&self, anchor: CandidateIx) -> Option<f64> {
        self.cells.get(anchor.get())?.weight
    }

    /// When the weights were last smoothed, if they ever were.
    pub(crate) fn smoothed(&self) -> Option<Nanos> {
        self.smoothed
    }

    /// How many seconds ago it was last probed from here, if ever (or as good as ever).
    pub(crate) fn since_probe(&self, anchor: CandidateIx, now: Nanos) -> Option<f64> {
        Some(seconds(now) - self.cells.get(anchor.get())?.probed?)
    }

    /// Whether it was ever probed from here.
    pub(crate) fn was_probed(&self, anchor: CandidateIx) -> bool {
        self.cells.get(anchor.get()).is_some_and(|cell| cell.was_probed)
    }

    /// The weight, as a power of two, by which sessions are spread over it; `None` before the
    /// first evaluation.
    pub(crate) fn affinity(&self, anchor: CandidateIx) -> Option<i8> {
        self.cells.get(anchor.get())?.affinity
    }

    /// When those weights were last evaluated.
    pub(crate) fn evaluated(&self) -> Option<Nanos> {
        self.evaluated
    }

    /// Computes what is believed of the models anew, where that is due.
    pub fn refresh(&mut self, now: Nanos, visit: &mut Visit<'_>) {
        if self.refreshed.is_some_and(|at| now.since(at) < REFRESH) {
            return;
        }
        self.refreshed = Some(now);
        let mut evidence: smallvec::SmallVec<[Evidence; 8]> = smallvec::SmallVec::new();
        for ix in ixs(self.members) {
            visit(ix, &mut |model| evidence.push(model.evidence(now)));
        }
        let medians = [Evidence::first_token, Evidence::token, Evidence::pace]
            .map(|log| median(evidence.iter().filter_map(log)));
        let [first_token, token, pace] = medians;
        self.prior.first_token = first_token.unwrap_or(self.prior.first_token);
        self.prior.token = token.unwrap_or(self.prior.token);
        self.prior.pace = pace.unwrap_or(self.prior.pace);
        for ix in ixs(self.members) {
            let (prior, output) = (self.prior, self.output);
            let Some(cell) = self.cells.get_mut(ix.get()) else { continue };
            visit(ix, &mut |model| cell.estimate = model.estimate(now, &prior, output));
        }
    }

    /// Takes in what a ranking changed.
    pub fn apply(&mut self, effects: &LineupEffects, now: Nanos) {
        for (anchor, draw) in &effects.probes {
            let Some(cell) = self.cells.get_mut(anchor.get()) else { continue };
            match draw {
                ProbeDraw::Taken { .. } => {
                    cell.probed = Some(seconds(now));
                    cell.was_probed = true;
                }
                ProbeDraw::Deferred => cell.probed = Some(seconds(now) - DEFERRED_AS_OF),
            }
        }
        for (anchor, weight) in &effects.weights {
            let Some(cell) = self.cells.get_mut(anchor.get()) else { continue };
            cell.weight = Some(if weight.is_finite() { weight.clamp(0.0, 1.0) } else { 0.0 });
            self.smoothed = self.smoothed.max(Some(now));
        }
        for (anchor, proposed) in &effects.affinity {
            let Some(cell) = self.cells.get_mut(anchor.get()) else { continue };
            cell.evaluate(*proposed);
            self.evaluated = Some(now);
        }
    }

    /// Takes over what was remembered of the candidates that are still there: `before` gives the
    /// index that a candidate had.
    pub(super) fn adopt(
        &mut self,
        previous: &Self,
        before: &dyn Fn(CandidateIx) -> Option<CandidateIx>,
    ) {
        self.prior = previous.prior;
        self.output = previous.output;
        self.cached = previous.cached;
        self.smoothed = previous.smoothed;
        self.evaluated = previous.evaluated;
        for ix in ixs(self.members) {
            let old = before(ix).and_then(|old| previous.cells.get(old.get()));
            if let (Some(cell), Some(old)) = (self.cells.get_mut(ix.get()), old) {
                let output = previous.cells.get(old.model.get()).map_or(old.output, |c| c.output);
                *cell = Cell { model: cell.model, output, ..*old };
            }
        }
    }
}

impl Cell {
    fn evaluate(&mut self, proposed: i8) {
        if self.affinity.is_none() {
            self.affinity = Some(proposed);
        }
        self.agreed = if self.proposed == proposed { self.agreed.saturating_add(1) } else { 1 };
        self.proposed = proposed;
        if self.agreed >= AGREEING {
            self.affinity = Some(proposed);
        }
    }
}

/// The live state of an alias: of its lineups, by [`crate::snapshot::CompiledLineup::ix`].
pub(super) fn apply_all(lineups: &mut [LineupStats], effects: &Effects, now: Nanos) {
    for effects in effects.iter() {
        if let Some(lineup) = lineups.get_mut(usize::from(effects.lineup)) {
            lineup.apply(effects, now);
        }
    }
}

/// The candidates of a set.
pub(super) fn ixs(mut set: u64) -> impl Iterator<Item = CandidateIx> {
    std::iter::from_fn(move || {
        let ix = u8::try_from(set.trailing_zeros()).ok().filter(|ix| *ix < 64)?;
        set &= set - 1;
        Some(CandidateIx(ix))
    })
}

/// The upper median.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: smallvec::SmallVec<[f64; 8]> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The caller's own limit of output tokens.
fn limit(cap: Option<u64>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "nobody asks for 2^53 tokens")]
    cap.map_or(f64::INFINITY, |cap| cap as f64)
}

/// A count of tokens; none is larger than 2^32.
fn float(tokens: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "clamped first")]
    let tokens = tokens.min(1 << 32) as f64;
    tokens
}

fn seconds(at: Nanos) -> f64 {
    at.since(Nanos::ZERO).as_secs_f64()
}
