//! Anthropic's messages as providers speak them, Claude on VertexAI included.

mod blocks;
mod reply;
pub(super) mod request;

pub(super) use reply::Reader;
pub(super) use request::{STRICT_TOOLS, encode, format};
