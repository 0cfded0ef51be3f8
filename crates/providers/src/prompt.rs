//! What the user says in a request: the texts of a conversation, for who must know what it is
//! about. Read only where an alias goes by that; images, tool calls and their results are passed
//! over. Of a long text its beginning and its end are given, since nobody looks at more.

use std::borrow::Cow;

use routing::Endpoint;
use smallvec::SmallVec;

use crate::json::{JsonError, Kind, Reader, Span, Text, readable};

/// Characters that are given of each end of a text at least.
const EDGE: usize = 600;
/// Bytes that so many characters take at most, escaped as pairs of surrogates.
const EDGE_BYTES: usize = EDGE * 12;
/// What harnesses put their own words between, as it stands in a body whose `<` is escaped or not.
const REMINDER: &str = "system-reminder";

/// The turns of a conversation, in order.
#[derive(Debug)]
pub struct Turns<'b> {
    body: &'b [u8],
    items: SmallVec<[Span; 16]>,
}

impl<'b> Turns<'b> {
    /// Finds the turns in a body that was read before. A prompt that is one text is one turn.
    pub fn of(endpoint: Endpoint, body: &'b [u8]) -> Self {
        let mut items = SmallVec::new();
        if endpoint.answers_in_text() {
            // A body that does not read was refused before.
            let _ = find(body, &mut items);
        }
        Self { body, items }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.items.len()
    }

    /// The texts that the user wrote in a turn, none of another's.
    pub fn texts(&self, turn: usize) -> SmallVec<[Cow<'b, str>; 2]> {
        let mut texts = SmallVec::new();
        if let Some(span) = self.items.get(turn) {
            let _ = turn_texts(&self.body[span.start..span.end], &mut texts);
        }
        texts
    }
}

fn find(body: &[u8], items: &mut SmallVec<[Span; 16]>) -> Result<(), JsonError> {
    let mut reader = Reader::new(body)?;
    reader.object(|r, key| {
        let conversation = key.is("messages") || key.is("input") || key.is("prompt");
        if !conversation || !items.is_empty() {
            return r.skip().map(drop);
        }
        match r.peek()? {
            // Several prompts in one request go one way: that of the first.
            Kind::Array if key.is("prompt") => {
                r.array(|r| {
                    let span = r.skip()?;
                    if items.is_empty() {
                        items.push(span);
                    }
                    Ok::<(), JsonError>(())
                })?;
            }
            Kind::Array => {
                r.array(|r| {
                    items.push(r.skip()?);
                    Ok::<(), JsonError>(())
                })?;
            }
            _ => items.push(r.skip()?),
        }
        Ok(())
    })?;
    Ok(())
}

/// The user's texts of one turn: a text, or an object with `role` and `content`.
fn turn_texts<'b>(
    turn: &'b [u8],
    texts: &mut SmallVec<[Cow<'b, str>; 2]>,
) -> Result<(), JsonError> {
    let mut reader = Reader::new(turn)?;
    match reader.peek()? {
        Kind::String => {
            let text = reader.string()?;
            texts.push(edges(text));
        }
        Kind::Object => {
            let mut user = false;
            let mut found = SmallVec::new();
            reader.object(|r, key| {
                if key.is("role") {
                    user = r.maybe_string()?.is_some_and(|role| role.is("user"));
                } else if key.is("content") {
                    content(r, &mut found)?;
                } else {
                    r.skip()?;
                }
                Ok::<(), JsonError>(())
            })?;
            if user {
                texts.append(&mut found);
            }
        }
        _ => {}
    }
    Ok(())
}

fn content<'b>(
    r: &mut Reader<'b>,
    texts: &mut SmallVec<[Cow<'b, str>; 2]>,
) -> Result<(), JsonError> {
    match r.peek()? {
        Kind::String => texts.push(edges(r.string()?)),
        Kind::Array => {
            r.array(|r| match r.peek()? {
                Kind::Object => part(r, texts),
                Kind::String => {
                    texts.push(edges(r.string()?));
                    Ok(())
                }
                _ => r.skip().map(drop),
            })?;
        }
        _ => drop(r.skip()?),
    }
    Ok(())
}

/// A part of a message: `text` or `input_text`, each with the member `text`.
fn part<'b>(r: &mut Reader<'b>, texts: &mut SmallVec<[Cow<'b, str>; 2]>) -> Result<(), JsonError> {
    let mut is_text = true;
    let mut found = None;
    r.object(|r, key| {
        if key.is("type") {
            is_text =
                r.maybe_string()?.is_some_and(|kind| kind.is("text") || kind.is("input_text"));
        } else if key.is("text") {
            found = r.maybe_string()?;
        } else {
            r.skip()?;
        }
        Ok::<(), JsonError>(())
    })?;
    if is_text {
        texts.extend(found.map(edges));
    }
    Ok(())
}

