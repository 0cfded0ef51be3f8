//! From objects to routing: `World -> (RoutingSnapshot, credentials, findings, statuses)`.
//!
//! Pure and deterministic: no clock, no randomness, no I/O; the same objects give the same bytes on
//! every replica. Two steps: `resolve` looks references up, applies defaults and notes what is
//! wrong, object by object; [`compile()`] turns what is left into the snapshot, the credentials and
//! what every status should say. Nothing here fails: stored objects may break any rule, and what
//! makes no sense is a finding on its own object.

mod compile;
mod credential;
mod finding;
mod resolve;
mod status;
mod text;
mod world;

pub use compile::{Compiled, compile};
pub use credential::{CredentialState, KeyState, supposed};
pub use finding::Finding;
pub use resolve::categories;
pub use status::Statuses;
pub use world::{
    Issuer, Kind, Namespaces, SecretBytes, SecretData, ServiceFacts, Settings, Stored, Undecodable,
    World,
};
