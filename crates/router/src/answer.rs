//! What a provider answered, judged until it is certain: all of a JSON answer, the first decisive
//! event of a stream. Judged by its content, whatever its status and content-type say.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use providers::{
    End, Failure, Flow, Judgement, Stream, collect, count_tokens,
    dialect::{Candidate, Dialect, classify, daily_quota},
    embeddings, is_event_stream, judge_answer, requests_per_minute,
    translate::Translated,
};
use routing::{Endpoint, OutcomeClass, outcome::Fault};

use crate::{
    attempt::{Attempt, Reading, Refused},
    clock,
    pipeline::Reply,
    record::{Ending, Record, Seen},
    relay::Relay,
    source::{Broken, Source},
    translate::Neutral,
    upstream::PooledBody,
};

/// The largest JSON answer.
const MAX_ANSWER: usize = 64 << 20;
/// How much of an error's body is read.
const MAX_ERROR: usize = 1 << 20;
/// The most that is held of a stream before its first decisive event.
const MAX_HELD: usize = 256 << 10;
/// The longest that a rate limit ejects: a quota of the day is empty until midnight.
const DAY: Duration = Duration::from_secs(600);
/// Where providers tell their own id of a request.
const REQUEST_IDS: [HeaderName; 3] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("x-amzn-requestid"),
];

fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    REQUEST_IDS.iter().find_map(|name| headers.get(name)).cloned()
}

