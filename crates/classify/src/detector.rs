//! The built-in detector: features times weights, to calibrated shares of one.

use std::{fmt, sync::LazyLock};

use crate::{
    CATEGORIES, Category,
    features::{Row, Shapes},
    grams::{Gram, Sink, Words, ZONES, Zone, weights},
    hash::{BUCKETS, Hash},
    model::{LANES, Model},
    patterns,
    text::clipped,
};

/// The embedded model.
pub(crate) const MODEL: &[u8] = include_bytes!("../model/builtin.bin");

static BUILTIN: LazyLock<Detector> = LazyLock::new(|| {
    patterns::warm();
    // What was embedded is what was built, and the tests decode it.
    #[expect(clippy::expect_used, reason = "a constant, which the tests decode")]
    Detector::from_model(MODEL).expect("the embedded model is whole")
});

/// The share of each category where nothing tells them apart.
const EVEN: f32 = 1.0 / 7.0;
const _: () = assert!(CATEGORIES == 7, "`EVEN` counts them");

/// Tokens that a text without any phrase or shape must have before it tells anything.
const TELLING: usize = 3;

/// Tells what a prompt is about. Shared by threads; each brings its own [`Scratch`].
#[derive(Clone)]
pub struct Detector {
    pub(crate) model: Model,
    /// Identifies the model: what was trained beside it is of no use beside another.
    pub(crate) fingerprint: u32,
}

impl fmt::Debug for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detector")
            .field("temperature", &self.model.temperature)
            .finish_non_exhaustive()
    }
}

/// Buffers that are kept from prompt to prompt: a few kilobytes, after the first long one.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) words: Words,
    /// A clipped text in one piece, for rules.
    pub(crate) clipped: String,
}

/// What a prompt is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// The likeliest category.
    pub category: Category,
    /// How likely it is: its share in `scores`.
    pub confidence: f32,
    /// Each category's share of one, in the order of [`Category::ALL`].
    pub scores: [f32; CATEGORIES],
}

impl Detection {
    /// The category, if it is at least so likely; `None` is Default.
    pub fn routed(&self, confidence_percent: u8) -> Option<Category> {
        (self.confidence * 100.0 >= f32::from(confidence_percent)).then_some(self.category)
    }

    /// From calibrated shares of one.
    pub(crate) fn of(scores: [f32; CATEGORIES]) -> Self {
        let best =
            (1..CATEGORIES).fold(0, |best, at| if scores[at] > scores[best] { at } else { best });
        Self { category: Category::ALL[best], confidence: scores[best], scores }
    }
}

impl Model {
    /// Scores without bounds to shares of one that are likelihoods.
    fn calibrated(&self, mut scores: [f32; CATEGORIES]) -> [f32; CATEGORIES] {
        let most = scores.iter().fold(f32::NEG_INFINITY, |most, one| most.max(*one));
        for score in &mut scores {
            *score = libm::expf((*score - most) / self.temperature);
        }
        let sum: f32 = scores.iter().sum();
        scores.map(|score| (1.0 - self.doubt) * score / sum + self.doubt * EVEN)
    }
}

impl Detector {
    /// The detector that every binary carries. The first call reads the embedded model and builds
    /// the automaton of phrases, some milliseconds; call it before the first request.
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// Reads a model file, such as one that was just trained.
    pub fn from_model(file: &[u8]) -> Result<Self, crate::ModelError> {
        Ok(Self { model: Model::decode(file)?, fingerprint: Hash::new("").then(file).sum() })
    }

    /// Tells what a text is about. Takes the same time for any text longer than 900 characters: the
    /// middle is not looked at. An empty text has a category too, and no confidence to speak of.
    pub fn detect(&self, text: &str, scratch: &mut Scratch) -> Detection {
        self.found(text, scratch).0
    }

    /// The shares of a text whose features are known.
    pub(crate) fn shares(&self, row: &Row) -> [f32; CATEGORIES] {
        let model = &self.model;
        let mut scores = model.bias;
        for (feature, value) in &row.0 {
            let feature = *feature as usize;
            for (category, score) in scores.iter_mut().enumerate() {
                *score += value
                    * match model.buckets.get(feature) {
                        Some(weights) => f32::from(weights[category]) * model.scale[category],
                        None => model.shapes[feature - BUCKETS][category],
                    };
            }
        }
        model.calibrated(scores)
    }

