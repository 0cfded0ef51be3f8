//! Errors in the shape of the caller's protocol, OpenAI's: what a class of failure is to somebody
//! who knows nothing of targets.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use routing::{OutcomeClass, outcome::Fault};
use serde::Serialize;

use crate::{
    failure::{Failure, names},
    scrub::scrub,
};

/// An error for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerError {
    /// The status.
    pub status: StatusCode,
    /// `error.type`.
    pub kind: Cow<'static, str>,
    /// `error.code`.
    pub code: Cow<'static, str>,
    /// `error.param`.
    pub param: Option<String>,
    /// `error.message`, free of secrets.
    pub message: String,
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";

impl CallerError {
    /// What a failed attempt is to the caller, when nothing else is tried. `secrets` never appear.
    pub fn of(failure: &Failure, secrets: &[&str]) -> Self {
        let received = failure.status.filter(StatusCode::is_client_error);
        let refused = received.unwrap_or(StatusCode::BAD_REQUEST);
        let (status, kind, code): (_, _, Cow<'static, str>) = match failure.class {
            OutcomeClass::Fault(fault) => match fault {
                Fault::ContextLength => {
                    (StatusCode::BAD_REQUEST, INVALID, "context_length_exceeded".into())
                }
                Fault::Moderation => (refused, INVALID, "content_filter".into()),
                Fault::Unsupported => {
                    (StatusCode::BAD_REQUEST, INVALID, "unsupported_parameter".into())
                }
                Fault::RateLimited => (
                    StatusCode::TOO_MANY_REQUESTS,
                    "rate_limit_error",
                    "rate_limit_exceeded".into(),
                ),
                Fault::Timeout => (StatusCode::GATEWAY_TIMEOUT, SERVER, "timeout".into()),
                Fault::Connect
                | Fault::ServerError
                | Fault::Auth
                | Fault::OutOfCredit
                | Fault::ModelUnavailable
                | Fault::InvalidResponse => {
                    (StatusCode::BAD_GATEWAY, SERVER, "upstream_error".into())
                }
            },
            OutcomeClass::InvalidRequest => {
                let code = failure.code.as_deref().map_or("invalid_request".into(), |code| {
                    scrub(code, secrets).into_owned().into()
                });
                (refused, INVALID, code)
            }
            // Neither is answered; the arm only keeps the match whole.
            OutcomeClass::Success | OutcomeClass::CallerLeft => {
                (StatusCode::BAD_GATEWAY, SERVER, "upstream_error".into())
            }
        };
        // It is our key that was refused or is empty: the provider's words about it name accounts.
        let message = match failure.class {
            OutcomeClass::Fault(Fault::Auth) => {
                "The target refused this gateway's credential. Ask whoever runs the gateway.".into()
            }
            OutcomeClass::Fault(Fault::OutOfCredit) => {
                "The target's account has no credit left. Ask whoever runs the gateway.".into()
            }
            _ => scrub(&failure.message, secrets).into_owned(),
        };
        let param = failure.param.as_deref().map(|param| scrub(param, secrets).into_owned());
        Self { status, kind: kind.into(), code, param, message }
    }

    /// The body of an answer.
    pub fn to_json(&self) -> Bytes {
        to_json(&self.kind, &self.code, self.param.as_deref(), &self.message, None)
    }

    /// The last event of a stream that fails after its commit point: no `[DONE]` follows, and every
    /// SDK raises on it.
    pub fn to_frame(&self) -> Bytes {
        let json = self.to_json();
        let mut frame = Vec::with_capacity(json.len() + 8);
        frame.extend_from_slice(b"data: ");
        frame.extend_from_slice(&json);
        frame.extend_from_slice(b"\n\n");
        Bytes::from(frame)
    }
}

/// An error in OpenAI's shape; `moniker` is the member of ours that the caller asked for beside it.
pub fn to_json(
    kind: &str,
    code: &str,
    param: Option<&str>,
    message: &str,
    moniker: Option<&serde_json::Value>,
) -> Bytes {
    #[derive(Serialize)]
    struct Outer<'a> {
        error: Inner<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        moniker: Option<&'a serde_json::Value>,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        message: &'a str,
        #[serde(rename = "type")]
        kind: &'a str,
        param: Option<&'a str>,
        code: &'a str,
    }
    let error = Inner { message, kind, param, code };
    // Strings and a value that is JSON already: this cannot fail.
    Bytes::from(serde_json::to_vec(&Outer { error, moniker }).unwrap_or_default())
}

