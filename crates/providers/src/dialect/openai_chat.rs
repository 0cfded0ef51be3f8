//! Chat completions as providers speak them: OpenAI, Azure, and every compatible server.

mod message;
mod reply;
pub(super) mod request;
mod tools;

pub(super) use reply::Reader;
pub(super) use request::encode;
