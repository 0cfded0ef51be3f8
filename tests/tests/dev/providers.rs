//! Every kind of provider from YAML, each authenticated as it wants, and keys that are rotated while
//! requests go on.

use std::time::Duration;

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use testkit::{
    moniker::Moniker,
    upstream::{Received, Script, Speech, Upstream},
};

use crate::rig::{Answer, ask, priority, request};

/// The longest that something is waited for; only a failure takes it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A Secret of these keys.
fn secret(name: &str, data: &Value) -> String {
    let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
                        "stringData": data});
    format!("---\n{object}\n")
}

/// A ProviderTarget of this spec, with the model `m` at this base URL.
fn target(name: &str, url: &str, spec: &Value) -> String {
    let mut object = json!({"apiVersion": "moniker.dev/v1alpha1", "kind": "ProviderTarget",
                            "metadata": {"name": name}});
    object["spec"] = spec.clone();
    object["spec"]["endpoint"] = json!({"url": url});
    if object["spec"].get("models").is_none() {
        object["spec"]["models"] = json!([{"name": "m"}]);
    }
    format!("---\n{object}\n")
}

/// The JSON file of a service account's key, whose tokens are given there.
fn account(issuer: &Upstream) -> Value {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der.as_ref())
    );
    json!({"type": "service_account", "client_email": "m@p.iam.gserviceaccount.com",
           "private_key_id": "k1", "private_key": pem,
           "token_uri": format!("http://{}/token", issuer.address())})
}

fn token(token: &str) -> Script {
    Script::json(200, &json!({"access_token": token, "expires_in": 3600, "token_type": "Bearer"}))
}

fn header(received: &Received, name: &str) -> String {
    received.headers.get(name).map_or("", |v| v.to_str().unwrap()).to_owned()
}

#[tokio::test]
async fn every_provider_is_asked_as_it_wants() {
    let upstream = Upstream::start().await.unwrap();
    upstream.always(Speech::text("hello there").script());
    let issuer = Upstream::start().await.unwrap();
    issuer.always(token("tok-1"));
    let base = format!("http://{}", upstream.address());
    let header_auth =
        |name: &str| json!({"type": "Header", "secretRef": {"name": name, "key": "k"}});
    let yaml = [
        secret("plain", &json!({"k": "sk-plain"})),
        secret("aws", &json!({"access-key-id": "AKID", "secret-access-key": "sk-aws"})),
        secret("google", &json!({"key.json": account(&issuer).to_string()})),
        target(
            "azure",
            &base,
            &json!({"provider": "AzureOpenAI", "auth": header_auth("plain"),
            "azureOpenAI": {"mode": "Deployments", "apiVersion": "2024-10-21"},
            "models": [{"name": "m", "upstreamName": "prod-1", "family": "gpt-4o"}]}),
        ),
        target(
            "anthropic",
            &base,
            &json!({"provider": "Anthropic", "auth": header_auth("plain"),
            "models": [{"name": "m", "upstreamName": "claude-sonnet-4-5"}]}),
        ),
        target(
            "gemini",
            &base,
            &json!({"provider": "Gemini", "auth": header_auth("plain"),
            "models": [{"name": "m", "upstreamName": "gemini-2.5-pro"}]}),
        ),
        target(
            "vertex",
            &base,
            &json!({"provider": "VertexAI",
            "vertexAI": {"project": "p", "location": "global"},
            "auth": {"type": "GoogleServiceAccount", "secretRef": {"name": "google", "key": "key.json"}},
            "models": [{"name": "m", "upstreamName": "gemini-2.5-pro"}]}),
        ),
        target(
            "bedrock",
            &base,
            &json!({"provider": "Bedrock", "bedrock": {"region": "eu-west-1"},
            "auth": {"type": "AWSSigV4", "secretRef": {"name": "aws"}},
            "models": [{"name": "m", "upstreamName": "anthropic.claude-sonnet-4-5-20250929-v1:0"}]}),
        ),
    ];
    let names = ["azure", "anthropic", "gemini", "vertex", "bedrock"];
    let aliases: String =
        names.iter().map(|name| priority(&format!("{name}-chat"), &[name], &[])).collect();
    let moniker = Moniker::dev(&(yaml.concat() + &aliases)).await.unwrap();
    for (name, path, header_name, value) in [
        (
            "azure",
            "/openai/deployments/prod-1/chat/completions?api-version=2024-10-21",
            "api-key",
            "sk-plain",
        ),
        ("anthropic", "/messages", "x-api-key", "sk-plain"),
        ("gemini", "/models/gemini-2.5-pro:generateContent", "x-goog-api-key", "sk-plain"),
        (
            "vertex",
            "/projects/p/locations/global/publishers/google/models/gemini-2.5-pro:generateContent",
            "authorization",
            "Bearer tok-1",
        ),
        (
            "bedrock",
            "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKID/",
        ),
    ] {
        for stream in [false, true] {
            let answer = ask(&moniker, &request(&format!("{name}-chat"), stream)).await;
            assert_eq!(
                (answer.status, &*answer.said()),
                (200, "hello there"),
                "{name}: {}",
                answer.body
            );
            let got = upstream.received().pop().unwrap();
            if !stream {
                assert_eq!(got.path, path);
            }
            assert!(header(&got, header_name).starts_with(value), "{name}: {:?}", got.headers);
            // A key stands in one place alone.
            assert!(!got.path.contains("sk-") && !got.path.contains("tok-1"));
        }
    }
    let output = moniker.output();
    for text in ["sk-plain", "sk-aws", "tok-1", "BEGIN PRIVATE KEY"] {
        assert!(!output.contains(text), "{output}");
    }
}

