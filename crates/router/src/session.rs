//! Which session a request belongs to: what the caller names, else what its alias goes by. Only a
//! hash of it is kept, the same on every router.

use http::{HeaderMap, HeaderName, HeaderValue};
use routing::{affinity::session, snapshot::CompiledAffinity};

use crate::facts::Asked;

/// How much of a prompt's opening names a session.
const PREFIX: usize = 4096;
/// The caller's own name of its session.
const SESSION: HeaderName = HeaderName::from_static("x-moniker-session");

/// The hash of the session's key; `None`: the request stands alone. `caller` is `namespace/name` of
/// the AccessKey that it came with.
pub(crate) fn of(
    asked: &Asked,
    headers: &HeaderMap,
    caller: Option<&str>,
    by: &CompiledAffinity,
) -> Option<u64> {
    let named = headers.get(SESSION).and_then(key);
    named.or_else(|| match by {
        CompiledAffinity::None => None,
        CompiledAffinity::Header(name) => headers.get(name).and_then(key),
        CompiledAffinity::PromptPrefix => prefix(
            asked.read.opening.iter().flatten().map(|span| &asked.text[span.start..span.end]),
        ),
        CompiledAffinity::AccessKey => caller.map(|key| session([key.as_bytes()])),
    })
}

/// An empty value names no session.
fn key(value: &HeaderValue) -> Option<u64> {
    (!value.is_empty()).then(|| session([value.as_bytes()]))
}

/// The key of what is in all parts together, as far as it counts.
fn prefix<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Option<u64> {
    let mut left = PREFIX;
    let mut parts = parts
        .map(|part| {
            let part = &part[..part.len().min(left)];
            left -= part.len();
            part
        })
        .filter(|part| !part.is_empty())
        .peekable();
    parts.peek()?;
    Some(session(parts))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use routing::Endpoint;

    use super::*;

    fn found(
        body: &str,
        headers: &[(&'static str, &'static str)],
        by: &CompiledAffinity,
    ) -> Option<u64> {
        let text = Bytes::from(body.to_owned());
        let headers: HeaderMap = headers
            .iter()
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
            .collect();
        let asked = Asked::read(Endpoint::ChatCompletions, None, text, &headers).unwrap();
        of(&asked, &headers, Some("shop/checkout"), by)
    }

    #[test]
    fn a_session_is_what_the_caller_says_or_the_alias_goes_by() {
        let body = r#"{"model":"a","messages":[{"role":"user","content":"hi"}]}"#;
        let by = CompiledAffinity::Header("x-chat".to_owned());
        let named = found(body, &[("x-moniker-session", "s")], &CompiledAffinity::None);
        assert!(named.is_some());
        assert_eq!(found(body, &[("x-chat", "s")], &by), named);
        assert_eq!(found(body, &[("x-moniker-session", "s"), ("x-chat", "t")], &by), named);
        for none in [&[][..], &[("x-chat", "")]] {
            assert_eq!(found(body, none, &by), None);
        }
        assert_eq!(found(body, &[("x-chat", "s")], &CompiledAffinity::None), None);
        let key = found(body, &[], &CompiledAffinity::AccessKey);
        assert!(key.is_some() && key != named);
        assert_eq!(found(body, &[("x-moniker-session", "s")], &CompiledAffinity::AccessKey), named);
    }

    #[test]
    fn a_prompts_opening_is_the_same_in_every_turn() {
        let by = CompiledAffinity::PromptPrefix;
        let turn = |later: &str| {
            format!(
                r#"{{"model":"a","messages":[{{"role":"system","content":"s"}},{{"role":"user","content":"first"}}{later}]}}"#
            )
        };
        let first = found(&turn(""), &[], &by);
        assert!(first.is_some());
        let later = r#",{"role":"assistant","content":"x"},{"role":"user","content":"y"}"#;
        assert_eq!(found(&turn(later), &[], &by), first);
        let other = turn("").replace("first", "other");
        assert_ne!(found(&other, &[], &by), first);
        let long =
            |end: &str| turn("").replace("\"s\"", &format!("\"{}{end}\"", "s".repeat(PREFIX)));
        assert_eq!(found(&long("a"), &[], &by), found(&long("b"), &[], &by));
        assert_eq!(found(r#"{"model":"a","messages":[]}"#, &[], &by), None);
    }
}
