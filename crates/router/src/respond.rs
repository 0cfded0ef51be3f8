//! Responses: the body that callers get, and the headers that say what was decided. Everything that
//! repeats is a prebuilt header value.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use routing::{fleet::Dimension, quota::Left};
use smallvec::SmallVec;

use crate::{
    errors::Refusal,
    http::Shape,
    relay::Relay,
    speech::{Aborted, Audio},
};

/// Names of our headers.
pub(crate) mod names {
    use http::HeaderName;

    /// The alias, as namespace/name.
    pub(crate) const ALIAS: HeaderName = HeaderName::from_static("x-moniker-alias");
    /// The target, as namespace/name/model.
    pub(crate) const TARGET: HeaderName = HeaderName::from_static("x-moniker-target");
    /// How many attempts were begun.
    pub(crate) const ATTEMPTS: HeaderName = HeaderName::from_static("x-moniker-attempts");
    /// Why this target, or why none.
    pub(crate) const REASON: HeaderName = HeaderName::from_static("x-moniker-reason");
    /// The category whose lineup the request took.
    pub(crate) const CATEGORY: HeaderName = crate::category::CATEGORY;
    /// The digest of the alias and what it uses.
    pub(crate) const REVISION: HeaderName = HeaderName::from_static("x-moniker-revision");
    /// This request.
    pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
    /// This request, as the provider calls it.
    pub(crate) const UPSTREAM_REQUEST_ID: HeaderName =
        HeaderName::from_static("x-moniker-upstream-request-id");
    /// Whether SDKs should ask again.
    pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
    /// What is left of the limits of a caller's key: the limit, what is left, and until when.
    pub(crate) mod limits {
        use http::HeaderName;

        macro_rules! three {
            ($($name:ident $limit:literal $left:literal $reset:literal)+) => { $(
                pub(crate) const $name: [HeaderName; 3] = [
                    HeaderName::from_static($limit),
                    HeaderName::from_static($left),
                    HeaderName::from_static($reset),
                ];
            )+ };
        }
        three! {
            REQUESTS "x-ratelimit-limit-requests" "x-ratelimit-remaining-requests"
                "x-ratelimit-reset-requests"
            TOKENS "x-ratelimit-limit-tokens" "x-ratelimit-remaining-tokens"
                "x-ratelimit-reset-tokens"
            ANTHROPIC_REQUESTS "anthropic-ratelimit-requests-limit"
                "anthropic-ratelimit-requests-remaining" "anthropic-ratelimit-requests-reset"
            ANTHROPIC_TOKENS "anthropic-ratelimit-tokens-limit"
                "anthropic-ratelimit-tokens-remaining" "anthropic-ratelimit-tokens-reset"
        }
    }

    /// A request's wish for metadata in the body.
    pub(crate) const METADATA: HeaderName = HeaderName::from_static("x-moniker-metadata");
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// Why a response is what it is: the closed set of `x-moniker-reason`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Reason { $($(#[$doc])* $variant),+ }

        impl Reason {
            /// The word in headers and logs.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            fn header(self) -> HeaderValue {
                match self { $(Self::$variant => HeaderValue::from_static($text)),+ }
            }
        }
    };
}

reasons! {
    /// The first choice of the strategy answered.
    FirstChoice = "first_choice",
    /// An earlier choice is ejected or at a limit; the first available one answered.
    Available = "first_available",
    /// An earlier attempt failed; this candidate answered.
    Fallback = "fallback",
    /// The same candidate answered when asked again.
    Retry = "retry",
    /// The router answered by itself.
    Local = "local",
    /// The request was refused before any target was chosen.
    Refused = "refused",
    /// No target can serve the request.
    NoTarget = "no_target",
    /// The outcome is one that no other target would change.
    Final = "final",
    /// Every candidate was tried.
    Exhausted = "exhausted",
    /// `fallback.maxAttempts` was reached.
    MaxAttempts = "max_attempts",
    /// The deadline passed.
    Deadline = "deadline",
    /// The router's fallback budget is empty.
    Budget = "fallback_budget_exhausted",
    /// What is left is ejected.
    Ejected = "ejected",
    /// What is left is at this router's share of a limit.
    AtLimit = "at_limit",
    /// The caller's key is at this router's share of a limit of its own.
    KeyLimit = "key_limit",
    /// The budget of the caller's key has nothing left for it.
    KeyBudget = "key_budget",
}

/// What the headers of a response say.
#[derive(Debug)]
pub(crate) struct Told {
    /// `x-request-id`.
    pub(crate) request_id: HeaderValue,
    /// `x-moniker-alias` and `x-moniker-revision`.
    pub(crate) alias: Option<(HeaderValue, HeaderValue)>,
    /// `x-moniker-category`, of an alias that chooses by it.
    pub(crate) category: Option<HeaderValue>,
    /// `x-moniker-target`.
    pub(crate) target: Option<HeaderValue>,
    /// `x-moniker-attempts`.
    pub(crate) attempts: u32,
    /// `x-moniker-reason`.
    pub(crate) reason: Reason,
    /// `x-moniker-upstream-request-id`.
    pub(crate) upstream_request_id: Option<HeaderValue>,
    /// What is left of the limits of the caller's key.
    pub(crate) limits: Option<KeyLimits>,
    /// Whether `x-request-id` is all that is told.
    pub(crate) minimal: bool,
}

/// What is left of the limits of the caller's key, as headers tell it.
#[derive(Debug)]
pub(crate) struct KeyLimits {
    /// Of each limit over a minute.
    pub(crate) left: SmallVec<[Left; 2]>,
    /// Whose clients read it.
    pub(crate) shape: Shape,
}

