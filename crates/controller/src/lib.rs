//! Watches, compiles, publishes and writes status.
//!
//! [`run()`] is the controller on a real API server; [`publish`] alone, the watch stream's server,
//! serves `moniker dev` as well.
//!
//! ```text
//! API server -> watch -> World -> compile -> publish -> routers
//!      ^                             |
//!      '--------- status <-----------'
//! ```

mod args;
mod health;
mod join;
pub mod publish;
mod run;
mod serve;
mod status;
mod watch;

pub use args::Args;
pub use run::{Error, run};
