//! The text that a detector looks at: which of a conversation's parts, and how much of it.

use std::borrow::Cow;

/// Characters kept from the beginning of a text.
pub const HEAD: usize = 600;
/// Characters kept from its end.
pub const TAIL: usize = 300;

/// What a detector looks at in a text: two pieces with what lies between them left out, or all of
/// it in the first. The instruction sits at either end of a prompt, seldom in its middle.
pub(crate) fn clipped(text: &str) -> (&str, &str) {
    let Some((head, _)) = text.char_indices().nth(HEAD) else { return (text, "") };
    let Some((tail, _)) = text.char_indices().nth_back(TAIL - 1) else { return (text, "") };
    if tail <= head { (text, "") } else { (&text[..head], &text[tail..]) }
}

/// The first 600 and the last 300 characters of a text, with a line break between them; or the
/// text itself, if it is no longer. Time and memory do not depend on the length.
pub fn clip(text: &str) -> Cow<'_, str> {
    match clipped(text) {
        (all, "") => Cow::Borrowed(all),
        (head, tail) => Cow::Owned([head, "\n", tail].concat()),
    }
}

/// Who speaks in a turn, as far as a category depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The caller.
    User,
    /// Instructions, the model, a tool.
    Other,
}

/// One text of a conversation. A message of several text parts gives several, with the same
/// `message`.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The message it belongs to: equal for the parts of one, different for neighbours.
    pub message: usize,
    /// Who says it.
    pub role: Role,
    /// The result of a tool, which some protocols put into the user's messages.
    pub tool_result: bool,
    /// The text.
    pub text: &'a str,
}

/// The text that tells what a conversation is about: the last user message that has text of its
/// own. Results of tools and `<system-reminder>` blocks, which harnesses put into the user's mouth,
/// are not the user's own. Where no message is left, all that the user's turns say; where that
/// is nothing, nothing.
pub fn prompt_text(parts: &[Part<'_>]) -> Option<String> {
    let user = |part: &&Part<'_>| part.role == Role::User && !part.tool_result;
    let mut at = parts.len();
    while let Some(last) = parts[..at].iter().rposition(|part| user(&part)) {
        let message = parts[last].message;
        let first = parts[..last].iter().rposition(|part| part.message != message);
        let first = first.map_or(0, |before| before + 1);
        let own = own_text(parts[first..=last].iter().filter(user).map(|part| part.text));
        if own.is_some() {
            return own;
        }
        at = first;
    }
    let turns = parts.iter().filter(|part| part.role == Role::User && !part.tool_result);
    all_text(turns.map(|part| part.text))
}

/// What the texts of one message of the user say, without `<system-reminder>` blocks; `None`:
/// nothing.
pub fn own_text<'a>(texts: impl Iterator<Item = &'a str>) -> Option<String> {
    joined(texts.map(without_reminders))
}

/// What all of these texts say; `None`: nothing.
pub fn all_text<'a>(texts: impl Iterator<Item = &'a str>) -> Option<String> {
    joined(texts.map(Cow::Borrowed))
}

/// Texts with a line break between them, without the empty ones.
fn joined<'a>(texts: impl Iterator<Item = Cow<'a, str>>) -> Option<String> {
    let mut all = String::new();
    for text in texts.filter(|text| !text.trim().is_empty()) {
        if !all.is_empty() {
            all.push('\n');
        }
        all.push_str(text.trim());
    }
    (!all.is_empty()).then_some(all)
}

/// The text without `<system-reminder>` blocks. One that never ends reaches to the end.
fn without_reminders(text: &str) -> Cow<'_, str> {
    const OPEN: &str = "<system-reminder>";
    const CLOSE: &str = "</system-reminder>";
    if !text.contains(OPEN) {
        return Cow::Borrowed(text);
    }
    let (mut left, mut rest) = (String::new(), text);
    while let Some((before, block)) = rest.split_once(OPEN) {
        left.push_str(before);
        rest = block.split_once(CLOSE).map_or("", |(_, after)| after);
    }
    left.push_str(rest);
    Cow::Owned(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(message: usize, role: Role, tool_result: bool, text: &str) -> Part<'_> {
        Part { message, role, tool_result, text }
    }

    #[test]
    fn a_long_text_is_clipped_between_characters() {
        let short = "ä".repeat(HEAD + TAIL);
        assert_eq!(clip(&short), short);
        let long = format!("{}{}{}", "ä".repeat(HEAD), "x", "語".repeat(TAIL));
        assert_eq!(clip(&long), format!("{}\n{}", "ä".repeat(HEAD), "語".repeat(TAIL)));
        assert_eq!(clip(""), "");
    }

    #[test]
    fn the_last_message_with_text_of_its_own_counts() {
        let parts = [
            part(0, Role::Other, false, "You are helpful."),
            part(1, Role::User, false, "Fix the build."),
            part(1, Role::User, false, "It is slow, too."),
            part(2, Role::Other, false, "I look at it."),
            part(3, Role::User, true, "error: no such file"),
            part(3, Role::User, false, "<system-reminder>Be brief.</system-reminder>\n"),
        ];
        assert_eq!(prompt_text(&parts).as_deref(), Some("Fix the build.\nIt is slow, too."));
        assert_eq!(prompt_text(&parts[..1]), None);
        assert_eq!(prompt_text(&[]), None);
    }

    #[test]
    fn a_reminder_leaves_the_rest_of_its_message() {
        let text = "a <system-reminder>x</system-reminder>b<system-reminder>never ends";
        let parts = [part(0, Role::User, false, "first"), part(1, Role::User, false, text)];
        assert_eq!(prompt_text(&parts).as_deref(), Some("a b"));
        let parts = [part(0, Role::User, false, "<system-reminder>all there is")];
        assert_eq!(prompt_text(&parts).as_deref(), Some("<system-reminder>all there is"));
    }
}
