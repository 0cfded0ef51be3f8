//! Is this JSON an answer? A status of 200 says little: the body may be empty, an error, or hold no
//! choice. Read once with the strict reader, nothing copied.

use http::StatusCode;
use routing::{Endpoint, OutcomeClass, ProviderKind, outcome::Fault};

use crate::{
    Usage,
    amount::{self, Amount},
    asis,
    failure::{Failure, classify_value},
    json::{JsonError, Kind, Reader, Span},
    openai::{Finish, finish_of, usage},
};

/// What an answer is, beside its bytes, which are passed on as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it used, where it says so.
    pub usage: Option<Usage>,
    /// How much it holds.
    pub amount: Amount,
    /// The images that were made.
    pub images: u64,
    /// A filter ended it before any content: Moderation, where the alias falls back on that.
    pub filtered: bool,
}

/// Judges the body of a JSON answer with a status of success.
pub fn judge_answer(
    provider: ProviderKind,
    endpoint: Endpoint,
    status: StatusCode,
    body: &[u8],
) -> Result<Answer, Failure> {
    let result = read(provider, endpoint, body);
    result.map_err(|failure| Failure { status: Some(status), ..failure })
}

fn read(provider: ProviderKind, endpoint: Endpoint, body: &[u8]) -> Result<Answer, Failure> {
    if body.trim_ascii().is_empty() {
        return Err(Failure::invalid("The provider's answer is empty."));
    }
    if endpoint.passes_only() {
        return asis::judge(provider, endpoint, body);
    }
    let seen = Seen::read(body).map_err(|error| {
        Failure::invalid(format!(
            "The provider's answer is not the JSON that it should be: {error}."
        ))
    })?;
    if let Some(error) = seen.error {
        return Err(classify_span(provider, body, error));
    }
    if endpoint == Endpoint::Embeddings {
        return if seen.embeddings > 0 && !seen.empty_embedding {
            Ok(Answer { usage: seen.usage, amount: seen.amount, images: 0, filtered: false })
        } else {
            Err(Failure::invalid("The provider's answer holds no embedding."))
        };
    }
    if seen.choices == 0 {
        return Err(Failure::invalid("The provider's answer holds no choice."));
    }
    if seen.finish == Finish::Error {
        return Err(provider_gave_up());
    }
    match (seen.content, seen.finish) {
        (true, _) | (false, Finish::Answer | Finish::Filter) => Ok(Answer {
            usage: seen.usage,
            amount: seen.amount,
            images: 0,
            filtered: !seen.content && seen.finish == Finish::Filter,
        }),
        (false, _) => Err(Failure::invalid(
            "The provider's answer has neither content, tool call, refusal nor a known finish \
             reason.",
        )),
    }
}

/// The failure that an error object within a body is; without one the body itself is it.
pub(crate) fn classify_span(provider: ProviderKind, body: &[u8], error: Span) -> Failure {
    let whole = serde_json::from_slice(&body[error.start..error.end]).unwrap_or_default();
    classify_value(provider, &whole)
}

/// The failure that a finish reason such as `error` is.
pub(crate) fn provider_gave_up() -> Failure {
    Failure::new(
        OutcomeClass::Fault(Fault::ServerError),
        "The provider gave up in the middle of its answer (its finish reason says so).",
    )
}

/// What stands in an answer, or in one event of a stream.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// An object that holds an error.
    pub(crate) error: Option<Span>,
    pub(crate) usage: Option<Usage>,
    /// Whether usage is there, be it one that counts nothing.
    pub(crate) states_usage: bool,
    /// How many choices.
    pub(crate) choices: usize,
    /// Whether any choice has content.
    pub(crate) content: bool,
    /// How much content all choices have.
    pub(crate) amount: Amount,
    /// The worst finish of any choice: an error, else the one that says most.
    pub(crate) finish: Finish,
    /// One bit per index of a choice: seen, and finished.
    pub(crate) open: u64,
    pub(crate) closed: u64,
    embeddings: usize,
    empty_embedding: bool,
}

impl Seen {
    /// Reads the JSON of an answer or of an event.
    pub(crate) fn read(body: &[u8]) -> Result<Self, JsonError> {
        let mut r = Reader::new(body)?;
        let mut seen = Self::default();
        match r.peek()? {
            Kind::Object => {
                let whole = r.object(|r, key| seen.member(r, key.raw()))?;
                if let Some(error) = &mut seen.error
                    && error.is_empty()
                {
                    *error = whole;
                }
            }
            // Some endpoints wrap their errors in an array.
            Kind::Array => {
                let mut first = None;
                r.array(|r| {
                    let item = Self::item(r)?;
                    first.get_or_insert(item);
                    Ok::<(), JsonError>(())
                })?;
                seen.error = first.flatten();
            }
            _ => drop(r.skip()?),
        }
        r.end()?;
        Ok(seen)
    }

    /// The span of an item that holds an error.
    fn item(r: &mut Reader<'_>) -> Result<Option<Span>, JsonError> {
        if r.peek()? != Kind::Object {
            r.skip()?;
            return Ok(None);
        }
        let mut error = false;
        let span = r.object(|r, key| {
            error |= key.is("error") & r.filled()?;
            Ok::<(), JsonError>(())
        })?;
        Ok(error.then_some(span))
    }

