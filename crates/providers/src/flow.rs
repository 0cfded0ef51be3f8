//! An answer's stream on its way to the caller, whatever lies between: passed through, with its
//! bytes unchanged, or translated. Bytes go in, events for the caller come out, each with what it
//! means for the commit point, fallback and the end.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::{
    amount::Amount,
    errors::CallerError,
    failure::Failure,
    protocol::Protocol,
    scrub::scrub,
    sse::{Splitter, fields},
    stream::{End, Event, Judgement, MAX_EVENT, Stream, StreamError},
    translate::{Step, Translation},
    tree::Json,
};

/// A comment, without the blank line after which some SDKs see an empty event. It stands between
/// events, since only whole ones are passed on.
const KEEP_ALIVE: &[u8] = b": keep-alive\n";

/// A stream under way.
#[derive(Debug)]
pub struct Flow(Inner);

#[derive(Debug)]
enum Inner {
    /// Chat, completions, images or speech, passed through: judged as it stands, nothing else is read of it.
    Plain(Box<Stream>),
    /// Another protocol, passed through.
    Passed(Box<Passed>),
    /// Translated.
    Translated(Box<Translated>),
}

impl Flow {
    /// A stream of chat, completions, images or speech that is passed through.
    pub fn plain(stream: Stream) -> Self {
        Self(Inner::Plain(Box::new(stream)))
    }

    /// A stream that is passed through; it is judged by a translation of the protocol to itself,
    /// which writes what must be written.
    pub fn passed(protocol: Protocol, judge: Translation) -> Self {
        let mode = Mode::Undecided(BytesMut::new());
        Self(Inner::Passed(Box::new(Passed { protocol, judge, mode, made: VecDeque::new() })))
    }

    /// A stream that is translated.
    pub fn translated(translation: Translation) -> Self {
        Self(Inner::Translated(Box::new(Translated { translation, made: VecDeque::new() })))
    }

    /// More bytes. [`Self::next`] is then called until it has no more.
    pub fn push(&mut self, chunk: Bytes) {
        match &mut self.0 {
            Inner::Plain(stream) => stream.push(chunk),
            Inner::Passed(passed) => passed.push(chunk),
            Inner::Translated(translated) => {
                let mut steps = Vec::new();
                translated.translation.push(chunk, &mut steps);
                translated.made.extend(steps.into_iter().map(event));
            }
        }
    }

    /// The bytes have ended well: what is left becomes events. Not to be called where the connection
    /// was lost, so that half an event never counts as one.
    pub fn close(&mut self) {
        match &mut self.0 {
            Inner::Plain(stream) => stream.close(),
            Inner::Passed(passed) => passed.close(),
            Inner::Translated(translated) => {
                let mut steps = Vec::new();
                translated.translation.close(&mut steps);
                translated.made.extend(steps.into_iter().map(event));
            }
        }
    }

    /// The next event of what was pushed.
    #[expect(clippy::should_implement_trait, reason = "it ends at each push, as no iterator does")]
    pub fn next(&mut self) -> Result<Option<Event>, StreamError> {
        match &mut self.0 {
            Inner::Plain(stream) => stream.next(),
            Inner::Passed(passed) => passed.next(),
            Inner::Translated(translated) => Ok(translated.made.pop_front()),
        }
    }

    /// Whether what was seen so far is a whole answer.
    pub fn end(&self) -> End {
        let finished = match &self.0 {
            Inner::Plain(stream) => return stream.end(),
            Inner::Passed(passed) => passed.judge.is_finished(),
            Inner::Translated(translated) => translated.translation.is_finished(),
        };
        if finished { End::Complete } else { End::Truncated }
    }

    /// A whole answer whose last event did not come: what ends it for the caller.
    pub fn wind_up(&mut self) -> Bytes {
        let Inner::Translated(translated) = &mut self.0 else { return Bytes::new() };
        if translated.translation.is_over() {
            return Bytes::new();
        }
        let mut steps = Vec::new();
        translated.translation.close(&mut steps);
        let ends = steps.into_iter().filter(|s| !matches!(s.judgement, Judgement::Error(_)));
        joined(ends.flat_map(|step| step.frames).collect())
    }

    /// What was used, where the provider said so.
    pub fn usage(&self) -> Option<crate::Usage> {
        let usage = match &self.0 {
            Inner::Plain(stream) => return stream.usage(),
            Inner::Passed(passed) => passed.judge.usage(),
            Inner::Translated(translated) => translated.translation.usage(),
        };
        usage.filter(|usage| !usage.estimated).map(|usage| usage.tokens)
    }

    /// How much content was seen.
    pub fn amount(&self) -> Amount {
        match &self.0 {
            Inner::Plain(stream) => stream.amount(),
            Inner::Passed(passed) => passed.judge.amount(),
            Inner::Translated(translated) => translated.translation.amount(),
        }
    }

    /// How many images were finished.
    pub fn images(&self) -> u64 {
        match &self.0 {
            Inner::Plain(stream) => stream.images(),
            // What they hold of images is counted with their usage.
            Inner::Passed(_) | Inner::Translated(_) => 0,
        }
    }

    /// How many events with content were seen.
    pub fn deltas(&self) -> u64 {
        match &self.0 {
            Inner::Plain(stream) => stream.deltas(),
            Inner::Passed(passed) => passed.judge.deltas(),
            Inner::Translated(translated) => translated.translation.deltas(),
        }
    }

    /// What keeps the caller's connection alive: between events, after the commit point. The events
    /// of responses that are passed through bear the provider's numbers, so a comment stands there.
    pub fn keep_alive(&mut self) -> Bytes {
        match &mut self.0 {
            Inner::Passed(passed) if passed.protocol == Protocol::Messages => {
                passed.judge.keep_alive()
            }
            Inner::Plain(_) | Inner::Passed(_) => Bytes::from_static(KEEP_ALIVE),
            Inner::Translated(translated) => translated.translation.keep_alive(),
        }
    }

