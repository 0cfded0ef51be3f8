//! The router's own identity over real sockets: what stands in for Entra, Google's token service and
//! metadata server, AWS's token service and EKS Pod Identity, and files of tokens that are replaced.

use std::{path::PathBuf, time::Duration};

use routing::{AuthKind, ProviderKind, snapshot::CompiledOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    credentials::{assumed, expected, parts, token},
    rig::{Rig, World, ask},
    upstream::{Do, Upstream, chat, refused, response},
};

const FULL: [(&str, &str); 1] = [("x-moniker-metadata", "full")];
const ROLE: &str = "arn:aws:iam::123456789012:role/router";

/// A lineup of targets of these kinds that may use the identity, each at its own upstream.
fn world(kinds: &[(ProviderKind, &Upstream)]) -> World {
    let upstreams: Vec<_> = kinds.iter().map(|(_, upstream)| *upstream).collect();
    let mut world = World::over(&upstreams);
    for (target, (kind, upstream)) in world.targets.iter_mut().zip(kinds) {
        target.provider = *kind;
        target.endpoint.url = format!("http://{}", upstream.addr);
        target.auth.kind = AuthKind::WorkloadIdentity;
        target.auth.identity = true;
        target.options = match kind {
            ProviderKind::VertexAI => {
                CompiledOptions::VertexAi { project: "p".into(), location: "eu".into() }
            }
            ProviderKind::Bedrock => {
                CompiledOptions::Bedrock { region: "eu-west-1".into(), role_arn: None }
            }
            _ => CompiledOptions::None,
        };
    }
    world
}

/// Files that a pod has.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Writes a file as kubelet does, another in its place, and says where it is.
    fn put(&self, name: &str, text: &str) -> String {
        let (new, path): (PathBuf, PathBuf) = (self.0.path().join("new"), self.0.path().join(name));
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &path).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// The environment that Azure's webhook gives a pod.
fn azure(entra: &Upstream, file: String) -> [(&'static str, String); 4] {
    [
        ("AZURE_TENANT_ID", "tenant-1".to_owned()),
        ("AZURE_CLIENT_ID", "client-1".to_owned()),
        ("AZURE_FEDERATED_TOKEN_FILE", file),
        ("AZURE_AUTHORITY_HOST", format!("http://{}/", entra.addr)),
    ]
}

/// The pairs of a form.
fn form(text: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

fn field<'f>(form: &'f [(String, String)], name: &str) -> &'f str {
    form.iter().find(|(n, _)| n == name).map_or("", |(_, text)| text.as_str())
}

fn gemini() -> Vec<Do> {
    let body = json!({
        "candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4},
    });
    response("200 OK", "", &body.to_string())
}

fn converse() -> Vec<Do> {
    let body = json!({
        "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4},
    });
    response("200 OK", "", &body.to_string())
}

