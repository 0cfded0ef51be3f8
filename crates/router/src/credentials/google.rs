//! Tokens of Google for a key of a service account: an assertion that the key signs is exchanged for
//! one (RFC 7523, "JWT bearer"), where the key's own file says.

use std::time::{Duration, SystemTime};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, Method, header};
use routing::{material::GoogleKey, outcome::Fault};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::time::Instant;

use super::{
    Issuers, Unissued,
    ask::{FORM, Question, bearer},
    renew::Issued,
};

/// What the token is for.
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long an assertion holds, the longest that Google takes, and so its token.
pub(super) const LASTS: Duration = Duration::from_secs(3600);

/// Asks for a token: the value of `authorization`.
pub(super) async fn token(
    issuers: &Issuers,
    key: &GoogleKey,
) -> Result<Issued<HeaderValue>, Unissued> {
    let assertion = assertion(key, SystemTime::now())?;
    let asked = Instant::now();
    // An assertion holds nothing that a form would have to escape.
    let body = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"
    );
    let answer = Question::new(Method::POST, &key.token_uri, body)?
        .header(header::CONTENT_TYPE, FORM)
        .hiding(&assertion)
        .ask(&issuers.pools)
        .await?;
    bearer(&answer, asked)
}

/// The assertion that the key's owner asks for a token (RFC 7515, compact; RS256).
fn assertion(key: &GoogleKey, now: SystemTime) -> Result<String, Unissued> {
    let bad =
        |what: &str| Unissued::new(Fault::Auth, format!("the key of {} {what}", key.client_email));
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut head = json!({"alg": "RS256", "typ": "JWT"});
    if let Some(id) = &key.private_key_id {
        head["kid"] = id.as_str().into();
    }
    let claims = json!({
        "iss": key.client_email,
        "scope": SCOPE,
        "aud": key.token_uri,
        "iat": now,
        "exp": now + LASTS.as_secs(),
    });
    let [head, claims] = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = format!("{head}.{claims}");
    let der = PrivatePkcs8KeyDer::from_pem_slice(key.private_key.expose_secret().as_bytes())
        .map_err(|_| bad("is no PEM of PKCS #8"))?;
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| bad("is no RSA key"))?;
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| bad("does not sign"))?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
