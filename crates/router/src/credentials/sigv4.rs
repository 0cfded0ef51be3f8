//! AWS Signature Version 4 (`AWS4-HMAC-SHA256`): a request, its body's hash and the time go in, headers
//! come out. As the General Reference of AWS describes it, for services that encode the path twice,
//! which is all but S3.

use std::{fmt::Write as _, time::SystemTime};

use aws_lc_rs::{
    digest::{self, SHA256},
    hmac,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use jiff::Timestamp;
use routing::material::AwsKey;
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What of a request's own headers is signed: what no proxy changes.
const SIGNED: [HeaderName; 2] = [header::CONTENT_TYPE, header::HOST];

/// What a signature is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    /// The region, such as `eu-west-1`.
    pub(crate) region: &'a str,
    /// The service's signing name, such as `bedrock`.
    pub(crate) service: &'a str,
}

/// A request that cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsigned {
    /// The clock is beyond what the format can write.
    #[error("the clock of this machine is wrong")]
    Clock,
    /// The key cannot stand in a header.
    #[error("the access key has characters that no header may hold")]
    Key,
}

/// The hash of a body that comes in pieces.
pub(crate) fn hash<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut context = digest::Context::new(&SHA256);
    for piece in pieces {
        context.update(piece);
    }
    hex::encode(context.finish())
}

/// Signs a request: sets `x-amz-date`, `x-amz-security-token` where the key has a token, and
/// `authorization`. What is signed, the host included, may not change after this.
pub(crate) fn sign(
    key: &AwsKey,
    scope: Scope<'_>,
    at: SystemTime,
    (method, uri, headers): (&Method, &Uri, &mut HeaderMap),
    body_hash: &str,
) -> Result<(), Unsigned> {
    let stamp = Timestamp::try_from(at).map_err(|_| Unsigned::Clock)?;
    let time = stamp.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = time.get(..8).ok_or(Unsigned::Clock)?;
    headers.insert(DATE, HeaderValue::from_str(&time).map_err(|_| Unsigned::Clock)?);
    headers.remove(TOKEN);
    if let Some(token) = &key.session_token {
        headers.insert(TOKEN, sensitive(token.expose_secret())?);
    }
    let (signed, lines) = signed_headers(headers);
    let canonical = Zeroizing::new(format!(
        "{method}\n{}\n{}\n{}\n{signed}\n{body_hash}",
        canonical_path(uri.path()),
        canonical_query(uri.query().unwrap_or_default()),
        lines.as_str(),
    ));
    let credential = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let to_sign = format!("{ALGORITHM}\n{time}\n{credential}\n{}", hash([canonical.as_bytes()]));
    let signature = hex::encode(mac(signing_key(key, day, scope), &to_sign));
    let id = key.access_key_id.expose_secret();
    let value = format!(
        "{ALGORITHM} Credential={id}/{credential}, SignedHeaders={signed}, Signature={signature}"
    );
    headers.insert(header::AUTHORIZATION, sensitive(&value)?);
    Ok(())
}

fn sensitive(text: &str) -> Result<HeaderValue, Unsigned> {
    let mut value = HeaderValue::from_str(text).map_err(|_| Unsigned::Key)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The key of one day, region and service.
fn signing_key(key: &AwsKey, day: &str, scope: Scope<'_>) -> hmac::Tag {
    let first = Zeroizing::new(format!("AWS4{}", key.secret_access_key.expose_secret()));
    let date = mac(first.as_bytes(), day);
    let region = mac(date, scope.region);
    let service = mac(region, scope.service);
    mac(service, "aws4_request")
}

fn mac(key: impl AsRef<[u8]>, text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()), text.as_bytes())
}

/// The names of the signed headers, joined by `;`, and a line for each.
fn signed_headers(headers: &HeaderMap) -> (String, Zeroizing<String>) {
    let mut names: Vec<&str> = headers
        .keys()
        .filter(|name| SIGNED.contains(name) || name.as_str().starts_with("x-amz-"))
        .map(HeaderName::as_str)
        .collect();
    names.sort_unstable();
    let mut lines = Zeroizing::new(String::new());
    for name in &names {
        let values = headers.get_all(*name).iter();
        let values: Vec<String> = values
            .map(|value| {
                // Runs of spaces count as one.
                let text = String::from_utf8_lossy(value.as_bytes());
                text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
            })
            .collect();
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "{name}:{}", values.join(","));
    }
    (names.join(";"), lines)
}

/// The path, which is encoded once as it is sent, encoded again.
fn canonical_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 8);
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    if out.is_empty() { "/".to_owned() } else { out }
}

/// The pairs of the query in order, each with its `=`. They are encoded as they are sent.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The key and the time of the examples that AWS publishes.
    fn key(token: Option<&str>) -> AwsKey {
        AwsKey {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: token.map(Into::into),
        }
    }

    fn noon() -> SystemTime {
        // 2015-08-30T12:36:00Z
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160)
    }

    fn signature(method: &str, uri: &str, more: &[(&'static str, &str)], body: &[u8]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("example.amazonaws.com"));
        for (name, value) in more {
            headers.append(*name, value.parse().unwrap());
        }
        let scope = Scope { region: "us-east-1", service: "service" };
        let method = method.parse().unwrap();
        let parts = (&method, &uri.parse().unwrap(), &mut headers);
        sign(&key(None), scope, noon(), parts, &hash([body])).unwrap();
        let value = headers[header::AUTHORIZATION].to_str().unwrap();
        assert!(value.starts_with(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders="
        ));
        value.rsplit('=').next().unwrap().to_owned()
    }

    /// Of AWS's signing test suite: get-vanilla, post-vanilla, get-vanilla-query-order-key-case.
    #[test]
    fn signatures_are_those_that_aws_publishes() {
        assert_eq!(
            signature("GET", "/", &[], b""),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
        assert_eq!(
            signature("POST", "/", &[], b""),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
        assert_eq!(
            signature("GET", "/?Param2=value2&Param1=value1", &[], b""),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
        );
    }

    /// Of AWS's signing test suite, as it stands in the General Reference.
    #[test]
    fn bodies_are_signed() {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(
            signature("POST", "/", &form, b"Param1=value1"),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
        );
    }

    #[test]
    fn a_path_is_encoded_twice() {
        assert_eq!(
            canonical_path("/model/anthropic.claude%3A0/converse"),
            "/model/anthropic.claude%253A0/converse"
        );
        assert_eq!(canonical_path(""), "/");
    }

    #[test]
    fn what_is_secret_is_marked_so() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("h"));
        let scope = Scope { region: "r", service: "s" };
        let uri = Uri::from_static("/");
        let parts = (&Method::POST, &uri, &mut headers);
        sign(&key(Some("canary-token")), scope, noon(), parts, "x").unwrap();
        assert_eq!(headers[TOKEN], "canary-token");
        assert!(!format!("{headers:?}").contains("canary"));
        let value = headers[header::AUTHORIZATION].to_str().unwrap();
        assert!(value.contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"));
    }
}
