//! What a decoder of answers keeps of its parts: which are open, whose delta a delta is, and how a
//! choice ended. A part is opened by its first content, a call by its name.

use crate::{
    neutral::{CallKind, Citation, Delta, Event, Finish, Kind, Signature},
    tree::Json,
};

/// A call under way.
#[derive(Debug)]
struct OpenCall {
    part: u32,
    index: Option<u64>,
    id: String,
    /// Whether it came whole.
    whole: bool,
}

/// One choice.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, of no order")]
struct Choice {
    seen: bool,
    next: u32,
    /// The open part that is no call.
    open: Option<(u32, Kind)>,
    calls: Vec<OpenCall>,
    /// Whether any call was opened.
    called: bool,
    refused: bool,
    content: bool,
    finished: bool,
}

/// A piece of a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Piece<'a> {
    pub(super) index: Option<u64>,
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) arguments: &'a str,
    pub(super) custom: bool,
    pub(super) namespace: Option<&'a str>,
    pub(super) signature: Option<Signature>,
}

/// The parts of all choices of an answer.
#[derive(Debug, Default)]
pub(super) struct Parts {
    choices: Vec<Choice>,
}

/// The most choices that are told apart.
const MOST: u64 = 128;

impl Parts {
    fn choice(&mut self, index: u64) -> (u32, &mut Choice) {
        let index = index.min(MOST - 1);
        let at = usize::try_from(index).unwrap_or_default();
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, Choice::default);
        }
        let choice = &mut self.choices[at];
        choice.seen = true;
        (u32::try_from(index).unwrap_or_default(), choice)
    }

    /// A choice is there.
    pub(super) fn see(&mut self, index: u64) {
        self.choice(index);
    }

    /// Text, thought or refusal.
    pub(super) fn text(&mut self, index: u64, kind: &Kind, text: &str, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let part = self.open(index, kind, out);
        let (choice, _) = self.choice(index);
        out.push(Event::Delta { choice, part, delta: Delta::Text(text.to_owned()) });
    }

    /// Opens a part of this kind, unless one is open; gives its number.
    pub(super) fn open(&mut self, index: u64, kind: &Kind, out: &mut Vec<Event>) -> u32 {
        if let (_, Choice { open: Some((part, open)), .. }) = self.choice(index)
            && same(open, kind)
        {
            return *part;
        }
        self.close_open(index, out);
        let (number, choice) = self.choice(index);
        let part = choice.next;
        choice.next += 1;
        choice.content = true;
        choice.refused |= *kind == Kind::Refusal;
        choice.open = Some((part, kind.clone()));
        out.push(Event::Open { choice: number, part, kind: kind.clone() });
        part
    }

    /// Closes what is open and no call.
    pub(super) fn close_open(&mut self, index: u64, out: &mut Vec<Event>) {
        let (number, choice) = self.choice(index);
        if let Some((part, _)) = choice.open.take() {
            out.push(Event::Close { choice: number, part });
        }
    }

    /// A delta of the part that is open; without one it goes.
    pub(super) fn delta(&mut self, index: u64, delta: Delta, out: &mut Vec<Event>) {
        let (choice, state) = self.choice(index);
        if let Some((part, _)) = state.open {
            out.push(Event::Delta { choice, part, delta });
        }
    }

    /// The signature of a thought: of the one that is open, else of one without text.
    pub(super) fn sign(&mut self, index: u64, signature: Signature, out: &mut Vec<Event>) {
        self.sign_as(index, &Kind::Reasoning { redacted: false, id: None }, signature, out);
    }

    /// The signature of a thought of this kind.
    pub(super) fn sign_as(
        &mut self,
        index: u64,
        kind: &Kind,
        signature: Signature,
        out: &mut Vec<Event>,
    ) {
        let part = self.open(index, kind, out);
        let (choice, _) = self.choice(index);
        out.push(Event::Delta { choice, part, delta: Delta::Signature(signature) });
    }

    /// Whether a thought is open.
    pub(super) fn is_thinking(&mut self, index: u64) -> bool {
        let (_, choice) = self.choice(index);
        matches!(choice.open, Some((_, Kind::Reasoning { redacted: false, .. })))
    }

    /// Log probabilities, of the text that is open or opens.
    pub(super) fn logprobs(&mut self, index: u64, tokens: &[Json], out: &mut Vec<Event>) {
        if tokens.is_empty() {
            return;
        }
        let (choice, state) = self.choice(index);
        // They stand on the choice: the part's number says nothing where none is open.
        let part = state.open.as_ref().map_or(0, |(part, _)| *part);
        out.push(Event::Delta { choice, part, delta: Delta::Logprobs(tokens.to_vec()) });
    }

    /// A citation of the text that is open.
    pub(super) fn cite(&mut self, index: u64, citation: Citation, out: &mut Vec<Event>) {
        let (_, state) = self.choice(index);
        if matches!(state.open, Some((_, Kind::Text))) {
            self.delta(index, Delta::Citation(citation), out);
        }
    }

    /// An image, whole.
    pub(super) fn image(&mut self, index: u64, media_type: &str, data: &str, out: &mut Vec<Event>) {
        self.close_open(index, out);
        let kind = Kind::Image { media_type: media_type.to_owned() };
        self.open(index, &kind, out);
        self.delta(index, Delta::Data(data.to_owned()), out);
        self.close_open(index, out);
    }

    /// Sound, as members of OpenAI's object.
    pub(super) fn audio(&mut self, index: u64, members: Json, out: &mut Vec<Event>) {
        let part = self.open(index, &Kind::Audio, out);
        let (choice, _) = self.choice(index);
        out.push(Event::Delta { choice, part, delta: Delta::Audio(members) });
    }

    /// A piece of a call. A new id opens one; else the index says whose it is; else it is the last
    /// one's. A whole call without id and index is always a new one, and so is one with the index
    /// of another id.
    pub(super) fn call(&mut self, index: u64, piece: Piece<'_>, out: &mut Vec<Event>) {
        let (_, choice) = self.choice(index);
        let whole = !piece.name.is_empty()
            && Json::parse(piece.arguments.as_bytes()).is_ok_and(|v| v.is_object());
        let bare = piece.id.is_empty() && piece.index.is_none();
        let known = if bare {
            let continues = piece.name.is_empty() && !choice.calls.is_empty();
            continues.then(|| choice.calls.len() - 1)
        } else {
            choice.calls.iter().rposition(|call| {
                let id = piece.id.is_empty() || call.id.is_empty() || call.id == piece.id;
                let place = piece.index.is_none() || call.index == piece.index;
                match (piece.id.is_empty(), piece.index) {
                    (false, _) => call.id == piece.id || (call.id.is_empty() && place),
                    (true, Some(_)) => place && id && !(whole && call.whole),
                    (true, None) => true,
                }
            })
        };
        let at = match known {
            Some(at) => at,
            None if piece.name.is_empty() && piece.arguments.is_empty() => return,
            None => {
                self.close_open(index, out);
                let (number, choice) = self.choice(index);
                let part = choice.next;
                choice.next += 1;
                choice.content = true;
                choice.called = true;
                let kind = Kind::Call {
                    id: piece.id.to_owned(),
                    name: piece.name.to_owned(),
                    kind: if piece.custom { CallKind::Custom } else { CallKind::Function },
                    namespace: piece.namespace.map(str::to_owned),
                    signature: piece.signature,
                };
                out.push(Event::Open { choice: number, part, kind });
                choice.calls.push(OpenCall {
                    part,
                    index: piece.index,
                    id: piece.id.to_owned(),
                    whole,
                });
                choice.calls.len() - 1
            }
        };
        let (number, choice) = self.choice(index);
        if !piece.arguments.is_empty() {
            let part = choice.calls[at].part;
            let delta = Delta::Text(piece.arguments.to_owned());
            out.push(Event::Delta { choice: number, part, delta });
        }
    }

    /// Closes the calls.
    pub(super) fn close_calls(&mut self, index: u64, out: &mut Vec<Event>) {
        let (number, choice) = self.choice(index);
        for call in choice.calls.drain(..) {
            out.push(Event::Close { choice: number, part: call.part });
        }
    }

    /// The choice has ended. A stop with calls is for them, and calls that are none are a stop.
    pub(super) fn finish(&mut self, index: u64, reason: Finish, out: &mut Vec<Event>) {
        self.close_open(index, out);
        self.close_calls(index, out);
        let (number, choice) = self.choice(index);
        if std::mem::replace(&mut choice.finished, true) {
            return;
        }
        let reason = match reason {
            Finish::Stop if choice.called => Finish::ToolCalls,
            Finish::ToolCalls if !choice.called => Finish::Stop,
            Finish::Stop if choice.refused => {
                Finish::Refusal { answered: true, category: None, explanation: None }
            }
            other => other,
        };
        out.push(Event::Finish { choice: number, reason });
    }

    /// Whether the choice has content.
    pub(super) fn has_content(&self, index: u64) -> bool {
        let at = usize::try_from(index.min(MOST - 1)).unwrap_or_default();
        self.choices.get(at).is_some_and(|choice| choice.content)
    }

    /// Whether any choice has content.
    pub(super) fn any_content(&self) -> bool {
        self.choices.iter().any(|choice| choice.content)
    }

    /// Whether a choice was seen, and every one that was has ended.
    pub(super) fn is_whole(&self) -> bool {
        self.choices.iter().any(|choice| choice.seen)
            && self.choices.iter().all(|choice| !choice.seen || choice.finished)
    }

    /// Choices that were seen and have not ended.
    pub(super) fn unfinished(&self) -> Vec<u64> {
        let open = (0_u64..).zip(&self.choices).filter(|(_, c)| c.seen && !c.finished);
        open.map(|(index, _)| index).collect()
    }
}

