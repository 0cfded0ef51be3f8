//! Answers of chat completions, decoded: a whole answer is a chunk whose delta is a message.

use routing::OutcomeClass;

use super::super::{
    Dialect,
    common::known_end,
    parts::{Parts, Piece},
    usage,
};
use crate::{
    failure::Failure,
    neutral::{Citation, Delta, Event, Finish, Kind, Signature, Start},
    origin::{Maker, Origin},
    protocol::fields::data_url,
    rules::finish::{self, Ends},
    tree::Json,
};

/// Reads the chunks of an answer.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Reader {
    begun: bool,
    parts: Parts,
}

impl Reader {
    /// A chunk of a stream.
    pub(in crate::dialect) fn chunk(
        &mut self,
        value: &Json,
        out: &mut Vec<Event>,
    ) -> Result<(), Failure> {
        self.read(value, false, out)
    }

    /// A whole answer.
    pub(in crate::dialect) fn whole(
        &mut self,
        value: &Json,
        out: &mut Vec<Event>,
    ) -> Result<(), Failure> {
        if value.get("choices").items().is_empty() {
            return Err(Failure::invalid("The provider's answer holds no choice."));
        }
        self.read(value, true, out)?;
        for index in self.parts.unfinished() {
            if !self.parts.has_content(index) {
                return Err(Failure::invalid(
                    "The provider's answer has neither content, tool call, refusal nor a known \
                     finish reason.",
                ));
            }
            self.parts.finish(index, Finish::Stop, out);
        }
        Ok(())
    }

    fn read(&mut self, value: &Json, whole: bool, out: &mut Vec<Event>) -> Result<(), Failure> {
        if !std::mem::replace(&mut self.begun, true) {
            let text = |name: &str| value.get(name).str().filter(|t| !t.is_empty());
            out.push(Event::Start(Start {
                id: text("id").map(str::to_owned),
                model: text("model").map(str::to_owned),
                created: value.get("created").u64().filter(|at| *at > 0),
                fingerprint: text("system_fingerprint").map(str::to_owned),
                tier: text("service_tier").map(str::to_owned),
            }));
        }
        for (at, choice) in (0_u64..).zip(value.get("choices").items()) {
            let index = choice.get("index").u64().unwrap_or(at);
            self.choice(index, choice, whole, out)?;
        }
        let groq = value.at(&["x_groq", "usage"]);
        let found = [value.get("usage"), groq];
        // Some servers put it on the choice (Moonshot).
        let on_choice = value.get("choices").items().iter().map(|c| c.get("usage"));
        let usage = found.into_iter().chain(on_choice).find_map(usage::chat);
        out.extend(usage.map(Event::Usage));
        Ok(())
    }

    fn choice(
        &mut self,
        index: u64,
        choice: &Json,
        whole: bool,
        out: &mut Vec<Event>,
    ) -> Result<(), Failure> {
        self.parts.see(index);
        if choice.get("error").filled() {
            return Err(super::super::errors::of_value(
                super::super::Dialect::OpenAiChat,
                true,
                choice,
            ));
        }
        self.parts.logprobs(index, choice.at(&["logprobs", "content"]).items(), out);
        let message = if choice.get("delta").is_object() { "delta" } else { "message" };
        self.message(index, choice.get(message), out);
        // Completions have their text on the choice.
        self.parts.text(index, &Kind::Text, choice.get("text").text(), out);
        let reason = choice.get("finish_reason").text();
        match finish::ends(Dialect::OpenAiChat, reason) {
            Ends::NotYet => {}
            Ends::Is(why) => {
                let end = known_end(why, self.parts.has_content(index))?;
                self.parts.finish(index, end, out);
            }
            Ends::Fails(fault) => {
                let what = "The provider gave up in the middle of its answer (its finish reason \
                            says so).";
                let failure = Failure::new(OutcomeClass::Fault(fault), what);
                return Err(Failure { code: Some(reason.to_owned()), ..failure });
            }
            Ends::Maybe if self.parts.has_content(index) => {
                self.parts.finish(index, Finish::Stop, out);
            }
            Ends::Maybe => {
                return Err(Failure::invalid(format!(
                    "The provider's {} ended with an unknown finish reason and no content.",
                    if whole { "answer" } else { "stream" }
                )));
            }
        }
        Ok(())
    }