/// The text; of a long one its beginning and its end, with a line break between them.
fn edges(text: Text<'_>) -> Cow<'_, str> {
    let raw = text.raw();
    // What is between reminders is told apart later, and they may stand anywhere.
    let reminders = || memchr::memmem::find(raw.as_bytes(), REMINDER.as_bytes()).is_some();
    if raw.len() <= 4 * EDGE_BYTES || reminders() {
        return text.readable();
    }
    let head = &raw[..raw.floor_char_boundary(EDGE_BYTES)];
    let tail = raw.ceil_char_boundary(raw.len() - EDGE_BYTES);
    // An escape that is cut in two spoils characters that nobody looks at, unless what is cut is a
    // pair of backslashes, which would turn the meaning of all that follow.
    let backslashes = raw[..tail].bytes().rev().take_while(|byte| *byte == b'\\').count();
    let tail = &raw[tail - backslashes % 2..];
    Cow::Owned([&*readable(head), "\n", &*readable(tail)].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(endpoint: Endpoint, body: &str) -> Vec<Vec<String>> {
        let turns = Turns::of(endpoint, body.as_bytes());
        let texts = |turn| turns.texts(turn).into_iter().map(Cow::into_owned).collect();
        (0..turns.count()).map(texts).collect()
    }

    #[test]
    fn the_users_own_texts_are_found_in_every_protocol() {
        let chat = r#"{"messages": [
            {"role": "system", "content": "be kind"},
            {"content": "hi \u00e9\ud800", "role": "user"},
            {"role": "assistant", "content": "hello", "tool_calls": [{"id": "a"}]},
            {"role": "tool", "content": "42"},
            {"role": "user", "content": [{"type": "text", "text": "what is"},
                {"type": "image_url", "image_url": {"url": "data:,x"}}, {"text": "this?", "type": "text"}]}],
            "model": "a"}"#;
        let found = texts(Endpoint::ChatCompletions, chat);
        assert_eq!(found, [&[][..], &["hi é\u{fffd}"], &[], &[], &["what is", "this?"]]);
        let messages = r#"{"system": "s", "messages": [{"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "no"}]},
            {"type": "text", "text": "go on"}]}]}"#;
        assert_eq!(texts(Endpoint::ChatCompletions, messages), [["go on"]]);
        let responses = r#"{"input": [{"type": "message", "role": "user",
            "content": [{"type": "input_text", "text": "a"}]},
            {"type": "function_call_output", "output": "b"}, {"role": "user", "content": "c"}]}"#;
        assert_eq!(texts(Endpoint::ChatCompletions, responses), [&["a"][..], &[], &["c"]]);
        assert_eq!(texts(Endpoint::ChatCompletions, r#"{"input": "d"}"#), [["d"]]);
        assert_eq!(texts(Endpoint::Completions, r#"{"prompt": "e"}"#), [["e"]]);
        assert_eq!(texts(Endpoint::Completions, r#"{"prompt": ["f", "g"]}"#), [["f"]]);
        assert_eq!(texts(Endpoint::Completions, r#"{"prompt": [1, 2]}"#), [[""; 0]]);
        assert!(texts(Endpoint::Embeddings, r#"{"input": "h"}"#).is_empty());
        assert!(texts(Endpoint::ChatCompletions, "{").is_empty());
    }

    #[test]
    fn of_a_long_text_both_ends_are_given() {
        for (filler, ends) in
            [("x", ["start ", " end"]), ("\\\\", ["\\n", "\\u00e9"]), ("é", ["é", "\\\""])]
        {
            let long = [ends[0], &filler.repeat(40_000), ends[1]].concat();
            let body = format!(r#"{{"prompt": "{long}"}}"#);
            let found = texts(Endpoint::Completions, &body).remove(0).remove(0);
            let whole: String = serde_json::from_str(&format!("\"{long}\"")).unwrap();
            assert!(found.len() < 40_000);
            let first = |text: &str| text.chars().take(EDGE).collect::<String>();
            assert_eq!(first(&found), first(&whole), "{filler}");
            let last = |text: &str| text.chars().rev().take(EDGE / 2).collect::<String>();
            assert_eq!(last(&found), last(&whole), "{filler}");
        }
        let reminded = format!("{} <system-reminder>x</system-reminder>", "y".repeat(100_000));
        let body = serde_json::json!({"prompt": reminded}).to_string();
        assert_eq!(texts(Endpoint::Completions, &body), [[reminded]]);
    }
}
