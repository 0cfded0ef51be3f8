//! The first ten minutes: the sample lineup, a curl, a broken target, an edit of a weight.

use serde_json::json;
use testkit::{fleet::Router, moniker::Moniker};

use crate::{SAMPLE, chat, client, header, post};

/// The sample with the demo upstream at the port that this run was given.
async fn sample() -> (Moniker, String) {
    sample_with(&[]).await
}

async fn sample_with(args: &[&str]) -> (Moniker, String) {
    let mut moniker = Moniker::dev_with(SAMPLE, args, &[]).await.unwrap();
    let line = moniker.printed("Demo upstream:").await.unwrap();
    let demo = line.split_once("http://").unwrap().1.split('/').next().unwrap().to_owned();
    let lineup = SAMPLE.replace("127.0.0.1:8091", &demo);
    moniker.edit(&lineup).unwrap();
    moniker.printed("Loaded again").await.unwrap();
    (moniker, lineup)
}

#[tokio::test]
async fn the_sample_serves_chat_streams_and_embeddings() {
    let (moniker, _) = sample().await;

    let (status, headers, body) = post(&moniker, "chat/completions", &chat("prod-chat")).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(header(&headers, "x-moniker-alias"), "default/prod-chat");
    assert_eq!(header(&headers, "x-moniker-target"), "default/demo/demo-large");
    assert_eq!(header(&headers, "x-moniker-attempts"), "1");
    assert!(!header(&headers, "x-request-id").is_empty());
    assert!(!body["choices"][0]["message"]["content"].as_str().unwrap().is_empty(), "{body}");

    let mut request = chat("prod-chat");
    request["stream"] = json!(true);
    let answer = client().post(moniker.at("chat/completions")).json(&request).send().await.unwrap();
    assert!(header(answer.headers(), "content-type").starts_with("text/event-stream"));
    let text = answer.text().await.unwrap();
    assert!(text.matches("data: {").count() > 2, "word by word: {text}");
    assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");

    let request = json!({"model": "prod-embed", "input": ["a", "b"]});
    let (status, _, body) = post(&moniker, "embeddings", &request).await;
    assert_eq!((status, body["data"].as_array().unwrap().len()), (200, 2));

    let models = client().get(moniker.at("models")).send().await.unwrap();
    let models: serde_json::Value = models.json().await.unwrap();
    let ids: Vec<_> =
        models["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["ab-chat", "prod-chat", "prod-embed"]);
}

#[tokio::test]
async fn the_printed_line_starts_another_router() {
    let (mut moniker, _) = sample_with(&["--stream", "127.0.0.1:0"]).await;
    let first = moniker.printed("moniker router --controller").await.unwrap();
    let second = moniker.printed("--admin 127.0.0.1:9091").await.unwrap();
    let line = format!("{first} {second}").replace(['\\', '\n'], " ");
    // The same but for the ports, which tests beside this one may have.
    let line =
        line.replace("127.0.0.1:8081", "127.0.0.1:0").replace("127.0.0.1:9091", "127.0.0.1:0");
    let words: Vec<&str> = line.split_whitespace().skip_while(|word| *word != "router").collect();
    assert!(words.contains(&"--dev"), "{line}");
    let router = Router::start(&words[1..]).await.unwrap();
    let url = format!("{}/chat/completions", router.url());
    let answer = client().post(url).json(&chat("prod-chat")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(header(answer.headers(), "x-moniker-target"), "default/demo/demo-large");
}

#[tokio::test]
async fn a_broken_target_is_fallen_back_from() {
    let (moniker, lineup) = sample().await;
    // A port on which nothing listens.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut broken = lineup.clone();
    let at = broken.find("endpoint: {url: http://").unwrap() + "endpoint: {url: http://".len();
    let end = at + broken[at..].find('/').unwrap();
    broken.replace_range(at..end, &closed.to_string());
    edit(moniker, &broken, |headers| {
        assert_eq!(header(headers, "x-moniker-target"), "default/demo-backup/demo-large");
        assert_eq!(header(headers, "x-moniker-attempts"), "2");
    })
    .await;
}

/// Edits, waits until that is loaded, asks once more and checks the answer's headers.
async fn edit(mut moniker: Moniker, lineup: &str, check: impl Fn(&http::HeaderMap)) {
    moniker.edit(lineup).unwrap();
    moniker.printed_times("Loaded again", 2).await.unwrap();
    let (status, headers, body) = post(&moniker, "chat/completions", &chat("prod-chat")).await;
    assert_eq!(status, 200, "{body}");
    check(&headers);
}

#[tokio::test]
async fn an_edit_of_the_order_is_served_on_the_next_request() {
    let (moniker, lineup) = sample().await;
    let swapped = lineup
        .replace("{name: first, model: demo-large,", "{name: first, model: demo-small,")
        .replace("[{name: demo}, {name: demo-backup}]", "[{name: demo}]");
    edit(moniker, &swapped, |headers| {
        assert_eq!(header(headers, "x-moniker-target"), "default/demo/demo-small");
    })
    .await;
}

#[tokio::test]
async fn explain_says_why_and_calls_nobody() {
    let (moniker, _) = sample().await;
    let (status, _, body) = post(&moniker, "explain/chat/completions", &chat("prod-chat")).await;
    assert_eq!(status, 200, "{body}");
    let text = body.to_string();
    for candidate in ["default/demo/demo-large", "default/demo-backup/demo-large"] {
        assert!(text.contains(candidate), "{text}");
    }
    assert!(text.contains("Priority"), "{text}");
}

#[tokio::test]
async fn the_admin_port_tells_what_is_believed_and_measured() {
    let (moniker, _) = sample().await;
    post(&moniker, "chat/completions", &chat("prod-chat")).await;
    let get = async |path: &str| {
        let answer = client().get(moniker.admin(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get("livez").await.0, 200);
    assert_eq!(get("readyz").await.0, 200);
    let (status, config) = get("config").await;
    assert_eq!(status, 200);
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert!(config["revision"].is_string(), "{config}");
    let (status, metrics) = get("metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("default/prod-chat"), "{metrics}");
    assert!(metrics.contains("default/demo/demo-large"), "{metrics}");
}
