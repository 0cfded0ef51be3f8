//! Hashed n-grams of a text: of words at its beginning, at its end and in all of it, and of letters.
//!
//! A token is a run of word characters or one other sign; it is compared in lower case, and a
//! number is `0` whatever its value. Each zone's features share a weight, divided by the square
//! root of their count, so that a zone weighs the same in a short text and in a long one.

use crate::hash::Hash;

/// Tokens of the zones [`Zone::Head`] and [`Zone::Tail`].
const EDGE: usize = 16;
/// Characters of the zone [`Zone::Letters`].
const LETTERS: usize = 400;

/// Where in a text features are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    /// One to three of the first sixteen tokens.
    Head,
    /// One to three of the last sixteen tokens.
    Tail,
    /// One or two tokens from anywhere.
    Body,
    /// The first token, and the first two.
    Opening,
    /// Three or four of the first 400 characters.
    Letters,
}

/// How many zones there are.
pub(crate) const ZONES: usize = 5;

impl Zone {
    pub(crate) const ALL: [Self; ZONES] =
        [Self::Head, Self::Tail, Self::Body, Self::Opening, Self::Letters];

    /// Its weight among the zones.
    pub(crate) fn weight(self) -> f32 {
        match self {
            Self::Body | Self::Letters => 1.0,
            Self::Tail => 0.8,
            Self::Head => 0.7,
            Self::Opening => 0.3,
        }
    }

    /// How explanations name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Head => "near the beginning",
            Self::Tail => "near the end",
            Self::Body => "in the text",
            Self::Opening => "at the beginning",
            Self::Letters => "letters",
        }
    }
}

/// Receives features.
pub(crate) trait Sink {
    /// One feature: its bucket, and what is hashed, as bytes of [`Words::text`] or tokens.
    fn gram(&mut self, zone: Zone, bucket: u16, what: Gram);
}

/// What a feature is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gram {
    /// This many tokens from this one.
    Tokens(usize, usize),
    /// These bytes of the text.
    Bytes(usize, usize),
}

/// A text made ready: lower case, white space collapsed, cut into tokens. The buffers are kept from
/// text to text.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// `0`, a space, and the text.
    text: String,
    /// Where tokens begin and end in `text`.
    tokens: Vec<(u32, u32)>,
}

/// Where `text` holds the token that stands for every number.
const NUMBER: (u32, u32) = (0, 1);
/// Where the space before the text stands.
const SPACE: usize = 1;
/// Where the text begins.
const TEXT: usize = 2;

impl Words {
    /// Takes in a text of at most a thousand characters or so.
    pub(crate) fn set(&mut self, pieces: [&str; 2]) {
        self.text.clear();
        self.tokens.clear();
        self.text.push_str("0 ");
        let mut run: Option<Run> = None;
        let mut space = false;
        let between = (!pieces[1].is_empty()).then_some('\n');
        for char in pieces[0].chars().chain(between).chain(pieces[1].chars()) {
            let word = if char.is_ascii() {
                char.is_ascii_alphanumeric() || char == '_'
            } else {
                char.is_alphanumeric()
            };
            if !word && let Some(run) = run.take() {
                self.tokens.push(run.token(self.text.len()));
            }
            if char.is_whitespace() {
                if !space {
                    self.text.push(' ');
                }
                space = true;
                continue;
            }
            space = false;
            let start = self.text.len();
            if char.is_ascii() {
                self.text.push(char.to_ascii_lowercase());
            } else {
                self.text.extend(char.to_lowercase());
            }
            if word {
                let digit = char.is_numeric();
                let run = run.get_or_insert(Run { start, digits: true });
                run.digits &= digit;
            } else {
                self.tokens.push((offset(start), offset(self.text.len())));
            }
        }
        if let Some(run) = run {
            self.tokens.push(run.token(self.text.len()));
        }
    }

    /// The text in lower case, with single spaces.
    pub(crate) fn text(&self) -> &str {
        &self.text[TEXT..]
    }

    /// The bytes of a token.
    fn token(&self, at: usize) -> &[u8] {
        let (start, end) = self.tokens[at];
        &self.text.as_bytes()[start as usize..end as usize]
    }

    /// How many tokens there are.
    pub(crate) fn count(&self) -> usize {
        self.tokens.len()
    }

    /// What a feature is made of, in words.
    pub(crate) fn spell(&self, gram: Gram) -> String {
        match gram {
            Gram::Tokens(first, count) => {
                let tokens =
                    (first..first + count).map(|at| String::from_utf8_lossy(self.token(at)));
                tokens.collect::<Vec<_>>().join(" ")
            }
            Gram::Bytes(start, end) => self.text.get(start..end).unwrap_or_default().to_owned(),
        }
    }

    /// Gives every feature to `sink`, and returns each zone's count of features.
    pub(crate) fn grams(&self, sink: &mut impl Sink) -> [usize; ZONES] {
        const TWO_DOTS: [Hash; 3] = [Hash::new("h:"), Hash::new("t:"), Hash::new("g:")];
        let count = self.count();
        let edge = count.min(EDGE);
        [
            self.words::<3>(Zone::Head, TWO_DOTS[0], 0, edge, sink),
            self.words::<3>(Zone::Tail, TWO_DOTS[1], count - edge, count, sink),
            self.words::<2>(Zone::Body, TWO_DOTS[2], 0, count, sink),
            self.opening(sink),
            self.letters(sink),
        ]
    }

