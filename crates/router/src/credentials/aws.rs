//! Temporary keys of AWS: a role that is assumed with another key, at the token service (STS) of the
//! target's region.

use std::time::{Duration, SystemTime};

use http::{Method, header};
use routing::{material::AwsKey, outcome::Fault};
use tokio::time::Instant;

use super::{
    Issuers, Unissued,
    ask::{Answer, FORM, Question, form, until},
    environment::variable,
    renew::Issued,
    sigv4::{self, Scope},
};

/// How long an assumed role is asked for; more than an hour a role may refuse.
pub(super) const LASTS: Duration = Duration::from_secs(3600);

/// The version of the token service's API.
pub(super) const VERSION: &str = "2011-06-15";

/// The token service of a region.
pub(super) fn sts_url(region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://sts.{region}.{domain}/")
}

/// Assumes a role with a key.
pub(super) async fn assume(
    issuers: &Issuers,
    key: &AwsKey,
    role: &str,
    region: &str,
) -> Result<Issued<AwsKey>, Unissued> {
    let url = issuers.environment.get(variable::AWS_STS);
    let url = url.map_or_else(|| sts_url(region), str::to_owned);
    let body = form(&[
        ("Action", "AssumeRole"),
        ("Version", VERSION),
        ("RoleArn", role),
        ("RoleSessionName", "moniker"),
        ("DurationSeconds", &LASTS.as_secs().to_string()),
    ]);
    let mut question = Question::new(Method::POST, &url, body)?.header(header::CONTENT_TYPE, FORM);
    let request = &mut question.request;
    let hash = sigv4::hash(request.body().slices().map(|slice| &**slice));
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let parts = (&method, &uri, request.headers_mut());
    sigv4::sign(key, Scope { region, service: "sts" }, SystemTime::now(), parts, &hash)
        .map_err(|error| Unissued::new(Fault::Auth, format!("no role is assumed: {error}")))?;
    let asked = Instant::now();
    key_of(&question.ask(&issuers.pools).await?, asked)
}

/// The key in an answer of the token service, which is XML.
pub(super) fn key_of(answer: &Answer, asked: Instant) -> Result<Issued<AwsKey>, Unissued> {
    let text = String::from_utf8_lossy(&answer.body);
    if !answer.status.is_success() {
        let code = element(&text, "Code").unwrap_or_default();
        let words = element(&text, "Message").unwrap_or_default();
        return Err(answer.refused(&format!("{code}: {words}")));
    }
    let part = |name: &str| element(&text, name).ok_or_else(|| answer.lacks(name));
    let value = AwsKey {
        access_key_id: part("AccessKeyId")?.into(),
        secret_access_key: part("SecretAccessKey")?.into(),
        session_token: Some(part("SessionToken")?.into()),
    };
    let ends = until(&part("Expiration")?, asked);
    Ok(Issued { value, expires: ends.ok_or_else(|| answer.lacks("Expiration that is a time"))? })
}

/// The text of the first element of this name: what these answers hold is flat, and its values are of
/// characters that XML writes as they are, but for `&`.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim().replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_service_is_the_regions_own() {
        assert_eq!(sts_url("eu-west-1"), "https://sts.eu-west-1.amazonaws.com/");
        assert_eq!(sts_url("cn-north-1"), "https://sts.cn-north-1.amazonaws.com.cn/");
    }

    #[test]
    fn elements_are_found_wherever_they_are() {
        let xml = "<A><B>\n <Message>no &lt;role&gt; &amp;amp;</Message></B></A>";
        assert_eq!(element(xml, "Message").as_deref(), Some("no <role> &amp;"));
        assert_eq!(element(xml, "Code"), None);
    }
}
