//! One attempt: the request as this candidate takes it, sent, and its answer judged until it is
//! certain: all of a JSON answer, the first decisive event of a stream. Whatever fails before is a
//! [`Failed`], and nothing of it has reached the caller.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use providers::{
    Failure,
    address::{Call, Operation},
    count_tokens,
    dialect::{Back, Candidate, Dialect, Encoded, refuses_signature},
    errors::CallerError,
    fit::{Fitted, fit},
    protocol::{Caller, Protocol, responses::echo},
    rewrite,
    rules::{Action, Refusal, Warning},
    scrub::scrub,
    translate::{Translation, sanitised},
    tree::Json,
};
use routing::{Endpoint, OutcomeClass, outcome::Fault};
use smallvec::SmallVec;
use tokio::time::{Instant, timeout_at};

use crate::{
    facts::Asked,
    live::target::LiveTarget,
    pipeline::Reply,
    record::{Ending, Record},
    source::Broken,
    translate::{BETA, Neutral, Ready, Written, fitting, protocol, rewriting, write},
    upstream::{PooledBody, Reuse, Segments, SendError},
    used::Estimate,
};

/// How long connecting may take, waiting for a connection included.
const CONNECT: Duration = Duration::from_secs(3);

/// What of a caller's headers a provider gets, whatever is between them.
const FORWARDED: [HeaderName; 1] = [HeaderName::from_static("traceparent")];
/// What it gets where the body is passed through.
const FORWARDED_AS_IS: [HeaderName; 3] = [HeaderName::from_static("openai-beta"), BETA, VERSION];
/// What it gets on the first attempt alone: a second one is another request to another provider.
const FORWARDED_ONCE: HeaderName = HeaderName::from_static("idempotency-key");
/// The version of Anthropic's protocol, and the one that is spoken where the caller names none.
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const ANTHROPIC: HeaderValue = HeaderValue::from_static("2023-06-01");

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
    pub(crate) time: Bound,
    /// The longest silence of a stream that has begun.
    pub(crate) stream_idle: Duration,
    /// Whether an answer that a filter emptied is a fault.
    pub(crate) filtered_is_fault: bool,
    /// The dialect, where it is not the caller's protocol.
    pub(crate) dialect: Option<Dialect>,
    /// Whether what lives at one provider may be named: all candidates are at this target.
    pub(crate) bound: bool,
}

/// What is sent.
struct Outgoing {
    body: Segments,
    call: Call,
    /// Whether it is the caller's body.
    passed: bool,
    answer: Reading,
}

/// How an answer is read.
pub(crate) enum Reading {
    /// As what it is in OpenAI's protocol, which is passed on.
    Plain {
        /// Usage that only we asked for is not.
        hide_usage: bool,
    },
    /// As another protocol, which is passed on; this judges it.
    Passed(Protocol, Box<Translation>),
    /// By this.
    Translated(Box<Translation>),
    /// As embeddings of another form.
    Embeddings,
    /// As a count of tokens, in the caller's form or another.
    Count {
        /// In the caller's.
        passed: bool,
    },
}

