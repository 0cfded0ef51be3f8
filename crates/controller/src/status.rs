//! Writes status: what the compiler says of each object, by server-side apply under one field
//! manager, and only on a transition. What is to be written is compared with what the API server
//! holds, never with what this process remembers, so that a restart or a restored cluster writes
//! what is missing and nothing else.
//!
//! Only one replica may write: the one that holds the Lease, while it does.

mod entry;
mod merge;
mod programmed;
mod transition;
mod writer;

pub(crate) use entry::{Live, Text};
pub(crate) use programmed::{Observed, Seen};
pub(crate) use transition::{Severity, Transition};
pub(crate) use writer::{Report, Subject, Writer};
