//! Bedrock's Converse and ConverseStream.

mod blocks;
mod reply;
mod request;

pub(super) use reply::Reader;
pub(super) use request::encode;
