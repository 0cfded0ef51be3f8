//! Speech as audio: its bytes go to the caller as they come, in whatever coding they are. What says
//! that it is audio and is not (an error under a status of success, a page, events) fails the
//! attempt; once the first bytes of audio have left, what breaks off breaks the caller's connection,
//! since in audio nothing can be said of it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use providers::{
    asis::{Opening, no_audio, opening},
    scrub::scrub,
};
use routing::{OutcomeClass, outcome::Fault};
use telemetry::RequestEnd;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{
    attempt::{Attempt, Refused},
    live::target::LiveTarget,
    pipeline::Reply,
    record::{Ending, Record, Seen},
    source::{Broken, Source},
};

/// The most bytes of audio: more than an hour in most codings.
const MAX_AUDIO: u64 = 256 << 20;
/// How much is read of what is no audio.
const MAX_TEXT: usize = 1 << 20;
/// Audio whose caller was waited for longer than one part in so many of its time says nothing of how
/// fast the provider is.
const WAITED: u32 = 20;

/// The bytes broke off after some had left: the connection must not end well.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub(crate) struct Aborted;

impl Attempt<'_> {
    /// Reads an answer to speech until it is certain that it is audio.
    pub(crate) async fn speech(
        &self,
        (status, headers): (StatusCode, &HeaderMap),
        mut source: Source,
        record: &mut Record,
    ) -> Result<Reply, Refused> {
        let kind = headers.get(header::CONTENT_TYPE);
        let said = kind.map(|kind| kind.to_str().unwrap_or_default());
        let (mut held, mut ended) = (Bytes::new(), false);
        loop {
            match opening(said, &held, ended) {
                Opening::Audio => break,
                Opening::Text => {
                    let text = source.all(held, MAX_TEXT).await?;
                    let provider = self.target.compiled.provider;
                    return Err(Refused::By(Box::new(no_audio(provider, status, &text))));
                }
                Opening::Unclear => match source.next().await.transpose()? {
                    Some(bytes) if held.is_empty() => held = bytes,
                    Some(bytes) => held = Bytes::from([held, bytes].concat()),
                    None => ended = true,
                },
            }
        }
        record.commit();
        let packed = headers.contains_key(header::CONTENT_ENCODING);
        let length = headers.get(header::CONTENT_LENGTH).filter(|_| !packed);
        let now = Instant::now();
        Ok(Reply::Audio(Box::new(Audio {
            source,
            held,
            kind: kind.cloned(),
            length: length.and_then(|length| length.to_str().ok()?.parse().ok()),
            given: 0,
            target: Arc::clone(self.target),
            status,
            idle: self.stream_idle,
            heard: now,
            sent: now,
            gave: false,
            waited: Duration::ZERO,
            timer: Box::pin(sleep_until(now + self.stream_idle)),
            state: if ended { State::Ended } else { State::Open },
            record: None,
            drained: None,
        })))
    }
}

/// Audio on its way.
pub(crate) struct Audio {
    source: Source,
    /// What was read until it was certain.
    held: Bytes,
    kind: Option<HeaderValue>,
    /// All of its bytes, where the provider says how many.
    length: Option<u64>,
    given: u64,
    target: Arc<LiveTarget>,
    status: StatusCode,
    /// The longest silence.
    idle: Duration,
    heard: Instant,
    sent: Instant,
    /// Whether the caller has been given something and has not asked for more yet; and how long it
    /// took to ask, in all.
    gave: bool,
    waited: Duration,
    timer: Pin<Box<Sleep>>,
    state: State,
    record: Option<Box<Record>>,
    /// Ready when this router ends and waits no longer.
    drained: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// More comes.
    Open,
    /// What is held is the rest.
    Ended,
    /// Nothing is left.
    Over,
}

impl Audio {
    /// Gives it the account of its request, and what ends it before its time.
    pub(crate) fn account(&mut self, record: Box<Record>, drained: &CancellationToken) {
        self.record = Some(record);
        self.drained = Some(Box::pin(drained.clone().cancelled_owned()));
    }

    /// What the provider says that it is.
    pub(crate) fn kind(&self) -> HeaderValue {
        let unsaid = || HeaderValue::from_static("application/octet-stream");
        self.kind.clone().unwrap_or_else(unsaid)
    }