/// What is changed of a request while the same target is asked.
#[derive(Default)]
struct Changes {
    /// The request as it was encoded, or fitted, when it was decided on.
    encoded: Option<Box<Encoded>>,
    fitted: Option<Box<Fitted>>,
    /// What was sent last, where it was translated; and in which dialect.
    sent: Option<(Dialect, Box<Encoded>)>,
    /// The members that were added to what was passed through.
    added: SmallVec<[&'static str; 2]>,
    /// The hint that is left out.
    without: Option<Box<str>>,
    /// Whether what only its issuer can read is left out.
    sanitised: bool,
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
        target.with_secrets(|secrets| Self::scrubbed(failure, secrets))
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
pub(crate) async fn attempt(
    job: Attempt<'_>,
    ready: Option<Ready>,
    record: &mut Record,
) -> Result<Reply, Failed> {
    let Bound { at, cut } = job.time;
    match timeout_at(at, job.run(ready, record)).await {
        Ok(result) => result,
        Err(_) => {
            let waited = record.attempt_began().elapsed().as_secs_f64();
            let what = if job.asked.read.stream { "content" } else { "answer" };
            let message = format!("{} sent no {what} within {waited:.1} s", job.label());
            let mut failed = Failed::ours(Fault::Timeout, message);
            failed.ending.neutral = cut;
            Err(failed)
        }
    }
}

impl Attempt<'_> {
    pub(crate) fn label(&self) -> &str {
        &self.target.models[self.model].label
    }

    async fn run(&self, ready: Option<Ready>, record: &mut Record) -> Result<Reply, Failed> {
        let mut changes = match ready {
            Some(Ready::Encoded(encoded)) => {
                Changes { encoded: Some(encoded), ..Changes::default() }
            }
            Some(Ready::Fitted(fitted)) => Changes { fitted: Some(fitted), ..Changes::default() },
            None => Changes::default(),
        };
        loop {
            let outgoing = self.outgoing(&mut changes, record).map_err(|r| self.unfit(&r))?;
            let Some(outgoing) = outgoing else { return Ok(self.estimated(record)) };
            let result = match self.send(&outgoing, &changes).await {
                Ok(response) => self.judge(response, outgoing.answer, record).await,
                Err(failed) => Err(Refused::Failed(failed)),
            };
            match result {
                Ok(reply) => return Ok(reply),
                Err(Refused::Failed(failed)) => return Err(failed),
                // The same target once more, where it only refuses what can be left out.
                Err(Refused::By(failure)) if self.changes(&mut changes, &failure) => {}
                Err(Refused::By(failure)) => {
                    let mut failed = Failed::of(&failure, self.target);
                    failed.ending.neutral = self.is_of_another_kind(failure.class);
                    return Err(failed);
                }
            }
        }
    }

    /// Whether a model is said not to be there by an endpoint that may not be what it is for: a chat
    /// model is unknown to where images are made, and is well.
    fn is_of_another_kind(&self, class: OutcomeClass) -> bool {
        let endpoint = self.asked.endpoint;
        let capabilities = self.target.compiled.models[self.model].capabilities;
        let serves_more = || {
            Endpoint::ALL.iter().any(|other| {
                other.capability() != endpoint.capability() && capabilities.has(other.capability())
            })
        };
        class == OutcomeClass::Fault(Fault::ModelUnavailable)
            && !endpoint.answers_in_text()
            && serves_more()
    }

    fn unfit(&self, refusal: &Refusal) -> Failed {
        let failure = Failure {
            param: Some(refusal.field.clone()),
            ..Failure::new(OutcomeClass::Fault(Fault::Unsupported), refusal.to_string())
        };
        Failed::of(&failure, self.target)
    }

    /// Whether the request is sent once more, and otherwise.
    fn changes(&self, changes: &mut Changes, failure: &Failure) -> bool {
        if let Some(member) = changes.added.iter().find(|member| failure.refuses(member)) {
            let slot = match *member {
                "store" => &self.target.say_unstored,
                "include" => &self.target.models[self.model].ask_encrypted,
                _ => &self.target.ask_usage,
            };
            return slot.swap(false, Ordering::Relaxed);
        }
        if let Some((_, sent)) = &changes.sent
            && changes.without.is_none()
            && let Some(hint) = sent.refused(failure)
        {
            changes.without = Some(hint.into());
            return true;
        }
        let (dialect, signed) = match &changes.sent {
            Some((dialect, sent)) => (*dialect, sent.back.signed),
            None => (self.own_dialect(), true),
        };
        let signs = changes.sent.is_some()
            || matches!(self.asked.endpoint, Endpoint::Messages | Endpoint::Responses);
        if signs
            && !changes.sanitised
            && refuses_signature(dialect, failure, signed)
            && self.asked.neutral(self.headers).is_ok()
        {
            changes.sanitised = true;
            return true;
        }
        false
    }

    /// The dialect of what is passed through.
    fn own_dialect(&self) -> Dialect {
        match self.asked.endpoint {
            Endpoint::Responses => Dialect::OpenAiResponses,
            Endpoint::Messages | Endpoint::CountTokens => Dialect::Anthropic,
            _ => Dialect::OpenAiChat,
        }
    }

    /// The estimate of a request's tokens, where its provider counts none.
    fn estimated(&self, record: &mut Record) -> Reply {
        let Estimate { prompt_tokens, bytes_per_token, .. } = record.estimate;
        let tokens = match self.asked.neutral(self.headers) {
            Ok(Neutral::Answer(request)) => count_tokens::estimate(request).tokens(bytes_per_token),
            _ => prompt_tokens,
        };
        record.warnings.push(Warning {
            field: "input_tokens".to_owned(),
            action: Action::Adapted,
            detail: "The provider does not count tokens: this is an estimate.".to_owned(),
        });
        record.attempt_ends(Ending::of(OutcomeClass::Success));
        Reply::Json(count_tokens::write(tokens))
    }

    /// What is sent, and how its answer is read; `None`: nothing, the answer is an estimate.
    fn outgoing(
        &self,
        changes: &mut Changes,
        record: &mut Record,
    ) -> Result<Option<Outgoing>, Refusal> {
        let dialect = match (self.dialect, changes.sanitised) {
            (Some(dialect), _) => dialect,
            // What is left out of a request that was passed through is told by a translation.
            (None, true) => self.own_dialect(),
            (None, false) => return self.passed(changes, record).map(Some),
        };
        let request = self.asked.neutral(self.headers).map_err(|error| Refusal {
            field: error.param.clone().unwrap_or_default(),
            detail: error.message.clone(),
            not_portable: false,
        })?;
        let candidate = self.target.models[self.model].speaks.candidate(dialect, self.bound);
        let endpoint = self.asked.endpoint;
        let written = match (changes.encoded.take(), request) {
            (Some(encoded), _) => Written::Encoded(encoded),
            (None, Neutral::Answer(request)) if changes.sanitised => {
                write(endpoint, &Neutral::Answer(Box::new(sanitised(request))), &candidate)?
            }
            (None, request) => write(endpoint, request, &candidate)?,
        };
        let Written::Encoded(mut encoded) = written else { return Ok(None) };
        if let Some(member) = &changes.without {
            encoded.leave_out(member);
        }
        record.warnings.clone_from(&encoded.warnings);
        let (operation, answer) = match request {
            Neutral::Answer(_) if endpoint == Endpoint::CountTokens => {
                (Operation::CountTokens, Reading::Count { passed: false })
            }
            Neutral::Answer(request) => {
                let caller = Caller {
                    stream_usage: request.stream_usage,
                    old_functions: request.old_functions,
                    echo: match request.protocol {
                        Protocol::Responses => echo(&self.asked.text),
                        _ => Json::default(),
                    },
                    ..caller(request.protocol, &candidate, record)
                };
                let translation = Translation::new(&candidate, encoded.back.clone(), caller);
                (Operation::Generate, Reading::Translated(Box::new(translation)))
            }
            Neutral::Embeddings(_) => (Operation::Embed, Reading::Embeddings),
        };
        let outgoing = Outgoing {
            body: Segments::from(encoded.body.clone()),
            call: Call { dialect, operation, stream: self.asked.read.stream },
            passed: false,
            answer,
        };
        changes.added.clear();
        changes.sent = Some((dialect, encoded));
        Ok(Some(outgoing))
    }

    /// The request as the caller sent it, but for the edits that a candidate wants.
    fn passed(&self, changes: &mut Changes, record: &mut Record) -> Result<Outgoing, Refusal> {
        let (endpoint, dialect) = (self.asked.endpoint, self.own_dialect());
        let model = &self.target.models[self.model];
        let (text, read) = (&self.asked.text, &self.asked.read);
        let to = || rewriting(self.target, model, endpoint, self.bound);
        let fitted = match (changes.fitted.take(), fitting(self.asked, &model.speaks)) {
            (Some(fitted), _) => Some(*fitted),
            (None, Some(quirks)) => fit(text, read, &to(), quirks)?,
            (None, None) => None,
        };
        let rewritten = match fitted {
            Some(fitted) => {
                record.warnings = fitted.warnings;
                fitted.body
            }
            None => rewrite(text, read, &to()),
        };
        changes.added = rewritten.added;
        let answer = match protocol(endpoint) {
            _ if endpoint == Endpoint::CountTokens => Reading::Count { passed: true },
            Some(protocol @ (Protocol::Responses | Protocol::Messages)) => {
                let candidate = model.speaks.candidate(dialect, self.bound);
                let caller = caller(protocol, &candidate, record);
                let judge = Translation::new(&candidate, Back::default(), caller);
                Reading::Passed(protocol, Box::new(judge))
            }
            _ => Reading::Plain { hide_usage: rewritten.hide_usage },
        };
        let operation = Operation::Same(endpoint);
        Ok(Outgoing {
            body: rewritten.segments.into_iter().collect(),
            call: Call { dialect, operation, stream: self.asked.read.stream },
            passed: true,
            answer,
        })
    }

    /// Sends the request; a connection that had gone stale is replaced, once.
    async fn send(
        &self,
        outgoing: &Outgoing,
        changes: &Changes,
    ) -> Result<http::Response<PooledBody>, Failed> {
        let mut reuse = Reuse::Allowed;
        loop {
            let Some(mut request) = self.request(outgoing, changes) else {
                let what = self.asked.endpoint.path();
                let message = format!("{}: its provider has no /v1/{what}", self.label());
                return Err(Failed::ours(Fault::Unsupported, message));
            };
            if !self.target.is_authenticated() {
                // Boxed: most requests need no more than headers, and would carry its room along.
                let asked = Box::pin(self.target.authenticate(request)).await;
                request = asked.map_err(|unissued| {
                    Failed::ours(unissued.fault, format!("{}: {unissued}", self.label()))
                })?;
            }
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

    /// The request as it is sent; `None`: the provider has no such thing.
    fn request(&self, outgoing: &Outgoing, changes: &Changes) -> Option<Request<Segments>> {
        let call = outgoing.call;
        let mut request = Request::new(outgoing.body.clone());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.uri(self.model, call)?;
        let headers = request.headers_mut();
        headers.clone_from(&self.target.headers);
        let accepted = match (call.stream, call.dialect) {
            (false, _) if self.asked.endpoint == Endpoint::Speech => "*/*",
            (false, _) => "application/json",
            (true, Dialect::Bedrock) => "application/vnd.amazon.eventstream",
            (true, _) => "text/event-stream",
        };
        headers.insert(header::ACCEPT, HeaderValue::from_static(accepted));
        let mut forward = |name: &HeaderName| {
            if let Some(value) = self.headers.get(name) {
                headers.insert(name, value.clone());
            }
        };
        FORWARDED.iter().for_each(&mut forward);
        if self.first {
            forward(&FORWARDED_ONCE);
        }
        if outgoing.passed {
            FORWARDED_AS_IS.iter().for_each(&mut forward);
            if self.target.models[self.model].speaks.is_claude_on_vertex() {
                // Its body says the version.
                headers.remove(VERSION);
            } else if call.dialect == Dialect::Anthropic {
                headers.entry(VERSION).or_insert(ANTHROPIC);
            }
        }
        for (name, value) in changes.sent.iter().flat_map(|(_, sent)| &sent.headers) {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        Some(request)
    }

    pub(crate) fn invalid(&self, status: StatusCode, what: &str) -> Refused {
        let message = format!("{}: {what}", self.label());
        let mut failed = Failed::ours(Fault::InvalidResponse, message);
        failed.ending.status = Some(status.as_u16());
        Refused::Failed(failed)
    }

    pub(crate) fn filtered(&self, status: StatusCode) -> Refused {
        let message = format!("{} answered nothing: its filter ended the answer", self.label());
        let mut failed = Failed::ours(Fault::Moderation, message);
        failed.ending.status = Some(status.as_u16());
        Refused::Failed(failed)
    }
}

/// What an encoder of answers must know of the caller.
fn caller(protocol: Protocol, candidate: &Candidate<'_>, record: &Record) -> Caller {
    let id = record.request_id.to_str().unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Caller {
        protocol,
        now: now.as_secs(),
        seed: format!("{}{:02}", id.trim_start_matches("req_"), record.attempts),
        model: candidate.model.to_owned(),
        stream_usage: false,
        old_functions: false,
        echo: Json::empty(),
        tag: candidate.tag(),
        request_id: Some(id.to_owned()),
        estimate: record.estimate.prompt_tokens,
    }
}

/// An attempt that found no answer.
pub(crate) enum Refused {
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
