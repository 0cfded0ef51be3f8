//! One attempt: the request as this candidate takes it, sent, and its answer judged until it is
//! certain: all of a JSON answer, the first decisive event of a stream. Whatever fails before is a
//! [`Failed`], and nothing of it has reached the caller.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use providers::{
    End, Failure, Judgement, Rewritten, Stream,
    address::{Call, Operation},
    classify, collect,
    dialect::Dialect,
    errors::CallerError,
    is_event_stream, judge_answer, requests_per_minute, rewrite,
    scrub::scrub,
};
use routing::{OutcomeClass, outcome::Fault};
use tokio::time::{Instant, timeout_at};

use crate::{
    clock,
    facts::Asked,
    live::target::LiveTarget,
    pipeline::Reply,
    record::{Ending, Record, Seen},
    relay::Relay,
    source::{Broken, Source},
    upstream::{PooledBody, Reuse, Segments, SendError},
};

/// The largest JSON answer.
const MAX_ANSWER: usize = 64 << 20;
/// How much of an error's body is read.
const MAX_ERROR: usize = 1 << 20;
/// The most that is held of a stream before its first decisive event.
const MAX_HELD: usize = 256 << 10;
/// How long connecting may take, waiting for a connection included.
const CONNECT: Duration = Duration::from_secs(3);

/// What of a caller's headers a provider gets.
const FORWARDED: [HeaderName; 2] =
    [HeaderName::from_static("openai-beta"), HeaderName::from_static("traceparent")];
/// What it gets on the first attempt alone: a second one is another request to another provider.
const FORWARDED_ONCE: HeaderName = HeaderName::from_static("idempotency-key");

/// Until when an attempt may go on without an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    /// The time.
    pub(crate) at: Instant,
    /// Whether it was cut short, so that running into it tells nothing of the target.
    pub(crate) cut: bool,
}

/// What an attempt is made of.
pub(crate) struct Attempt<'r> {
    /// The request.
    pub(crate) asked: &'r Asked,
    /// The caller's headers.
    pub(crate) headers: &'r HeaderMap,
    /// Who is asked.
    pub(crate) target: &'r Arc<LiveTarget>,
    /// Which of its models.
    pub(crate) model: usize,
    /// Whether it is the first of the request.
    pub(crate) first: bool,
    /// Its time.
    pub(crate) bound: Bound,
    /// The longest silence of a stream that has begun.
    pub(crate) stream_idle: Duration,
    /// Whether an answer that a filter emptied is a fault.
    pub(crate) filtered_is_fault: bool,
}

/// An attempt that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    /// What the record and the plan learn of it.
    pub(crate) ending: Ending,
    /// What it is to the caller, when nothing else is tried.
    pub(crate) error: Box<CallerError>,
}

impl Failed {
    fn ours(fault: Fault, message: impl Into<String>) -> Self {
        Self::scrubbed(&Failure::new(OutcomeClass::Fault(fault), message), &[])
    }

    fn of(failure: &Failure, target: &LiveTarget) -> Self {
        Self::scrubbed(failure, &[target.secret()])
    }

    fn scrubbed(failure: &Failure, secrets: &[&str]) -> Self {
        Self {
            error: Box::new(CallerError::of(failure, secrets)),
            ending: Ending {
                class: failure.class,
                status: failure.status.map(|s| s.as_u16()),
                retry_after: failure.retry_after,
                message: Some(scrub(&failure.message, secrets).into()),
                neutral: false,
            },
        }
    }
}

impl From<Broken> for Failed {
    fn from(broken: Broken) -> Self {
        Self::ours(Fault::InvalidResponse, broken.to_string())
    }
}

/// Makes one attempt.
pub(crate) async fn attempt(job: Attempt<'_>, record: &mut Record) -> Result<Reply, Failed> {
    let bound = job.bound;
    match timeout_at(bound.at, job.run(record)).await {
        Ok(result) => result,
        Err(_) => {
            let waited = record.attempt_began().elapsed().as_secs_f64();
            let what = if job.asked.read.stream { "content" } else { "answer" };
            let message = format!("{} sent no {what} within {waited:.1} s", job.label());
            let mut failed = Failed::ours(Fault::Timeout, message);
            failed.ending.neutral = bound.cut;
            Err(failed)
        }
    }
}

