//! The events of an answer, as messages write them: one block after the other.

use bytes::Bytes;

use super::reply::{carrier, citation, stop, thinking};
use crate::{
    neutral::{Call, CallKind, Delta, Event, Finish, Kind, Reasoning, Sequencer, Start, Usage},
    protocol::{Caller, chat::reply::marked, error_frame, named_frame, prefixed, usage},
    tree::{Json, object},
};

/// Writes events.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, of no order")]
pub(crate) struct Writer {
    caller: Caller,
    sequencer: Sequencer,
    start: Start,
    begun: bool,
    failed: bool,
    /// The index of the next block, or of the open one.
    index: u64,
    open: Option<Kind>,
    /// The open block has been written, and has had a delta.
    written: bool,
    filled: bool,
    /// A redacted block waits for its data.
    held: Reasoning,
    finish: Option<Finish>,
    usage: Option<Usage>,
    bytes: usize,
}

impl Writer {
    pub(crate) fn new(caller: Caller) -> Self {
        Self {
            caller,
            sequencer: Sequencer::default(),
            start: Start::default(),
            begun: false,
            failed: false,
            index: 0,
            open: None,
            written: false,
            filled: false,
            held: Reasoning::default(),
            finish: None,
            usage: None,
            bytes: 0,
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

    fn write(&mut self, event: Event, out: &mut Vec<Bytes>) {
        match event {
            Event::Start(start) => self.start = start,
            Event::Open { kind, .. } => {
                self.begin(out);
                self.open(kind, out);
            }
            Event::Delta { delta, .. } => self.delta(&delta, out),
            Event::Close { .. } => self.close(out),
            Event::Finish { reason, .. } => self.finish = Some(reason),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Error(failure) => {
                self.failed = true;
                out.push(error_frame(&failure, &self.caller));
            }
            Event::End => {
                self.begin(out);
                let delta = stop(self.finish.as_ref());
                let used =
                    self.usage.unwrap_or_else(|| usage::estimate(self.caller.estimate, self.bytes));
                let mut used = usage::messages(&used);
                used.take("cache_creation");
                let event = object! {"type": "message_delta", "delta": delta, "usage": used};
                out.push(named_frame("message_delta", &event));
                out.push(named_frame("message_stop", &object! {"type": "message_stop"}));
            }
        }
    }

    fn begin(&mut self, out: &mut Vec<Bytes>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let start = &self.start;
        let message = object! {
            "id": prefixed("msg_", start.id.as_deref(), &self.caller.seed),
            "type": "message",
            "role": "assistant",
            "model": start.model.as_ref().unwrap_or(&self.caller.model),
            "content": Json::Array(Vec::new()),
            "stop_reason": Json::Null,
            "stop_sequence": Json::Null,
            // Known late: the whole follows in `message_delta`.
            "usage": object! {"input_tokens": 0_u64, "output_tokens": 0_u64},
        };
        let event = object! {"type": "message_start", "message": message};
        out.push(named_frame("message_start", &event));
    }

    fn open(&mut self, kind: Kind, out: &mut Vec<Bytes>) {
        self.written = false;
        self.filled = false;
        self.held = Reasoning::default();
        match &kind {
            Kind::Call { id, name, signature, .. } => {
                let call = Call {
                    id: id.clone(),
                    name: name.clone(),
                    namespace: None,
                    arguments: String::new(),
                    kind: CallKind::Function,
                    signature: signature.clone(),
                };
                if let Some(block) = carrier(&call, &self.caller) {
                    self.whole_thinking(&block, out);
                }
                let block = object! {
                    "type": "tool_use", "id": id.as_str(), "name": name.as_str(),
                    "input": Json::empty(),
                };
                self.start_block(block, out);
            }
            // Opened with their first content, or written whole at the end.
            Kind::Text
            | Kind::Refusal
            | Kind::Reasoning { redacted: true, .. }
            // No such block is there.
            | Kind::Image { .. }
            | Kind::Audio => {}
            Kind::Reasoning { redacted: false, .. } => {
                let block = thinking(&Reasoning::default(), &self.caller);
                self.start_block(block, out);
            }
        }
        self.open = Some(kind);
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<Bytes>) {
        let Some(kind) = &self.open else { return };
        let delta = match (kind, delta) {
            (Kind::Text | Kind::Refusal, Delta::Text(text)) => {
                self.bytes += text.len();
                object! {"type": "text_delta", "text": text}
            }
            (Kind::Text, Delta::Citation(cited)) => {
                object! {"type": "citations_delta", "citation": citation(cited)}
            }
            (Kind::Reasoning { redacted: false, .. }, Delta::Text(text)) => {
                self.bytes += text.len();
                object! {"type": "thinking_delta", "thinking": text}
            }
            (Kind::Reasoning { .. }, Delta::Signature(signature)) => {
                // A signature may come in pieces, and is marked as a whole.
                match &mut self.held.signature {
                    Some(known) => known.data.push_str(&signature.data),
                    known => *known = Some(signature.clone()),
                }
                return;
            }
            (Kind::Call { .. }, Delta::Text(text)) => {
                self.bytes += text.len();
                self.filled = true;
                object! {"type": "input_json_delta", "partial_json": text}
            }
            _ => return,
        };
        if !self.written {
            self.start_block(object! {"type": "text", "text": ""}, out);
        }
        self.block_delta(delta, out);
    }

    fn close(&mut self, out: &mut Vec<Bytes>) {
        match self.open.take() {
            Some(Kind::Reasoning { redacted: true, .. }) => {
                let held = std::mem::take(&mut self.held);
                let block = thinking(&Reasoning { redacted: true, ..held }, &self.caller);
                self.start_block(block, out);
            }
            Some(Kind::Reasoning { .. }) => {
                if let Some(signature) = self.held.signature.take() {
                    let proof = marked(&signature, &self.caller);
                    let delta = object! {"type": "signature_delta", "signature": proof};
                    self.block_delta(delta, out);
                }
            }
            Some(Kind::Call { .. }) if !self.filled => {
                let delta = object! {"type": "input_json_delta", "partial_json": "{}"};
                self.block_delta(delta, out);
            }
            _ => {}
        }
        if self.written {
            self.stop_block(out);
        }
    }

    fn whole_thinking(&mut self, block: &Json, out: &mut Vec<Bytes>) {
        self.start_block(thinking(&Reasoning::default(), &self.caller), out);
        let delta = object! {"type": "signature_delta", "signature": block.get("signature")};
        self.block_delta(delta, out);
        self.stop_block(out);
    }

    fn start_block(&mut self, block: Json, out: &mut Vec<Bytes>) {
        self.written = true;
        let event = object! {
            "type": "content_block_start", "index": self.index, "content_block": block,
        };
        out.push(named_frame("content_block_start", &event));
    }

    fn block_delta(&self, delta: Json, out: &mut Vec<Bytes>) {
        let event = object! {
            "type": "content_block_delta", "index": self.index, "delta": delta,
        };
        out.push(named_frame("content_block_delta", &event));
    }

    fn stop_block(&mut self, out: &mut Vec<Bytes>) {
        self.written = false;
        let event = object! {"type": "content_block_stop", "index": self.index};
        out.push(named_frame("content_block_stop", &event));
        self.index += 1;
    }
}
