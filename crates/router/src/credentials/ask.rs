//! One question to an issuer: a small request, a small answer, and the guard of every endpoint.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body::Body as _;
use jiff::Timestamp;
use providers::scrub::scrub;
use routing::{outcome::Fault, snapshot::CompiledEndpoint};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;
use zeroize::Zeroizing;

use super::{Unissued, renew::Issued};
use crate::upstream::{PooledBody, Pools, Reuse, Segments};

/// How long a question may take, connecting included.
const PATIENCE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// The largest answer.
const MAX_ANSWER: usize = 256 << 10;
/// The most of an issuer's words that is passed on, in bytes.
const MAX_WORDS: usize = 300;
/// The longest that a token is believed to last, and how long one does that does not say.
const MOST: Duration = Duration::from_secs(24 * 3600);
const UNSAID: Duration = Duration::from_secs(3600);
/// The type of a [`form`].
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// A question that is ready to be sent: its `host` is set.
pub(super) struct Question {
    pub(super) request: Request<Segments>,
    endpoint: CompiledEndpoint,
    /// Addresses that are for questions alone.
    reserved: &'static [IpAddr],
    /// What was sent and must not come back in words.
    hidden: Option<Zeroizing<String>>,
    /// Whom it is for, for messages.
    who: String,
}

/// What an issuer answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    hidden: Option<Zeroizing<String>>,
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
        Ok(Self { request, endpoint, reserved: &[], hidden: None, who: authority })
    }

    /// Sends a header with it.
    #[must_use]
    pub(super) fn header(mut self, name: header::HeaderName, value: &'static str) -> Self {
        self.request.headers_mut().insert(name, header::HeaderValue::from_static(value));
        self
    }

    /// Sends a credential with it, as the value of `authorization`.
    #[must_use]
    pub(super) fn authorized(mut self, value: HeaderValue) -> Self {
        self.hidden = value
            .to_str()
            .ok()
            .map(|text| Zeroizing::new(text.strip_prefix("Bearer ").unwrap_or(text).to_owned()));
        self.request.headers_mut().insert(header::AUTHORIZATION, value);
        self
    }

    /// Keeps a token that is in the body out of what is told of the answer.
    #[must_use]
    pub(super) fn hiding(mut self, token: &str) -> Self {
        self.hidden = Some(Zeroizing::new(token.to_owned()));
        self
    }

    /// Puts it to an identity service, which is reached in plain HTTP and at these addresses, although
    /// nothing else may be.
    #[must_use]
    pub(super) fn at(mut self, reserved: &'static [IpAddr]) -> Self {
        self.reserved = reserved;
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
        let Self { request, endpoint, reserved, hidden, who } = self;
        let pool = pools.identity(&endpoint, reserved);
        let sent = Box::pin(pool.send(request, Reuse::Fresh, CONNECT)).await;
        let sent = sent.map_err(|error| {
            Unissued::new(Fault::Connect, format!("no token from {who}: {error}"))
        })?;
        let (parts, body) = sent.response.into_parts();
        let body = read(body, &who).await?;
        Ok(Answer { status: parts.status, body, hidden, who })
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
        // As OAuth has it, as Google's APIs do, and as AWS does.
        let text = |path: &str| value.pointer(path).and_then(Value::as_str);
        let code = ["/error", "/error/status", "/code"].into_iter().find_map(text);
        let words = ["/error_description", "/error/message", "/message"].into_iter().find_map(text);
        let told: Vec<_> = [code, words].into_iter().flatten().collect();
        // The metadata server answers in plain text.
        let plain = value.is_null().then(|| String::from_utf8_lossy(&self.body));
        let plain = plain.filter(|text| !text.trim_start().starts_with('<'));
        Err(self.refused(&plain.map_or_else(|| told.join(": "), String::from)))
    }

    /// The failure that this answer is: the issuer's refusal, or its own trouble.
    pub(super) fn refused(&self, words: &str) -> Unissued {
        let fault = match self.status.as_u16() {
            429 => Fault::RateLimited,
            400..500 => Fault::Auth,
            500.. => Fault::ServerError,
            _ => Fault::InvalidResponse,
        };
        let secrets = self.hidden.as_ref().map(|hidden| hidden.as_str());
        let words = scrub(words, secrets.as_slice());
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

/// A form (`application/x-www-form-urlencoded`).
pub(super) fn form(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The token in an answer as OAuth has it (RFC 6749, 5.1), asked for at that time.
pub(super) fn bearer(answer: &Answer, asked: Instant) -> Result<Issued<HeaderValue>, Unissued> {
    let value = answer.json()?;
    let token = value.get("access_token").and_then(Value::as_str);
    let token =
        token.filter(|token| !token.is_empty()).ok_or_else(|| answer.lacks("access_token"))?;
    let header =
        bearer_of(token).ok_or_else(|| answer.lacks("access_token that a header may hold"))?;
    // Some write the number as text.
    let lasts =
        value.get("expires_in").and_then(|v| v.as_u64().or_else(|| v.as_str()?.parse().ok()));
    let lasts = lasts.map_or(UNSAID, Duration::from_secs).min(MOST);
    Ok(Issued { value: header, expires: asked + lasts })
}

/// A token as the value of `authorization`; `None`: no header may hold it.
pub(super) fn bearer_of(token: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// When a time of RFC 3339 comes, which an answer to a question of then names; `None`: it is no time.
pub(super) fn until(text: &str, asked: Instant) -> Option<Instant> {
    let ends = SystemTime::from(text.parse::<Timestamp>().ok()?);
    let lasts = ends.duration_since(SystemTime::now()).unwrap_or_default();
    Some(asked + lasts.min(MOST))
}
