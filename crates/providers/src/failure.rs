//! A failed attempt, as its class and what the provider said. The class comes from the body first
//! and the status last, since providers' statuses lie; which codes and words mean what is data of
//! the dialect.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use routing::{OutcomeClass, ProviderKind, outcome::Fault};
use serde_json::Value;

use crate::{openai, retry_after, sign::Sign};

/// How an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Who is at fault. Never a success.
    pub class: OutcomeClass,
    /// The provider's status, where it answered with one.
    pub status: Option<StatusCode>,
    /// What the provider said, or what is wrong with what it sent. Secrets are not yet scrubbed.
    pub message: String,
    /// The provider's code.
    pub code: Option<String>,
    /// The provider's type of error.
    pub kind: Option<String>,
    /// The member of the request that the provider names as the reason.
    pub param: Option<String>,
    /// How long the provider asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure that no provider put into words.
    pub fn new(class: OutcomeClass, message: impl Into<String>) -> Self {
        Self {
            class,
            status: None,
            message: message.into(),
            code: None,
            kind: None,
            param: None,
            retry_after: None,
        }
    }

    /// An answer that is none.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(OutcomeClass::Fault(Fault::InvalidResponse), message)
    }

    /// Whether the provider refuses this member of the request by its name: one that we added is
    /// then left out and the same target asked once more.
    pub fn refuses(&self, member: &str) -> bool {
        let refusal = matches!(
            self.class,
            OutcomeClass::InvalidRequest
                | OutcomeClass::Fault(Fault::Unsupported | Fault::InvalidResponse)
        );
        let named = |text: &str| {
            text.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == member)
        };
        refusal && (self.param.as_deref().is_some_and(named) || named(&self.message))
    }
}

/// Whether a text names a member of a request, which may be a path: not merely within a word.
pub(crate) fn names(text: &str, member: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(member).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + member.len()..]);
        !before.ends_with(part) && !after.starts_with(part)
    })
}

/// The failure that an answer with this status and body is. For a status of success the body must
/// have been found to hold an error.
pub fn classify(
    provider: ProviderKind,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Failure {
    let sign = Sign::read(status, body);
    let waits = retry_after::from_headers(headers, now);
    build(provider, Some(status), sign, waits)
}

/// The failure that an error within a stream, or under a status of success, is.
pub(crate) fn classify_value(provider: ProviderKind, error: &Value) -> Failure {
    build(provider, None, Sign::of(error), None)
}

fn build(
    provider: ProviderKind,
    status: Option<StatusCode>,
    sign: Sign,
    waits: Option<Duration>,
) -> Failure {
    build_by(status, sign, waits, |stated, sign, waits| match provider {
        // What speaks another dialect is judged by that; here are its answers in OpenAI's.
        ProviderKind::OpenAI
        | ProviderKind::AzureOpenAI
        | ProviderKind::OpenAICompatible
        | ProviderKind::Anthropic
        | ProviderKind::Gemini
        | ProviderKind::VertexAI
        | ProviderKind::Bedrock => openai::class_of(provider, stated, sign, waits),
    })
}

/// The failure that a sign is, its class told by a dialect: of the status, which is the body's own
/// under a status of success, the sign, and whether the provider asks to wait.
pub(crate) fn build_by(
    status: Option<StatusCode>,
    sign: Sign,
    waits: Option<Duration>,
    class_of: impl FnOnce(Option<u16>, &Sign, bool) -> OutcomeClass,
) -> Failure {
    let retry_after = waits.or(sign.retry_after);
    let success = status.is_none_or(|s| s.is_success());
    let stated = if success { sign.status } else { status.map(|s| s.as_u16()) };
    let class = class_of(stated, &sign, retry_after.is_some());
    let text = |s: String| (!s.is_empty()).then_some(s);
    let message = if sign.message.is_empty() {
        status.map_or_else(
            || "The provider sent an error without a message.".to_owned(),
            |s| format!("The provider answered {s} without a message."),
        )
    } else {
        sign.message
    };
    Failure {
        class,
        status,
        message,
        code: text(sign.code),
        kind: text(sign.kind),
        param: text(sign.param),
        retry_after,
    }
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
