//! Tests of the classes of errors.

use super::*;

fn class(dialect: Dialect, status: u16, body: &str) -> String {
    classed(dialect, status, body, &HeaderMap::new())
}

fn classed(dialect: Dialect, status: u16, body: &str, headers: &HeaderMap) -> String {
    let status = StatusCode::from_u16(status).unwrap();
    let now = SystemTime::UNIX_EPOCH;
    classify(dialect, false, status, headers, body.as_bytes(), now).class.to_string()
}

fn anthropic(status: u16, kind: &str, message: &str) -> String {
    let body = format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}"#);
    class(Dialect::Anthropic, status, &body)
}

#[test]
fn anthropics_errors() {
    let credit = "Your credit balance is too low to access the Anthropic API.";
    for (status, kind, message, want) in [
        (400, "invalid_request_error", credit, "OutOfCredit"),
        (402, "billing_error", "pay", "OutOfCredit"),
        (429, "rate_limit_error", "slow down", "RateLimited"),
        (401, "authentication_error", "invalid x-api-key", "Auth"),
        (403, "permission_error", "no", "Auth"),
        (404, "not_found_error", "model: claude-x", "ModelUnavailable"),
        (404, "not_found_error", "Not found", "Unsupported"),
        (400, "invalid_request_error", "prompt is too long: 2 tokens > 1 maximum", "ContextLength"),
        (400, "invalid_request_error", "x: Extra inputs are not permitted", "Unsupported"),
        (400, "invalid_request_error", "Schema is too complex.", "Unsupported"),
        (413, "request_too_large", "too large", "Unsupported"),
        (400, "invalid_request_error", "max_tokens: must be positive", "InvalidRequest"),
        (529, "overloaded_error", "Overloaded", "ServerError"),
        (500, "api_error", "oops", "ServerError"),
        (504, "timeout_error", "oops", "ServerError"),
        (409, "api_error", "oops", "ServerError"),
    ] {
        assert_eq!(anthropic(status, kind, message), want, "{status} {kind} {message}");
    }
    let spent = r#"{"type":"error","error":{"type":"rate_limit_error","message":"x",
        "details":{"error_code":"enforced_spend_limit_reached"}}}"#;
    assert_eq!(class(Dialect::Anthropic, 429, spent), "OutOfCredit");
}

