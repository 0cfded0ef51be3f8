//! RandomShuffle: entries are drawn by weight without replacement, so that the second is drawn
//! among the rest by their own weights. Only entries with an available candidate take part in the
//! draw: an ejected one gives its share to the others in proportion. Weight 0 comes last.

use smallvec::SmallVec;

use crate::{rank::SelectCx, snapshot::CompiledEntry};

/// Appends the entries of the tier in a drawn order.
pub(super) fn rank_tier(cx: &mut SelectCx<'_>, tier: &[CompiledEntry]) {
    let mut left: SmallVec<[&CompiledEntry; 8]> =
        tier.iter().filter(|e| e.weight > 0 && cx.available(e)).collect();
    let mut total: u64 = left.iter().map(|e| u64::from(e.weight)).sum();
    while !left.is_empty() {
        let mut point = cx.rng.below(total);
        // The weights sum to `total` and `point` is below it, so a position is always found; the
        // last one stands in only to make that plain without a panic.
        let at = left
            .iter()
            .position(|e| {
                let hit = point < u64::from(e.weight);
                point = point.saturating_sub(u64::from(e.weight));
                hit
            })
            .unwrap_or(left.len() - 1);
        let entry = left.remove(at);
        total -= u64::from(entry.weight);
        cx.push(entry);
    }
    for entry in tier.iter().filter(|e| e.weight > 0) {
        // What was drawn stands already and is left out; what remains is ejected.
        cx.push(entry);
    }
    for entry in tier.iter().filter(|e| e.weight == 0) {
        cx.push(entry);
    }
}
