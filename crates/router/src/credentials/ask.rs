//! One question to an issuer: a small request, a small answer, and the guard of every endpoint.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, Request, StatusCode, Uri, header};
use http_body::Body as _;
use routing::{outcome::Fault, snapshot::CompiledEndpoint};
use serde_json::Value;
use url::Url;

use super::Unissued;
use crate::upstream::{PooledBody, Pools, Reuse, Segments};

/// How long a question may take, connecting included.
const PATIENCE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// The largest answer.
const MAX_ANSWER: usize = 256 << 10;
/// The most of an issuer's words that is passed on, in bytes.
const MAX_WORDS: usize = 300;

/// A question that is ready to be sent: its `host` is set.
pub(super) struct Question {
    pub(super) request: Request<Segments>,
    endpoint: CompiledEndpoint,
    /// Whom it is for, for messages.
    who: String,
}

/// What an issuer answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    who: String,
}

impl Question {
    /// A question to this URL. It must be https, or of this machine.
    pub(super) fn new(method: Method, url: &str, body: String) -> Result<Self, Unissued> {
        let bad = |why: &str| Unissued::new(Fault::Auth, format!("the token endpoint {url} {why}"));
        let parsed = Url::parse(url).map_err(|_| bad("is no URL"))?;
        let host = parsed.host_str().ok_or_else(|| bad("has no host"))?;
        let authority = match parsed.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let path = match parsed.query() {
            Some(query) => format!("{}?{query}", parsed.path()),
            None => parsed.path().to_owned(),
        };
        let mut request = Request::new(Segments::from(Bytes::from(body)));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse::<Uri>().map_err(|_| bad("has a path that is none"))?;
        let value = authority.parse().map_err(|_| bad("has a host that is none"))?;
        request.headers_mut().insert(header::HOST, value);
        let endpoint = CompiledEndpoint {
            url: format!("{}://{authority}", parsed.scheme()),
            service: false,
            ca_bundle: None,
            server_name: None,
        };
        Ok(Self { request, endpoint, who: authority })
    }

    /// Sends a header with it.
    #[must_use]
    pub(super) fn header(mut self, name: header::HeaderName, value: &'static str) -> Self {
        self.request.headers_mut().insert(name, header::HeaderValue::from_static(value));
        self
    }

    /// Asks. The answer's status is the caller's to judge.
    pub(super) async fn ask(self, pools: &Pools) -> Result<Answer, Unissued> {
        let who = self.who.clone();
        tokio::time::timeout(PATIENCE, self.answered(pools)).await.unwrap_or_else(|_| {
            let seconds = PATIENCE.as_secs();
            Err(Unissued::new(Fault::Connect, format!("{who} gave no token within {seconds} s")))
        })
    }

    async fn answered(self, pools: &Pools) -> Result<Answer, Unissued> {
        let Self { request, endpoint, who } = self;
        let pool = pools.pool(&endpoint);
        let sent = Box::pin(pool.send(request, Reuse::Fresh, CONNECT)).await;
        let sent = sent.map_err(|error| {
            Unissued::new(Fault::Connect, format!("no token from {who}: {error}"))
        })?;
        let (parts, body) = sent.response.into_parts();
        let body = read(body, &who).await?;
        Ok(Answer { status: parts.status, body, who })
    }
}

async fn read(mut body: PooledBody, who: &str) -> Result<Bytes, Unissued> {
    let mut out = BytesMut::new();
    loop {
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
        match frame {
            None => return Ok(out.freeze()),
            Some(Err(error)) => {
                let message = format!("no token from {who}: {error}");
                return Err(Unissued::new(Fault::Connect, message));
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    if out.len() + data.len() > MAX_ANSWER {
                        let message =
                            format!("no token from {who}: its answer is over {MAX_ANSWER} bytes");
                        return Err(Unissued::new(Fault::InvalidResponse, message));
                    }
                    out.extend_from_slice(&data);
                }
            }
        }
    }
}

impl Answer {
    /// The answer as JSON, if it is one of success.
    pub(super) fn json(&self) -> Result<Value, Unissued> {
        let value: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        if self.status.is_success() && value.is_object() {
            return Ok(value);
        }
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let code = text("error");
        let words = text("error_description");
        Err(self.refused(&[code, words].into_iter().flatten().collect::<Vec<_>>().join(": ")))
    }

    /// The failure that this answer is: the issuer's refusal, or its own trouble.
    pub(super) fn refused(&self, words: &str) -> Unissued {
        let fault = match self.status.as_u16() {
            429 => Fault::RateLimited,
            400..500 => Fault::Auth,
            500.. => Fault::ServerError,
            _ => Fault::InvalidResponse,
        };
        let words: String = words.chars().filter(|c| !c.is_control()).collect();
        let words = words.get(..words.floor_char_boundary(MAX_WORDS)).unwrap_or_default();
        let (who, status) = (&self.who, self.status);
        let message = if words.is_empty() {
            format!("{who} gives no token: it answered {status}")
        } else {
            format!("{who} gives no token: it answered {status}, {words}")
        };
        Unissued::new(fault, message)
    }

    /// The failure that an answer of success without what it should hold is.
    pub(super) fn lacks(&self, what: &str) -> Unissued {
        let message = format!("the answer of {} has no {what}", self.who);
        Unissued::new(Fault::InvalidResponse, message)
    }
}
