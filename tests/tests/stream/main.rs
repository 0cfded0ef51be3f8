//! The watch stream over real sockets: the controller's publisher on one side, a router's link and
//! store on the other, and between them what networks do.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod admin;
mod cuts;
mod fleet;
mod follow;
mod raw;
mod refusals;
mod rig;
mod slow;
