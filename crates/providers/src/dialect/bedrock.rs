//! Bedrock's Converse and ConverseStream.

mod reply;

pub(super) use reply::Reader;