impl Attempt<'_> {
    /// Judges an answer.
    pub(crate) async fn judge(
        &self,
        response: http::Response<PooledBody>,
        reading: Reading,
        record: &mut Record,
    ) -> Result<Reply, Refused> {
        let (parts, body) = response.into_parts();
        record.upstream_request_id = request_id(&parts.headers);
        if let Some(granted) = requests_per_minute(&parts.headers) {
            self.target.models[self.model].stats.granted(clock::now(), granted);
        }
        let source = Source::new(body, &parts.headers);
        if !parts.status.is_success() {
            return Err(self.refused(parts.status, &parts.headers, source, &reading).await);
        }
        let mut source = source?;
        if self.asked.endpoint == Endpoint::Speech && !self.asked.read.stream {
            return Box::pin(self.speech((parts.status, &parts.headers), source, record)).await;
        }
        if self.asked.read.stream {
            return self.stream(parts.status, source, reading, record).await;
        }
        let text = source.all(Bytes::new(), MAX_ANSWER).await?;
        let body =
            self.answer(parts.status, text, reading, record).map_err(|refused| match refused {
                Refused::By(failure) => {
                    let status = Some(parts.status);
                    Refused::By(Box::new(Failure { status, ..*failure }))
                }
                failed @ Refused::Failed(_) => failed,
            })?;
        record.attempt_ends(Ending {
            status: Some(parts.status.as_u16()),
            ..Ending::of(OutcomeClass::Success)
        });
        Ok(Reply::Json(body))
    }

    /// Judges a whole answer; its tokens are noted. Gives what the caller gets.
    fn answer(
        &self,
        status: StatusCode,
        text: Bytes,
        reading: Reading,
        record: &mut Record,
    ) -> Result<Bytes, Refused> {
        let by = |failure| Refused::By(Box::new(failure));
        let events = is_event_stream(&text);
        let (body, filtered, seen) = match reading {
            Reading::Plain { .. } => {
                let (provider, endpoint) = (self.target.compiled.provider, self.asked.endpoint);
                // Events that nobody asked for are collected.
                let text =
                    if events { collect(provider, endpoint, &text).map_err(by)? } else { text };
                let answer = judge_answer(provider, endpoint, status, &text).map_err(by)?;
                let seen = Seen {
                    usage: answer.usage,
                    amount: answer.amount,
                    images: answer.images,
                    ..Seen::default()
                };
                (text, answer.filtered, seen)
            }
            Reading::Passed(_, judge) => {
                let whole = judge.whole(&text).map_err(by)?;
                let seen = seen(&whole);
                (if events { whole.body } else { text }, whole.filtered, seen)
            }
            Reading::Translated(translation) => {
                let whole = translation.whole(&text).map_err(by)?;
                let seen = seen(&whole);
                (whole.body, whole.filtered, seen)
            }
            Reading::Embeddings => {
                let whole = self.embeddings(&text, record).map_err(by)?;
                let seen = seen(&whole);
                (whole.body, false, seen)
            }
            Reading::Count { passed } => {
                let candidate = self.candidate();
                let count = count_tokens::answer(&candidate, &text).map_err(by)?;
                let body = if passed { text } else { count_tokens::write(count) };
                (body, false, Seen::default())
            }
        };
        record.saw(seen);
        if filtered && self.filtered_is_fault {
            return Err(self.filtered(status));
        }
        Ok(body)
    }

    /// Whom the answer is of.
    fn candidate(&self) -> Candidate<'_> {
        let speaks = &self.target.models[self.model].speaks;
        speaks.candidate(self.dialect.unwrap_or(speaks.dialect), self.bound)
    }

    /// Embeddings in the caller's form.
    fn embeddings(&self, text: &[u8], record: &Record) -> Result<Translated, Failure> {
        match self.asked.neutral(self.headers) {
            Ok(Neutral::Embeddings(request)) => {
                let estimate = record.estimate.prompt_tokens;
                embeddings::answer(request, &self.candidate(), text, estimate)
            }
            // It was read to be sent.
            _ => Err(Failure::new(
                OutcomeClass::Fault(Fault::InvalidResponse),
                "The request was none for embeddings.",
            )),
        }
    }

    /// An answer whose status says that it is none.
    async fn refused(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        source: Result<Source, Broken>,
        reading: &Reading,
    ) -> Refused {
        if status.is_redirection() {
            // Never followed: the body and the credential are for this host.
            return self.invalid(status, &format!("it answered with a redirect ({status})"));
        }
        self.target.was_refused(status, headers);
        // What cannot be read of it leaves the status, which says enough.
        let text = match source {
            Ok(mut source) => source.all(Bytes::new(), MAX_ERROR).await.unwrap_or_default(),
            Err(_) => Bytes::new(),
        };
        let speaks = &self.target.models[self.model].speaks;
        let dialect = match reading {
            Reading::Plain { .. } => Dialect::OpenAiChat,
            _ => speaks.dialect,
        };
        let compatible = speaks.is_compatible();
        let mut failure = classify(dialect, compatible, status, headers, &text, SystemTime::now());
        if dialect == Dialect::Gemini
            && failure.class == OutcomeClass::Fault(Fault::RateLimited)
            && daily_quota(&text)
        {
            failure.retry_after = Some(DAY);
        }
        Refused::By(Box::new(failure))
    }

    /// Reads a stream until its first decisive event.
    async fn stream(
        &self,
        status: StatusCode,
        mut source: Source,
        reading: Reading,
        record: &mut Record,
    ) -> Result<Reply, Refused> {
        let mut flow = match reading {
            Reading::Plain { hide_usage } => {
                let provider = self.target.compiled.provider;
                Flow::plain(Stream::new(provider, self.asked.endpoint, hide_usage))
            }
            Reading::Passed(protocol, judge) => Flow::passed(protocol, *judge),
            Reading::Translated(translation) => Flow::translated(*translation),
            // Neither is ever asked as a stream.
            Reading::Embeddings | Reading::Count { .. } => {
                return Err(self.invalid(status, "it has no stream of this"));
            }
        };
        let mut held = VecDeque::new();
        let mut bytes = 0;
        let mut committed = false;
        loop {
            let ended = match source.next().await.transpose()? {
                Some(bytes) => {
                    flow.push(bytes);
                    false
                }
                None => {
                    flow.close();
                    true
                }
            };
            while let Some(event) = flow.next().map_err(|e| self.invalid(status, &e.to_string()))? {
                match &event.judgement {
                    Judgement::Error(failure) if !committed => {
                        let failure = Failure { status: Some(status), ..(**failure).clone() };
                        return Err(Refused::By(Box::new(failure)));
                    }
                    Judgement::Terminal { filtered: true } if self.filtered_is_fault => {
                        record.saw(Seen::from(&flow));
                        return Err(self.filtered(status));
                    }
                    Judgement::Decisive | Judgement::Terminal { .. } => committed = true,
                    _ => {}
                }
                bytes += event.raw.len();
                held.push_back(event);
            }
            if committed || (ended && flow.end() == End::Complete) {
                record.first_token();
                record.commit();
                return Ok(Reply::Stream(Box::new(Relay::new(
                    source,
                    flow,
                    held,
                    ended,
                    self.stream_idle,
                    Arc::clone(self.target),
                    self.asked.endpoint,
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
}

fn seen(whole: &Translated) -> Seen {
    let usage = whole.usage.filter(|usage| !usage.estimated).map(|usage| usage.tokens);
    Seen { usage, amount: whole.amount, ..Seen::default() }
}