/// An error in Anthropic's shape, its type told from the status; the member of the request that is
/// the reason is named in the message, since the shape has no place for it.
pub fn to_anthropic(
    status: StatusCode,
    code: &str,
    param: Option<&str>,
    message: &str,
    request_id: &str,
    moniker: Option<&serde_json::Value>,
) -> Bytes {
    #[derive(Serialize)]
    struct Outer<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        error: Inner<'a>,
        request_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        moniker: Option<&'a serde_json::Value>,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        message: Cow<'a, str>,
    }
    let kind = match (status.as_u16(), code) {
        (_, "content_filter") => INVALID,
        (401, _) => "authentication_error",
        (402, _) => "billing_error",
        (403, _) => "permission_error",
        (404, _) => "not_found_error",
        (413, _) => "request_too_large",
        (429, _) => "rate_limit_error",
        (504, _) => "timeout_error",
        // Anthropic's SDKs ask again after this one.
        (503, _) => "overloaded_error",
        (500.., _) => "api_error",
        _ => INVALID,
    };
    let message = match param {
        // Agents compact their history on these words.
        _ if code == "context_length_exceeded" && !message.starts_with(TOO_LONG) => {
            Cow::Owned(format!("{TOO_LONG}: {message}"))
        }
        Some(param) if !names(message, param) => Cow::Owned(format!("{param}: {message}")),
        _ => Cow::Borrowed(message),
    };
    let outer = Outer { kind: "error", error: Inner { kind, message }, request_id, moniker };
    // Strings and a value that is JSON already: this cannot fail.
    Bytes::from(serde_json::to_vec(&outer).unwrap_or_default())
}

/// How Anthropic's message of a prompt that is too long begins.
const TOO_LONG: &str = "prompt is too long";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_key_is_not_the_callers_business() {
        let class = OutcomeClass::Fault(Fault::Auth);
        let mut failure = Failure::new(class, "Incorrect API key provided: sk-proj-abcdef123456");
        failure.status = Some(StatusCode::UNAUTHORIZED);
        let error = CallerError::of(&failure, &[]);
        assert_eq!((error.status.as_u16(), &*error.code), (502, "upstream_error"));
        assert!(!error.message.contains("sk-"));
    }

    #[test]
    fn no_member_of_an_error_shows_a_secret() {
        let mut failure = Failure::new(OutcomeClass::InvalidRequest, "no canary1 here");
        failure.param = Some("canary1".into());
        failure.code = Some("bad_canary1".into());
        let json = CallerError::of(&failure, &["canary1"]).to_json();
        assert!(!String::from_utf8_lossy(&json).contains("canary1"));
    }

    #[test]
    fn anthropics_shape_has_a_type_for_every_status() {
        for (status, code, kind) in [
            (400, "invalid_request", "invalid_request_error"),
            (401, "invalid_api_key", "authentication_error"),
            (404, "model_not_found", "not_found_error"),
            (403, "content_filter", "invalid_request_error"),
            (413, "request_too_large", "request_too_large"),
            (429, "rate_limit_exceeded", "rate_limit_error"),
            (502, "upstream_error", "api_error"),
            (503, "no_target", "overloaded_error"),
            (504, "timeout", "timeout_error"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let json = to_anthropic(status, code, Some("n"), "too many", "req_1", None);
            let want = format!(
                r#"{{"type":"error","error":{{"type":"{kind}","message":"n: too many"}},"request_id":"req_1"}}"#
            );
            assert_eq!(json, want);
        }
        let status = StatusCode::BAD_REQUEST;
        let json = to_anthropic(status, "context_length_exceeded", None, "9 > 8", "r", None);
        assert!(String::from_utf8_lossy(&json).contains("\"prompt is too long: 9 > 8\""));
    }

    #[test]
    fn an_invalid_request_stays_as_received() {
        let mut failure = Failure::new(OutcomeClass::InvalidRequest, "'n' must be at least 1");
        failure.status = Some(StatusCode::UNPROCESSABLE_ENTITY);
        failure.param = Some("n".into());
        failure.code = Some("integer_below_min_value".into());
        let error = CallerError::of(&failure, &[]);
        assert_eq!(error.status, 422);
        assert_eq!(
            error.to_frame(),
            "data: {\"error\":{\"message\":\"'n' must be at least 1\",\"type\":\
             \"invalid_request_error\",\"param\":\"n\",\"code\":\"integer_below_min_value\"}}\n\n"
        );
    }

    #[test]
    fn every_class_has_its_status() {
        for (class, status) in OutcomeClass::all()
            .zip([502, 502, 504, 429, 502, 502, 502, 502, 502, 400, 400, 400, 400, 502])
        {
            assert_eq!(CallerError::of(&Failure::new(class, "x"), &[]).status, status, "{class}");
        }
    }
}
