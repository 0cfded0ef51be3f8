//! What a candidate cannot be told: it is filtered before the strategy, and the caller learns of it
//! only when none is left; what is adapted or dropped is told in the metadata.

use routing::{
    Capability,
    ProviderKind::{Anthropic, Gemini, OpenAI},
};
use serde_json::{Value, json};
use testkit::upstream::{Speech, Upstream};

use super::{events, heard, question, world};
use crate::rig::Rig;

async fn upstream() -> Upstream {
    let upstream = Upstream::start().await.unwrap();
    upstream.always(Speech::text("well").script());
    upstream
}

fn with(mut body: Value, member: &str, value: Value) -> String {
    body[member] = value;
    body.to_string()
}

#[tokio::test]
async fn a_field_that_one_dialect_lacks_goes_to_the_next() {
    let [first, second] = [upstream().await, upstream().await];
    let rig = Rig::start(world(&[Anthropic, OpenAI], &[&first, &second])).await;
    let body = with(question("chat/completions", false), "logit_bias", json!({"50256": -100}));
    let answer = rig.post("/v1/chat/completions", body.clone()).await;
    assert_eq!((answer.status, answer.target()), (200, "t1"));
    assert_eq!((first.count(), answer.header("x-moniker-attempts")), (0, "1"));
    let told = rig.explain(&body).await;
    let filtered = told["candidates"][1]["filtered"].as_str().unwrap();
    assert!(filtered.contains("`logit_bias` cannot be sent there"), "{filtered}");
    let told = rig.explain(&question("chat/completions", false).to_string()).await;
    assert_eq!(told["candidates"][0]["translated"], "anthropic", "{told}");
    assert!(told["candidates"][1]["translated"].is_null(), "{told}");
    assert_eq!((first.count(), second.count()), (0, 1), "explaining asks nobody");
}

