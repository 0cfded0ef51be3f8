//! A real router with an identity at each cloud: who gives tokens is found under its own name, by
//! https, or at the one link-local address that is for that and for nothing else.

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{
    ca::Ca,
    fleet::Router,
    moniker::Moniker,
    upstream::{Script, Upstream},
};

use crate::{
    client,
    rig::{Answer, alias, entry, request},
};

const VERTEX: &str = "vertex";
const BEDROCK: &str = "bedrock";
const AZURE: &str = "azure";

/// The providers, what they answer, and a `moniker dev` that offers each under its name. Its own router
/// has no identity anywhere.
struct Clouds {
    azure: Upstream,
    vertex: Upstream,
    bedrock: Upstream,
    stream: String,
    files: TempDir,
    _dev: Moniker,
}

fn target(name: &str, provider: &str, url: &str, more: &str) -> String {
    format!(
        "---\napiVersion: moniker.dev/v1alpha1\nkind: ProviderTarget\nmetadata: {{name: {name}}}\n\
         spec:\n  provider: {provider}\n  endpoint: {{url: \"{url}\"}}\n  \
         auth: {{type: WorkloadIdentity}}\n  models: [{{name: m}}]\n  {more}\n"
    ) + &alias(name, "Priority", &[entry(name, "")], &[])
}

impl Clouds {
    async fn start(more: &str) -> Self {
        let [azure, vertex, bedrock] =
            [Upstream::start().await, Upstream::start().await, Upstream::start().await]
                .map(Result::unwrap);
        vertex.always(Script::json(
            200,
            &json!({
                "candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]},
                                "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1},
            }),
        ));
        bedrock.always(Script::json(
            200,
            &json!({
                "output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}},
                "stopReason": "end_turn",
                "usage": {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4},
            }),
        ));
        let at = |upstream: &Upstream| format!("http://{}", upstream.address());
        let yaml = target(AZURE, "AzureOpenAI", &at(&azure), "")
            + &target(VERTEX, "VertexAI", &at(&vertex), "vertexAI: {project: p, location: eu}")
            + &target(BEDROCK, "Bedrock", &at(&bedrock), "bedrock: {region: eu-west-1}")
            + more;
        let unset =
            ["AZURE_TENANT_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "GOOGLE_APPLICATION_CREDENTIALS"];
        let mut environment: Vec<_> = unset.map(|name| (name, "")).into();
        environment.push(("GCE_METADATA_HOST", "127.0.0.1:9"));
        let mut dev =
            Moniker::dev_with(&yaml, &["--stream", "127.0.0.1:0"], &environment).await.unwrap();
        let stream = dev.stream().await.unwrap();
        Self { azure, vertex, bedrock, stream, files: TempDir::new().unwrap(), _dev: dev }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    async fn router(&self, args: &[&str], environment: &[(&str, &str)]) -> Router {
        Router::join_with(&self.stream, "router", args, environment).await.unwrap()
    }
}

async fn ask(router: &Router, model: &str) -> Answer {
    let sent = client()
        .post(format!("{}/chat/completions", router.url()))
        .header("content-type", "application/json")
        .header("x-moniker-metadata", "full")
        .body(request(model, false));
    Answer::of(sent.send().await.unwrap()).await
}

/// The last `authorization` that an upstream saw.
fn authorization(upstream: &Upstream) -> String {
    let received = upstream.received();
    received.last().unwrap().headers["authorization"].to_str().unwrap().to_owned()
}

fn token(token: &str) -> Script {
    let body = json!({"access_token": token, "expires_in": 3600, "token_type": "Bearer"});
    Script::json(200, &body)
}

fn credentials() -> Value {
    json!({
        "AccessKeyId": "ASIAPOD", "SecretAccessKey": "canary-secret", "Token": "canary-session",
        "Expiration": "2999-01-01T00:00:00Z",
    })
}

#[tokio::test]
async fn clouds_are_asked_under_their_own_names_by_https() {
    let clouds = Clouds::start("").await;
    let ca = Ca::new().unwrap();
    let names = [
        "login.microsoftonline.com",
        "sts.eu-west-1.amazonaws.com",
        "sts.googleapis.com",
        "iamcredentials.googleapis.com",
    ];
    let (mut issuers, mut resolve) = (Vec::new(), Vec::new());
    for name in names {
        let acceptor = ca.acceptor(&[name]).unwrap();
        let issuer = Upstream::listen("127.0.0.1:0", Some(acceptor)).await.unwrap();
        resolve.push(format!("{name}={}", issuer.address()));
        issuers.push(issuer);
    }
    issuers[0].always(token("canary-entra"));
    let xml = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
               <AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>canary</SecretAccessKey>\
               <SessionToken>canary-session</SessionToken><Expiration>2999-01-01T00:00:00Z\
               </Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
               </AssumeRoleWithWebIdentityResponse>";
    issuers[1].always(Script::answer(200, &[("content-type", "text/xml")], xml));
    issuers[2].always(token("canary-exchanged"));
    let given = json!({"accessToken": "canary-account", "expireTime": "2999-01-01T00:00:00Z"});
    issuers[3].always(Script::json(200, &given));
    let projected = clouds.file("token", "canary-projected\n");
    let account = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/\
                   m@p.iam.gserviceaccount.com:generateAccessToken";
    let federation = json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": projected},
        "service_account_impersonation_url": account,
    });
    let (federation, ca) =
        (clouds.file("google.json", &federation.to_string()), clouds.file("ca.crt", ca.pem()));
    let environment = [
        ("SSL_CERT_FILE", ca.as_str()),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_FEDERATED_TOKEN_FILE", &projected),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &projected),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/router"),
        ("GOOGLE_APPLICATION_CREDENTIALS", &federation),
    ];
    let router = clouds.router(&["--resolve", &resolve.join(",")], &environment).await;
    for model in [AZURE, VERTEX, BEDROCK] {
        let answer = ask(&router, model).await;
        assert_eq!((answer.status, answer.said().as_str()), (200, "hello"), "{}", answer.body);
    }
    assert_eq!(authorization(&clouds.azure), "Bearer canary-entra");
    assert_eq!(authorization(&clouds.vertex), "Bearer canary-account");
    assert!(authorization(&clouds.bedrock).starts_with("AWS4-HMAC-SHA256 Credential=ASIAROLE/"));
    assert_eq!(issuers[3].received()[0].headers["authorization"], "Bearer canary-exchanged");
    for issuer in &issuers {
        assert_eq!(issuer.count(), 1);
    }
    assert!(!router.output().contains("canary"), "{}", router.output());
}

