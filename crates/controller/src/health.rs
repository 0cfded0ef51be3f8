//! What others may ask on the admin port: whether it lives, whether it takes routers, and its
//! metrics.

use std::fmt::Write as _;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Router, routing::get};
use telemetry::{ControllerMetrics, metrics::CONTENT_TYPE};

/// What `/readyz` tells. Ready is who would take a router.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    /// What must still be listed before the first snapshot.
    pub(crate) missing: Vec<String>,
    /// What cannot be read, and why.
    pub(crate) unknown: Vec<(String, String)>,
    /// The first snapshot is out.
    pub(crate) serves: bool,
    /// The API server has not answered for a while.
    pub(crate) away: bool,
}

impl Health {
    /// Whether a router that asks now is served.
    pub(crate) fn ready(&self) -> bool {
        self.serves && !self.away
    }

    fn text(&self) -> String {
        let mut text = String::from(if self.ready() { "ready\n" } else { "not ready\n" });
        if self.away {
            text.push_str("the API server does not answer\n");
        }
        for missing in &self.missing {
            let _ = writeln!(text, "waiting for the first list of {missing}");
        }
        for (source, why) in &self.unknown {
            let _ = writeln!(text, "unknown, so routers keep what they have: {source}: {why}");
        }
        text
    }
}

#[derive(Clone)]
struct Shared {
    health: Arc<ArcSwap<Health>>,
    metrics: Arc<ControllerMetrics>,
}

/// The routes of the admin port.
pub(crate) fn routes(health: Arc<ArcSwap<Health>>, metrics: Arc<ControllerMetrics>) -> Router {
    Router::new()
        .route("/livez", get(async || "live\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .with_state(Shared { health, metrics })
}

async fn readyz(State(shared): State<Shared>) -> impl IntoResponse {
    let health = shared.health.load();
    let status = if health.ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, health.text())
}

async fn scrape(State(shared): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], shared.metrics.render())
}
