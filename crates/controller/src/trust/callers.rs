//! Whether who asks may: the token of the routers' ServiceAccount, made for this stream alone.
//!
//! The API server judges it (TokenReview), and its judgement is kept for a minute by the token's
//! hash. While it does not answer, nobody is told that a token is wrong: that is 503.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::Client;
use kube::api::{Api, PostParams};
use parking_lot::Mutex;
use routing::{Digest, ObjectId};
use telemetry::{ControllerMetrics, StreamRefusal};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use crate::publish::Admitted;
use crate::watch::said;

/// How long a judgement is kept.
const KEPT: Duration = Duration::from_secs(60);
/// How often whose stream is open is judged again.
const AGAIN: Duration = Duration::from_secs(30);
/// How many judgements are kept; then they are all forgotten.
const MOST: usize = 4096;
/// The longest token that is looked at.
const LONGEST: usize = 16 << 10;
/// How many are judged at once: whoever sends nonsense must not keep the API server busy.
const AT_ONCE: usize = 8;
/// How long a judgement may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many refusals are remembered, so that each is told once.
const TOLD: usize = 256;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Why somebody is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    kind: StreamRefusal,
    message: String,
}

type Verdict = Result<(), Refusal>;

/// Judges who asks.
#[derive(Clone)]
pub(crate) struct Callers(Arc<Shared>);

struct Shared {
    reviews: Api<TokenReview>,
    audience: String,
    account: String,
    metrics: Arc<ControllerMetrics>,
    kept: Mutex<HashMap<Digest, (Verdict, Instant)>>,
    judging: Semaphore,
    told: Mutex<BTreeSet<(&'static str, Option<IpAddr>)>>,
}

impl Callers {
    /// The routers of this release, which run as this ServiceAccount of its namespace.
    pub(crate) fn new(
        client: Client,
        release: &ObjectId,
        account: &str,
        metrics: Arc<ControllerMetrics>,
    ) -> Self {
        let ObjectId { namespace, name } = release;
        Self(Arc::new(Shared {
            reviews: Api::all(client),
            audience: format!("moniker-stream.{namespace}.{name}"),
            account: format!("system:serviceaccount:{namespace}:{account}"),
            metrics,
            kept: Mutex::default(),
            judging: Semaphore::new(AT_ONCE),
            told: Mutex::default(),
        }))
    }

    /// Somebody spoke plain HTTP where TLS is spoken.
    pub(crate) fn plain(&self, peer: SocketAddr) {
        let message = "it spoke no TLS; the stream is served over https:// alone".to_owned();
        self.refused(&Refusal { kind: StreamRefusal::PlainHttp, message }, Some(peer.ip()));
    }

    async fn check(&self, headers: &HeaderMap) -> Verdict {
        let token = token(headers)?;
        let hash = Digest::of_parts([b"token", token.as_bytes()]);
        if let Some(verdict) = self.kept(hash) {
            return verdict;
        }
        let asked = async {
            // Never closed.
            let _turn = self.0.judging.acquire().await;
            // The one before may have been about the same token.
            match self.kept(hash) {
                Some(verdict) => verdict,
                None => self.judge(token, hash).await,
            }
        };
        match timeout(PATIENCE, asked).await {
            Ok(verdict) => verdict,
            Err(_elapsed) => Err(unavailable("it does not answer")),
        }
    }

