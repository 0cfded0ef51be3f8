//! A request and its answer between a caller's protocol and a provider's dialect that differ. The
//! request is decoded once ([`protocol::decode`](crate::protocol::decode)) and encoded for each
//! candidate in its turn ([`dialect::encode`](crate::dialect::encode)); the answer comes back through
//! a [`Translation`], stream or not, with what each step means for the commit point and fallback.

mod restore;

use bytes::Bytes;
use routing::{OutcomeClass, outcome::Fault};

use crate::{
    amount::Amount,
    dialect::{Back, Candidate, Decoder, Dialect},
    failure::Failure,
    family::{ChatTools, Family},
    neutral::{Collector, Delta, Event, Finish, Kind, Part, Request, Usage, Wish},
    protocol::{Caller, Writer, encode_reply},
    rules::Field,
    stream::Judgement,
};
use restore::Restore;

/// The dialect in which a candidate is asked. Some of OpenAI's models refuse tools on their chat
/// endpoint while they reason: such a request goes to `/responses` where the target serves it, unless
/// it has a field that is not known there.
pub fn dialect_for(request: &Request, to: &Candidate<'_>, serves_responses: bool) -> Dialect {
    const CHAT_ONLY: [Field; 7] = [
        Field::Seed,
        Field::N,
        Field::LogitBias,
        Field::PresencePenalty,
        Field::FrequencyPenalty,
        Field::Modalities,
        Field::AudioOut,
    ];
    let chat_only =
        !request.stop.is_empty() || CHAT_ONLY.iter().any(|field| request.other(*field).is_some());
    if chat_refuses_tools(request, to) && serves_responses && !chat_only {
        Dialect::OpenAiResponses
    } else {
        to.dialect
    }
}

/// Whether a candidate's chat endpoint refuses the tools of a request, with the effort that it asks
/// for.
pub fn chat_refuses_tools(request: &Request, to: &Candidate<'_>) -> bool {
    let Family::OpenAi(rules) = to.family else { return false };
    let off = request.wish == Some(Wish::Off);
    let refused = match rules.chat_tools {
        ChatTools::Taken => false,
        ChatTools::NotWithEffort => request.wish.is_some() && !off,
        ChatTools::OnlyWithNone => !off,
    };
    let own = to.dialect == Dialect::OpenAiChat && to.quirks.is_none();
    own && refused && !request.tools.is_empty()
}

/// Whether a candidate's chat endpoint may refuse tools, whatever the request.
pub fn chat_may_refuse_tools(to: &Candidate<'_>) -> bool {
    let Family::OpenAi(rules) = to.family else { return false };
    to.dialect == Dialect::OpenAiChat && to.quirks.is_none() && rules.chat_tools != ChatTools::Taken
}

/// The request without anything that only its issuer can read: for the one retry after a provider
/// refused a signature. Gemini's placeholders come back by themselves.
#[must_use]
pub fn sanitised(request: &Request) -> Request {
    let mut request = request.clone();
    for message in &mut request.messages {
        message.parts.retain(|part| !matches!(part, Part::Reasoning(_)));
        for part in &mut message.parts {
            match part {
                Part::Call(call) => call.signature = None,
                Part::Text { signature, .. } => *signature = None,
                _ => {}
            }
        }
    }
    request
}

/// One step of a translated stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is written to the caller: none, one or several events. Of an error it is written only
    /// after the commit point.
    pub frames: Vec<Bytes>,
    /// What it means. Never [`Judgement::Malformed`]: that is an error in a translation.
    pub judgement: Judgement,
}

/// A whole answer, translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    /// The body for the caller.
    pub body: Bytes,
    /// What it used, where the provider says so.
    pub usage: Option<Usage>,
    /// How much it holds.
    pub amount: Amount,
    /// A filter ended it before any content.
    pub filtered: bool,
}

/// An answer on its way from a candidate to a caller.
#[derive(Debug)]
pub struct Translation {
    decoder: Decoder,
    restore: Restore,
    writer: Writer,
    caller: Caller,
    judge: Judge,
    usage: Option<Usage>,
    over: bool,
}

impl Translation {
    /// The answer of this candidate to a request that it was sent so.
    pub fn new(candidate: &Candidate<'_>, back: Back, caller: Caller) -> Self {
        Self {
            decoder: Decoder::of(candidate),
            restore: Restore::new(back, caller.seed.clone()),
            writer: Writer::new(caller.clone()),
            caller,
            judge: Judge::default(),
            usage: None,
            over: false,
        }
    }

    /// More bytes of a stream.
    pub fn push(&mut self, chunk: Bytes, out: &mut Vec<Step>) {
        let mut events = Vec::new();
        self.decoder.push(chunk, &mut events);
        self.write(events, out);
    }

    /// The bytes have ended well.
    pub fn close(&mut self, out: &mut Vec<Step>) {
        let mut events = Vec::new();
        self.decoder.close(&mut events);
        self.write(events, out);
    }

