//! What became of a request: its attempts, their effects on ejection and metrics, and one line of
//! log at the end. It lives where the request lives, in the handler and then in the body of a
//! stream, so that a caller who leaves is accounted for by its being dropped.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use providers::{Amount, Flow, rules::Warning};
use routing::{
    CandidateIx, Money, OutcomeClass, Usage,
    fallback::Why,
    fleet::Dimension,
    quota::Left,
    stats::{Completion, PendingId},
};
use smallvec::SmallVec;
use telemetry::{Metrics, RequestEnd};
use tokio::time::Instant;

use crate::{
    callers::CallerCell,
    category, clock,
    http::Shape,
    learn,
    limits::{Hold, SharedLimits},
    live::{
        LiveAlias,
        stats::{End, ModelCell},
        target::LiveTarget,
    },
    money::MoneyHold,
    respond::{KeyLimits, Reason, Told},
    used::{Estimate, Used},
};

/// How a request stands under the limits of its key.
#[derive(Debug)]
pub(crate) struct KeyStanding {
    /// The limits.
    pub(crate) limits: SharedLimits,
    /// How the caller reads of them.
    pub(crate) shape: Shape,
    /// The one that it was refused for.
    pub(crate) full: Option<Dimension>,
}

impl KeyStanding {
    fn told(&self) -> KeyLimits {
        let mut left: SmallVec<[Left; 2]> = self.limits.lock().left(clock::now()).collect();
        // Others may have room: there is none here.
        for one in left.iter_mut().filter(|one| Some(one.dimension) == self.full) {
            one.left = 0;
        }
        KeyLimits { left, shape: self.shape }
    }
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
    /// What it used, where it produced an answer.
    pub(crate) used: Option<Used>,
    /// What that cost, where its model has a price.
    pub(crate) cost: Option<Money>,
}

/// An attempt under way.
#[derive(Debug)]
struct Current {
    candidate: CandidateIx,
    why: Why,
    began: Instant,
    /// The target's health has learned of its success: a stream that has begun is one.
    committed: bool,
    /// What of its answer was seen.
    seen: Seen,
    /// It, as one of the requests that its model is working on.
    pending: Option<PendingId>,
}

/// What of an answer was seen so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// As the provider counted it.
    pub(crate) usage: Option<Usage>,
    /// How much content there was.
    pub(crate) amount: Amount,
    /// How many images there were, where those are what is asked for.
    pub(crate) images: u64,
    /// In how many events.
    pub(crate) deltas: u64,
    /// Whether reading it waited for a slow caller.
    pub(crate) waited: bool,
}

impl From<&Flow> for Seen {
    fn from(stream: &Flow) -> Self {
        Self {
            usage: stream.usage(),
            amount: stream.amount(),
            images: stream.images(),
            deltas: stream.deltas(),
            waited: false,
        }
    }
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
    /// Whether its answers cost nothing, and tell nothing of how fast a model is.
    pub(crate) free: bool,
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
    /// How its category was told, where its alias chooses by it.
    pub(crate) told: Option<category::Told>,
    /// That alias, with the lineups of all categories.
    pub(crate) whole: Option<Arc<LiveAlias>>,
    /// What the request is known to hold before a provider has counted it.
    pub(crate) estimate: Estimate,
    /// From the start of the attempt to the first content of a stream.
    pub(crate) first_token: Option<Duration>,
    /// What was adapted or dropped on the way to the target that was tried last.
    pub(crate) warnings: Vec<Warning>,
    /// What it holds of the limits of the target that was tried last.
    pub(crate) hold: Option<Hold>,
    /// Whose key it came with.
    pub(crate) caller: Option<Arc<CallerCell>>,
    /// What it holds of that key's limits.
    pub(crate) key_hold: Option<Hold>,
    /// What it holds of that key's budget.
    pub(crate) money: Option<MoneyHold>,
    /// That key's limits.
    pub(crate) key_limits: Option<KeyStanding>,
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
            free: false,
            alias: None,
            counts: Counts::Nothing,
            tried: SmallVec::new(),
            attempts: 0,
            reason: Reason::Refused,
            status: 0,
            upstream_request_id: None,
            metadata: None,
            told: None,
            whole: None,
            estimate: Estimate::default(),
            first_token: None,
            warnings: Vec::new(),
            hold: None,
            caller: None,
            key_hold: None,
            money: None,
            key_limits: None,
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

