//! What Moniker tells about itself: every metric's name in one table, the handles that count them,
//! the text of `/metrics`, the set-up of logs, and a wrapper that keeps secrets out of both.

pub mod feedback;
pub mod logs;
pub mod metrics;
pub mod names;
mod redact;

pub use metrics::{
    KeptWhat, Metrics,
    category::{CategoryBy, CategoryMetrics, JudgeMetrics, JudgeOutcome},
    controller::{ControllerMetrics, EventEnd, StatusWrite, StreamRefusal, SweepFailure},
    handles::{AliasMetrics, AttemptMetrics, RequestEnd, TargetMetrics},
};
pub use redact::Redacted;
