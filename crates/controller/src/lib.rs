//! Watches, compiles, publishes and writes status.

mod args;
mod health;
mod status;
mod watch;

pub use args::Args;
