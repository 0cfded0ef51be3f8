//! One answer, both shapes.

use routing::{OutcomeClass, outcome::Fault};

use super::*;

fn chat(text: impl Into<Bytes>) -> Result<Value, OutcomeClass> {
    collect(ProviderKind::OpenAICompatible, Endpoint::ChatCompletions, &text.into())
        .map(|whole| serde_json::from_slice(&whole).unwrap())
        .map_err(|failure| failure.class)
}

fn answer() -> Value {
    json!({
        "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [
            {"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": "a",
                "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "t2", "type": "function", "function": {"name": "g", "arguments": "[]"}}]}},
            {"index": 1, "finish_reason": "stop", "message": {"role": "assistant", "content": "b"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    })
}

#[test]
fn there_and_back() {
    let body = answer().to_string();
    let events = events(Endpoint::ChatCompletions, body.as_bytes(), true);
    let text = Bytes::from(events.concat());
    assert!(is_event_stream(&text));
    assert!(!is_event_stream(body.as_bytes()));
    assert_eq!(chat(text), Ok(answer()));
}

#[test]
fn events_are_chunks_in_the_legal_order() {
    let body = answer().to_string();
    let events = events(Endpoint::ChatCompletions, body.as_bytes(), false);
    let read: Vec<Value> =
        events.iter().filter_map(|e| serde_json::from_slice(&fields(e).data).ok()).collect();
    assert_eq!(events.len(), 5);
    assert!(
        read.iter().all(|c| c["object"] == "chat.completion.chunk" && c.get("usage").is_none())
    );
    assert_eq!(read[0]["choices"][0]["delta"]["tool_calls"][1]["index"], 1);
    assert_eq!(read[0]["choices"][0]["finish_reason"], Value::Null);
    assert_eq!(read[1]["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(events[4], "data: [DONE]\n\n");
}

#[test]
fn completions_keep_their_form() {
    let body = json!({"object": "text_completion",
        "choices": [{"text": "hi", "finish_reason": "stop"}]})
    .to_string();
    let events = events(Endpoint::Completions, body.as_bytes(), true);
    let chunk: Value = serde_json::from_slice(&fields(&events[0]).data).unwrap();
    assert_eq!(chunk["choices"], json!([{"text": "hi", "finish_reason": "stop", "index": 0}]));
}

#[test]
fn fragments_add_up() {
    let text = [
        r#"{"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":
            [{"index":0,"id":"t","type":"function","function":{"name":"f","arguments":""}}]}}]}"#,
        r#"{"id":"c","choices":[{"index":0,"delta":{"tool_calls":
            [{"index":0,"id":"t","function":{"arguments":"{\"a\""}}]}}]}"#,
        r#"{"id":"c","choices":[{"index":0,"delta":{"tool_calls":
            [{"index":0,"function":{"arguments":":1}"}}]}}]}"#,
        r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        r#"{"id":"c","choices":[],"usage":{"total_tokens":9}}"#,
        "[DONE]",
    ]
    .map(|e| format!("data: {}\n\n", e.replace('\n', " ")))
    .concat();
    let whole = chat(text).unwrap();
    assert_eq!(
        whole["choices"][0],
        json!({"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant",
            "content": null, "tool_calls": [{"id": "t", "type": "function",
                "function": {"name": "f", "arguments": "{\"a\":1}"}}]}})
    );
    assert_eq!(whole["usage"]["total_tokens"], 9);
}

#[test]
fn errors_and_cut_streams_are_failures() {
    let hi = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
    let error = "data: {\"error\":{\"message\":\"x\",\"code\":429}}\n\n";
    let limited = OutcomeClass::Fault(Fault::RateLimited);
    assert_eq!(chat(format!("{hi}{error}")), Err(limited));
    let invalid = OutcomeClass::Fault(Fault::InvalidResponse);
    assert_eq!(chat(hi), Err(invalid));
    assert_eq!(chat("data: [DONE]\n\n"), Err(invalid));
    assert_eq!(
        chat(format!("{hi}data: [DONE]\n\n")).unwrap()["choices"][0]["message"]["content"],
        "hi"
    );
}