fn same(open: &Kind, wanted: &Kind) -> bool {
    match (open, wanted) {
        (
            Kind::Reasoning { redacted: false, id: a },
            Kind::Reasoning { redacted: false, id: b },
        ) => a == b,
        (Kind::Text, Kind::Text) | (Kind::Refusal, Kind::Refusal) | (Kind::Audio, Kind::Audio) => {
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(pieces: &[Piece<'_>]) -> Vec<(String, String)> {
        let mut parts = Parts::default();
        let mut out = Vec::new();
        for piece in pieces {
            parts.call(0, piece.clone(), &mut out);
        }
        let mut calls: Vec<(String, String)> = Vec::new();
        let mut numbers = Vec::new();
        for event in out {
            match event {
                Event::Open { part, kind: Kind::Call { name, .. }, .. } => {
                    numbers.push(part);
                    calls.push((name, String::new()));
                }
                Event::Delta { part, delta: Delta::Text(text), .. } => {
                    let at = numbers.iter().position(|n| *n == part).unwrap();
                    calls[at].1.push_str(&text);
                }
                _ => {}
            }
        }
        calls
    }

    fn piece<'a>(index: Option<u64>, id: &'a str, name: &'a str, arguments: &'a str) -> Piece<'a> {
        Piece { index, id, name, arguments, ..Piece::default() }
    }

    #[test]
    fn every_delta_finds_its_call() {
        // By index, interleaved.
        let found = opened(&[
            piece(Some(0), "a", "f", ""),
            piece(Some(1), "b", "g", ""),
            piece(Some(0), "", "", "{\"x\""),
            piece(Some(1), "", "", "{}"),
            piece(Some(0), "", "", ":1}"),
        ]);
        assert_eq!(found, [("f".into(), "{\"x\":1}".into()), ("g".into(), "{}".into())]);
        // A server that sends 0 always.
        let found = opened(&[piece(Some(0), "a", "f", "{}"), piece(Some(0), "b", "g", "{}")]);
        assert_eq!(found.len(), 2);
        // Whole calls without id and index.
        let found = opened(&[piece(None, "", "f", "{}"), piece(None, "", "f", "{}")]);
        assert_eq!(found.len(), 2);
        // Fragments without either belong to the last.
        let found = opened(&[piece(None, "a", "f", "{"), piece(None, "", "", "}")]);
        assert_eq!(found, [("f".into(), "{}".into())]);
        // A repeated name or id is the same call.
        let found = opened(&[
            piece(Some(0), "a", "f", "{"),
            piece(Some(0), "a", "f", "\"x\":1}"),
            piece(Some(0), "", "f", ""),
        ]);
        assert_eq!(found, [("f".into(), "{\"x\":1}".into())]);
    }
}
