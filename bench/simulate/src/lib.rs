//! A simulation of routing strategies: many routers before a few targets that drift, brown out,
//! hang, fail and refuse, in simulated time. The product's own strategy is the routing crate
//! itself; the others are what is done elsewhere. Seeded: every policy meets the same requests with
//! the same luck, and the same command prints the same figures.

mod draw;
pub mod engine;
pub mod health;
mod merge;
pub mod policy;
pub mod report;
pub mod score;
pub mod table;
mod traffic;
pub mod world;

use std::time::Duration;

use routing::Nanos;

/// A time of the simulation on a router's clock.
fn nanos(seconds: f64) -> Nanos {
    Nanos::ZERO + Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
