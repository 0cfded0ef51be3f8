//! The data path over real sockets: providers that fail in every way, and what callers get.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod asis;
mod budgets;
mod credentials;
mod explain;
mod fallback;
mod identity;
mod keys;
mod limits;
mod live;
mod passthrough;
mod patience;
mod probes;
mod quotas;
mod rig;
mod sessions;
mod streams;
mod tls;
mod tokens;
mod translate;
mod upstream;
