//! How a model takes load, as this router sees it: whether its times grow with the requests under
//! way, how many are under way on average, and whether its times are rising.

use crate::time::Nanos;

/// After how many seconds the regression has forgotten all but 1/e.
const REGRESSION: f64 = 180.0;
/// The same of the means.
const MEAN: f64 = 20.0;
/// A regression of less weight than this says nothing.
const TELLING: f64 = 3.0;
/// What steadies a slope that few or equal loads would make up.
const RIDGE: f64 = 2.0;
/// The slope of a model whose times surely grow with load.
const SURE: f64 = 0.15;
/// The strain of a model that is known to be fine.
const REST: f64 = 0.3;
/// The rise of the log of its times that strains it fully.
const RISE: f64 = 0.5;

/// How one model takes load.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    /// Weight, x, y, xx and xy of the regression of log times on log load.
    sums: [f64; 5],
    summed: Nanos,
    pending: f64,
    pended: Nanos,
    level: Option<f64>,
    levelled: Nanos,
}

impl Load {
    /// Takes in one answer: how many were under way when it was admitted, and how much longer it
    /// took than a fixed reference would have.
    pub(super) fn observe(&mut self, now: Nanos, among: u32, slowness: f64) {
        let left = left_after(now, self.summed, REGRESSION);
        self.summed = now;
        let (x, y) = (f64::from(among.max(1)).ln(), slowness.max(f64::MIN_POSITIVE).ln());
        for (sum, more) in self.sums.iter_mut().zip([1.0, x, y, x * x, x * y]) {
            *sum = *sum * left + more;
        }
    }

    /// From 0, its times do not depend on the load, to 1, they surely do.
    pub(super) fn elastic(&self) -> f64 {
        let [n, x, y, xx, xy] = self.sums;
        if n <= TELLING {
            return 0.0;
        }
        let mean = x / n;
        let slope = (xy - mean * y) / (xx - n * mean * mean + RIDGE);
        let elastic = (slope / SURE).clamp(0.0, 1.0);
        if elastic.is_finite() { elastic } else { 0.0 }
    }

    /// Ages the mean of requests under way to now: `pending` have been, since the last change.
    pub(super) fn pending(&mut self, now: Nanos, pending: u32) -> f64 {
        let left = left_after(now, self.pended, MEAN);
        self.pended = now;
        let pending = f64::from(pending);
        self.pending = pending + (self.pending - pending) * left;
        self.pending
    }

    /// The power of an excess of requests under way, from 0 to 1, where the log of its times is
    /// `level`: it is more where they rise, or grow with load.
    pub(super) fn strain(&mut self, now: Nanos, level: f64) -> f64 {
        let left = left_after(now, self.levelled, MEAN);
        self.levelled = now;
        let usual = self.level.map_or(level, |usual| level + (usual - level) * left);
        self.level = Some(usual);
        (REST + (level - usual) / RISE + self.elastic()).clamp(0.0, 1.0)
    }
}

fn left_after(now: Nanos, since: Nanos, mean: f64) -> f64 {
    (-now.since(since).as_secs_f64() / mean).exp()
}
