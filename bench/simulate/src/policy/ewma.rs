//! Policies that go by an exponentially weighted mean of latency.

use routing::Rng;

use super::{Call, Failure, Pick, Policy, Setup, simple::least};
use crate::draw::one_of;

/// After how many seconds a decaying mean has forgotten all but 1/e.
const DECAY: f64 = 10.0;
/// How much of a mean by samples a new one is.
const STEP: f64 = 0.3;

/// A mean that decays with time.
#[derive(Clone, Copy)]
struct Decaying {
    value: f64,
    at: f64,
}

impl Decaying {
    fn left(&self, now: f64) -> f64 {
        (-(now - self.at) / DECAY).exp()
    }

    fn add(&mut self, now: f64, sample: f64) {
        let left = self.left(now);
        *self = Self { value: self.value * left + sample * (1.0 - left), at: now };
    }

    /// A sample above the mean replaces it.
    fn add_peak(&mut self, now: f64, sample: f64) {
        if sample > self.value {
            *self = Self { value: sample, at: now };
        } else {
            self.add(now, sample);
        }
    }
}

/// Two different ones of the open, or one twice if there is but one.
fn two(rng: &mut Rng, open: &[usize]) -> (usize, usize) {
    let a = one_of(rng, open);
    if open.len() == 1 {
        return (a, a);
    }
    loop {
        let b = one_of(rng, open);
        if b != a {
            return (a, b);
        }
    }
}

/// Peak EWMA times load, of two random ones the lower.
pub(super) struct PeakEwma {
    rng: Rng,
    means: Vec<Decaying>,
}

impl PeakEwma {
    pub(super) fn new(setup: &Setup<'_>) -> Self {
        let means = vec![Decaying { value: 1.0, at: 0.0 }; setup.targets()];
        Self { rng: Rng::new(setup.seed), means }
    }
}

impl Policy for PeakEwma {
    fn pick(&mut self, cx: &Pick<'_>) -> usize {
        let (a, b) = two(&mut self.rng, cx.open);
        let mut load = |i: usize| {
            // It falls while nothing comes in.
            self.means[i].add_peak(cx.now, 0.0);
            self.means[i].value * (f64::from(cx.pending[i]) + 1.0)
        };
        if load(a) <= load(b) { a } else { b }
    }

    fn answered(&mut self, now: f64, _: &Call, target: usize, _: f64, total: f64) {
        self.means[target].add_peak(now, total);
    }

    fn failed(&mut self, now: f64, call: &Call, target: usize, _: Failure) {
        self.means[target].add_peak(now, now - call.since);
    }
}

/// A decaying mean, of two random ones the lower.
pub(super) struct Kong {
    rng: Rng,
    means: Vec<Decaying>,
}

impl Kong {
    pub(super) fn new(setup: &Setup<'_>) -> Self {
        let means = vec![Decaying { value: 0.0, at: 0.0 }; setup.targets()];
        Self { rng: Rng::new(setup.seed), means }
    }
}

impl Policy for Kong {
    fn pick(&mut self, cx: &Pick<'_>) -> usize {
        let (a, b) = two(&mut self.rng, cx.open);
        let value = |i: usize| self.means[i].value * self.means[i].left(cx.now);
        if value(a) <= value(b) { a } else { b }
    }

    fn answered(&mut self, now: f64, _: &Call, target: usize, _: f64, total: f64) {
        self.means[target].add(now, total);
    }

    fn failed(&mut self, now: f64, call: &Call, target: usize, _: Failure) {
        self.means[target].add(now, now - call.since);
    }
}

/// Health over latency and load, of two random ones the better.
pub(super) struct AgentGateway {
    rng: Rng,
    latency: Vec<f64>,
    health: Vec<f64>,
}

impl AgentGateway {
    pub(super) fn new(setup: &Setup<'_>) -> Self {
        let (latency, health) = (vec![0.0; setup.targets()], vec![1.0; setup.targets()]);
        Self { rng: Rng::new(setup.seed), latency, health }
    }
}

impl Policy for AgentGateway {
    fn pick(&mut self, cx: &Pick<'_>) -> usize {
        let a = one_of(&mut self.rng, cx.open);
        let b = one_of(&mut self.rng, cx.open);
        let score = |i: usize| {
            self.health[i] / (1.0 + self.latency[i] * (1.0 + 0.1 * f64::from(cx.pending[i])))
        };
        if score(a) >= score(b) { a } else { b }
    }

    fn answered(&mut self, _: f64, _: &Call, target: usize, _: f64, total: f64) {
        let latency = &mut self.latency[target];
        *latency = if *latency == 0.0 { total } else { (1.0 - STEP) * *latency + STEP * total };
        self.health[target] = (1.0 - STEP) * self.health[target] + STEP;
    }

    fn failed(&mut self, _: f64, _: &Call, target: usize, _: Failure) {
        self.health[target] *= 1.0 - STEP;
    }
}

/// The lowest mean; what was never answered is lowest.
pub(super) struct Argmin(Vec<Option<f64>>);

impl Argmin {
    pub(super) fn new(setup: &Setup<'_>) -> Self {
        Self(vec![None; setup.targets()])
    }
}

impl Policy for Argmin {
    fn pick(&mut self, cx: &Pick<'_>) -> usize {
        least(cx.open, |i| self.0[i].unwrap_or(-1.0))
    }

    fn answered(&mut self, _: f64, _: &Call, target: usize, _: f64, total: f64) {
        add(&mut self.0[target], total);
    }
}

/// Takes a sample into a mean by samples.
pub(super) fn add(mean: &mut Option<f64>, sample: f64) {
    *mean = Some(mean.map_or(sample, |mean| (1.0 - STEP) * mean + STEP * sample));
}
