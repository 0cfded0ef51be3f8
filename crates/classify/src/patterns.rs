//! Finds every phrase and shape of the table in a text, reading it once.
//!
//! The phrases, with all their choices written out, are one Aho-Corasick automaton: linear in the
//! text whatever it holds, a fixed size, built in milliseconds. Borders of words and distances are
//! looked at where a phrase was found.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind};

use crate::rules::{LANGUAGES, RULES, Rule};

/// Characters of the zones "head" and "tail" of patterns.
const EDGE: usize = 160;
/// Head, tail, anywhere.
pub(crate) const PLACES: usize = 3;
/// How explanations name them.
pub(crate) const PLACE_NAMES: [&str; PLACES] =
    ["near the beginning", "near the end", "in the text"];
/// How many features the table gives.
pub(crate) const FOUND: usize = RULES.len() * PLACES;

const _: () = assert!(RULES.len() <= 128, "one bit a rule");

/// The automaton and what its patterns mean.
struct Phrasebook {
    automaton: AhoCorasick,
    meaning: Vec<Meaning>,
}

/// What a written-out phrase stands for.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one sign of the table's notation")]
struct Meaning {
    rule: u8,
    /// It is the first of a pair.
    first: bool,
    /// It must begin at the border of a word, or the text.
    opens: bool,
    /// It must end there.
    closes: bool,
    /// It must begin the text.
    starts: bool,
}

static PHRASEBOOK: LazyLock<Phrasebook> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "constants, which the tests build")]
    build().expect("the table of phrases is small")
});

/// Builds the automaton, so that the first prompt does not wait for it.
pub(crate) fn warm() {
    LazyLock::force(&PHRASEBOOK);
}

fn build() -> Result<Phrasebook, BuildError> {
    let (mut phrases, mut meaning) = (Vec::new(), Vec::new());
    for (index, (_, rule)) in RULES.iter().enumerate() {
        let mut add = |written: &[&str], first: bool| {
            for written in written {
                for phrase in choices(&written.replace("{language}", &format!("({LANGUAGES})"))) {
                    let starts = phrase.starts_with('^');
                    let opens = !phrase.starts_with(['*', '^']);
                    let closes = !phrase.ends_with('*');
                    let text = phrase.trim_start_matches(['*', '^']).trim_end_matches('*');
                    let rule = u8::try_from(index).unwrap_or(u8::MAX);
                    let wordy = |char: Option<char>| char.is_some_and(char::is_alphanumeric);
                    let opens = opens && wordy(text.chars().next());
                    let closes = closes && wordy(text.chars().next_back());
                    meaning.push(Meaning { rule, first, opens, closes, starts });
                    // Two choices of nothing may leave two spaces.
                    phrases.push(
                        text.split(' ')
                            .filter(|word| !word.is_empty())
                            .collect::<Vec<_>>()
                            .join(" "),
                    );
                }
            }
        };
        match rule {
            Rule::Phrases(phrases) => add(phrases, false),
            Rule::Near { first, then, .. } => {
                add(first, true);
                add(then, false);
            }
            Rule::Shape(_) => {}
        }
    }
    let automaton = AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .match_kind(MatchKind::Standard)
        .build(&phrases)?;
    Ok(Phrasebook { automaton, meaning })
}

/// Writes out the choices of a phrase.
fn choices(phrase: &str) -> Vec<String> {
    let Some((before, rest)) = phrase.split_once('(') else { return vec![phrase.to_owned()] };
    let Some((options, after)) = rest.split_once(')') else { return vec![phrase.to_owned()] };
    let after = choices(after);
    let written = options
        .split('|')
        .flat_map(|option| after.iter().map(move |after| [before, option, after].concat()));
    written.collect()
}

/// Which rules hold where: one bit a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Matches([u128; PLACES]);

impl Matches {
    /// Whether a rule holds in a place.
    #[cfg(test)]
    pub(crate) fn holds(&self, rule: usize, place: usize) -> bool {
        self.0[place] >> rule & 1 == 1
    }

