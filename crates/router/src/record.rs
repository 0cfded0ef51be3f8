//! What became of a request: its attempts, their effects on ejection and metrics, and one line of
//! log at the end. It lives where the request lives, in the handler and then in the body of a
//! stream, so that a caller who leaves is accounted for by its being dropped.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use http::HeaderValue;
use routing::{
    CandidateIx, OutcomeClass,
    ejection::{Event, Scope},
    fallback::Why,
    outcome::Fault,
};
use serde::Serialize;
use smallvec::SmallVec;
use telemetry::{Metrics, RequestEnd};
use tokio::time::Instant;

use crate::{
    clock,
    live::{LiveAlias, health::Change, target::LiveTarget},
    respond::{Reason, Told},
};

/// Tokens of an answer, as the provider counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tokens {
    /// Of the prompt.
    pub(crate) input: u64,
    /// Of the answer.
    pub(crate) output: u64,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    /// The class.
    pub(crate) class: OutcomeClass,
    /// The provider's status, if it answered.
    pub(crate) status: Option<u16>,
    /// What the provider asked to wait.
    pub(crate) retry_after: Option<Duration>,
    /// What went wrong, for people; scrubbed.
    pub(crate) message: Option<Box<str>>,
    /// Whether it tells nothing about the target: its time had been cut short.
    pub(crate) neutral: bool,
}

impl Ending {
    /// An ending of this class.
    pub(crate) fn of(class: OutcomeClass) -> Self {
        Self { class, status: None, retry_after: None, message: None, neutral: false }
    }
}

/// An attempt that ended.
#[derive(Debug)]
pub(crate) struct Tried {
    /// Which candidate.
    pub(crate) candidate: CandidateIx,
    /// Why it was tried.
    pub(crate) why: Why,
    /// How it ended.
    pub(crate) ending: Ending,
    /// How long it took.
    pub(crate) took: Duration,
}

/// An attempt under way.
#[derive(Debug)]
struct Current {
    candidate: CandidateIx,
    why: Why,
    began: Instant,
    /// The target's health has learned of its success: a stream that has begun is one.
    committed: bool,
}

/// What a request is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    /// A request that named no alias, or only asked about one.
    Nothing,
    /// A request for a model that is no alias.
    Unknown,
    /// A request of its alias.
    Alias,
}

/// One request.
pub(crate) struct Record {
    /// `x-request-id`.
    pub(crate) request_id: HeaderValue,
    /// When its head was read.
    pub(crate) began: Instant,
    /// What was called, for the log.
    pub(crate) path: &'static str,
    /// Whether a stream was asked for.
    pub(crate) stream: bool,
    /// The alias that it named.
    pub(crate) alias: Option<Arc<LiveAlias>>,
    /// What the metrics count it as.
    pub(crate) counts: Counts,
    /// The attempts that ended.
    pub(crate) tried: SmallVec<[Tried; 2]>,
    /// Attempts that were begun.
    pub(crate) attempts: u32,
    /// Why the response is what it is.
    pub(crate) reason: Reason,
    /// The status that the caller got.
    pub(crate) status: u16,
    /// The provider's id of the request.
    pub(crate) upstream_request_id: Option<HeaderValue>,
    /// The decision, where the caller wants the metadata.
    pub(crate) metadata: Option<serde_json::Value>,
    /// What the provider counted.
    pub(crate) tokens: Option<Tokens>,
    /// From the start of the attempt to the first content of a stream.
    pub(crate) first_token: Option<Duration>,
    current: Option<Current>,
    /// `None` once the request has ended.
    metrics: Option<Arc<Metrics>>,
    minimal: bool,
}

impl Record {
    /// A request begins.
    pub(crate) fn new(metrics: Arc<Metrics>, request_id: HeaderValue, minimal: bool) -> Self {
        Self {
            request_id,
            began: Instant::now(),
            path: "none",
            stream: false,
            alias: None,
            counts: Counts::Nothing,
            tried: SmallVec::new(),
            attempts: 0,
            reason: Reason::Refused,
            status: 0,
            upstream_request_id: None,
            metadata: None,
            tokens: None,
            first_token: None,
            current: None,
            metrics: Some(metrics),
            minimal,
        }
    }

    /// The alias is known. Unless it is only asked about, the request counts as one of its.
    pub(crate) fn names(&mut self, alias: &Arc<LiveAlias>, counted: bool) {
        if counted {
            alias.metrics.begun();
            self.counts = Counts::Alias;
        }
        self.alias = Some(Arc::clone(alias));
    }

    /// What the response's headers say.
    pub(crate) fn told(&self) -> Told {
        let last = self.current.as_ref().map(|c| c.candidate);
        let last = last.or_else(|| self.tried.last().map(|t| t.candidate));
        let alias = self.alias.as_deref();
        Told {
            request_id: self.request_id.clone(),
            alias: alias.map(|a| (a.header.clone(), a.revision.clone())),
            target: alias
                .zip(last)
                .and_then(|(a, ix)| Some(a.candidates[ix.get()].model()?.0.header.clone())),
            attempts: self.attempts,
            reason: self.reason,
            upstream_request_id: self.upstream_request_id.clone(),
            minimal: self.minimal,
        }
    }

    /// An attempt begins.
    pub(crate) fn attempt_begins(&mut self, candidate: CandidateIx, why: Why) {
        self.attempts += 1;
        self.upstream_request_id = None;
        if let Some((target, model)) = self.place(candidate) {
            target.models[model].metrics.attempt_begun();
        }
        self.current = Some(Current { candidate, why, began: Instant::now(), committed: false });
    }

