//! Edits of a request's body for one candidate: the model's name, a cap that the model cannot
//! exceed, and the wish for usage that we add. The result is slices of the original with the edits
//! between them, so that nothing is copied and every other byte survives.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::{
    body::{ENCRYPTED, Include, RequestBody, Store, StreamOptions},
    dialect::VERTEX_VERSION,
    json::{JsonError, Reader, Span},
};

/// The most edits that one body gets.
pub const MAX_EDITS: usize = 8;

/// What a candidate wants changed.
#[derive(Clone, Debug)]
pub struct Rewrite {
    /// The name that the provider knows the model by, as JSON (see [`json_string`]).
    pub model: Bytes,
    /// The most output tokens of the model: a larger cap is lowered to it.
    pub max_output_tokens: Option<u64>,
    /// Whether to ask for usage in a stream. False where the provider refused the member, or its
    /// endpoint tells it unasked.
    pub ask_usage: bool,
    /// Whether to say that the answer is not to be stored, where the request says nothing of it.
    pub unstored: bool,
    /// Whether to ask for encrypted reasoning where that is said: without it the caller could not
    /// send the answer's reasoning again.
    pub encrypted: bool,
    /// Who says the version of the protocol.
    pub versioned: Versioned,
}

/// Who says in which version of Anthropic's protocol a body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versioned {
    /// A header, or nobody.
    #[default]
    Elsewhere,
    /// The body, in the place of `model`, which the path names: VertexAI.
    ForModel,
    /// The body, beside `model`: VertexAI where it counts tokens.
    BesideModel,
}

/// A body in segments.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// The segments, in order.
    pub segments: SmallVec<[Bytes; 7]>,
    /// Their bytes together.
    pub len: usize,
    /// The usage-only event of the answer is ours, and is not for the caller.
    pub hide_usage: bool,
    /// The members that were added, which a provider may refuse by name.
    pub added: SmallVec<[&'static str; 2]>,
}

/// A string as JSON.
pub fn json_string(text: &str) -> Bytes {
    serde_json::to_vec(text).map(Bytes::from).unwrap_or_default()
}

/// The body for one candidate.
pub fn rewrite(body: &Bytes, read: &RequestBody, to: &Rewrite) -> Rewritten {
    let mut edits = Edits::default();
    match to.versioned {
        Versioned::Elsewhere => edits.replace(read.model, to.model.clone()),
        Versioned::ForModel | Versioned::BesideModel => version(&mut edits, body, read, to),
    }
    if let Some(max) = to.max_output_tokens {
        for cap in read.caps.iter().flatten().filter(|cap| cap.tokens > max) {
            edits.replace(cap.span, Bytes::from(max.to_string()));
        }
    }
    let asked = read.stream && to.ask_usage && ask_usage(&mut edits, read);
    let unstored = to.unstored && unstore(&mut edits, read);
    let included = unstored && to.encrypted && include(&mut edits, read);
    let (segments, len) = edits.apply(body);
    let names = [(asked, "stream_options"), (unstored, "store"), (included, "include")];
    let added = names.into_iter().filter(|(added, _)| *added).map(|(_, name)| name).collect();
    Rewritten { segments, len, hide_usage: asked, added }
}

/// Says the version where the caller's body does not, and takes the model out where it may not stand.
fn version(edits: &mut Edits, body: &Bytes, read: &RequestBody, to: &Rewrite) {
    const NAME: &str = "anthropic_version";
    let stated = memchr::memmem::find(body, NAME.as_bytes()).is_some()
        && has_member(body, NAME).unwrap_or_default();
    if to.versioned == Versioned::BesideModel {
        edits.replace(read.model, to.model.clone());
        if !stated {
            let behind = Span { start: read.model.end, end: read.model.end };
            let text = format!(",\"{NAME}\":\"{VERTEX_VERSION}\"");
            edits.replace(behind, Bytes::from(text));
        }
        return;
    }
    // The body was read, so that its model has a key before it.
    let Some(key) = key_before(body, read.model) else { return };
    if stated {
        edits.replace(member(body, Span { start: key.start, end: read.model.end }), Bytes::new());
    } else {
        edits.replace(key, Bytes::from(format!("\"{NAME}\"")));
        edits.replace(read.model, json_string(VERTEX_VERSION));
    }
}

fn has_member(body: &[u8], name: &str) -> Result<bool, JsonError> {
    let mut has = false;
    Reader::new(body)?.object(|r, key| {
        has |= key.is(name);
        r.skip().map(drop)
    })?;
    Ok(has)
}

