//! The stream's route, and what is refused before a stream begins.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Extension, Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Query, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wire::{Held, MAX_HELD, PATH, PROTOCOL};

use super::{Publisher, connection::Connection, hints::Hints};

/// The longest name of a router.
const MAX_NAME: usize = 253;

/// An address that the stream must not be served at.
#[derive(Debug, thiserror::Error)]
#[error(
    "refusing to serve the watch stream at {0}: it carries credentials and without --release it is \
     neither encrypted nor authenticated, so it may listen on a loopback address alone, such as \
     127.0.0.1:8443"
)]
pub struct NotLoopback(pub SocketAddr);

/// Whether the stream may be served at this address.
pub fn check_address(address: SocketAddr) -> Result<(), NotLoopback> {
    if address.ip().to_canonical().is_loopback() { Ok(()) } else { Err(NotLoopback(address)) }
}

/// The routes of the stream. Whoever serves them beyond loopback lays authentication around them
/// (`Router::layer`), as the controller of a release does.
pub fn routes(publisher: Publisher) -> Router {
    Router::new()
        .route(PATH, post(watch))
        .layer(DefaultBodyLimit::max(MAX_HELD))
        .with_state(publisher)
}

/// Serves the stream on this listener until `stop`, which ends every stream too.
pub async fn serve(listener: TcpListener, publisher: Publisher, stop: CancellationToken) {
    let ending = stop.clone();
    let closing = publisher.clone();
    let close = async move {
        ending.cancelled().await;
        closing.close();
    };
    tokio::join!(crate::serve::serve(listener, routes(publisher), stop), close);
}

/// For how long whoever asks was let in: the stream ends when this is cancelled, and cancels it when it
/// ends by itself. Laid into the request by who authenticates; without it, for ever.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admitted(pub(crate) CancellationToken);

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    router: String,
    protocol: Option<String>,
    admin: Option<String>,
}

/// Why a router gets no stream.
enum Refused {
    Protocol(Option<String>),
    Name,
    Body(BytesRejection),
    Held(serde_json::Error),
    NotReady,
    Broken(io::Error),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, reason, message) = match self {
            Self::Protocol(asked) => {
                let asked = asked.map_or("none".to_owned(), |p| format!("{p:.16}"));
                let message = format!(
                    "protocol {asked} is not served; this controller speaks protocol {PROTOCOL} \
                     (?router=NAME&protocol={PROTOCOL})"
                );
                (StatusCode::BAD_REQUEST, "ProtocolNotServed", message)
            }
            Self::Name => {
                let message =
                    format!("?router=NAME must be 1 to {MAX_NAME} printable ASCII characters");
                (StatusCode::BAD_REQUEST, "InvalidName", message)
            }
            Self::Body(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                let message = format!("the body is over the limit of {MAX_HELD} bytes");
                (StatusCode::PAYLOAD_TOO_LARGE, "BodyTooLarge", message)
            }
            Self::Body(error) => (error.status(), "BodyNotRead", error.body_text()),
            Self::Held(error) => {
                let message = format!("the body does not say what the router holds: {error}");
                (StatusCode::BAD_REQUEST, "InvalidBody", message)
            }
            Self::NotReady => {
                let message =
                    "this controller does not know the cluster's present state; ask again";
                (StatusCode::SERVICE_UNAVAILABLE, "NotReady", message.to_owned())
            }
            Self::Broken(error) => {
                let message = format!("the stream could not be begun: {error}");
                (StatusCode::INTERNAL_SERVER_ERROR, "Broken", message)
            }
        };
        let body = serde_json::json!({ "error": { "reason": reason, "message": message } });
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

async fn watch(
    State(publisher): State<Publisher>,
    Query(asked): Query<Asked>,
    admitted: Option<Extension<Admitted>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    if asked.protocol.as_deref().map(str::parse) != Some(Ok(PROTOCOL)) {
        return Err(Refused::Protocol(asked.protocol));
    }
    let name = asked.router;
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Refused::Name);
    }
    let body = body.map_err(Refused::Body)?;
    let held: Held = match body.trim_ascii() {
        b"" => Held::default(),
        json => serde_json::from_slice(json).map_err(Refused::Held)?,
    };
    let state = publisher.state().ok_or(Refused::NotReady)?;
    let zstd = accepts_zstd(&headers);
    tracing::info!(router = name, resources = held.resources.len(), "a router is connected");
    let hints = hints(&publisher, name, asked.admin.as_deref());
    let shared = Arc::clone(&publisher.0);
    let Admitted(admitted) = admitted.map(|Extension(admitted)| admitted).unwrap_or_default();
    let connection = Connection::new(shared, state, held, zstd, hints, admitted);
    let connection = connection.map_err(Refused::Broken)?;
    let pieces = futures::stream::try_unfold(connection, async |mut connection| {
        Ok::<_, io::Error>(connection.next().await?.map(|piece| (piece, connection)))
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if zstd {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("zstd"));
    }
    Ok(response)
}

/// What the router is told of others, where anything is known of them.
fn hints(publisher: &Publisher, router: String, admin: Option<&str>) -> Option<Hints> {
    let settings = &publisher.0.settings;
    let fleet = settings.fleet.clone()?;
    let joined = admin.filter(|_| fleet.takes_joins()).and_then(|admin| match on_loopback(admin) {
        Some(address) => fleet.join(&router, address),
        None => {
            tracing::warn!(
                router,
                admin = %admin.escape_debug(),
                "its admin port is not asked: routers that join must be on this machine; start it \
                 with --admin 127.0.0.1:PORT"
            );
            None
        }
    });
    Some(Hints::new(fleet, router, joined, Arc::clone(&settings.metrics)))
}

/// The admin port that a router names, if it is on this machine: whoever can reach the stream could
/// else have any address asked.
fn on_loopback(admin: &str) -> Option<SocketAddr> {
    let local = admin.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let address: SocketAddr = local.as_deref().unwrap_or(admin).parse().ok()?;
    (address.ip().to_canonical().is_loopback() && address.port() != 0).then_some(address)
}

/// Whether the answer may be compressed.
fn accepts_zstd(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_zstd = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("zstd"));
        is_zstd && !parts.any(|p| matches!(p, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}
