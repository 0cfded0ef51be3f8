//! Counting, in every form that providers have.

use routing::outcome::Fault;

use super::*;
use crate::{
    dialect::quirks::Quirks,
    protocol::{Protocol, decode},
};

const BODY: &str = r#"{"model":"a","system":"Be brief.","messages":[{"role":"user","content":"Hi"}],
    "tools":[{"name":"f","description":"d","input_schema":{"type":"object","properties":{}}}],
    "thinking":{"type":"enabled","budget_tokens":2048}}"#;

fn ask(to: &Candidate<'_>) -> (String, serde_json::Value) {
    let request = decode(Protocol::Messages, BODY.as_bytes()).unwrap();
    let Count::Ask(encoded) = encode(&request, to).unwrap() else { panic!("is estimated") };
    (encoded.path, serde_json::from_slice(&encoded.body).unwrap())
}

fn of(dialect: Dialect, model: &'static str) -> Candidate<'static> {
    Candidate::new(dialect, "ns/t", model, model)
}

#[test]
fn claude_counts_what_it_would_be_sent() {
    let own = of(Dialect::Anthropic, "claude-sonnet-4-5");
    let (path, body) = ask(&own);
    assert_eq!(path, "messages/count_tokens");
    assert_eq!(body["thinking"]["budget_tokens"], 2048);
    assert!(body.get("max_tokens").is_none() && body.get("stream").is_none());
    assert_eq!(
        (&body["model"], &body["system"][0]["text"]),
        (&own.model.into(), &"Be brief.".into())
    );
    let vertex = Candidate { host: Host::Vertex, ..own };
    let (path, body) = ask(&vertex);
    assert_eq!(path, "models/count-tokens:rawPredict");
    assert_eq!(body["model"], vertex.model);
    assert_eq!(body["anthropic_version"], "vertex-2023-10-16");
}

#[test]
fn bedrock_counts_for_the_model_without_a_region() {
    let (path, body) = ask(&of(Dialect::Bedrock, "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"));
    assert_eq!(path, "model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/count-tokens");
    let converse = &body["input"]["converse"];
    assert_eq!(converse["messages"][0]["content"][0]["text"], "Hi");
    assert!(converse.get("toolConfig").is_some() && converse.get("inferenceConfig").is_none());
}

#[test]
fn gemini_and_openai_count_in_their_own_forms() {
    let own = of(Dialect::Gemini, "gemini-3-pro");
    let (path, body) = ask(&own);
    assert_eq!(path, "models/gemini-3-pro:countTokens");
    let inner = &body["generateContentRequest"];
    assert_eq!(inner["model"], "models/gemini-3-pro");
    assert_eq!(inner["contents"][0]["parts"][0]["text"], "Hi");
    let (_, body) = ask(&Candidate { host: Host::Vertex, ..own });
    assert_eq!(body["systemInstruction"]["parts"][0]["text"], "Be brief.");
    let (path, body) = ask(&of(Dialect::OpenAiChat, "gpt-5.2"));
    assert_eq!(path, "responses/input_tokens");
    assert!(body.get("input").is_some() && body.get("store").is_none());
    assert!(body.get("include").is_none() && body.get("max_output_tokens").is_none());
}

#[test]
fn who_does_not_count_is_estimated() {
    let request = decode(Protocol::Messages, BODY.as_bytes()).unwrap();
    let mut compatible = of(Dialect::OpenAiChat, "llama");
    compatible.quirks = Some(Quirks::of("http://vllm:8000/v1"));
    for to in [compatible, of(Dialect::Bedrock, "amazon.nova-pro-v1:0")] {
        assert!(matches!(encode(&request, &to).unwrap(), Count::Estimate));
    }
    // "Be brief." and "Hi"; the tool's name, description and schema.
    let schema = r#"{"type":"object","properties":{}}"#.len() as u64;
    assert_eq!(estimate(&request).text_bytes, 9 + 2 + 1 + 1 + schema);
    let image = r#"{"model":"a","messages":[{"role":"user","content":[{"type":"image","source":
        {"type":"base64","media_type":"image/png","data":"AAAA"}},{"type":"document","source":
        {"type":"base64","media_type":"application/pdf","data":"AAAA"}}]}]}"#;
    let request = decode(Protocol::Messages, image.as_bytes()).unwrap();
    assert_eq!(estimate(&request).other_tokens, IMAGE_TOKENS + 1_500);
}

#[test]
fn counts_are_read_in_every_form() {
    for (to, body) in [
        (of(Dialect::Anthropic, "claude"), r#"{"input_tokens":5}"#),
        (
            of(Dialect::OpenAiResponses, "gpt"),
            r#"{"object":"response.input_tokens","input_tokens":5}"#,
        ),
        (of(Dialect::Gemini, "gemini"), r#"{"totalTokens":5,"promptTokensDetails":[]}"#),
        (of(Dialect::Bedrock, "claude"), r#"{"inputTokens":5}"#),
    ] {
        assert_eq!(answer(&to, body.as_bytes()).unwrap(), 5, "{body}");
        for bad in ["", "{}", "[]", "null", "\"5\"", r#"{"input_tokens":-1}"#] {
            let class = answer(&to, bad.as_bytes()).unwrap_err().class;
            assert_eq!(class, OutcomeClass::Fault(Fault::InvalidResponse), "{bad}");
        }
    }
    assert_eq!(&write(5)[..], br#"{"input_tokens":5}"#);
    let limited = br#"{"type":"error","error":{"type":"rate_limit_error","message":"m"}}"#;
    let class = answer(&of(Dialect::Anthropic, "claude"), limited).unwrap_err().class;
    assert_eq!(class, OutcomeClass::Fault(Fault::RateLimited));
}
