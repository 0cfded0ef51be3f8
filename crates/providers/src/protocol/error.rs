//! Errors in the shape of the caller's protocol, as answers and as the last frame of a stream.

use bytes::Bytes;
use http::StatusCode;
use routing::{OutcomeClass, outcome::Fault};

use super::{Caller, Protocol, data_frame, named_frame};
use crate::{
    errors::CallerError,
    failure::{Failure, names},
    tree::{Json, object},
};

/// What a failed attempt is to the caller: the status and the body. `secrets` never appear.
pub fn encode_error(failure: &Failure, caller: &Caller, secrets: &[&str]) -> (StatusCode, Bytes) {
    let error = CallerError::of(failure, secrets);
    let body = match caller.protocol {
        Protocol::Messages => {
            Bytes::from(anthropic(failure, &error, caller.request_id.as_deref()).to_vec())
        }
        Protocol::Chat | Protocol::Completions | Protocol::Responses => error.to_json(),
    };
    (error.status, body)
}

/// The last event of a stream that fails after its commit point. Every SDK raises on it.
/// Responses' writer adds its own numbers: see [`super::Writer`].
pub fn error_frame(failure: &Failure, caller: &Caller) -> Bytes {
    let error = CallerError::of(failure, &[]);
    match caller.protocol {
        Protocol::Chat | Protocol::Completions => error.to_frame(),
        Protocol::Responses => data_frame(&responses(&error, 0)),
        Protocol::Messages => {
            named_frame("error", &anthropic(failure, &error, caller.request_id.as_deref()))
        }
    }
}

/// The `error` event of Responses: flat as the schema has it, and nested, on which alone OpenAI's
/// SDKs raise.
pub(super) fn responses(error: &CallerError, sequence: u64) -> Json {
    let inner = object! {
        "message": error.message.as_str(),
        "type": &*error.kind,
        "param": error.param.as_deref(),
        "code": &*error.code,
    };
    object! {
        "type": "error",
        "sequence_number": sequence,
        "code": &*error.code,
        "message": error.message.as_str(),
        "param": error.param.as_deref(),
        "error": inner,
    }
}

/// Anthropic's type of error, and its words: agents compact on "prompt is too long".
fn anthropic(failure: &Failure, error: &CallerError, request_id: Option<&str>) -> Json {
    let kind = match failure.class {
        OutcomeClass::Fault(fault) => match fault {
            Fault::ContextLength | Fault::Moderation | Fault::Unsupported => {
                "invalid_request_error"
            }
            Fault::RateLimited => "rate_limit_error",
            Fault::Timeout => "timeout_error",
            Fault::Connect
            | Fault::ServerError
            | Fault::Auth
            | Fault::OutOfCredit
            | Fault::ModelUnavailable
            | Fault::InvalidResponse => "api_error",
        },
        OutcomeClass::InvalidRequest if error.status == StatusCode::PAYLOAD_TOO_LARGE => {
            "request_too_large"
        }
        OutcomeClass::InvalidRequest => "invalid_request_error",
        OutcomeClass::Success | OutcomeClass::CallerLeft => "api_error",
    };
    let too_long = failure.class == OutcomeClass::Fault(Fault::ContextLength)
        && !error.message.starts_with("prompt is too long");
    let message = match (too_long, &error.param) {
        (true, _) => format!("prompt is too long: {}", error.message),
        (false, Some(param)) if !names(&error.message, param) => {
            format!("{param}: {}", error.message)
        }
        _ => error.message.clone(),
    };
    let mut out = object! {
        "type": "error",
        "error": object! {"type": kind, "message": message},
    };
    out.set_some("request_id", request_id);
    out
}
