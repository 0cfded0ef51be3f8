//! Live statistics, pure: what is remembered of the attempts at a model, of a lineup and of an
//! alias, in bounded memory. Time and observations are arguments; whoever holds the state decides
//! how it is locked.

pub mod sums;

pub use sums::{Part, Sums, TimeScale};
