//! The draw that the metric strategies share: by predicted cost, mostly the cheapest.
//!
//! A candidate is drawn with a weight of (cheapest / its cost)^16: one that is 5 % dearer gets half
//! the weight of the cheapest, 20 % a twentieth, twice as dear next to nothing. So equals share the
//! load, and a small difference moves only a part of it. The weights are smoothed over half a
//! second, two candidates are drawn by them, and the one with less under way than usual is kept:
//! many routers that know the same do not all jump at once.
//!
//! *Many routers.* Where times grow with load, and more than a few routers go by news that is
//! seconds old, the power is less, down to a quarter of it: each moves a smaller part of its load
//! than it would alone, as all the others move theirs on the same news.
//!
//! *Exploration.* What has shown nothing of late, and has nothing under way here, is put first now
//! and then, whatever it would cost; what no router has ever seen more often, so that one probe by
//! the fleet is soon made. A small part of the requests pays for it.
//!
//! *Sessions.* With a session there is no draw and no probe: candidates are ordered by a hash of
//! the session, weighted by what the slow time scale alone says, in powers of two that change only
//! once three evaluations agree. Noise moves nobody, and routers agree without talking.

use std::time::Duration;

use smallvec::SmallVec;

use crate::{
    rank::{Block, SelectCx},
    snapshot::CompiledLineup,
    stats::{Estimate, LineupStats, ProbeDraw},
};

/// The power of the draw, of few routers.
const POWER: f64 = 16.0;
/// So few routers do not herd.
const FEW: f64 = 10.0;
/// By how much of itself the power is divided more, at most.
const SOFTER: f64 = 3.0;
/// After how many seconds a smoothed weight is all but 1/e new.
const SMOOTHING: f64 = 0.5;
/// Less recent evidence than one sample is next to none.
const FAINT: f64 = 1.0;
/// The mean time between two probes from here, in seconds; it varies by half.
const BETWEEN_PROBES: f64 = 4.0;
/// The part of all routers that may find themselves chosen to probe what nobody has seen: with
/// twice as many chances as routers, one soon does.
const NEVER_SEEN: f64 = 2.0;
/// How often the weights of sessions are evaluated: as often as the fleet's view comes.
const EVALUATION: Duration = Duration::from_secs(5);
/// The power of the slow costs by which sessions are spread.
const AFFINITY_POWER: f64 = 4.0;
/// No cost is smaller, and none larger.
const COSTS: (f64, f64) = (1e-9, 1e12);

/// What a strategy gives the draw.
pub(super) struct Softmin<'a> {
    /// The lineup that is ranked.
    pub(super) lineup: &'a CompiledLineup,
    /// The blocks of the tier.
    pub(super) blocks: &'a [Block],
    /// The predicted cost of each.
    pub(super) costs: SmallVec<[f64; 8]>,
    /// The cost of a usual request as the slow time scale has it, alike on every router.
    pub(super) steady: fn(&Estimate) -> f64,
    /// The part of requests that explore, from 0 to 1.
    pub(super) explore: f64,
}

impl Softmin<'_> {
    /// Appends the blocks: what is drawn, then the others by ascending cost.
    pub(super) fn rank(mut self, cx: &mut SelectCx<'_, '_>) {
        for cost in &mut self.costs {
            *cost = if cost.is_nan() { COSTS.1 } else { cost.clamp(COSTS.0, COSTS.1) };
        }
        let open: SmallVec<[usize; 8]> = (0..self.blocks.len())
            .filter(|at| self.blocks[*at].open && self.blocks[*at].weight > 0)
            .collect();
        let stats = cx.view.lineup(self.lineup);
        let first = match open.as_slice() {
            [] => None,
            _ if cx.facts.session.is_some() => {
                self.spread(cx, stats, &open);
                None
            }
            _ => probe(cx, self.lineup, self.blocks, &open, self.explore)
                .or_else(|| Some(self.draw(cx, stats, &open))),
        };
        cx.push_by_cost(self.blocks, &self.costs, first);
    }

    /// Draws two by their smoothed weights, and keeps the one that costs less for how much more
    /// than usual is under way at it.
    fn draw(&self, cx: &mut SelectCx<'_, '_>, stats: &LineupStats, open: &[usize]) -> usize {
        let cheapest = open.iter().map(|at| self.costs[*at]).fold(COSTS.1, f64::min);
        let power = self.power(cx, stats, open);
        let weigh = |at: &usize| {
            let part = cheapest / self.costs[*at];
            if power < POWER { part.powf(power) } else { sixteenth_power(part) }
        };
        let mut weights: SmallVec<[f64; 8]> = open.iter().map(weigh).collect();
        let total: f64 = weights.iter().sum();
        // The first draw has nothing to smooth from, and goes by what is known.
        let step = stats.smoothed().map_or(1.0, |at| {
            let elapsed = cx.now.since(at).as_secs_f64();
            1.0 - (-elapsed / SMOOTHING).exp()
        });
        #[expect(clippy::cast_precision_loss, reason = "at most 64 blocks")]
        let even = 1.0 / self.blocks.len() as f64;
        for (weight, at) in weights.iter_mut().zip(open) {
            let before = stats.weight(self.blocks[*at].anchor).unwrap_or(even);
            *weight = before + step * (*weight / total - before);
        }
        let total: f64 = weights.iter().sum();
        let a = pick(&weights, cx.rng.unit() * total);
        let b = pick(&weights, cx.rng.unit() * total);
        cx.effects(self.lineup).weights.extend(
            open.iter().zip(&weights).map(|(at, weight)| (self.blocks[*at].anchor, *weight)),
        );
        let crowded = |at: usize| {
            let head = self.blocks[at].head;
            self.costs[at] * stats.estimate(head).crowding(cx.view.live(head).pending)
        };
        let (a, b) = (open[a], open[b]);
        if a == b || crowded(a) <= crowded(b) { a } else { b }
    }

    /// The power of the draw: less where the times of any grow with load and many routers draw.
    fn power(&self, cx: &SelectCx<'_, '_>, stats: &LineupStats, open: &[usize]) -> f64 {
        let crowd = 1.0 - FEW / f64::from(cx.view.routers.max(1));
        if crowd <= 0.0 {
            return POWER;
        }
        let elastic = open.iter().map(|at| stats.estimate(self.blocks[*at].head).elastic);
        POWER / (1.0 + SOFTER * crowd * elastic.fold(0.0, f64::max))
    }

    /// Orders the open ones by the hash of the session, in place of their costs.
    fn spread(&mut self, cx: &mut SelectCx<'_, '_>, stats: &LineupStats, open: &[usize]) {
        let proposed =
            |at: usize| affinity_weight((self.steady)(stats.estimate(self.blocks[at].head)));
        let weights = session_weights(cx, self.lineup, self.blocks, &proposed);
        for &at in open {
            self.costs[at] = cx.race(self.blocks[at].anchor, f64::from(weights[at]).exp2());
        }
    }
}

