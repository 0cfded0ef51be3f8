//! The attempt loop: the next candidate, until one answers or the plan says stop. All policy is in
//! `routing::fallback`; what an attempt does is in [`attempt`](crate::attempt).

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};
use routing::{
    CandidateIx, Endpoint, Nanos, OutcomeClass, Rng,
    fallback::{Ended, FallbackPlan, Next, PlanCx, StopReason, Verdict, Why},
    outcome::Fault,
    quota::{Estimate, Full},
    rank::{Effects, Ranked},
};
use smallvec::SmallVec;
use tokio::time::{Instant, sleep};

use crate::{
    attempt::{Attempt, Bound, Failed, attempt},
    clock,
    decide::Decision,
    errors::{RATE_LIMIT, Refusal, SERVER_ERROR},
    facts::Asked,
    filter,
    limits::Hold,
    live::{LiveAlias, target::LiveTarget},
    pipeline::{Reply, Traffic},
    record::Record,
    respond::Reason,
    translate::Ways,
};

/// The attempts of one request.
pub(crate) struct Attempts<'r> {
    traffic: &'r Traffic,
    alias: &'r Arc<LiveAlias>,
    asked: &'r Asked,
    headers: &'r HeaderMap,
    plan: FallbackPlan,
    /// The candidate that the strategy would have asked first, were all available.
    skipped: bool,
    /// What the ranking changes of live state, until the first attempt starts; and as of when.
    effects: Option<Box<(Effects, Nanos)>>,
    /// Whether the first of the ranking is neither ejected nor at a limit.
    opens: bool,
    /// Whether an attempt has started.
    started: bool,
    /// What the request is expected to use.
    expected: Estimate,
    /// The candidates that are at a limit, as of the decision or since.
    full: SmallVec<[(CandidateIx, Full); 1]>,
    rng: Rng,
    /// How the candidates are asked.
    ways: Ways,
    /// The last failure of each kind of answer.
    failures: SmallVec<[Failed; 1]>,
}

impl<'r> Attempts<'r> {
    /// Attempts in the order of a decision.
    pub(crate) fn new(
        traffic: &'r Traffic,
        alias: &'r Arc<LiveAlias>,
        asked: &'r Asked,
        headers: &'r HeaderMap,
        decision: Decision,
        ways: Ways,
        rng: Rng,
    ) -> Self {
        let skipped = decision.skips();
        let opens = decision.ranking().first().is_some_and(|ix| decision.is_open(*ix));
        let Decision { now, ranked: Ranked { ranking, effects, .. }, expected, full, .. } =
            decision;
        let plan = FallbackPlan::new(ranking, alias.compiled.fallback.clone());
        Self {
            traffic,
            alias,
            asked,
            headers,
            plan,
            skipped,
            effects: (!effects.is_empty()).then(|| Box::new((effects, now))),
            opens,
            started: false,
            expected,
            full,
            rng,
            ways,
            failures: SmallVec::new(),
        }
    }

    /// Whether there is a candidate that can be asked at once.
    pub(crate) fn opens(&self) -> bool {
        self.opens
    }

    /// Tries until something is to be answered.
    pub(crate) async fn run(mut self, record: &mut Record) -> Result<Reply, Refusal> {
        let timeouts = self.alias.compiled.timeouts;
        let fallback = &self.alias.compiled.fallback;
        let configured = Duration::from_millis(timeouts.request_ms);
        let request = self.asked.timeout.map_or(configured, |own| own.min(configured));
        let shortened = request < configured;
        let deadline = record.began + request;
        let mut last = None;
        loop {
            match self.next(last, deadline) {
                Next::Try { candidate, why, after, force } => {
                    if !after.is_zero() {
                        sleep(after).await;
                    }
                    let place = self.alias.candidates[candidate.get()].place.as_ref();
                    let Some((target, model)) = place else {
                        // The filter lets none through without a place.
                        return Err(self.verdict());
                    };
                    if !target.claim(*model, clock::now(), force) {
                        last = Some(Ended::NotClaimed);
                        continue;
                    }
                    let hold = match self.reserve(target, *model, candidate, record) {
                        Ok(hold) => hold,
                        Err(until) => {
                            target.unclaim(*model, clock::now());
                            last = Some(Ended::AtLimit { until });
                            continue;
                        }
                    };
                    self.first_starts(candidate);
                    record.attempt_begins(candidate, why, hold);
                    let job = Attempt {
                        asked: self.asked,
                        headers: self.headers,
                        target,
                        model: *model,
                        first: record.attempts == 1,
                        time: self.bound(record.attempts, deadline, shortened),
                        stream_idle: Duration::from_millis(timeouts.stream_idle_ms),
                        filtered_is_fault: fallback.outcomes.has(Fault::Moderation),
                        dialect: self.ways.translated(candidate),
                        bound: self.alias.one_target,
                    };
                    let ready = self.ways.take(candidate);
                    match attempt(job, ready, record).await {
                        Ok(reply) => {
                            self.next(Some(Ended::As(OutcomeClass::Success)), deadline);
                            record.reason = match why {
                                Why::First if self.skipped => Reason::Available,
                                Why::First => Reason::FirstChoice,
                                Why::Fallback => Reason::Fallback,
                                Why::Retry => Reason::Retry,
                            };
                            return Ok(reply);
                        }
                        Err(failed) => {
                            record.attempt_ends(failed.ending.clone());
                            last = Some(Ended::As(failed.ending.class));
                            self.failures.push(failed);
                        }
                    }
                }
                Next::Stop(reason) => return Err(self.refusal(reason, record)),
            }
        }
    }

