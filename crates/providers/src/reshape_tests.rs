//! One answer, both shapes.

use super::*;

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
    let back: Value =
        serde_json::from_slice(&collect(Endpoint::ChatCompletions, &text).unwrap()).unwrap();
    assert_eq!(back, answer());
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
    let whole: Value =
        serde_json::from_slice(&collect(Endpoint::ChatCompletions, &text.into()).unwrap()).unwrap();
    assert_eq!(
        whole["choices"][0],
        json!({"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant",
            "content": null, "tool_calls": [{"id": "t", "type": "function",
                "function": {"name": "f", "arguments": "{\"a\":1}"}}]}})
    );
    assert_eq!(whole["usage"]["total_tokens"], 9);
}

#[test]
fn an_error_is_the_answer() {
    let text = "data: {\"choices\":[]}\n\ndata: {\"error\":{\"message\":\"x\"}}\n\n";
    let whole = collect(Endpoint::ChatCompletions, &Bytes::from(text)).unwrap();
    assert_eq!(whole, r#"{"error":{"message":"x"}}"#);
    let named = collect(Endpoint::ChatCompletions, &Bytes::from("event: error\ndata: {\"a\":1}"));
    assert_eq!(named.unwrap(), r#"{"error":{"a":1}}"#);
    assert_eq!(collect(Endpoint::ChatCompletions, &Bytes::from("data: [DONE]\n\n")), None);
}
