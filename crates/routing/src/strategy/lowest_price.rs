//! LowestPrice: the candidate at which this very request is expected to cost the least.
//!
//! *What it optimises.* The cost of the request, not a price of the list: its prompt, the part of it
//! that caches hold as this lineup has seen, and an answer as long as that model's answers are,
//! each at its price, with what holds for long prompts and what a request costs by itself. A model
//! that is cheap by the token and writes three times as much is not cheap. Whether a candidate
//! fails is not weighed in: ejection takes care of that.
//!
//! *A candidate whose price is not known* comes behind all others, and the alias says so
//! (PriceUnknown): it is never taken as free. A price of 0 is a price.
//!
//! *On a tie*, which is within 1 % of the cheapest, the one that is predicted to answer sooner goes
//! first; so equal prices do not all go to one slow provider. There is no draw, so a session changes
//! nothing.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::lowest_latency::{Signal, predict};
use crate::{
    CandidateIx,
    price::{Money, Price},
    rank::{Score, SelectCx},
    snapshot::{CompiledEntry, CompiledLineup},
    usage::Usage,
};

/// What is at most so many hundredths of the cheapest is as cheap.
const AS_CHEAP: (u64, u64) = (101, 100);

/// What a candidate is ranked by: the order of its variants is the order of the ranking.
#[derive(Clone, Copy, Debug)]
enum Class {
    /// As cheap as the cheapest.
    Cheapest,
    /// It costs more.
    Dearer(Money),
    /// Nobody knows.
    Unknown,
}

/// Appends the tier, the cheapest first.
pub(super) fn rank_tier(
    cx: &mut SelectCx<'_, '_>,
    lineup: &CompiledLineup,
    tier: &[CompiledEntry],
) {
    let blocks = cx.blocks(tier);
    let prices: SmallVec<[Option<Money>; 8]> = blocks
        .iter()
        .map(|block| {
            let price = cx.view.live(block.head).price;
            let cost = price.map(|price| cost(cx, lineup, block.head, price));
            cx.score(block.head, cost.map_or(Score::PriceUnknown, Score::Cost));
            cost
        })
        .collect();
    let open = blocks.iter().zip(&prices).filter(|(block, _)| block.open && block.weight > 0);
    let cheapest = open.filter_map(|(_, cost)| *cost).min();
    let keys: SmallVec<[(Class, f64); 8]> = blocks
        .iter()
        .zip(&prices)
        .map(|(block, cost)| {
            let seconds = predict(cx, lineup, block.head, Signal::ResponseTime);
            (class(*cost, cheapest), if seconds.is_nan() { f64::INFINITY } else { seconds })
        })
        .collect();
    let mut order: SmallVec<[usize; 8]> = (0..blocks.len()).collect();
    order.sort_by(|a, b| compare(&keys[*a], &keys[*b]));
    let mut places: SmallVec<[f64; 8]> = smallvec::smallvec![0.0; blocks.len()];
    let mut place = 0.0;
    for at in order {
        places[at] = place;
        place += 1.0;
    }
    cx.push_by_cost(&blocks, &places, None);
}

fn class(cost: Option<Money>, cheapest: Option<Money>) -> Class {
    let (most, of) = AS_CHEAP;
    match (cost, cheapest) {
        (None, _) => Class::Unknown,
        (Some(cost), Some(least)) if cost.times(of) <= least.times(most) => Class::Cheapest,
        (Some(cost), _) => Class::Dearer(cost),
    }
}

fn compare(a: &(Class, f64), b: &(Class, f64)) -> Ordering {
    let rank = |class: Class| match class {
        Class::Cheapest => (0, Money::ZERO),
        Class::Dearer(cost) => (1, cost),
        Class::Unknown => (2, Money::ZERO),
    };
    rank(a.0).cmp(&rank(b.0)).then(a.1.total_cmp(&b.1))
}

/// What this request is expected to cost at a candidate.
fn cost(cx: &SelectCx<'_, '_>, lineup: &CompiledLineup, ix: CandidateIx, price: &Price) -> Money {
    let stats = cx.view.lineup(lineup);
    let text = expected(
        cx.facts.prompt_tokens,
        stats.cached_part(),
        stats.output_tokens_of(ix, cx.facts.output_cap),
    );
    price.cost(&Usage { images: cx.facts.images, audio_out: cx.facts.audio_out, ..text })
}

/// What a request is expected to use.
fn expected(prompt: u64, cached: f64, output: f64) -> Usage {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "parts of counts that are never negative; a cast stops at the ends"
    )]
    let (cache_read, output) = ((prompt as f64 * cached).round() as u64, output.round() as u64);
    let cache_read = cache_read.min(prompt);
    Usage { input: prompt - cache_read, cache_read, output, ..Usage::default() }
}
