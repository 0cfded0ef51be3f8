//! Answers of the endpoints that are passed through or not served at all: images, moderations,
//! reranking and speech. Their bytes go to the caller as they came; here they are judged, and what
//! they used is counted.
//!
//! Sources of the forms: OpenAI's `ImagesResponse`, `ImageGenStreamEvent`,
//! `CreateModerationResponse` and `CreateSpeechResponseStreamEvent`; for reranking, which has no
//! standard, what Cohere, Jina, Voyage, vLLM and llama.cpp answer: `results` (Voyage: `data`) with a
//! score each, and tokens in `usage` or, Cohere's, in `meta`.

use bytes::Bytes;
use http::StatusCode;
use routing::{Endpoint, ProviderKind};
use serde_json::{Map, Value};

use crate::{
    Usage,
    amount::Amount,
    answer::{Answer, classify_span, judge_answer},
    failure::Failure,
    json::{JsonError, Kind, Reader, Span},
    sse::fields,
};

/// Tokens of audio for a byte of text that is spoken, as a fraction: OpenAI's audio tokens are 1,250
/// a minute (its price list gives a speech model's price by the token and by the minute), and a
/// minute of speech is about 900 bytes of text; scripts that take more bytes for a letter say more
/// with it.
const AUDIO_TOKENS: (u64, u64) = (7, 5);
/// The most of an answer to speech that may still turn out to be JSON.
const MAX_UNCLEAR: usize = 64 << 10;

/// The tokens of audio that so many bytes of text are expected to become.
pub fn audio_tokens(text_bytes: u64) -> u64 {
    text_bytes.saturating_mul(AUDIO_TOKENS.0).div_ceil(AUDIO_TOKENS.1)
}

/// What is found in an answer, or in an event of a stream.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// An object that holds an error.
    error: Option<Span>,
    usage: Counted,
    /// What an event is.
    pub(crate) kind: Kinds,
    /// Items of the list that the endpoint answers with; `None`: no list is there.
    items: Option<u64>,
    /// One of them, or the event, holds nothing.
    empty: bool,
    /// An event's payload is there.
    payload: bool,
}

/// What an event of a stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kinds {
    /// Nothing that matters.
    #[default]
    Other,
    /// It holds a piece of audio, or an image that is not finished.
    Piece,
    /// It holds a finished image.
    Image,
    /// The audio is all there.
    Spoken,
}

/// Tokens, under each of their names.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    input: Option<u64>,
    cached: u64,
    output: Option<u64>,
    total: Option<u64>,
}

impl Found {
    /// Reads an answer, or the data of an event.
    pub(crate) fn read(endpoint: Endpoint, body: &[u8]) -> Result<Self, JsonError> {
        let mut r = Reader::new(body)?;
        let mut found = Self::default();
        if r.peek()? == Kind::Object {
            let whole = r.object(|r, key| found.member(r, key.raw(), endpoint))?;
            // An empty span stands for the whole object, whose end was not known.
            if let Some(error) = found.error.as_mut().filter(|error| error.is_empty()) {
                *error = whole;
            }
        } else {
            r.skip()?;
        }
        r.end()?;
        Ok(found)
    }

    fn member(
        &mut self,
        r: &mut Reader<'_>,
        key: &str,
        endpoint: Endpoint,
    ) -> Result<(), JsonError> {
        let whole = Span { start: 0, end: 0 };
        let lists: &[&str] = match endpoint {
            Endpoint::Images => &["data"],
            Endpoint::Rerank => &["results", "data"],
            _ => &["results"],
        };
        match key {
            "error" => {
                if r.filled()? {
                    self.error = Some(whole);
                }
            }
            "type" | "object" => {
                let Some(text) = r.maybe_string()? else { return Ok(()) };
                if text.is("error") {
                    self.error = Some(whole);
                }
                self.kind = match text.raw() {
                    "image_generation.partial_image" | "speech.audio.delta" => Kinds::Piece,
                    "image_generation.completed" => Kinds::Image,
                    "speech.audio.done" => Kinds::Spoken,
                    _ => self.kind,
                };
            }
            "usage" => self.usage.read(r)?,
            "meta" if r.peek()? == Kind::Object => {
                r.object(|r, key| match key.raw() {
                    "tokens" | "billed_units" => self.usage.read(r),
                    _ => r.skip().map(drop),
                })?;
            }
            "b64_json" | "url" | "audio" => self.payload |= r.filled()?,
            list if lists.contains(&list) && r.peek()? == Kind::Array => {
                let mut items = 0;
                r.array(|r| {
                    items += 1;
                    self.item(r, endpoint)
                })?;
                self.items = Some(items);
            }
            _ => drop(r.skip()?),
        }
        Ok(())
    }

