//! Watches, compiles, publishes and writes status.
//!
//! [`run()`] is the controller on a real API server; [`publish`] alone, the watch stream's server,
//! serves `moniker dev` as well.
//!
//! ```text
//! API server -> watch -> World -> compile -> publish -> routers
//!      ^                             |
//!      '--------- status <-----------'          |
//!                    ^                           v
//!                    '--- credential faults --- fleet (every router's report, merged)
//! ```

mod args;
mod events;
pub mod fleet;
mod generate;
mod health;
mod issuer;
mod join;
mod lease;
pub mod publish;
mod run;
mod serve;
mod status;
mod trust;
mod watch;

pub use args::{Args, sweep_interval};
pub use run::{Error, run};
