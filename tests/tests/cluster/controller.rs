//! `moniker controller` against a real API server: the real binary, under a user that may do what
//! `deploy/rbac.yaml` says and nothing else, driven by the real `kubectl`, and read as a router
//! would.

mod faults;
mod fleet;
pub(crate) mod harness;
mod keys;
mod programmed;
pub(crate) mod release;
mod replicas;
mod routing;
mod serving;
mod stability;
mod status;
mod survival;
mod trust;
