//! Tests of answers on their way back: what was fitted is restored, and each step is judged.

use super::*;
use crate::{
    dialect::encode,
    protocol::{Protocol, decode},
};

fn caller(protocol: Protocol) -> Caller {
    Caller {
        protocol,
        now: 1_700_000_000,
        seed: "seed".into(),
        model: "m".into(),
        stream_usage: true,
        old_functions: false,
        echo: crate::tree::Json::empty(),
        tag: "abcdefgh".into(),
        request_id: None,
        estimate: 5,
    }
}

fn translation(protocol: Protocol, body: &str, dialect: Dialect, model: &str) -> Translation {
    let request = decode(protocol, body.as_bytes()).unwrap();
    let candidate = Candidate::new(dialect, "ns/t", model, model);
    let encoded = encode(&request, &candidate).unwrap();
    Translation::new(&candidate, encoded.back, caller(protocol))
}

fn text(steps: &[Step]) -> String {
    let frames = steps.iter().flat_map(|step| &step.frames);
    frames.map(|frame| String::from_utf8_lossy(frame).into_owned()).collect()
}

const CUSTOM: &str = r#"{"model":"m","input":"hi","tools":[
    {"type":"namespace","name":"fs","description":"","tools":[
        {"type":"custom","name":"apply_patch"}]},
    {"type":"function","name":"a b","parameters":{"type":"object"}}]}"#;

#[test]
fn custom_tools_namespaces_and_names_come_back() {
    let mut translation =
        translation(Protocol::Responses, CUSTOM, Dialect::Anthropic, "claude-opus-4-5");
    let stream = concat!(
        "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"c\"}}\n\n",
        "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":",
        "{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"fs__apply_patch\",\"input\":{}}}\n\n",
        "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":",
        "{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"input\\\": \\\"*** Begin\\\"}\"}}\n\n",
        "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"}}\n\n",
    );
    let mut steps = Vec::new();
    translation.push(Bytes::from_static(stream.as_bytes()), &mut steps);
    translation.close(&mut steps);
    let text = text(&steps);
    assert!(text.contains(r#""type":"custom_tool_call""#), "{text}");
    assert!(text.contains(r#""name":"apply_patch""#) && text.contains(r#""namespace":"fs""#));
    assert!(text.contains(r#""input":"*** Begin""#) && text.contains("response.completed"));
    let judged: Vec<&Judgement> = steps.iter().map(|step| &step.judgement).collect();
    assert!(judged.contains(&&Judgement::Decisive));
    assert!(judged.contains(&&Judgement::Terminal { filtered: false }));
    assert_eq!(judged.last(), Some(&&Judgement::Done));
}

#[test]
fn an_id_of_the_history_is_not_given_again() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"x"},
        {"role":"assistant","tool_calls":[{"id":"call_0","type":"function",
            "function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"call_0","content":"1"}],
        "tools":[{"type":"function","function":{"name":"f"}}]}"#;
    let translation = translation(Protocol::Chat, body, Dialect::Bedrock, "claude-opus-4-5");
    let answer = r#"{"output":{"message":{"content":[{"toolUse":{"toolUseId":"call_0","name":"f",
        "input":{}}}]}},"stopReason":"tool_use"}"#;
    let whole = translation.whole(&Bytes::from_static(answer.as_bytes())).unwrap();
    let text = String::from_utf8_lossy(&whole.body).into_owned();
    assert!(text.contains(r#""id":"call_mk"#) && text.contains(r#""finish_reason":"tool_calls""#));
}

const PLAIN: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;

#[test]
fn errors_are_steps_and_nothing_follows() {
    let mut translation = translation(Protocol::Messages, PLAIN, Dialect::OpenAiChat, "gpt-4o");
    let mut steps = Vec::new();
    let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {oops\n\n";
    translation.push(Bytes::from_static(stream.as_bytes()), &mut steps);
    translation.push(Bytes::from_static(b"data: [DONE]\n\n"), &mut steps);
    translation.close(&mut steps);
    let Some(Judgement::Error(failure)) = steps.last().map(|step| &step.judgement) else {
        panic!("{steps:?}")
    };
    assert_eq!(failure.class.to_string(), "InvalidResponse");
    let text = text(&steps);
    assert!(text.contains("event: error") && !text.contains("message_stop"), "{text}");
}

#[test]
fn a_full_context_without_content_is_no_answer() {
    let answer = r#"{"content":[],"stop_reason":"model_context_window_exceeded"}"#;
    let mut translation = translation(Protocol::Chat, PLAIN, Dialect::Anthropic, "claude-opus-4-5");
    let mut steps = Vec::new();
    translation.push(Bytes::from_static(answer.as_bytes()), &mut steps);
    translation.close(&mut steps);
    let last = steps.last().map(|step| step.judgement.clone());
    assert!(matches!(last, Some(Judgement::Error(f)) if f.class.to_string() == "ContextLength"));
}

#[test]
fn tools_of_the_newest_models_go_to_responses() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"x"}],
        "tools":[{"type":"function","function":{"name":"f"}}]}"#;
    let mut request = decode(Protocol::Chat, body.as_bytes()).unwrap();
    let candidate = Candidate::new(Dialect::OpenAiChat, "ns/t", "gpt-5.6", "gpt-5.6");
    assert_eq!(dialect_for(&request, &candidate, true), Dialect::OpenAiResponses);
    assert_eq!(dialect_for(&request, &candidate, false), Dialect::OpenAiChat);
    request.stop.push("x".into());
    assert_eq!(dialect_for(&request, &candidate, true), Dialect::OpenAiChat);
}