impl KeyLimits {
    fn write(self, headers: &mut http::HeaderMap) {
        for Left { dimension, limit, left, reset } in self.left {
            let names = match (dimension, self.shape) {
                (Dimension::Requests, Shape::OpenAi) => names::limits::REQUESTS,
                (Dimension::Tokens, Shape::OpenAi) => names::limits::TOKENS,
                (Dimension::Requests, Shape::Anthropic) => names::limits::ANTHROPIC_REQUESTS,
                (Dimension::Tokens, Shape::Anthropic) => names::limits::ANTHROPIC_TOKENS,
                _ => continue,
            };
            let reset = match self.shape {
                Shape::OpenAi => span(reset),
                Shape::Anthropic => moment(reset),
            };
            let [limit_name, left_name, reset_name] = names;
            headers.insert(limit_name, HeaderValue::from(limit));
            headers.insert(left_name, HeaderValue::from(left));
            if let Ok(reset) = HeaderValue::try_from(reset) {
                headers.insert(reset_name, reset);
            }
        }
    }
}

/// A time to wait as OpenAI writes it: `20ms`, `7s`, `1m10s`. Rounded up.
fn span(time: Duration) -> String {
    let millis = time.as_micros().div_ceil(1_000);
    let seconds = millis.div_ceil(1_000);
    match seconds {
        _ if millis < 1_000 && millis > 0 => format!("{millis}ms"),
        0..60 => format!("{seconds}s"),
        _ => format!("{}m{}s", seconds / 60, seconds % 60),
    }
}

/// The moment after this time as Anthropic writes it: RFC 3339, in UTC, to the second. Rounded up.
fn moment(after: Duration) -> String {
    let millis = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::now().as_millisecond().saturating_add(millis);
    let second = at.saturating_add(999) / 1_000;
    jiff::Timestamp::from_second(second).unwrap_or_default().to_string()
}

impl Told {
    /// Writes the headers.
    pub(crate) fn write(self, headers: &mut http::HeaderMap) {
        headers.insert(names::REQUEST_ID, self.request_id);
        if self.minimal {
            return;
        }
        if let Some((alias, revision)) = self.alias {
            headers.insert(names::ALIAS, alias);
            headers.insert(names::REVISION, revision);
        }
        if let Some(category) = self.category {
            headers.insert(names::CATEGORY, category);
        }
        if let Some(target) = self.target {
            headers.insert(names::TARGET, target);
        }
        headers.insert(names::ATTEMPTS, number(self.attempts));
        headers.insert(names::REASON, self.reason.header());
        if let Some(id) = self.upstream_request_id {
            headers.insert(names::UPSTREAM_REQUEST_ID, id);
        }
        if let Some(limits) = self.limits {
            limits.write(headers);
        }
    }
}

/// A small number as a header's value.
fn number(n: u32) -> HeaderValue {
    static SMALL: [HeaderValue; 10] = [
        HeaderValue::from_static("0"),
        HeaderValue::from_static("1"),
        HeaderValue::from_static("2"),
        HeaderValue::from_static("3"),
        HeaderValue::from_static("4"),
        HeaderValue::from_static("5"),
        HeaderValue::from_static("6"),
        HeaderValue::from_static("7"),
        HeaderValue::from_static("8"),
        HeaderValue::from_static("9"),
    ];
    SMALL.get(n as usize).cloned().unwrap_or_else(|| HeaderValue::from(n))
}

/// The body of a response.
pub(crate) enum ResponseBody {
    /// All of it.
    Full(Bytes),
    /// A provider's stream, as it comes.
    Stream(Box<Relay>),
    /// A provider's audio, as it comes.
    Audio(Box<Audio>),
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full",
            Self::Stream(_) => "Stream",
            Self::Audio(_) => "Audio",
        })
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(relay) => {
                relay.poll_next(cx).map(|bytes| bytes.map(|b| Ok(Frame::data(b))))
            }
            Self::Audio(audio) => {
                audio.poll_next(cx).map(|bytes| bytes.map(|b| b.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_empty(),
            Self::Stream(relay) => relay.is_done(),
            Self::Audio(audio) => audio.is_done(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
            Self::Audio(audio) => audio.left().map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

/// A JSON response.
pub(crate) fn json(status: StatusCode, body: Bytes, told: Told) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Full(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(10);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    told.write(headers);
    response
}

/// A stream of events.
pub(crate) fn stream(relay: Box<Relay>, told: Told) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Stream(relay));
    let headers = response.headers_mut();
    headers.reserve(12);
    headers
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Reverse proxies that buffer (nginx) would hold the events back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    told.write(headers);
    response
}

/// Audio, of the kind that its provider says.
pub(crate) fn audio(audio: Box<Audio>, told: Told) -> Response<ResponseBody> {
    let kind = audio.kind();
    let mut response = Response::new(ResponseBody::Audio(audio));
    let headers = response.headers_mut();
    headers.reserve(10);
    headers.insert(header::CONTENT_TYPE, kind);
    told.write(headers);
    response
}

/// A refusal; `http1`: whether the connection's end may be announced by a header.
pub(crate) fn refusal(
    refusal: &Refusal,
    body: Bytes,
    told: Told,
    http1: bool,
) -> Response<ResponseBody> {
    let mut response = json(refusal.status, body, told);
    let headers = response.headers_mut();
    if let Some(after) = refusal.retry_after {
        // Rounded up: who comes earlier is refused again.
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    if let Some(allow) = refusal.allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    if refusal.exhausted {
        headers.insert(names::SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    if refusal.close && http1 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
