//! Chat completions as providers speak them: OpenAI, Azure, and every compatible server.

mod reply;

pub(super) use reply::Reader;