/// Asks until the upstream sees this value of a header; every answer must be good.
async fn until_seen(moniker: &Moniker, upstream: &Upstream, (name, value): (&str, &str)) {
    let seen = async {
        loop {
            let answer: Answer = ask(moniker, &request("chat", false)).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            if header(&upstream.received().pop().unwrap(), name) == value {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.unwrap();
}

#[tokio::test]
async fn rotated_keys_are_in_use_without_a_failed_request() {
    let (upstream, old, new) = (
        Upstream::start().await.unwrap(),
        Upstream::start().await.unwrap(),
        Upstream::start().await.unwrap(),
    );
    upstream.always(Speech::text("hello").script());
    old.always(token("tok-old"));
    new.always(token("tok-new"));
    let base = format!("http://{}", upstream.address());
    let vertex = |key: &Value| {
        secret("google", &json!({"key.json": key.to_string()}))
            + &target(
                "t",
                &base,
                &json!({"provider": "VertexAI",
                "vertexAI": {"project": "p", "location": "eu"},
                "auth": {"type": "GoogleServiceAccount", "secretRef": {"name": "google", "key": "key.json"}}}),
            )
            + &priority("chat", &["t"], &[])
    };
    let moniker = Moniker::dev(&vertex(&account(&old))).await.unwrap();
    until_seen(&moniker, &upstream, ("authorization", "Bearer tok-old")).await;
    moniker.edit(&vertex(&account(&new))).unwrap();
    until_seen(&moniker, &upstream, ("authorization", "Bearer tok-new")).await;
    assert_eq!((old.count(), new.count()), (1, 1));

    let azure = |key: &str| {
        secret("azure", &json!({"k": key}))
            + &target(
                "t",
                &base,
                &json!({"provider": "AzureOpenAI",
                "auth": {"type": "Header", "secretRef": {"name": "azure", "key": "k"}}}),
            )
            + &priority("chat", &["t"], &[])
    };
    moniker.edit(&azure("sk-old")).unwrap();
    until_seen(&moniker, &upstream, ("api-key", "sk-old")).await;
    moniker.edit(&azure("sk-new")).unwrap();
    until_seen(&moniker, &upstream, ("api-key", "sk-new")).await;
}
