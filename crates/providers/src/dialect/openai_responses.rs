//! OpenAI's responses, as providers speak them.

mod reply;

pub(super) use reply::Reader;
