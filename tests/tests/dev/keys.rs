//! Real providers by the variables that their users have: whoever has a key sees real answers from
//! the sample at once, and the key is nowhere but in the request.

use serde_json::json;
use testkit::{
    moniker::Moniker,
    upstream::{Script, Speech, Upstream},
};

use crate::{chat, header, post};

/// A key that is easily found where it should not be.
const KEY: &str = "sk-canary-0123456789";

/// All that `moniker dev` wrote into its directory.
fn written(moniker: &Moniker) -> String {
    let files = std::fs::read_dir(moniker.dir()).unwrap().map(|entry| entry.unwrap().path());
    let texts = files.filter(|path| path.is_file()).map(|path| std::fs::read(path).unwrap());
    texts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

#[tokio::test]
async fn a_key_brings_its_provider_into_the_sample() {
    let upstream = Upstream::start().await.unwrap();
    upstream.always(Script::chat("a real answer"));
    let environment = [("OPENAI_API_KEY", KEY), ("OPENAI_BASE_URL", &upstream.url())];
    let mut moniker = Moniker::sample(&environment).await.unwrap();
    let line = moniker.printed("Added: openai (OPENAI_API_KEY").await.unwrap();
    assert!(line.contains(&upstream.url()), "{line}");
    for model in ["prod-chat", "openai"] {
        let (status, headers, body) = post(&moniker, "chat/completions", &chat(model)).await;
        assert_eq!(status, 200, "{body}");
        let target = header(&headers, "x-moniker-target");
        assert!(target.starts_with("default/openai/"), "{target}");
        assert_eq!(body["choices"][0]["message"]["content"], "a real answer");
    }
    let received = upstream.received();
    for request in &received {
        assert_eq!(request.headers["authorization"], format!("Bearer {KEY}"));
        assert!(!request.json()["model"].as_str().unwrap().is_empty());
    }
    let written = written(&moniker);
    assert!(written.contains("Added: openai") && !written.contains("canary"), "{written}");
}

#[tokio::test]
async fn an_access_key_of_aws_signs_requests_to_bedrock() {
    let upstream = Upstream::start().await.unwrap();
    upstream.always(Speech::text("from bedrock").script());
    let url = format!("http://{}", upstream.address());
    let environment = [
        ("AWS_ACCESS_KEY_ID", "AKIACANARY"),
        ("AWS_SECRET_ACCESS_KEY", KEY),
        ("AWS_SESSION_TOKEN", "a-session"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_BEARER_TOKEN_BEDROCK", ""),
        ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", &url),
    ];
    let mut moniker = Moniker::sample(&environment).await.unwrap();
    moniker.printed("Added: bedrock (AWS_ACCESS_KEY_ID at").await.unwrap();
    let (status, headers, body) = post(&moniker, "chat/completions", &chat("bedrock")).await;
    assert_eq!(
        (status, header(&headers, "x-moniker-target")),
        (200, "default/bedrock/claude-haiku-4-5")
    );
    assert_eq!(body["choices"][0]["message"]["content"], "from bedrock");
    let request = upstream.received().remove(0);
    let signed = request.headers["authorization"].to_str().unwrap();
    assert!(signed.starts_with("AWS4-HMAC-SHA256 Credential=AKIACANARY/"), "{signed}");
    assert!(signed.contains("/eu-central-1/bedrock/aws4_request"), "{signed}");
    assert_eq!(request.headers["x-amz-security-token"], "a-session");
    let written = written(&moniker);
    assert!(written.contains("Added: bedrock") && !written.contains("canary"), "{written}");
}

#[tokio::test]
async fn a_key_that_is_refused_is_said() {
    let upstream = Upstream::start().await.unwrap();
    upstream.always(Script::error(401, "invalid_api_key", "Incorrect API key provided"));
    let environment = [("OPENAI_API_KEY", KEY), ("OPENAI_BASE_URL", &upstream.url())];
    let moniker = Moniker::sample(&environment).await.unwrap();
    let (status, headers, body) = post(&moniker, "chat/completions", &chat("openai")).await;
    assert_eq!(status, 502, "{body}");
    assert!(header(&headers, "x-moniker-target").starts_with("default/openai/"));
    assert!(body.to_string().contains("refused this gateway's credential"), "{body}");
}

#[tokio::test]
async fn ollama_is_asked_what_it_has() {
    let upstream = Upstream::start().await.unwrap();
    let models = json!({"object": "list", "data": [{"id": "tiny:1b"}, {"id": "big:70b"}]});
    upstream.then(Script::json(200, &models)).always(Script::chat("from here"));
    let host = upstream.address().to_string();
    let mut moniker = Moniker::sample(&[("OLLAMA_HOST", &host)]).await.unwrap();
    let line = moniker.printed("Added: ollama").await.unwrap();
    assert!(line.contains("tiny:1b") && line.contains("big:70b"), "{line}");
    let (status, headers, body) = post(&moniker, "chat/completions", &chat("ollama")).await;
    assert_eq!((status, header(&headers, "x-moniker-target")), (200, "default/ollama/tiny:1b"));
    assert_eq!(body["choices"][0]["message"]["content"], "from here");
}

#[tokio::test]
async fn without_a_key_the_sample_says_which_to_set() {
    let unset = ["OPENAI", "ANTHROPIC", "GEMINI", "GOOGLE", "GROQ", "MISTRAL", "DEEPSEEK", "XAI"];
    let names = unset.iter().chain(&["OPENROUTER", "TOGETHER"]).map(|n| format!("{n}_API_KEY"));
    let mut names: Vec<String> = names.collect();
    names.extend(
        ["OLLAMA_HOST", "AWS_ACCESS_KEY_ID", "AWS_BEARER_TOKEN_BEDROCK"].map(str::to_owned),
    );
    let environment: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let mut moniker = Moniker::sample(&environment).await.unwrap();
    let line = moniker.printed("The demo provider alone answers").await.unwrap();
    assert!(line.contains("OPENAI_API_KEY") && line.contains("OLLAMA_HOST"), "{line}");
}
