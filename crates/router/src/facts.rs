//! The facts of a request: what its body and its headers say that routing needs. Nothing of a
//! prompt is copied.

use std::{sync::OnceLock, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use providers::{BodyError, RequestBody, asis::audio_tokens, protocol::DecodeError};
use routing::{Endpoint, RequestFacts};
use smallvec::SmallVec;

use crate::{
    errors::Refusal,
    translate::{self, Neutral},
    used::Estimate,
};

/// A request as it was asked.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What was called.
    pub(crate) endpoint: Endpoint,
    /// The body.
    pub(crate) text: Bytes,
    /// What was found in it.
    pub(crate) read: RequestBody,
    /// The caller's own bound on the time until an answer begins.
    pub(crate) timeout: Option<Duration>,
    /// Whether the metadata is wanted.
    pub(crate) metadata: bool,
    /// The request in the neutral form, once a candidate needed it.
    neutral: OnceLock<Box<Result<Neutral, DecodeError>>>,
    /// Whether it holds a signature that left in a translated answer, once that was asked.
    marked: OnceLock<bool>,
}

impl Asked {
    /// Reads a body and what the path and the headers add to it: `model` stands for a body that
    /// names none.
    pub(crate) fn read(
        endpoint: Endpoint,
        model: Option<&str>,
        text: Bytes,
        headers: &HeaderMap,
    ) -> Result<Self, Refusal> {
        let (text, read) = match (RequestBody::read(endpoint, &text), model) {
            (Err(BodyError::NoModel), Some(model)) => {
                let text = naming(&text, model);
                let read = RequestBody::read(endpoint, &text);
                (text, read)
            }
            (read, _) => (text, read),
        };
        let read = read.map_err(|error| refusal(&error))?;
        let timeout = timeout(headers)?;
        let metadata =
            headers.get(crate::respond::names::METADATA).is_some_and(|value| value == "full");
        let (neutral, marked) = (OnceLock::new(), OnceLock::new());
        Ok(Self { endpoint, text, read, timeout, metadata, neutral, marked })
    }

    /// The request in the neutral form, for who is asked in another dialect.
    pub(crate) fn neutral(&self, headers: &HeaderMap) -> Result<&Neutral, &DecodeError> {
        let made = || Box::new(translate::neutral(self, headers));
        self.neutral.get_or_init(made).as_ref().as_ref()
    }

    /// Whether it holds a signature that left in a translated answer.
    pub(crate) fn marked(&self) -> bool {
        *self.marked.get_or_init(|| translate::is_marked(&self.text))
    }

    /// What is known of its size where so many bytes of text are a token.
    pub(crate) fn estimate(&self, bytes_per_token: f64) -> Estimate {
        let prompt = self.read.prompt;
        let text_bytes = if prompt.other_tokens == 0 { prompt.text_bytes } else { 0 };
        Estimate {
            prompt_tokens: prompt.tokens(bytes_per_token),
            bytes_per_token,
            text_bytes,
            audio_out: audio_tokens(self.read.spoken),
        }
    }

    /// What routing needs to know; the narrowing is borrowed from the headers.
    pub(crate) fn facts<'h>(
        &self,
        headers: &'h HeaderMap,
        estimate: Estimate,
        session: Option<u64>,
    ) -> Result<RequestFacts<'h>, Refusal> {
        Ok(RequestFacts {
            endpoint: self.endpoint,
            stream: self.read.stream,
            prompt_tokens: estimate.prompt_tokens,
            output_cap: match self.endpoint {
                // Scores, vectors and sounds are no tokens of text.
                Endpoint::Embeddings
                | Endpoint::Moderations
                | Endpoint::Rerank
                | Endpoint::Speech => Some(0),
                _ => self.read.output_cap(),
            },
            images: if self.endpoint == Endpoint::Images { self.read.choices } else { 0 },
            audio_out: estimate.audio_out,
            needs: self.read.needs,
            reasoning: self.read.reasoning,
            providers: narrowing(headers)?,
            session,
        })
    }
}

