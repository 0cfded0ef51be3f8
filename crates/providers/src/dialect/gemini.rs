//! Gemini's generateContent, at Google's own API and on VertexAI.

mod reply;

pub(super) use reply::Reader;
