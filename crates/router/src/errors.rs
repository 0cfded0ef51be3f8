//! What a caller is told when its request is not answered: one type for every refusal of the
//! router, in the shape of the protocol that was called, naming what was wrong and what to do.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use providers::errors::{CallerError, to_anthropic, to_json};

use crate::http::Shape;

/// `type` of errors that the request is the reason of.
pub(crate) const INVALID_REQUEST: &str = "invalid_request_error";
/// `type` of errors that the request is not the reason of.
pub(crate) const SERVER_ERROR: &str = "server_error";
/// `type` of rate limits.
pub(crate) const RATE_LIMIT: &str = "rate_limit_error";

/// A refusal.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// The status.
    pub(crate) status: StatusCode,
    /// `error.type`.
    pub(crate) kind: &'static str,
    /// `error.code`.
    pub(crate) code: Cow<'static, str>,
    /// `error.param`: the member of the request that is the reason.
    pub(crate) param: Option<Cow<'static, str>>,
    /// `error.message`.
    pub(crate) message: Box<str>,
    /// When asking again may help.
    pub(crate) retry_after: Option<Duration>,
    /// The methods that are served, for 405.
    pub(crate) allow: Option<&'static str>,
    /// Whether the connection is of no more use: its framing is in doubt, or a body is left.
    pub(crate) close: bool,
    /// Whether everything was tried, so that asking again at once is of no use.
    pub(crate) exhausted: bool,
}

impl Refusal {
    /// A refusal for which the request is the reason.
    pub(crate) fn request(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Box<str>>,
    ) -> Self {
        Self::new(status, INVALID_REQUEST, code, message)
    }

    /// A refusal for which the router or what is behind it is the reason.
    pub(crate) fn server(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Box<str>>,
    ) -> Self {
        Self::new(status, SERVER_ERROR, code, message)
    }

    /// A refusal.
    pub(crate) fn new(
        status: StatusCode,
        kind: &'static str,
        code: &'static str,
        message: impl Into<Box<str>>,
    ) -> Self {
        Self {
            status,
            kind,
            code: Cow::Borrowed(code),
            param: None,
            message: message.into(),
            retry_after: None,
            allow: None,
            close: false,
            exhausted: false,
        }
    }

    /// 400 that names no more than the message does.
    pub(crate) fn bad_request(message: impl Into<Box<str>>) -> Self {
        Self::request(StatusCode::BAD_REQUEST, "invalid_request", message)
    }

    /// Names the member that is the reason.
    #[must_use]
    pub(crate) fn param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Says when asking again may help.
    #[must_use]
    pub(crate) fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Closes the connection after the answer.
    #[must_use]
    pub(crate) fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// The body, in the shape of the caller's protocol, with what the metadata has to add.
    pub(crate) fn body(
        &self,
        shape: Shape,
        request_id: &str,
        moniker: Option<&serde_json::Value>,
    ) -> Bytes {
        let param = self.param.as_deref();
        match shape {
            Shape::OpenAi => to_json(self.kind, &self.code, param, &self.message, moniker),
            Shape::Anthropic => {
                to_anthropic(self.status, &self.code, param, &self.message, request_id, moniker)
            }
        }
    }
}

impl From<&CallerError> for Refusal {
    fn from(error: &CallerError) -> Self {
        Self {
            status: error.status,
            kind: match error.kind {
                Cow::Borrowed(kind) => kind,
                Cow::Owned(_) => INVALID_REQUEST,
            },
            code: error.code.clone(),
            param: error.param.clone().map(Cow::Owned),
            message: error.message.as_str().into(),
            retry_after: None,
            allow: None,
            close: false,
            exhausted: false,
        }
    }
}