    fn message(&mut self, index: u64, message: &Json, out: &mut Vec<Event>) {
        self.reasoning(index, message, out);
        match message.get("content") {
            Json::String(text) => self.parts.text(index, &Kind::Text, text, out),
            Json::Array(chunks) => {
                for chunk in chunks {
                    self.content_chunk(index, chunk, out);
                }
            }
            _ => {}
        }
        for found in message.get("annotations").items() {
            let cited = found.get("url_citation");
            if cited.is_object() {
                let at = |name: &str| cited.get(name).u64().and_then(|at| usize::try_from(at).ok());
                let citation = Citation::Url {
                    url: cited.get("url").text().to_owned(),
                    title: cited.get("title").text().to_owned(),
                    quote: cited.get("content").text().to_owned(),
                    start: at("start_index"),
                    end: at("end_index"),
                };
                self.parts.cite(index, citation, out);
            }
        }
        let google = |value: &Json| {
            let proof = value.at(&["extra_content", "google", "thought_signature"]);
            proof.str().map(|data| Signature {
                origin: Origin::Maker(Maker::Gemini),
                data: data.to_owned(),
            })
        };
        if let Some(signature) = google(message) {
            self.parts.open(index, &Kind::Text, out);
            self.parts.delta(index, Delta::Signature(signature), out);
        }
        self.parts.text(index, &Kind::Refusal, message.get("refusal").text(), out);
        for call in message.get("tool_calls").items() {
            let custom = call.get("custom").is_object();
            let inner = call.get(if custom { "custom" } else { "function" });
            let input = inner.get(if custom { "input" } else { "arguments" });
            // Some servers give the arguments as an object.
            let object = input.is_object().then(|| input.to_text());
            let piece = Piece {
                index: call.get("index").u64(),
                id: call.get("id").text(),
                name: inner.get("name").text(),
                arguments: object.as_deref().unwrap_or(input.text()),
                custom,
                namespace: None,
                signature: google(call),
            };
            self.parts.call(index, piece, out);
        }
        let old = message.get("function_call");
        if old.is_object() {
            let piece = Piece {
                index: Some(0),
                name: old.get("name").text(),
                arguments: old.get("arguments").text(),
                ..Piece::default()
            };
            self.parts.call(index, piece, out);
        }
        if message.get("audio").filled() {
            self.parts.audio(index, message.get("audio").clone(), out);
        }
        for image in message.get("images").items() {
            if let Some((kind, data)) = data_url(image.at(&["image_url", "url"]).text()) {
                self.parts.image(index, &kind, &data, out);
            }
        }
    }

    /// What a model thought, under the names that servers give it.
    fn reasoning(&mut self, index: u64, message: &Json, out: &mut Vec<Event>) {
        let named = ["reasoning_content", "reasoning"].map(|name| message.get(name).text());
        let text = named.into_iter().find(|text| !text.is_empty()).map(str::to_owned);
        let text = text.unwrap_or_else(|| {
            let details = message.get("reasoning_details").items().iter();
            let text = |d: &Json| {
                d.get("text")
                    .str()
                    .or_else(|| d.get("summary").str())
                    .unwrap_or_default()
                    .to_owned()
            };
            details.map(text).collect()
        });
        self.parts.text(index, &Kind::THOUGHT, &text, out);
    }

    /// A chunk of content, as Mistral writes it.
    fn content_chunk(&mut self, index: u64, chunk: &Json, out: &mut Vec<Event>) {
        match chunk.get("type").text() {
            "thinking" => {
                let thinking = chunk.get("thinking");
                self.parts.text(index, &Kind::THOUGHT, thinking.text(), out);
                for inner in thinking.items() {
                    self.parts.text(index, &Kind::THOUGHT, inner.get("text").text(), out);
                }
            }
            "refusal" => {
                self.parts.text(index, &Kind::Refusal, chunk.get("refusal").text(), out);
            }
            _ => self.parts.text(index, &Kind::Text, chunk.get("text").text(), out),
        }
    }

    /// `[DONE]`: after content without a finish reason it is an end; alone it is nothing.
    pub(in crate::dialect) fn done(&mut self, out: &mut Vec<Event>) -> Result<(), Failure> {
        for index in self.parts.unfinished() {
            if self.parts.has_content(index) {
                self.parts.finish(index, Finish::Stop, out);
            }
        }
        if !self.parts.is_whole() {
            return Err(Failure::invalid(
                "The provider's stream says [DONE] without content or a finish reason before it.",
            ));
        }
        out.push(Event::End);
        Ok(())
    }

    /// The bytes have ended.
    pub(in crate::dialect) fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Failure> {
        if !self.parts.is_whole() {
            return Err(Failure::invalid(
                "The provider's stream ended before its answer did: a choice has no finish reason.",
            ));
        }
        out.push(Event::End);
        Ok(())
    }
}
