//! Bandits over the log of the time that an answer took beyond what its length explains.

use std::collections::VecDeque;

use routing::Rng;

use super::{Call, Failure, Pick, Policy, Setup, simple::least};
use crate::draw::normal;

/// The log of a failure.
fn failure() -> f64 {
    20.0_f64.ln()
}

fn sample(call: &Call, total: f64) -> f64 {
    (total / (0.5 + 0.015 * call.output)).ln()
}

/// The number and the sum of samples of one arm.
#[derive(Clone, Copy, Default)]
struct Arm {
    count: f64,
    sum: f64,
}

/// Thompson sampling; all arms forget with every sample.
pub(super) struct DiscountedThompson {
    rng: Rng,
    arms: Vec<Arm>,
}

impl DiscountedThompson {
    pub(super) fn new(setup: &Setup<'_>) -> Self {
        Self { rng: Rng::new(setup.seed), arms: vec![Arm::default(); setup.targets()] }
    }

    fn add(&mut self, target: usize, sample: f64) {
        for arm in &mut self.arms {
            arm.count *= 0.98;
            arm.sum *= 0.98;
        }
        self.arms[target].count += 1.0;
        self.arms[target].sum += sample;
    }
}

impl Policy for DiscountedThompson {
    fn pick(&mut self, cx: &Pick<'_>) -> usize {
        let drawn: Vec<(usize, f64)> = cx
            .open
            .iter()
            .map(|&i| {
                let Arm { count, sum } = self.arms[i];
                let fresh = count + f64::from(cx.pending[i]) == 0.0;
                let spread = 0.5 / (count + 0.3).sqrt();
                let guess =
                    if fresh { -9.0 } else { sum / (count + 0.3) + normal(&mut self.rng) * spread };
                (i, guess)
            })
            .collect();
        let guess = |i: usize| drawn.iter().find(|(at, _)| *at == i).map_or(0.0, |(_, g)| *g);
        least(cx.open, guess)
    }

    fn answered(&mut self, _: f64, call: &Call, target: usize, _: f64, total: f64) {
        self.add(target, sample(call, total));
    }

    fn failed(&mut self, _: f64, _: &Call, target: usize, _: Failure) {
        self.add(target, failure());
    }
}

/// How many samples the window holds.
const WINDOW: usize = 100;

/// Upper confidence bounds over a window of samples.
pub(super) struct SlidingUcb {
    arms: Vec<Arm>,
    window: VecDeque<(usize, f64)>,
}

impl SlidingUcb {
    pub(super) fn new(setup: &Setup<'_>) -> Self {
        Self { arms: vec![Arm::default(); setup.targets()], window: VecDeque::new() }
    }

    fn add(&mut self, target: usize, sample: f64) {
        self.window.push_back((target, sample));
        self.arms[target].count += 1.0;
        self.arms[target].sum += sample;
        if self.window.len() > WINDOW
            && let Some((old, sample)) = self.window.pop_front()
        {
            self.arms[old].count -= 1.0;
            self.arms[old].sum -= sample;
        }
    }
}

impl Policy for SlidingUcb {
    fn pick(&mut self, cx: &Pick<'_>) -> usize {
        let seen: f64 = self.arms.iter().map(|arm| arm.count).sum::<f64>().max(2.0);
        least(cx.open, |i| {
            let Arm { count, sum } = self.arms[i];
            if count >= 0.5 {
                sum / count - 0.6 * (seen.ln() / count).sqrt()
            } else if cx.pending[i] == 0 {
                -1e9
            } else {
                1e3
            }
        })
    }

    fn answered(&mut self, _: f64, call: &Call, target: usize, _: f64, total: f64) {
        self.add(target, sample(call, total));
    }

    fn failed(&mut self, _: f64, _: &Call, target: usize, _: Failure) {
        self.add(target, failure());
    }
}
