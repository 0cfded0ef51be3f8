//! Live statistics, pure: what is remembered of the attempts at a model, of a lineup and of an
//! alias, in bounded memory. Time and observations are arguments; whoever holds the state decides
//! how it is locked.

mod alias;
mod capacity;
mod effects;
mod estimate;
mod lineup;
mod load;
mod model;
mod pending;
pub mod sums;

pub use self::{
    alias::AliasStats,
    effects::{Effects, LineupEffects, ProbeDraw},
    estimate::{Estimate, Evidence, Prior, prompt_factor},
    lineup::LineupStats,
    model::{Completion, ModelStats},
    pending::PendingId,
    sums::{Part, Sums, TimeScale},
};
