//! What binds a request to one provider: files, stored answers, conversations. Such a request may go
//! only where all candidates are one ProviderTarget. And requests of Responses that are passed
//! through: nothing is stored where the caller did not ask for it.

use bytes::Bytes;

use crate::{
    edit::{Edits, Rewritten},
    json::{JsonError, Reader, Span},
    protocol::Protocol,
    rules::Refusal,
    tree::Json,
};

/// Members that name what lives at one provider, if they say anything.
const OF_RESPONSES: [&str; 3] = ["previous_response_id", "conversation", "prompt"];

/// What binds this body to one provider, if anything does: the field for the error `not_portable`.
/// A body that cannot be read binds nothing.
pub fn binding(protocol: Protocol, body: &[u8]) -> Option<Refusal> {
    let mut found = None;
    let mut read = || -> Result<(), JsonError> {
        Reader::new(body)?.object(|r, key| {
            let name = key.decoded().unwrap_or_default().into_owned();
            r.peek()?;
            let span = r.skip()?;
            if found.is_none() {
                found = bound_by(protocol, &name, &body[span.start..span.end]);
            }
            Ok::<(), JsonError>(())
        })?;
        Ok(())
    };
    read().ok()?;
    let field = found?;
    Some(Refusal {
        field,
        detail: "It names something that lives at one provider.".to_owned(),
        not_portable: true,
    })
}

/// The field of this member that binds.
fn bound_by(protocol: Protocol, name: &str, value: &[u8]) -> Option<String> {
    let says = || Json::parse(value).unwrap_or_default();
    let whole = match (protocol, name) {
        (Protocol::Responses, name) if OF_RESPONSES.contains(&name) => says().filled(),
        (Protocol::Chat | Protocol::Responses, "store") => value == b"true",
        (Protocol::Messages, "container") => says().filled(),
        _ => false,
    };
    if whole {
        return Some(name.to_owned());
    }
    let within = match protocol {
        Protocol::Chat | Protocol::Messages => name == "messages",
        Protocol::Responses => name == "input",
        Protocol::Completions => false,
    };
    let suspect = |what: &[u8]| memchr::memmem::find(value, what).is_some();
    if within && (suspect(b"file_id") || suspect(b"item_reference") || suspect(b"\\u")) {
        return inner(&says(), 0).map(|field| format!("{name}.{field}"));
    }
    None
}

/// How deep parts nest in messages: content, result, its content, a source.
const DEEPEST: usize = 8;

/// A file or an item by its id, in the parts of a conversation. What a tool was given is its own.
fn inner(value: &Json, depth: usize) -> Option<&'static str> {
    if depth > DEEPEST {
        return None;
    }
    if value.get("type").text() == "item_reference" {
        return Some("item_reference");
    }
    if value.get("file_id").str().is_some_and(|id| !id.is_empty()) {
        return Some("file_id");
    }
    let deeper = |value: &Json| inner(value, depth + 1);
    let members = value.members().iter();
    let members = members.filter(|(name, _)| !matches!(name.as_str(), "arguments" | "function"));
    // The input of Anthropic's calls is an object of the caller's tools.
    let call = value.get("type").text() == "tool_use";
    members
        .filter(|(name, _)| !(call && name == "input"))
        .find_map(|(_, value)| deeper(value))
        .or_else(|| value.items().iter().find_map(deeper))
}

