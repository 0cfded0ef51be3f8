//! Anthropic's messages, as callers speak it.

mod blocks;
mod reply;
mod request;
mod stream;

pub(crate) use blocks::citation;
pub(crate) use reply::encode;
pub(super) use reply::stop;
pub use request::decode;
pub(crate) use stream::Writer;