    /// Reserves what the request is expected to use of the target's limits, unless it holds that
    /// already: it counts once there, however often it is tried. Else: until when it is at one.
    fn reserve(
        &mut self,
        target: &LiveTarget,
        model: usize,
        candidate: CandidateIx,
        record: &mut Record,
    ) -> Result<Option<Hold>, Nanos> {
        // Counting tokens takes nothing of a quota.
        let counts = self.asked.endpoint != Endpoint::CountTokens;
        let Some(limits) = target.limits.as_ref().filter(|_| counts) else { return Ok(None) };
        let (live, compiled) = (&target.models[model], &target.compiled.models[model]);
        if let Some(hold) = record.hold.take_if(|hold| hold.is_of(&live.label)) {
            return Ok(Some(hold));
        }
        let now = clock::now();
        let reserved = Hold::reserve(limits, &live.label, &compiled.name, self.expected, now);
        reserved.map(Some).map_err(|full| {
            let until = now + full.retry_after;
            self.full.retain(|(ix, _)| *ix != candidate);
            self.full.push((candidate, full));
            until
        })
    }

    /// When the first attempt starts, live state takes in what the ranking changes of it, and the
    /// limits that kept the request away from a target count it as demand.
    fn first_starts(&mut self, candidate: CandidateIx) {
        if let Some(effects) = self.effects.take() {
            self.alias.stats.apply(&effects.0, effects.1);
        }
        if self.started {
            return;
        }
        self.started = true;
        for (ix, _) in &self.full {
            let live = &self.alias.candidates[ix.get()];
            // The order of the list stands for what would have been asked first, where it decides.
            let passed_over = *ix < candidate || self.alias.by_numbers;
            if passed_over
                && let Some(limits) = live.limits()
                && let Some((_, model)) = live.model()
            {
                limits.lock().refuse(clock::now(), &model.name, self.expected);
            }
        }
    }

    fn next(&mut self, last: Option<Ended>, deadline: Instant) -> Next {
        let alias = self.alias;
        let now = clock::now();
        let mut budget = self.traffic.budget.lock();
        self.plan.next(
            last,
            &mut PlanCx {
                now,
                deadline: clock::nanos(deadline),
                budget: &mut budget,
                rng: &mut self.rng,
                availability: &|ix: CandidateIx| alias.candidates[ix.get()].availability(now),
                window: &|ix| filter::window(alias, ix),
            },
        )
    }

    /// How long the attempt that begins now may take until its answer, or its first content. The
    /// caller cuts it short by its timeout, or by taking long to send its body.
    fn bound(&self, attempts: u32, deadline: Instant, shortened: bool) -> Bound {
        let timeouts = &self.alias.compiled.timeouts;
        let now = Instant::now();
        let mut at = deadline;
        // What was cut short, by the caller or by earlier attempts, tells nothing of the target.
        let left = deadline.saturating_duration_since(now);
        let late = left < Duration::from_millis(timeouts.request_ms) / 10 * 9;
        let mut cut = shortened || attempts > 1 || late;
        let mut own = |ms: u64| {
            let bound = now + Duration::from_millis(ms);
            if bound < at {
                (at, cut) = (bound, false);
            }
        };
        if let Some(ms) = timeouts.attempt_ms {
            own(ms);
        }
        if self.asked.read.stream {
            if !self.asked.read.reasoning {
                own(timeouts.first_token_ms);
            }
        } else if timeouts.attempt_ms.is_none() && self.plan.has_more() {
            at = now + left / 2;
        }
        Bound { at, cut }
    }

