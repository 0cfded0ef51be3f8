//! `moniker controller` against a real API server: the real binary, under a user that may do what
//! the chart grants and nothing else, driven by the real `kubectl`, and read as a router would.

mod events;
mod faults;
mod fleet;
pub(crate) mod harness;
mod identity;
mod keys;
mod programmed;
pub(crate) mod release;
mod replicas;
pub(crate) mod rotation;
mod routing;
mod serving;
mod spending;
mod stability;
mod status;
mod survival;
mod trust;
