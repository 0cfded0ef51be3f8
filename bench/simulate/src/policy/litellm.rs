//! LiteLLM's lowest latency as one of its routers does it without Redis: the mean of the last ten
//! samples, of seconds per output token, or of the time to the first token for streams; a target
//! without samples has 0; a timeout counts as 1000 s, other failures as nothing.

use std::collections::VecDeque;

use routing::Rng;

use super::{Call, Failure, Pick, Policy, Setup};
use crate::draw::one_of;

/// How many samples are kept.
const KEPT: usize = 10;
/// What a timeout counts as.
const TIMEOUT: f64 = 1000.0;

/// See the head of the file.
pub(super) struct LiteLlm {
    rng: Rng,
    times: Vec<VecDeque<f64>>,
    first_tokens: Vec<VecDeque<f64>>,
}

impl LiteLlm {
    pub(super) fn new(setup: &Setup<'_>) -> Self {
        let none = vec![VecDeque::new(); setup.targets()];
        Self { rng: Rng::new(setup.seed), times: none.clone(), first_tokens: none }
    }
}

fn push(samples: &mut VecDeque<f64>, sample: f64) {
    samples.push_back(sample);
    if samples.len() > KEPT {
        samples.pop_front();
    }
}

fn mean(samples: &VecDeque<f64>) -> f64 {
    let count = f64::from(u32::try_from(samples.len()).unwrap_or(u32::MAX));
    if samples.is_empty() { 0.0 } else { samples.iter().sum::<f64>() / count }
}

impl Policy for LiteLlm {
    fn pick(&mut self, cx: &Pick<'_>) -> usize {
        let latency = |i: usize| {
            let first = &self.first_tokens[i];
            mean(if cx.call.stream && !first.is_empty() { first } else { &self.times[i] })
        };
        let lowest = cx.open.iter().map(|i| latency(*i)).fold(f64::INFINITY, f64::min);
        let best: Vec<usize> = cx.open.iter().copied().filter(|i| latency(*i) <= lowest).collect();
        one_of(&mut self.rng, &best)
    }

    fn answered(&mut self, _: f64, call: &Call, target: usize, first: f64, total: f64) {
        push(&mut self.times[target], total / call.output.max(1.0).floor());
        if call.stream {
            push(&mut self.first_tokens[target], first);
        }
    }

    fn failed(&mut self, _: f64, _: &Call, target: usize, failure: Failure) {
        if failure == Failure::Timeout {
            push(&mut self.times[target], TIMEOUT);
        }
    }
}
