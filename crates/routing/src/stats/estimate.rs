//! What is believed of one model, and what it predicts: everything that does not depend on the
//! request, computed on observation or every so often, so that a ranking is arithmetic alone.

use super::{Part, Sums, TimeScale};

/// The first guess of a time to the first token: ln 0.7 s.
pub(crate) const FIRST_TOKEN_LOG: f64 = -0.356_674_943_938_732_4;
/// The first guess of a time per output token: ln 0.02 s.
pub(crate) const TOKEN_LOG: f64 = -3.912_023_005_428_146;

/// How much longer a prompt takes to its first token than one of 400 tokens does.
pub fn prompt_factor(prompt_tokens: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "nobody sends 2^53 tokens")]
    let tokens = prompt_tokens as f64;
    0.6 + 0.4 * (tokens / 400.0).sqrt()
}

/// What a model looks like of which nothing is known: the median of the lineup's. Logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// Of the time to the first token of a prompt of 400 tokens, in seconds.
    pub first_token: f64,
    /// Of the time per output token, in seconds.
    pub token: f64,
    /// Of the time per output token of long streams, a ratio of sums.
    pub pace: f64,
}

impl Prior {
    /// Where nothing is known of any model.
    pub const START: Self =
        Self { first_token: FIRST_TOKEN_LOG, token: TOKEN_LOG, pace: TOKEN_LOG };
}

/// The merged sums of one model as of one moment, as far as estimates need them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence {
    sums: Sums,
}

/// Evidence of less weight than this says nothing of a median.
const TELLING: f64 = 0.3;
/// The weight of what a time scale is shrunk towards.
const SHRINK: f64 = 1.0;
/// Tokens and seconds of streams are shrunk by an answer of this many tokens.
const SHRINK_TOKENS: f64 = 200.0;
/// Streams of fewer tokens than this tell no pace.
const FEW_TOKENS: f64 = 1.0;

impl Evidence {
    pub(super) fn of(sums: Sums) -> Self {
        Self { sums }
    }

    /// The weight of recent evidence of any kind: what exploration goes by.
    pub fn recent(&self) -> f64 {
        let fast = |part| self.sums.get(TimeScale::Fast, part);
        fast(Part::FirstTokenWeight) + fast(Part::TokenWeight) + fast(Part::Failures)
    }

    /// Requests a second that end, and that are answered.
    pub(super) fn rates(&self) -> (f64, f64) {
        let rate = |part| TimeScale::Fast.per_second(self.sums.get(TimeScale::Fast, part));
        (rate(Part::Attempts), rate(Part::Successes))
    }

    /// The recent median time of a usual request, in seconds, if there is evidence of it.
    pub(super) fn usual(&self) -> Option<f64> {
        Some(self.first_token()?.exp() + SHRINK_TOKENS * self.token()?.exp())
    }

    /// The recent mean log time to the first token, if there is evidence of it.
    pub fn first_token(&self) -> Option<f64> {
        self.mean(Part::FirstTokenWeight, Part::FirstTokenLog)
    }

    /// The recent mean log time per token, if there is evidence of it.
    pub fn token(&self) -> Option<f64> {
        self.mean(Part::TokenWeight, Part::TokenLog)
    }

    fn mean(&self, weight: Part, log: Part) -> Option<f64> {
        let weight = self.sums.get(TimeScale::Fast, weight);
        (weight > TELLING).then(|| self.sums.get(TimeScale::Fast, log) / weight)
    }

    /// The recent log of seconds per token of streams, or of whole answers where no stream was
    /// seen, if there is evidence of it.
    pub fn pace(&self) -> Option<f64> {
        let (seconds, tokens) = self.pace_parts();
        let tokens = self.sums.get(TimeScale::Fast, tokens);
        let seconds = self.sums.get(TimeScale::Fast, seconds);
        (tokens > FEW_TOKENS && seconds > 0.0).then(|| (seconds / tokens).ln())
    }

    fn pace_parts(&self) -> (Part, Part) {
        if self.sums.get(TimeScale::Slow, Part::StreamTokens) > FEW_TOKENS {
            (Part::StreamSeconds, Part::StreamTokens)
        } else {
            (Part::AnswerSeconds, Part::AnswerTokens)
        }
    }

    /// The part of attempts that failed, never quite 0.
    pub(super) fn failing(&self) -> f64 {
        let fast = |part| self.sums.get(TimeScale::Fast, part);
        (fast(Part::Failures) + 0.02) / (fast(Part::Attempts) + 1.0)
    }