/// An object that names no model, naming one: as clients write it whose path does.
fn naming(text: &Bytes, model: &str) -> Bytes {
    let Some(at) = text.iter().position(|byte| *byte == b'{') else { return text.clone() };
    let rest = &text[at + 1..];
    let comma: &[u8] = if rest.trim_ascii_start().starts_with(b"}") { b"" } else { b"," };
    let named = [&text[..=at], b"\"model\":", &providers::json_string(model), comma, rest];
    Bytes::from(named.concat())
}

fn refusal(error: &BodyError) -> Refusal {
    let mut refusal = Refusal::request(StatusCode::BAD_REQUEST, error.code(), error.to_string());
    refusal.param = error.param().map(Into::into);
    refusal
}

/// The names in `x-moniker-providers`. One that names nothing is refused: read as absent it would
/// widen what its caller meant to narrow.
fn narrowing(headers: &HeaderMap) -> Result<SmallVec<[&str; 4]>, Refusal> {
    const NAME: &str = "x-moniker-providers";
    let mut names = SmallVec::new();
    let mut there = false;
    for value in headers.get_all(NAME) {
        there = true;
        let text = value.to_str().unwrap_or_default();
        names.extend(text.split(',').map(str::trim).filter(|name| !name.is_empty()));
    }
    if there && names.is_empty() {
        let message = "The header x-moniker-providers names no target: list names of \
                       ProviderTargets, or namespace/name, with commas between, or leave it out.";
        return Err(Refusal::bad_request(message).param(NAME));
    }
    Ok(names)
}

/// The shortest of the timeouts that the caller states.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Refusal> {
    const NAME: &str = "x-moniker-timeout";
    let own = match headers.get(NAME) {
        None => None,
        Some(value) => {
            let parsed = value.to_str().ok().and_then(seconds).filter(|d| !d.is_zero());
            Some(parsed.ok_or_else(|| {
                let message = "The header x-moniker-timeout must be a number of seconds above 0, \
                               such as 2 or 0.5.";
                Refusal::bad_request(message).param(NAME)
            })?)
        }
    };
    // SDKs set these by themselves, and write what is no number where there is no timeout.
    let stated = ["x-stainless-timeout", "x-stainless-read-timeout"]
        .into_iter()
        .filter_map(|name| seconds(headers.get(name)?.to_str().ok()?).filter(|d| !d.is_zero()));
    Ok(own.into_iter().chain(stated).min())
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(n, v)| ((*n).parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn the_shortest_timeout_holds() {
        let both = headers(&[("x-moniker-timeout", "2.5"), ("x-stainless-read-timeout", "600")]);
        assert_eq!(timeout(&both).unwrap(), Some(Duration::from_millis(2500)));
        assert_eq!(timeout(&headers(&[("x-stainless-timeout", "NOT_GIVEN")])).unwrap(), None);
        for bad in ["0", "-1", "soon", "NaN", "1e400"] {
            assert!(timeout(&headers(&[("x-moniker-timeout", bad)])).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_names_the_model_of_a_body_that_does_not() {
        let read = |text: &'static str| {
            let text = Bytes::from_static(text.as_bytes());
            Asked::read(Endpoint::ChatCompletions, Some("a\"b"), text, &HeaderMap::new())
        };
        for (text, want) in [
            ("{}", r#"{"model":"a\"b"}"#),
            (r#" { "n":1}"#, r#" {"model":"a\"b", "n":1}"#),
            (r#"{"model":"c"}"#, r#"{"model":"c"}"#),
        ] {
            assert_eq!(read(text).unwrap().text, want);
        }
        assert!(read("[]").is_err());
    }

    #[test]
    fn narrowing_to_nothing_is_refused() {
        assert_eq!(
            narrowing(&headers(&[("x-moniker-providers", " a, ns/b ,")])).unwrap().as_slice(),
            ["a", "ns/b"]
        );
        assert!(narrowing(&HeaderMap::new()).unwrap().is_empty());
        assert!(narrowing(&headers(&[("x-moniker-providers", " ,")])).is_err());
    }
}
