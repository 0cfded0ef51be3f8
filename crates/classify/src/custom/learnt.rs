//! Trained categories at work: their odds for a prompt.

use super::{
    CompiledCategories, CustomError,
    examples::{EXTRAS, extra, train},
    trained::Weights,
};
use crate::{
    Detection, Detector, Scratch,
    features::{SHAPES, Shapes},
    grams::{Gram, Sink, Words, ZONES, Zone, weights},
};

/// What was learnt about some categories, each known by its place.
#[derive(Clone, Debug)]
pub(crate) struct Learnt {
    categories: Vec<(usize, Weights)>,
    sharpness: f32,
}

impl Learnt {
    /// Reads what was compiled for this detector.
    pub(super) fn read(
        detector: &Detector,
        compiled: &CompiledCategories,
    ) -> Result<Self, CustomError> {
        let mut categories = Vec::new();
        for (place, category) in compiled.categories.iter().enumerate() {
            let Some(trained) = &category.trained else { continue };
            let weights = trained.read(detector.fingerprint);
            let weights = weights.ok_or_else(|| CustomError::Weights(category.name.clone()))?;
            categories.push((place, weights));
        }
        Ok(Self { categories, sharpness: compiled.sharpness })
    }

    /// Learns from examples; a category without examples stays unknown.
    pub(crate) fn train(detector: &Detector, examples: &[Vec<String>]) -> Self {
        let borrowed: Vec<&[String]> = examples.iter().map(Vec::as_slice).collect();
        let (trained, sharpness) = train(detector, &borrowed);
        let read = |(place, trained): (usize, Option<super::Trained>)| {
            Some((place, trained?.read(detector.fingerprint)?))
        };
        Self { categories: trained.into_iter().enumerate().filter_map(read).collect(), sharpness }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.categories.is_empty()
    }

    /// The place of the likeliest category.
    pub(crate) fn best(
        &self,
        detector: &Detector,
        text: &str,
        scratch: &mut Scratch,
    ) -> Option<usize> {
        let (logits, shapes) = detector.logits(text, scratch);
        let odds = self.odds(&Detection::of(logits), &shapes, &scratch.words);
        odds.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(place, _)| place)
    }

    /// Each category's odds: how much likelier it is than not.
    pub(super) fn odds(
        &self,
        builtin: &Detection,
        shapes: &Shapes,
        words: &Words,
    ) -> Vec<(usize, f32)> {
        let one = |(place, weights_of): &(usize, Weights)| {
            let mut sums = Sums { buckets: &weights_of.buckets, sums: [0.0; ZONES] };
            let zones = weights(words.grams(&mut sums));
            let mut score = weights_of.bias;
            score += sums.sums.iter().zip(zones).map(|(sum, weight)| sum * weight).sum::<f32>();
            shapes.each(|at, value| score += weights_of.extras[at] * value);
            for (weight, share) in weights_of.extras[SHAPES..EXTRAS].iter().zip(builtin.scores) {
                score += weight * extra(share);
            }
            // Bounded, so that odds stay finite.
            (*place, libm::expf((score * self.sharpness).clamp(-20.0, 20.0)))
        };
        self.categories.iter().map(one).collect()
    }
}

struct Sums<'a> {
    buckets: &'a [f32],
    sums: [f32; ZONES],
}

impl Sink for Sums<'_> {
    #[inline]
    fn gram(&mut self, zone: Zone, bucket: u16, _: Gram) {
        self.sums[zone as usize] += self.buckets[usize::from(bucket)];
    }
}