    /// The last events of a stream that fails after its commit point; `said` is what the event has
    /// that says so, if one does. `secrets` never appear.
    pub fn fail(&mut self, failure: &Failure, said: &Bytes, secrets: &[&str]) -> Bytes {
        let translation = match &mut self.0 {
            Inner::Plain(_) => return CallerError::of(failure, secrets).to_frame(),
            Inner::Passed(passed) => &mut passed.judge,
            Inner::Translated(translated) => &mut translated.translation,
        };
        if !said.is_empty() {
            // It is written already, in the caller's protocol.
            let text = String::from_utf8_lossy(said);
            return Bytes::from(scrub(&text, secrets).into_owned());
        }
        let message = scrub(&failure.message, secrets).into_owned();
        let mut steps = Vec::new();
        translation.fail(Failure { message, ..failure.clone() }, &mut steps);
        joined(steps.into_iter().flat_map(|step| step.frames).collect())
    }
}

#[derive(Debug)]
struct Translated {
    translation: Translation,
    made: VecDeque<Event>,
}

fn event(step: Step) -> Event {
    let raw = joined(step.frames);
    Event { hidden: raw.is_empty(), raw, judgement: step.judgement }
}

/// Frames as one piece; a single one is not copied.
fn joined(mut frames: Vec<Bytes>) -> Bytes {
    match frames.len() {
        0 => Bytes::new(),
        1 => frames.swap_remove(0),
        _ => Bytes::from(frames.concat()),
    }
}

#[derive(Debug)]
enum Mode {
    /// Only white space so far.
    Undecided(BytesMut),
    /// Server-sent events.
    Events(Splitter),
    /// JSON: it becomes the events of the same protocol.
    Json,
}

#[derive(Debug)]
struct Passed {
    protocol: Protocol,
    judge: Translation,
    mode: Mode,
    made: VecDeque<Event>,
}

impl Passed {
    fn push(&mut self, chunk: Bytes) {
        match &mut self.mode {
            Mode::Events(splitter) => splitter.push(chunk),
            Mode::Json => self.write(chunk),
            Mode::Undecided(held) => {
                held.extend_from_slice(&chunk);
                let text = held.split().freeze();
                let start = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text).trim_ascii_start();
                match start.first() {
                    Some(b'{' | b'[') => {
                        self.mode = Mode::Json;
                        self.write(text);
                    }
                    Some(0xef) if text.len() < 3 => *held = BytesMut::from(text),
                    None if text.len() <= 64 << 10 => *held = BytesMut::from(text),
                    _ => {
                        let mut splitter = Splitter::new(MAX_EVENT);
                        splitter.push(text);
                        self.mode = Mode::Events(splitter);
                    }
                }
            }
        }
    }

    /// Takes JSON in, whose events are written.
    fn write(&mut self, chunk: Bytes) {
        let mut steps = Vec::new();
        self.judge.push(chunk, &mut steps);
        self.made.extend(steps.into_iter().map(event));
    }

    fn next(&mut self) -> Result<Option<Event>, StreamError> {
        if let Some(event) = self.made.pop_front() {
            return Ok(Some(event));
        }
        let Mode::Events(splitter) = &mut self.mode else { return Ok(None) };
        match splitter.next() {
            Ok(None) => Ok(None),
            Ok(Some(raw)) => {
                self.judge(raw);
                Ok(self.made.pop_front())
            }
            Err(_) => Err(StreamError::EventTooLong),
        }
    }

    /// Judges an event of the provider's; it stays as it came.
    fn judge(&mut self, raw: Bytes) {
        let found = fields(&raw);
        let data = found.data.trim_ascii();
        let comment = data.is_empty() || data.starts_with(b":");
        let unread = || data != b"[DONE]" && Json::parse(data).is_err();
        if !comment && found.name != b"error" && unread() {
            self.made.push_back(Event { raw, judgement: Judgement::Malformed, hidden: false });
            return;
        }
        let mut steps = Vec::new();
        self.judge.push(raw.clone(), &mut steps);
        let mut judgement = Judgement::Lifecycle;
        let mut raw = raw;
        for step in steps {
            if matches!(step.judgement, Judgement::Error(_)) {
                raw = joined(step.frames);
                judgement = step.judgement;
                break;
            }
            match (&judgement, step.judgement) {
                // The end stands in one event with what is told before it: a commit point of its own.
                (Judgement::Terminal { .. } | Judgement::Decisive, Judgement::Done) => {
                    let before = std::mem::replace(&mut judgement, Judgement::Done);
                    let empty = Bytes::new();
                    self.made.push_back(Event { raw: empty, judgement: before, hidden: true });
                }
                (_, terminal @ Judgement::Terminal { .. }) => judgement = terminal,
                (Judgement::Lifecycle | Judgement::Usage, other) => judgement = other,
                _ => {}
            }
        }
        self.made.push_back(Event { raw, judgement, hidden: false });
    }

    fn close(&mut self) {
        if let Mode::Events(splitter) = &mut self.mode
            && let Some(raw) = splitter.rest()
        {
            let before = self.made.len();
            self.judge(raw);
            // Half an event is no event.
            if self.made.get(before).is_some_and(|e| e.judgement == Judgement::Malformed) {
                self.made.truncate(before);
            }
        }
        // What an unterminated stream lacks is not made up: whether it is whole, `end` says.
        if matches!(self.mode, Mode::Json) {
            let mut steps = Vec::new();
            self.judge.close(&mut steps);
            self.made.extend(steps.into_iter().map(event));
        }
    }
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
