//! The golden matrix: requests by dialect, answers, streams and errors by protocol. Every cell is in
//! a snapshot; a new dialect must bring its column, and a test sees to it that it does.
//!
//! Fixtures are small and written for this: `golden/requests/*.json` (`{protocol, body}`), and
//! `golden/answers/<dialect>_<case>` as JSON, as server-sent events, or as lines `name payload` that
//! become binary frames (`!name`: an exception).

#![cfg(test)]

use std::{fmt::Write as _, time::SystemTime};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use providers::{
    Judgement,
    count_tokens::{self, Count},
    dialect::{Back, Candidate, Dialect, Encoded, Host, classify, encode, quirks::Quirks},
    embeddings,
    protocol::{Caller, Protocol, decode, encode_error, responses::echo},
    rules::Refusal,
    translate::Translation,
};
use serde_json::Value;

/// The columns: a name, and whom a request is encoded for.
fn columns() -> Vec<(&'static str, Candidate<'static>)> {
    let compatible = |name: &'static str, base: &str| {
        let mut candidate = Candidate::new(Dialect::OpenAiChat, "ns/c", name, name);
        candidate.quirks = Some(Quirks::of(base));
        candidate
    };
    let of = |dialect, model| Candidate::new(dialect, "ns/t", model, model);
    vec![
        ("openai gpt-4o", of(Dialect::OpenAiChat, "gpt-4o")),
        ("openai gpt-5.2", of(Dialect::OpenAiChat, "gpt-5.2")),
        ("openai responses gpt-5.6", of(Dialect::OpenAiResponses, "gpt-5.6")),
        ("vllm", compatible("llama-4", "http://vllm:8000/v1")),
        ("mistral", compatible("mistral-large", "https://api.mistral.ai/v1")),
        ("deepseek", compatible("deepseek-chat", "https://api.deepseek.com")),
        ("anthropic 4.5", of(Dialect::Anthropic, "claude-sonnet-4-5")),
        ("anthropic opus 5.5", of(Dialect::Anthropic, "claude-opus-5-5")),
        ("gemini 2.5", of(Dialect::Gemini, "gemini-2.5-flash")),
        ("gemini 3", of(Dialect::Gemini, "gemini-3-pro")),
        ("bedrock claude 4.5", of(Dialect::Bedrock, "eu.anthropic.claude-sonnet-4-5-v1:0")),
        ("bedrock nova", of(Dialect::Bedrock, "amazon.nova-pro-v1:0")),
    ]
}

#[test]
fn every_dialect_has_its_column_and_its_answers() {
    for dialect in Dialect::ALL {
        assert!(columns().iter().any(|(_, candidate)| candidate.dialect == dialect));
        let answers =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/answers"));
        let names = answers.unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let own = names.filter(|name| name.starts_with(&format!("{}_", dialect.name()))).count();
        assert!(own >= 2, "{}: a stream and an answer", dialect.name());
    }
}

/// Columns of endpoints that differ by host.
fn hosted() -> Vec<(&'static str, Candidate<'static>)> {
    let vertex = |dialect, model| {
        let own = Candidate::new(dialect, "ns/v", model, model);
        Candidate { host: Host::Vertex, ..own }
    };
    vec![
        ("vertex claude", vertex(Dialect::Anthropic, "claude-sonnet-4-5")),
        ("vertex gemini", vertex(Dialect::Gemini, "gemini-embedding-2")),
        ("vertex text", vertex(Dialect::Gemini, "text-embedding-005")),
    ]
}

/// What a candidate is sent, whichever endpoint it is; `None`: nothing, it is estimated.
fn written(endpoint: &str, body: &[u8], to: &Candidate<'_>) -> Result<Option<Encoded>, Refusal> {
    match endpoint {
        "embeddings" => embeddings::encode(&embeddings::decode(body).unwrap(), to).map(Some),
        "count_tokens" => {
            let request = decode(Protocol::Messages, body).unwrap();
            Ok(match count_tokens::encode(&request, to)? {
                Count::Ask(encoded) => Some(*encoded),
                Count::Estimate => None,
            })
        }
        other => {
            let protocol = Protocol::ALL.into_iter().find(|p| p.name() == other).unwrap();
            encode(&decode(protocol, body).unwrap(), to).map(Some)
        }
    }
}

#[test]
fn requests() {
    insta::glob!("golden/requests/*.json", |path| {
        let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let endpoint = fixture["protocol"].as_str().unwrap();
        let body = fixture["body"].to_string();
        let mut columns = columns();
        if matches!(endpoint, "embeddings" | "count_tokens") {
            columns.extend(hosted());
        }
        let mut out = String::new();
        for (name, candidate) in columns {
            writeln!(out, "=== {name}").unwrap();
            match written(endpoint, body.as_bytes(), &candidate) {
                Err(refusal) => {
                    let mark = if refusal.not_portable { " (not_portable)" } else { "" };
                    writeln!(out, "refused{mark}: {refusal}").unwrap();
                }
                Ok(None) => writeln!(out, "estimated").unwrap(),
                Ok(Some(encoded)) => {
                    writeln!(out, "POST {}", encoded.path).unwrap();
                    for (name, value) in &encoded.headers {
                        writeln!(out, "{name}: {value}").unwrap();
                    }
                    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
                    writeln!(out, "{}", serde_json::to_string_pretty(&body).unwrap()).unwrap();
                    for warning in &encoded.warnings {
                        let (field, action) = (&warning.field, warning.action.name());
                        writeln!(out, "{action} {field}: {}", warning.detail).unwrap();
                    }
                }
            }
        }
        insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(out) });
    });
}