    /// Reads an item of the list.
    fn item(&mut self, r: &mut Reader<'_>, endpoint: Endpoint) -> Result<(), JsonError> {
        if r.peek()? != Kind::Object {
            self.empty = true;
            return r.skip().map(drop);
        }
        let mut says = false;
        r.object(|r, key| {
            says |= match (endpoint, key.raw()) {
                (Endpoint::Images, "b64_json" | "url") => r.filled()?,
                (Endpoint::Rerank, "relevance_score" | "score") => {
                    let number = r.peek()? == Kind::Number;
                    r.skip()?;
                    number
                }
                (Endpoint::Moderations, "flagged") => {
                    let verdict = r.peek()? == Kind::Bool;
                    r.skip()?;
                    verdict
                }
                _ => r.skip().map(|_| false)?,
            };
            Ok::<(), JsonError>(())
        })?;
        self.empty |= !says;
        Ok(())
    }

    /// The error in it, as a failure.
    pub(crate) fn error(&self, provider: ProviderKind, body: &[u8]) -> Option<Failure> {
        self.error.map(|error| classify_span(provider, body, error))
    }

    /// Whether an event holds what it is for.
    pub(crate) fn has_payload(&self) -> bool {
        self.payload
    }

    /// What was used, where it is told.
    pub(crate) fn usage(&self, endpoint: Endpoint) -> Option<Usage> {
        self.usage.of(endpoint)
    }
}

impl Counted {
    fn read(&mut self, r: &mut Reader<'_>) -> Result<(), JsonError> {
        if r.peek()? != Kind::Object {
            return r.skip().map(drop);
        }
        r.object(|r, key| {
            let details = matches!(key.raw(), "input_tokens_details" | "prompt_tokens_details");
            if details && r.peek()? == Kind::Object {
                return r
                    .object(|r, key| {
                        if key.is("cached_tokens") {
                            self.cached = r.maybe_u64()?.unwrap_or_default();
                            return Ok(());
                        }
                        r.skip().map(drop)
                    })
                    .map(drop);
            }
            let slot = match key.raw() {
                "input_tokens" | "prompt_tokens" => &mut self.input,
                "output_tokens" | "completion_tokens" => &mut self.output,
                "total_tokens" => &mut self.total,
                _ => return r.skip().map(drop),
            };
            *slot = r.maybe_u64()?.or(*slot);
            Ok(())
        })
        .map(drop)
    }

    fn of(self, endpoint: Endpoint) -> Option<Usage> {
        // Some servers state the total alone.
        let input = self.input.or(self.total)?;
        let output = self.output.unwrap_or_default();
        if input == 0 && output == 0 {
            return None;
        }
        let cache_read = self.cached.min(input);
        let usage = Usage { input: input - cache_read, cache_read, ..Usage::default() };
        Some(match endpoint {
            Endpoint::Speech => Usage { audio_out: output, ..usage },
            _ => Usage { output, ..usage },
        })
    }
}

