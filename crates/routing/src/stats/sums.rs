//! The decayed sums of one (ProviderTarget, model), in two time scales. They merge by addition, so
//! that a fleet's view is the sum of its routers', and age by multiplication, so that what is old
//! counts less without any switch of mode.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalog::closed;

closed! {
    /// How fast a sum forgets.
    pub enum TimeScale {
        /// Half is forgotten after 7 s.
        Fast,
        /// Half is forgotten after 80 s.
        Slow,
    }
}

impl TimeScale {
    /// After how many seconds half is forgotten.
    pub fn half_life(self) -> f64 {
        match self {
            Self::Fast => 7.0,
            Self::Slow => 80.0,
        }
    }

    /// The rate, per second, of what is summed, if it came evenly.
    pub fn per_second(self, sum: f64) -> f64 {
        sum * std::f64::consts::LN_2 / self.half_life()
    }

    /// What is left of a sum after this long: `2^(-t/h)`.
    pub fn left_after(self, elapsed: Duration) -> f64 {
        (-elapsed.as_secs_f64() / self.half_life()).exp2()
    }
}

closed! {
    /// What is summed.
    pub enum Part {
        /// Weight of the samples of the time to the first token.
        FirstTokenWeight,
        /// Their logarithms, in ln seconds, normalised by the prompt's length.
        FirstTokenLog,
        /// Weight of the samples of the time per output token.
        TokenWeight,
        /// Their logarithms, in ln seconds.
        TokenLog,
        /// Attempts that ended.
        Attempts,
        /// Those that failed (RateLimited counts .3).
        Failures,
        /// Those that were answered.
        Successes,
        /// Tokens after the first of streams that were long enough to tell a decode speed.
        StreamTokens,
        /// The seconds that they took.
        StreamSeconds,
        /// Tokens of whole answers.
        AnswerTokens,
        /// The seconds that these took, from start to end.
        AnswerSeconds,
        /// Tokens of prompts and answers, whatever became of the request.
        UsedTokens,
        /// Attempts that were refused for their rate.
        RateLimited,
    }
}

/// No fleet sums up to more.
const MOST: f64 = 1e12;
/// The largest mean of a log time, and the smallest with a minus.
const FARTHEST: f64 = 25.0;

fn log(sum: f64, weight: f64) -> f64 {
    if sum.is_finite() { sum.clamp(-FARTHEST * weight, FARTHEST * weight) } else { 0.0 }
}

const PARTS: usize = Part::ALL.len();

/// The sums, as of a moment that whoever holds them knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    fast: [f64; PARTS],
    slow: [f64; PARTS],
}

impl Sums {
    fn of(&self, scale: TimeScale) -> &[f64; PARTS] {
        match scale {
            TimeScale::Fast => &self.fast,
            TimeScale::Slow => &self.slow,
        }
    }

    fn of_mut(&mut self, scale: TimeScale) -> &mut [f64; PARTS] {
        match scale {
            TimeScale::Fast => &mut self.fast,
            TimeScale::Slow => &mut self.slow,
        }
    }

    /// One sum.
    pub fn get(&self, scale: TimeScale, part: Part) -> f64 {
        self.of(scale)[part as usize]
    }

    /// Sets one sum; what is not finite is 0.
    pub fn set(&mut self, scale: TimeScale, part: Part, value: f64) {
        self.of_mut(scale)[part as usize] = if value.is_finite() { value } else { 0.0 };
    }

    /// Adds an observation to both time scales; what is not finite is none.
    pub fn observe(&mut self, part: Part, value: f64) {
        if value.is_finite() {
            self.fast[part as usize] += value;
            self.slow[part as usize] += value;
        }
    }

    /// Ages the sums by this long.
    pub fn decay(&mut self, elapsed: Duration) {
        if elapsed.is_zero() {
            return;
        }
        for scale in TimeScale::ALL {
            let left = scale.left_after(elapsed);
            self.of_mut(*scale).iter_mut().for_each(|sum| *sum *= left);
        }
    }

    /// The sums as far as they can be: no weight is below 0 or endless, no mean log time beyond
    /// e^25 s or e^-25 s, and no more failed, or was
    /// answered, than was tried. For what comes from elsewhere.
    #[must_use]
    pub fn sane(&self) -> Self {
        let mut sane = Self::default();
        for scale in TimeScale::ALL {
            let of = self.of(*scale);
            let weight = |part: Part| {
                if of[part as usize].is_finite() { of[part as usize].clamp(0.0, MOST) } else { 0.0 }
            };
            for part in Part::ALL {
                let value = match part {
                    Part::FirstTokenLog => log(of[*part as usize], weight(Part::FirstTokenWeight)),
                    Part::TokenLog => log(of[*part as usize], weight(Part::TokenWeight)),
                    Part::Failures | Part::Successes | Part::RateLimited => {
                        weight(*part).min(weight(Part::Attempts))
                    }
                    _ => weight(*part),
                };
                sane.set(*scale, *part, value);
            }
        }
        sane
    }

    /// Adds other sums, as of the same moment.
    pub fn add(&mut self, other: &Self) {
        for scale in TimeScale::ALL {
            for (sum, more) in self.of_mut(*scale).iter_mut().zip(other.of(*scale)) {
                *sum += more;
            }
        }
    }
}
