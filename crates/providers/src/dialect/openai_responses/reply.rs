//! Answers of responses, decoded: the events of a stream, or the items of a whole response.

use routing::OutcomeClass;

use super::super::{
    Dialect,
    common::unknown_end,
    errors::of_code,
    parts::{Parts, Piece},
    usage,
};
use crate::{
    failure::Failure,
    neutral::{Citation, Delta, Event, Kind, Signature, Start},
    origin::{Maker, Origin},
    rules::finish::{self, Ends},
    tree::Json,
};

/// Reads the events of an answer.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Reader {
    begun: bool,
    parts: Parts,
    ended: bool,
    /// Items whose fragments came as deltas, so that their end adds nothing: output indexes.
    told: Vec<u64>,
}

fn thought(item: &Json) -> Kind {
    Kind::Reasoning { redacted: false, id: item.get("id").str().map(str::to_owned) }
}

fn proof(item: &Json) -> Option<Signature> {
    let data = item.get("encrypted_content").str().filter(|data| !data.is_empty())?;
    Some(Signature { origin: Origin::Maker(Maker::OpenAi), data: data.to_owned() })
}

impl Reader {
    /// An event of a stream.
    pub(in crate::dialect) fn event(
        &mut self,
        value: &Json,
        out: &mut Vec<Event>,
    ) -> Result<(), Failure> {
        let at = value.get("output_index").u64().unwrap_or_default();
        let delta = value.get("delta").text();
        match value.get("type").text() {
            "response.created" | "response.in_progress" | "response.queued" => {
                self.begin(value.get("response"), out);
            }
            "response.output_item.added" => self.added(at, value.get("item"), out),
            "response.output_text.delta" => {
                self.tell(at);
                self.parts.logprobs(0, value.get("logprobs").items(), out);
                self.parts.text(0, &Kind::Text, delta, out);
            }
            "response.refusal.delta" => {
                self.tell(at);
                self.parts.text(0, &Kind::Refusal, delta, out);
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.tell(at);
                self.think(delta, out);
            }
            // Parts of a summary are paragraphs.
            "response.reasoning_summary_part.added"
                if value.get("summary_index").u64().is_some_and(|at| at > 0) =>
            {
                self.think("\n\n", out);
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.tell(at);
                let piece = Piece { index: Some(at), arguments: delta, ..Piece::default() };
                self.parts.call(0, piece, out);
            }
            "response.output_text.annotation.added" => {
                self.annotation(value.get("annotation"), out);
            }
            "response.output_item.done" => self.item_done(at, value.get("item"), out),
            "response.completed" | "response.incomplete" | "response.failed" => {
                let response = value.get("response");
                self.begin(response, out);
                if !self.parts.any_content() {
                    self.items(response, out);
                }
                self.over(response, out)?;
                out.push(Event::End);
            }
            _ => {}
        }
        Ok(())
    }

    fn tell(&mut self, at: u64) {
        if !self.told.contains(&at) {
            self.told.push(at);
        }
    }

    fn think(&mut self, text: &str, out: &mut Vec<Event>) {
        // The part that the item opened, or one of its own.
        if self.parts.is_thinking(0) {
            if !text.is_empty() {
                self.parts.delta(0, Delta::Text(text.to_owned()), out);
            }
        } else {
            self.parts.text(0, &Kind::Reasoning { redacted: false, id: None }, text, out);
        }
    }

