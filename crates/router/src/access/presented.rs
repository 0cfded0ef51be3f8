//! The key that a request presents: in one header, or in several that agree.

use http::{HeaderMap, header};

/// What a request presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presented<'h> {
    /// No key.
    Nothing,
    /// This one, whether there is such a key or not.
    Key(&'h [u8]),
    /// Something that is no one key, and what to do.
    Unclear(&'static str),
}

/// The headers beside `Authorization` that a key may stand in, alone.
const PLAIN: [&str; 2] = ["x-api-key", "api-key"];

/// What these headers present.
pub(super) fn presented(headers: &HeaderMap) -> Presented<'_> {
    const TWICE: &str = "A header with the API key is repeated: send it once.";
    const DIFFER: &str = "Two headers hold different API keys: send one of them.";
    let mut found = Presented::Nothing;
    let mut add = |key| match found {
        Presented::Key(other) if other != key => found = Presented::Unclear(DIFFER),
        Presented::Unclear(_) => {}
        Presented::Nothing | Presented::Key(_) => found = Presented::Key(key),
    };
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    if let Some(value) = values.next() {
        if values.next().is_some() {
            return Presented::Unclear(TWICE);
        }
        match bearer(value.as_bytes()) {
            Some([]) => {}
            Some(key) => add(key),
            None => {
                return Presented::Unclear(
                    "The Authorization header is not `Bearer KEY`: send the API key so.",
                );
            }
        }
    }
    for name in PLAIN {
        let mut values = headers.get_all(name).iter();
        if let Some(value) = values.next() {
            if values.next().is_some() {
                return Presented::Unclear(TWICE);
            }
            match value.as_bytes().trim_ascii() {
                [] => {}
                key => add(key),
            }
        }
    }
    found
}

/// What follows the scheme, in any case and with any spaces around; empty for nothing at all.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer";
    let value = value.trim_ascii();
    if value.is_empty() {
        return Some(value);
    }
    let (scheme, rest) = value.split_at_checked(SCHEME.len())?;
    let apart = rest.first().is_none_or(u8::is_ascii_whitespace);
    (scheme.eq_ignore_ascii_case(SCHEME) && apart).then(|| rest.trim_ascii())
}
