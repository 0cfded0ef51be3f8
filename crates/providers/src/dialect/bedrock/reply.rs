//! Answers of Converse, decoded: the frames of a stream, or a whole message.

use routing::OutcomeClass;

use super::super::{
    Dialect,
    common::{known_end, unknown_end},
    errors,
    event_stream::Frame,
    parts::{Parts, Piece},
    usage,
};
use crate::{
    failure::Failure,
    neutral::{Citation, Delta, Event, Finish, Kind, Signature, Start, Usage},
    origin::{Maker, Origin},
    rules::finish::{self, Ends, Why},
    tree::Json,
};

/// Reads the events of an answer.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Reader {
    begun: bool,
    parts: Parts,
    usage: Option<Usage>,
    stopped: bool,
}

fn proof(data: &Json) -> Option<Signature> {
    let data = data.str().filter(|data| !data.is_empty())?;
    Some(Signature { origin: Origin::Maker(Maker::Claude), data: data.to_owned() })
}

/// What a stop reason says. A word that is not known ends an answer that has content.
fn finish(reason: &str, from: &Json, content: bool) -> Result<Finish, Failure> {
    Ok(match finish::ends(Dialect::Bedrock, reason) {
        Ends::Is(Why::StopSequence) => {
            let text = from.at(&["additionalModelResponseFields", "stop_sequence"]).str();
            Finish::StopSequence(text.map(str::to_owned))
        }
        Ends::Is(why) => return known_end(why, content),
        Ends::Maybe | Ends::NotYet => return unknown_end(content),
        Ends::Fails(fault) => {
            let what = format!("The model's answer is malformed ({reason}).");
            return Err(Failure::new(OutcomeClass::Fault(fault), what));
        }
    })
}

impl Reader {
    /// A frame of a stream.
    pub(in crate::dialect) fn frame(
        &mut self,
        frame: &Frame,
        out: &mut Vec<Event>,
    ) -> Result<(), Failure> {
        let value = Json::parse(&frame.payload).unwrap_or_default();
        match frame.message_type.as_str() {
            "exception" => {
                let message = [value.get("message"), value.get("Message")]
                    .into_iter()
                    .find_map(Json::str)
                    .unwrap_or("The provider sent an exception without a message.");
                let original =
                    value.get("originalStatusCode").u64().and_then(|s| u16::try_from(s).ok());
                Err(errors::exception(&frame.name, message, original))
            }
            "error" => Err(errors::exception(&frame.name, &frame.message, None)),
            _ if value.is_null() && !frame.payload.is_empty() => {
                Err(Failure::invalid("The provider sent an event that is no JSON."))
            }
            _ => self.event(&frame.name, &value, out),
        }
    }

    /// An event of a stream that came as JSON, under its name.
    pub(in crate::dialect) fn json(
        &mut self,
        value: &Json,
        out: &mut Vec<Event>,
    ) -> Result<(), Failure> {
        for (name, inner) in value.members() {
            self.event(name, inner, out)?;
        }
        Ok(())
    }