    fn begin(&mut self, response: &Json, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let text = |name: &str| response.get(name).str().filter(|t| !t.is_empty());
        let created = response.get("created_at").f64().unwrap_or_default();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a time in whole seconds, which saturates"
        )]
        let created = (created >= 1.0).then_some(created as u64);
        out.push(Event::Start(Start {
            id: text("id").map(str::to_owned),
            model: text("model").map(str::to_owned),
            created,
            fingerprint: None,
            tier: text("service_tier").map(str::to_owned),
        }));
        self.parts.see(0);
    }

    fn added(&mut self, at: u64, item: &Json, out: &mut Vec<Event>) {
        match item.get("type").text() {
            "function_call" | "custom_tool_call" => {
                let piece = Piece { arguments: "", ..Self::call(at, item) };
                self.parts.call(0, piece, out);
            }
            "reasoning" => {
                self.parts.open(0, &thought(item), out);
            }
            _ => {}
        }
    }

    fn call(at: u64, item: &Json) -> Piece<'_> {
        let custom = item.get("type").text() == "custom_tool_call";
        Piece {
            index: Some(at),
            id: item.get("call_id").text(),
            name: item.get("name").text(),
            arguments: item.get(if custom { "input" } else { "arguments" }).text(),
            custom,
            namespace: item.get("namespace").str(),
            signature: None,
        }
    }

    /// An item is whole: what no delta told is told now.
    fn item_done(&mut self, at: u64, item: &Json, out: &mut Vec<Event>) {
        let told = self.told.contains(&at);
        match item.get("type").text() {
            "reasoning" => {
                if let Some(signature) = proof(item) {
                    self.parts.sign_as(0, &thought(item), signature, out);
                }
                self.parts.close_open(0, out);
            }
            "function_call" | "custom_tool_call" => {
                let whole = Self::call(at, item);
                let piece = if told { Piece { arguments: "", ..whole } } else { whole };
                self.parts.call(0, piece, out);
                self.parts.close_calls(0, out);
            }
            "message" if !told => self.item(at, item, out),
            "message" => self.parts.close_open(0, out),
            _ => {}
        }
    }

    fn annotation(&mut self, found: &Json, out: &mut Vec<Event>) {
        if found.get("type").text() != "url_citation" {
            return;
        }
        let at = |name: &str| found.get(name).u64().and_then(|at| usize::try_from(at).ok());
        let citation = Citation::Url {
            url: found.get("url").text().to_owned(),
            title: found.get("title").text().to_owned(),
            quote: String::new(),
            start: at("start_index"),
            end: at("end_index"),
        };
        self.parts.cite(0, citation, out);
    }

    /// A whole item.
    fn item(&mut self, at: u64, item: &Json, out: &mut Vec<Event>) {
        match item.get("type").text() {
            "message" => {
                for content in item.get("content").items() {
                    match content.get("type").text() {
                        "refusal" => {
                            let text = content.get("refusal").text();
                            self.parts.text(0, &Kind::Refusal, text, out);
                        }
                        _ => {
                            self.parts.logprobs(0, content.get("logprobs").items(), out);
                            self.parts.text(0, &Kind::Text, content.get("text").text(), out);
                            for found in content.get("annotations").items() {
                                self.annotation(found, out);
                            }
                        }
                    }
                    self.parts.close_open(0, out);
                }
            }
            "reasoning" => {
                let texts = [item.get("summary"), item.get("content")];
                let texts = texts.into_iter().find(|t| t.filled()).map_or(&[][..], Json::items);
                let texts: Vec<&str> = texts.iter().map(|t| t.get("text").text()).collect();
                let kind = thought(item);
                if !texts.is_empty() {
                    self.parts.text(0, &kind, &texts.join("\n\n"), out);
                }
                if let Some(signature) = proof(item) {
                    self.parts.sign_as(0, &kind, signature, out);
                }
                self.parts.close_open(0, out);
            }
            "function_call" | "custom_tool_call" => {
                self.parts.call(0, Self::call(at, item), out);
                self.parts.close_calls(0, out);
            }
            _ => {}
        }
    }

    fn items(&mut self, response: &Json, out: &mut Vec<Event>) {
        for (at, item) in (0_u64..).zip(response.get("output").items()) {
            self.item(at, item, out);
        }
    }

    /// A whole answer.
    pub(in crate::dialect) fn whole(
        &mut self,
        value: &Json,
        out: &mut Vec<Event>,
    ) -> Result<(), Failure> {
        if !value.get("output").items().is_empty() || value.has("status") {
            self.begin(value, out);
            self.items(value, out);
            return self.over(value, out);
        }
        Err(Failure::invalid("The provider's answer holds no output."))
    }

    /// How the response ended.
    fn over(&mut self, response: &Json, out: &mut Vec<Event>) -> Result<(), Failure> {
        let status = response.get("status").text();
        if status == "failed" {
            return Err(of_code(response));
        }
        let word = match status {
            "incomplete" => response.at(&["incomplete_details", "reason"]).text(),
            other => other,
        };
        let finish = match finish::ends(Dialect::OpenAiResponses, word) {
            Ends::Is(why) => why.into(),
            Ends::Maybe | Ends::NotYet => unknown_end(self.parts.any_content())?,
            Ends::Fails(fault) => {
                let what = format!("The provider's answer ended as `{status}`.");
                return Err(Failure::new(OutcomeClass::Fault(fault), what));
            }
        };
        self.ended = true;
        self.parts.finish(0, finish, out);
        out.extend(usage::responses(response.get("usage")).map(Event::Usage));
        Ok(())
    }

    /// The bytes have ended.
    pub(in crate::dialect) fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Failure> {
        if !self.ended {
            return Err(Failure::invalid("The provider's stream ended before its response did."));
        }
        out.push(Event::End);
        Ok(())
    }
}
