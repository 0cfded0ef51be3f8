//! Google's tokens for the router's own identity: those that the metadata server of GKE gives for the
//! pod's ServiceAccount, or, with a configuration of workload identity federation, those that the
//! token service gives for a token of Kubernetes (RFC 8693), and a service account's for one of them.
//! <https://google.aip.dev/auth/4117>

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderName, HeaderValue, Method, header};
use routing::outcome::Fault;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{
    super::{
        Issuers, Unissued,
        ask::{Answer, FORM, Question, bearer, bearer_of, form, until},
        environment::variable,
        google::{LASTS, SCOPE},
        renew::Issued,
    },
    read, token_file,
};

/// The metadata server, by the name that Google's own libraries use.
const METADATA: &str = "metadata.google.internal";
/// Its addresses, and nothing else that is link-local.
const METADATA_ADDRESSES: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];
const TOKEN_PATH: &str = "computeMetadata/v1/instance/service-accounts/default/token";
/// What the metadata server wants to see, so that nobody is made to ask it unknowingly.
const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");

/// Asks for a token of the identity: the value of `authorization`.
pub(super) async fn token(issuers: &Issuers) -> Result<Issued<HeaderValue>, Unissued> {
    match issuers.environment.get(variable::GOOGLE_FILE) {
        Some(path) => federated(issuers, path).await,
        None => metadata(issuers).await,
    }
}

async fn metadata(issuers: &Issuers) -> Result<Issued<HeaderValue>, Unissued> {
    let host = issuers.environment.get(variable::GOOGLE_METADATA).unwrap_or(METADATA);
    let asked = Instant::now();
    let answer = Question::new(Method::GET, &format!("http://{host}/{TOKEN_PATH}"), String::new())?
        .header(FLAVOR, "Google")
        .at(METADATA_ADDRESSES)
        .ask(&issuers.pools)
        .await?;
    bearer(&answer, asked)
}

/// A configuration of workload identity federation, as `gcloud iam workload-identity-pools
/// create-cred-config` writes it.
#[derive(Deserialize)]
struct Config {
    r#type: Option<String>,
    audience: Option<String>,
    subject_token_type: Option<String>,
    token_url: Option<String>,
    credential_source: Option<Source>,
    service_account_impersonation_url: Option<String>,
    #[serde(default)]
    service_account_impersonation: Impersonation,
}

/// Where the token is that is exchanged.
#[derive(Deserialize)]
struct Source {
    file: Option<String>,
    #[serde(default)]
    format: Format,
}

#[derive(Default, Deserialize)]
struct Format {
    r#type: Option<String>,
    subject_token_field_name: Option<String>,
}

#[derive(Default, Deserialize)]
struct Impersonation {
    token_lifetime_seconds: Option<u64>,
}

async fn federated(issuers: &Issuers, path: &str) -> Result<Issued<HeaderValue>, Unissued> {
    const OF: &str = variable::GOOGLE_FILE;
    let bad =
        |what: &str| Unissued::new(Fault::Auth, format!("the file {path} that {OF} names {what}"));
    let config: Config = serde_json::from_slice(&read(OF, path).await?)
        .map_err(|_| bad("is no configuration of workload identity federation"))?;
    if config.r#type.as_deref() != Some("external_account") {
        return Err(bad(
            "is not of type external_account: a service account's key belongs in a Secret, with \
             auth.type GoogleServiceAccount",
        ));
    }
    let source = config.credential_source.ok_or_else(|| bad("has no credential_source"))?;
    let file = source.file.as_deref().ok_or_else(|| {
        bad("has no credential_source.file: project a token of Kubernetes into the pod and name its \
             file")
    })?;
    let part = |part: Option<String>, lacks: &str| part.ok_or_else(|| bad(lacks));
    let audience = part(config.audience, "has no audience")?;
    let token_url = part(config.token_url, "has no token_url")?;
    let kind = part(config.subject_token_type, "has no subject_token_type")?;
    let subject = subject(file, &source.format).await?;
    let body = form(&[
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("audience", &audience),
        ("scope", SCOPE),
        ("subject_token_type", &kind),
        ("subject_token", &subject),
    ]);
    let asked = Instant::now();
    let answer = Question::new(Method::POST, &token_url, body)?
        .header(header::CONTENT_TYPE, FORM)
        .hiding(&subject)
        .ask(&issuers.pools)
        .await?;
    let exchanged = bearer(&answer, asked)?;
    match config.service_account_impersonation_url {
        None => Ok(exchanged),
        Some(url) => {
            let lasts = config.service_account_impersonation.token_lifetime_seconds;
            let lasts = lasts.unwrap_or(LASTS.as_secs());
            let body = json!({"scope": [SCOPE], "lifetime": format!("{lasts}s")}).to_string();
            let asked = Instant::now();
            let answer = Question::new(Method::POST, &url, body)?
                .header(header::CONTENT_TYPE, "application/json")
                .authorized(exchanged.value)
                .ask(&issuers.pools)
                .await?;
            impersonated(&answer, asked)
        }
    }
}

/// The token that is exchanged: the whole file, or a member of the JSON in it.
async fn subject(file: &str, format: &Format) -> Result<Zeroizing<String>, Unissued> {
    const OF: &str = "credential_source.file";
    if format.r#type.as_deref() != Some("json") {
        return token_file(OF, file).await;
    }
    let bad =
        |what: &str| Unissued::new(Fault::Auth, format!("the file {file} that {OF} names {what}"));
    let name = format.subject_token_field_name.as_deref();
    let name = name.ok_or_else(|| bad("is JSON, and no subject_token_field_name says of what"))?;
    let value: Value =
        serde_json::from_slice(&read(OF, file).await?).map_err(|_| bad("is no JSON"))?;
    let token = value.get(name).and_then(Value::as_str);
    token.map(|token| Zeroizing::new(token.to_owned())).ok_or_else(|| bad("has no such member"))
}

/// The token in an answer of IAM's `generateAccessToken`.
fn impersonated(answer: &Answer, asked: Instant) -> Result<Issued<HeaderValue>, Unissued> {
    let value = answer.json()?;
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let token = text("accessToken").ok_or_else(|| answer.lacks("accessToken"))?;
    let value =
        bearer_of(token).ok_or_else(|| answer.lacks("accessToken that a header may hold"))?;
    let ends = text("expireTime").and_then(|text| until(text, asked));
    Ok(Issued { value, expires: ends.ok_or_else(|| answer.lacks("expireTime that is a time"))? })
}
