//! The events of an answer, as responses write them: items one after the other, each opened, filled
//! and closed, and the whole response at the end.

use bytes::Bytes;

use super::reply::{
    call_item, call_prefix, carrier, finish_call, flat, item_id, message_item, output_text,
    reasoning, response, status,
};
use crate::{
    errors::CallerError,
    failure::Failure,
    neutral::{CallKind, Delta, Event, Finish, Kind, Reasoning, Sequencer, Start, Usage},
    protocol::{
        Caller,
        chat::reply::{annotation, arguments},
        error, named_frame, usage,
    },
    tree::{Json, object},
};

/// The open part.
#[derive(Debug, Default)]
struct Open {
    kind: Option<Kind>,
    item: Json,
    text: String,
    annotations: Vec<Json>,
    tokens: Vec<Json>,
    signature: Option<crate::neutral::Signature>,
}

/// Writes events.
#[derive(Debug)]
pub(crate) struct Writer {
    caller: Caller,
    sequencer: Sequencer,
    start: Start,
    begun: bool,
    failed: bool,
    sequence: u64,
    /// Items that are whole.
    output: Vec<Json>,
    /// The id and the content of the message that is open: several texts share one.
    message: Option<(String, Vec<Json>)>,
    open: Open,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

impl Writer {
    pub(crate) fn new(caller: Caller) -> Self {
        Self {
            caller,
            sequencer: Sequencer::default(),
            start: Start::default(),
            begun: false,
            failed: false,
            sequence: 0,
            output: Vec::new(),
            message: None,
            open: Open::default(),
            finish: None,
            usage: None,
        }
    }

    /// Writes an event.
    pub(crate) fn event(&mut self, event: &Event, out: &mut Vec<Bytes>) {
        if self.failed {
            return;
        }
        for event in self.sequencer.arrange(event.clone()) {
            self.write(event, out);
        }
    }

    /// A keep-alive within the series of numbers.
    pub(crate) fn keep_alive(&mut self) -> Bytes {
        let mut out = Vec::new();
        self.emit("keepalive", &Json::empty(), &mut out);
        out.pop().unwrap_or_default()
    }

    fn emit(&mut self, kind: &str, members: &Json, out: &mut Vec<Bytes>) {
        let mut event = object! {"type": kind, "sequence_number": self.sequence};
        self.sequence += 1;
        for (name, value) in members.members() {
            event.set(name, value);
        }
        out.push(named_frame(kind, &event));
    }

    fn write(&mut self, event: Event, out: &mut Vec<Bytes>) {
        match event {
            Event::Start(start) => self.start = start,
            Event::Open { kind, .. } => {
                self.begin(out);
                self.open(kind, out);
            }
            Event::Delta { delta, .. } => self.delta(delta, out),
            Event::Close { .. } => self.close(out),
            Event::Finish { reason, .. } => self.finish = Some(reason),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Error(failure) => self.error(&failure, out),
            Event::End => {
                self.begin(out);
                self.end_message(out);
                let (status, why) = status(self.finish.as_ref());
                let output = std::mem::take(&mut self.output);
                let mut whole = response(&self.start, &self.caller, status, why, output);
                whole.set_some("usage", self.usage.as_ref().map(usage::responses));
                let kind = if status == "completed" { "completed" } else { "incomplete" };
                self.emit(&format!("response.{kind}"), &object! {"response": whole}, out);
            }
        }
    }

    fn begin(&mut self, out: &mut Vec<Bytes>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let first = response(&self.start, &self.caller, "in_progress", None, Vec::new());
        self.emit("response.created", &object! {"response": &first}, out);
        self.emit("response.in_progress", &object! {"response": first}, out);
    }

    fn error(&mut self, failure: &Failure, out: &mut Vec<Bytes>) {
        self.failed = true;
        let told = CallerError::of(failure, &[]);
        let event = error::responses(&told, self.sequence);
        self.sequence += 1;
        out.push(named_frame("error", &event));
        let output = std::mem::take(&mut self.output);
        let mut whole = response(&self.start, &self.caller, "failed", None, output);
        let code = if told.status == 429 { "rate_limit_exceeded" } else { "server_error" };
        whole.set("error", object! {"code": code, "message": told.message});
        self.emit("response.failed", &object! {"response": whole}, out);
    }

    fn added(&mut self, item: &Json, out: &mut Vec<Bytes>) {
        let members = object! {"output_index": self.output.len(), "item": item};
        self.emit("response.output_item.added", &members, out);
    }

    fn done(&mut self, item: Json, out: &mut Vec<Bytes>) {
        let members = object! {"output_index": self.output.len(), "item": &item};
        self.emit("response.output_item.done", &members, out);
        self.output.push(item);
    }

    fn open(&mut self, kind: Kind, out: &mut Vec<Bytes>) {
        self.open = Open::default();
        match &kind {
            Kind::Text | Kind::Refusal => self.open_text(&kind, out),
            Kind::Reasoning { id, .. } => {
                self.end_message(out);
                let part = Reasoning { id: id.clone(), ..Reasoning::default() };
                let item = reasoning(&part, &self.caller, self.output.len());
                self.added(&item, out);
                self.open.item = item;
            }
            Kind::Call { id, name, kind, namespace, signature } => {
                self.end_message(out);
                if let Some(signature) = signature {
                    let item = carrier(signature, &self.caller, self.output.len());
                    self.added(&item, out);
                    self.done(item, out);
                }
                let own = item_id(call_prefix(*kind), &self.caller, self.output.len());
                let mut item = call_item(*kind, &own, id, name);
                item.set_some("namespace", namespace.as_deref());
                self.added(&item, out);
                self.open.item = item;
            }
            Kind::Image { .. } | Kind::Audio => {}
        }
        self.open.kind = Some(kind);
    }

