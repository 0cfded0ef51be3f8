//! All features of a text, as the trainer and the detector see them: hashed n-grams, then the
//! patterns of three places, then the statistics.

use crate::{
    grams::{Gram, Sink, Words, ZONES, Zone, weights},
    hash::BUCKETS,
    patterns::{self, FOUND, Matches, PLACES},
    rules::{RULES, TRADES},
    shapes,
    statistics::{STATISTICS, statistics},
    text::clipped,
};

/// Features that are not hashed.
pub(crate) const SHAPES: usize = FOUND + STATISTICS;
/// Every feature.
pub(crate) const FEATURES: usize = BUCKETS + SHAPES;
/// The weight of what is not hashed.
pub(crate) const SHAPE_WEIGHT: f32 = 0.35;

/// What of a text is not hashed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shapes {
    pub(crate) matches: Matches,
    pub(crate) statistics: [f32; STATISTICS],
}

impl Shapes {
    /// Of a text, in pieces and as `words` hold it.
    pub(crate) fn of(pieces: [&str; 2], words: &Words) -> Self {
        let mut matches = Matches::default();
        patterns::phrases(words.text(), &mut matches);
        shapes::shapes(pieces, &mut matches);
        Self { matches, statistics: statistics(pieces) }
    }

    /// Whether any phrase or shape was found that is more than a subject.
    pub(crate) fn has_wish(&self) -> bool {
        let mut any = false;
        (0..PLACES)
            .for_each(|place| self.matches.each(place, |rule| any |= rule < RULES.len() - TRADES));
        any
    }

    /// Each feature that is not zero, and its value.
    #[inline]
    pub(crate) fn each(&self, mut with: impl FnMut(usize, f32)) {
        for place in 0..PLACES {
            self.matches.each(place, |rule| with(rule * PLACES + place, SHAPE_WEIGHT));
        }
        for (index, value) in self.statistics.into_iter().enumerate() {
            with(FOUND + index, value * SHAPE_WEIGHT);
        }
    }
}

/// A text's features for training: index and value, each index once, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row(pub(crate) Vec<(u32, f32)>);

impl Row {
    /// The features of a text.
    pub(crate) fn of(text: &str, words: &mut Words) -> Self {
        let pieces: [&str; 2] = clipped(text).into();
        words.set(pieces);
        let mut all = Collect(Vec::new());
        let weights = weights(words.grams(&mut all));
        let mut row: Vec<(u32, f32)> = all
            .0
            .into_iter()
            .map(|(zone, bucket)| (u32::from(bucket), weights[zone as usize]))
            .collect();
        row.sort_by_key(|(index, _)| *index);
        row.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        Shapes::of(pieces, words).each(|index, value| row.push((shape(index), value)));
        Self(row)
    }
}

/// The index of a feature that is not hashed.
pub(crate) fn shape(index: usize) -> u32 {
    u32::try_from(BUCKETS + index).unwrap_or(u32::MAX)
}

struct Collect(Vec<(Zone, u16)>);

impl Sink for Collect {
    fn gram(&mut self, zone: Zone, bucket: u16, _: Gram) {
        self.0.push((zone, bucket));
    }
}

const _: () = assert!(ZONES == Zone::ALL.len());
