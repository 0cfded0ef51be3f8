//! Answers of generateContent, decoded: a whole answer is a chunk like any other.

use routing::{OutcomeClass, outcome::Fault};

use super::super::{
    Dialect,
    parts::{Parts, Piece},
    usage,
};
use crate::{
    failure::Failure,
    neutral::{Citation, Delta, Event, Finish, Kind, Signature, Start, Usage},
    origin::{Maker, Origin},
    rules::finish::{self, Ends},
    tree::Json,
};

/// Reads the chunks of an answer.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Reader {
    begun: bool,
    parts: Parts,
    usage: Option<Usage>,
    /// The text of the first candidate, whose grounding counts its bytes.
    text: String,
}

impl Reader {
    /// A chunk.
    pub(in crate::dialect) fn chunk(
        &mut self,
        value: &Json,
        out: &mut Vec<Event>,
    ) -> Result<(), Failure> {
        // Some relays wrap the answer.
        let value = if value.get("response").is_object() { value.get("response") } else { value };
        if !std::mem::replace(&mut self.begun, true) {
            let text = |name: &str| value.get(name).str().filter(|t| !t.is_empty());
            out.push(Event::Start(Start {
                id: text("responseId").map(str::to_owned),
                model: text("modelVersion").map(str::to_owned),
                ..Start::default()
            }));
        }
        self.usage = usage::gemini(value.get("usageMetadata")).or(self.usage);
        let candidates = value.get("candidates").items();
        let blocked = value.at(&["promptFeedback", "blockReason"]).str();
        if let Some(why) = blocked.filter(|_| candidates.is_empty()) {
            let said = value.at(&["promptFeedback", "blockReasonMessage"]).str();
            let message = said.map_or_else(
                || format!("The provider's filter blocked the prompt ({why})."),
                str::to_owned,
            );
            return Err(Failure::new(OutcomeClass::Fault(Fault::Moderation), message));
        }
        for (at, candidate) in (0_u64..).zip(candidates) {
            let index = candidate.get("index").u64().unwrap_or(at);
            self.candidate(index, candidate, out)?;
        }
        Ok(())
    }

    fn candidate(
        &mut self,
        index: u64,
        candidate: &Json,
        out: &mut Vec<Event>,
    ) -> Result<(), Failure> {
        self.parts.see(index);
        self.logprobs(index, candidate.get("logprobsResult"), out);
        for part in candidate.at(&["content", "parts"]).items() {
            self.part(index, part, out);
        }
        self.grounding(index, candidate.get("groundingMetadata"), out);
        let Some(text) = candidate.get("finishReason").str().filter(|t| !t.is_empty()) else {
            return Ok(());
        };
        let failure = |fault: Fault| {
            let said = candidate.get("finishMessage").str();
            let message =
                said.map_or_else(|| format!("The model's answer failed ({text})."), str::to_owned);
            let mut failure = Failure::new(OutcomeClass::Fault(fault), message);
            failure.code = Some(text.to_owned());
            failure
        };
        match finish::ends(Dialect::Gemini, text) {
            Ends::Is(why) => self.parts.finish(index, why.into(), out),
            Ends::Maybe | Ends::NotYet if self.parts.has_content(index) => {
                self.parts.finish(index, Finish::Stop, out);
            }
            Ends::Maybe | Ends::NotYet => return Err(failure(Fault::InvalidResponse)),
            Ends::Fails(fault) => return Err(failure(fault)),
        }
        Ok(())
    }

    fn part(&mut self, index: u64, part: &Json, out: &mut Vec<Event>) {
        let data = part.get("thoughtSignature").str().or(part.get("thought_signature").str());
        let signature = data
            .filter(|data| !data.is_empty())
            .map(|data| Signature { origin: Origin::Maker(Maker::Gemini), data: data.to_owned() });
        let call = part.get("functionCall");
        if call.is_object() {
            let arguments = match call.get("args") {
                Json::Null => "{}".to_owned(),
                args => args.to_text(),
            };
            let piece = Piece {
                id: call.get("id").text(),
                name: call.get("name").text(),
                arguments: &arguments,
                signature,
                ..Piece::default()
            };
            self.parts.call(index, piece, out);
            // Calls come whole.
            self.parts.close_calls(index, out);
            return;
        }
        let media = part.get("inlineData");
        if media.is_object() {
            let kind = media.get("mimeType").text();
            self.parts.image(index, kind, media.get("data").text(), out);
            return;
        }
        let text = part.get("text").text();
        if part.get("thought").is_true() {
            self.parts.text(index, &Kind::THOUGHT, text, out);
            return;
        }
        if index == 0 {
            self.text.push_str(text);
        }
        self.parts.text(index, &Kind::Text, text, out);
        for (name, kind) in [("executableCode", "code"), ("codeExecutionResult", "output")] {
            let text = part.get(name).get(kind).text();
            self.parts.text(index, &Kind::Text, text, out);
        }
        if let Some(signature) = signature {
            self.parts.open(index, &Kind::Text, out);
            self.parts.delta(index, Delta::Signature(signature), out);
        }
    }

    /// Log probabilities, as OpenAI writes them.
    fn logprobs(&mut self, index: u64, result: &Json, out: &mut Vec<Event>) {
        let token = |value: &Json| {
            let text = value.get("token").text();
            let bytes: Json = text.bytes().map(|b| Json::from(u32::from(b))).collect();
            Json::empty()
                .with("token", text)
                .with("logprob", value.get("logProbability").f64().unwrap_or_default())
                .with("bytes", bytes)
        };
        let top = result.get("topCandidates").items();
        let chosen = result.get("chosenCandidates").items().iter().enumerate();
        let tokens: Vec<Json> = chosen
            .map(|(at, chosen)| {
                let others = top.get(at).map_or(&[][..], |top| top.get("candidates").items());
                token(chosen).with("top_logprobs", others.iter().map(token).collect::<Json>())
            })
            .collect();
        self.parts.logprobs(index, &tokens, out);
    }

    /// Pages of the web that the answer is founded on. Segments count bytes of UTF-8.
    fn grounding(&mut self, index: u64, grounding: &Json, out: &mut Vec<Event>) {
        let chunks = grounding.get("groundingChunks").items();
        for support in grounding.get("groundingSupports").items() {
            let segment = support.get("segment");
            let point = |name: &str| {
                let at = usize::try_from(segment.get(name).u64()?).ok()?;
                let at = at.min(self.text.len());
                let bounded = self.text.floor_char_boundary(at);
                (index == 0).then(|| self.text[..bounded].chars().count())
            };
            let start = if segment.has("startIndex") { point("startIndex") } else { Some(0) };
            let end = point("endIndex");
            for at in support.get("groundingChunkIndices").items() {
                let at = at.u64().and_then(|at| usize::try_from(at).ok());
                let Some(web) = at.and_then(|at| chunks.get(at)).map(|chunk| chunk.get("web"))
                else {
                    continue;
                };
                if let Some(url) = web.get("uri").str() {
                    let citation = Citation::Url {
                        url: url.to_owned(),
                        title: web.get("title").text().to_owned(),
                        quote: segment.get("text").text().to_owned(),
                        start,
                        end,
                    };
                    self.parts.cite(index, citation, out);
                }
            }
        }
    }

    /// The bytes have ended.
    pub(in crate::dialect) fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Failure> {
        if !self.parts.is_whole() {
            return Err(Failure::invalid(
                "The provider's answer has no candidate, or one without a finish reason.",
            ));
        }
        out.extend(self.usage.map(Event::Usage));
        out.push(Event::End);
        Ok(())
    }
}
