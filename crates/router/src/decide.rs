//! The decision: filter, availability, limits and ranking of one request, the same for a request
//! that is served and for one that is only explained.

use routing::{
    CandidateIx, Nanos, RequestFacts, Rng,
    ejection::Availability,
    filter::{order_by_reasoning, order_by_window},
    quota::{Estimate, Full},
    rank::{CandidateLive, Ranked, Ranking, View, rank},
    stats::AliasStats,
};
use smallvec::SmallVec;

use crate::{
    filter,
    live::{LiveAlias, LiveCandidate},
    translate::Ways,
};

/// When and for what a decision is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking {
    /// The time.
    pub(crate) now: Nanos,
    /// The seed that the generator of the draws starts from.
    pub(crate) seed: u64,
    /// How many routers are ready.
    pub(crate) routers: u32,
    /// Whether somebody will read the reasons, so that figures that decide nothing are wanted too.
    pub(crate) explained: bool,
    /// Whether a request is served by it; else nothing may change.
    pub(crate) served: bool,
}

/// A decision, replayable from the same facts, live view and seed.
#[derive(Debug)]
pub(crate) struct Decision {
    /// When it was made.
    pub(crate) now: Nanos,
    /// The seed of its draws.
    pub(crate) seed: u64,
    /// Whether each candidate is available or ejected, by index.
    pub(crate) availability: SmallVec<[Availability; 8]>,
    /// The candidates that are at this router's share of a limit, and of which.
    pub(crate) full: SmallVec<[(CandidateIx, Full); 1]>,
    /// The candidates to try, best first, with what they were ranked by.
    pub(crate) ranked: Ranked,
    /// What the request is expected to use; the answer's tokens are 0 where nothing goes by them.
    pub(crate) expected: Estimate,
}

/// Decides, with the draws of `rng`, which has just been seeded.
pub(crate) fn decide(
    alias: &LiveAlias,
    facts: &RequestFacts<'_>,
    ways: &Ways,
    asking: Asking,
    rng: &mut Rng,
) -> Decision {
    let filtered = filter::filter(alias, facts, ways);
    let availability: SmallVec<[Availability; 8]> =
        alias.candidates.iter().map(|c| c.availability(asking.now)).collect();
    let view = View {
        eligible: filtered.eligible,
        routers: asking.routers,
        availability: &availability,
        ..View::default()
    };
    let mut expected = Estimate { prompt: facts.prompt_tokens, output: 0 };
    let mut full = SmallVec::new();
    let limited = alias.candidates.iter().any(|c| c.limits().is_some());
    let mut ranked = if alias.by_numbers || limited || asking.explained {
        let mut copy;
        let mut shared;
        let stats: &mut AliasStats = if asking.served {
            shared = alias.stats.lock();
            &mut shared
        } else {
            copy = alias.stats.lock().clone();
            &mut copy
        };
        if alias.by_numbers {
            refresh(alias, stats, asking);
        }
        expected.output = output(stats, facts.output_cap).saturating_add(facts.audio_out);
        let live = look(alias, asking.now, expected, &mut full);
        let set = full.iter().fold(0, |set, (ix, _)| set | ix.bit());
        let view = View { full: set, live: &live, lineups: stats.lineups(), ..view };
        rank(&alias.compiled, &view, facts, asking.now, rng)
    } else {
        rank(&alias.compiled, &view, facts, asking.now, rng)
    };
    let open = |ix: CandidateIx| {
        full.iter().all(|(at_limit, _)| *at_limit != ix)
            && availability.get(ix.get()).is_none_or(|a| *a == Availability::Available)
    };
    if facts.reasoning {
        order_by_reasoning(&mut ranked.ranking, &open, &|ix| filter::reasons(alias, ix));
    }
    if filtered.by_window {
        order_by_window(&mut ranked.ranking, &open, &|ix| filter::window(alias, ix));
    }
    let Asking { now, seed, .. } = asking;
    Decision { now, seed, availability, full, ranked, expected }
}

/// Computes what is believed of the models anew, where that is due.
fn refresh(alias: &LiveAlias, stats: &mut AliasStats, asking: Asking) {
    stats.refresh(asking.now, &mut |ix, see| {
        let Some((model, _)) = alias.candidates.get(ix.get()).and_then(LiveCandidate::model) else {
            return;
        };
        if asking.served { model.stats.visit(see) } else { model.stats.peek(see) }
    });
}

/// The tokens that an answer is expected to have.
pub(crate) fn output(stats: &AliasStats, output_cap: Option<u64>) -> u64 {
    let tokens = stats.lineups().first().map_or(0.0, |l| l.output_tokens(output_cap));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate of tokens: never negative, far below 2^63"
    )]
    let tokens = tokens.ceil() as u64;
    tokens
}

/// What each candidate is doing; those that are at a limit are added to `full`.
fn look<'a>(
    alias: &'a LiveAlias,
    now: Nanos,
    expected: Estimate,
    full: &mut SmallVec<[(CandidateIx, Full); 1]>,
) -> SmallVec<[CandidateLive<'a>; 8]> {
    let ixs = routing::filter::indexes(&alias.compiled);
    let look = |(ix, candidate): (CandidateIx, &'a LiveCandidate)| {
        let Some((model, compiled)) = candidate.model() else { return CandidateLive::default() };
        let mut live = CandidateLive {
            pending: model.stats.pending(),
            price: compiled.price.as_ref(),
            ..CandidateLive::default()
        };
        if let Some(limits) = candidate.limits() {
            let limits = limits.lock();
            if let Err(at_limit) = limits.check(now, &compiled.name, expected) {
                full.push((ix, at_limit));
            }
            live.utilization = limits.utilisation(now, &compiled.name, expected);
            live.quota = limits.first_limit(&compiled.name);
        }
        if alias.by_usage {
            live.used_tokens = model.stats.recent_tokens(now);
        }
        live
    };
    ixs.zip(&alias.candidates).map(look).collect()
}

impl Decision {
    /// The candidates to try, best first.
    pub(crate) fn ranking(&self) -> &Ranking {
        &self.ranked.ranking
    }

    /// Why a candidate is at a limit, if it is.
    pub(crate) fn at_limit(&self, ix: CandidateIx) -> Option<&Full> {
        self.full.iter().find(|(at_limit, _)| *at_limit == ix).map(|(_, full)| full)
    }

    /// Whether a candidate may be sent to just so: neither ejected nor at a limit.
    pub(crate) fn is_open(&self, ix: CandidateIx) -> bool {
        self.availability[ix.get()] == Availability::Available && self.at_limit(ix).is_none()
    }

    /// Whether a candidate that stands before the first of the ranking in the list is ejected, or
    /// at a limit, so that this may not be what the strategy would have chosen were all well.
    pub(crate) fn skips(&self) -> bool {
        let Some(first) = self.ranking().first() else { return false };
        self.ranking().iter().any(|ix| ix < first && !self.is_open(*ix))
    }
}
