//! Every router to the target with the lowest fleet-wide mean latency of the last interval: what a
//! central loop without care about herds does.

use super::{Call, Failure, Pick, Policy, Report, Setup, simple::least};

/// What a failure counts as, in seconds.
const FAILURE: f64 = 30.0;

/// See the head of the file.
pub(super) struct FleetArgmin {
    own: Vec<(f64, f64)>,
    means: Vec<f64>,
}

impl FleetArgmin {
    pub(super) fn new(setup: &Setup<'_>) -> Self {
        Self { own: vec![(0.0, 0.0); setup.targets()], means: vec![-1.0; setup.targets()] }
    }

    fn add(&mut self, target: usize, time: f64) {
        self.own[target].0 += time;
        self.own[target].1 += 1.0;
    }
}

impl Policy for FleetArgmin {
    fn pick(&mut self, cx: &Pick<'_>) -> usize {
        least(cx.open, |i| self.means[i])
    }

    fn answered(&mut self, _: f64, _: &Call, target: usize, _: f64, total: f64) {
        self.add(target, total);
    }

    fn failed(&mut self, _: f64, _: &Call, target: usize, _: Failure) {
        self.add(target, FAILURE);
    }

    fn report(&mut self, _: f64) -> Option<Report> {
        let none = vec![(0.0, 0.0); self.own.len()];
        Some(Report::Times(std::mem::replace(&mut self.own, none)))
    }

    fn told(&mut self, _: f64, _: f64, fleet: &Report) {
        if let Report::Times(times) = fleet {
            for (mean, (time, count)) in self.means.iter_mut().zip(times) {
                if *count > 0.0 {
                    *mean = time / count;
                }
            }
        }
    }
}
