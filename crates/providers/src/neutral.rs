//! The neutral model: what every protocol and dialect can say, in one form. A caller's request
//! decodes to a [`Request`] and is encoded for one candidate; what a provider answers decodes to
//! [`Event`]s, of which a [`Reply`] is the sum, and is encoded for the caller.
//!
//! **Invariant:** nothing is lost in silence. What the model has no place for is kept by name
//! ([`Request::others`], [`Request::unknown`]) and meets the rule of its field ([`crate::rules`]).

mod collect;
mod event;
mod message;
mod request;
mod sequence;

pub use collect::Collector;
pub use event::{Choice, Delta, Event, Finish, Kind, Reply, Start, Usage};
pub use message::{
    Call, CallKind, Citation, Document, Media, Message, Part, Reasoning, Role, Signature, Source,
    ToolResult,
};
pub use request::{Choose, Effort, Format, Request, Schema, Tool, ToolKind, Wish};
pub use sequence::Sequencer;
