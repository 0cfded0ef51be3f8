//! What became of an attempt, by who is at fault. The class drives fallback, ejection, metrics and
//! the answer to the caller; dialects tell the class, nothing else does.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::catalog::closed;

closed! {
    /// A fault that another candidate may not have: what an alias may fall back on.
    pub enum Fault {
        /// Connecting failed: refused, DNS, TLS, connect timeout.
        Connect,
        /// No first token, no answer in time, or 408.
        Timeout,
        /// 429 that waiting mends.
        RateLimited,
        /// 5xx, 409, 425, 529, or the connection was lost before the first byte of an answer.
        ServerError,
        /// The provider refuses our credential (401, 403).
        Auth,
        /// The account behind the credential has no credit left (402, `insufficient_quota`).
        OutOfCredit,
        /// The provider does not have the model or deployment.
        ModelUnavailable,
        /// An answer that is none: empty, undecodable, an error under 200, a stream cut before content.
        InvalidResponse,
        /// The request does not fit the model's context window.
        ContextLength,
        /// The provider does not support a parameter or feature that the request needs.
        Unsupported,
        /// Refused by a filter of the provider. Falls back only where the alias names it.
        Moderation,
    }
}

impl Fault {
    /// What an alias falls back on when it does not say: all but Moderation.
    pub fn default_fallback() -> FaultSet {
        Self::ALL.iter().copied().filter(|f| *f != Self::Moderation).collect()
    }

    /// Whether an attempt that ended so reached a model, and so counts against `maxAttempts`.
    pub fn counts(self) -> bool {
        !matches!(self, Self::Connect | Self::Auth | Self::OutOfCredit | Self::ModelUnavailable)
    }
}

/// A set of faults, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultSet(u16);

impl FaultSet {
    /// Whether it is in the set.
    pub fn has(self, fault: Fault) -> bool {
        self.0 & 1 << (fault as u16) != 0
    }

    /// Its members, in the order of [`Fault::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.iter().copied().filter(move |f| self.has(*f))
    }
}

impl FromIterator<Fault> for FaultSet {
    fn from_iter<I: IntoIterator<Item = Fault>>(iter: I) -> Self {
        Self(iter.into_iter().fold(0, |set, f| set | 1 << (f as u16)))
    }
}

impl Serialize for FaultSet {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for FaultSet {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Vec::<Fault>::deserialize(d)?.into_iter().collect())
    }
}

/// The class of an attempt's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutcomeClass {
    /// An answer.
    Success,
    /// The target's fault, or one that another target may not have.
    Fault(Fault),
    /// The request's own fault: no other candidate would take it.
    InvalidRequest,
    /// The caller went away.
    CallerLeft,
}

impl OutcomeClass {
    /// Every class, for metric labels and the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Success]
            .into_iter()
            .chain(Fault::ALL.iter().copied().map(Self::Fault))
            .chain([Self::InvalidRequest, Self::CallerLeft])
    }

    /// The name in labels, logs and metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Fault(fault) => fault.name(),
            Self::InvalidRequest => "InvalidRequest",
            Self::CallerLeft => "CallerLeft",
        }
    }
}

impl fmt::Display for OutcomeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for OutcomeClass {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}
