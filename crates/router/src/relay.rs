//! A stream that has begun: its events go to the caller as they came, no faster than it reads.
//! After the commit point nothing is tried again: what breaks off ends in an error frame, never in a
//! clean end. The caller's leaving drops this, and with it the connection to the provider.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use providers::{End, Event, Failure, Flow, Judgement, scrub::scrub};
use routing::{Endpoint, OutcomeClass, outcome::Fault};
use telemetry::RequestEnd;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{
    explain,
    live::target::LiveTarget,
    record::{Ending, Record, Seen},
    source::Source,
};

/// How long nothing is sent before a keep-alive is.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A stream that waited for its caller for more than one part in so many of its time says nothing of
/// how fast the provider is.
const WAITED: u32 = 20;
/// How many times the idle time a stream may go on without content.
const IDLE_TIMES: u32 = 10;

/// A stream under way.
pub(crate) struct Relay {
    source: Source,
    flow: Flow,
    /// What was held until the commit point.
    held: VecDeque<Event>,
    /// What is to be sent before anything else.
    out: VecDeque<Bytes>,
    target: Arc<LiveTarget>,
    /// What was called: it says in which form the metadata is told.
    endpoint: Endpoint,
    idle: Duration,
    /// When something last came, and when content last came.
    heard: Instant,
    content: Instant,
    /// When something was last sent.
    sent: Instant,
    /// Whether the caller has been given something and has not asked for more yet; and how long it
    /// took to ask, in all.
    gave: bool,
    waited: Duration,
    /// Wakes at the earliest of the times that matter.
    timer: Pin<Box<Sleep>>,
    state: State,
    record: Option<Box<Record>>,
    /// Ready when this router ends and waits no longer.
    drained: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Events come.
    Open,
    /// No more bytes come; what was made of them is still to be sent.
    Ended,
    /// It is judged; what is in `out` is all that is left.
    Judged,
}

impl Relay {
    /// A stream whose first events are held, the first decisive one among them.
    pub(crate) fn new(
        source: Source,
        flow: Flow,
        held: VecDeque<Event>,
        ended: bool,
        idle: Duration,
        target: Arc<LiveTarget>,
        endpoint: Endpoint,
    ) -> Self {
        let now = Instant::now();
        Self {
            source,
            flow,
            held,
            out: VecDeque::new(),
            target,
            endpoint,
            idle,
            heard: now,
            content: now,
            sent: now,
            gave: false,
            waited: Duration::ZERO,
            timer: Box::pin(sleep_until(now + KEEP_ALIVE.min(idle))),
            state: if ended { State::Ended } else { State::Open },
            record: None,
            drained: None,
        }
    }

    /// Gives it the account of its request, and what ends it before its time.
    pub(crate) fn account(&mut self, record: Box<Record>, drained: &CancellationToken) {
        self.record = Some(record);
        self.drained = Some(Box::pin(drained.clone().cancelled_owned()));
    }