    /// The bytes that are left, where that is known.
    pub(crate) fn left(&self) -> Option<u64> {
        self.length.map(|length| length.saturating_sub(self.given))
    }

    /// Whether nothing is left to send.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Over
    }

    /// The next bytes for the caller; at the end none.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Aborted>>> {
        if std::mem::take(&mut self.gave) {
            // It is asked for more as soon as the caller's socket takes more.
            self.waited += self.sent.elapsed();
        }
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            return self.give(held);
        }
        match self.state {
            State::Open => {}
            State::Ended => return self.ends(),
            State::Over => return Poll::Ready(None),
        }
        match self.source.poll_next(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                self.heard = Instant::now();
                self.give(bytes)
            }
            Poll::Ready(Some(Err(broken))) => self.breaks(&broken.to_string()),
            Poll::Ready(None) => self.ends(),
            Poll::Pending if self.must_end(cx) => self.drains(),
            Poll::Pending => loop {
                let at = self.heard + self.idle;
                if Instant::now() >= at {
                    let silent = self.idle.as_secs_f64();
                    let why = format!("nothing came from the provider for {silent} s (streamIdle)");
                    return self.breaks(&why);
                }
                // The time only moves on while bytes come: the timer is left to fire early.
                if self.timer.is_elapsed() {
                    self.timer.as_mut().reset(at);
                }
                if self.timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            },
        }
    }

    fn give(&mut self, bytes: Bytes) -> Poll<Option<Result<Bytes, Aborted>>> {
        self.given += bytes.len() as u64;
        if self.given > MAX_AUDIO {
            return self.breaks(&Broken::TooLarge.to_string());
        }
        (self.sent, self.gave) = (Instant::now(), true);
        Poll::Ready(Some(Ok(bytes)))
    }

    fn ends(&mut self) -> Poll<Option<Result<Bytes, Aborted>>> {
        self.state = State::Over;
        let ending =
            Ending { status: Some(self.status.as_u16()), ..Ending::of(OutcomeClass::Success) };
        self.settle(ending, RequestEnd::Answered);
        Poll::Ready(None)
    }

    fn breaks(&mut self, why: &str) -> Poll<Option<Result<Bytes, Aborted>>> {
        if let Some(record) = &self.record {
            record.truncated();
        }
        self.aborts(why, OutcomeClass::Fault(Fault::InvalidResponse))
    }

    /// Whether this router ends and waits no longer.
    fn must_end(&mut self, cx: &mut Context<'_>) -> bool {
        self.drained.as_mut().is_some_and(|drained| drained.as_mut().poll(cx).is_ready())
    }

    /// This router ends, which is no fault of the target's.
    fn drains(&mut self) -> Poll<Option<Result<Bytes, Aborted>>> {
        self.aborts("the router that served it had to end", OutcomeClass::CallerLeft)
    }

    fn aborts(&mut self, why: &str, class: OutcomeClass) -> Poll<Option<Result<Bytes, Aborted>>> {
        self.state = State::Over;
        let message = format!("The audio broke off: {why}. It is not the whole answer.");
        let message = self.target.with_secrets(|secrets| scrub(&message, secrets).into_owned());
        let ending = Ending {
            status: Some(self.status.as_u16()),
            message: Some(message.into()),
            ..Ending::of(class)
        };
        self.settle(ending, RequestEnd::Cut);
        Poll::Ready(Some(Err(Aborted)))
    }

    /// Closes the account, once.
    fn settle(&mut self, ending: Ending, end: RequestEnd) {
        let Some(record) = &mut self.record else { return };
        let waited = self.waited * WAITED > record.attempt_began().elapsed();
        record.saw(Seen { waited, ..Seen::default() });
        record.attempt_ends(ending);
        record.ends(end);
    }
}

impl Drop for Audio {
    fn drop(&mut self) {
        // A caller that has got all of it and goes is no caller that left.
        let all = self.state == State::Ended || self.left() == Some(0);
        if self.state != State::Over && all && self.held.is_empty() {
            let _ = self.ends();
        }
    }
}