    /// It takes the lineup of its category, under the alias that it named.
    pub(crate) fn takes(&mut self, lineup: &Arc<LiveAlias>, told: category::Told) {
        self.whole = self.alias.replace(Arc::clone(lineup));
        self.told = Some(told);
    }

    /// What the response's headers say.
    pub(crate) fn told(&self) -> Told {
        let last = self.current.as_ref().map(|c| c.candidate);
        let last = last.or_else(|| self.tried.last().map(|t| t.candidate));
        let alias = self.alias.as_deref();
        Told {
            request_id: self.request_id.clone(),
            alias: alias.map(|a| (a.header.clone(), a.revision.clone())),
            category: alias.and_then(|a| a.category.as_ref()).map(|c| c.header.clone()),
            target: alias
                .zip(last)
                .and_then(|(a, ix)| Some(a.candidates[ix.get()].model()?.0.header.clone())),
            attempts: self.attempts,
            reason: self.reason,
            upstream_request_id: self.upstream_request_id.clone(),
            limits: self.key_limits.as_ref().filter(|_| !self.minimal).map(KeyStanding::told),
            minimal: self.minimal,
        }
    }

    /// An attempt begins, with what it holds of its target's limits.
    pub(crate) fn attempt_begins(&mut self, candidate: CandidateIx, why: Why, hold: Option<Hold>) {
        self.attempts += 1;
        self.upstream_request_id = None;
        self.warnings.clear();
        self.hold = hold;
        let pending = self.place(candidate).map(|(target, model)| {
            let model = &target.models[model];
            model.metrics.attempt_begun();
            model.stats.admit(clock::now(), self.estimate.prompt_tokens, self.stream)
        });
        self.current = Some(Current {
            candidate,
            why,
            began: Instant::now(),
            committed: false,
            seen: Seen::default(),
            pending,
        });
    }

    /// When the attempt under way began.
    pub(crate) fn attempt_began(&self) -> Instant {
        self.current.as_ref().map_or(self.began, |c| c.began)
    }

    /// The first content of a stream came.
    pub(crate) fn first_token(&mut self) {
        let after = self.attempt_began().elapsed();
        self.first_token = Some(after);
        if let (Some(alias), Some(current)) = (&self.alias, &mut self.current) {
            let candidate = &alias.candidates[current.candidate.get()];
            candidate.metrics.first_token(after);
            if let (Some((model, _)), Some(pending)) = (candidate.model(), &mut current.pending) {
                model.stats.first_token(clock::now(), pending);
            }
        }
    }

    /// A stream has begun: the target is well, however long the stream goes on.
    pub(crate) fn commit(&mut self) {
        let Some(current) = &mut self.current else { return };
        current.committed = true;
        let (candidate, took) = (current.candidate, current.began.elapsed());
        if let Some((target, model)) = self.place(candidate) {
            learn::attempt(target, model, &Ending::of(OutcomeClass::Success), took);
        }
    }

    /// The stream ended after content without its terminal event.
    pub(crate) fn truncated(&self) {
        if let (Some(alias), Some(current)) = (&self.alias, &self.current) {
            alias.candidates[current.candidate.get()].metrics.truncated();
        }
    }

    /// So much of the answer of the attempt under way was seen, from its beginning.
    pub(crate) fn saw(&mut self, seen: Seen) {
        if let Some(current) = &mut self.current {
            current.seen = seen;
        }
    }

    /// The attempt under way ended: the target's health and the metrics learn of it.
    pub(crate) fn attempt_ends(&mut self, ending: Ending) {
        let Some(Current { candidate, why, began, committed, seen, pending }) = self.current.take()
        else {
            return;
        };
        let took = began.elapsed();
        let used = self.used_by(&ending, committed, seen);
        let mut cost = None;
        if let Some(alias) = &self.alias {
            let candidate = &alias.candidates[candidate.get()];
            candidate.metrics.ended(ending.class, took);
            if let Some(used) = used {
                let (input, output) = (used.usage.prompt(), used.usage.completion());
                candidate.metrics.tokens(input, output, used.estimated);
                cost = used.cost(candidate.model().and_then(|(_, model)| model.price.as_ref()));
                if let Some(cost) = cost {
                    candidate.metrics.cost(cost);
                }
                if let Some(caller) = &self.caller {
                    caller.charge(input, output, cost);
                }
            }
        }
        if let Some((target, model)) = self.place(candidate) {
            target.models[model].metrics.attempt_ended();
            if let Some(pending) = pending {
                let says = (!self.free).then_some(&ending);
                observe(&target.models[model].stats, &pending, says, seen, used);
            }
            if !(committed && ending.class == OutcomeClass::Success) {
                learn::attempt(target, model, &ending, took);
            }
        }
        if let (Some(used), Some(hold)) = (&used, self.hold.take_if(|_| used.is_some())) {
            hold.used(&used.usage);
        }
        if let (Some(alias), Some(used), OutcomeClass::Success) = (&self.alias, used, ending.class)
            && !used.estimated
        {
            alias.stats.answered(candidate, &used.usage, self.estimate.text_bytes);
        }
        self.tried.push(Tried { candidate, why, ending, took, used, cost });
    }