fn caller(protocol: Protocol) -> Caller {
    Caller {
        protocol,
        now: 1_700_000_001,
        seed: "seed".into(),
        model: "upstream-model".into(),
        stream_usage: true,
        old_functions: false,
        echo: echo(b"{}"),
        tag: "Tag45678".into(),
        request_id: Some("req_1".into()),
        estimate: 12,
    }
}

/// The fixture's bytes, as a provider would send them.
fn wire(path: &std::path::Path) -> Bytes {
    let text = std::fs::read_to_string(path).unwrap();
    if path.extension().is_none_or(|e| e != "frames") {
        return Bytes::from(text);
    }
    let frames = text.lines().map(|line| {
        let (name, payload) = line.split_once(' ').unwrap();
        match name.strip_prefix('!') {
            Some(name) => frame("exception", ":exception-type", name, payload),
            None => frame("event", ":event-type", name, payload),
        }
    });
    Bytes::from(frames.collect::<Vec<_>>().concat())
}

fn frame(kind: &str, header: &str, name: &str, payload: &str) -> Vec<u8> {
    let mut head = Vec::new();
    for (key, value) in [(":message-type", kind), (header, name)] {
        head.push(u8::try_from(key.len()).unwrap());
        head.extend_from_slice(key.as_bytes());
        head.push(7);
        head.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let total = u32::try_from(16 + head.len() + payload.len()).unwrap();
    let mut out = total.to_be_bytes().to_vec();
    out.extend_from_slice(&u32::try_from(head.len()).unwrap().to_be_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(payload.as_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out
}

#[test]
fn answers_and_streams() {
    insta::glob!("golden/answers/*", |path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let dialect = Dialect::of(name.split('_').next().unwrap()).unwrap();
        let candidate = Candidate::new(dialect, "ns/t", "x", "x");
        let body = wire(path);
        let mut out = String::new();
        for protocol in Protocol::ALL {
            writeln!(out, "=== {} as JSON", protocol.name()).unwrap();
            let translation = || Translation::new(&candidate, Back::default(), caller(protocol));
            match translation().whole(&body) {
                Ok(whole) => {
                    let value: Value = serde_json::from_slice(&whole.body).unwrap();
                    writeln!(out, "{}", serde_json::to_string_pretty(&value).unwrap()).unwrap();
                    if whole.filtered {
                        writeln!(out, "(filtered without content)").unwrap();
                    }
                }
                Err(failure) => {
                    let (status, body) = encode_error(&failure, &caller(protocol), &[]);
                    let body = String::from_utf8_lossy(&body).into_owned();
                    writeln!(out, "{}: {status} {body}", failure.class).unwrap();
                }
            }
            writeln!(out, "=== {} as a stream", protocol.name()).unwrap();
            let (mut steps, mut translation) = (Vec::new(), translation());
            translation.push(body.clone(), &mut steps);
            translation.close(&mut steps);
            for step in &steps {
                let judgement = match &step.judgement {
                    Judgement::Error(failure) => format!("Error {}", failure.class),
                    other => format!("{other:?}"),
                };
                writeln!(out, "[{judgement}]").unwrap();
                for frame in &step.frames {
                    out.push_str(&String::from_utf8_lossy(frame));
                }
            }
        }
        insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(out) });
    });
}

/// Errors: a dialect, a status, a body.
const ERRORS: [(Dialect, u16, &str); 10] = [
    (
        Dialect::OpenAiChat,
        429,
        r#"{"error":{"message":"You exceeded your quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
    ),
    (
        Dialect::OpenAiChat,
        400,
        r#"{"error":{"message":"This model's maximum context length is 9 tokens","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
    ),
    (
        Dialect::OpenAiResponses,
        400,
        r#"{"error":{"message":"The requested model 'x' does not exist.","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#,
    ),
    (
        Dialect::Anthropic,
        529,
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
    ),
    (
        Dialect::Anthropic,
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 5 maximum"}}"#,
    ),
    (
        Dialect::Anthropic,
        401,
        r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key sk-ant-api03-abcdefgh"}}"#,
    ),
    (
        Dialect::Gemini,
        429,
        r#"{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7s"}]}}"#,
    ),
    (
        Dialect::Gemini,
        400,
        r#"{"error":{"code":400,"message":"Invalid value at 'generation_config.temperature'","status":"INVALID_ARGUMENT"}}"#,
    ),
    (Dialect::Bedrock, 400, r#"{"message":"The provided model identifier is invalid."}"#),
    (Dialect::Bedrock, 413, "<html><title>413 Request Entity Too Large</title></html>"),
];

#[test]
fn errors() {
    let mut out = String::new();
    for (dialect, status, body) in ERRORS {
        let status = StatusCode::from_u16(status).unwrap();
        let (headers, now) = (HeaderMap::new(), SystemTime::UNIX_EPOCH);
        let failure = classify(dialect, false, status, &headers, body.as_bytes(), now);
        writeln!(out, "=== {} {status} is {}", dialect.name(), failure.class).unwrap();
        for protocol in [Protocol::Chat, Protocol::Responses, Protocol::Messages] {
            let (status, body) = encode_error(&failure, &caller(protocol), &[]);
            let body = String::from_utf8_lossy(&body).into_owned();
            writeln!(out, "{}: {status} {body}", protocol.name()).unwrap();
        }
    }
    insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(out) });
}
