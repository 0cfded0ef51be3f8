//! Embeddings and counts of tokens, in every form.

use routing::ProviderKind::{Anthropic, Gemini, OpenAI, OpenAICompatible};
use serde_json::{Value, json};
use testkit::upstream::{Script, Speech, Upstream};

use super::{question, world};
use crate::rig::Rig;

#[tokio::test]
async fn embeddings_are_asked_in_geminis_form_and_written_as_the_caller_wants() {
    let only = Upstream::start().await.unwrap();
    let vectors = json!({"embeddings": [{"values": [0.5, -1.0]}, {"values": [0.25, 2.0]}]});
    only.always(Script::json(200, &vectors));
    let rig = Rig::start(world(&[Gemini], &[&only])).await;
    let mut body = json!({"model": "prod-chat", "input": ["a", "b"]});
    let answer = rig.post("/v1/embeddings", body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let data = answer.json()["data"].clone();
    assert_eq!((&data[0]["embedding"], &data[1]["index"]), (&json!([0.5, -1.0]), &json!(1)));
    body["encoding_format"] = json!("base64");
    let answer = rig.post("/v1/embeddings", body.to_string()).await;
    assert_eq!(answer.json()["data"][0]["embedding"], "AAAAPwAAgL8=");
    let got = only.received();
    assert!(got[0].path.ends_with(":batchEmbedContents"), "{}", got[0].path);
    let texts: Vec<Value> = got[0].json()["requests"].as_array().unwrap().clone();
    assert_eq!(texts[1]["content"]["parts"][0]["text"], "b");
    let tokens = json!({"model": "prod-chat", "input": [1, 2]});
    let answer = rig.post("/v1/embeddings", tokens.to_string()).await;
    let error = answer.json()["error"].clone();
    assert_eq!((answer.status, &error["code"]), (400, &json!("unsupported_parameter")), "{error}");
    let claude = Rig::start(world(&[Anthropic], &[&only])).await;
    let answer = claude.post("/v1/embeddings", body.to_string()).await;
    assert_eq!((answer.status, &answer.json()["error"]["param"]), (400, &json!("input")));
}

#[tokio::test]
async fn tokens_are_counted_by_whom_would_answer() {
    let ask = question("messages", false).to_string();
    let path = "/v1/messages/count_tokens";
    let full = [("x-moniker-metadata", "full")];
    for (kind, said, at) in [
        (Anthropic, json!({"input_tokens": 42}), "/v1/messages/count_tokens"),
        (Gemini, json!({"totalTokens": 42}), "/v1/models/gemini-2.5-pro:countTokens"),
        (OpenAI, json!({"input_tokens": 42}), "/v1/responses/input_tokens"),
    ] {
        let only = Upstream::start().await.unwrap();
        only.always(Script::json(200, &said));
        let rig = Rig::start(world(&[kind], &[&only])).await;
        let answer = rig.post(path, ask.clone()).await;
        assert_eq!((answer.status, answer.json()), (200, json!({"input_tokens": 42})), "{kind}");
        assert_eq!(only.received()[0].path, at);
        let told = rig.post_with(path, ask.clone(), &full).await.json();
        assert_eq!(told["moniker"]["attempts"][0]["outcome"], "Success", "{told}");
        assert!(told["moniker"]["tokens"].is_null(), "counting costs nothing: {told}");
    }
    let only = Upstream::start().await.unwrap();
    let rig = Rig::start(world(&[OpenAICompatible], &[&only])).await;
    let answer = rig.post_with(path, ask, &full).await.json();
    let tokens = answer["input_tokens"].as_u64().unwrap();
    assert!((3..20).contains(&tokens), "{answer}");
    assert_eq!(answer["moniker"]["warnings"][0]["field"], "input_tokens", "{answer}");
    assert_eq!(only.count(), 0);
    let answer = rig.post(path, r#"{"model":"none","messages":[]}"#).await;
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (404, &json!("not_found_error")));
}

#[tokio::test]
async fn a_server_that_does_not_know_a_role_gets_one_that_it_knows() {
    let only = Upstream::start().await.unwrap();
    only.always(Speech::text("x").script());
    let rig = Rig::start(world(&[OpenAICompatible], &[&only])).await;
    let body = r#"{"model":"prod-chat", "seed":1, "messages":[{"role":"developer","content":"s"},{"role":"user","content":"u"}]}"#;
    assert_eq!(rig.chat(body).await.status, 200);
    let sent = String::from_utf8_lossy(&only.received()[0].body).into_owned();
    assert_eq!(sent, body.replace("developer", "system").replace("prod-chat", "gpt-4o"));
}