    /// The stream is over for another reason: the connection was lost, or a time ran out.
    pub fn fail(&mut self, failure: Failure, out: &mut Vec<Step>) {
        self.write(vec![Event::Error(Box::new(failure))], out);
    }

    /// What keeps the caller's connection alive: between events, after the commit point.
    pub fn keep_alive(&mut self) -> Bytes {
        self.writer.keep_alive()
    }

    /// What was used, where the provider said so.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// How much content was seen.
    pub fn amount(&self) -> Amount {
        self.judge.amount
    }

    /// How many events with content were seen.
    pub fn deltas(&self) -> u64 {
        self.judge.deltas
    }

    /// Whether every choice that was seen has its finish reason.
    pub fn is_finished(&self) -> bool {
        !self.judge.seen.is_empty() && self.judge.ended >= self.judge.seen.len()
    }

    /// Whether the last event was written.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// A whole answer, be it JSON or a stream that is collected.
    pub fn whole(mut self, body: &Bytes) -> Result<Translated, Failure> {
        let mut events = Vec::new();
        self.decoder.push(body.clone(), &mut events);
        self.decoder.close(&mut events);
        let mut filtered = false;
        let mut judged = Vec::new();
        for event in self.restored(events) {
            let event = self.judge.mend(event);
            if let Judgement::Terminal { filtered: cut } = self.judge.of(&event) {
                filtered = cut;
            }
            judged.push(event);
        }
        let reply = Collector::collect(judged)?;
        Ok(Translated {
            body: encode_reply(&reply, &self.caller),
            usage: reply.usage,
            amount: self.judge.amount,
            filtered,
        })
    }

    fn restored(&mut self, events: Vec<Event>) -> Vec<Event> {
        let mut restored = Vec::new();
        for event in events {
            self.restore.event(event, &mut restored);
        }
        restored
    }

    fn write(&mut self, events: Vec<Event>, out: &mut Vec<Step>) {
        for event in self.restored(events) {
            if self.over {
                return;
            }
            let event = self.judge.mend(event);
            if let Event::Usage(usage) = &event {
                self.usage = Some(*usage);
            }
            self.over = matches!(event, Event::Error(_) | Event::End);
            let judgement = self.judge.of(&event);
            let mut frames = Vec::new();
            self.writer.event(&event, &mut frames);
            out.push(Step { frames, judgement });
        }
    }
}

/// What events mean for the commit point.
#[derive(Debug, Default)]
struct Judge {
    content: bool,
    amount: Amount,
    deltas: u64,
    /// Choices that were seen, and how many of them have ended.
    seen: Vec<u32>,
    ended: usize,
}

impl Judge {
    /// A context that is full before anything was said is no answer.
    fn mend(&self, event: Event) -> Event {
        match event {
            Event::Finish { reason: Finish::ContextWindow, .. } if !self.content => {
                let class = OutcomeClass::Fault(Fault::ContextLength);
                let what = "The model's context window was full before it could answer.";
                Event::Error(Box::new(Failure::new(class, what)))
            }
            other => other,
        }
    }

    fn see(&mut self, choice: u32) {
        if !self.seen.contains(&choice) {
            self.seen.push(choice);
        }
    }

    fn of(&mut self, event: &Event) -> Judgement {
        match event {
            Event::Start(_) | Event::Close { .. } => Judgement::Lifecycle,
            Event::Open { choice, kind, .. } => {
                self.see(*choice);
                // The name of a tool is content.
                if let Kind::Call { name, .. } = kind {
                    self.amount.text_bytes += name.len() as u64;
                    self.deltas += 1;
                    self.content = true;
                    return Judgement::Decisive;
                }
                Judgement::Lifecycle
            }
            Event::Delta { choice, delta, .. } => {
                self.see(*choice);
                match delta {
                    Delta::Text(_) | Delta::Data(_) | Delta::Audio(_) => {
                        match delta {
                            Delta::Text(text) => self.amount.text_bytes += text.len() as u64,
                            // How many tokens data is cannot be told: each piece counts one.
                            _ => self.amount.other_tokens += 1,
                        }
                        self.deltas += 1;
                        self.content = true;
                        Judgement::Decisive
                    }
                    Delta::Signature(_) | Delta::Citation(_) | Delta::Logprobs(_) => {
                        Judgement::Lifecycle
                    }
                }
            }
            Event::Finish { choice, reason } => {
                self.see(*choice);
                self.ended += 1;
                if self.ended < self.seen.len() {
                    return Judgement::Lifecycle;
                }
                let cut =
                    matches!(reason, Finish::Filter | Finish::Refusal { answered: false, .. });
                Judgement::Terminal { filtered: cut && !self.content }
            }
            Event::Usage(_) => Judgement::Usage,
            Event::Error(failure) => Judgement::Error(failure.clone()),
            Event::End => Judgement::Done,
        }
    }
}

#[cfg(test)]
#[path = "translate_tests.rs"]
mod tests;
