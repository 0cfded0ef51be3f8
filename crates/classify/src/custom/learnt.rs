//! Trained categories at work: their odds for a prompt, all of them in one pass over its features.

use routing::category::Trained;

use super::{
    CompiledCategories, CustomError,
    examples::{EXTRAS, extra, train},
    trained::{self, Weights},
};
use crate::{
    Detection, Detector, Scratch,
    features::{SHAPES, Shapes},
    grams::{Gram, Sink, Words, ZONES, Zone, weights},
    hash::BUCKETS,
};

/// What was learnt about some categories, each known by its place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Learnt {
    categories: Vec<Rest>,
    table: Table,
    sharpness: f32,
}

/// What of a category's weights is not of a bucket.
#[derive(Clone, Debug)]
struct Rest {
    place: usize,
    bias: f32,
    extras: Vec<f32>,
}

impl Learnt {
    /// Reads what was compiled for this detector.
    pub(super) fn read(
        detector: &Detector,
        compiled: &CompiledCategories,
    ) -> Result<Self, CustomError> {
        let mut all = Vec::new();
        for (place, category) in compiled.categories.iter().enumerate() {
            let Some(trained) = &category.trained else { continue };
            let weights = trained::read(trained, detector.fingerprint);
            all.push((place, weights.ok_or_else(|| CustomError::Weights(category.name.clone()))?));
        }
        Ok(Self::of(all, compiled.sharpness))
    }

    /// Learns from examples; a category without examples stays unknown.
    pub(crate) fn train(detector: &Detector, examples: &[Vec<String>]) -> Self {
        let borrowed: Vec<&[String]> = examples.iter().map(Vec::as_slice).collect();
        let (trained, sharpness) = train(detector, &borrowed);
        let read = |(place, trained): (usize, Option<Trained>)| {
            Some((place, trained::read(&trained?, detector.fingerprint)?))
        };
        Self::of(trained.into_iter().enumerate().filter_map(read).collect(), sharpness)
    }

    fn of(all: Vec<(usize, Weights)>, sharpness: f32) -> Self {
        let buckets: Vec<&[f32]> =
            all.iter().map(|(_, weights)| weights.buckets.as_slice()).collect();
        let table = Table::of(&buckets);
        let rest = |(place, Weights { bias, extras, .. })| Rest { place, bias, extras };
        Self { categories: all.into_iter().map(rest).collect(), table, sharpness }
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
        let (builtin, shapes) = detector.found(text, scratch);
        let odds = self.odds(&builtin, &shapes, &scratch.words);
        odds.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(place, _)| place)
    }

    /// Each category's odds: how much likelier it is than not.
    pub(super) fn odds(
        &self,
        builtin: &Detection,
        shapes: &Shapes,
        words: &Words,
    ) -> Vec<(usize, f32)> {
        if self.is_empty() {
            return Vec::new();
        }
        let sums = vec![[0.0; ZONES]; self.categories.len()];
        let mut sums = Sums { table: &self.table, sums };
        let zones = weights(words.grams(&mut sums));
        let one = |(rest, sums): (&Rest, &[f32; ZONES])| {
            let mut score = rest.bias;
            score += sums.iter().zip(zones).map(|(sum, weight)| sum * weight).sum::<f32>();
            shapes.each(|at, value| score += rest.extras[at] * value);
            for (weight, share) in rest.extras[SHAPES..EXTRAS].iter().zip(builtin.scores) {
                score += weight * extra(share);
            }
            // Bounded, so that odds stay finite.
            (rest.place, libm::expf((score * self.sharpness).clamp(-20.0, 20.0)))
        };
        self.categories.iter().zip(&sums.sums).map(one).collect()
    }
}

/// The weights of buckets that are not zero. Most buckets have none, which one bit tells.
#[derive(Clone, Debug, Default)]
struct Table {
    /// Which buckets have any.
    there: Vec<u64>,
    /// How many have any before each word of `there`.
    before: Vec<u32>,
    /// Where the entries of each bucket that has any begin, and where the last one's end.
    starts: Vec<u32>,
    /// A category, by its index, and its weight.
    entries: Vec<(u32, f32)>,
}

impl Table {
    fn of(categories: &[&[f32]]) -> Self {
        let count = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let mut table = Self {
            there: vec![0; BUCKETS / 64],
            before: Vec::with_capacity(BUCKETS / 64),
            starts: vec![0],
            entries: Vec::new(),
        };
        for bucket in 0..BUCKETS {
            if bucket % 64 == 0 {
                table.before.push(count(table.starts.len() - 1));
            }
            for (category, weights) in categories.iter().enumerate() {
                if let Some(weight) = weights.get(bucket).filter(|weight| **weight != 0.0) {
                    table.entries.push((count(category), *weight));
                }
            }
            if table.starts.last() != Some(&count(table.entries.len())) {
                table.there[bucket / 64] |= 1 << (bucket % 64);
                table.starts.push(count(table.entries.len()));
            }
        }
        table
    }

    /// The entries of a bucket.
    #[inline]
    fn of_bucket(&self, bucket: u16) -> &[(u32, f32)] {
        let (word, bit) = (usize::from(bucket) / 64, u32::from(bucket) % 64);
        let there = self.there[word];
        if there >> bit & 1 == 0 {
            return &[];
        }
        let at = (self.before[word] + (there & ((1 << bit) - 1)).count_ones()) as usize;
        &self.entries[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

struct Sums<'a> {
    table: &'a Table,
    sums: Vec<[f32; ZONES]>,
}

impl Sink for Sums<'_> {
    #[inline]
    fn gram(&mut self, zone: Zone, bucket: u16, _: Gram) {
        for (category, weight) in self.table.of_bucket(bucket) {
            self.sums[*category as usize][zone as usize] += weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_is_found_again() {
        let (mut one, mut other) = (vec![0.0; BUCKETS], vec![0.0; BUCKETS]);
        for (at, weight) in [(0, 1.0), (63, 2.0), (64, 3.0), (700, 4.0), (65_535, 5.0)] {
            one[at] = weight;
        }
        (other[64], other[701]) = (-1.0, -2.0);
        let table = Table::of(&[one.as_slice(), other.as_slice()]);
        for bucket in 0..=u16::MAX {
            let at = usize::from(bucket);
            let sums = table.of_bucket(bucket).iter().fold([0.0; 2], |mut sums, (of, weight)| {
                sums[*of as usize] += weight;
                sums
            });
            assert_eq!(sums.map(f32::to_bits), [one[at], other[at]].map(f32::to_bits), "{bucket}");
        }
        assert_eq!(table.entries.len(), 7);
    }
}
