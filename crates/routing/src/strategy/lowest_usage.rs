//! LowestUsage: the candidate that has used the least of what its provider grants.
//!
//! *What it optimises.* The distance to the limits: a candidate's usage is the fullest dimension of
//! its quotas (requests, tokens, tokens of prompts or answers) over a sliding minute, as a part of
//! the limit, by the whole fleet, with this request counted. So 11,000 tokens of a million go
//! before 10,000 of 20,000. If any candidate of the tier has no quota, parts cannot be compared,
//! and the whole tier goes by tokens over its entries' weights.
//!
//! *Two random choices.* Of two candidates drawn at random the less used one is taken, then of the
//! rest again. What a router knows of the others is seconds old: if all took the least used one,
//! fifty routers would fall upon it together, and on the next one after the next word from the
//! fleet (Mitzenmacher, "How useful is old information?", 2000). Of two, each router takes another
//! pair.
//!
//! *A candidate of which nothing is known* has used nothing, and that is true: 0 is real.
//!
//! *On a tie* the draw decides. With a session there is no draw: sessions are shared out by the
//! limits of the quotas, where all state the same dimension first, else by weight.

use smallvec::SmallVec;

use crate::{
    rank::{Block, Score, SelectCx},
    snapshot::{CompiledEntry, CompiledLineup},
};

/// No usage is more: what is not finite is this.
const MOST: f64 = 1e18;

/// Appends the tier, in the order in which pairs were drawn and decided.
pub(super) fn rank_tier(
    cx: &mut SelectCx<'_, '_>,
    lineup: &CompiledLineup,
    tier: &[CompiledEntry],
) {
    let blocks = cx.blocks(tier);
    let used = usage(cx, lineup, &blocks);
    let mut costs = used.clone();
    let mut open: SmallVec<[usize; 8]> =
        (0..blocks.len()).filter(|at| blocks[*at].open && blocks[*at].weight > 0).collect();
    if cx.facts.session.is_some() {
        let granted = granted(cx, &blocks);
        for &at in &open {
            costs[at] = cx.race(blocks[at].anchor, granted[at]);
        }
    } else {
        let mut place = 0.0;
        while !open.is_empty() {
            let taken = choose(cx, &open, &used);
            costs[open.swap_remove(taken)] = place;
            place += 1.0;
        }
    }
    cx.push_by_cost(&blocks, &costs, None);
}

/// Which of those that are left: the less used of two that are drawn, the first drawn of equals.
fn choose(cx: &mut SelectCx<'_, '_>, left: &[usize], used: &[f64]) -> usize {
    let count = left.len();
    let draw = |cx: &mut SelectCx<'_, '_>, of: usize| {
        usize::try_from(cx.rng.below(of as u64)).unwrap_or_default()
    };
    let first = draw(cx, count);
    if count < 2 {
        return first;
    }
    let second = (first + 1 + draw(cx, count - 1)) % count;
    if used[left[second]] < used[left[first]] { second } else { first }
}

/// How much each has used, with this request: of its quotas, or tokens by weight.
fn usage(
    cx: &mut SelectCx<'_, '_>,
    lineup: &CompiledLineup,
    blocks: &[Block],
) -> SmallVec<[f64; 8]> {
    let utilization = |cx: &SelectCx<'_, '_>, block: &Block| cx.view.live(block.head).utilization;
    let by_quota = blocks.iter().all(|block| utilization(cx, block).is_some());
    #[expect(clippy::cast_precision_loss, reason = "nobody sends 2^53 tokens")]
    let prompt = cx.facts.prompt_tokens as f64;
    let request = prompt + cx.view.lineup(lineup).output_tokens(cx.facts.output_cap);
    let of = |block: &Block| {
        let used = match utilization(cx, block) {
            Some(part) if by_quota => part,
            _ => {
                let tokens = cx.view.live(block.head).used_tokens + request;
                tokens / f64::from(block.weight.max(1))
            }
        };
        if used.is_finite() { used.max(0.0) } else { MOST }
    };
    let used: SmallVec<[f64; 8]> = blocks.iter().map(of).collect();
    for (block, used) in blocks.iter().zip(&used) {
        let score = if by_quota { Score::Utilization(*used) } else { Score::TokensByWeight(*used) };
        cx.score(block.head, score);
    }
    used
}

/// What sessions are shared out by: the limits, where every candidate has one, else the weights.
fn granted(cx: &SelectCx<'_, '_>, blocks: &[Block]) -> SmallVec<[f64; 8]> {
    let quotas: Option<SmallVec<[_; 8]>> =
        blocks.iter().map(|block| cx.view.live(block.anchor).quota).collect();
    match quotas {
        Some(quotas) if quotas.windows(2).all(|pair| pair[0].0 == pair[1].0) =>
        {
            #[expect(clippy::cast_precision_loss, reason = "a weight may be a little off")]
            quotas.into_iter().map(|(_, limit)| limit as f64).collect()
        }
        _ => blocks.iter().map(|block| f64::from(block.weight)).collect(),
    }
}