    /// What a text is about, and what was found in it that is not hashed.
    pub(crate) fn found(&self, text: &str, scratch: &mut Scratch) -> (Detection, Shapes) {
        let pieces: [&str; 2] = clipped(text).into();
        scratch.words.set(pieces);
        let mut sums = Sums { table: &self.model.buckets, sums: [[0; LANES]; ZONES] };
        let weights = weights(scratch.words.grams(&mut sums));
        let mut logits = [0.0; LANES];
        for (zone, weight) in sums.sums.iter().zip(weights) {
            // A zone has a few thousand features of seven bits: exact in a float.
            #[expect(clippy::cast_precision_loss, reason = "below 2^24")]
            logits.iter_mut().zip(zone).for_each(|(logit, sum)| *logit += *sum as f32 * weight);
        }
        let model = &self.model;
        let mut scores = [0.0; CATEGORIES];
        for (category, score) in scores.iter_mut().enumerate() {
            *score = logits[category] * model.scale[category] + model.bias[category];
        }
        let shapes = Shapes::of(pieces, &scratch.words);
        shapes.each(|index, value| {
            scores
                .iter_mut()
                .zip(model.shapes[index])
                .for_each(|(score, weight)| *score += weight * value);
        });
        // A word or two without any sign of a wish: whatever the weights make of it is a guess.
        if scratch.words.count() < TELLING && !shapes.has_wish() {
            scores = [0.0; CATEGORIES];
        }
        (Detection::of(model.calibrated(scores)), shapes)
    }
}

/// Adds up weights as they are stored; what a zone's feature is worth comes afterwards.
struct Sums<'a> {
    table: &'a [[i8; LANES]],
    sums: [[i32; LANES]; ZONES],
}

impl Sink for Sums<'_> {
    #[inline]
    fn gram(&mut self, zone: Zone, bucket: u16, _: Gram) {
        let weights = &self.table[usize::from(bucket)];
        let sums = &mut self.sums[zone as usize];
        sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += i32::from(*weight));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_prompts_are_told_apart() {
        let mut scratch = Scratch::default();
        for (prompt, category) in [
            ("Write a Python function that returns the primes below n.", Category::Coding),
            ("Write a sad poem about a lighthouse.", Category::ContentWriting),
            ("Translate to French: Good morning, my friend.", Category::Translation),
            ("Is this review positive or negative? The food was awful.", Category::Classification),
            (
                "Summarize the following article in two sentences: The council met.",
                Category::Summarization,
            ),
            ("What is the integral of x^2 from 0 to 3?", Category::MathReasoning),
            ("Who discovered the moons of Jupiter?", Category::QuestionAnswering),
        ] {
            let found = Detector::builtin().detect(prompt, &mut scratch);
            assert_eq!(found.category, category, "{prompt}: {found:?}");
        }
    }

    #[test]
    fn a_word_or_two_tell_nothing() {
        let mut scratch = Scratch::default();
        for unclear in ["hm", "", "42", "hello", "ok thanks", "legal", "\u{1f600}"] {
            let found = Detector::builtin().detect(unclear, &mut scratch);
            assert_eq!(found.routed(crate::CONFIDENCE_PERCENT), None, "{unclear:?}: {found:?}");
        }
    }

    #[test]
    fn a_row_and_its_text_have_the_same_shares() {
        let mut scratch = Scratch::default();
        let text = "Write a haiku about a bridge, please.";
        let shares = Detector::builtin().shares(&Row::of(text, &mut Words::default()));
        let found = Detector::builtin().detect(text, &mut scratch);
        for (a, b) in shares.into_iter().zip(found.scores) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn what_is_not_sure_enough_goes_to_default() {
        let found = Detection::of([EVEN; CATEGORIES]);
        assert_eq!(found.routed(50), None);
        assert_eq!(found.routed(0), Some(found.category));
    }
}
