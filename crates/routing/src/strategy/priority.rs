//! Priority: the order of the list is the order of the ranking; entries of weight 0 come last.

use crate::{
    rank::SelectCx,
    snapshot::{CompiledEntry, CompiledLineup},
};

/// Appends the entries as they stand, those of weight 0 after the others.
pub(super) fn rank_tier(cx: &mut SelectCx<'_, '_>, _: &CompiledLineup, tier: &[CompiledEntry]) {
    for entry in tier.iter().filter(|e| e.weight > 0) {
        cx.push(entry);
    }
    for entry in tier.iter().filter(|e| e.weight == 0) {
        cx.push(entry);
    }
}
