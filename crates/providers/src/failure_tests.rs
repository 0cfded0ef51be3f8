//! The signs of translation, row by row: status and body in, class out.

use http::HeaderValue;
use routing::outcome::Fault::*;

use super::*;

const OPENAI: ProviderKind = ProviderKind::OpenAI;
const COMPATIBLE: ProviderKind = ProviderKind::OpenAICompatible;

fn class(provider: ProviderKind, status: u16, body: &str, headers: &HeaderMap) -> OutcomeClass {
    let status = StatusCode::from_u16(status).unwrap();
    classify(provider, status, headers, body.as_bytes(), SystemTime::UNIX_EPOCH).class
}

fn says(status: u16, body: &str) -> OutcomeClass {
    class(COMPATIBLE, status, body, &HeaderMap::new())
}

fn coded(status: u16, code: &str, message: &str) -> OutcomeClass {
    let body = serde_json::json!({"error": {"code": code, "message": message}});
    says(status, &body.to_string())
}

#[test]
fn the_body_decides_before_the_status() {
    for (status, code, message, want) in [
        (429, "insufficient_quota", "You exceeded your current quota", OutOfCredit),
        (429, "billing_hard_limit_reached", "", OutOfCredit),
        (402, "", "Payment required", OutOfCredit),
        (400, "Arrearage", "Access denied", OutOfCredit),
        (429, "", "Your team has used all available credits", OutOfCredit),
        (403, "", "Budget limit reached", OutOfCredit),
        (404, "model_not_found", "The model `x` does not exist", ModelUnavailable),
        (400, "model_not_found", "The requested model 'x' does not exist.", ModelUnavailable),
        (404, "", "model 'llama3' not found, try pulling it first", ModelUnavailable),
        (404, "", "Invalid URL (POST /v1/x)", Unsupported),
        (404, "", "Not Found", Unsupported),
        (405, "", "", Unsupported),
        (501, "", "This server does not support completions", Unsupported),
        (400, "unsupported_parameter", "", Unsupported),
        (400, "", "'seed' is not supported with this model", Unsupported),
        (422, "", "body.foo: Extra inputs are not permitted", Unsupported),
        (413, "", "Request Entity Too Large", Unsupported),
        (500, "", "system message must be at the beginning", Unsupported),
        (400, "", "\"auto\" tool choice requires --enable-auto-tool-choice", Unsupported),
        (400, "content_filter", "flagged", Moderation),
        (400, "invalid_prompt", "Your prompt was flagged", Moderation),
        (403, "", "Content violates usage guidelines", Moderation),
        (400, "data_inspection_failed", "", Moderation),
        (400, "context_length_exceeded", "", ContextLength),
        (500, "", "Context size has been exceeded.", ContextLength),
        (400, "", "This model's maximum context length is 8192 tokens.", ContextLength),
        (
            429,
            "rate_limit_exceeded",
            "Request too large for gpt-4o: Limit 30000, Requested 45000.",
            ContextLength,
        ),
        (
            429,
            "rate_limit_exceeded",
            "Rate limit reached: Limit 30000, Used 29000, Requested 4500.",
            RateLimited,
        ),
        (400, "", "Incorrect API key provided", Auth),
        (401, "", "", Auth),
        (403, "", "", Auth),
        (400, "tool_use_failed", "Failed to call a function", InvalidResponse),
        (429, "engine_overloaded_error", "", ServerError),
        (408, "", "", Timeout),
        (409, "", "", ServerError),
        (425, "", "", ServerError),
        (498, "", "capacity", ServerError),
        (500, "", "", ServerError),
        (503, "", "Loading model", ServerError),
        (504, "", "", ServerError),
        (529, "", "", ServerError),
        (307, "", "", InvalidResponse),
        (304, "", "", InvalidResponse),
    ] {
        let got = coded(status, code, message);
        assert_eq!(got, OutcomeClass::Fault(want), "{status} {code} {message}");
    }
    for (status, message) in [(400, "'messages' is required"), (422, "bad"), (413, "no")] {
        assert_eq!(coded(status, "", message), OutcomeClass::InvalidRequest);
    }
}

#[test]
fn an_invalid_prompt_is_moderation_only_where_it_means_that() {
    let body = r#"{"error":{"code":"invalid_prompt","message":"prompt is empty"}}"#;
    let none = HeaderMap::new();
    assert_eq!(class(OPENAI, 400, body, &none), OutcomeClass::Fault(Moderation));
    assert_eq!(class(COMPATIBLE, 400, body, &none), OutcomeClass::InvalidRequest);
}

