//! Messages for people: joined, and never longer than an Event may be.

use api::condition::MAX_MESSAGE;
use routing::ObjectId;

/// Room for ` and N more`.
const TAIL: usize = 24;

/// The parts, joined by `; ` as long as they fit, then how many are left out.
pub(crate) fn join<S: AsRef<str>>(parts: &[S]) -> String {
    let mut out = String::new();
    for (i, part) in parts.iter().enumerate() {
        let separator = if i == 0 { "" } else { "; " };
        let last = i + 1 == parts.len();
        let room = if last { MAX_MESSAGE } else { MAX_MESSAGE - TAIL };
        if out.len() + separator.len() + part.as_ref().len() > room {
            if i == 0 {
                out.push_str(&cut(part.as_ref(), MAX_MESSAGE - TAIL));
            }
            let left = parts.len() - i - usize::from(i == 0);
            if left > 0 {
                out.push_str(&format!(" and {left} more"));
            }
            break;
        }
        out.push_str(separator);
        out.push_str(part.as_ref());
    }
    out
}

/// At most `max` bytes of the text, cut between characters and marked.
pub(crate) fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// A name out of an object that may hold anything: quoted, and short enough for a message.
pub(crate) fn quote(name: &str) -> String {
    format!("{:?}", cut(name, 80))
}

/// A reference, which may hold anything: as it is, where an object can have such a name.
pub(crate) fn quote_id(id: &ObjectId) -> String {
    let text = id.to_string();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'/');
    if text.len() <= 320 && text.bytes().all(plain) { text } else { quote(&text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_keeps_its_bound_and_counts_what_is_left_out() {
        assert_eq!(join::<&str>(&[]), "");
        assert_eq!(join(&["a", "b"]), "a; b");
        let parts: Vec<String> = (0..100).map(|i| format!("part {i} of a long list")).collect();
        let text = join(&parts);
        assert!(text.len() <= MAX_MESSAGE);
        let shown = text.matches("part").count();
        assert!(text.ends_with(&format!(" and {} more", 100 - shown)), "{text}");
        let long = "ü".repeat(2_000);
        assert!(join(&[&long]).len() <= MAX_MESSAGE);
        assert!(join(&[&long, "b"]).ends_with(" and 1 more"));
    }
}
