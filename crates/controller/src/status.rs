//! Writes status: what the compiler says of each object, by server-side apply under one field
//! manager, and only on a transition. What is to be written is compared with what the API server
//! holds, never with what this process remembers, so that a restart or a restored cluster writes
//! what is missing and nothing else.
//!
//! Only one replica may write. Until there is a Lease there is one controller, and the [`Writer`]
//! runs as long as it does; then it runs as long as the Lease is held.

mod entry;
mod merge;
mod writer;

pub(crate) use entry::{Live, Text};
pub(crate) use writer::{Report, Subject, Writer};
