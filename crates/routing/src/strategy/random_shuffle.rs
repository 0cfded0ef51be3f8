//! RandomShuffle: entries are drawn by weight without replacement, so that the second is drawn
//! among the rest by their own weights. Only entries with an available candidate take part in the
//! draw: an ejected one gives its share to the others in proportion. Weight 0 comes last.

use smallvec::SmallVec;

use crate::{
    rank::SelectCx,
    snapshot::{CompiledEntry, CompiledLineup},
};

/// Appends the entries of the tier in a drawn order.
pub(super) fn rank_tier(cx: &mut SelectCx<'_, '_>, _: &CompiledLineup, tier: &[CompiledEntry]) {
    let mut drawn: SmallVec<[(f64, &CompiledEntry); 8]> = SmallVec::new();
    for entry in tier.iter().filter(|e| e.weight > 0) {
        if cx.is_open(entry)
            && let Some(anchor) = entry.members.first()
        {
            drawn.push((cx.race(anchor, f64::from(entry.weight)), entry));
        }
    }
    drawn.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    for (_, entry) in drawn {
        cx.push(entry);
    }
    for entry in tier.iter().filter(|e| e.weight > 0) {
        // What was drawn stands already and is left out; what remains is not open.
        cx.push(entry);
    }
    for entry in tier.iter().filter(|e| e.weight == 0) {
        cx.push(entry);
    }
}
