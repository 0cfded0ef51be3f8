//! What providers and callers send is untrusted: whatever the bytes are, every entry point returns,
//! no secret leaves, and the events of a stream are the bytes that came.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::prelude::*;
use providers::{
    RequestBody, Rewrite, Stream, Versioned, classify, collect, errors::CallerError,
    is_event_stream, json_string, judge_answer, rewrite,
};
use routing::{Endpoint, OutcomeClass, ProviderKind};

/// Bytes that are nearly what is expected, or nothing of the kind.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u",
        "d83d",
        "null",
        "true",
        "1e400",
        "-",
        " ",
        "\n",
        "\r",
        "\n\n",
        "data: ",
        "event: error",
        "[DONE]",
        ": c",
        "\"error\"",
        "\"choices\"",
        "\"delta\"",
        "\"message\"",
        "\"content\"",
        "\"code\"",
        "\"finish_reason\"",
        "\"stop\"",
        "\"model\"",
        "\"stream_options\"",
        "\"include_usage\"",
        "\"max_tokens\"",
        "\"usage\"",
        "\"metadata\"",
        "\"raw\"",
        "\"detail\"",
        "<title>",
        "</title>",
        "é",
        "\u{feff}",
    ]);
    prop_oneof![
        any::<Vec<u8>>(),
        prop::collection::vec(words, 0..40).prop_map(|words| words.concat().into_bytes()),
    ]
}

fn kind() -> impl Strategy<Value = ProviderKind> {
    prop::sample::select(ProviderKind::ALL)
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    prop::sample::select(Endpoint::ALL)
}

proptest! {
    #[test]
    fn failures_are_classed(kind in kind(), status in 100_u16..=999, body in bytes(), wait: String) {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(&wait) {
            headers.insert("retry-after", value);
        }
        let status = StatusCode::from_u16(status).unwrap();
        let failure = classify(kind, status, &headers, &body, SystemTime::UNIX_EPOCH);
        prop_assert_ne!(failure.class, OutcomeClass::Success);
        prop_assert!(!failure.message.is_empty());
        let error = CallerError::of(&failure, &[]);
        prop_assert!(error.status.is_client_error() || error.status.is_server_error());
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&error.to_json()).is_ok());
    }

    #[test]
    fn secrets_stay(kind in kind(), before in "\\PC{0,20}", after in "\\PC{0,20}", status in 400_u16..600) {
        let secret = "canary/9f8e7d+6c5b==";
        let body = serde_json::json!({"error": {"message": format!("{before}{secret}{after}"),
            "code": secret, "type": secret}});
        let status = StatusCode::from_u16(status).unwrap();
        let body = body.to_string();
        let failure =
            classify(kind, status, &HeaderMap::new(), body.as_bytes(), SystemTime::UNIX_EPOCH);
        let said = CallerError::of(&failure, &[secret]).to_frame();
        prop_assert!(!String::from_utf8_lossy(&said).contains("9f8e7d"));
    }

    #[test]
    fn answers_are_judged(kind in kind(), endpoint in endpoint(), body in bytes()) {
        if judge_answer(kind, endpoint, StatusCode::OK, &body).is_ok() {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
        }
        let body = Bytes::from(body);
        if let Ok(whole) = collect(kind, endpoint, &body) {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&whole).is_ok());
        }
    }

    #[test]
    fn streams_are_their_bytes(kind in kind(), chunks in prop::collection::vec(bytes(), 0..6)) {
        let mut stream = Stream::new(kind, Endpoint::ChatCompletions, true);
        let mut out = Vec::new();
        for chunk in &chunks {
            stream.push(Bytes::from(chunk.clone()));
            while let Some(event) = stream.next().unwrap() {
                out.extend_from_slice(&event.raw);
            }
        }
        let all = chunks.concat();
        prop_assert!(all.starts_with(&out));
        if is_event_stream(&all) {
            stream.close();
            while let Some(event) = stream.next().unwrap() {
                out.extend_from_slice(&event.raw);
            }
            prop_assert!(all.starts_with(&out));
        }
        stream.end();
    }

    #[test]
    fn requests_are_read_or_refused(endpoint in endpoint(), body in bytes(), max in 0_u64..9) {
        let body = Bytes::from(body);
        match RequestBody::read(endpoint, &body) {
            Ok(read) => {
                let to = Rewrite {
                    model: json_string(&read.model_name(&body)),
                    max_output_tokens: Some(max),
                    ask_usage: true,
                    unstored: false,
                    versioned: Versioned::Elsewhere,
        encrypted: false,
                };
                let out = rewrite(&body, &read, &to).segments.concat();
                let again = RequestBody::read(endpoint, &out).unwrap();
                prop_assert_eq!(again.model_name(&out), read.model_name(&body));
                prop_assert!(again.output_cap().is_none_or(|cap| cap <= max));
            }
            Err(refusal) => prop_assert!(!refusal.to_string().is_empty()),
        }
    }
}