/// The edits of a body of Responses that is passed through, beside the model's name: where `store` is
/// absent it is false, and encrypted reasoning is asked for, so that the conversation can be sent
/// again whole. `bound`: all candidates are one ProviderTarget, and what is stored can be found:
/// nothing is changed.
pub fn stateless(body: &Bytes, model: Bytes, bound: bool) -> Option<Rewritten> {
    const ENCRYPTED: &str = "\"reasoning.encrypted_content\"";
    let mut named = None;
    let (mut store, mut include) = (false, None);
    let mut read = || -> Result<(), JsonError> {
        Reader::new(body)?.object(|r, key| {
            r.peek()?;
            let span = r.skip()?;
            match key.decoded().as_deref() {
                Some("model") => named = Some(span),
                Some("store") => store = &body[span.start..span.end] != b"null",
                Some("include") => include = Some(span),
                _ => {}
            }
            Ok::<(), JsonError>(())
        })?;
        Ok(())
    };
    read().ok()?;
    let named = named?;
    let mut edits = Edits::default();
    edits.replace(named, model);
    if !store && !bound {
        let behind = Span { start: named.end, end: named.end };
        let mut text = ",\"store\":false".to_owned();
        let asked =
            include.map(|span| Json::parse(&body[span.start..span.end]).unwrap_or_default());
        match (asked, include) {
            (Some(Json::Array(items)), Some(span)) => {
                let there = items.iter().any(|i| i.text() == "reasoning.encrypted_content");
                if !there {
                    let inside = Span { start: span.start + 1, end: span.start + 1 };
                    let comma = if items.is_empty() { "" } else { "," };
                    edits.replace(inside, Bytes::from(format!("{ENCRYPTED}{comma}")));
                }
            }
            (Some(Json::Null), Some(span)) => {
                edits.replace(span, Bytes::from(format!("[{ENCRYPTED}]")));
            }
            (None, _) => text.push_str(&format!(",\"include\":[{ENCRYPTED}]")),
            // Something else, for the provider to refuse.
            _ => {}
        }
        edits.replace(behind, Bytes::from(text));
    }
    let (segments, len) = edits.apply(body);
    Some(Rewritten { segments, len, hide_usage: false, added: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lives_at_one_provider_is_named() {
        let of = |protocol, body: &str| binding(protocol, body.as_bytes()).map(|r| r.field);
        for (protocol, body, want) in [
            (
                Protocol::Responses,
                r#"{"previous_response_id":"resp_1"}"#,
                Some("previous_response_id"),
            ),
            (Protocol::Responses, r#"{"previous_response_id":null,"conversation":""}"#, None),
            (Protocol::Responses, r#"{"store":true}"#, Some("store")),
            (Protocol::Responses, r#"{"store":false,"input":"file_id"}"#, None),
            (
                Protocol::Responses,
                r#"{"input":[{"type":"item_reference","id":"rs_1"}]}"#,
                Some("input.item_reference"),
            ),
            (
                Protocol::Responses,
                r#"{"input":[{"role":"user","content":[{"type":"input_image","file_id":"file-1"}]}]}"#,
                Some("input.file_id"),
            ),
            (
                Protocol::Chat,
                r#"{"messages":[{"content":[{"type":"file","file":{"file_id":"f"}}]}]}"#,
                Some("messages.file_id"),
            ),
            (
                Protocol::Chat,
                r#"{"messages":[{"tool_calls":[{"function":{"arguments":"{\"file_id\":\"x\"}"}}]}]}"#,
                None,
            ),
            (
                Protocol::Messages,
                r#"{"messages":[{"content":[{"type":"document","source":{"type":"file","file_id":"f"}}]}]}"#,
                Some("messages.file_id"),
            ),
            (
                Protocol::Messages,
                r#"{"messages":[{"content":[{"type":"tool_use","input":{"file_id":"f"}}]}]}"#,
                None,
            ),
            (Protocol::Messages, r#"{"container":"c"}"#, Some("container")),
            (Protocol::Completions, r#"{"store":true}"#, None),
        ] {
            assert_eq!(of(protocol, body).as_deref(), want, "{body}");
        }
        assert!(binding(Protocol::Chat, b"{").is_none());
    }

    #[test]
    fn nothing_is_stored_unasked() {
        let edit = |body: &str, bound| {
            let body = Bytes::from(body.to_owned());
            let out = stateless(&body, Bytes::from_static(b"\"up\""), bound).unwrap();
            let joined = out.segments.concat();
            assert_eq!(joined.len(), out.len);
            String::from_utf8(joined).unwrap()
        };
        let plain = edit(r#"{ "model": "a", "input": "x" }"#, false);
        let want = r#"{ "model": "up","store":false,"include":["reasoning.encrypted_content"], "input": "x" }"#;
        assert_eq!(plain, want);
        assert_eq!(edit(r#"{"model":"a","input":"x"}"#, true), r#"{"model":"up","input":"x"}"#);
        let own = r#"{"include":["file_search_call.results"],"model":"a"}"#;
        let want = r#"{"include":["reasoning.encrypted_content","file_search_call.results"],"model":"up","store":false}"#;
        assert_eq!(edit(own, false), want);
        let said = r#"{"model":"up","store":false}"#;
        assert_eq!(edit(&said.replace("up", "a"), false), said);
        assert!(stateless(&Bytes::from_static(b"{}"), Bytes::new(), false).is_none());
    }
}
