//! Policies without memory.

use routing::Rng;

use super::{Pick, Policy, Setup};
use crate::draw::one_of;

/// The open target with the least of a number, the first of equals.
pub(super) fn least(open: &[usize], of: impl Fn(usize) -> f64) -> usize {
    let mut best = (f64::INFINITY, open[0]);
    for &target in open {
        let value = of(target);
        if value < best.0 {
            best = (value, target);
        }
    }
    best.1
}

/// Uniform.
pub(super) struct Random(Rng);

impl Random {
    pub(super) fn new(setup: &Setup<'_>) -> Self {
        Self(Rng::new(setup.seed))
    }
}

impl Policy for Random {
    fn pick(&mut self, cx: &Pick<'_>) -> usize {
        one_of(&mut self.0, cx.open)
    }
}

/// In turn.
pub(super) struct RoundRobin(usize);

impl RoundRobin {
    pub(super) fn new(setup: &Setup<'_>) -> Self {
        Self(usize::try_from(setup.seed % 1009).unwrap_or(0))
    }
}

impl Policy for RoundRobin {
    fn pick(&mut self, cx: &Pick<'_>) -> usize {
        self.0 += 1;
        cx.open[self.0 % cx.open.len()]
    }
}

/// Fewest requests under way, a random one of equals.
pub(super) struct LeastBusy(Rng);

impl LeastBusy {
    pub(super) fn new(setup: &Setup<'_>) -> Self {
        Self(Rng::new(setup.seed))
    }
}

impl Policy for LeastBusy {
    fn pick(&mut self, cx: &Pick<'_>) -> usize {
        let fewest = cx.open.iter().map(|i| cx.pending[*i]).min();
        let idle: Vec<usize> =
            cx.open.iter().copied().filter(|i| Some(cx.pending[*i]) == fewest).collect();
        one_of(&mut self.0, &idle)
    }
}

/// Of two random ones the one with fewer requests under way.
pub(super) struct TwoChoicesLeast(Rng);

impl TwoChoicesLeast {
    pub(super) fn new(setup: &Setup<'_>) -> Self {
        Self(Rng::new(setup.seed))
    }
}

impl Policy for TwoChoicesLeast {
    fn pick(&mut self, cx: &Pick<'_>) -> usize {
        let a = one_of(&mut self.0, cx.open);
        let b = one_of(&mut self.0, cx.open);
        if cx.pending[a] <= cx.pending[b] { a } else { b }
    }
}
