//! A conversation as the strict dialects want it: system first, turns that begin with the user,
//! every call answered, every result with its call, in the order of the calls.
//!
//! **Invariant:** what a message becomes depends on what stands before it, never on what follows but
//! for its own turn's results: prompt caches and preserved thinking compare prefixes.

use std::borrow::Cow;

use super::cx::Cx;
use crate::{
    neutral::{CallKind, Part, Role, ToolResult},
    rules::Field,
};

/// Who a turn is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// A system message within the conversation, where the model takes it.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// The results of the turn before: every part is one.
    Tool,
}

/// A turn.
#[derive(Clone, Debug)]
pub(super) struct Turn<'a> {
    pub(super) side: Side,
    pub(super) name: Option<&'a str>,
    pub(super) parts: Vec<Cow<'a, Part>>,
}

/// How a dialect wants its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, of no order")]
pub(super) struct Shape {
    /// A late system message stays one where it may stand.
    pub(super) late_system: bool,
    /// Only after a user turn, before the model's or last, and not two in a row (Claude).
    pub(super) careful: bool,
    /// Turns of one side are merged.
    pub(super) merge: bool,
    /// The first turn must be the user's.
    pub(super) user_first: bool,
    /// White space alone is left out.
    pub(super) blanks_go: bool,
}

/// The leading system parts, and the turns.
pub(super) fn turns<'a>(cx: &mut Cx<'a>, shape: Shape) -> (Vec<&'a Part>, Vec<Turn<'a>>) {
    let request = cx.request;
    let mut system = Vec::new();
    let mut out = Builder { shape, turns: Vec::new(), expected: Vec::new(), got: Vec::new() };
    for (at, message) in request.messages.iter().enumerate() {
        if message.role != Role::Tool {
            let last = at + 1 == request.messages.len();
            out.settle(cx, last && message.role == Role::Assistant);
        }
        match message.role {
            Role::System if !message.late => system.extend(message.parts.iter()),
            Role::System => {
                let next = request.messages.get(at + 1).map(|m| m.role);
                let fits = !shape.careful
                    || (out.last() == Some(Side::User)
                        && matches!(next, None | Some(Role::Assistant)));
                if shape.late_system && fits {
                    let parts = message.parts.iter().map(Cow::Borrowed).collect();
                    out.push(Side::System, None, parts);
                } else {
                    let text: Vec<&str> = message.parts.iter().filter_map(text_of).collect();
                    cx.adapt(
                        Field::LateSystem,
                        "Sent as a user text in `<system>` tags, in place.",
                    );
                    let tagged = format!("<system>\n{}\n</system>", text.join("\n\n"));
                    out.push(Side::User, None, vec![Cow::Owned(Part::text(tagged))]);
                }
            }
            Role::User | Role::Assistant => {
                let assistant = message.role == Role::Assistant;
                let side = if assistant { Side::Assistant } else { Side::User };
                let mut parts: Vec<Cow<'a, Part>> = Vec::with_capacity(message.parts.len());
                for part in &message.parts {
                    match part {
                        Part::Text { text, .. } if shape.blanks_go && part.is_blank() => {
                            if !text.is_empty() {
                                cx.adapt(Field::Blank, "Texts of white space are left out.");
                            }
                        }
                        Part::Call(call) => {
                            out.expected.push(call.id.clone());
                            parts.push(Cow::Borrowed(part));
                        }
                        part => parts.push(Cow::Borrowed(part)),
                    }
                }
                let bare = parts.iter().all(|p| matches!(**p, Part::Cache(_)));
                if !(shape.blanks_go && bare) {
                    out.push(side, message.name.as_deref(), parts);
                }
            }
            Role::Tool => {
                for part in &message.parts {
                    if let Part::Result(result) = part {
                        out.got.push(result);
                    }
                }
            }
        }
    }
    if !out.got.is_empty() {
        out.settle(cx, false);
    }
    if shape.user_first && !matches!(out.turns.first(), Some(t) if t.side == Side::User) {
        cx.adapt(Field::Order, "A user text `.` stands before a conversation that needs one.");
        let dot = vec![Cow::Owned(Part::text("."))];
        out.turns.insert(0, Turn { side: Side::User, name: None, parts: dot });
    }
    (system, out.turns)
}

fn text_of(part: &Part) -> Option<&str> {
    if let Part::Text { text, .. } = part { Some(text) } else { None }
}

struct Builder<'a> {
    shape: Shape,
    turns: Vec<Turn<'a>>,
    /// Calls of the last turn that wait for a result.
    expected: Vec<String>,
    got: Vec<&'a ToolResult>,
}

impl<'a> Builder<'a> {
    fn last(&self) -> Option<Side> {
        self.turns.last().map(|turn| turn.side)
    }

    fn push(&mut self, side: Side, name: Option<&'a str>, parts: Vec<Cow<'a, Part>>) {
        match self.turns.last_mut() {
            Some(last) if self.shape.merge && last.side == side => last.parts.extend(parts),
            _ => self.turns.push(Turn { side, name, parts }),
        }
    }

    /// Writes the results of the calls before. `open`: the request ends with calls, whose results
    /// are not there yet.
    fn settle(&mut self, cx: &mut Cx<'a>, open: bool) {
        let expected = std::mem::take(&mut self.expected);
        let got = std::mem::take(&mut self.got);
        if expected.is_empty() && got.is_empty() {
            return;
        }
        let mut used = vec![false; got.len()];
        let mut parts: Vec<Cow<'a, Part>> = Vec::new();
        for id in &expected {
            let found = (0..got.len()).find(|at| !used[*at] && got[*at].id == *id);
            if let Some(at) = found {
                used[at] = true;
                parts.push(Cow::Owned(Part::Result(got[at].clone())));
            } else if !open || !got.is_empty() {
                cx.adapt(Field::Results, "A call without a result gets the error `no result`.");
                parts.push(Cow::Owned(Part::Result(ToolResult {
                    id: id.clone(),
                    error: true,
                    kind: CallKind::Function,
                    parts: vec![Part::text("no result")],
                })));
            }
        }
        if !parts.is_empty() {
            self.push(Side::Tool, None, parts);
        }
        let mut orphans: Vec<Cow<'a, Part>> = Vec::new();
        for (result, _) in got.iter().zip(&used).filter(|(_, used)| !**used) {
            cx.adapt(Field::Results, "A result without its call is sent as a user text.");
            let texts: Vec<&str> = result.parts.iter().filter_map(text_of).collect();
            let text = format!("Result of the tool call {}:\n{}", result.id, texts.join("\n"));
            orphans.push(Cow::Owned(Part::text(text)));
            let media = result.parts.iter().filter(|part| text_of(part).is_none());
            orphans.extend(media.map(Cow::Borrowed));
        }
        if !orphans.is_empty() {
            self.push(Side::User, None, orphans);
        }
    }
}
