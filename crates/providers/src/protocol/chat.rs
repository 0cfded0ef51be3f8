//! OpenAI's chat completions, as callers speak it.

pub(super) mod parts;
pub(super) mod reply;
mod request;
mod stream;

pub(crate) use reply::encode;
pub(super) use reply::finish_reason;
pub use request::decode;
pub(crate) use stream::Writer;
