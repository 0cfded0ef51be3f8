//! Category: the category of a prompt chooses the lineup, and that lineup's own strategy the order.
//! The lineup is chosen before anything is ranked, so no compiled lineup has this strategy: what
//! is ranked is Default's lineup or that of an override. A category that nobody told (no text, not
//! sure, a detector that failed) is Default, which always exists.
//!
//! Were a lineup to come with it all the same, its entries would stand as under Priority: the order
//! that its author wrote is the best guess there is.

use super::priority;
use crate::{
    rank::SelectCx,
    snapshot::{CompiledEntry, CompiledLineup},
};

/// Appends the entries as they stand.
pub(super) fn rank_tier(cx: &mut SelectCx<'_, '_>, lineup: &CompiledLineup, tier: &[CompiledEntry]) {
    priority::rank_tier(cx, lineup, tier);
}
