//! Who issues the tokens of the cluster's ServiceAccounts, and its public keys, as the API server
//! publishes them (OpenID Connect Discovery 1.0; RFC 7517). Routers verify callers' tokens by them,
//! so that no request waits for the API server.

use std::sync::Arc;
use std::time::Duration;

use compiler::Issuer;
use kube::Client;
use routing::key::{IssuerKey, List, TokenAlgorithm};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::watch::{Backoff, said};

/// How often it is asked for.
const PERIOD: Duration = Duration::from_mins(5);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
const DISCOVERY: &str = "/.well-known/openid-configuration";
/// Where the API server has the keys; the address that the discovery tells may be one that clouds
/// serve to others.
const KEYS: &str = "/openid/v1/jwks";

#[derive(Deserialize)]
struct Discovery {
    issuer: Box<str>,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Jwk>,
}

/// A key, of whatever kind.
#[derive(Deserialize)]
struct Jwk {
    kid: Option<Box<str>>,
    kty: String,
    r#use: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<Box<str>>,
    e: Option<Box<str>>,
    x: Option<Box<str>>,
    y: Option<Box<str>>,
}

/// Tells who it is, and again when it is another one, for ever.
pub(crate) async fn run(client: Client, tell: watch::Sender<Option<Arc<Issuer>>>) {
    let mut backoff = Backoff::default();
    loop {
        let (why, delay) = match timeout(PATIENCE, ask(&client)).await {
            Ok(Ok(issuer)) => {
                backoff.reset();
                tell.send_if_modified(|known| {
                    let new = known.as_deref() != Some(&issuer);
                    if new {
                        info!(issuer = &*issuer.name, keys = issuer.keys.len(), "issuer of tokens");
                        *known = Some(Arc::new(issuer));
                    }
                    new
                });
                sleep(PERIOD).await;
                continue;
            }
            Ok(Err(error)) => (said(&error), backoff.after(&error)),
            Err(_elapsed) => ("no answer".to_owned(), backoff.next()),
        };
        // Whoever has no AccessKey with a ServiceAccount does without it.
        let delay = delay.max(Duration::from_secs(5));
        warn!("cannot read who issues tokens of ServiceAccounts, again in {delay:.1?}: {why}");
        sleep(delay).await;
    }
}

async fn ask(client: &Client) -> Result<Issuer, kube::Error> {
    let Discovery { issuer: name } = get(client, DISCOVERY).await?;
    let Set { keys } = get(client, KEYS).await?;
    let mut keys: Vec<IssuerKey> = keys.into_iter().filter_map(Jwk::usable).collect();
    // The order is nobody's business, and must be the same on every replica.
    keys.sort_unstable();
    Ok(Issuer { name, keys: keys.into_iter().collect::<List<_>>() })
}

async fn get<T: DeserializeOwned>(client: &Client, path: &str) -> Result<T, kube::Error> {
    let request = http::Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
    client.request(request).await
}

impl Jwk {
    /// The key, if it is one that signs tokens.
    fn usable(self) -> Option<IssuerKey> {
        if self.r#use.is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let curve = || Some([self.x?, self.y?]);
        let (algorithm, numbers) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => (TokenAlgorithm::RS256, [self.n?, self.e?]),
            ("EC", Some("P-256")) => (TokenAlgorithm::ES256, curve()?),
            ("EC", Some("P-384")) => (TokenAlgorithm::ES384, curve()?),
            ("EC", Some("P-521")) => (TokenAlgorithm::ES512, curve()?),
            _ => return None,
        };
        let says = self.alg.as_deref();
        let fits = says.is_none_or(|says| says == format!("{algorithm:?}"));
        fits.then_some(IssuerKey { id: self.kid, algorithm, numbers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_sign_are_taken_and_others_left() {
        let of = |json: serde_json::Value| serde_json::from_value::<Jwk>(json).unwrap().usable();
        let rsa = of(serde_json::json!({"kty": "RSA", "kid": "a", "alg": "RS256", "use": "sig",
            "n": "AQ", "e": "AQAB"}));
        assert_eq!(rsa.unwrap().numbers, ["AQ".into(), "AQAB".into()]);
        let curve = of(serde_json::json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AQ"}));
        assert_eq!(curve.unwrap().algorithm, TokenAlgorithm::ES256);
        for none in [
            serde_json::json!({"kty": "oct", "k": "AQ", "alg": "HS256"}),
            serde_json::json!({"kty": "RSA", "n": "AQ", "e": "AQAB", "use": "enc"}),
            serde_json::json!({"kty": "RSA", "n": "AQ", "e": "AQAB", "alg": "HS256"}),
            serde_json::json!({"kty": "RSA", "n": "AQ"}),
            serde_json::json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AQ"}),
        ] {
            assert_eq!(of(none.clone()), None, "{none}");
        }
    }
}
