//! What a run is worth, held against the oracle's on the same requests.

use serde::Serialize;

use crate::engine::Run;

/// A request is missed where it took more than so many times the oracle's time, of which ...
const MISSED: f64 = 3.0;
/// ... no less than this counts, in seconds.
const FLOOR: f64 = 1.0;
/// Over how many seconds shares are taken for their oscillation.
const BIN: f64 = 5.0;
/// A bin of fewer requests says nothing of shares.
const FEW: f64 = 4.0;

/// The scores of a policy in a world, means over seeds; parts are fractions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Mean time over the oracle's, less 1.
    pub regret: f64,
    /// The 95th percentile of times, in seconds.
    pub p95: f64,
    /// The 99th, in seconds.
    pub p99: f64,
    /// The part of requests that took more than three times what the oracle's took.
    pub miss: f64,
    /// How much shares change from five seconds to the next.
    pub osc: f64,
    /// Attempts per request.
    pub attempts: f64,
}

impl Score {
    /// Scores one run.
    pub fn of(run: &Run, oracle: &Run, targets: usize) -> Self {
        let count = run.times.len();
        let number = wide(count.max(1));
        let missed = run
            .times
            .iter()
            .zip(&oracle.times)
            .filter(|(own, best)| **own > MISSED * best.max(FLOOR));
        let mut sorted = run.times.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |q: f64| sorted.get(index(count, q)).copied().unwrap_or(0.0);
        let sum = |run: &Run| run.times.iter().sum::<f64>();
        Self {
            regret: if sum(oracle) > 0.0 { sum(run) / sum(oracle) - 1.0 } else { 0.0 },
            p95: at(0.95),
            p99: at(0.99),
            miss: wide(missed.count()) / number,
            osc: oscillation(run, targets),
            attempts: wide(run.attempts) / number,
        }
    }

    /// The mean over runs.
    pub fn mean(scores: &[Self]) -> Self {
        let count = wide(scores.len().max(1));
        let mean = |of: fn(&Self) -> f64| scores.iter().map(of).sum::<f64>() / count;
        Self {
            regret: mean(|s| s.regret),
            p95: mean(|s| s.p95),
            p99: mean(|s| s.p99),
            miss: mean(|s| s.miss),
            osc: mean(|s| s.osc),
            attempts: mean(|s| s.attempts),
        }
    }
}

/// The geometric mean of regrets, as a fraction.
pub fn geometric_mean(regrets: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = wide(regrets.len().max(1));
    (regrets.map(|regret| (1.0 + regret).ln()).sum::<f64>() / count).exp() - 1.0
}

/// Where a quantile stands in a sorted list of this length.
pub fn index(len: usize, quantile: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the list")]
    let at = (wide(len.saturating_sub(1)) * quantile) as usize;
    at.min(len.saturating_sub(1))
}

/// Mean change of the shares of targets from bin to bin: half the sum of absolute differences.
fn oscillation(run: &Run, targets: usize) -> f64 {
    let mut bins: Vec<Vec<f64>> = Vec::new();
    for (at, target) in &run.choices {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time")]
        let bin = (at / BIN) as usize;
        while bins.len() <= bin {
            bins.push(vec![0.0; targets]);
        }
        bins[bin][*target] += 1.0;
    }
    let changes: Vec<f64> = bins
        .windows(2)
        .filter_map(|pair| {
            let [before, after] = [&pair[0], &pair[1]];
            let (all_before, all_after) = (before.iter().sum::<f64>(), after.iter().sum::<f64>());
            let change =
                before.iter().zip(after).map(|(b, a)| (b / all_before - a / all_after).abs());
            (all_before > FEW && all_after > FEW).then(|| change.sum::<f64>() / 2.0)
        })
        .collect();
    changes.iter().sum::<f64>() / wide(changes.len().max(1))
}

fn wide(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
