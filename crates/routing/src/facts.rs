//! What routing needs to know of a request, borrowed from it; no prompt is copied.

use smallvec::SmallVec;

use crate::{
    catalog::{CapabilitySet, Endpoint},
    id::ObjectId,
};

/// The facts of one request.
#[derive(Clone, Debug)]
pub struct RequestFacts<'a> {
    /// What was called.
    pub endpoint: Endpoint,
    /// Whether the caller wants a stream of events.
    pub stream: bool,
    /// Estimated tokens of the prompt (bytes of text over four; an image counts flat).
    pub prompt_tokens: u64,
    /// The caller's own cap on output tokens.
    pub output_cap: Option<u64>,
    /// Images that are to be made.
    pub images: u64,
    /// Expected tokens of audio of what is to be spoken.
    pub audio_out: u64,
    /// What a model must be capable of. Reasoning is never in it: an effort is a wish.
    pub needs: CapabilitySet,
    /// Whether the request asks for reasoning, which delays the first token.
    pub reasoning: bool,
    /// The caller's `x-moniker-providers`: names of ProviderTargets (`name` or `namespace/name`)
    /// that may be used. Empty: all. It narrows, never widens.
    pub providers: SmallVec<[&'a str; 4]>,
    /// Hash of the session's key, where the request belongs to one: its requests go to the same
    /// target, on every router. It replaces draws, and nothing is explored with it.
    pub session: Option<u64>,
}

impl RequestFacts<'_> {
    /// Whether the caller's narrowing admits this target.
    pub fn admits(&self, target: &ObjectId) -> bool {
        self.providers.is_empty()
            || self.providers.iter().any(|p| match p.split_once('/') {
                Some((ns, name)) => ns == &*target.namespace && name == &*target.name,
                None => *p == &*target.name,
            })
    }
}
