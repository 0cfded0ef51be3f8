//! Anthropic's messages as providers speak them, Claude on VertexAI included.

mod reply;

pub(super) use reply::Reader;