    /// What the caller is told when nothing answered.
    fn refusal(&self, stop: StopReason, record: &mut Record) -> Refusal {
        record.reason = match stop {
            StopReason::Answered | StopReason::Final => Reason::Final,
            StopReason::Exhausted => Reason::Exhausted,
            StopReason::MaxAttempts => Reason::MaxAttempts,
            StopReason::Deadline => Reason::Deadline,
            StopReason::FallbackBudgetExhausted => Reason::Budget,
            StopReason::Ejected { .. } => Reason::Ejected,
            StopReason::AtLimit { .. } => Reason::AtLimit,
        };
        if let StopReason::AtLimit { until } = stop {
            return self.all_full(until);
        }
        let last = self.failures.last();
        if let Some(failed) = last
            && failed.ending.class == OutcomeClass::InvalidRequest
        {
            return Refusal::from(&*failed.error);
        }
        let mut refusal = match (stop, last) {
            (StopReason::Ejected { rate_limited, .. }, None) => self.all_ejected(rate_limited),
            (StopReason::Ejected { rate_limited: true, .. }, _) => self.all_ejected(true),
            _ => self.verdict(),
        };
        if let StopReason::Ejected { until, .. } = stop {
            // One that was tried may recover before those that were not.
            let left = until.since(clock::now()).max(Duration::from_secs(1));
            refusal.retry_after = self.soonest().into_iter().chain([left]).min();
        }
        refusal.exhausted = true;
        refusal
    }

    /// Nothing was tried: what is not ejected is at a limit that the alias's owner or the provider
    /// set.
    fn all_full(&self, until: Nanos) -> Refusal {
        let name = &self.alias.compiled.id;
        let why: Vec<String> = self
            .full
            .iter()
            .map(|(ix, full)| {
                let candidate = &self.alias.compiled.candidates[ix.get()];
                format!("{}/{}: {}", candidate.target, candidate.model, limit(full))
            })
            .collect();
        let message = format!(
            "Every target of the alias {name} is at its limit ({}): ask again after Retry-After.",
            why.join("; ")
        );
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, RATE_LIMIT, "rate_limit_exceeded", message)
            .retry_after(until.since(clock::now()).max(Duration::from_secs(1)))
    }

    /// Nothing was tried, or only what is rate limited: the targets wait for their time.
    fn all_ejected(&self, rate_limited: bool) -> Refusal {
        let name = &self.alias.compiled.id;
        if rate_limited {
            let message = format!(
                "Every target of the alias {name} is rate limited: ask again after Retry-After."
            );
            let status = StatusCode::TOO_MANY_REQUESTS;
            return Refusal::new(status, RATE_LIMIT, "rate_limit_exceeded", message);
        }
        let message = format!(
            "Every target of the alias {name} is ejected after failures (credential, credit, \
             missing model or rate limit): see its status and the router's metrics."
        );
        Refusal::server(StatusCode::BAD_GATEWAY, "upstream_error", message)
    }

    fn verdict(&self) -> Refusal {
        let said = |fault: Fault| {
            let mut found = self.failures.iter().rev();
            found.find(|f| f.ending.class == OutcomeClass::Fault(fault))
        };
        let name = &self.alias.compiled.id;
        let last = self.failures.last().map_or("", |failed| failed.error.message.as_str());
        let own = |fault: Fault| said(fault).map(|failed| Refusal::from(&*failed.error));
        let kept = match self.plan.verdict() {
            Verdict::ContextLength => own(Fault::ContextLength),
            Verdict::Moderation => own(Fault::Moderation),
            Verdict::Unsupported => own(Fault::Unsupported),
            Verdict::RateLimited => {
                let text = format!("Every target of the alias {name} is rate limited: {last}");
                let status = StatusCode::TOO_MANY_REQUESTS;
                let mut refusal = Refusal::new(status, RATE_LIMIT, "rate_limit_exceeded", text);
                refusal.retry_after = self.soonest();
                Some(refusal)
            }
            Verdict::Timeout => {
                let text = format!("No target of the alias {name} answered in time: {last}");
                let status = StatusCode::GATEWAY_TIMEOUT;
                Some(Refusal::new(status, SERVER_ERROR, "timeout", text))
            }
            Verdict::Upstream => None,
        };
        kept.unwrap_or_else(|| {
            let text = format!(
                "No target of the alias {name} answered ({} attempts). The last one: {last}",
                self.failures.len()
            );
            Refusal::server(StatusCode::BAD_GATEWAY, "upstream_error", text)
        })
    }

    /// The smallest time after which a candidate that was tried recovers.
    fn soonest(&self) -> Option<Duration> {
        let now = clock::now();
        let until = self.plan.ranking().iter().filter_map(|ix| {
            match self.alias.candidates[ix.get()].availability(now) {
                routing::ejection::Availability::Hard { until, .. }
                | routing::ejection::Availability::Soft { until } => Some(until.since(now)),
                routing::ejection::Availability::Available => None,
            }
        });
        until.min().map(|d| d.max(Duration::from_secs(1)))
    }
}

/// Which limit is reached, for people.
pub(crate) fn limit(full: &Full) -> String {
    match &full.quota {
        Some(quota) => format!("{} of the quota {quota}", full.dimension),
        None => "maxInFlight".to_owned(),
    }
}

impl Drop for Attempts<'_> {
    fn drop(&mut self) {
        // With an attempt under way: the caller left.
        self.plan.abandon(&mut self.traffic.budget.lock());
    }
}