/// The key of the member whose value stands here; no key that is looked for holds a quote.
fn key_before(body: &[u8], value: Span) -> Option<Span> {
    let colon = body[..value.start].iter().rposition(|b| *b == b':')?;
    let end = body[..colon].iter().rposition(|b| *b == b'"')?;
    let start = body[..end].iter().rposition(|b| *b == b'"')?;
    Some(Span { start, end: end + 1 })
}

/// A member with the comma behind it, or before it where it is the last.
fn member(body: &[u8], of: Span) -> Span {
    let space = |b: &u8| b.is_ascii_whitespace();
    let behind = body[of.end..].iter().position(|b| !space(b)).map(|at| of.end + at);
    if let Some(at) = behind.filter(|at| body[*at] == b',') {
        return Span { start: of.start, end: at + 1 };
    }
    let before = body[..of.start].iter().rposition(|b| !space(b));
    match before.filter(|at| body[*at] == b',') {
        Some(at) => Span { start: at, end: of.end },
        None => of,
    }
}

/// Says that the answer is not to be stored, where the caller does not say. Whether it did.
fn unstore(edits: &mut Edits, read: &RequestBody) -> bool {
    match read.store {
        Store::Is(_) => return false,
        Store::Null(span) => edits.replace(span, Bytes::from_static(b"false")),
        Store::Absent => {
            let behind = Span { start: read.model.end, end: read.model.end };
            edits.replace(behind, Bytes::from_static(br#","store":false"#));
        }
    }
    true
}

/// Asks for encrypted reasoning where the caller did not. Says whether it did.
fn include(edits: &mut Edits, read: &RequestBody) -> bool {
    let (at, text) = match read.include {
        Include::Said => return false,
        Include::Null(span) => (span, format!("[\"{ENCRYPTED}\"]")),
        Include::List { span, empty } => {
            let inside = Span { start: span.start + 1, end: span.start + 1 };
            (inside, format!("\"{ENCRYPTED}\"{}", if empty { "" } else { "," }))
        }
        Include::Absent => {
            let behind = Span { start: read.model.end, end: read.model.end };
            (behind, format!(",\"include\":[\"{ENCRYPTED}\"]"))
        }
    };
    edits.replace(at, Bytes::from(text));
    true
}

/// Asks for usage where the caller did not. Says whether it did.
pub(crate) fn ask_usage(edits: &mut Edits, read: &RequestBody) -> bool {
    let (at, text) = match read.stream_options {
        StreamOptions::IncludeUsage { on: true, .. } | StreamOptions::Other => return false,
        StreamOptions::IncludeUsage { span, on: false } => (span, "true"),
        StreamOptions::Null(span) => (span, r#"{"include_usage":true}"#),
        StreamOptions::Object { span, empty } => {
            let inside = Span { start: span.start + 1, end: span.start + 1 };
            (inside, if empty { r#""include_usage":true"# } else { r#""include_usage":true,"# })
        }
        StreamOptions::Absent => {
            let behind = Span { start: read.model.end, end: read.model.end };
            (behind, r#","stream_options":{"include_usage":true}"#)
        }
    };
    edits.replace(at, Bytes::from_static(text.as_bytes()));
    true
}

/// A list of edits, kept sorted by where they begin.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    list: SmallVec<[(Span, Bytes); MAX_EDITS]>,
}

impl Edits {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Puts bytes in the place of others. Of two at one place the later comes behind.
    pub(crate) fn replace(&mut self, span: Span, with: Bytes) {
        debug_assert!(self.list.len() < MAX_EDITS, "at most {MAX_EDITS} edits");
        let at = self.list.partition_point(|(s, _)| s.start <= span.start);
        self.list.insert(at, (span, with));
    }

    /// The body in segments, and their length.
    pub(crate) fn apply(self, body: &Bytes) -> (SmallVec<[Bytes; 7]>, usize) {
        let mut segments = SmallVec::new();
        let mut len = 0;
        let mut push = |segment: Bytes| {
            if !segment.is_empty() {
                len += segment.len();
                segments.push(segment);
            }
        };
        let mut from = 0;
        for (span, with) in self.list {
            debug_assert!(from <= span.start, "edits do not overlap");
            push(body.slice(from..span.start));
            push(with);
            from = span.end;
        }
        push(body.slice(from..));
        (segments, len)
    }
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
