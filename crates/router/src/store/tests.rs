//! The rules of the store, one by one, with time as an argument.

mod absences;
mod commits;
mod rig;
mod versions;
