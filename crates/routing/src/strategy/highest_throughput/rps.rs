//! By requests a second: the candidate with the most room below the rate that it can sustain.
//!
//! *What it optimises.* The rate that the fleet as a whole gets answered. A candidate's room is .95
//! of its capacity (`stats::capacity` says where that comes from) less the requests that it gets
//! now, by the whole fleet. Whoever answers most now is not the best choice: it would stay the
//! busiest for that alone. So candidates are drawn by their room, which evens them out, and of two
//! that are drawn the one with less under way than usual is kept.
//!
//! *A model of which nothing is known* has the median capacity of those that are known, and no
//! requests: it gets its part at once, and shows what it can.
//!
//! *On a tie* the draw decides; where nobody has room left, it goes by capacity, and the rest by how
//! far they are beyond it. Sessions are shared out by capacity.

use smallvec::SmallVec;

use crate::{
    rank::{Block, Score, SelectCx},
    snapshot::{CompiledEntry, CompiledLineup},
    strategy::softmin::{pick, probe, session_weights},
};

/// The part of a capacity that is used.
const USED: f64 = 0.95;
/// The capacity of all where none is known: they are alike.
const UNKNOWN: f64 = 1.0;

/// Appends the tier: a draw by room first, the rest by it.
pub(super) fn rank_tier(
    cx: &mut SelectCx<'_, '_>,
    lineup: &CompiledLineup,
    tier: &[CompiledEntry],
    explore: f64,
) {
    let blocks = cx.blocks(tier);
    let capacities = capacities(cx, lineup, &blocks);
    let stats = cx.view.lineup(lineup);
    let mut costs: SmallVec<[f64; 8]> = SmallVec::new();
    let mut room: SmallVec<[f64; 8]> = SmallVec::new();
    for (block, capacity) in blocks.iter().zip(&capacities) {
        let rate = stats.estimate(block.head).rate;
        let left = (USED * capacity - rate).max(0.0);
        // The most room first; behind all that have some, those that are least beyond it.
        costs.push(if left > 0.0 { -left } else { (rate + 1.0) / capacity.max(1e-9) });
        room.push(left);
        cx.score(block.head, Score::Headroom(left));
    }
    let open: SmallVec<[usize; 8]> =
        (0..blocks.len()).filter(|at| blocks[*at].open && blocks[*at].weight > 0).collect();
    let first = if open.is_empty() {
        None
    } else if cx.facts.session.is_some() {
        let proposed = |at: usize| power_of_two(capacities[at]);
        let weights = session_weights(cx, lineup, &blocks, &proposed);
        for &at in &open {
            costs[at] = cx.race(blocks[at].anchor, f64::from(weights[at]).exp2());
        }
        None
    } else {
        probe(cx, lineup, &blocks, &open, explore)
            .or_else(|| Some(draw(cx, lineup, &blocks, &open, [&room, &capacities])))
    };
    cx.push_by_cost(&blocks, &costs, first);
}

/// What each can answer a second, the median of the others where it is not known.
fn capacities(
    cx: &SelectCx<'_, '_>,
    lineup: &CompiledLineup,
    blocks: &[Block],
) -> SmallVec<[f64; 8]> {
    let stats = cx.view.lineup(lineup);
    let known = |block: &Block| {
        stats.estimate(block.head).capacity.filter(|rate| rate.is_finite() && *rate >= 0.0)
    };
    let mut all: SmallVec<[f64; 8]> = blocks.iter().filter_map(known).collect();
    all.sort_by(f64::total_cmp);
    // What only fails has none, and tells nothing of the others.
    let telling = &all[all.iter().take_while(|rate| **rate <= 0.0).count()..];
    let median = telling.get(telling.len() / 2).copied().unwrap_or(UNKNOWN);
    blocks.iter().map(|block| known(block).unwrap_or(median)).collect()
}

/// Draws two by the first of these weights that has any, and keeps the less crowded.
fn draw(
    cx: &mut SelectCx<'_, '_>,
    lineup: &CompiledLineup,
    blocks: &[Block],
    open: &[usize],
    weights: [&[f64]; 2],
) -> usize {
    let even = [1.0; crate::snapshot::MAX_CANDIDATES];
    let of = |weights: &[f64]| -> SmallVec<[f64; 8]> {
        open.iter().map(|at| weights.get(*at).copied().unwrap_or(0.0)).collect()
    };
    let weights = weights
        .into_iter()
        .map(of)
        .find(|weights| weights.iter().sum::<f64>() > 0.0)
        .unwrap_or_else(|| of(&even));
    let total: f64 = weights.iter().sum();
    let a = open[pick(&weights, cx.rng.unit() * total)];
    let b = open[pick(&weights, cx.rng.unit() * total)];
    let stats = cx.view.lineup(lineup);
    let crowded = |at: usize| {
        let head = blocks[at].head;
        stats.estimate(head).crowding(cx.view.live(head).pending)
    };
    if crowded(a) <= crowded(b) { a } else { b }
}

/// The exponent of the power of two next to a capacity.
fn power_of_two(capacity: f64) -> i8 {
    let exponent = capacity.clamp(1e-9, 1e9).log2().round();
    #[expect(clippy::cast_possible_truncation, reason = "of a number within 10^-9 and 10^9")]
    let exponent = exponent as i8;
    exponent
}