    fn open_text(&mut self, kind: &Kind, out: &mut Vec<Bytes>) {
        if self.message.is_none() {
            let id = item_id("msg", &self.caller, self.output.len());
            self.added(&message_item(&id, "in_progress", Vec::new()), out);
            self.message = Some((id, Vec::new()));
        }
        let part = match kind {
            Kind::Refusal => object! {"type": "refusal", "refusal": ""},
            _ => output_text("", &[], &[]),
        };
        let members = self.place().with("part", part);
        self.emit("response.content_part.added", &members, out);
    }

    /// Where a delta belongs.
    fn place(&self) -> Json {
        match &self.message {
            Some((id, content)) => object! {
                "item_id": id, "output_index": self.output.len(), "content_index": content.len(),
            },
            None => object! {
                "item_id": self.open.item.get("id"), "output_index": self.output.len(),
            },
        }
    }

    fn delta(&mut self, delta: Delta, out: &mut Vec<Bytes>) {
        let Some(kind) = self.open.kind.clone() else { return };
        let place = self.place();
        match (kind, delta) {
            (Kind::Text, Delta::Logprobs(tokens)) => self.open.tokens.extend(tokens),
            (Kind::Text, Delta::Text(text)) => {
                self.open.text.push_str(&text);
                let members = place.with("delta", text).with("logprobs", Json::Array(Vec::new()));
                self.emit("response.output_text.delta", &members, out);
            }
            (Kind::Text, Delta::Citation(citation)) => {
                let Some(found) = annotation(&citation, 0, &self.open.text) else { return };
                let found = flat(found);
                let members = place
                    .with("annotation_index", self.open.annotations.len())
                    .with("annotation", &found);
                self.open.annotations.push(found);
                self.emit("response.output_text.annotation.added", &members, out);
            }
            (Kind::Refusal, Delta::Text(text)) => {
                self.open.text.push_str(&text);
                self.emit("response.refusal.delta", &place.with("delta", text), out);
            }
            (Kind::Reasoning { .. }, Delta::Text(text)) => {
                if self.open.text.is_empty() {
                    let part = object! {"type": "summary_text", "text": ""};
                    let members = place.clone().with("summary_index", 0_u64).with("part", part);
                    self.emit("response.reasoning_summary_part.added", &members, out);
                }
                self.open.text.push_str(&text);
                let members = place.with("summary_index", 0_u64).with("delta", text);
                self.emit("response.reasoning_summary_text.delta", &members, out);
            }
            (Kind::Reasoning { .. }, Delta::Signature(proof)) => match &mut self.open.signature {
                Some(known) => known.data.push_str(&proof.data),
                known => *known = Some(proof),
            },
            (Kind::Call { kind, .. }, Delta::Text(text)) => {
                self.open.text.push_str(&text);
                let name = match kind {
                    CallKind::Function => "response.function_call_arguments.delta",
                    CallKind::Custom => "response.custom_tool_call_input.delta",
                };
                self.emit(name, &place.with("delta", text), out);
            }
            _ => {}
        }
    }

    fn close(&mut self, out: &mut Vec<Bytes>) {
        let place = self.place();
        let open = std::mem::take(&mut self.open);
        match open.kind {
            Some(Kind::Text) => {
                let mut part = output_text(&open.text, &[], &open.tokens);
                part.set("annotations", open.annotations);
                let members = place.clone().with("text", open.text).with("logprobs", open.tokens);
                self.emit("response.output_text.done", &members, out);
                self.end_part(place, part, out);
            }
            Some(Kind::Refusal) => {
                let part = object! {"type": "refusal", "refusal": open.text.as_str()};
                let members = place.clone().with("refusal", open.text);
                self.emit("response.refusal.done", &members, out);
                self.end_part(place, part, out);
            }
            Some(Kind::Reasoning { redacted, id }) => {
                if !open.text.is_empty() {
                    let place = place.with("summary_index", 0_u64);
                    let members = place.clone().with("text", open.text.as_str());
                    self.emit("response.reasoning_summary_text.done", &members, out);
                    let part = object! {"type": "summary_text", "text": open.text.as_str()};
                    let members = place.with("part", part);
                    self.emit("response.reasoning_summary_part.done", &members, out);
                }
                let part = Reasoning { text: open.text, signature: open.signature, redacted, id };
                let item = reasoning(&part, &self.caller, self.output.len());
                self.done(item, out);
            }
            Some(Kind::Call { kind, name, .. }) => {
                let mut item = open.item;
                match kind {
                    CallKind::Function => {
                        let text = arguments(&open.text);
                        let members = place.with("name", name).with("arguments", text);
                        self.emit("response.function_call_arguments.done", &members, out);
                    }
                    CallKind::Custom => {
                        let members = place.with("input", open.text.as_str());
                        self.emit("response.custom_tool_call_input.done", &members, out);
                    }
                }
                finish_call(&mut item, kind, &open.text);
                self.done(item, out);
            }
            Some(Kind::Image { .. } | Kind::Audio) | None => {}
        }
    }

    fn end_part(&mut self, place: Json, part: Json, out: &mut Vec<Bytes>) {
        self.emit("response.content_part.done", &place.with("part", &part), out);
        if let Some((_, content)) = &mut self.message {
            content.push(part);
        }
    }

    fn end_message(&mut self, out: &mut Vec<Bytes>) {
        if let Some((id, content)) = self.message.take() {
            self.done(message_item(&id, "completed", content), out);
        }
    }
}