    fn member(&mut self, r: &mut Reader<'_>, key: &str) -> Result<(), JsonError> {
        // An empty span stands for the whole object, whose end is not known yet.
        let whole = Span { start: 0, end: 0 };
        match key {
            "error" => {
                if r.filled()? {
                    self.error = Some(whole);
                }
            }
            "type" | "object" => {
                if r.maybe_string()?.is_some_and(|t| t.is("error")) {
                    self.error = Some(whole);
                }
            }
            "usage" => self.usage(r)?,
            "x_groq" if r.peek()? == Kind::Object => {
                r.object(
                    |r, key| {
                        if key.is("usage") { self.usage(r) } else { r.skip().map(drop) }
                    },
                )?;
            }
            "choices" if r.peek()? == Kind::Array => {
                r.array(|r| self.choice(r))?;
            }
            "data" if r.peek()? == Kind::Array => {
                r.array(|r| self.embedding(r))?;
            }
            _ => drop(r.skip()?),
        }
        Ok(())
    }

    fn usage(&mut self, r: &mut Reader<'_>) -> Result<(), JsonError> {
        self.states_usage |= r.peek()? == Kind::Object;
        self.usage = usage(r)?.or(self.usage);
        Ok(())
    }

    fn embedding(&mut self, r: &mut Reader<'_>) -> Result<(), JsonError> {
        if r.peek()? != Kind::Object {
            return r.skip().map(drop);
        }
        let mut filled = false;
        r.object(|r, key| {
            if key.is("embedding") {
                filled = r.filled()?;
                return Ok::<(), JsonError>(());
            }
            r.skip().map(drop)
        })?;
        self.embeddings += 1;
        self.empty_embedding |= !filled;
        Ok(())
    }

    fn choice(&mut self, r: &mut Reader<'_>) -> Result<(), JsonError> {
        let ordinal = self.choices;
        self.choices += 1;
        if r.peek()? != Kind::Object {
            return r.skip().map(drop);
        }
        let mut index = ordinal as u64;
        let mut finish = Finish::None;
        let mut content = false;
        let mut amount = Amount::default();
        r.object(|r, key| {
            match key.raw() {
                "index" => index = r.maybe_u64()?.unwrap_or(index),
                "finish_reason" => {
                    if let Some(reason) = r.maybe_string()? {
                        finish = finish_of(reason.raw());
                    }
                }
                "delta" | "message" if r.peek()? == Kind::Object => {
                    r.object(|r, key| {
                        content |= said(r, key.raw(), &mut amount)?;
                        Ok::<(), JsonError>(())
                    })?;
                }
                "text" => content |= add(r, &mut amount)?,
                "error" if r.peek()? == Kind::Object => {
                    let span = r.skip()?;
                    if span.len() > 2 {
                        self.error = Some(span);
                    }
                }
                _ => drop(r.skip()?),
            }
            Ok::<(), JsonError>(())
        })?;
        // More choices than bits share the last one.
        let bit = 1 << index.min(63);
        self.open |= bit;
        if finish != Finish::None {
            self.closed |= bit;
        }
        self.content |= content;
        self.amount.add(amount);
        self.finish = match (self.finish, finish) {
            (Finish::Error, _) | (_, Finish::Error) => Finish::Error,
            (Finish::Answer, _) | (_, Finish::Answer) => Finish::Answer,
            (Finish::Filter, _) | (_, Finish::Filter) => Finish::Filter,
            (Finish::None, other) | (other, _) => other,
        };
        Ok(())
    }
}

/// Whether a member of a message or delta is content: text, refusal, reasoning, the name or
/// arguments of a tool, audio, images. How much it is is added to `amount`.
fn said(r: &mut Reader<'_>, key: &str, amount: &mut Amount) -> Result<bool, JsonError> {
    match key {
        "content" | "refusal" | "reasoning" | "reasoning_content" | "thinking" => add(r, amount),
        // Mostly the reasoning that stands beside it once more.
        "reasoning_details" => r.filled(),
        "images" | "audio" => {
            let (filled, mut more) = amount::said(r)?;
            // How many tokens the data is cannot be told from its bytes: each piece counts one.
            more.other_tokens += u64::from(filled && more.is_nothing());
            amount.add(more);
            Ok(filled)
        }
        "tool_calls" if r.peek()? == Kind::Array => {
            let mut found = false;
            r.array(|r| {
                found |= call(r, amount)?;
                Ok::<(), JsonError>(())
            })?;
            Ok(found)
        }
        "function_call" => called(r, amount),
        _ => r.skip().map(|_| false),
    }
}

/// Whether a value is something; its text is added.
fn add(r: &mut Reader<'_>, amount: &mut Amount) -> Result<bool, JsonError> {
    let (filled, more) = amount::said(r)?;
    amount.add(more);
    Ok(filled)
}

fn call(r: &mut Reader<'_>, amount: &mut Amount) -> Result<bool, JsonError> {
    if r.peek()? != Kind::Object {
        return r.skip().map(|_| false);
    }
    let mut found = false;
    r.object(|r, key| {
        found |= match key.raw() {
            "function" | "custom" => called(r, amount)?,
            _ => r.skip().map(|_| false)?,
        };
        Ok::<(), JsonError>(())
    })?;
    Ok(found)
}

fn called(r: &mut Reader<'_>, amount: &mut Amount) -> Result<bool, JsonError> {
    if r.peek()? != Kind::Object {
        return r.skip().map(|_| false);
    }
    let mut found = false;
    r.object(|r, key| {
        found |= match key.raw() {
            "name" | "arguments" | "input" => add(r, amount)?,
            _ => r.skip().map(|_| false)?,
        };
        Ok::<(), JsonError>(())
    })?;
    Ok(found)
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
