//! `moniker demo-upstream`: a provider to play with. It speaks OpenAI's protocol, needs no key, and
//! answers as whatever model it is asked for, with latency, errors and rate limits as flags.

mod answer;
mod limit;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use clap::{Args as ClapArgs, ValueEnum};
use futures::{StreamExt, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use limit::Limiter;
pub use limit::RateLimit;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

/// The largest request that it reads.
const MAX_BODY: usize = 32 << 20;

/// Arguments of `moniker demo-upstream`.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// Where it listens.
    #[arg(long, env = "MONIKER_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8091")]
    pub listen: SocketAddr,

    /// How it behaves.
    #[command(flatten)]
    pub behaviour: Behaviour,
}

/// The protocol that it speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// OpenAI's: chat completions, completions, embeddings, models.
    #[default]
    Openai,
}

/// How it behaves.
#[derive(Clone, Debug, ClapArgs)]
pub struct Behaviour {
    /// The protocol that it speaks.
    #[arg(long, env = "MONIKER_PROTOCOL", value_enum, default_value = "openai")]
    pub protocol: Protocol,

    /// How long it thinks before the first token, such as 200ms.
    #[arg(long, env = "MONIKER_FIRST_TOKEN", value_parser = duration, default_value = "50ms")]
    pub first_token: Duration,

    /// How fast it writes.
    #[arg(long, env = "MONIKER_TOKENS_PER_SECOND", value_parser = speed, default_value = "200")]
    pub tokens_per_second: f64,

    /// The share of requests that it answers with 500, from 0 to 1.
    #[arg(long, env = "MONIKER_ERROR_RATE", value_parser = share, default_value = "0")]
    pub error_rate: f64,

    /// The requests that it takes, such as 60/m or 5/s; 429 above. Default: no limit.
    #[arg(long, env = "MONIKER_RATE_LIMIT", value_name = "N/UNIT")]
    pub rate_limit: Option<RateLimit>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            protocol: Protocol::Openai,
            first_token: Duration::from_millis(50),
            tokens_per_second: 200.0,
            error_rate: 0.0,
            rate_limit: None,
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    api::duration::parse(text)
        .map(Duration::from_millis)
        .ok_or_else(|| "write a duration such as 200ms or 1s".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|s| (0.0..=1.0).contains(s));
    share.ok_or_else(|| "write a share from 0 to 1".to_owned())
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|s: &f64| (0.1..=1e6).contains(s));
    speed.ok_or_else(|| "write a number from 0.1 to 1000000".to_owned())
}

type Body = BoxBody<Bytes, Infallible>;

struct Demo {
    behaviour: Behaviour,
    limiter: Option<Limiter>,
    draws: parking_lot::Mutex<routing::Rng>,
}

/// Serves until the future is dropped.
pub async fn serve(listener: TcpListener, behaviour: Behaviour, seed: u64) -> std::io::Result<()> {
    let demo = Arc::new(Demo {
        limiter: behaviour.rate_limit.map(Limiter::new),
        behaviour,
        draws: parking_lot::Mutex::new(routing::Rng::new(seed)),
    });
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        let demo = Arc::clone(&demo);
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let demo = Arc::clone(&demo);
                async move { Ok::<_, Infallible>(demo.handle(request).await) }
            });
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            // A caller that goes away is no error here.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

impl Demo {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().trim_start_matches("/v1").trim_matches('/').to_owned();
        if request.method() == Method::GET && path == "models" {
            return json_response(StatusCode::OK, &answer::models());
        }
        if request.method() != Method::POST {
            return error(StatusCode::METHOD_NOT_ALLOWED, "this is posted", None);
        }
        let Ok(body) = Limited::new(request.into_body(), MAX_BODY).collect().await else {
            return error(StatusCode::PAYLOAD_TOO_LARGE, "more than 32 MiB", None);
        };
        let Ok(body) = serde_json::from_slice::<Value>(&body.to_bytes()) else {
            return error(StatusCode::BAD_REQUEST, "the body is not JSON", None);
        };
        if let Some(wait) = self.limiter.as_ref().and_then(Limiter::admit) {
            let mut response = error(
                StatusCode::TOO_MANY_REQUESTS,
                "the demo's rate limit is reached",
                Some("rate_limit_exceeded"),
            );
            let seconds = wait.as_secs_f64().ceil().to_string();
            if let Ok(value) = seconds.parse() {
                response.headers_mut().insert(http::header::RETRY_AFTER, value);
            }
            return response;
        }
        if self.draws.lock().unit() < self.behaviour.error_rate {
            let text = "the demo fails as often as --error-rate says";
            return error(StatusCode::INTERNAL_SERVER_ERROR, text, Some("server_error"));
        }
        match path.as_str() {
            "chat/completions" => self.text(&body, true).await,
            "completions" => self.text(&body, false).await,
            "embeddings" => json_response(StatusCode::OK, &answer::embeddings(&body)),
            _ => error(
                StatusCode::NOT_FOUND,
                "the demo serves chat/completions, completions, embeddings and models",
                None,
            ),
        }
    }

    /// A text for a chat or a plain completion: at once as JSON, or word by word.
    async fn text(&self, request: &Value, chat: bool) -> Response<Body> {
        let reply = answer::Reply::to(request, chat);
        let first = self.behaviour.first_token;
        let each = Duration::from_secs_f64(1.0 / self.behaviour.tokens_per_second);
        if request["stream"] != json!(true) {
            let words = u32::try_from(reply.words()).unwrap_or(u32::MAX);
            tokio::time::sleep(first + each * words).await;
            return json_response(StatusCode::OK, &reply.whole());
        }
        let usage = request["stream_options"]["include_usage"] == json!(true);
        let events = reply.events(usage);
        let body =
            stream::iter(events.into_iter().enumerate()).then(move |(n, event)| async move {
                // The role comes at once, the first word after the first token's time.
                match n {
                    0 => {}
                    1 => tokio::time::sleep(first).await,
                    _ => tokio::time::sleep(each).await,
                }
                Ok(Frame::data(Bytes::from(event)))
            });
        let mut response = Response::new(BodyExt::boxed(StreamBody::new(body)));
        let kind = http::HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
        response
    }
}

fn json_response(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())).boxed());
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

fn error(status: StatusCode, message: &str, code: Option<&str>) -> Response<Body> {
    let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
    let error = json!({"message": message, "type": kind, "param": null, "code": code});
    json_response(status, &json!({ "error": error }))
}
