//! What a demo refuses and how it fails, before a dialect has put it into its own words.

use std::time::Duration;

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The request is wrong.
    Invalid {
        /// What is wrong, in the provider's words.
        message: String,
        /// The member that is wrong, where the dialect names it.
        param: Option<String>,
        /// The provider's code, where it has one.
        code: Option<&'static str>,
    },
    /// No such endpoint.
    NotFound(String),
    /// The endpoint is there for another method.
    Method,
    /// The body is larger than it reads.
    TooLarge,
    /// Too many requests; so long until the next one.
    RateLimited(Duration),
    /// It fails, as asked by a flag.
    Failing,
}

/// What a failing demo says.
pub(super) const FAILING: &str = "the demo fails as often as --error-rate says";
/// What a demo says that breaks off a stream.
pub(super) const BROKEN: &str = "the demo breaks streams as often as --stream-error-rate says";
/// What a demo says beyond its rate limit.
pub(super) const LIMITED: &str = "the demo's rate limit is reached";

impl Fault {
    /// A wrong request.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), param: None, code: None }
    }

    /// A wrong member.
    pub(super) fn at(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), param: Some(param.into()), code: None }
    }

    /// A wrong request with a code.
    pub(super) fn code(code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), param: None, code: Some(code) }
    }

    /// The text of it.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Invalid { message, .. } | Self::NotFound(message) => message.clone(),
            Self::Method => "this is posted".to_owned(),
            Self::TooLarge => "more than 32 MiB".to_owned(),
            Self::RateLimited(_) => LIMITED.to_owned(),
            Self::Failing => FAILING.to_owned(),
        }
    }
}
