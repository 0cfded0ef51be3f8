//! What is known of one (ProviderTarget, model), whatever alias uses it: what this router saw, and
//! what the fleet told. Bounded: two sets of sums, and a slot for each of 64 requests under way.

use std::time::Duration;

use super::{
    Estimate, Evidence, Part, PendingId, Prior, Sums, TimeScale, capacity::Capacity, load::Load,
    pending::Pending,
};
use crate::{
    outcome::{Fault, OutcomeClass},
    time::Nanos,
};

/// A timeout is as bad as so many samples ...
const TIMEOUT_WEIGHT: f64 = 3.0;
/// ... of a first token after 20 s: ln 20.
const TIMEOUT_LOG: f64 = 2.995_732_273_553_991;
/// What a RateLimited answer counts as a failure: it says that the model is busy, not broken.
const RATE_LIMITED: f64 = 0.3;
/// What a whole answer weighs as a sample of the first token: it tells of both times at once.
const ANSWER_FIRST_TOKEN: f64 = 0.5;
/// What is left of a sample after about two minutes of the fast time scale.
const NOTHING: f64 = 1e-6;
/// By so much a fast sum grows, at least, when the routers that are summed up saw one more; less is
/// the difference of two ways of rounding, or of an age.
const NEWS: f64 = 0.1;
/// No time is shorter than this, in seconds.
const SHORTEST: f64 = 1e-5;
/// Answers that are shorter tell no pace.
const PACE: (u64, u64, Duration) = (16, 3, Duration::from_millis(100));
/// From how large a part of failures on they add to the prediction, in seconds of the part.
const FAILING_ADDS: (f64, f64) = (0.05, 2.0);

/// How an answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// Tokens of the answer; 0: not known, or none.
    pub output_tokens: u64,
    /// Events of its stream.
    pub events: u64,
    /// Whether reading waited for a slow caller, so that times say nothing of the model.
    pub waited_for_caller: bool,
}

/// What is known of one model.
#[derive(Clone, Debug)]
pub struct ModelStats {
    local: Sums,
    local_at: Nanos,
    others: Sums,
    others_at: Nanos,
    unseen_by_others: bool,
    pending: Pending,
    load: Load,
    capacity: Capacity,
    prior: Prior,
    used: Option<Nanos>,
}

impl Default for ModelStats {
    fn default() -> Self {
        Self {
            local: Sums::default(),
            local_at: Nanos::ZERO,
            others: Sums::default(),
            others_at: Nanos::ZERO,
            unseen_by_others: true,
            pending: Pending::default(),
            load: Load::default(),
            capacity: Capacity::default(),
            prior: Prior::START,
            used: None,
        }
    }
}

impl ModelStats {
    /// A request was sent. The id tells its end, by one of [`Self::complete`], [`Self::fail`] and
    /// [`Self::leave`], exactly once.
    pub fn admit(&mut self, now: Nanos, prompt_tokens: u64, stream: bool) -> PendingId {
        self.load.pending(now, self.pending.count());
        self.used = Some(now);
        self.pending.admit(now, prompt_tokens, stream)
    }

    /// The first decisive event of its stream came.
    pub fn first_token(&mut self, now: Nanos, id: &mut PendingId) {
        if id.first_token.is_some() {
            return;
        }
        let took = seconds(now, id.since);
        id.first_token = Some(took);
        self.pending.first_token(id);
        self.advance(now);
        self.local.observe(Part::FirstTokenWeight, 1.0);
        self.local.observe(Part::FirstTokenLog, (took / id.prompt).ln());
    }