#[tokio::test]
async fn link_local_addresses_are_reached_for_the_identity_alone() {
    let google = Upstream::listen("169.254.169.254:0", None).await;
    let agent = Upstream::listen("169.254.170.23:0", None).await;
    let (Ok(google), Ok(agent)) = (google, agent) else {
        eprintln!("skipped: this machine has no link-local addresses; cargo xtask test gives them");
        return;
    };
    google.always(token("canary-metadata"));
    agent.always(Script::json(200, &credentials()));
    // A target that somebody leads there by its name.
    let more = "---\napiVersion: moniker.dev/v1alpha1\nkind: ProviderTarget\nmetadata: {name: thief}\n\
                spec:\n  provider: OpenAICompatible\n  endpoint: {url: \"https://thief.example/v1\"}\n  \
                auth: {type: None}\n  models: [{name: m}]\n"
        .to_owned()
        + &alias("thief", "Priority", &[entry("thief", "")], &[]);
    let clouds = Clouds::start(&more).await;
    let projected = clouds.file("token", "canary-projected\n");
    let resolve = format!("metadata.google.internal={0},thief.example={0}", google.address());
    let everything = ["--resolve", &resolve, "--allow-cidr", "0.0.0.0/0"];
    let keys = format!("http://{}/v1/credentials", agent.address());
    let environment = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", keys.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &projected),
        ("GOOGLE_APPLICATION_CREDENTIALS", ""),
        ("GCE_METADATA_HOST", ""),
    ];
    let router = clouds.router(&everything, &environment).await;
    for model in [VERTEX, BEDROCK] {
        let answer = ask(&router, model).await;
        assert_eq!((answer.status, answer.said().as_str()), (200, "hello"), "{}", answer.body);
    }
    assert_eq!(authorization(&clouds.vertex), "Bearer canary-metadata");
    assert!(authorization(&clouds.bedrock).contains("Credential=ASIAPOD/"));
    assert_eq!(agent.received()[0].headers["authorization"], "canary-projected");
    let answer = ask(&router, "thief").await;
    assert_eq!(answer.status, 502);
    assert!(answer.body.contains("link-local"), "{}", answer.body);
    assert_eq!(google.count(), 1);
    assert!(!router.output().contains("canary"), "{}", router.output());

    // Nor is one cloud's service at another's address.
    let wrong = format!("http://{}/v1/credentials", google.address());
    let environment = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", wrong.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &projected),
        ("GCE_METADATA_HOST", "127.0.0.1:9"),
    ];
    let router = clouds.router(&everything, &environment).await;
    let answer = ask(&router, BEDROCK).await;
    assert_eq!(answer.status, 502);
    assert!(answer.body.contains("link-local"), "{}", answer.body);
    assert_eq!(google.count(), 1);
}