    fn begin(&mut self, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.begun, true) {
            out.push(Event::Start(Start::default()));
            self.parts.see(0);
        }
    }

    fn event(&mut self, name: &str, value: &Json, out: &mut Vec<Event>) -> Result<(), Failure> {
        let index = value.get("contentBlockIndex").u64();
        match name {
            "messageStart" => self.begin(out),
            "contentBlockStart" => {
                self.begin(out);
                let call = value.at(&["start", "toolUse"]);
                if call.is_object() {
                    let piece = Piece {
                        index,
                        id: call.get("toolUseId").text(),
                        name: call.get("name").text(),
                        ..Piece::default()
                    };
                    self.parts.call(0, piece, out);
                }
            }
            "contentBlockDelta" => {
                self.begin(out);
                self.delta(index, value.get("delta"), out);
            }
            "contentBlockStop" => {
                self.parts.close_open(0, out);
                self.parts.close_calls(0, out);
            }
            "messageStop" => {
                self.begin(out);
                let reason =
                    finish(value.get("stopReason").text(), value, self.parts.has_content(0))?;
                self.stopped = true;
                self.parts.finish(0, reason, out);
            }
            "metadata" => {
                self.usage = usage::bedrock(value.get("usage")).or(self.usage);
                if self.stopped {
                    return self.end(out);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn delta(&mut self, index: Option<u64>, delta: &Json, out: &mut Vec<Event>) {
        self.parts.text(0, &Kind::Text, delta.get("text").text(), out);
        let call = delta.get("toolUse");
        if call.is_object() {
            let input = call.get("input");
            let object = input.is_object().then(|| input.to_text());
            let arguments = object.as_deref().unwrap_or(input.text());
            self.parts.call(0, Piece { index, arguments, ..Piece::default() }, out);
        }
        let thought = delta.get("reasoningContent");
        if thought.is_object() {
            self.reasoning(thought, out);
        }
        if delta.get("citation").is_object() {
            self.parts.cite(0, citation(delta.get("citation")), out);
        }
        for part in delta.at(&["citationsContent", "content"]).items() {
            self.parts.text(0, &Kind::Text, part.get("text").text(), out);
        }
        self.image(delta.get("image"), out);
    }

    fn reasoning(&mut self, thought: &Json, out: &mut Vec<Event>) {
        let inner = thought.get("reasoningText");
        let inner = if inner.is_object() { inner } else { thought };
        self.parts.text(0, &Kind::THOUGHT, inner.get("text").text(), out);
        if let Some(signature) = proof(inner.get("signature")) {
            self.parts.sign(0, signature, out);
        }
        if let Some(data) = proof(thought.get("redactedContent")) {
            let kind = Kind::Reasoning { redacted: true, id: None };
            self.parts.open(0, &kind, out);
            self.parts.delta(0, Delta::Signature(data), out);
        }
    }

    fn image(&mut self, image: &Json, out: &mut Vec<Event>) {
        let data = image.at(&["source", "bytes"]).text();
        if !data.is_empty() {
            let kind = format!("image/{}", image.get("format").text());
            self.parts.image(0, &kind, data, out);
        }
    }

    /// A whole answer.
    pub(in crate::dialect) fn whole(
        &mut self,
        value: &Json,
        out: &mut Vec<Event>,
    ) -> Result<(), Failure> {
        let message = value.at(&["output", "message"]);
        let reason = value.get("stopReason");
        if !message.is_object() && reason.is_null() {
            return Err(Failure::invalid("The provider's answer holds no message."));
        }
        self.begin(out);
        for (index, block) in (0_u64..).zip(message.get("content").items()) {
            self.parts.text(0, &Kind::Text, block.get("text").text(), out);
            let call = block.get("toolUse");
            if call.is_object() {
                let arguments = match call.get("input") {
                    Json::Null => "{}".to_owned(),
                    input => input.to_text(),
                };
                let piece = Piece {
                    index: Some(index),
                    id: call.get("toolUseId").text(),
                    name: call.get("name").text(),
                    arguments: &arguments,
                    ..Piece::default()
                };
                self.parts.call(0, piece, out);
            }
            let thought = block.get("reasoningContent");
            if thought.is_object() {
                self.reasoning(thought, out);
            }
            let cited = block.get("citationsContent");
            // This is the answer's text.
            for part in cited.get("content").items() {
                self.parts.text(0, &Kind::Text, part.get("text").text(), out);
            }
            for found in cited.get("citations").items() {
                self.parts.cite(0, citation(found), out);
            }
            self.image(block.get("image"), out);
            self.parts.close_open(0, out);
            self.parts.close_calls(0, out);
        }
        self.usage = usage::bedrock(value.get("usage"));
        self.stopped = true;
        self.parts.finish(0, finish(reason.text(), value, self.parts.has_content(0))?, out);
        Ok(())
    }

    /// The bytes have ended, or the stream has.
    pub(in crate::dialect) fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Failure> {
        if !self.stopped {
            return Err(Failure::invalid("The provider's stream ended without a stop reason."));
        }
        out.extend(self.usage.map(Event::Usage));
        out.push(Event::End);
        Ok(())
    }
}

/// A citation: of the web, or of a document as Anthropic writes it.
fn citation(value: &Json) -> Citation {
    let location = value.get("location");
    let quote: String =
        value.get("sourceContent").items().iter().map(|c| c.get("text").text()).collect();
    let title = value.get("title").text().to_owned();
    if let Some(url) = location.at(&["web", "url"]).str() {
        return Citation::Url { url: url.to_owned(), title, quote, start: None, end: None };
    }
    let mut out = Json::empty();
    for (name, kind, start, end) in [
        ("documentChar", "char_location", "start_char_index", "end_char_index"),
        ("documentPage", "page_location", "start_page_number", "end_page_number"),
        ("documentChunk", "content_block_location", "start_block_index", "end_block_index"),
    ] {
        let place = location.get(name);
        if place.is_object() {
            out.set("type", kind);
            out.set("cited_text", quote.as_str());
            out.set("document_index", place.get("documentIndex").u64().unwrap_or_default());
            out.set("document_title", title.as_str());
            out.set(start, place.get("start").u64().unwrap_or_default());
            out.set(end, place.get("end").u64().unwrap_or_default());
        }
    }
    Citation::Document(out)
}
