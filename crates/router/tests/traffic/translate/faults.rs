//! Faults on the way through a translation: errors, cuts, malformed chunks, and fallback from one
//! dialect to another.

use routing::ProviderKind::{Anthropic, AzureOpenAI, Bedrock, Gemini, OpenAI, VertexAI};
use serde_json::{Value, json};
use testkit::upstream::{Script, Speech, Upstream};

use super::{KINDS, PROTOCOLS, events, heard, question, world};
use crate::rig::Rig;

/// Where a stream of a kind of provider is asked.
fn path(kind: routing::ProviderKind) -> &'static str {
    match kind {
        Anthropic => "/v1/messages",
        Gemini | VertexAI => "/v1/models/m:streamGenerateContent",
        Bedrock => "/v1/model/m/converse-stream",
        _ => "/v1/chat/completions",
    }
}

/// The error that ends a stream, where one does.
fn last_error(protocol: &str, body: &str) -> Value {
    let events = events(body);
    match protocol {
        "responses" => {
            let kinds: Vec<_> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
            assert_eq!(kinds[kinds.len() - 2..], ["error", "response.failed"], "{body}");
            events[events.len() - 2]["error"].clone()
        }
        _ => events.last().unwrap()["error"].clone(),
    }
}

#[tokio::test]
async fn the_first_dialect_dies_and_the_next_answers() {
    for dead in [Script::reset(), Script::error(500, "server_error", "no"), Script::close()] {
        for protocol in PROTOCOLS {
            for stream in [false, true] {
                let [first, second] =
                    [Upstream::start().await, Upstream::start().await].map(Result::unwrap);
                first.always(dead.clone());
                second.always(Speech::text("Hello wide world").script());
                let world = world(&[Gemini, Anthropic], &[&first, &second])
                    .alias(|a| a.fallback.retries = Some(0));
                let rig = Rig::start(world).await;
                let path = format!("/v1/{protocol}");
                let answer = rig.post(&path, question(protocol, stream).to_string()).await;
                assert_eq!(heard(protocol, stream, &answer).text, "Hello wide world");
                assert_eq!((answer.target(), answer.header("x-moniker-attempts")), ("t1", "2"));
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_ends_in_the_callers_error_and_never_well() {
    for kind in KINDS {
        let only = Upstream::start().await.unwrap();
        let pieces = Speech::text("Hello wide world").events(path(kind));
        // Before the last word, so before any finish reason.
        let cut = match kind {
            Anthropic => 4,
            Gemini | VertexAI => 2,
            _ => 3,
        };
        let pieces = &pieces[..cut];
        for ends in [true, false] {
            let sent = match kind {
                Bedrock => "application/vnd.amazon.eventstream",
                _ => "text/event-stream",
            };
            only.always(Script::pieces(sent, pieces.to_vec(), ends));
            let rig = Rig::start(world(&[kind], &[&only])).await;
            for protocol in PROTOCOLS {
                let chat = matches!(kind, OpenAI | AzureOpenAI);
                if chat && matches!(protocol, "completions" | "responses") {
                    // Passed through: what comes here is chat.
                    continue;
                }
                let path = format!("/v1/{protocol}");
                let answer = rig.post(&path, question(protocol, true).to_string()).await;
                let told = format!("{kind} {protocol} {ends}: {}", answer.body);
                assert_eq!(answer.status, 200, "{told}");
                assert!(answer.body.contains("Hello "), "{told}");
                let error = last_error(protocol, &answer.body);
                assert!(error["message"].is_string(), "{told}");
                for end in ["[DONE]", "message_stop", "response.completed", "\"stop\""] {
                    assert!(!answer.body.contains(end), "{told}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_before_content_is_another_candidates_turn() {
    for kind in [Anthropic, Gemini] {
        let [first, second] =
            [Upstream::start().await, Upstream::start().await].map(Result::unwrap);
        let start = Speech::text("x").events(path(kind))[..1].to_vec();
        let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\
                          \"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
        let pieces = match kind {
            Anthropic => [start, vec![overloaded.into()]].concat(),
            _ => vec![
                "data: {\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\
                       \"UNAVAILABLE\"}}\n\n"
                    .into(),
            ],
        };
        first.always(Script::pieces("text/event-stream", pieces, true));
        second.always(Speech::text("well").script());
        let world =
            world(&[kind, OpenAI], &[&first, &second]).alias(|a| a.fallback.retries = Some(0));
        let rig = Rig::start(world).await;
        for protocol in ["chat/completions", "messages"] {
            let path = format!("/v1/{protocol}");
            let answer = rig.post(&path, question(protocol, true).to_string()).await;
            assert_eq!(heard(protocol, true, &answer).text, "well", "{kind} {protocol}");
            assert_eq!(answer.target(), "t1");
        }
    }
}

#[tokio::test]
async fn a_malformed_chunk_is_an_error_in_a_translation() {
    let only = Upstream::start().await.unwrap();
    let mut pieces = Speech::text("Hello wide world").events(path(Anthropic))[..4].to_vec();
    pieces.push("data: {half\n\n".into());
    only.always(Script::pieces("text/event-stream", pieces, true));
    let rig = Rig::start(world(&[Anthropic], &[&only])).await;
    let answer = rig.post("/v1/chat/completions", question("chat/completions", true).to_string());
    let answer = answer.await;
    assert!(
        answer.body.contains("\"error\"") && !answer.body.contains("[DONE]"),
        "{}",
        answer.body
    );
    // Passed through, it stays as it came.
    let answer = rig.post("/v1/messages", question("messages", true).to_string()).await;
    assert!(answer.body.contains("data: {half\n\n"), "{}", answer.body);
}

#[tokio::test]
async fn what_was_not_asked_as_a_stream_or_was_is_given_as_asked() {
    let only = Upstream::start().await.unwrap();
    let speech = Speech::text("Hello wide world");
    for kind in [Anthropic, Gemini] {
        let rig = Rig::start(world(&[kind], &[&only])).await;
        for protocol in ["chat/completions", "messages", "responses"] {
            let ask = |stream| question(protocol, stream).to_string();
            let url = format!("/v1/{protocol}");
            only.then(Script::json(200, &speech.whole(path(kind))));
            let answer = rig.post(&url, ask(true)).await;
            assert_eq!(heard(protocol, true, &answer).text, "Hello wide world");
            only.then(Script::pieces("text/event-stream", speech.events(path(kind)), true));
            let answer = rig.post(&url, ask(false)).await;
            assert_eq!(heard(protocol, false, &answer).text, "Hello wide world");
        }
    }
}

#[tokio::test]
async fn errors_have_the_callers_shape_and_the_providers_words() {
    let only = Upstream::start().await.unwrap();
    let rig = Rig::start(world(&[Gemini], &[&only])).await;
    let error = |code: u16, status: &str, message: &str| json!({"error": {"code": code, "status": status, "message": message}});
    let long = "The input token count (9) exceeds the maximum number of tokens allowed (8).";
    for (status, body, want, kind, code) in [
        (
            400,
            error(400, "INVALID_ARGUMENT", long),
            400,
            "invalid_request_error",
            "context_length_exceeded",
        ),
        (
            400,
            error(400, "INVALID_ARGUMENT", "contents is empty"),
            400,
            "invalid_request_error",
            "invalid_request",
        ),
        (503, error(503, "UNAVAILABLE", "busy"), 502, "api_error", "upstream_error"),
        (
            400,
            json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message":
            "API key not valid. Please pass a valid API key."}}),
            502,
            "api_error",
            "upstream_error",
        ),
    ] {
        for protocol in ["chat/completions", "messages", "responses"] {
            // A rig of its own: what was ejected before must not answer for it.
            let rig =
                Rig::start(world(&[Gemini], &[&only]).alias(|a| a.fallback.retries = Some(0)))
                    .await;
            only.then(Script::json(status, &body));
            let url = format!("/v1/{protocol}");
            let answer = rig.post(&url, question(protocol, false).to_string()).await;
            assert_eq!(answer.status, want, "{protocol}: {}", answer.body);
            let said = answer.json();
            let message = said["error"]["message"].as_str().unwrap();
            if protocol == "messages" {
                assert_eq!(said["type"], "error");
                assert_eq!(said["error"]["type"], kind, "{said}");
                assert_eq!(said["request_id"], answer.header("x-request-id"));
                let compacts = message.starts_with("prompt is too long");
                assert_eq!(compacts, code == "context_length_exceeded", "{message}");
            } else {
                let got = said["error"]["code"].as_str().unwrap();
                assert!(got == code || code == "invalid_request", "{said}");
            }
            if message.contains("exceeds") {
                assert!(message.contains(long), "{message}");
            }
        }
    }
    // What no route is for, and who is not known, in Anthropic's shape too.
    let answer = rig.post("/v1/messages/batches", "{}").await;
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (404, &json!("not_found_error")));
    let none = r#"{"model":"nobody","max_tokens":1,"messages":[]}"#;
    let answer = rig.post("/v1/messages", none).await;
    assert_eq!((answer.status, &answer.json()["type"]), (404, &json!("error")));
}

#[tokio::test]
async fn a_filter_of_another_dialect_is_a_fault_where_the_alias_says_so() {
    let [first, second] = [Upstream::start().await, Upstream::start().await].map(Result::unwrap);
    let blocked = json!({"candidates": [{"finishReason": "SAFETY"}],
                         "usageMetadata": {"promptTokenCount": 4}});
    first.always(Script::json(200, &blocked));
    second.always(Speech::text("well").script());
    for falls_back in [false, true] {
        let world = world(&[Gemini, Anthropic], &[&first, &second]).alias(|a| {
            if falls_back {
                a.fallback.outcomes = routing::outcome::Fault::ALL.iter().copied().collect();
            }
        });
        let rig = Rig::start(world).await;
        let answer =
            rig.post("/v1/chat/completions", question("chat/completions", false).to_string()).await;
        let heard = heard("chat/completions", false, &answer);
        let want = if falls_back { ("well", "stop") } else { ("", "content_filter") };
        assert_eq!((heard.text.as_str(), heard.finish.as_str()), want);
    }
}