    /// Whether nothing is left to send.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Judged && self.out.is_empty()
    }

    /// The next bytes for the caller; at the end none.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if std::mem::take(&mut self.gave) {
            // It is asked for more as soon as the caller's socket takes more.
            self.waited += self.sent.elapsed();
        }
        let polled = self.poll_event(cx);
        self.gave = matches!(polled, Poll::Ready(Some(_)));
        polled
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.next_bytes() {
                self.sent = Instant::now();
                return Poll::Ready(Some(bytes));
            }
            match self.state {
                State::Judged => return Poll::Ready(None),
                State::Ended => self.judge_end("the provider ended it before it was finished"),
                State::Open => match self.source.poll_next(cx) {
                    Poll::Ready(Some(Ok(bytes))) => {
                        self.heard = Instant::now();
                        self.flow.push(bytes);
                    }
                    Poll::Ready(Some(Err(broken))) => self.judge_end(&broken.to_string()),
                    Poll::Ready(None) => {
                        self.flow.close();
                        self.state = State::Ended;
                    }
                    Poll::Pending => match self.poll_timers(cx) {
                        Poll::Ready(Some(bytes)) => return Poll::Ready(Some(bytes)),
                        Poll::Ready(None) => {}
                        Poll::Pending => return Poll::Pending,
                    },
                },
            }
        }
    }

    /// The bytes of the next event that the caller is to see.
    fn next_bytes(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.out.pop_front() {
                return Some(bytes);
            }
            if self.state == State::Judged {
                return None;
            }
            let event = match self.held.pop_front() {
                Some(event) => event,
                None => match self.flow.next() {
                    Ok(next) => next?,
                    Err(error) => {
                        self.breaks(&error.to_string());
                        continue;
                    }
                },
            };
            match event.judgement {
                Judgement::Error(failure) => {
                    // The bytes had ended: a translation says itself that they were not all.
                    if self.state == State::Ended
                        && failure.class == OutcomeClass::Fault(Fault::InvalidResponse)
                        && let Some(record) = &self.record
                    {
                        record.truncated();
                    }
                    self.fails(&failure, &event.raw);
                    continue;
                }
                Judgement::Decisive | Judgement::Terminal { .. } => self.content = Instant::now(),
                // What is told comes before the terminator, which SDKs stop at.
                Judgement::Done => self.tell(),
                Judgement::Lifecycle | Judgement::Usage | Judgement::Malformed => {}
            }
            if !event.hidden {
                self.out.push_back(event.raw);
            }
        }
    }

    /// No more bytes come: the answer was whole, or it was cut.
    fn judge_end(&mut self, why: &str) {
        if self.flow.end() == End::Complete {
            self.tell();
            let last = self.flow.wind_up();
            if !last.is_empty() {
                self.out.push_back(last);
            }
            self.settle(Ending::of(OutcomeClass::Success), RequestEnd::Answered);
            self.state = State::Judged;
        } else {
            self.breaks(why);
        }
    }

    /// The stream breaks off after content.
    fn breaks(&mut self, why: &str) {
        if let Some(record) = &self.record {
            record.truncated();
        }
        let message = format!("The stream broke off: {why}. It is not the whole answer.");
        let class = OutcomeClass::Fault(Fault::InvalidResponse);
        self.fails(&Failure::new(class, message), &Bytes::new());
    }

    /// This router ends, which is no fault of the target's.
    fn drains(&mut self) {
        self.drained = None;
        let message = "The stream broke off: the router that served it had to end. It is not the \
                       whole answer.";
        let failure = Failure::new(OutcomeClass::Fault(Fault::ServerError), message.to_owned());
        self.fails_as(&failure, &Bytes::new(), OutcomeClass::CallerLeft);
    }

    /// Sends an error frame as the last thing; `said` is what the provider's event holds of it.
    fn fails(&mut self, failure: &Failure, said: &Bytes) {
        self.fails_as(failure, said, failure.class);
    }

    /// The same, with what of it the target is to be told of.
    fn fails_as(&mut self, failure: &Failure, said: &Bytes, class: OutcomeClass) {
        let target = Arc::clone(&self.target);
        let (message, frame) = target.with_secrets(|secrets| {
            (scrub(&failure.message, secrets), self.flow.fail(failure, said, secrets))
        });
        let ending = Ending {
            status: Some(StatusCode::OK.as_u16()),
            retry_after: failure.retry_after,
            message: Some(message.into()),
            ..Ending::of(class)
        };
        self.settle(ending, RequestEnd::Cut);
        self.held.clear();
        self.out.push_back(frame);
        self.state = State::Judged;
    }

    /// What of the answer was seen so far.
    fn seen(&self) -> Seen {
        let began = self.record.as_ref().map(|record| record.attempt_began());
        let took = began.map_or(Duration::ZERO, |began| began.elapsed());
        Seen { waited: self.waited * WAITED > took, ..Seen::from(&self.flow) }
    }

    /// Closes the account, once.
    fn settle(&mut self, ending: Ending, end: RequestEnd) {
        let seen = self.seen();
        if let Some(record) = &mut self.record {
            record.saw(seen);
            record.attempt_ends(ending);
            record.ends(end);
        }
    }

    /// Queues the event of the metadata, once, where it is wanted.
    fn tell(&mut self) {
        let seen = self.seen();
        let Some(record) = &mut self.record else { return };
        let Some(decision) = record.metadata.take() else { return };
        record.saw(seen);
        record.attempt_ends(Ending {
            status: Some(StatusCode::OK.as_u16()),
            ..Ending::of(OutcomeClass::Success)
        });
        let said = explain::metadata(record, &decision);
        let frame = match self.endpoint {
            // SDKs pass over events whose name they do not know.
            Endpoint::Responses
            | Endpoint::Messages
            | Endpoint::CountTokens
            | Endpoint::Images
            | Endpoint::Moderations
            | Endpoint::Rerank
            | Endpoint::Speech => {
                let event = serde_json::json!({"type": "moniker", "moniker": said});
                format!("event: moniker\ndata: {event}\n\n")
            }
            // An event without choices, as the one with usage is: SDKs pass over it.
            Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Embeddings => {
                let object = match self.endpoint {
                    Endpoint::Completions => "text_completion",
                    _ => "chat.completion.chunk",
                };
                let event = serde_json::json!({
                    "id": "", "object": object, "created": 0, "model": "", "choices": [],
                    "moniker": said,
                });
                format!("data: {event}\n\n")
            }
        };
        self.out.push_back(Bytes::from(frame));
    }

    /// Silence: a keep-alive, or the end of patience. Ready without bytes: the state has changed.
    fn poll_timers(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(drained) = &mut self.drained
            && drained.as_mut().poll(cx).is_ready()
        {
            self.drains();
            return Poll::Ready(None);
        }
        loop {
            let now = Instant::now();
            let idle_at = (self.heard + self.idle).min(self.content + self.idle * IDLE_TIMES);
            if now >= idle_at {
                let why = format!(
                    "nothing came from the provider for {} s (streamIdle)",
                    self.idle.as_secs_f64()
                );
                self.judge_end(&why);
                return Poll::Ready(None);
            }
            let alive_at = self.sent + KEEP_ALIVE;
            if now >= alive_at {
                self.sent = now;
                return Poll::Ready(Some(self.flow.keep_alive()));
            }
            // Both times only move on while events come: the timer is left to fire early.
            let next = idle_at.min(alive_at);
            if self.timer.is_elapsed() || self.timer.deadline() > next {
                self.timer.as_mut().reset(next);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // A caller that has got the whole answer and goes is no caller that left.
        if self.state != State::Judged && self.flow.end() == End::Complete && self.held.is_empty() {
            self.settle(Ending::of(OutcomeClass::Success), RequestEnd::Answered);
        } else {
            let seen = self.seen();
            if let Some(record) = &mut self.record {
                record.saw(seen);
            }
        }
    }
}
