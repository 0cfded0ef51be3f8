//! The router's monotonic clock: tokio's, so that tests can pause it, as the [`Nanos`] that
//! `routing` works with.

use std::sync::OnceLock;

use routing::Nanos;
use tokio::time::Instant;

/// Where [`Nanos::ZERO`] lies: the first use in this process.
static BASE: OnceLock<Instant> = OnceLock::new();

fn base() -> Instant {
    *BASE.get_or_init(Instant::now)
}

/// The time.
pub(crate) fn now() -> Nanos {
    nanos(Instant::now())
}

/// An instant as nanoseconds.
pub(crate) fn nanos(at: Instant) -> Nanos {
    Nanos::ZERO + at.saturating_duration_since(base())
}