    /// When the attempt under way began.
    pub(crate) fn attempt_began(&self) -> Instant {
        self.current.as_ref().map_or(self.began, |c| c.began)
    }

    /// The first content of a stream came.
    pub(crate) fn first_token(&mut self) {
        let after = self.attempt_began().elapsed();
        self.first_token = Some(after);
        if let (Some(alias), Some(current)) = (&self.alias, &self.current) {
            alias.candidates[current.candidate.get()].metrics.first_token(after);
        }
    }

    /// A stream has begun: the target is well, however long the stream goes on.
    pub(crate) fn commit(&mut self) {
        let Some(current) = &mut self.current else { return };
        current.committed = true;
        let (candidate, took) = (current.candidate, current.began.elapsed());
        if let Some((target, model)) = self.place(candidate) {
            learn(target, model, &Ending::of(OutcomeClass::Success), took);
        }
    }

    /// The stream ended after content without its terminal event.
    pub(crate) fn truncated(&self) {
        if let (Some(alias), Some(current)) = (&self.alias, &self.current) {
            alias.candidates[current.candidate.get()].metrics.truncated();
        }
    }

    /// The attempt under way ended: the target's health and the metrics learn of it.
    pub(crate) fn attempt_ends(&mut self, ending: Ending) {
        let Some(Current { candidate, why, began, committed }) = self.current.take() else {
            return;
        };
        let took = began.elapsed();
        if let Some(alias) = &self.alias {
            let metrics = &alias.candidates[candidate.get()].metrics;
            metrics.ended(ending.class, took);
            if let Some(tokens) = self.tokens {
                metrics.tokens(tokens.input, tokens.output);
            }
        }
        if let Some((target, model)) = self.place(candidate) {
            target.models[model].metrics.attempt_ended();
            if !(committed && ending.class == OutcomeClass::Success) {
                learn(target, model, &ending, took);
            }
        }
        self.tried.push(Tried { candidate, why, ending, took });
    }

    fn place(&self, candidate: CandidateIx) -> Option<(&LiveTarget, usize)> {
        let (target, model) = self.alias.as_ref()?.candidates[candidate.get()].place.as_ref()?;
        Some((target, *model))
    }

    /// The request ended; one line of log.
    pub(crate) fn ends(&mut self, end: RequestEnd) {
        let Some(metrics) = self.metrics.take() else { return };
        let took = self.began.elapsed();
        match (self.counts, &self.alias) {
            (Counts::Alias, Some(alias)) => alias.metrics.ended(end, took),
            (Counts::Unknown, _) => metrics.unknown_alias().refused(end, took),
            _ => metrics.no_alias().refused(end, took),
        }
        self.log(end, took);
    }

    /// One line, without anything that a caller or a provider wrote.
    fn log(&self, end: RequestEnd, took: Duration) {
        if !tracing::enabled!(target: "moniker::request", tracing::Level::INFO) {
            return;
        }
        let told = self.told();
        let outcomes: SmallVec<[&str; 4]> =
            self.tried.iter().map(|t| t.ending.class.name()).collect();
        tracing::info!(
            target: "moniker::request",
            request_id = text(&self.request_id),
            path = self.path,
            stream = self.stream,
            alias = told.alias.as_ref().map(|(alias, _)| text(alias)),
            target = told.target.as_ref().map(text),
            attempts = self.attempts,
            outcomes = outcomes.join(","),
            reason = self.reason.name(),
            status = self.status,
            end = end.name(),
            duration_ms = millis(took),
            first_token_ms = self.first_token.map(millis),
            input_tokens = self.tokens.map(|t| t.input),
            output_tokens = self.tokens.map(|t| t.output),
            "request"
        );
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // Dropped before its end: the caller went away, and with this the attempt is cancelled.
        self.attempt_ends(Ending::of(OutcomeClass::CallerLeft));
        self.ends(RequestEnd::Left);
    }
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Updates the ejection of a target, and of the model that was asked.
fn learn(target: &LiveTarget, model: usize, ending: &Ending, took: Duration) {
    let now = clock::now();
    // What was refused is a credential that has been replaced since.
    let outdated = matches!(ending.class, OutcomeClass::Fault(Fault::Auth | Fault::OutOfCredit))
        && target.outdated.load(Ordering::Relaxed);
    for scope in [Scope::Target, Scope::Model] {
        let event = if ending.neutral || outdated {
            Event::Neutral
        } else {
            Event::of(ending.class, scope, ending.retry_after, took)
        };
        let metrics = match scope {
            Scope::Target => &target.models[..],
            Scope::Model => &target.models[model..=model],
        };
        match target.cell_of(scope, model).step(&target.compiled.ejection, now, event) {
            Change::None => {}
            Change::Healed => metrics.iter().map(|m| &m.metrics).for_each(|m| m.readmitted()),
            Change::Prolonged(ejected) => {
                let length = ejected.until.since(now);
                for model in metrics {
                    model.metrics.prolonged(length);
                }
            }
            Change::Ejected(ejected) => {
                let length = ejected.until.since(now);
                for model in metrics {
                    model.metrics.ejected(ejected.by, length);
                }
                tracing::warn!(
                    target = &*target.models[model].label,
                    by = ejected.by.name(),
                    hard = ejected.hard,
                    for_ms = millis(length),
                    "target ejected"
                );
            }
        }
    }
}