    /// The log times, each time scale shrunk towards the slower one, the slow one towards `prior`.
    pub(super) fn times(&self, prior: &Prior, scale: TimeScale) -> Times {
        let slow = Times {
            first_token: self.log(TimeScale::Slow, Part::FirstTokenWeight, prior.first_token),
            token: self.log(TimeScale::Slow, Part::TokenWeight, prior.token),
            pace: self.shrunk_pace(TimeScale::Slow, prior.pace),
        };
        match scale {
            TimeScale::Slow => slow,
            TimeScale::Fast => Times {
                first_token: self.log(scale, Part::FirstTokenWeight, slow.first_token),
                token: self.log(scale, Part::TokenWeight, slow.token),
                pace: self.shrunk_pace(scale, slow.pace),
            },
        }
    }

    fn log(&self, scale: TimeScale, weight: Part, prior: f64) -> f64 {
        let log = match weight {
            Part::FirstTokenWeight => Part::FirstTokenLog,
            _ => Part::TokenLog,
        };
        let sums = &self.sums;
        (sums.get(scale, log) + SHRINK * prior) / (sums.get(scale, weight) + SHRINK)
    }

    fn shrunk_pace(&self, scale: TimeScale, prior: f64) -> f64 {
        let (seconds, tokens) = self.pace_parts();
        let seconds = self.sums.get(scale, seconds) + SHRINK_TOKENS * prior.exp();
        (seconds / (self.sums.get(scale, tokens) + SHRINK_TOKENS)).ln()
    }
}

/// Log times of one time scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Times {
    pub(super) first_token: f64,
    pub(super) token: f64,
    pub(super) pace: f64,
}

/// What is believed of one model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Seconds to the first token, for a prompt of 400 tokens.
    pub first_token: f64,
    /// Seconds per output token.
    pub token: f64,
    /// Seconds per output token while it streams, failures and starts not counted.
    pub pace: f64,
    /// The same three from the slow time scale alone, so that they hardly move.
    pub slow: [f64; 3],
    /// What failures multiply a prediction by: at least 1.
    pub failing: f64,
    /// What failures add to it, in seconds.
    pub failing_seconds: f64,
    /// What requests that are overdue multiply it by: at least 1.
    pub overdue: f64,
    /// How much its times grow with the requests under way, from 0 to 1.
    pub elastic: f64,
    /// The power of the excess of requests under way.
    pub strain: f64,
    /// The mean number of requests under way.
    pub pending: f64,
    /// The weight of recent evidence.
    pub evidence: f64,
    /// Whether no router has seen anything of it of late.
    pub unseen: bool,
    /// Requests a second that end at it, fleet-wide.
    pub rate: f64,
    /// Requests a second that it can answer, fleet-wide; `None`: nothing is known of that yet.
    pub capacity: Option<f64>,
}

impl Estimate {
    /// Where nothing is known.
    pub const START: Self = Self {
        first_token: 0.7,
        token: 0.02,
        pace: 0.02,
        slow: [0.7, 0.02, 0.02],
        failing: 1.0,
        failing_seconds: 0.0,
        overdue: 1.0,
        elastic: 0.0,
        strain: 0.3,
        pending: 0.0,
        evidence: 0.0,
        unseen: true,
        rate: 0.0,
        capacity: None,
    };
}

impl Default for Estimate {
    fn default() -> Self {
        Self::START
    }
}

impl Estimate {
    /// The cost of what takes `seconds` when all is well, in the same unit: failures, overdue
    /// requests and `pending` requests under way make it more. `unit` is what a second of waiting
    /// for a failure is in that unit.
    pub fn cost(&self, seconds: f64, pending: u32, unit: f64) -> f64 {
        let cost = seconds * self.overdue * self.failing + self.failing_seconds * unit;
        cost * self.load(pending)
    }

    /// The factor of `pending` requests under way: what is elastic grows with their number, and
    /// an excess over their mean counts as far as times are rising.
    fn load(&self, pending: u32) -> f64 {
        let with_this = f64::from(pending) + 1.0;
        let mut load = 1.0;
        if self.elastic > 0.0 {
            load *= with_this.powf(0.4 * self.elastic);
        }
        let excess = (with_this - self.pending) / (self.pending + 1.0);
        if excess > 0.0 && self.strain > 0.0 {
            load *= (1.0 + excess).powf(self.strain);
        }
        load
    }

    /// How much more is under way than usual: at least 1.
    pub fn crowding(&self, pending: u32) -> f64 {
        ((f64::from(pending) + 1.0) / (self.pending + 1.0)).max(1.0)
    }
}
