//! The text of a request that tells what it is about.

use classify::{all_text, own_text};
use providers::prompt::Turns;
use routing::category::Sticky;

use crate::facts::Asked;

/// What the user last said in words of its own, or first, where that decides for the whole
/// conversation; where all that is said is a harness's, that; `None`: nothing is said.
pub(super) fn of(asked: &Asked, sticky: Sticky) -> Option<String> {
    let turns = Turns::of(asked.endpoint, &asked.text);
    let own = |turn: usize| own_text(turns.texts(turn).iter().map(|text| &**text));
    let mut each = 0..turns.count();
    let found = match sticky {
        Sticky::None => each.rev().find_map(own),
        Sticky::Session => each.find_map(own),
    };
    found.or_else(|| {
        let all: Vec<_> = (0..turns.count()).flat_map(|turn| turns.texts(turn)).collect();
        all_text(all.iter().map(|text| &**text))
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;
    use routing::Endpoint;

    use super::*;

    fn found(messages: &str, sticky: Sticky) -> Option<String> {
        let body = Bytes::from(format!(r#"{{"model": "a", "messages": [{messages}]}}"#));
        let asked = Asked::read(Endpoint::ChatCompletions, None, body, &HeaderMap::new()).unwrap();
        of(&asked, sticky)
    }

    #[test]
    fn the_last_words_of_the_user_count_or_the_first() {
        let turns = r#"{"role": "system", "content": "s"}, {"role": "user", "content": "one"},
            {"role": "assistant", "content": "a"}, {"role": "user", "content": "two"},
            {"role": "user", "content": [{"type": "text",
                "text": "<system-reminder>three</system-reminder>"}]},
            {"role": "tool", "content": "four"}"#;
        assert_eq!(found(turns, Sticky::None).as_deref(), Some("two"));
        assert_eq!(found(turns, Sticky::Session).as_deref(), Some("one"));
        let reminder = "<system-reminder>all</system-reminder>";
        let only = format!(r#"{{"role": "user", "content": "{reminder}"}}"#);
        assert_eq!(found(&only, Sticky::None).as_deref(), Some(reminder));
        assert_eq!(found(r#"{"role": "system", "content": "s"}"#, Sticky::None), None);
        assert_eq!(found(r#"{"role": "user", "content": " \n"}"#, Sticky::Session), None);
    }
}