    /// Judges whose stream is open again and again, and ends it once the token is not good any more:
    /// the ServiceAccount is gone, or its time is over and the router has another one by now. While
    /// the API server cannot be asked the stream goes on.
    async fn look_after(self, proof: HeaderMap, admitted: Admitted) {
        loop {
            tokio::select! {
                () = admitted.0.cancelled() => return,
                () = sleep(AGAIN) => {}
            }
            let Ok(token) = token(&proof) else { return };
            let hash = Digest::of_parts([b"token", token.as_bytes()]);
            let judged = async {
                // Never closed.
                let _turn = self.0.judging.acquire().await;
                self.judge(token, hash).await
            };
            match timeout(PATIENCE, judged).await {
                Ok(Err(refusal)) if refusal.kind != StreamRefusal::Unavailable => {
                    debug!("a stream is ended: {}", refusal.message);
                    admitted.0.cancel();
                    return;
                }
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn kept(&self, hash: Digest) -> Option<Verdict> {
        let kept = self.0.kept.lock();
        let (verdict, at) = kept.get(&hash)?;
        (at.elapsed() < KEPT).then(|| verdict.clone())
    }

    async fn judge(&self, token: &str, hash: Digest) -> Verdict {
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                audiences: Some(vec![self.0.audience.clone()]),
            },
            ..TokenReview::default()
        };
        let asked = Instant::now();
        let answer = self.0.reviews.create(&PostParams::default(), &review).await;
        let status = answer.map_err(|error| unavailable(&said(&error)))?.status.unwrap_or_default();
        let verdict = self.verdict(&status);
        let mut kept = self.0.kept.lock();
        kept.retain(|_, (_, at)| at.elapsed() < KEPT);
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(hash, (verdict.clone(), asked));
        verdict
    }

    fn verdict(&self, status: &k8s_openapi::api::authentication::v1::TokenReviewStatus) -> Verdict {
        let Shared { audience, account, .. } = &*self.0;
        // Without its own audience in the answer, nobody has looked at audiences.
        let meant = status.audiences.iter().flatten().any(|one| one == audience);
        if status.authenticated != Some(true) || !meant {
            let why = status.error.as_deref().unwrap_or("it is not one of this cluster");
            let message = format!(
                "the token is not valid for the audience {audience}; give the router a projected \
                 ServiceAccount token of that audience (--token-file): {why:.300}"
            );
            return Err(Refusal { kind: StreamRefusal::Token, message });
        }
        let user = status.user.as_ref().and_then(|user| user.username.as_deref());
        if user != Some(account) {
            let message = format!(
                "{} may not follow the stream, {account} may (--router-service-account)",
                user.unwrap_or("nobody")
            );
            return Err(Refusal { kind: StreamRefusal::Account, message });
        }
        Ok(())
    }

    /// Counts a refusal, and tells the first of its kind from there.
    fn refused(&self, refusal: &Refusal, from: Option<IpAddr>) {
        self.0.metrics.stream_refused(refusal.kind);
        let mut told = self.0.told.lock();
        if told.len() >= TOLD {
            told.clear();
        }
        if told.insert((refusal.kind.name(), from)) {
            let from = from.map(|ip| ip.to_string()).unwrap_or_default();
            let why = refusal.kind.name();
            warn!(from, why, "refused on the stream's port: {}", refusal.message);
        }
    }
}

impl std::fmt::Debug for Callers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callers").field("account", &self.0.account).finish_non_exhaustive()
    }
}

/// The token that came; exactly one.
fn token(headers: &HeaderMap) -> Result<&str, Refusal> {
    let wrong = |message: &str| Refusal {
        kind: StreamRefusal::NoToken,
        message: format!("{message}; want one Authorization: Bearer TOKEN"),
    };
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(wrong("it came without a token, or with several"));
    };
    let text = value.to_str().map_err(|_| wrong("its Authorization is not text"))?;
    let (scheme, token) = text.trim().split_once(' ').unwrap_or((text, ""));
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > LONGEST {
        return Err(wrong("its Authorization is no bearer token"));
    }
    Ok(token)
}

fn unavailable(why: &str) -> Refusal {
    let message = format!("the API server cannot be asked about the token, ask again: {why}");
    Refusal { kind: StreamRefusal::Unavailable, message }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.kind {
            StreamRefusal::NoToken | StreamRefusal::Token => StatusCode::UNAUTHORIZED,
            StreamRefusal::Account => StatusCode::FORBIDDEN,
            StreamRefusal::PlainHttp => StatusCode::BAD_REQUEST,
            StreamRefusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        let error = serde_json::json!({"reason": self.kind.name(), "message": self.message});
        let mut response = (status, Json(serde_json::json!({ "error": error }))).into_response();
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

/// These routes, and whatever else is asked for there, for routers alone.
pub(crate) fn guarded(routes: Router, callers: Callers) -> Router {
    routes.layer(from_fn_with_state(callers, guard))
}

async fn guard(
    State(callers): State<Callers>,
    peer: Option<Extension<Peer>>,
    mut request: Request,
    next: Next,
) -> Response {
    match callers.check(request.headers()).await {
        Ok(()) => {
            let admitted = Admitted::default();
            let mut proof = HeaderMap::new();
            if let Some(value) = request.headers().get(header::AUTHORIZATION) {
                proof.insert(header::AUTHORIZATION, value.clone());
            }
            request.extensions_mut().insert(admitted.clone());
            let response = next.run(request).await;
            if response.status() == StatusCode::OK {
                tokio::spawn(callers.look_after(proof, admitted));
            }
            response
        }
        Err(refusal) => {
            callers.refused(&refusal, peer.map(|Extension(Peer(address))| address.ip()));
            refusal.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn exactly_one_bearer_token_is_looked_at() {
        assert_eq!(token(&headers(&["Bearer a.b.c"])).unwrap(), "a.b.c");
        assert_eq!(token(&headers(&["bearer   a.b.c "])).unwrap(), "a.b.c");
        let long = format!("Bearer {}", "a".repeat(LONGEST + 1));
        let wrong: &[&[&str]] =
            &[&[], &["Bearer a", "Bearer a"], &["Bearer"], &["Bearer "], &["Basic a"], &[&long]];
        for values in wrong {
            let refusal = token(&headers(values)).unwrap_err();
            assert_eq!(refusal.kind, StreamRefusal::NoToken);
        }
    }
}
