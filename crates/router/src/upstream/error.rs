//! How sending a request fails, in the words that the attempt loop decides by.

use std::{error::Error, fmt};

/// Where connecting failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The address may not be connected to.
    Forbidden,
    /// The name was not resolved.
    Dns,
    /// The connection was refused.
    Refused,
    /// No connection for another reason.
    Tcp,
    /// No TLS on it, or not with who it should be.
    Tls,
    /// Not within the time that connecting may take.
    Timeout,
}

impl Stage {
    /// A word for it, for logs and metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
        }
    }
}

/// Why a request has no response.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nothing was sent: there is no connection.
    #[error("{message}")]
    Connect {
        /// Where it failed.
        stage: Stage,
        /// What, to whom, and what to do.
        message: String,
    },
    /// The connection was lost before a response's head was there.
    #[error("{message}")]
    Lost {
        /// The connection had served a request before.
        reused: bool,
        /// Not one byte of an answer had come. With `reused`: the provider had closed it while it
        /// was idle, which says nothing about the provider, and the request can be sent again.
        before_response: bool,
        /// What happened.
        message: String,
    },
    /// What came is no HTTP response, or its head is too large.
    #[error("{message}")]
    Malformed {
        /// What is wrong with it.
        message: String,
    },
}

impl SendError {
    /// Whether the same request may be sent again at once on a new connection, uncounted.
    pub fn is_stale(&self) -> bool {
        matches!(self, Self::Lost { reused: true, before_response: true, .. })
    }

    pub(super) fn connect(stage: Stage, message: impl Into<String>) -> Self {
        Self::Connect { stage, message: message.into() }
    }
}

/// The connection was lost, or its bytes were no HTTP, within a response's body.
#[derive(Debug)]
pub struct BodyLost(pub(super) hyper::Error);

impl fmt::Display for BodyLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the connection was lost within the answer: {}", chain(&self.0))
    }
}

impl Error for BodyLost {}

/// An error and its causes in one line, each once.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
