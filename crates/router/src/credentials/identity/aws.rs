//! Keys of AWS for the router's own identity: those of a role that a token of Kubernetes stands for
//! (IAM roles for service accounts), or those that EKS Pod Identity gives to who asks from within the
//! pod.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{Method, header};
use routing::{material::AwsKey, outcome::Fault};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    super::{
        Issuers, Unissued,
        ask::{Answer, FORM, Question, form, until},
        aws::{LASTS, VERSION, key_of, sts_url},
        environment::variable,
        renew::Issued,
    },
    token_file,
};

const CLOUD: &str = "AWS";
/// Where EKS Pod Identity answers in every pod, and nothing else that is link-local.
const EKS_ADDRESSES: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
];

/// Asks for the identity's keys, in the order of AWS's SDKs. The node's own identity is never asked
/// for.
pub(super) async fn keys(issuers: &Issuers, region: &str) -> Result<Issued<AwsKey>, Unissued> {
    let environment = &issuers.environment;
    if environment.get(variable::AWS_TOKEN_FILE).is_some() {
        return of_role(issuers, region).await;
    }
    if environment.get(variable::EKS_URL).is_some() {
        return of_pod(issuers).await;
    }
    let message = format!(
        "this router has no identity of {CLOUD}: neither {} nor {} is set",
        variable::AWS_TOKEN_FILE,
        variable::EKS_URL
    );
    Err(Unissued::new(Fault::Auth, message))
}

/// `AssumeRoleWithWebIdentity`, which is not signed.
async fn of_role(issuers: &Issuers, region: &str) -> Result<Issued<AwsKey>, Unissued> {
    let environment = &issuers.environment;
    let file = environment.want(variable::AWS_TOKEN_FILE, CLOUD)?;
    let role = environment.want(variable::AWS_ROLE, CLOUD)?;
    let session = environment.get(variable::AWS_SESSION).unwrap_or("moniker");
    let token = token_file(variable::AWS_TOKEN_FILE, file).await?;
    let url = environment.get(variable::AWS_STS);
    let url = url.map_or_else(|| sts_url(region), str::to_owned);
    let body = form(&[
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", VERSION),
        ("RoleArn", role),
        ("RoleSessionName", session),
        ("DurationSeconds", &LASTS.as_secs().to_string()),
        ("WebIdentityToken", &token),
    ]);
    let asked = Instant::now();
    let answer = Question::new(Method::POST, &url, body)?
        .header(header::CONTENT_TYPE, FORM)
        .hiding(&token)
        .ask(&issuers.pools)
        .await?;
    key_of(&answer, asked)
}

async fn of_pod(issuers: &Issuers) -> Result<Issued<AwsKey>, Unissued> {
    let environment = &issuers.environment;
    let url = environment.want(variable::EKS_URL, CLOUD)?;
    let file = environment.want(variable::EKS_TOKEN_FILE, CLOUD)?;
    let token = token_file(variable::EKS_TOKEN_FILE, file).await?;
    let mut value = header::HeaderValue::from_str(&token).map_err(|_| {
        let message = format!("the file {file} holds no token that a header may hold");
        Unissued::new(Fault::Auth, message)
    })?;
    value.set_sensitive(true);
    let asked = Instant::now();
    let mut question = Question::new(Method::GET, url, String::new())?.authorized(value);
    if url.starts_with("http:") {
        question = question.at(EKS_ADDRESSES);
    }
    key_of_pod(&question.ask(&issuers.pools).await?, asked)
}

/// The key in an answer to who asks from within a container, which is JSON.
fn key_of_pod(answer: &Answer, asked: Instant) -> Result<Issued<AwsKey>, Unissued> {
    let value = answer.json()?;
    let part = |name: &str| {
        let text = value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.ok_or_else(|| answer.lacks(name))
    };
    let key = AwsKey {
        access_key_id: part("AccessKeyId")?.into(),
        secret_access_key: part("SecretAccessKey")?.into(),
        session_token: Some(part("Token")?.into()),
    };
    let ends = until(part("Expiration")?, asked);
    Ok(Issued {
        value: key,
        expires: ends.ok_or_else(|| answer.lacks("Expiration that is a time"))?,
    })
}
