//! The rules of the store, one by one, with time as an argument.

mod absences;
mod commits;
mod kept;
mod rig;
mod versions;
