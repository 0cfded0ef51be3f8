//! Provider dialects, sans-IO: bytes in, bytes and judgements out; no socket, no clock, no runtime.
//!
//! The way of a request: [`RequestBody::read`] finds what routing needs and what an edit rewrites,
//! [`rewrite`] makes the body for one candidate, [`address`] and [`target`] its place and authentication. The way
//! of an answer: [`classify`] for a status of failure, [`judge_answer`] for JSON under a status of
//! success, [`Stream`] for events; then, to the caller, [`errors`].
//!
//! Where the caller's protocol is not the provider's dialect, an answer is translated: a
//! [`protocol`] decodes the request to the [`neutral`] model, a [`dialect`] encodes it for one
//! candidate, and the answer comes back the same way. The [`rules`] say what becomes of every field.
//!
//! Where they are the same, the body is passed through: [`rewrite`] for OpenAI itself, [`fit::fit`] for
//! a server with peculiarities ([`dialect::quirks`]), which says that a request must be translated
//! where edits do not do.
//!
//! Two endpoints have modules of their own, used alike. [`embeddings`]: `decode` the body; a candidate
//! that [`embeddings::is_native`] gets it as it came, any other what `encode` writes (path, body,
//! warnings, or the refused field), and `answer` makes the caller's body of what it says, with its
//! usage (marked where it is estimated). [`count_tokens`]: the request is decoded as
//! [`protocol::Protocol::Messages`]; `encode` gives the question for a candidate, of which `answer`
//! reads the count, or says that the tokens are to be estimated (`estimate`); `write` makes the
//! caller's body. Errors of either are read by [`dialect::classify`] and written by
//! [`protocol::encode_error`], as those of an answer.
//!
//! Others have no form in any other dialect: images, moderations, reranking and speech are passed
//! through or not sent, and [`asis`] judges what comes back; audio is told from an error by
//! [`asis::opening`].
//!
//! Every dialect is one file, and is chosen by an exhaustive match over
//! [`ProviderKind`](routing::ProviderKind): a new kind does not compile until it has one.

pub mod address;
mod amount;
mod answer;
pub mod asis;
mod body;
mod context;
pub mod count_tokens;
pub mod dialect;
mod edit;
pub mod embeddings;
pub mod errors;
mod failure;
pub mod family;
pub mod fit;
mod flow;
mod granted;
mod ids;
mod json;
pub mod neutral;
mod openai;
pub mod origin;
pub mod prompt;
pub mod protocol;
mod reshape;
mod retry_after;
pub mod rules;
pub mod schema;
pub mod scrub;
mod sign;
mod sse;
mod stream;
pub mod target;
pub mod translate;
pub mod tree;

pub use amount::{Amount, BYTES_PER_TOKEN};
pub use answer::{Answer, judge_answer};
pub use body::{BodyError, Cap, Include, RequestBody, Store, StreamOptions};
pub use edit::{MAX_EDITS, Rewrite, Rewritten, Versioned, json_string, rewrite};
pub use failure::{Failure, classify};
pub use flow::Flow;
pub use granted::requests_per_minute;
pub use json::{JsonError, MAX_DEPTH, Span};
pub use reshape::{collect, is_event_stream};
pub use routing::Usage;
pub use stream::{End, Event, Judgement, MAX_EVENT, MAX_JSON, Stream, StreamError};
