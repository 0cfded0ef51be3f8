//! What several dialects need: identifiers of users, tiers, texts, media; ends that are not known.

use std::borrow::Cow;

use base64::Engine as _;
use routing::{Capability, OutcomeClass, outcome::Fault};
use sha2::{Digest as _, Sha256};

use super::cx::Cx;
use crate::{
    failure::Failure,
    neutral::{Choose, Document, Finish, Media, Part, Source, ToolResult},
    rules::{Field, Refusal, finish::Why},
    tree::Json,
};

/// The longest identifier of a user.
const LONGEST_USER: usize = 128;

/// The most breakpoints of a prompt cache that Claude takes, whoever hosts it.
const MOST_BREAKPOINTS: usize = 4;

/// What a stop reason is that is known. Nothing but a full context is an answer that does not begin.
pub(super) fn known_end(why: Why, content: bool) -> Result<Finish, Failure> {
    if why == Why::ContextWindow && !content {
        let what = "The conversation fills the model's context window: no room is left to answer.";
        return Err(Failure::new(OutcomeClass::Fault(Fault::ContextLength), what));
    }
    Ok(why.into())
}

/// What a stop reason is that is not known: the end of an answer that has content.
pub(super) fn unknown_end(content: bool) -> Result<Finish, Failure> {
    let what = "The provider's answer has neither content nor a known stop reason.";
    if content { Ok(Finish::Stop) } else { Err(Failure::invalid(what)) }
}

/// Of the breakpoints of a prompt cache the last four stay. `walk` goes through a value of the named
/// members in order, counts each in `seen`, and removes it while no more than `drop` were seen.
pub(super) fn last_breakpoints(
    cx: &mut Cx<'_>,
    body: &mut Json,
    members: [&str; 3],
    walk: fn(value: &mut Json, seen: &mut usize, drop: usize),
) {
    // Once to count, once to drop.
    let mut pass = |drop: usize| {
        let mut seen = 0;
        if let Json::Object(all) = &mut *body {
            for member in members {
                for (_, value) in all.iter_mut().filter(|(name, _)| name == member) {
                    walk(value, &mut seen, drop);
                }
            }
        }
        seen
    };
    let excess = pass(0).saturating_sub(MOST_BREAKPOINTS);
    if excess > 0 {
        pass(excess);
        let what = format!("Only the last {MOST_BREAKPOINTS} breakpoints are taken.");
        cx.drop(Field::CacheControl, what);
    }
}

/// Says what of a strict tool's schema was moved or rewritten.
pub(super) fn strict_as(cx: &mut Cx<'_>, adapted: &[String]) {
    if !adapted.is_empty() {
        cx.adapt(Field::Strict, format!("Moved or rewritten: {}.", adapted.join(", ")));
    }
}

/// An identifier of a user: one that is too long is its SHA-256.
pub(super) fn user(cx: &mut Cx<'_>, field: Field, value: &Json) -> String {
    let text = value.text();
    if text.len() <= LONGEST_USER {
        return text.to_owned();
    }
    cx.adapt(field, "Longer than 128 characters: its SHA-256 is sent.");
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .fold(String::with_capacity(2 * digest.len()), |hex, byte| hex + &format!("{byte:02x}"))
}

/// A tier by OpenAI's names, if these are among what the provider knows.
pub(super) fn tier(cx: &mut Cx<'_>, value: &Json, known: &[&str]) -> Option<String> {
    // Anthropic's word for the tier without priority.
    let name = if value.text() == "standard_only" { "default" } else { value.text() };
    if known.contains(&name) {
        return Some(name.to_owned());
    }
    let who = cx.who();
    cx.drop(Field::ServiceTier, format!("{who} has no tier `{}`.", value.text()));
    None
}

/// Whether a moderation is one that blocks: then it decides what the answer is.
pub(super) fn moderation(cx: &mut Cx<'_>, value: &Json) -> Result<(), Refusal> {
    if value.to_text().contains("\"block\"") {
        return Err(
            cx.refuse(Field::Moderation, "Its policy blocks, which no other provider does.")
        );
    }
    cx.drop(Field::Moderation, "No other provider has it.");
    Ok(())
}

/// Texts joined by blank lines; what is no text is passed over.
pub(super) fn joined<'a>(parts: impl IntoIterator<Item = &'a Part>) -> String {
    let texts = parts.into_iter().filter_map(|part| match part {
        Part::Text { text, .. } if !text.is_empty() => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

/// A document as text, with a note of it; `None` where it has no text.
pub(super) fn document_text(cx: &mut Cx<'_>, document: &Document) -> Option<String> {
    let text = document.as_text()?;
    cx.adapt(Field::DocumentText, "Sent as text: title, context, content.");
    Some(text)
}

/// A search result as text.
pub(super) fn search_text(cx: &mut Cx<'_>, part: &Part) -> Option<String> {
    let Part::Search { title, source, text, .. } = part else { return None };
    cx.adapt(Field::Search, "Sent as text: title, source, content.");
    Some(format!("{title}\n{source}\n{text}"))
}

/// A data URL of what is here, or the URL of what is not.
pub(super) fn url_of(media: &Media) -> Cow<'_, str> {
    match &media.source {
        Source::Base64(data) => Cow::Owned(format!("data:{};base64,{data}", media.media_type)),
        Source::Url(url) => Cow::Borrowed(url),
    }
}

/// The text in a document of plain text that is here in base64.
pub(super) fn plain_text(document: &Document) -> Option<String> {
    if let Some(text) = &document.text {
        return Some(text.clone());
    }
    let Some(Source::Base64(data)) = &document.source else { return None };
    if document.media_type != "text/plain" {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(data).ok()?;
    String::from_utf8(bytes).ok()
}

/// The texts of a tool's result, and the parts that are none.
pub(super) fn split_result(cx: &mut Cx<'_>, result: &ToolResult) -> (String, Vec<Part>) {
    let (mut texts, mut media) = (Vec::new(), Vec::new());
    for part in &result.parts {
        match part {
            Part::Text { text, .. } => texts.push(text.clone()),
            Part::Search { .. } => texts.extend(search_text(cx, part)),
            Part::Document(document) if document.text.is_some() => {
                texts.extend(document_text(cx, document));
            }
            Part::Cache(_) => {}
            other => media.push(other.clone()),
        }
    }
    (texts.join("\n"), media)
}

/// Whether the model has a capability.
pub(super) fn has(cx: &Cx<'_>, capability: Capability) -> bool {
    cx.to.capabilities.has(capability)
}

/// Leaves of the tools only those that may be called; gives what is left of the choice.
pub(super) fn only_allowed<'a>(cx: &mut Cx<'a>) -> (Vec<&'a crate::neutral::Tool>, Option<Choose>) {
    let request = cx.request;
    match &request.choose {
        Some(Choose::Of(names, must)) => {
            cx.adapt(Field::AllowedTools, "Only the allowed tools are sent.");
            let tools = request.tools.iter().filter(|tool| names.contains(&tool.name)).collect();
            (tools, Some(if *must { Choose::Any } else { Choose::Auto }))
        }
        choice => (request.tools.iter().collect(), choice.clone()),
    }
}

/// The input of a custom call, as the arguments of a function.
pub(super) fn custom_input(input: &str) -> Json {
    Json::empty().with("input", input)
}
