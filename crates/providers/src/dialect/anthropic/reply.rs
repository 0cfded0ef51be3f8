//! Answers of messages, decoded: the events of a stream, or the blocks of a whole message.

use routing::OutcomeClass;

use super::super::{
    Dialect,
    common::{known_end, unknown_end},
    parts::{Parts, Piece},
    usage,
};
use crate::{
    failure::Failure,
    neutral::{Delta, Event, Finish, Kind, Signature, Start, Usage},
    origin::{Maker, Origin},
    protocol::messages::citation,
    rules::finish::{self, Ends, Why},
    tree::Json,
};

/// Reads the events of an answer.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Reader {
    parts: Parts,
    usage: Option<Usage>,
    ended: bool,
    /// The input that stood in the start of a call, where no delta follows.
    input: Option<(u64, String)>,
}

fn proof(data: &Json) -> Option<Signature> {
    let data = data.str().filter(|data| !data.is_empty())?;
    Some(Signature { origin: Origin::Maker(Maker::Claude), data: data.to_owned() })
}

/// What a stop reason says. A word that is not known ends an answer that has content.
fn finish(reason: &str, from: &Json, content: bool) -> Result<Finish, Failure> {
    let text = |value: &Json| value.str().map(str::to_owned);
    Ok(match finish::ends(Dialect::Anthropic, reason) {
        Ends::Is(Why::StopSequence) => Finish::StopSequence(text(from.get("stop_sequence"))),
        Ends::Is(Why::Refusal) => {
            let details = from.get("stop_details");
            let (category, explanation) = (details.get("category"), details.get("explanation"));
            Finish::Refusal {
                answered: false,
                category: text(category),
                explanation: text(explanation),
            }
        }
        Ends::Is(why) => return known_end(why, content),
        Ends::Maybe | Ends::NotYet => return unknown_end(content),
        Ends::Fails(fault) => {
            let what = format!("The model's answer failed ({reason}).");
            return Err(Failure::new(OutcomeClass::Fault(fault), what));
        }
    })
}

impl Reader {
    /// An event of a stream.
    pub(in crate::dialect) fn event(
        &mut self,
        value: &Json,
        out: &mut Vec<Event>,
    ) -> Result<(), Failure> {
        match value.get("type").text() {
            "message_start" => {
                let message = value.get("message");
                self.start(message, out);
                self.usage = usage::anthropic(message.get("usage"), None);
            }
            "content_block_start" => {
                let index = value.get("index").u64().unwrap_or_default();
                self.block_start(index, value.get("content_block"), out);
            }
            "content_block_delta" => {
                let index = value.get("index").u64().unwrap_or_default();
                self.block_delta(index, value.get("delta"), out);
            }
            "content_block_stop" => self.block_stop(out),
            "message_delta" => {
                self.usage = usage::anthropic(value.get("usage"), self.usage);
                let delta = value.get("delta");
                if let Some(reason) = delta.get("stop_reason").str() {
                    self.block_stop(out);
                    self.ended = true;
                    self.parts.see(0);
                    let reason = finish(reason, delta, self.parts.has_content(0))?;
                    self.parts.finish(0, reason, out);
                }
            }
            "message_stop" => return self.end(out),
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, message: &Json, out: &mut Vec<Event>) {
        let text = |name: &str| message.get(name).str().filter(|t| !t.is_empty());
        out.push(Event::Start(Start {
            id: text("id").map(str::to_owned),
            model: text("model").map(str::to_owned),
            created: None,
            fingerprint: None,
            tier: message.at(&["usage", "service_tier"]).str().map(str::to_owned),
        }));
        self.parts.see(0);
    }

    fn block_start(&mut self, index: u64, block: &Json, out: &mut Vec<Event>) {
        match block.get("type").text() {
            "text" => {
                self.parts.close_open(0, out);
                self.parts.text(0, &Kind::Text, block.get("text").text(), out);
            }
            "thinking" => {
                self.parts.close_open(0, out);
                self.parts.open(0, &Kind::THOUGHT, out);
                self.parts.text(0, &Kind::THOUGHT, block.get("thinking").text(), out);
            }
            "redacted_thinking" => {
                self.parts.close_open(0, out);
                self.parts.open(0, &Kind::Reasoning { redacted: true, id: None }, out);
                if let Some(signature) = proof(block.get("data")) {
                    self.parts.delta(0, Delta::Signature(signature), out);
                }
            }
            "tool_use" => {
                let piece = Piece {
                    index: Some(index),
                    id: block.get("id").text(),
                    name: block.get("name").text(),
                    ..Piece::default()
                };
                self.parts.call(0, piece, out);
                let input = block.get("input");
                self.input = input.filled().then(|| (index, input.to_text()));
            }
            // Blocks of hosted tools: nothing that a caller of another protocol could read.
            _ => self.parts.close_open(0, out),
        }
    }

    fn block_delta(&mut self, index: u64, delta: &Json, out: &mut Vec<Event>) {
        match delta.get("type").text() {
            "text_delta" => self.parts.text(0, &Kind::Text, delta.get("text").text(), out),
            "thinking_delta" => {
                self.parts.text(0, &Kind::THOUGHT, delta.get("thinking").text(), out);
            }
            "signature_delta" => {
                if let Some(signature) = proof(delta.get("signature")) {
                    self.parts.sign(0, signature, out);
                }
            }
            "input_json_delta" => {
                let arguments = delta.get("partial_json").text();
                if !arguments.is_empty() {
                    self.input = None;
                }
                let piece = Piece { index: Some(index), arguments, ..Piece::default() };
                self.parts.call(0, piece, out);
            }
            "citations_delta" => {
                self.parts.cite(0, citation(delta.get("citation")), out);
            }
            _ => {}
        }
    }

    fn block_stop(&mut self, out: &mut Vec<Event>) {
        if let Some((index, text)) = self.input.take() {
            let piece = Piece { index: Some(index), arguments: &text, ..Piece::default() };
            self.parts.call(0, piece, out);
        }
        self.parts.close_open(0, out);
        self.parts.close_calls(0, out);
    }

    /// A whole answer.
    pub(in crate::dialect) fn whole(
        &mut self,
        value: &Json,
        out: &mut Vec<Event>,
    ) -> Result<(), Failure> {
        let reason = value.get("stop_reason").str();
        let blocks = value.get("content").items();
        if blocks.is_empty() && reason.is_none() {
            return Err(Failure::invalid("The provider's answer holds no content."));
        }
        self.start(value, out);
        for (index, block) in (0_u64..).zip(blocks) {
            self.block_start(index, block, out);
            if let Some(signature) = proof(block.get("signature")) {
                self.parts.sign(0, signature, out);
            }
            for found in block.get("citations").items() {
                self.parts.cite(0, citation(found), out);
            }
            self.block_stop(out);
        }
        self.usage = usage::anthropic(value.get("usage"), None);
        self.ended = true;
        let content = self.parts.has_content(0);
        self.parts.finish(0, finish(reason.unwrap_or_default(), value, content)?, out);
        Ok(())
    }

    /// The bytes have ended, or the message has.
    pub(in crate::dialect) fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Failure> {
        if !self.ended {
            return Err(Failure::invalid("The provider's stream ended without a stop reason."));
        }
        out.extend(self.usage.map(Event::Usage));
        out.push(Event::End);
        Ok(())
    }
}
