//! What passes through unchanged: the caller's body but for the model's name, the provider's answer
//! byte for byte; and what never passes.

use crate::{
    rig::{Rig, World, ask},
    upstream::{self, Upstream, chat, response},
};

#[tokio::test]
async fn every_byte_but_the_models_name_survives() {
    let odd = "{ \"zeta\" : 1e400,\r\n\t\"messages\":[ {\"content\":\"\\ud800 \u{1f600}\",\"role\":\"user\"} ] ,\
               \"model\"  :  \"prod-\\u0063hat\", \"unknown\":{\"a\":[1,2,{}]} }  ";
    let answer_body =
        "{\"zz\":1, \"choices\" : [ {\"message\":{\"content\":\"x\"}} ],\n\"model\":\"served\"}\n";
    let only = Upstream::always(response("200 OK", "x-request-id: up-1\r\n", answer_body)).await;
    let rig = Rig::start(World::over(&[&only])).await;
    let answer = rig.chat(odd).await;
    assert_eq!(answer.body, answer_body);
    assert_eq!(answer.header("x-moniker-upstream-request-id"), "up-1");
    let sent = odd.replace("\"prod-\\u0063hat\"", "\"up-t0\"");
    assert_eq!(only.seen()[0].text(), sent);
}

#[tokio::test]
async fn a_cap_beyond_the_model_is_lowered() {
    let only = Upstream::always(chat("ok")).await;
    let world = World::over(&[&only]).target(0, |t| t.models[0].max_output_tokens = Some(100));
    let rig = Rig::start(world).await;
    rig.chat(r#"{"max_tokens":1000,"model":"prod-chat","messages":[]}"#).await;
    assert_eq!(only.seen()[0].text(), r#"{"max_tokens":100,"model":"up-t0","messages":[]}"#);
}

#[tokio::test]
async fn only_listed_headers_pass() {
    let only = Upstream::always(chat("ok")).await;
    only.next(upstream::error("500 Internal Server Error", "", "server_error", "b"));
    let mut world = World::over(&[&only]);
    world.targets[0].headers.push(("openai-organization".into(), "org-1".into()));
    let rig = Rig::start(world).await;
    let headers = [
        ("authorization", "Bearer caller-key"),
        ("x-api-key", "caller-key"),
        ("cookie", "a=b"),
        ("x-custom-host", "evil"),
        ("openai-beta", "assistants=v2"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("idempotency-key", "once"),
    ];
    let answer = rig.post_with("/v1/chat/completions", ask(), &headers).await;
    assert_eq!(answer.status, 200);
    let seen = only.seen();
    assert_eq!(seen.len(), 2);
    for seen in &seen {
        assert!(!seen.head.contains("caller-key") && !seen.head.contains("evil"), "{}", seen.head);
        assert_eq!(seen.header("cookie"), None);
        assert_eq!(seen.header("openai-beta"), Some("assistants=v2"));
        assert_eq!(seen.header("openai-organization"), Some("org-1"));
        assert_eq!(seen.header("host"), Some(only.addr.to_string().as_str()));
        assert!(seen.header("traceparent").is_some());
    }
    assert_eq!(seen[0].header("idempotency-key"), Some("once"));
    assert_eq!(seen[1].header("idempotency-key"), None);
}

#[tokio::test]
async fn completions_and_embeddings_with_and_without_v1() {
    let completion = r#"{"choices":[{"text":"x","index":0,"finish_reason":"stop"}]}"#;
    let only = Upstream::always(response("200 OK", "", completion)).await;
    let rig = Rig::start(World::over(&[&only])).await;
    for path in ["/v1/completions", "/completions"] {
        let answer = rig.post(path, r#"{"model":"prod-chat","prompt":"x"}"#).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, completion));
    }
    assert!(only.seen()[0].head.starts_with("POST /v1/completions HTTP/1.1"));

    let embedding = r#"{"object":"list","data":[{"embedding":[0.1],"index":0}],"usage":{"prompt_tokens":1,"total_tokens":1}}"#;
    let only = Upstream::always(response("200 OK", "", embedding)).await;
    let rig = Rig::start(World::over(&[&only])).await;
    for path in ["/v1/embeddings", "/embeddings"] {
        let answer = rig.post(path, r#"{"model":"prod-chat","input":"x"}"#).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, embedding));
    }
}

#[tokio::test]
async fn every_response_says_what_was_decided() {
    let only = Upstream::always(chat("ok")).await;
    let rig = Rig::start(World::over(&[&only])).await;
    let answer = rig.chat(ask()).await;
    for (name, value) in [
        ("x-moniker-alias", "shop/prod-chat"),
        ("x-moniker-target", "shop/t0/m"),
        ("x-moniker-attempts", "1"),
        ("x-moniker-reason", "first_choice"),
    ] {
        assert_eq!(answer.header(name), value);
    }
    assert_eq!(answer.header("x-moniker-revision").len(), 32);
    assert!(!answer.header("x-request-id").is_empty());

    let options = router::pipeline::Options { minimal_headers: true, ..crate::rig::options() };
    let rig = Rig::with(World::over(&[&only]), options).await;
    let answer = rig.chat(ask()).await;
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("x-moniker")));
    assert!(!answer.header("x-request-id").is_empty());
}
