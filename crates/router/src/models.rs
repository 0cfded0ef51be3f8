//! What a caller may name: the list of models, one model, and the closest names to one that is
//! none.

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use crate::{
    access::Caller,
    errors::Refusal,
    http::{Shape, shown},
    live::{Found, LiveAlias, LiveSnapshot},
};

/// How many names an error suggests.
const SUGGESTIONS: usize = 3;
/// How many names are compared: a wrong name must not cost a large project milliseconds.
const COMPARED: usize = 2_000;
/// The least similarity of a name that is suggested.
const SIMILAR: f64 = 0.6;

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    owned_by: &'a str,
}

impl<'a> Model<'a> {
    fn of(alias: &'a LiveAlias) -> Self {
        let compiled = &alias.compiled;
        Self {
            id: &compiled.model,
            object: "model",
            created: compiled.created,
            owned_by: &compiled.id.namespace,
        }
    }
}

/// A model as Anthropic's clients read it.
#[derive(Serialize)]
struct AnthropicModel<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: String,
}

impl<'a> AnthropicModel<'a> {
    fn of(alias: &'a LiveAlias) -> Self {
        let compiled = &alias.compiled;
        let created = jiff::Timestamp::from_second(compiled.created).unwrap_or_default();
        Self {
            kind: "model",
            id: &compiled.model,
            display_name: &compiled.model,
            created_at: created.to_string(),
        }
    }
}

/// The answer to `GET /v1/models`.
pub(crate) fn list(live: &LiveSnapshot, caller: &Caller, shape: Shape) -> Bytes {
    #[derive(Serialize)]
    struct Page<'a> {
        data: Vec<AnthropicModel<'a>>,
        has_more: bool,
        first_id: Option<&'a str>,
        last_id: Option<&'a str>,
    }
    #[derive(Serialize)]
    struct List<'a> {
        object: &'static str,
        data: Vec<Model<'a>>,
    }
    let seen = live.seen_by(caller);
    if shape == Shape::Anthropic {
        return written(&Page {
            data: seen.iter().map(|alias| AnthropicModel::of(alias)).collect(),
            has_more: false,
            first_id: seen.first().map(|alias| alias.compiled.model.as_str()),
            last_id: seen.last().map(|alias| alias.compiled.model.as_str()),
        });
    }
    let data = seen.into_iter().map(|alias| Model::of(alias)).collect();
    written(&List { object: "list", data })
}

/// The answer to `GET /v1/models/{id}`.
pub(crate) fn one(
    live: &LiveSnapshot,
    caller: &Caller,
    id: &str,
    shape: Shape,
) -> Result<Bytes, Refusal> {
    let id = unescaped(id);
    match live.named_by(caller, &id) {
        Found::Alias(alias) if shape == Shape::Anthropic => Ok(written(&AnthropicModel::of(alias))),
        Found::Alias(alias) => Ok(written(&Model::of(alias))),
        Found::Held(..) | Found::Nothing => Err(not_found(live, caller, &id)),
    }
}

fn written(value: &impl Serialize) -> Bytes {
    // Names and numbers: this cannot fail.
    Bytes::from(serde_json::to_vec(value).unwrap_or_default())
}

/// Percent-decodes a segment of a path; what decodes to no text stays as it is.
pub(crate) fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let byte = (*first == b'%')
            .then(|| u8::from_str_radix(std::str::from_utf8(tail.get(..2)?).ok()?, 16).ok())
            .flatten();
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// 404 for a name that stands for nothing that this caller may see, with the closest that do.
pub(crate) fn not_found(live: &LiveSnapshot, caller: &Caller, name: &str) -> Refusal {
    let seen = live.seen_by(caller);
    let mut close: Vec<(f64, &str)> = seen
        .iter()
        .map(|alias| alias.compiled.model.as_str())
        .take(COMPARED)
        .map(|known| (strsim::jaro_winkler(shown(name), known), known))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .collect();
    close.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    close.truncate(SUGGESTIONS);
    let hint = if !close.is_empty() {
        let names: Vec<String> = close.iter().map(|(_, name)| format!("{name:?}")).collect();
        format!("Did you mean {}?", names.join(", "))
    } else if seen.is_empty() {
        "No model is configured for this caller.".to_owned()
    } else {
        "GET /v1/models lists what there is.".to_owned()
    };
    let message = format!("There is no model {:?} for this caller. {hint}", shown(name));
    Refusal::request(StatusCode::NOT_FOUND, "model_not_found", message).param("model")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_unescaped() {
        for (text, plain) in
            [("a", "a"), ("a%2Fb", "a/b"), ("%", "%"), ("%2", "%2"), ("%zz", "%zz"), ("%ff", "%ff")]
        {
            assert_eq!(unescaped(text), plain);
        }
    }
}
