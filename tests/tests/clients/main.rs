//! What applications have, against what providers speak: the official SDKs, each through an alias
//! over a provider of every dialect.

#![cfg(test)]

mod rig;
mod sdks;