/// Lets so much time pass for the router, and none on its sockets.
async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn entra_gives_one_token_for_all_targets_and_a_new_one_ahead_of_its_end() {
    let (first, second) = (Upstream::always(chat("hi")).await, Upstream::always(chat("yo")).await);
    let entra = Upstream::always(token("tok-1")).await;
    let files = Files::new();
    let file = files.put("azure", "projected-1\n");
    let kinds = [(ProviderKind::AzureOpenAI, &first), (ProviderKind::AzureOpenAI, &second)];
    let rig = Rig::with_environment(world(&kinds), &azure(&entra, file)).await;
    for _ in 0..3 {
        assert_eq!(rig.chat(ask()).await.status, 200);
    }
    first.next(response("503 Service Unavailable", "", "{}"));
    assert_eq!(rig.chat(ask()).await.target(), "t1");
    let carried = |upstream: &Upstream| {
        let seen = upstream.seen();
        seen.iter().map(|s| s.header("authorization").unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(carried(&first), ["Bearer tok-1"; 4]);
    assert_eq!(carried(&second), ["Bearer tok-1"]);
    let asked = entra.seen();
    assert_eq!(asked.len(), 1, "one question for all targets and requests");
    assert!(asked[0].head.starts_with("POST /tenant-1/oauth2/v2.0/token HTTP/1.1"));
    assert_eq!(asked[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    let sent = form(asked[0].text());
    for (name, text) in [
        ("grant_type", "client_credentials"),
        ("client_id", "client-1"),
        ("scope", "https://cognitiveservices.azure.com/.default"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", "projected-1"),
    ] {
        assert_eq!(field(&sent, name), text, "{name}");
    }

    // Kubernetes has written another token before the one of Entra ends: the old one is used until
    // the new one is there, and nobody waits for it.
    files.put("azure", "projected-2");
    entra.next([vec![Do::Wait], token("tok-2")].concat());
    later(Duration::from_secs(3301)).await;
    entra.asked(2).await;
    assert_eq!(rig.chat(ask()).await.status, 200);
    assert_eq!(carried(&first).last().unwrap(), "Bearer tok-1");
    assert_eq!(field(&form(entra.seen()[1].text()), "client_assertion"), "projected-2");
    entra.go_on();
    while carried(&first).last().unwrap() != "Bearer tok-2" {
        assert_eq!(rig.chat(ask()).await.status, 200);
    }
    assert_eq!(entra.count(), 2);
}

#[tokio::test]
async fn a_token_outlives_the_trouble_of_who_gives_it() {
    let upstream = Upstream::always(chat("hi")).await;
    let refusal = r#"{"error":"invalid_client","error_description":"AADSTS700024: expired"}"#;
    let entra = Upstream::always(response("401 Unauthorized", "", refusal)).await;
    entra.next(token("tok-1"));
    let file = Files::new();
    let environment = azure(&entra, file.put("azure", "projected"));
    let world = world(&[(ProviderKind::AzureOpenAI, &upstream)]);
    let rig = Rig::with_environment(world, &environment).await;
    assert_eq!(rig.chat(ask()).await.status, 200);
    later(Duration::from_secs(3301)).await;
    entra.asked(2).await;
    assert_eq!(rig.chat(ask()).await.status, 200);
    // Past its end there is nothing left to send.
    later(Duration::from_secs(300)).await;
    entra.asked(3).await;
    let answer = rig.post_with("/v1/chat/completions", ask(), &FULL).await;
    assert_eq!(answer.status, 502);
    assert!(answer.body.contains("AADSTS700024"), "{}", answer.body);
    assert_eq!(upstream.count(), 2);
}

#[tokio::test]
async fn without_leave_nobody_is_asked() {
    let (first, second) = (Upstream::always(chat("hi")).await, Upstream::always(chat("yo")).await);
    let entra = Upstream::always(token("tok-1")).await;
    let file = Files::new();
    let environment = azure(&entra, file.put("azure", "projected"));
    let kinds = [(ProviderKind::AzureOpenAI, &first), (ProviderKind::AzureOpenAI, &second)];
    let allowed = world(&kinds).target(1, |target| {
        target.auth.kind = AuthKind::None;
        target.auth.identity = false;
    });
    let refused = World { targets: allowed.targets.clone(), ..world(&kinds) }
        .target(0, |target| target.auth.identity = false);
    let rig = Rig::with_environment(refused, &environment).await;
    assert_eq!(rig.chat(ask()).await.target(), "t1");
    let explained = rig.explain(ask()).await;
    assert!(explained.to_string().contains("credential"), "{explained}");
    assert_eq!((first.count(), entra.count()), (0, 0));
    // Leave is given, and taken away.
    rig.apply(&allowed);
    assert_eq!(rig.chat(ask()).await.target(), "t0");
    let refused = World { targets: allowed.targets.clone(), ..world(&kinds) }
        .target(0, |target| target.auth.identity = false);
    rig.apply(&refused);
    assert_eq!(rig.chat(ask()).await.target(), "t1");
    assert_eq!((first.count(), entra.count()), (1, 1));
}

#[tokio::test]
async fn a_fault_has_a_class_and_no_token() {
    let (first, second) = (Upstream::always(chat("hi")).await, Upstream::always(chat("yo")).await);
    let files = Files::new();
    let secret = "canary0123456789";
    let said = format!(r#"{{"error":"invalid_client","error_description":"not {secret} here"}}"#);
    let entra = Upstream::always(response("401 Unauthorized", "", &said)).await;
    let kinds = [(ProviderKind::AzureOpenAI, &first), (ProviderKind::AzureOpenAI, &second)];
    let lineup = || world(&kinds).target(1, |target| target.auth.kind = AuthKind::None);
    let told = async |set: &[(&str, String)]| {
        let rig = Rig::with_environment(lineup(), set).await;
        let answer = rig.post_with("/v1/chat/completions", ask(), &FULL).await;
        assert_eq!((answer.status, answer.target()), (200, "t1"), "{}", answer.body);
        assert!(!answer.body.contains(secret), "{}", answer.body);
        answer.body
    };
    let environment = azure(&entra, files.put("azure", secret));
    let body = told(&environment).await;
    assert!(
        body.contains(r#""Auth""#) && body.contains("invalid_client: not [redacted] here"),
        "{body}"
    );
    // What the pod lacks is named.
    let body = told(&environment[1..]).await;
    assert!(body.contains("AZURE_TENANT_ID is not set"), "{body}");
    let mut gone = environment.clone();
    gone[2].1 = files.0.path().join("nowhere").to_str().unwrap().to_owned();
    let body = told(&gone).await;
    assert!(body.contains("AZURE_FEDERATED_TOKEN_FILE") && body.contains("is not read"), "{body}");
    let mut nobody = environment.clone();
    nobody[3].1 = format!("http://{}", refused().await);
    let body = told(&nobody).await;
    assert!(body.contains(r#""Connect""#), "{body}");
    let slow = Upstream::always(response("429 Too Many Requests", "", "{}")).await;
    let body = told(&azure(&slow, environment[2].1.clone())).await;
    assert!(body.contains(r#""RateLimited""#), "{body}");
    assert_eq!(first.count(), 0);
}

#[tokio::test]
async fn the_metadata_server_gives_the_pods_token() {
    let (upstream, metadata) =
        (Upstream::always(gemini()).await, Upstream::always(token("tok-1")).await);
    let set = [("GCE_METADATA_HOST", metadata.addr.to_string())];
    let world = world(&[(ProviderKind::VertexAI, &upstream)]);
    let rig = Rig::with_environment(world, &set).await;
    assert_eq!(rig.chat(ask()).await.status, 200);
    let asked = &metadata.seen()[0];
    let path = "GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1";
    assert!(asked.head.starts_with(path), "{}", asked.head);
    assert_eq!(asked.header("metadata-flavor"), Some("Google"));
    assert_eq!(upstream.seen()[0].header("authorization"), Some("Bearer tok-1"));
}

#[tokio::test]
async fn what_the_metadata_server_says_is_told() {
    let upstream = Upstream::always(gemini()).await;
    let metadata =
        Upstream::always(response("404 Not Found", "", "service account not bound\n")).await;
    let set = [("GCE_METADATA_HOST", metadata.addr.to_string())];
    let world = world(&[(ProviderKind::VertexAI, &upstream)]);
    let rig = Rig::with_environment(world, &set).await;
    let answer = rig.post_with("/v1/chat/completions", ask(), &FULL).await;
    assert_eq!(answer.status, 502);
    assert!(answer.body.contains("service account not bound"), "{}", answer.body);
}

/// A configuration of workload identity federation.
fn federation(sts: &Upstream, source: &Value, more: &Value) -> String {
    let mut config = json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("http://{}/v1/token", sts.addr),
        "credential_source": source,
    });
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    config.to_string()
}

#[tokio::test]
async fn a_token_of_kubernetes_is_exchanged_at_google() {
    let upstream = Upstream::always(gemini()).await;
    let sts = Upstream::always(token("tok-sts")).await;
    let files = Files::new();
    let source = json!({"file": files.put("gcp", "projected-1\n"), "format": {"type": "text"}});
    let config = files.put("config.json", &federation(&sts, &source, &json!({})));
    let set = [("GOOGLE_APPLICATION_CREDENTIALS", config)];
    let rig = Rig::with_environment(world(&[(ProviderKind::VertexAI, &upstream)]), &set).await;
    assert_eq!(rig.chat(ask()).await.status, 200);
    assert_eq!(upstream.seen()[0].header("authorization"), Some("Bearer tok-sts"));
    let asked = &sts.seen()[0];
    assert!(asked.head.starts_with("POST /v1/token HTTP/1.1"), "{}", asked.head);
    let sent = form(asked.text());
    for (name, text) in [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("scope", "https://www.googleapis.com/auth/cloud-platform"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", "projected-1"),
    ] {
        assert_eq!(field(&sent, name), text, "{name}");
    }
    assert!(field(&sent, "audience").ends_with("/providers/k"));
}

#[tokio::test]
async fn a_service_account_is_impersonated_with_the_exchanged_token() {
    let upstream = Upstream::always(gemini()).await;
    let sts = Upstream::always(token("tok-sts")).await;
    let given = r#"{"accessToken":"tok-sa","expireTime":"2999-01-01T00:00:00Z"}"#;
    let iam = Upstream::always(response("200 OK", "", given)).await;
    let files = Files::new();
    let source = json!({
        "file": files.put("gcp.json", r#"{"token":"projected-1"}"#),
        "format": {"type": "json", "subject_token_field_name": "token"},
    });
    let url =
        format!("http://{}/v1/projects/-/serviceAccounts/m@p.iam:generateAccessToken", iam.addr);
    let more = json!({
        "service_account_impersonation_url": url,
        "service_account_impersonation": {"token_lifetime_seconds": 600},
    });
    let config = files.put("config.json", &federation(&sts, &source, &more));
    let set = [("GOOGLE_APPLICATION_CREDENTIALS", config)];
    let rig = Rig::with_environment(world(&[(ProviderKind::VertexAI, &upstream)]), &set).await;
    assert_eq!(rig.chat(ask()).await.status, 200);
    assert_eq!(upstream.seen()[0].header("authorization"), Some("Bearer tok-sa"));
    assert_eq!(field(&form(sts.seen()[0].text()), "subject_token"), "projected-1");
    let asked = &iam.seen()[0];
    assert_eq!(asked.header("authorization"), Some("Bearer tok-sts"));
    let sent: Value = serde_json::from_str(asked.text()).unwrap();
    assert_eq!(sent["scope"], json!(["https://www.googleapis.com/auth/cloud-platform"]));
    assert_eq!(sent["lifetime"], "600s");
}

#[tokio::test]
async fn a_configuration_that_is_none_of_kubernetes_is_refused() {
    let upstream = Upstream::always(gemini()).await;
    let sts = Upstream::always(token("tok-sts")).await;
    let files = Files::new();
    let aws = json!({"environment_id": "aws1", "url": "http://169.254.169.254/"});
    for (text, told) in [
        (r#"{"type":"service_account","private_key":"canary"}"#.to_owned(), "external_account"),
        ("canary".to_owned(), "is no configuration"),
        (federation(&sts, &aws, &json!({})), "has no credential_source.file"),
        (federation(&sts, &json!({"file": "/nowhere"}), &json!({})), "is not read"),
    ] {
        let set = [("GOOGLE_APPLICATION_CREDENTIALS", files.put("config.json", &text))];
        let rig = Rig::with_environment(world(&[(ProviderKind::VertexAI, &upstream)]), &set).await;
        let answer = rig.post_with("/v1/chat/completions", ask(), &FULL).await;
        assert_eq!(answer.status, 502);
        assert!(answer.body.contains(told) && !answer.body.contains("canary"), "{}", answer.body);
    }
    assert_eq!((upstream.count(), sts.count()), (0, 0));
}

/// The environment that EKS gives a pod whose ServiceAccount names a role.
fn irsa(sts: &Upstream, file: String) -> [(&'static str, String); 3] {
    [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file),
        ("AWS_ROLE_ARN", ROLE.to_owned()),
        ("AWS_ENDPOINT_URL_STS", format!("http://{}/", sts.addr)),
    ]
}

#[tokio::test]
async fn a_role_is_assumed_by_a_token_of_kubernetes() {
    let upstream = Upstream::always(converse()).await;
    let sts = Upstream::always(assumed("of-identity")).await;
    let files = Files::new();
    let set = irsa(&sts, files.put("aws", "projected-1"));
    let rig = Rig::with_environment(world(&[(ProviderKind::Bedrock, &upstream)]), &set).await;
    assert_eq!(rig.chat(ask()).await.status, 200);
    let asked = &sts.seen()[0];
    assert_eq!(asked.header("authorization"), None, "it is not signed");
    let sent = form(asked.text());
    for (name, text) in [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("RoleArn", ROLE),
        ("RoleSessionName", "moniker"),
        ("WebIdentityToken", "projected-1"),
    ] {
        assert_eq!(field(&sent, name), text, "{name}");
    }
    let seen = &upstream.seen()[0];
    assert!(parts(seen).0.starts_with("ASIA1/"));
    assert_eq!(seen.header("x-amz-security-token"), Some("session-1"));
    assert_eq!(parts(seen).2, expected(seen, "of-identity"));
}

#[tokio::test]
async fn a_targets_role_is_assumed_by_the_identity() {
    let (first, second) = (Upstream::always(converse()).await, Upstream::always(converse()).await);
    let sts = Upstream::always(assumed("of-target")).await;
    sts.next(assumed("of-identity"));
    let files = Files::new();
    let set = irsa(&sts, files.put("aws", "projected-1"));
    let kinds = [(ProviderKind::Bedrock, &first), (ProviderKind::Bedrock, &second)];
    let target = "arn:aws:iam::210987654321:role/models";
    let mut world = world(&kinds);
    for one in &mut world.targets {
        one.options = CompiledOptions::Bedrock {
            region: "eu-west-1".into(),
            role_arn: Some(target.to_owned()),
        };
    }
    let rig = Rig::with_environment(world, &set).await;
    first.next(response("503 Service Unavailable", "", "{}"));
    assert_eq!(rig.chat(ask()).await.target(), "t1");
    let asked = sts.seen();
    assert_eq!(asked.len(), 2, "one question for the identity, one for the role");
    assert_eq!(field(&form(asked[1].text()), "RoleArn"), target);
    assert_eq!(parts(&asked[1]).2, expected(&asked[1], "of-identity"));
    let seen = &second.seen()[0];
    assert_eq!(parts(seen).2, expected(seen, "of-target"));
}

#[tokio::test]
async fn eks_gives_keys_to_its_pods() {
    let upstream = Upstream::always(converse()).await;
    let keys = r#"{"AccessKeyId":"ASIA2","SecretAccessKey":"of-pod","Token":"session-2","AccountId":"1","Expiration":"2999-01-01T00:00:00Z"}"#;
    let agent = Upstream::always(response("200 OK", "", keys)).await;
    let files = Files::new();
    let set = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{}/v1/credentials", agent.addr)),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", files.put("eks", "projected-1\n")),
    ];
    let rig = Rig::with_environment(world(&[(ProviderKind::Bedrock, &upstream)]), &set).await;
    assert_eq!(rig.chat(ask()).await.status, 200);
    let asked = &agent.seen()[0];
    assert!(asked.head.starts_with("GET /v1/credentials HTTP/1.1"), "{}", asked.head);
    assert_eq!(asked.header("authorization"), Some("projected-1"));
    let seen = &upstream.seen()[0];
    assert_eq!(seen.header("x-amz-security-token"), Some("session-2"));
    assert_eq!(parts(seen).2, expected(seen, "of-pod"));

    // A day at most is believed; then the file is read again.
    files.put("eks", "projected-2");
    later(Duration::from_secs(24 * 3600 - 299)).await;
    agent.asked(2).await;
    assert_eq!(agent.seen()[1].header("authorization"), Some("projected-2"));
    assert_eq!(rig.chat(ask()).await.status, 200);
    // What it says of a token is scrubbed.
    let said = r#"{"code":"AccessDenied","message":"projected-2 is not bound"}"#;
    agent.next(response("403 Forbidden", "", said));
    let rig = Rig::with_environment(world(&[(ProviderKind::Bedrock, &upstream)]), &set).await;
    let answer = rig.post_with("/v1/chat/completions", ask(), &FULL).await;
    assert_eq!(answer.status, 502);
    assert!(answer.body.contains("AccessDenied: [redacted] is not bound"), "{}", answer.body);
}

#[tokio::test]
async fn a_pod_without_an_identity_says_so() {
    let upstream = Upstream::always(converse()).await;
    let rig = Rig::with_environment(world(&[(ProviderKind::Bedrock, &upstream)]), &[]).await;
    let answer = rig.post_with("/v1/chat/completions", ask(), &FULL).await;
    assert_eq!(answer.status, 502);
    assert!(answer.body.contains("this router has no identity of AWS"), "{}", answer.body);
}