impl Attempt<'_> {
    fn label(&self) -> &str {
        &self.target.models[self.model].label
    }

    async fn run(&self, record: &mut Record) -> Result<Reply, Failed> {
        // Twice at most: without the member that we added, where the provider refuses it by name.
        loop {
            let body = self.body();
            let added = body.added;
            let hide_usage = body.hide_usage;
            let result = match self.send(body.segments.into_iter().collect()).await {
                Ok(response) => self.judge(response, hide_usage, record).await,
                Err(failed) => Err(Refused::Failed(failed)),
            };
            match result {
                Ok(reply) => return Ok(reply),
                Err(Refused::Failed(failed)) => return Err(failed),
                Err(Refused::By(failure)) => {
                    if added.is_some_and(|member| failure.refuses(member)) {
                        self.target.ask_usage.store(false, Ordering::Relaxed);
                        continue;
                    }
                    return Err(Failed::of(&failure, self.target));
                }
            }
        }
    }

    fn body(&self) -> Rewritten {
        let mut to = self.target.models[self.model].rewrite.clone();
        to.ask_usage = self.target.ask_usage.load(Ordering::Relaxed);
        rewrite(&self.asked.text, &self.asked.read, &to)
    }

    /// Sends the request; a connection that had gone stale is replaced, once.
    async fn send(&self, body: Segments) -> Result<http::Response<PooledBody>, Failed> {
        let mut reuse = Reuse::Allowed;
        let call = Call {
            dialect: Dialect::OpenAiChat,
            operation: Operation::Same(self.asked.endpoint),
            stream: self.asked.read.stream,
        };
        let Some(uri) = self.target.uri(self.model, call) else {
            let what = self.asked.endpoint.path();
            let message = format!("{}: its provider has no /v1/{what}", self.label());
            return Err(Failed::ours(Fault::Unsupported, message));
        };
        loop {
            let request = self.request(&uri, body.clone());
            match self.target.pool.send(request, reuse, CONNECT).await {
                Ok(sent) => return Ok(sent.response),
                Err(error) if error.is_stale() && reuse == Reuse::Allowed => reuse = Reuse::Fresh,
                Err(error) => {
                    let fault = match &error {
                        SendError::Connect { .. } => Fault::Connect,
                        SendError::Lost { .. } => Fault::ServerError,
                        SendError::Malformed { .. } => Fault::InvalidResponse,
                    };
                    return Err(Failed::ours(fault, format!("{}: {error}", self.label())));
                }
            }
        }
    }

    fn request(&self, uri: &Uri, body: Segments) -> Request<Segments> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers.clone_from(&self.target.headers);
        headers.insert(
            header::ACCEPT,
            HeaderValue::from_static(if self.asked.read.stream {
                "text/event-stream"
            } else {
                "application/json"
            }),
        );
        for name in FORWARDED {
            if let Some(value) = self.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        if self.first
            && let Some(value) = self.headers.get(&FORWARDED_ONCE)
        {
            headers.insert(FORWARDED_ONCE, value.clone());
        }
        request
    }

    async fn judge(
        &self,
        response: http::Response<PooledBody>,
        hide_usage: bool,
        record: &mut Record,
    ) -> Result<Reply, Refused> {
        let (parts, body) = response.into_parts();
        record.upstream_request_id = parts.headers.get("x-request-id").cloned();
        if let Some(granted) = requests_per_minute(&parts.headers) {
            self.target.models[self.model].stats.granted(clock::now(), granted);
        }
        let source = Source::new(body, &parts.headers);
        if !parts.status.is_success() {
            return Err(self.refused(parts.status, &parts.headers, source).await);
        }
        let mut source = source?;
        if self.asked.read.stream {
            return self.stream(parts.status, source, hide_usage, record).await;
        }
        let mut text = source.all(Bytes::new(), MAX_ANSWER).await?;
        // Judged by its content: events that nobody asked for are collected.
        if is_event_stream(&text) {
            let provider = self.target.compiled.provider;
            text = collect(provider, self.asked.endpoint, &text).map_err(|failure| {
                Refused::By(Box::new(Failure { status: Some(parts.status), ..failure }))
            })?;
        }
        self.answer(parts.status, &text, record)?;
        record.attempt_ends(Ending {
            status: Some(parts.status.as_u16()),
            ..Ending::of(OutcomeClass::Success)
        });
        Ok(Reply::Json(text))
    }

    /// Judges a JSON answer; its tokens are noted.
    fn answer(&self, status: StatusCode, text: &[u8], record: &mut Record) -> Result<(), Refused> {
        let provider = self.target.compiled.provider;
        let answer = judge_answer(provider, self.asked.endpoint, status, text)
            .map_err(|failure| Refused::By(Box::new(failure)))?;
        record.saw(Seen { usage: answer.usage, amount: answer.amount, ..Seen::default() });
        if answer.filtered && self.filtered_is_fault {
            return Err(self.filtered(status));
        }
        Ok(())
    }

    /// An answer whose status says that it is none.
    async fn refused(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        source: Result<Source, Broken>,
    ) -> Refused {
        if status.is_redirection() {
            // Never followed: the body and the credential are for this host.
            return self.invalid(status, &format!("it answered with a redirect ({status})"));
        }
        // What cannot be read of it leaves the status, which says enough.
        let text = match source {
            Ok(mut source) => source.all(Bytes::new(), MAX_ERROR).await.unwrap_or_default(),
            Err(_) => Bytes::new(),
        };
        let provider = self.target.compiled.provider;
        Refused::By(Box::new(classify(provider, status, headers, &text, SystemTime::now())))
    }

    /// Reads a stream until its first decisive event.
    async fn stream(
        &self,
        status: StatusCode,
        mut source: Source,
        hide_usage: bool,
        record: &mut Record,
    ) -> Result<Reply, Refused> {
        let provider = self.target.compiled.provider;
        let mut stream = Stream::new(provider, self.asked.endpoint, hide_usage);
        let mut held = VecDeque::new();
        let mut bytes = 0;
        let mut committed = false;
        loop {
            let ended = match source.next().await.transpose()? {
                Some(bytes) => {
                    stream.push(bytes);
                    false
                }
                None => {
                    stream.close();
                    true
                }
            };
            while let Some(event) =
                stream.next().map_err(|e| self.invalid(status, &e.to_string()))?
            {
                match &event.judgement {
                    Judgement::Error(failure) if !committed => {
                        let failure = Failure { status: Some(status), ..(**failure).clone() };
                        return Err(Refused::By(Box::new(failure)));
                    }
                    Judgement::Terminal { filtered: true } if self.filtered_is_fault => {
                        record.saw(Seen::from(&stream));
                        return Err(self.filtered(status));
                    }
                    Judgement::Decisive | Judgement::Terminal { .. } => committed = true,
                    _ => {}
                }
                bytes += event.raw.len();
                held.push_back(event);
            }
            if committed || (ended && stream.end() == End::Complete) {
                record.first_token();
                record.commit();
                return Ok(Reply::Stream(Box::new(Relay::new(
                    source,
                    stream,
                    held,
                    ended,
                    self.stream_idle,
                    Arc::clone(self.target),
                ))));
            }
            if ended {
                return Err(self.invalid(status, "it ended the stream before any content"));
            }
            if bytes > MAX_HELD {
                let what = format!("it sent {} KiB of events without content", MAX_HELD >> 10);
                return Err(self.invalid(status, &what));
            }
        }
    }

    fn invalid(&self, status: StatusCode, what: &str) -> Refused {
        let message = format!("{}: {what}", self.label());
        let mut failed = Failed::ours(Fault::InvalidResponse, message);
        failed.ending.status = Some(status.as_u16());
        Refused::Failed(failed)
    }

    fn filtered(&self, status: StatusCode) -> Refused {
        let message = format!("{} answered nothing: its filter ended the answer", self.label());
        let mut failed = Failed::ours(Fault::Moderation, message);
        failed.ending.status = Some(status.as_u16());
        Refused::Failed(failed)
    }
}

/// An attempt that found no answer.
enum Refused {
    /// The provider said so.
    By(Box<Failure>),
    /// We say so.
    Failed(Failed),
}

impl From<Broken> for Refused {
    fn from(broken: Broken) -> Self {
        Self::Failed(broken.into())
    }
}
