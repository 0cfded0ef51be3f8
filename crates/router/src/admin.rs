//! The admin port: health, metrics, and what this router believes. Nothing here changes anything.
//! In a cluster what it believes is for those who have the controller's admin token.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use arc_swap::ArcSwapOption;
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use routing::ObjectId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use telemetry::{Metrics, feedback};
use wire::AdminToken;

use crate::{clock, link::SharedStore, store::Asked};

/// The most resources that one check may ask for.
const MAX_ASKED: usize = 1000;
/// The largest body of a check, in bytes.
const MAX_BODY: usize = 1 << 20;

/// What the admin port tells of.
#[derive(Clone)]
pub struct Admin {
    /// What is held.
    pub store: SharedStore,
    /// What `/metrics` tells.
    pub metrics: Arc<Metrics>,
    /// The aliases that have no usable candidate.
    pub unusable: Arc<dyn Fn() -> Vec<ObjectId> + Send + Sync>,
    /// Whether `/config` is closed to who has no admin token, even before a controller says one.
    pub guarded: bool,
    /// Whether this router is ending: it serves what it has, and wants no more.
    pub draining: Arc<AtomicBool>,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("draining", &self.draining).finish_non_exhaustive()
    }
}

/// The routes of the admin port.
pub fn routes(admin: Admin) -> Router {
    let (serving, restored, token) = {
        let store = admin.store.lock();
        (store.serving(), store.restored(), store.admin_token())
    };
    let readiness = Ready { admin: admin.clone(), serving, restored };
    let guard = Guard { token, closed: admin.guarded };
    let believed = Router::new()
        .route("/config", get(config))
        .route("/config/check", post(check))
        .layer(from_fn_with_state(guard, guarded));
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(metrics))
        .merge(believed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(admin)
}

/// Who may see what this router believes.
#[derive(Clone)]
struct Guard {
    token: Arc<ArcSwapOption<AdminToken>>,
    closed: bool,
}

async fn guarded(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let token = guard.token.load_full();
    let mut came = request.headers().get_all(header::AUTHORIZATION).iter();
    let came = match (came.next(), came.next()) {
        (Some(value), None) => value.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")),
        _ => None,
    };
    let message = match token {
        None if !guard.closed => return next.run(request).await,
        Some(token) if came.is_some_and(|came| token.is(came)) => return next.run(request).await,
        None => "no controller has told this router its admin token yet",
        Some(_) => "want Authorization: Bearer with the release's admin token",
    };
    refusal(StatusCode::UNAUTHORIZED, message)
}

/// What readiness is told from, without waiting for a snapshot that is being applied.
#[derive(Clone)]
struct Ready {
    admin: Admin,
    serving: Arc<AtomicBool>,
    restored: Arc<AtomicUsize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Readiness {
    ready: bool,
    reason: &'static str,
    /// Aliases that no request can be served by now.
    aliases_without_usable_candidate: Vec<ObjectId>,
}

async fn ready(State(Ready { admin, serving, restored }): State<Ready>) -> Response {
    let unusable = (admin.unusable)();
    // From what was written down alone it is ready once there is an alias that can be served, or
    // none at all.
    let kept = restored.load(Ordering::Acquire).checked_sub(1);
    let (status, reason) = if admin.draining.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "this router is ending")
    } else if serving.load(Ordering::Acquire) {
        (StatusCode::OK, "a snapshot is applied")
    } else if kept.is_some_and(|aliases| aliases == 0 || unusable.len() < aliases) {
        (
            StatusCode::OK,
            "the last known good snapshot is served; no controller has confirmed it yet",
        )
    } else if kept.is_some() {
        let reason = "no alias of the last known good snapshot has a usable candidate, and no \
                      controller answered yet";
        (StatusCode::SERVICE_UNAVAILABLE, reason)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no snapshot from a controller was applied yet")
    };
    let ready = status == StatusCode::OK;
    let body = Readiness { ready, reason, aliases_without_usable_candidate: unusable };
    (status, Json(body)).into_response()
}

/// All of it, or what the controller asks for: what is for the fleet.
async fn metrics(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    let alone = headers.get(feedback::HEADER).is_some_and(|value| value == feedback::ALONE);
    let text = if alone { admin.metrics.render_feedback() } else { admin.metrics.render() };
    let mut response = text.into_response();
    let text = HeaderValue::from_static(telemetry::metrics::CONTENT_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

async fn config(State(admin): State<Admin>) -> Response {
    aside(move || serde_json::to_vec(&admin.store.lock().config(clock::now()))).await
}

/// What a check asks.
#[derive(Deserialize)]
struct Check {
    resources: Vec<Asked>,
}

async fn check(
    State(admin): State<Admin>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Response> {
    let body = body.map_err(|error| {
        let message = if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            format!("the body is over the limit of {MAX_BODY} bytes")
        } else {
            error.body_text()
        };
        refusal(error.status(), &message)
    })?;
    let check: Check = serde_json::from_slice(&body).map_err(|error| {
        let message = format!(
            "the body is not {{\"resources\": [{{\"kind\", \"id\", \"digest\"}}, ...]}}: {error}"
        );
        refusal(StatusCode::BAD_REQUEST, &message)
    })?;
    if check.resources.len() > MAX_ASKED {
        let n = check.resources.len();
        let message =
            format!("{n} resources are over the limit of {MAX_ASKED} a call; ask in several");
        return Err(refusal(StatusCode::BAD_REQUEST, &message));
    }
    Ok(aside(move || serde_json::to_vec(&admin.store.lock().check(&check.resources))).await)
}

fn refusal(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": { "message": message } }))).into_response()
}

/// Makes the answer where it may wait for a snapshot that is being applied.
async fn aside(make: impl FnOnce() -> serde_json::Result<Vec<u8>> + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(make).await {
        Ok(Ok(json)) => {
            let json_type = HeaderValue::from_static("application/json");
            ([(header::CONTENT_TYPE, json_type)], json).into_response()
        }
        Ok(Err(error)) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}