    /// What an attempt is charged: what its provider counted; estimated, where it answered without
    /// a count, or the caller left while it was at it; nothing, where it refused.
    fn used_by(&self, ending: &Ending, committed: bool, seen: Seen) -> Option<Used> {
        if self.free {
            return None;
        }
        let produced =
            committed || matches!(ending.class, OutcomeClass::Success | OutcomeClass::CallerLeft);
        match seen.usage {
            Some(usage) => Some(Used::counted(usage)),
            None => produced
                .then(|| Used::estimated(self.estimate, seen.amount, seen.deltas, seen.images)),
        }
    }

    /// What all attempts used together, where any produced an answer.
    pub(crate) fn used(&self) -> Option<Used> {
        self.tried.iter().filter_map(|t| t.used).reduce(Used::plus)
    }

    /// What all attempts cost together; `None` where one that used something has no price.
    pub(crate) fn cost(&self) -> Option<Money> {
        let mut used = self.tried.iter().filter(|t| t.used.is_some()).map(|t| t.cost).peekable();
        used.peek()?;
        used.try_fold(Money::ZERO, |sum, cost| Some(sum.plus(cost?)))
    }

    fn place(&self, candidate: CandidateIx) -> Option<(&LiveTarget, usize)> {
        let (target, model) = self.alias.as_ref()?.candidates[candidate.get()].place.as_ref()?;
        Some((target, *model))
    }

    /// The request ended; one line of log.
    pub(crate) fn ends(&mut self, end: RequestEnd) {
        let Some(metrics) = self.metrics.take() else { return };
        self.hold = None;
        self.money = None;
        if let (Some(hold), Some(used)) = (self.key_hold.take(), self.used()) {
            hold.used(&used.usage);
        }
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
        let used = self.used();
        let outcomes: SmallVec<[&str; 4]> =
            self.tried.iter().map(|t| t.ending.class.name()).collect();
        tracing::info!(
            target: "moniker::request",
            request_id = text(&self.request_id),
            path = self.path,
            stream = self.stream,
            access_key = self.caller.as_ref().map(|caller| &*caller.label),
            alias = told.alias.as_ref().map(|(alias, _)| text(alias)),
            category = told.category.as_ref().map(text),
            category_by = self.told.as_ref().map(|told| told.by.name()),
            likeliest = self.told.as_ref().and_then(|told| Some(&*told.likeliest.as_ref()?.0)),
            confidence = self.told.as_ref().and_then(|told| Some(told.likeliest.as_ref()?.1)),
            target = told.target.as_ref().map(text),
            attempts = self.attempts,
            outcomes = outcomes.join(","),
            reason = self.reason.name(),
            status = self.status,
            end = end.name(),
            duration_ms = millis(took),
            first_token_ms = self.first_token.map(millis),
            input_tokens = used.map(|u| u.usage.prompt()),
            output_tokens = used.map(|u| u.usage.completion()),
            estimated = used.map(|u| u.estimated),
            cost = self.cost().map(tracing::field::display),
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

/// Tells a model's statistics of an attempt that ended; `None`: it says nothing of the model.
fn observe(
    stats: &ModelCell,
    pending: &PendingId,
    ending: Option<&Ending>,
    seen: Seen,
    used: Option<Used>,
) {
    let tokens = used.map_or(0, |u| u.usage.prompt().saturating_add(u.usage.completion()));
    let Some(ending) = ending.filter(|ending| !ending.neutral) else {
        return stats.ends(clock::now(), pending, End::SaysNothing, tokens);
    };
    let end = match ending.class {
        OutcomeClass::Success => End::Answered(Completion {
            output_tokens: used.map_or(0, |used| used.usage.completion()),
            events: seen.deltas,
            waited_for_caller: seen.waited,
        }),
        class => End::Failed(class),
    };
    stats.ends(clock::now(), pending, end, tokens);
}