#[test]
fn a_key_that_frees_by_itself_is_no_bad_key() {
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", HeaderValue::from_static("3"));
    for status in [401, 402, 403, 429] {
        assert_eq!(class(OPENAI, status, "", &headers), OutcomeClass::Fault(RateLimited));
        let coded = r#"{"error":{"type":"rate_limit_error","message":"slow down"}}"#;
        assert_eq!(says(status, coded), OutcomeClass::Fault(RateLimited));
    }
    let empty = r#"{"error":{"code":"insufficient_quota"}}"#;
    assert_eq!(class(OPENAI, 429, empty, &headers), OutcomeClass::Fault(OutOfCredit));
}

#[test]
fn relays_are_read_through() {
    let raw = r#"{"error":{"message":"Provider returned error","code":400,"metadata":{
        "provider_name":"X","raw":"{\"error\":{\"message\":\"prompt is too long: 9 > 8\"}}"}}}"#;
    assert_eq!(says(400, raw), OutcomeClass::Fault(ContextLength));
    for (status, metadata, want) in [
        (402, r#"{"reason":"weight_exceeds_budget"}"#, Unsupported),
        (402, r#"{"limit_source":"x"}"#, OutOfCredit),
        (403, r#"{"reasons":["violence"]}"#, Moderation),
        (403, r#"{"flagged_input":"..."}"#, Moderation),
    ] {
        let body = format!(r#"{{"error":{{"message":"m","metadata":{metadata}}}}}"#);
        assert_eq!(says(status, &body), OutcomeClass::Fault(want), "{metadata}");
    }
}

#[test]
fn every_shape_is_read() {
    for body in [
        r#"{"error":{"message":"prompt is too long"}}"#,
        r#"[{"error":{"message":"prompt is too long","code":400}}]"#,
        r#"{"error":"prompt is too long"}"#,
        r#"{"type":"error","error":{"type":"x","message":"prompt is too long"}}"#,
        r#"{"object":"error","message":"prompt is too long","code":400}"#,
        r#"{"message":"prompt is too long"}"#,
        r#"{"Message":"prompt is too long"}"#,
        r#"{"detail":"prompt is too long"}"#,
        r#"{"detail":[{"loc":["body","x"],"msg":"prompt is too long"}]}"#,
        r#"{"statusCode":400,"message":"prompt is too long"}"#,
        r#""prompt is too long""#,
        "prompt is too long\n",
        "<html><head><title>prompt is too long</title></head></html>",
    ] {
        assert_eq!(says(400, body), OutcomeClass::Fault(ContextLength), "{body}");
    }
    let nothing =
        classify(OPENAI, StatusCode::BAD_GATEWAY, &HeaderMap::new(), b"", SystemTime::UNIX_EPOCH);
    assert_eq!(nothing.message, "The provider answered 502 Bad Gateway without a message.");
}

#[test]
fn an_error_without_a_status_has_the_class_of_its_code() {
    for (error, want) in [
        (r#"{"error":{"code":429,"message":"slow"}}"#, RateLimited),
        (r#"{"error":{"code":"502","message":"bad"}}"#, ServerError),
        (r#"{"error":{"status_code":503,"message":"over"}}"#, ServerError),
        (r#"{"error":{"type":"server_error","message":"x"}}"#, ServerError),
        (r#"{"error":{"type":"insufficient_quota"}}"#, OutOfCredit),
        (r#"{"error":{"message":"tokens to keep from the initial prompt"}}"#, ContextLength),
        (r#"{"error":"something"}"#, InvalidResponse),
    ] {
        let value = serde_json::from_str(error).unwrap();
        assert_eq!(classify_value(COMPATIBLE, &value).class, OutcomeClass::Fault(want), "{error}");
    }
}

#[test]
fn a_refused_member_is_known_by_its_name() {
    let of = |status, body: &str| {
        let status = StatusCode::from_u16(status).unwrap();
        classify(COMPATIBLE, status, &HeaderMap::new(), body.as_bytes(), SystemTime::UNIX_EPOCH)
    };
    let param = of(400, r#"{"error":{"message":"nope","param":"stream_options.include_usage"}}"#);
    assert!(param.refuses("stream_options"));
    let loc = of(422, r#"{"detail":[{"loc":["body","stream_options"],"msg":"Extra inputs"}]}"#);
    assert!(loc.refuses("stream_options"));
    let text = of(400, r#"{"message":"Unknown field: `stream_options`"}"#);
    assert!(text.refuses("stream_options"));
    assert!(!text.refuses("stream"));
    assert!(!of(429, r#"{"message":"stream_options"}"#).refuses("stream_options"));
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let body = format!(r#"{{"message":"{}"}}"#, "é".repeat(3_000));
    let message = classify(
        OPENAI,
        StatusCode::BAD_REQUEST,
        &HeaderMap::new(),
        body.as_bytes(),
        SystemTime::UNIX_EPOCH,
    )
    .message;
    assert_eq!(message.len(), 2_003);
    assert!(message.ends_with('…'));
}
