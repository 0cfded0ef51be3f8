//! The facts of a request: what its body and its headers say that routing needs. Nothing of a
//! prompt is copied.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use providers::{BodyError, RequestBody};
use routing::{Endpoint, RequestFacts};
use smallvec::SmallVec;

use crate::{errors::Refusal, used::Estimate};

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
}

impl Asked {
    /// Reads a body and what the headers add to it.
    pub(crate) fn read(
        endpoint: Endpoint,
        text: Bytes,
        headers: &HeaderMap,
    ) -> Result<Self, Refusal> {
        let read = RequestBody::read(endpoint, &text).map_err(|error| refusal(&error))?;
        let timeout = timeout(headers)?;
        let metadata =
            headers.get(crate::respond::names::METADATA).is_some_and(|value| value == "full");
        Ok(Self { endpoint, text, read, timeout, metadata })
    }

    /// What is known of its size where so many bytes of text are a token.
    pub(crate) fn estimate(&self, bytes_per_token: f64) -> Estimate {
        let prompt = self.read.prompt;
        let text_bytes = if prompt.other_tokens == 0 { prompt.text_bytes } else { 0 };
        Estimate { prompt_tokens: prompt.tokens(bytes_per_token), bytes_per_token, text_bytes }
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
            output_cap: self.read.output_cap(),
            needs: self.read.needs,
            reasoning: self.read.reasoning,
            providers: narrowing(headers)?,
            session,
        })
    }
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
    fn narrowing_to_nothing_is_refused() {
        assert_eq!(
            narrowing(&headers(&[("x-moniker-providers", " a, ns/b ,")])).unwrap().as_slice(),
            ["a", "ns/b"]
        );
        assert!(narrowing(&HeaderMap::new()).unwrap().is_empty());
        assert!(narrowing(&headers(&[("x-moniker-providers", " ,")])).is_err());
    }
}
