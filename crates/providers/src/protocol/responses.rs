//! OpenAI's responses, as callers speak it.

mod items;
mod reply;
mod request;
mod stream;
mod tools;

pub(crate) use reply::encode;
pub(super) use reply::status;
pub use request::{decode, echo};
pub(crate) use stream::Writer;
