//! Hot-cold (HCL) after Prequal, without its probes: of three random targets, those with more
//! under way than most are hot; the fastest of the cold ones, else the least busy.

use std::collections::VecDeque;

use routing::Rng;

use super::{Call, Failure, Pick, Policy, Setup, ewma, simple::least};
use crate::draw::below;

/// How many are looked at.
const LOOKED_AT: usize = 3;
/// How many of the last loads the threshold is a quantile of.
const REMEMBERED: usize = 128;
/// Above this quantile of loads a target is hot.
const QUANTILE: f64 = 0.84;
/// A failure is as slow as this, in seconds.
const FAILURE: f64 = 5.0;

/// See the head of the file.
pub(super) struct HotCold {
    rng: Rng,
    means: Vec<Option<f64>>,
    loads: VecDeque<u32>,
}

impl HotCold {
    pub(super) fn new(setup: &Setup<'_>) -> Self {
        let means = vec![None; setup.targets()];
        Self { rng: Rng::new(setup.seed), means, loads: VecDeque::new() }
    }
}

impl Policy for HotCold {
    fn pick(&mut self, cx: &Pick<'_>) -> usize {
        let mut some = cx.open.to_vec();
        while some.len() > LOOKED_AT {
            some.swap_remove(below(&mut self.rng, some.len()));
        }
        for target in &some {
            self.loads.push_back(cx.pending[*target]);
            if self.loads.len() > REMEMBERED {
                self.loads.pop_front();
            }
        }
        let mut sorted: Vec<u32> = self.loads.iter().copied().collect();
        sorted.sort_unstable();
        let hot = sorted[crate::score::index(sorted.len(), QUANTILE)];
        let cold: Vec<usize> = some.iter().copied().filter(|i| cx.pending[*i] <= hot).collect();
        if cold.is_empty() {
            least(&some, |i| f64::from(cx.pending[i]))
        } else {
            least(&cold, |i| self.means[i].unwrap_or(-1.0))
        }
    }

    fn answered(&mut self, _: f64, _: &Call, target: usize, _: f64, total: f64) {
        ewma::add(&mut self.means[target], total);
    }

    fn failed(&mut self, _: f64, _: &Call, target: usize, _: Failure) {
        let mean = self.means[target].unwrap_or(-1.0);
        self.means[target] = Some(mean.max(FAILURE));
    }
}