/// The block that this request probes, if it does: one that has shown nothing of late. A part of
/// the requests, from 0 to 1, does, however many blocks are due: they share it.
pub(super) fn probe(
    cx: &mut SelectCx<'_, '_>,
    lineup: &CompiledLineup,
    blocks: &[Block],
    open: &[usize],
    explore: f64,
) -> Option<usize> {
    if explore <= 0.0 {
        return None;
    }
    let stats = cx.view.lineup(lineup);
    let mut due: SmallVec<[usize; 8]> = SmallVec::new();
    for &at in open {
        let Block { anchor, head, .. } = blocks[at];
        if stats.estimate(head).evidence >= FAINT || cx.view.live(head).pending > 0 {
            continue;
        }
        let wait = BETWEEN_PROBES * (0.5 + cx.rng.unit());
        if stats.since_probe(anchor, cx.now).is_none_or(|since| since > wait) {
            due.push(at);
        }
    }
    let routers = f64::from(cx.view.routers.max(1));
    #[expect(clippy::cast_precision_loss, reason = "at most 64 blocks")]
    let each = explore / due.len().max(1) as f64;
    for at in due {
        let Block { anchor, head, .. } = blocks[at];
        let new = stats.estimate(head).unseen && !stats.was_probed(anchor);
        let part = if new { explore.max((NEVER_SEEN / routers).min(1.0)) } else { each };
        if cx.rng.unit() < part {
            cx.effects(lineup).probes.push((anchor, ProbeDraw::Taken { by: head }));
            return Some(at);
        }
        if new {
            cx.effects(lineup).probes.push((anchor, ProbeDraw::Deferred));
        }
    }
    None
}

/// The exponents of the powers of two by which sessions are spread over the blocks: what is
/// remembered, or else what is proposed for each position now. Where an evaluation is due, the
/// proposals are an effect.
pub(super) fn session_weights(
    cx: &mut SelectCx<'_, '_>,
    lineup: &CompiledLineup,
    blocks: &[Block],
    proposed: &dyn Fn(usize) -> i8,
) -> SmallVec<[i8; 8]> {
    let stats = cx.view.lineup(lineup);
    let due = stats.evaluated().is_none_or(|at| cx.now.since(at) >= EVALUATION);
    let mut weights = SmallVec::new();
    for (at, block) in blocks.iter().enumerate() {
        let remembered = stats.affinity(block.anchor);
        if due || remembered.is_none() {
            cx.effects(lineup).affinity.push((block.anchor, proposed(at)));
        }
        weights.push(remembered.unwrap_or_else(|| proposed(at)));
    }
    weights
}

/// The power of two next to cost^-4.
fn affinity_weight(cost: f64) -> i8 {
    let exponent = (-AFFINITY_POWER * cost.clamp(COSTS.0, COSTS.1).log2()).round();
    #[expect(clippy::cast_possible_truncation, reason = "clamped; a cost is no NaN")]
    let exponent = exponent.clamp(-100.0, 100.0) as i8;
    exponent
}

fn sixteenth_power(x: f64) -> f64 {
    let x = x * x;
    let x = x * x;
    let x = x * x;
    x * x
}

/// The weight within which a point of their sum falls.
pub(super) fn pick(weights: &[f64], mut point: f64) -> usize {
    for (at, weight) in weights.iter().enumerate() {
        point -= weight;
        if point <= 0.0 {
            return at;
        }
    }
    weights.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_differences_keep_a_share() {
        assert!((sixteenth_power(1.0 / 1.05) - 0.46).abs() < 0.01);
        assert!((sixteenth_power(1.0 / 1.2) - 0.05).abs() < 0.01);
        assert!(sixteenth_power(0.5) < 2e-5);
    }

    #[test]
    fn a_point_falls_within_its_weight() {
        assert_eq!(pick(&[0.2, 0.3, 0.5], 0.1), 0);
        assert_eq!(pick(&[0.2, 0.3, 0.5], 0.4), 1);
        assert_eq!(pick(&[0.2, 0.3, 0.5], 1.0), 2);
        assert_eq!(pick(&[0.2, 0.3, 0.5], f64::NAN), 2, "never out of bounds");
    }

    #[test]
    fn sessions_weigh_by_powers_of_two() {
        assert_eq!(affinity_weight(1.0), 0);
        assert_eq!(affinity_weight(2.0), -4);
        assert_eq!(affinity_weight(1.05), 0, "noise moves nobody");
        assert_eq!(affinity_weight(f64::INFINITY), -100);
    }
}
