//! The events of an answer, as chat completions write them.

use std::collections::HashMap;

use bytes::Bytes;

use super::reply::{annotation, block, finish_reason, google, image, logprobs};
use crate::{
    neutral::{CallKind, Delta, Event, Kind, Media, Reasoning, Source, Start, Usage},
    protocol::{Caller, Protocol, data_frame, error_frame, prefixed, usage},
    tree::{Json, object},
};

/// What is known of an open part.
#[derive(Debug)]
struct Open {
    kind: Kind,
    /// The ordinal of a call among the calls of its choice.
    call: usize,
    /// Text so far, where the end of the part needs it.
    held: String,
    reasoning: Reasoning,
}

/// Writes events as chunks.
#[derive(Debug)]
pub(crate) struct Writer {
    caller: Caller,
    start: Start,
    /// Choices that have had their role.
    begun: Vec<u32>,
    parts: HashMap<(u32, u32), Open>,
    calls: HashMap<u32, usize>,
    /// Code points of content, by choice.
    written: HashMap<u32, usize>,
    tokens: HashMap<u32, Vec<Json>>,
    usage: Option<Usage>,
}

impl Writer {
    pub(crate) fn new(caller: Caller) -> Self {
        Self {
            caller,
            start: Start::default(),
            begun: Vec::new(),
            parts: HashMap::new(),
            calls: HashMap::new(),
            written: HashMap::new(),
            tokens: HashMap::new(),
            usage: None,
        }
    }