    /// It was answered.
    pub fn complete(&mut self, now: Nanos, id: &PendingId, end: Completion) {
        self.end(now, id);
        self.local.observe(Part::Attempts, 1.0);
        self.local.observe(Part::Successes, 1.0);
        if end.waited_for_caller || end.output_tokens == 0 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "clamped first")]
        let output = end.output_tokens.min(1 << 32) as f64;
        let total = seconds(now, id.since);
        self.load.observe(now, id.among, total / (0.3 * id.prompt + 0.015 * output));
        match id.first_token {
            Some(first) => self.streamed(id.since, now, first, output, end),
            None if !id.stream => self.answered(now, id.prompt, total, output, end),
            None => {}
        }
    }

    fn streamed(&mut self, since: Nanos, now: Nanos, first: f64, output: f64, end: Completion) {
        let writing = (seconds(now, since) - first).max(0.0);
        self.local.observe(Part::TokenWeight, 1.0);
        self.local.observe(Part::TokenLog, (writing / output).max(SHORTEST).ln());
        let (tokens, events, time) = PACE;
        if end.output_tokens >= tokens && end.events >= events && writing >= time.as_secs_f64() {
            self.local.observe(Part::StreamTokens, output - 1.0);
            self.local.observe(Part::StreamSeconds, writing);
        }
    }

    /// A whole answer tells one time: how it compares with what was believed of both.
    fn answered(&mut self, now: Nanos, prompt: f64, total: f64, output: f64, end: Completion) {
        let believed = self.merged(now).times(&self.prior, TimeScale::Fast);
        let predicted = believed.first_token.exp() * prompt + believed.token.exp() * output;
        let ratio = (total / predicted).max(f64::MIN_POSITIVE).ln();
        self.local.observe(Part::FirstTokenWeight, ANSWER_FIRST_TOKEN);
        self.local
            .observe(Part::FirstTokenLog, ANSWER_FIRST_TOKEN * (believed.first_token + ratio));
        self.local.observe(Part::TokenWeight, 1.0);
        self.local.observe(Part::TokenLog, believed.token + ratio);
        if end.output_tokens >= PACE.0 {
            self.local.observe(Part::AnswerTokens, output);
            self.local.observe(Part::AnswerSeconds, total);
        }
    }

    /// It ended otherwise. Faults of the target count as failures, and never as times, however
    /// fast they were; what says nothing of the target counts as nothing. A deadline that the
    /// caller shortened, or that earlier attempts cut short, is for [`Self::leave`].
    pub fn fail(&mut self, now: Nanos, id: &PendingId, class: OutcomeClass) {
        self.end(now, id);
        let failure = match class {
            OutcomeClass::Fault(fault) => match fault {
                Fault::RateLimited => RATE_LIMITED,
                Fault::ContextLength | Fault::Unsupported | Fault::Moderation => return,
                Fault::Connect
                | Fault::Timeout
                | Fault::ServerError
                | Fault::Auth
                | Fault::OutOfCredit
                | Fault::ModelUnavailable
                | Fault::InvalidResponse => 1.0,
            },
            OutcomeClass::Success | OutcomeClass::InvalidRequest | OutcomeClass::CallerLeft => {
                return;
            }
        };
        self.local.observe(Part::Attempts, 1.0);
        self.local.observe(Part::Failures, failure);
        if class == OutcomeClass::Fault(Fault::RateLimited) {
            self.local.observe(Part::RateLimited, 1.0);
            self.capacity.refused(now);
        }
        if class == OutcomeClass::Fault(Fault::Timeout) {
            self.local.observe(Part::FirstTokenWeight, TIMEOUT_WEIGHT);
            self.local.observe(Part::FirstTokenLog, TIMEOUT_WEIGHT * TIMEOUT_LOG);
        }
    }

    /// An answer said how many requests a minute the provider grants.
    pub fn granted(&mut self, now: Nanos, requests_per_minute: u64) {
        self.capacity.granted(now, requests_per_minute);
    }

    /// It ended without saying anything of the target.
    pub fn leave(&mut self, now: Nanos, id: &PendingId) {
        self.end(now, id);
    }

    fn end(&mut self, now: Nanos, id: &PendingId) {
        self.load.pending(now, self.pending.count());
        self.pending.leave(id);
        self.used = Some(now);
        self.advance(now);
    }

    /// A request used so many tokens, of its prompt and its answer together.
    pub fn used(&mut self, now: Nanos, tokens: u64) {
        self.advance(now);
        #[expect(clippy::cast_precision_loss, reason = "clamped first")]
        self.local.observe(Part::UsedTokens, tokens.min(1 << 40) as f64);
    }

    /// Tokens a minute that all other routers use, as far as the fleet told.
    pub fn used_by_others(&self, now: Nanos) -> f64 {
        let sum = self.others.get(TimeScale::Slow, Part::UsedTokens);
        let left = TimeScale::Slow.left_after(now.since(self.others_at));
        TimeScale::Slow.per_second(sum * left) * 60.0
    }

    /// The fleet's view came: the sums of all other routers, which were `age` old.
    pub fn fleet(&mut self, now: Nanos, sums: &Sums, age: Duration) {
        let mut before = self.others;
        before.decay(now.since(self.others_at));
        self.others = sums.sane();
        self.unseen_by_others = Self::unseen(&self.others);
        self.others.decay(age);
        self.others_at = now;
        let refusals = |of: &Sums| of.get(TimeScale::Fast, Part::RateLimited);
        if refusals(&self.others) > refusals(&before) + NEWS {
            self.capacity.refused(now);
        }
    }

    /// Whether sums hold nothing of late.
    fn unseen(sums: &Sums) -> bool {
        let fast = |part| sums.get(TimeScale::Fast, part);
        fast(Part::FirstTokenWeight) + fast(Part::Failures) < NOTHING
    }

    /// This router's own sums as of now, for the fleet.
    pub fn export(&mut self, now: Nanos) -> Sums {
        self.advance(now);
        self.local
    }

    /// Whether a request was sent or ended in the time before now.
    pub fn is_used_since(&self, now: Nanos, within: Duration) -> bool {
        self.pending.count() > 0 || self.used.is_some_and(|at| now.since(at) <= within)
    }

    /// Requests under way.
    pub fn pending(&self) -> u32 {
        self.pending.count()
    }

    /// What is known of it by the whole fleet, as of now.
    pub fn evidence(&mut self, now: Nanos) -> Evidence {
        self.merged(now)
    }

    /// What is believed of it, where a model of which nothing is known looks like `prior` and an
    /// answer has `output` tokens.
    pub fn estimate(&mut self, now: Nanos, prior: &Prior, output: f64) -> Estimate {
        self.prior = *prior;
        let evidence = self.merged(now);
        let fast = evidence.times(prior, TimeScale::Fast);
        let slow = evidence.times(prior, TimeScale::Slow);
        let (first_token, token) = (fast.first_token.exp(), fast.token.exp());
        let part = evidence.failing();
        let (rate, answered) = evidence.rates();
        self.capacity.observe(now, rate, answered, evidence.usual());
        let (from, adds) = FAILING_ADDS;
        Estimate {
            first_token,
            token,
            pace: fast.pace.exp(),
            slow: [slow.first_token.exp(), slow.token.exp(), slow.pace.exp()],
            failing: 1.0 + 3.0 * part / (1.0 - part.min(0.9)),
            failing_seconds: if part > from { adds * part } else { 0.0 },
            overdue: self.pending.overdue(now, first_token, output * token),
            elastic: self.load.elastic(),
            strain: self.load.strain(now, f64::midpoint(fast.first_token, fast.token)),
            pending: self.load.pending(now, self.pending.count()),
            evidence: evidence.recent(),
            unseen: self.unseen_by_others && Self::unseen(&self.local),
            rate,
            capacity: self.capacity.per_second(now),
        }
    }

    fn merged(&mut self, now: Nanos) -> Evidence {
        self.advance(now);
        let mut sums = self.others;
        sums.decay(now.since(self.others_at));
        sums.add(&self.local);
        Evidence::of(sums)
    }

    fn advance(&mut self, now: Nanos) {
        self.local.decay(now.since(self.local_at));
        self.local_at = self.local_at.max(now);
    }
}

fn seconds(now: Nanos, since: Nanos) -> f64 {
    now.since(since).as_secs_f64().max(SHORTEST)
}
