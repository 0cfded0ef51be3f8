//! Live statistics that outlive snapshots: one cell per model of a target, shared by all aliases,
//! and one per alias, found again by name when a snapshot is assembled. A lock is held for
//! arithmetic alone; an alias's may be held while those of its models are taken, never the other
//! way round.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use providers::BYTES_PER_TOKEN;
use routing::{
    CandidateIx, Nanos, OutcomeClass, Usage,
    quota::window::Window,
    rank::Effects,
    snapshot::CompiledAlias,
    stats::{AliasStats, Completion, ModelStats, PendingId, Sums},
};

/// What is known of one model of a target.
#[derive(Debug, Default)]
pub(crate) struct ModelCell {
    /// The requests under way, as `state` counts them, to be read without its lock.
    pending: AtomicU32,
    state: Mutex<ModelState>,
}

#[derive(Debug, Default)]
struct ModelState {
    stats: ModelStats,
    /// Tokens of prompts and answers over the last 60 s, of this router.
    tokens: Window,
}

impl ModelCell {
    /// Requests under way.
    pub(crate) fn pending(&self) -> u32 {
        self.pending.load(Ordering::Relaxed)
    }

    /// Tokens that the fleet used in the last 60 s: what this router counted, and what is known of
    /// all others.
    pub(crate) fn recent_tokens(&self, now: Nanos) -> f64 {
        let state = self.state.lock();
        state.tokens.sum(now) + state.stats.used_by_others(now)
    }

    /// A request is sent. It is under way until [`Self::ends`].
    pub(crate) fn admit(&self, now: Nanos, prompt_tokens: u64, stream: bool) -> PendingId {
        let mut state = self.state.lock();
        let id = state.stats.admit(now, prompt_tokens, stream);
        self.pending.store(state.stats.pending(), Ordering::Relaxed);
        id
    }

    /// The first content of its stream came.
    pub(crate) fn first_token(&self, now: Nanos, id: &mut PendingId) {
        self.state.lock().stats.first_token(now, id);
    }

    /// A request ended so, and used so many tokens.
    pub(crate) fn ends(&self, now: Nanos, id: &PendingId, end: End, tokens: u64) {
        let mut state = self.state.lock();
        match end {
            End::Answered(completion) => state.stats.complete(now, id, completion),
            End::Failed(class) => state.stats.fail(now, id, class),
            End::SaysNothing => state.stats.leave(now, id),
        }
        if tokens > 0 {
            state.tokens.add(now, tokens);
            state.stats.used(now, tokens);
        }
        self.pending.store(state.stats.pending(), Ordering::Relaxed);
    }

    /// An answer said how many requests a minute the provider grants.
    pub(crate) fn granted(&self, now: Nanos, requests_per_minute: u64) {
        self.state.lock().stats.granted(now, requests_per_minute);
    }

    /// Shows the statistics.
    pub(crate) fn visit(&self, see: &mut dyn FnMut(&mut ModelStats)) {
        see(&mut self.state.lock().stats);
    }

    /// Shows a copy of the statistics, so that nothing that is seen changes them.
    pub(crate) fn peek(&self, see: &mut dyn FnMut(&mut ModelStats)) {
        let mut copy = self.state.lock().stats.clone();
        see(&mut copy);
    }

    /// Takes in what all other routers saw, so old when it came at `arrived`.
    pub(crate) fn told(&self, arrived: Nanos, sums: &Sums, age: std::time::Duration) {
        self.state.lock().stats.fleet(arrived, sums, age);
    }

    /// What this router saw, if it was used within that time.
    pub(crate) fn report(&self, now: Nanos, within: std::time::Duration) -> Option<Sums> {
        let mut state = self.state.lock();
        state.stats.is_used_since(now, within).then(|| state.stats.export(now))
    }
}

/// How a request at a model ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// It was answered.
    Answered(Completion),
    /// It failed so.
    Failed(OutcomeClass),
    /// In a way that says nothing of the model.
    SaysNothing,
}

/// What is known of one alias.
#[derive(Debug)]
pub(crate) struct AliasCell {
    /// Bytes of text of a token, the bits of a float, to be read without a lock.
    bytes_per_token: AtomicU64,
    stats: Mutex<AliasStats>,
}

impl AliasCell {
    /// Nothing known yet.
    pub(crate) fn new(alias: &CompiledAlias) -> Self {
        Self {
            bytes_per_token: AtomicU64::new(BYTES_PER_TOKEN.to_bits()),
            stats: Mutex::new(AliasStats::new(alias)),
        }
    }

    /// What was known before an edit, of what is still there.
    pub(crate) fn adopting(alias: &CompiledAlias, old: &Self, old_alias: &CompiledAlias) -> Self {
        let mut stats = AliasStats::new(alias);
        stats.adopt(alias, &old.stats.lock(), old_alias);
        let rate = AtomicU64::new(stats.bytes_per_token().to_bits());
        Self { bytes_per_token: rate, stats: Mutex::new(stats) }
    }

    /// How many bytes of text a token of its callers' prompts has, as learnt.
    pub(crate) fn bytes_per_token(&self) -> f64 {
        f64::from_bits(self.bytes_per_token.load(Ordering::Relaxed))
    }

    /// The statistics, for a ranking.
    pub(crate) fn lock(&self) -> MutexGuard<'_, AliasStats> {
        self.stats.lock()
    }

    /// Takes in what a ranking changed.
    pub(crate) fn apply(&self, effects: &Effects, now: Nanos) {
        if !effects.is_empty() {
            self.stats.lock().apply(effects, now);
        }
    }

    /// Takes in what a candidate's answer used; `prompt_bytes`: of a prompt that is all text, else 0.
    pub(crate) fn answered(&self, ix: CandidateIx, usage: &Usage, prompt_bytes: u64) {
        let mut stats = self.stats.lock();
        stats.answered(ix, usage, prompt_bytes);
        self.bytes_per_token.store(stats.bytes_per_token().to_bits(), Ordering::Relaxed);
    }
}