#[test]
fn geminis_errors() {
    let error = |status: &str, message: &str, details: &str| {
        format!(
            r#"{{"error":{{"code":1,"message":"{message}","status":"{status}","details":[{details}]}}}}"#
        )
    };
    let reason = |reason: &str| format!(r#"{{"reason":"{reason}"}}"#);
    let quota = r#"{"violations":[{"quotaId":"PerDayPerProject","quotaValue":"0"}]}"#;
    for (code, body, want) in [
        (400, error("INVALID_ARGUMENT", "API key not valid.", &reason("API_KEY_INVALID")), "Auth"),
        (403, error("PERMISSION_DENIED", "x", &reason("BILLING_DISABLED")), "OutOfCredit"),
        (403, error("PERMISSION_DENIED", "x", ""), "Auth"),
        (429, error("RESOURCE_EXHAUSTED", "x", ""), "RateLimited"),
        (429, error("RESOURCE_EXHAUSTED", "x", quota), "OutOfCredit"),
        (404, error("NOT_FOUND", "models/x is not found for API version", ""), "ModelUnavailable"),
        (404, error("NOT_FOUND", "Publisher Model `x` was not found", ""), "ModelUnavailable"),
        (400, error("INVALID_ARGUMENT", "Unknown name \\\"x\\\"", ""), "Unsupported"),
        (400, error("FAILED_PRECONDITION", "User location", ""), "Unsupported"),
        (
            400,
            error("INVALID_ARGUMENT", "Request contains an invalid argument.", ""),
            "InvalidRequest",
        ),
        (
            400,
            error("INVALID_ARGUMENT", "The input token count (9) exceeds the maximum", ""),
            "ContextLength",
        ),
        (503, error("UNAVAILABLE", "x", ""), "ServerError"),
        (499, error("CANCELLED", "x", ""), "ServerError"),
        (504, error("DEADLINE_EXCEEDED", "x", ""), "ServerError"),
    ] {
        assert_eq!(class(Dialect::Gemini, code, &body), want, "{body}");
        assert_eq!(class(Dialect::Gemini, code, &format!("[{body}]")), want, "[{body}]");
    }
    assert!(daily_quota(error("RESOURCE_EXHAUSTED", "x", quota).as_bytes()));
}

#[test]
fn bedrocks_errors() {
    let said = |status: u16, name: &'static str, message: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("x-amzn-errortype", http::HeaderValue::from_static(name));
        classed(Dialect::Bedrock, status, &format!(r#"{{"message":"{message}"}}"#), &headers)
    };
    for (status, name, message, want) in [
        (429, "ThrottlingException:http://internal", "Too many", "RateLimited"),
        (400, "ServiceQuotaExceededException", "x", "RateLimited"),
        (429, "ModelNotReadyException", "x", "ServerError"),
        (408, "ModelTimeoutException", "x", "ServerError"),
        (424, "ModelErrorException", "x", "ServerError"),
        (403, "AccessDeniedException", "You don't have access to the model", "ModelUnavailable"),
        (403, "AccessDeniedException", "not authorized", "Auth"),
        (404, "ResourceNotFoundException", "x", "ModelUnavailable"),
        (
            400,
            "ValidationException",
            "The provided model identifier is invalid.",
            "ModelUnavailable",
        ),
        (
            400,
            "ValidationException",
            "Invocation of model ID x with on-demand throughput isn\\u2019t supported",
            "ModelUnavailable",
        ),
        (400, "ValidationException", "This model doesn't support tool use.", "Unsupported"),
        (400, "ValidationException", "Malformed input request", "InvalidRequest"),
        (400, "ValidationException", "Input is too long for requested model.", "ContextLength"),
        (
            400,
            "ValidationException",
            "The model returned the following errors: prompt is too long",
            "ContextLength",
        ),
        (403, "UnrecognizedClientException", "x", "Auth"),
        (403, "InvalidSignatureException", "x", "Auth"),
    ] {
        assert_eq!(said(status, name, message), want, "{status} {name} {message}");
    }
    let typed = r#"{"__type":"com.amazon.coral.service#ThrottlingException","message":"x"}"#;
    assert_eq!(class(Dialect::Bedrock, 400, typed), "RateLimited");
}

#[test]
fn exceptions_within_a_stream() {
    for (name, original, want) in [
        ("throttlingException", None, "RateLimited"),
        ("modelStreamErrorException", None, "ServerError"),
        ("modelStreamErrorException", Some(429), "RateLimited"),
        ("internalServerException", None, "ServerError"),
        ("validationException", None, "InvalidRequest"),
    ] {
        assert_eq!(exception(name, "x", original).class.to_string(), want, "{name}");
    }
}

#[test]
fn refused_signatures() {
    let failed = |message: &str| Failure::new(OutcomeClass::InvalidRequest, message);
    for message in [
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        "Function call is missing a thought_signature in functionCall parts.",
        "Item with id 'rs_1' not found.",
    ] {
        assert!(refuses_signature(Dialect::Anthropic, &failed(message), false), "{message}");
    }
    // Gemini may say so by a finish reason, in an answer.
    let body = bytes::Bytes::from_static(
        br#"{"candidates":[{"content":{},"finishReason":"MISSING_THOUGHT_SIGNATURE"}]}"#,
    );
    let candidate = crate::dialect::Candidate::new(Dialect::Gemini, "ns/t", "gemini-3", "gemini-3");
    let ended = crate::dialect::decode_reply(&candidate, &body).unwrap_err();
    assert_eq!(ended.class, OutcomeClass::Fault(InvalidResponse));
    assert!(refuses_signature(Dialect::Gemini, &ended, true));
    let bare = failed("Request contains an invalid argument.");
    assert!(refuses_signature(Dialect::Gemini, &bare, true));
    assert!(!refuses_signature(Dialect::Gemini, &bare, false));
    assert!(!refuses_signature(Dialect::Anthropic, &bare, true));
}