#[tokio::test]
async fn when_none_is_left_the_field_is_named_in_the_callers_shape() {
    let [first, second] = [upstream().await, upstream().await];
    let rig = Rig::start(world(&[Anthropic, Gemini], &[&first, &second])).await;
    let body = with(question("chat/completions", false), "logit_bias", json!({"1": 1}));
    let answer = rig.post("/v1/chat/completions", body).await;
    let error = answer.json()["error"].clone();
    assert_eq!((answer.status, &error["param"]), (400, &json!("logit_bias")), "{error}");
    assert_eq!(error["code"], "unsupported_parameter");
    assert!(error["message"].as_str().unwrap().contains("shop/t1/m: `logit_bias`"), "{error}");

    let file = json!([{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]);
    let body = with(question("chat/completions", false), "messages", file);
    let error = rig.post("/v1/chat/completions", body).await.json()["error"].clone();
    assert_eq!(error["code"], "not_portable", "{error}");

    let tools = json!([{"type": "computer_20250124", "name": "computer"}]);
    let only = Rig::start(world(&[Gemini], &[&first])).await;
    let answer = only.post("/v1/messages", with(question("messages", false), "tools", tools)).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    let error = answer.json()["error"].clone();
    assert_eq!(error["type"], "invalid_request_error");
    assert!(error["message"].as_str().unwrap().contains("computer"), "{error}");
    let answer =
        only.post("/v1/responses", r#"{"model":"prod-chat","input":"x","background":true}"#);
    let answer = answer.await;
    assert_eq!((answer.status, &answer.json()["error"]["param"]), (400, &json!("background")));
    assert_eq!((first.count(), second.count()), (0, 0));
}

#[tokio::test]
async fn what_cannot_be_read_filters_only_who_needs_it_translated() {
    let [first, second] = [upstream().await, upstream().await];
    let odd = json!([{"role": "user", "content": [{"type": "hologram", "hologram": {}}]}]);
    let body = with(question("chat/completions", false), "messages", odd);
    let rig = Rig::start(world(&[Anthropic, OpenAI], &[&first, &second])).await;
    let answer = rig.post("/v1/chat/completions", body.clone()).await;
    assert_eq!((answer.status, answer.target()), (200, "t1"), "{}", answer.body);
    let only = Rig::start(world(&[Anthropic], &[&first])).await;
    let answer = only.post("/v1/chat/completions", body).await;
    let error = answer.json()["error"].clone();
    assert_eq!((answer.status, &error["code"]), (400, &json!("invalid_request")), "{error}");
    assert!(error["param"].as_str().unwrap().starts_with("messages[0]"), "{error}");
    assert_eq!(first.count(), 0);
}

#[tokio::test]
async fn what_is_adapted_or_dropped_is_told() {
    let only = upstream().await;
    let rig = Rig::start(world(&[Anthropic], &[&only])).await;
    let full = [("x-moniker-metadata", "full")];
    for (protocol, path) in
        [("chat/completions", "/v1/chat/completions"), ("responses", "/v1/responses")]
    {
        for stream in [false, true] {
            let mut body = question(protocol, stream);
            body["temperature"] = json!(1.7);
            body["prompt_cache_key"] = json!("k");
            let answer = rig.post_with(path, body.to_string(), &full).await;
            heard(protocol, stream, &answer);
            let told = if stream {
                let events = events(&answer.body);
                let at = events.iter().position(|e| !e["moniker"].is_null()).unwrap();
                events[at]["moniker"].clone()
            } else {
                answer.json()["moniker"].clone()
            };
            let warning = |field: &str| {
                let list = told["warnings"].as_array().unwrap();
                let found = list.iter().find(|w| w["field"] == field);
                found.unwrap_or_else(|| panic!("{field}: {told}"))["action"].clone()
            };
            assert_eq!(warning("temperature"), "adapted");
            assert_eq!(warning("prompt_cache_key"), "dropped");
            assert_eq!(told["tokens"]["input"], 5, "{told}");
        }
    }
    let sent = only.received()[0].json();
    assert_eq!(
        (sent["temperature"].as_f64(), &sent["prompt_cache_key"]),
        (Some(1.0), &Value::Null)
    );
}

#[tokio::test]
async fn capabilities_are_told_from_every_protocols_body() {
    let [blind, sees] = [upstream().await, upstream().await];
    let mut world = world(&[Anthropic, Gemini], &[&blind, &sees]);
    let lacks = [Capability::Vision, Capability::Documents, Capability::JsonSchema];
    let all = world.targets[0].models[0].capabilities;
    world.targets[0].models[0].capabilities = all.iter().filter(|c| !lacks.contains(c)).collect();
    let rig = Rig::start(world).await;
    let png = "iVBORw0KGgo=";
    let image = json!([{"role": "user", "content": [{"type": "image", "source":
        {"type": "base64", "media_type": "image/png", "data": png}}]}]);
    let input = json!([{"role": "user", "content": [{"type": "input_image",
        "image_url": format!("data:image/png;base64,{png}")}]}]);
    let format = json!({"format": {"type": "json_schema", "name": "n", "schema":
        {"type": "object", "properties": {}}}});
    for (protocol, member, value) in [
        ("messages", "messages", image),
        ("responses", "input", input),
        ("responses", "text", format),
    ] {
        let path = format!("/v1/{protocol}");
        let answer = rig.post(&path, with(question(protocol, false), member, value)).await;
        assert_eq!((answer.status, answer.target()), (200, "t1"), "{member}: {}", answer.body);
    }
    assert_eq!(
        rig.post("/v1/messages", question("messages", false).to_string()).await.target(),
        "t0"
    );
}

#[tokio::test]
async fn an_effort_prefers_who_reasons_and_empties_no_lineup() {
    let [plain, thinks] = [upstream().await, upstream().await];
    let mut world = world(&[OpenAI, OpenAI], &[&plain, &thinks]);
    let all = world.targets[0].models[0].capabilities;
    let without = |c: &Capability| *c != Capability::Reasoning;
    world.targets[0].models[0].capabilities = all.iter().filter(without).collect();
    let rig = Rig::start(world).await;
    let wish = with(question("chat/completions", false), "reasoning_effort", json!("high"));
    assert_eq!(rig.chat(&wish).await.target(), "t1");
    assert_eq!(rig.chat(&question("chat/completions", false).to_string()).await.target(), "t0");
    thinks.stop().await;
    assert_eq!(rig.chat(&wish).await.target(), "t0");
}

#[tokio::test]
async fn models_are_listed_in_the_shape_of_who_asks() {
    let only = upstream().await;
    let rig = Rig::start(world(&[Anthropic], &[&only])).await;
    let request = |path: &str| {
        http::Request::get(path)
            .header("host", rig.addr.to_string())
            .header("anthropic-version", "2023-06-01")
            .body(http_body_util::Full::default())
            .unwrap()
    };
    let list = rig.send(request("/v1/models")).await.json();
    let model = json!({"type": "model", "id": "prod-chat", "display_name": "prod-chat",
                       "created_at": "1970-01-01T00:00:07Z"});
    assert_eq!(list["data"], json!([model]));
    assert_eq!((&list["has_more"], &list["last_id"]), (&json!(false), &json!("prod-chat")));
    assert_eq!(rig.send(request("/v1/models/prod-chat")).await.json(), model);
    let none = rig.send(request("/v1/models/none")).await;
    assert_eq!((none.status, &none.json()["error"]["type"]), (404, &json!("not_found_error")));
    assert_eq!(rig.get("/v1/models").await.json()["object"], "list");
}
