//! By tokens a second: the candidate that writes fastest.
//!
//! *What it optimises.* The decode speed: tokens after the first of long enough streams over the
//! seconds that they took, a ratio of sums, so that long answers weigh more. Whole answers count
//! only where no stream was seen, as the lower bound that they are. Failures, overdue requests and
//! load make a candidate slower, as under LowestLatency.
//!
//! *A model of which nothing is known* writes as fast as the median of the lineup.
//!
//! *On a tie* the draw shares, see [`super::super::softmin`].

use crate::{
    rank::{Score, SelectCx},
    snapshot::{CompiledEntry, CompiledLineup},
    stats::Estimate,
    strategy::softmin::Softmin,
};

/// Appends the tier: a draw by the time per token first, the rest by it.
pub(super) fn rank_tier(
    cx: &mut SelectCx<'_, '_>,
    lineup: &CompiledLineup,
    tier: &[CompiledEntry],
    explore: f64,
) {
    let blocks = cx.blocks(tier);
    let stats = cx.view.lineup(lineup);
    // A second that is lost to a failure is lost to all tokens of the answer.
    let per_token = 1.0 / stats.output_tokens(cx.facts.output_cap).max(1.0);
    let mut costs = smallvec::SmallVec::new();
    for block in &blocks {
        let estimate = stats.estimate(block.head);
        let pending = cx.view.live(block.head).pending;
        costs.push(estimate.cost(estimate.pace, pending, per_token));
        cx.score(block.head, Score::TokensPerSecond(1.0 / estimate.pace.max(1e-9)));
    }
    let steady = |e: &Estimate| e.slow[2];
    Softmin { lineup, blocks: &blocks, costs, steady, explore }.rank(cx);
}
