//! The demo's server: limits, faults and the pace at which it writes.

use std::{
    convert::Infallible,
    io,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use providers::dialect::Dialect;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};

use super::{
    Behaviour,
    fault::Fault,
    limit::Limiter,
    wire::{self, Event, Op, Reply, Route},
};

/// The largest request that it reads.
const MAX_BODY: usize = 32 << 20;

type Body = BoxBody<Bytes, io::Error>;

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
        let uri = request.uri().clone();
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        let Some(route) = wire::route(self.behaviour.protocol, path, query) else {
            let text = format!("the demo does not serve {} {path}", request.method());
            return refused(self.behaviour.protocol.voice(), &Fault::NotFound(text));
        };
        match self.answer(&route, request).await {
            Ok(response) => response,
            Err(fault) => refused(route.dialect, &fault),
        }
    }

    async fn answer(
        &self,
        route: &Route,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Fault> {
        let method = if route.op == Op::Models { Method::GET } else { Method::POST };
        if *request.method() != method {
            return Err(Fault::Method);
        }
        if route.op == Op::Models {
            return Ok(json(StatusCode::OK, HeaderMap::new(), &wire::models(route.dialect)));
        }
        let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
        let bytes = body.map_err(|_| Fault::TooLarge)?.to_bytes();
        let body: Value =
            serde_json::from_slice(&bytes).map_err(|_| Fault::invalid("the body is not JSON"))?;
        if let Some(wait) = self.limiter.as_ref().and_then(Limiter::admit) {
            return Err(Fault::RateLimited(wait));
        }
        if self.drawn(self.behaviour.error_rate) {
            return Err(Fault::Failing);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        let seed = [&bytes[..], &now.to_le_bytes()].concat();
        let first = self.behaviour.first_token;
        let each = Duration::from_secs_f64(1.0 / self.behaviour.tokens_per_second);
        match wire::answer(route, &body, &seed)? {
            Reply::Json { body, tokens } => {
                if tokens > 0 {
                    tokio::time::sleep(first + each * u32::try_from(tokens).unwrap_or(0)).await;
                }
                Ok(json(StatusCode::OK, HeaderMap::new(), &body))
            }
            Reply::Stream { kind, mut events } => {
                let breaks = self.drawn(self.behaviour.stream_error_rate);
                if breaks {
                    break_off(&mut events, (!kind.starts_with("audio/")).then_some(route.dialect));
                }
                Ok(streamed(kind, events, breaks, first, each))
            }
        }
    }

    fn drawn(&self, share: f64) -> bool {
        self.draws.lock().unit() < share
    }
}

/// Ends a stream in the middle of its tokens, with an error where it is one of events.
fn break_off(events: &mut Vec<Event>, dialect: Option<Dialect>) {
    let tokens: Vec<usize> =
        events.iter().enumerate().filter(|(_, e)| e.token).map(|(n, _)| n).collect();
    // Behind a token at least: before, it would be no break but a failure.
    let last = tokens.get(tokens.len() / 2).copied().unwrap_or(0);
    events.truncate(last + 1);
    if let Some(dialect) = dialect {
        events.push(Event { token: true, bytes: wire::broken(dialect) });
    }
}

/// A stream at its pace: the first token after the first token's time, then one after the other. A
/// sound that breaks off loses its connection, since nothing can be said in it.
fn streamed(
    kind: &'static str,
    events: Vec<Event>,
    breaks: bool,
    first: Duration,
    each: Duration,
) -> Response<Body> {
    let mut wait = first;
    let events = events.into_iter().map(move |event| {
        let pause = if event.token { std::mem::replace(&mut wait, each) } else { Duration::ZERO };
        (pause, event.bytes)
    });
    let body = stream::iter(events).then(async |(pause, bytes)| {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Ok(Frame::data(bytes))
    });
    let lost = breaks && kind.starts_with("audio/");
    let broken = stream::iter(lost.then(|| Err(io::Error::other("broken off"))));
    let body = body.chain(broken);
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn refused(dialect: Dialect, fault: &Fault) -> Response<Body> {
    let (status, headers, body) = wire::refusal(dialect, fault);
    json(status, headers, &body)
}

fn json(status: StatusCode, headers: HeaderMap, body: &Value) -> Response<Body> {
    let mut response = Response::new(
        Full::new(Bytes::from(body.to_string())).map_err(|never| match never {}).boxed(),
    );
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