    /// Writes an event.
    pub(crate) fn event(&mut self, event: &Event, out: &mut Vec<Bytes>) {
        match event {
            Event::Start(start) => self.start.clone_from(start),
            Event::Open { choice, part, kind } => {
                let mut ordinal = 0;
                if let Kind::Call { id, name, kind, signature, .. } = kind {
                    let next = self.calls.entry(*choice).or_default();
                    ordinal = *next;
                    *next += 1;
                    let extra = signature.as_ref().map(|s| google(s, &self.caller));
                    let delta = self.call_start(ordinal, id, name, *kind, extra);
                    self.chunk(*choice, delta, out);
                }
                let open = Open {
                    kind: kind.clone(),
                    call: ordinal,
                    held: String::new(),
                    reasoning: Reasoning::default(),
                };
                self.parts.insert((*choice, *part), open);
            }
            Event::Delta { choice, part, delta } => {
                if let Some(delta) = self.delta(*choice, *part, delta) {
                    self.chunk(*choice, delta, out);
                }
            }
            Event::Close { choice, part } => {
                if let Some(delta) = self.close(*choice, *part) {
                    self.chunk(*choice, delta, out);
                }
            }
            Event::Finish { choice, reason } => {
                let reason = finish_reason(Some(reason), self.caller.old_functions);
                self.begin(*choice, out);
                let choice = object! {
                    "index": *choice,
                    "delta": Json::empty(),
                    "logprobs": logprobs(&self.tokens.remove(choice).unwrap_or_default()),
                    "finish_reason": reason,
                };
                let chunk = self.frame(vec![choice], None);
                out.push(data_frame(&chunk));
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Error(failure) => out.push(error_frame(failure, &self.caller)),
            Event::End => {
                if self.caller.stream_usage
                    && let Some(used) = &self.usage
                {
                    let chunk = self.frame(Vec::new(), Some(usage::chat(used)));
                    out.push(data_frame(&chunk));
                }
                out.push(Bytes::from_static(b"data: [DONE]\n\n"));
            }
        }
    }

    fn call_start(
        &self,
        ordinal: usize,
        id: &str,
        name: &str,
        kind: CallKind,
        extra: Option<Json>,
    ) -> Json {
        if self.caller.old_functions {
            return object! {"function_call": object! {"name": name, "arguments": ""}};
        }
        let mut call = object! {"index": ordinal, "id": id};
        match kind {
            CallKind::Custom => {
                call.set("type", "custom");
                call.set("custom", object! {"name": name, "input": ""});
            }
            CallKind::Function => {
                call.set("type", "function");
                call.set("function", object! {"name": name, "arguments": ""});
            }
        }
        call.set_some("extra_content", extra);
        object! {"tool_calls": vec![call]}
    }

    fn delta(&mut self, choice: u32, part: u32, delta: &Delta) -> Option<Json> {
        if let Delta::Logprobs(tokens) = delta {
            self.tokens.entry(choice).or_default().extend_from_slice(tokens);
            return None;
        }
        if let Delta::Audio(members) = delta {
            return Some(object! {"audio": members});
        }
        let open = self.parts.get_mut(&(choice, part))?;
        match (&open.kind, delta) {
            (Kind::Text, Delta::Text(text)) => {
                *self.written.entry(choice).or_default() += text.chars().count();
                open.held.push_str(text);
                Some(object! {"content": text})
            }
            (Kind::Text, Delta::Citation(citation)) => {
                let written = self.written.get(&choice).copied().unwrap_or(0);
                let before = written.saturating_sub(open.held.chars().count());
                let found = annotation(citation, before, &open.held)?;
                Some(object! {"annotations": vec![found]})
            }
            (Kind::Text, Delta::Signature(signature)) => {
                Some(object! {"extra_content": google(signature, &self.caller)})
            }
            (Kind::Refusal, Delta::Text(text)) => Some(object! {"refusal": text}),
            (Kind::Reasoning { .. }, Delta::Text(text)) => {
                open.reasoning.text.push_str(text);
                Some(object! {"reasoning_content": text})
            }
            (Kind::Reasoning { .. }, Delta::Signature(signature)) => {
                match &mut open.reasoning.signature {
                    Some(known) => known.data.push_str(&signature.data),
                    known => *known = Some(signature.clone()),
                }
                None
            }
            (Kind::Call { kind, .. }, Delta::Text(text)) => {
                open.held.push_str(text);
                let (kind, index) = (*kind, open.call);
                Some(self.fragment(index, kind, text))
            }
            (Kind::Image { media_type }, Delta::Data(data)) => {
                let media = Media {
                    source: Source::Base64(data.clone()),
                    media_type: media_type.clone(),
                    detail: None,
                };
                Some(object! {"images": vec![image(&media)]})
            }
            _ => None,
        }
    }

    fn fragment(&self, index: usize, kind: CallKind, text: &str) -> Json {
        if self.caller.old_functions {
            return object! {"function_call": object! {"arguments": text}};
        }
        let (member, inner) = match kind {
            CallKind::Custom => ("custom", object! {"input": text}),
            CallKind::Function => ("function", object! {"arguments": text}),
        };
        let call = object! {"index": index}.with(member, inner);
        object! {"tool_calls": vec![call]}
    }

    fn close(&mut self, choice: u32, part: u32) -> Option<Json> {
        let open = self.parts.remove(&(choice, part))?;
        match open.kind {
            // No fragment at all: the arguments are an empty object.
            Kind::Call { kind: CallKind::Function, .. } if open.held.is_empty() => {
                Some(self.fragment(open.call, CallKind::Function, "{}"))
            }
            Kind::Reasoning { redacted, .. } => {
                let part = Reasoning { redacted, ..open.reasoning };
                let block = block(&part, &self.caller)?;
                let blocks = object! {"thinking_blocks": vec![block]};
                Some(object! {"extra_content": object! {"anthropic": blocks}})
            }
            _ => None,
        }
    }

    fn begin(&mut self, choice: u32, out: &mut Vec<Bytes>) {
        if self.begun.contains(&choice) {
            return;
        }
        self.begun.push(choice);
        let delta = object! {"role": "assistant", "content": "", "refusal": Json::Null};
        let first = object! {
            "index": choice, "delta": delta, "logprobs": Json::Null, "finish_reason": Json::Null,
        };
        out.push(data_frame(&self.frame(vec![first], None)));
    }

    fn chunk(&mut self, choice: u32, delta: Json, out: &mut Vec<Bytes>) {
        self.begin(choice, out);
        let tokens = self.tokens.remove(&choice).unwrap_or_default();
        let choice = object! {
            "index": choice,
            "delta": delta,
            "logprobs": logprobs(&tokens),
            "finish_reason": Json::Null,
        };
        let chunk = self.frame(vec![choice], None);
        out.push(data_frame(&chunk));
    }

    fn frame(&self, choices: Vec<Json>, used: Option<Json>) -> Json {
        let start = &self.start;
        let mut out = object! {
            "id": prefixed("chatcmpl-", start.id.as_deref(), &self.caller.seed),
            "object": "chat.completion.chunk",
            "created": start.created.unwrap_or(self.caller.now),
            "model": start.model.as_ref().unwrap_or(&self.caller.model),
            "choices": choices,
        };
        match used {
            Some(used) => out.set("usage", used),
            None if self.caller.stream_usage => out.set("usage", Json::Null),
            None => {}
        }
        out.set_some("service_tier", usage::tier(Protocol::Chat, start.tier.as_deref()));
        out.set_some("system_fingerprint", start.fingerprint.as_deref());
        out
    }
}
