//! What applications have, against what providers speak: the official SDKs, each through an alias
//! over a provider of every dialect, and a provider that others wrote, which judges its clients.

#![cfg(test)]

mod faults;
mod llmock;
mod rig;
mod sdks;
