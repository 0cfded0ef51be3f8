//! OpenAI's responses, as providers speak them.

mod items;
mod reply;
pub(super) mod request;

pub(super) use reply::Reader;
pub(super) use request::encode;
