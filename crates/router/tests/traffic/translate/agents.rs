//! Agents: one conversation with tools and thought that goes on at another provider in the middle,
//! as its first choice fails, and comes back.

use routing::ProviderKind::{self, Anthropic, Gemini, OpenAI, OpenAICompatible};
use serde_json::{Value, json};
use testkit::upstream::{Received, Script, Speech, Upstream};

use super::{events, heard, world};
use crate::rig::Rig;

/// A model that thinks, says where, and calls a tool.
fn thinks(who: &str) -> Script {
    let speech = Speech::text("Looking it up").thinking(&format!("{who} thinks"), &proof(who));
    speech.calling(&format!("call_{who}"), "weather", json!({"city": "Oslo"})).script()
}

fn proof(who: &str) -> String {
    format!("{who}Proof==")
}

fn tools() -> Value {
    json!([{"type": "function", "function": {"name": "weather", "description": "the weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}])
}

/// A turn of a chat with its history.
async fn turn(rig: &Rig, history: &[Value]) -> Value {
    let body = json!({"model": "prod-chat", "messages": history, "tools": tools(),
                      "reasoning_effort": "low"});
    let answer = rig.post("/v1/chat/completions", body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["choices"][0]["message"].clone()
}

fn body(received: &[Received], at: usize) -> String {
    String::from_utf8_lossy(&received[at].body).into_owned()
}

#[tokio::test]
async fn a_chat_goes_from_claude_to_gemini_to_openai_and_back() {
    let kinds = [Anthropic, Gemini, OpenAICompatible];
    let [claude, gemini, open] =
        [Upstream::start().await, Upstream::start().await, Upstream::start().await]
            .map(Result::unwrap);
    claude.then(thinks("claude"));
    gemini.then(thinks("gemini"));
    open.then(thinks("open"));
    let dead = || Script::error(503, "overloaded", "later");
    let rig = Rig::start(
        world(&kinds, &[&claude, &gemini, &open]).alias(|a| a.fallback.retries = Some(0)),
    )
    .await;
    let mut history = vec![json!({"role": "user", "content": "How is Oslo?"})];
    let answered = |history: &mut Vec<Value>, message: Value| {
        let id = message["tool_calls"][0]["id"].clone();
        assert!(id.is_string(), "{message}");
        history.push(message);
        history.push(json!({"role": "tool", "tool_call_id": id, "content": "rain"}));
    };

    // Claude first: its thought comes with its proof, marked as its own.
    let message = turn(&rig, &history).await;
    assert_eq!(message["reasoning_content"], "claude thinks");
    assert!(message.to_string().contains("mk1."), "{message}");
    answered(&mut history, message);

    // It fails, and Gemini goes on: it sees the call and its result, and no foreign proof.
    claude.then(dead());
    let message = turn(&rig, &history).await;
    let sent = body(&gemini.received(), 0);
    assert!(!sent.contains("claudeProof") && !sent.contains("mk1."), "{sent}");
    assert!(sent.contains("functionResponse") && sent.contains("rain"), "{sent}");
    assert!(message.to_string().contains("mk1."), "Gemini's proof is marked: {message}");
    answered(&mut history, message);

    // Both fail, and a compatible server goes on.
    claude.then(dead());
    gemini.then(dead());
    let message = turn(&rig, &history).await;
    let sent = body(&open.received(), 0);
    assert!(!sent.contains("Proof"), "{sent}");
    let calls = sent.matches("\"tool_calls\"").count();
    assert_eq!(calls, 2, "{sent}");
    answered(&mut history, message);

    // And back at Claude, which gets its own proof as it gave it, and nobody else's.
    claude.always(Speech::text("Bring an umbrella").script());
    let message = turn(&rig, &history).await;
    assert_eq!(message["content"], "Bring an umbrella");
    let got = claude.received();
    let sent = body(&got, got.len() - 1);
    assert!(sent.contains("\"signature\":\"claudeProof==\""), "{sent}");
    assert!(!sent.contains("geminiProof") && !sent.contains("openProof"), "{sent}");
    assert!(sent.contains("\"id\":\"call_claude\""), "its own id comes back unchanged: {sent}");
    // Every call has its result, in order: Claude refuses a history in which one lacks it.
    let json: Value = serde_json::from_str(&sent).unwrap();
    let mut called = Vec::new();
    for block in json["messages"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|m| m["content"].as_array().cloned().unwrap_or_default())
    {
        if block["type"] == "tool_use" {
            called.push(block["id"].clone());
        }
        if block["type"] == "tool_result" {
            assert_eq!(called.pop(), Some(block["tool_use_id"].clone()));
        }
    }
    assert!(called.is_empty());
}

/// The content of a stream of messages, as a client adds it up.
fn content(body: &str) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    let mut input = String::new();
    for event in events(body) {
        match event["type"].as_str().unwrap_or_default() {
            "content_block_start" => blocks.push(event["content_block"].clone()),
            "content_block_delta" => {
                let block = blocks.last_mut().unwrap();
                let delta = &event["delta"];
                for member in ["text", "thinking", "signature"] {
                    if let Some(more) = delta[member].as_str() {
                        let known = block[member].as_str().unwrap_or_default().to_owned();
                        block[member] = json!(known + more);
                    }
                }
                input += delta["partial_json"].as_str().unwrap_or_default();
            }
            "content_block_stop" if blocks.last().unwrap()["type"] == "tool_use" => {
                let text = std::mem::take(&mut input);
                let block = blocks.last_mut().unwrap();
                block["input"] = serde_json::from_str(&text).unwrap();
            }
            _ => {}
        }
    }
    blocks
}

#[tokio::test]
async fn an_agent_of_messages_changes_providers_within_its_streams() {
    let kinds = [Gemini, Anthropic, OpenAI];
    let [gemini, claude, open] =
        [Upstream::start().await, Upstream::start().await, Upstream::start().await]
            .map(Result::unwrap);
    gemini.then(thinks("gemini"));
    claude.then(thinks("claude"));
    let mut world = world(&kinds, &[&gemini, &claude, &open]);
    // A model that takes tools on its chat endpoint only without an effort is asked at `/responses`.
    world.targets[2].models[0].upstream_name = "gpt-5.4".to_owned();
    let rig = Rig::start(world.alias(|a| a.fallback.retries = Some(0))).await;
    let mut messages = vec![json!({"role": "user", "content": "How is Oslo?"})];
    let tools = json!([{"name": "weather", "input_schema": {"type": "object"}}]);
    for step in 0..3 {
        let body = json!({"model": "prod-chat", "max_tokens": 8000, "stream": true,
                          "thinking": {"type": "enabled", "budget_tokens": 2000},
                          "tools": tools, "messages": messages});
        match step {
            1 => drop(gemini.then(Script::error(429, "rate_limit_exceeded", "slow down"))),
            2 => {
                claude.then(Script::reset());
                open.always(Speech::text("Bring an umbrella").script());
            }
            _ => {}
        }
        let answer = rig.post("/v1/messages", body.to_string()).await;
        assert_eq!(answer.status, 200, "{step}: {}", answer.body);
        let blocks = content(&answer.body);
        messages.push(json!({"role": "assistant", "content": blocks}));
        let Some(call) = blocks.iter().find(|b| b["type"] == "tool_use") else {
            assert_eq!(step, 2, "{blocks:?}");
            assert_eq!(heard("messages", true, &answer).text, "Bring an umbrella");
            break;
        };
        messages.push(json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": call["id"], "content": "rain"}]}));
    }
    // Gemini's proof of its thought, marked in the history, made Claude's request a translated one.
    let sent = body(&claude.received(), 0);
    assert!(!sent.contains("mk1.") && !sent.contains("geminiProof"), "{sent}");
    let got = open.received();
    assert!(got[0].path.ends_with("/responses"), "{}", got[0].path);
    let sent = body(&got, 0);
    assert!(!sent.contains("Proof"), "{sent}");
    assert_eq!(sent.matches("\"function_call_output\"").count(), 2, "{sent}");
}

#[tokio::test]
async fn a_refused_signature_is_asked_once_more_without_any_on_the_same_target() {
    let refuse = || {
        let error = json!({"type": "error", "error": {"type": "invalid_request_error",
            "message": "messages.1.content.0: Invalid `signature` in `thinking` block"}});
        Script::json(400, &error)
    };
    let history = json!([{"role": "user", "content": "hi"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "stale=="},
            {"type": "text", "text": "hello"}]},
        {"role": "user", "content": "go on"}]);
    let body = json!({"model": "prod-chat", "max_tokens": 9, "messages": history});
    for stream in [false, true] {
        let [first, second] =
            [Upstream::start().await, Upstream::start().await].map(Result::unwrap);
        first.then(refuse()).always(Speech::text("well").script());
        let rig = Rig::start(world(&[Anthropic, OpenAI], &[&first, &second])).await;
        let mut body = body.clone();
        body["stream"] = json!(stream);
        let answer = rig.post("/v1/messages", body.to_string()).await;
        assert_eq!(heard("messages", stream, &answer).text, "well");
        assert_eq!((answer.header("x-moniker-attempts"), answer.target()), ("1", "t0"));
        let got = first.received();
        assert_eq!(got.len(), 2);
        let again = String::from_utf8_lossy(&got[1].body).into_owned();
        assert!(!again.contains("stale==") && again.contains("hello"), "{again}");
        // Refused again, it is another candidate's turn: no third time.
        first.always(refuse());
        second.always(Speech::text("second").script());
        let answer = rig.post("/v1/messages", body.to_string()).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert_eq!(first.count(), 4);
    }
}

#[tokio::test]
async fn a_hint_that_is_refused_by_name_is_left_out() {
    let only = Upstream::start().await.unwrap();
    let error = json!({"error": {"code": 400, "status": "INVALID_ARGUMENT",
        "message": "Invalid JSON payload received. Unknown name \"topK\" at 'generation_config'"}});
    only.then(Script::json(400, &error)).always(Speech::text("well").script());
    let rig = Rig::start(world(&[ProviderKind::Gemini], &[&only])).await;
    let body = json!({"model": "prod-chat", "top_k": 5, "max_tokens": 50,
                      "messages": [{"role": "user", "content": "hi"}]});
    let answer = rig.post("/v1/messages", body.to_string()).await;
    assert_eq!(heard("messages", false, &answer).text, "well");
    let got = only.received();
    assert_eq!(got[0].json()["generationConfig"]["topK"], 5);
    assert!(got[1].json()["generationConfig"]["topK"].is_null());
    assert_eq!(got[1].json()["generationConfig"]["maxOutputTokens"], 50);
    assert_eq!(answer.header("x-moniker-attempts"), "1");
}