/// Judges a JSON answer that is not empty.
pub(crate) fn judge(
    provider: ProviderKind,
    endpoint: Endpoint,
    body: &[u8],
) -> Result<Answer, Failure> {
    let found = Found::read(endpoint, body).map_err(|error| {
        Failure::invalid(format!(
            "The provider's answer is not the JSON that it should be: {error}."
        ))
    })?;
    if let Some(failure) = found.error(provider, body) {
        return Err(failure);
    }
    let (what, least) = match endpoint {
        Endpoint::Images => ("image", 1),
        Endpoint::Moderations => ("verdict", 1),
        Endpoint::Rerank => ("list of scores", 0),
        _ => return Err(Failure::invalid("The provider's answer is JSON, and no audio.")),
    };
    let items = found.items.filter(|items| *items >= least && !found.empty);
    let Some(items) = items else {
        return Err(Failure::invalid(format!("The provider's answer holds no {what}.")));
    };
    let images = if endpoint == Endpoint::Images { items } else { 0 };
    let usage = found.usage(endpoint).map(|usage| Usage { images, ..usage });
    Ok(Answer { usage, images, amount: Amount::default(), filtered: false })
}

/// The members of an answer with images that each event of a stream has too, and their names there.
const SHARED: [(&str, &str); 5] = [
    ("created", "created_at"),
    ("background", "background"),
    ("output_format", "output_format"),
    ("quality", "quality"),
    ("size", "size"),
];

/// The events of a JSON answer with images, which was judged to be one.
pub(crate) fn events(body: &[u8]) -> Vec<Bytes> {
    let Ok(Value::Object(mut answer)) = serde_json::from_slice(body) else { return Vec::new() };
    let Some(Value::Array(images)) = answer.remove("data") else { return Vec::new() };
    let usage = answer.remove("usage").filter(Value::is_object);
    let last = images.len();
    let mut out = Vec::new();
    for (at, image) in images.into_iter().enumerate() {
        let Value::Object(mut event) = image else { continue };
        event.insert("type".into(), "image_generation.completed".into());
        for (name, there) in SHARED {
            if let Some(value) = answer.get(name) {
                event.insert(there.into(), value.clone());
            }
        }
        // Said once, so that it is not counted twice.
        if at + 1 == last
            && let Some(usage) = &usage
        {
            event.insert("usage".into(), usage.clone());
        }
        let event = Value::Object(event);
        out.push(Bytes::from(format!("event: image_generation.completed\ndata: {event}\n\n")));
    }
    out
}

/// Adds an event of a stream of images to the JSON answer that they make.
pub(crate) fn add(whole: &mut Map<String, Value>, images: &mut Vec<Value>, event: &[u8]) {
    let Ok(Value::Object(mut event)) = serde_json::from_slice(&fields(event).data) else { return };
    if event.remove("type").is_none_or(|kind| kind != "image_generation.completed") {
        return;
    }
    for (name, there) in SHARED {
        if let Some(value) = event.remove(there) {
            whole.insert(name.into(), value);
        }
    }
    if let Some(usage) = event.remove("usage").filter(Value::is_object) {
        whole.insert("usage".into(), usage);
    }
    images.push(Value::Object(event));
}

/// What the beginning of an answer to speech is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Audio.
    Audio,
    /// More is needed to tell.
    Unclear,
    /// Text of some kind: an error, or no answer.
    Text,
}

/// What the beginning of an answer to speech is: `kind` is its content-type, `ended` whether these
/// are all of its bytes. A content-type that says audio is not believed of JSON.
pub fn opening(kind: Option<&str>, bytes: &[u8], ended: bool) -> Opening {
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let textual = kind.starts_with("text/")
        || ["/json", "+json", "/xml", "+xml"].iter().any(|end| kind.ends_with(end));
    if textual {
        return Opening::Text;
    }
    let json = bytes.first() == Some(&b'{');
    match (bytes.is_empty(), json, ended) {
        // Nothing is no audio.
        (true, _, true) => Opening::Text,
        (true, _, false) => Opening::Unclear,
        (false, true, false) if bytes.len() <= MAX_UNCLEAR => Opening::Unclear,
        (false, true, true) if serde_json::from_slice::<Value>(bytes).is_ok() => Opening::Text,
        _ => Opening::Audio,
    }
}

/// The failure that a text is where audio was asked.
pub fn no_audio(provider: ProviderKind, status: StatusCode, text: &[u8]) -> Failure {
    match judge_answer(provider, Endpoint::Speech, status, text) {
        Err(failure) => failure,
        Ok(_) => Failure::invalid("The provider's answer is no audio."),
    }
}

#[cfg(test)]
#[path = "asis_tests.rs"]
mod tests;