    /// Calls `with` for the rules that hold in a place.
    #[inline]
    pub(crate) fn each(&self, place: usize, mut with: impl FnMut(usize)) {
        let mut bits = self.0[place];
        while bits != 0 {
            with(bits.trailing_zeros() as usize);
            bits &= bits - 1;
        }
    }
}

/// Where a text's head ends and its tail begins, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edges {
    pub(crate) head: usize,
    pub(crate) tail: usize,
}

impl Edges {
    pub(crate) fn of(text: &str) -> Self {
        let head = text.char_indices().nth(EDGE).map_or(text.len(), |(at, _)| at);
        let tail = text.char_indices().nth_back(EDGE - 1).map_or(0, |(at, _)| at);
        Self { head, tail }
    }
}

impl Matches {
    /// Notes that a rule holds for what is between `start` and `end`.
    #[inline]
    pub(crate) fn note(&mut self, rule: usize, start: usize, end: usize, edges: Edges) {
        let bit = 1 << rule;
        self.0[2] |= bit;
        if end <= edges.head {
            self.0[0] |= bit;
        }
        if start >= edges.tail {
            self.0[1] |= bit;
        }
    }
}

/// Finds the phrases in a text of lower case, with single spaces.
pub(crate) fn phrases(text: &str, found: &mut Matches) {
    let book = &*PHRASEBOOK;
    let bytes = text.as_bytes();
    let edges = Edges::of(text);
    // Signs beyond ASCII count as parts of words: no table of them is needed for a border.
    let wordy = |at: usize| {
        bytes
            .get(at)
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80)
    };
    let mut first = [None; RULES.len()];
    for one in book.automaton.find_overlapping_iter(bytes) {
        let (start, end) = (one.start(), one.end());
        let meaning = book.meaning[one.pattern().as_usize()];
        if (meaning.opens && start > 0 && wordy(start - 1))
            || (meaning.closes && wordy(end))
            || (meaning.starts && start > usize::from(bytes.first() == Some(&b' ')))
        {
            continue;
        }
        let rule = usize::from(meaning.rule);
        match RULES[rule].1 {
            Rule::Near { .. } if meaning.first => first[rule] = Some((start, end)),
            Rule::Near { within, .. } => {
                if let Some((before, ended)) = first[rule]
                    && ended <= start
                    && end - ended <= within
                {
                    found.note(rule, before, end, edges);
                }
            }
            Rule::Phrases(_) | Rule::Shape(_) => found.note(rule, start, end, edges),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str, name: &str) -> bool {
        let mut found = Matches::default();
        phrases(text, &mut found);
        let rule = RULES.iter().position(|(one, _)| *one == name).unwrap();
        found.holds(rule, 2)
    }

    #[test]
    fn choices_are_written_out() {
        assert_eq!(
            choices("a (b|c|) d(e|)"),
            ["a b de", "a b d", "a c de", "a c d", "a  de", "a  d"]
        );
        assert!(build().unwrap().meaning.len() > 500);
    }

    #[test]
    fn borders_distances_and_beginnings_are_looked_at() {
        assert!(holds("please translate this", "asks to translate"));
        assert!(!holds("mistranslated", "asks to translate"));
        assert!(holds("in c++?", "names a technology"));
        assert!(!holds("a rusty nail", "names a technology"));
        assert!(holds("write me a short story", "asks to write a text"));
        assert!(!holds(&format!("write {} story", "x".repeat(80)), "asks to write a text"));
        assert!(holds(" what is it", "begins with a question word"));
        assert!(!holds("so what is it", "begins with a question word"));
    }

    #[test]
    fn places_are_told_apart() {
        let mut found = Matches::default();
        phrases(&format!("translate {} tl;dr", "x ".repeat(200)), &mut found);
        let rule = |name| RULES.iter().position(|(one, _)| *one == name).unwrap();
        let places = |name| [0, 1, 2].map(|place| found.holds(rule(name), place));
        assert_eq!(places("asks to translate"), [true, false, true]);
        assert_eq!(places("tl;dr"), [false, true, true]);
    }
}
