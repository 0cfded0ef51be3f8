//! Gemini's generateContent, at Google's own API and on VertexAI.

mod contents;
mod reply;
mod request;

pub(super) use reply::Reader;
pub(super) use request::encode;
