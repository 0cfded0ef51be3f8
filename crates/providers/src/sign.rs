//! What an error's body says, whatever its shape: `{error: {...}}`, `[{error: {...}}]`,
//! `{error: "text"}`, `{type: "error", error}`, `{object: "error", message}`, `{message}`,
//! `{detail}`, `{statusCode, message}`, a relay's error with the provider's own inside, HTML, text,
//! nothing.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use crate::retry_after;

/// The longest body that is looked into.
const MAX_BODY: usize = 1 << 20;
/// The most of a message that is kept, in bytes.
const MAX_MESSAGE: usize = 2_000;

/// What an error says of itself. Empty texts are absent ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sign {
    pub(crate) message: String,
    pub(crate) code: String,
    pub(crate) kind: String,
    pub(crate) param: String,
    /// The status that the body states: a numeric code, `status`, `status_code`, `statusCode`.
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<Duration>,
    /// The relay's own remarks, as text in lower case.
    pub(crate) metadata: String,
}

impl Sign {
    /// Reads a body.
    pub(crate) fn read(status: StatusCode, body: &[u8]) -> Self {
        let body = body.trim_ascii();
        let small = if body.len() <= MAX_BODY { body } else { &[] };
        if let Ok(value) = serde_json::from_slice::<Value>(small) {
            return Self::of(&value);
        }
        let text = String::from_utf8_lossy(&body[..body.len().min(MAX_MESSAGE)]);
        let message = if text.starts_with('<') {
            title(&text).map_or_else(
                || format!("The provider answered {status} with a page instead of JSON."),
                |title| format!("The provider answered {status} with a page: {title}"),
            )
        } else {
            text.into_owned()
        };
        Self { message: clip(message), ..Self::default() }
    }

    /// Reads an error object, or what holds one.
    pub(crate) fn of(value: &Value) -> Self {
        let outer = match value {
            Value::Array(items) => items.first().unwrap_or(&Value::Null),
            other => other,
        };
        let mut sign = Self::default();
        match outer.get("error").filter(|e| !e.is_null()) {
            Some(inner @ Value::Object(_)) => sign.take(inner),
            Some(Value::String(text)) => sign.message.clone_from(text),
            _ => {}
        }
        match outer {
            Value::Object(_) => sign.take(outer),
            Value::String(text) => sign.message.clone_from(text),
            _ => {}
        }
        sign.message = clip(sign.message);
        sign
    }

    /// Takes what this object says and is not known yet.
    fn take(&mut self, object: &Value) {
        let text = |name: &str| match object.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let fill = |slot: &mut String, value: String| {
            if slot.is_empty() {
                *slot = value;
            }
        };
        for name in ["message", "Message", "msg"] {
            fill(&mut self.message, text(name));
        }
        match object.get("detail") {
            Some(Value::String(detail)) => fill(&mut self.message, detail.clone()),
            Some(detail @ (Value::Array(_) | Value::Object(_))) => {
                fill(&mut self.message, details(detail));
            }
            _ => {}
        }
        let kind = text("type");
        // The envelope's own `type: error` says nothing.
        if kind != "error" {
            fill(&mut self.kind, kind);
        }
        let code = text("code");
        for number in [code.as_str(), &text("status"), &text("status_code"), &text("statusCode")] {
            if self.status.is_none() {
                self.status = number.parse().ok().filter(|n| (400..600).contains(n));
            }
        }
        if code.parse::<u64>().is_err() {
            fill(&mut self.code, code);
        }
        fill(&mut self.code, text("error_code"));
        fill(&mut self.param, text("param"));
        if self.retry_after.is_none() {
            self.retry_after = retry_after::from_details(object);
        }
        if let Some(metadata) = object.get("metadata").filter(|m| m.is_object()) {
            self.relayed(metadata);
        }
    }

    /// Takes what a relay passes on of the provider behind it. Its words are more exact than the
    /// relay's ("Provider returned error").
    fn relayed(&mut self, metadata: &Value) {
        self.metadata = metadata.to_string().to_lowercase();
        let raw = match metadata.get("raw") {
            Some(Value::String(raw)) => {
                serde_json::from_str(raw).unwrap_or_else(|_| Value::String(raw.clone()))
            }
            Some(raw @ Value::Object(_)) => raw.clone(),
            _ => return,
        };
        let inner = Self::of(&raw);
        for (slot, value) in [
            (&mut self.message, inner.message),
            (&mut self.code, inner.code),
            (&mut self.kind, inner.kind),
            (&mut self.param, inner.param),
        ] {
            if !value.is_empty() {
                *slot = value;
            }
        }
        self.retry_after = self.retry_after.or(inner.retry_after);
    }
}

/// The messages of a list of details, as validators write them (`[{loc, msg}]`).
fn details(detail: &Value) -> String {
    let one = |item: &Value| {
        let said = item.get("msg").or_else(|| item.get("message")).and_then(Value::as_str);
        let place = item.get("loc").and_then(Value::as_array).map(|loc| {
            let parts: Vec<_> = loc
                .iter()
                .map(|p| p.as_str().map_or_else(|| p.to_string(), str::to_owned))
                .collect();
            parts.join(".")
        });
        match (place, said) {
            (Some(place), Some(said)) => format!("{place}: {said}"),
            (None, Some(said)) => said.to_owned(),
            _ => item.as_str().map_or_else(|| item.to_string(), str::to_owned),
        }
    };
    match detail {
        Value::Array(items) => items.iter().map(one).collect::<Vec<_>>().join("; "),
        other => one(other),
    }
}

/// The title of a page.
fn title(page: &str) -> Option<&str> {
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let end = start + lower[start..].find("</title>")?;
    Some(page[start..end].trim()).filter(|t| !t.is_empty())
}

fn clip(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        message.push('…');
    }
    message
}