    /// N-grams of one to `N` of the tokens from `start` to `end`.
    fn words<const N: usize>(
        &self,
        zone: Zone,
        prefix: Hash,
        start: usize,
        end: usize,
        sink: &mut impl Sink,
    ) -> usize {
        let mut count = 0;
        for at in start..end {
            let mut hash = prefix.then(self.token(at));
            sink.gram(zone, hash.bucket(), Gram::Tokens(at, 1));
            count += 1;
            for more in 1..N.min(end - at) {
                hash = hash.then(b" ").then(self.token(at + more));
                sink.gram(zone, hash.bucket(), Gram::Tokens(at, more + 1));
                count += 1;
            }
        }
        count
    }

    fn opening(&self, sink: &mut impl Sink) -> usize {
        const ONE: Hash = Hash::new("f1:");
        const TWO: Hash = Hash::new("f2:");
        let count = self.count().min(2);
        let (mut one, mut two) = (ONE, TWO);
        if count > 0 {
            one = one.then(self.token(0));
            two = two.then(self.token(0));
        }
        if count > 1 {
            two = two.then(b" ").then(self.token(1));
        }
        sink.gram(Zone::Opening, one.bucket(), Gram::Tokens(0, count.min(1)));
        sink.gram(Zone::Opening, two.bucket(), Gram::Tokens(0, count));
        // Each has the zone's whole weight.
        1
    }

    fn letters(&self, sink: &mut impl Sink) -> usize {
        const PREFIX: Hash = Hash::new("c:");
        let bytes = self.text.as_bytes();
        let mut count = 0;
        // The beginnings of the three characters before this one, and the hash of the three.
        let mut last = [usize::MAX; 3];
        let mut three: Option<Hash> = None;
        for (at, char) in self.text[SPACE..].char_indices().take(LETTERS + 1) {
            let start = at + SPACE;
            let end = start + char.len_utf8();
            if let Some(hash) = three {
                let hash = hash.then(&bytes[start..end]);
                sink.gram(Zone::Letters, hash.bucket(), Gram::Bytes(last[0], end));
                count += 1;
            }
            three = (last[1] != usize::MAX).then(|| PREFIX.then(&bytes[last[1]..end]));
            if let Some(hash) = three {
                sink.gram(Zone::Letters, hash.bucket(), Gram::Bytes(last[1], end));
                count += 1;
            }
            last = [last[1], last[2], start];
        }
        count
    }
}

/// Each feature's weight in its zone, of zones with so many features.
pub(crate) fn weights(counts: [usize; ZONES]) -> [f32; ZONES] {
    let mut weights = [0.0; ZONES];
    for (index, zone) in Zone::ALL.into_iter().enumerate() {
        // Fewer than a few thousand: exact.
        let count = u16::try_from(counts[index].max(1)).unwrap_or(u16::MAX);
        weights[index] = zone.weight() / f32::from(count).sqrt();
    }
    weights
}

/// A run of word characters under way.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: usize,
    digits: bool,
}

impl Run {
    fn token(self, end: usize) -> (u32, u32) {
        if self.digits { NUMBER } else { (offset(self.start), offset(end)) }
    }
}

/// Texts are clipped to hundreds of characters.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct All(Words, Vec<String>);

    impl Sink for All {
        fn gram(&mut self, zone: Zone, bucket: u16, what: Gram) {
            self.1.push(format!("{zone:?} {} {bucket}", self.0.spell(what)));
        }
    }

    fn all(text: &str) -> Vec<String> {
        let (mut words, mut same) = (Words::default(), Words::default());
        words.set([text, ""]);
        same.set([text, ""]);
        let mut all = All(same, Vec::new());
        words.grams(&mut all);
        all.1
    }

    /// Buckets are CRC-32 of a zone's prefix and the gram, its lower sixteen bits: as other
    /// programs compute it.
    #[test]
    fn grams_of_a_short_text() {
        assert_eq!(
            all("Ab 12!"),
            [
                "Head ab 14884",
                "Head ab 0 6037",
                "Head ab 0 ! 6395",
                "Head 0 44383",
                "Head 0 ! 568",
                "Head ! 36269",
                "Tail ab 53763",
                "Tail ab 0 54645",
                "Tail ab 0 ! 15519",
                "Tail 0 63307",
                "Tail 0 ! 30907",
                "Tail ! 55225",
                "Body ab 10866",
                "Body ab 0 42304",
                "Body 0 60002",
                "Body 0 ! 38377",
                "Body ! 51856",
                "Opening ab 53472",
                "Opening ab 0 15110",
                "Letters  ab 65079",
                "Letters  ab  23476",
                "Letters ab  27327",
                "Letters ab 1 55232",
                "Letters b 1 55699",
                "Letters b 12 21290",
                "Letters  12 62103",
                "Letters  12! 6342",
                "Letters 12! 10701",
            ]
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
        );
    }

    #[test]
    fn absurd_texts_are_cut_too() {
        assert_eq!(all("").len(), 2, "the opening of nothing");
        assert!(all(" \n\t ").iter().all(|gram| !gram.starts_with("Head")));
        assert!(all("e\u{301}\u{200d}🙂").iter().any(|gram| gram.contains('🙂')));
        assert!(all("İSTANBUL").iter().any(|gram| gram.starts_with("Head i\u{307}stanbul ")));
    }
}
