//! Why a prompt has its category: the features with the largest share in the decision.

use std::collections::BTreeMap;

use crate::{
    Category, Detector, Scratch,
    features::Shapes,
    grams::{Gram, Sink, ZONES, Zone, weights},
    patterns::{FOUND, PLACE_NAMES, PLACES},
    rules::RULES,
    statistics,
    text::clipped,
};

/// One reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// What was found, in words. It may quote a few words of the prompt: not for logs.
    pub what: String,
    /// What it adds to the score of the category, compared with the mean of all categories. Negative:
    /// it speaks against it.
    pub weight: f32,
}

impl Detector {
    /// The `most` features that spoke the loudest for or against a category, loudest first. Slower
    /// than [`Detector::detect`], and it allocates: for explanations, not for every request.
    pub fn explain(&self, text: &str, category: Category, most: usize) -> Vec<Reason> {
        let mut scratch = Scratch::default();
        let pieces: [&str; 2] = clipped(text).into();
        scratch.words.set(pieces);
        let mut all = Collect(Vec::new());
        let zones = weights(scratch.words.grams(&mut all));
        let model = &self.model;
        // What counts is the difference to the other categories.
        let over = |row: [f32; crate::CATEGORIES]| {
            let mean =
                row.iter().sum::<f32>() / f32::from(u8::try_from(row.len()).unwrap_or(u8::MAX));
            (row[category.index()] - mean) / model.temperature
        };
        let mut sums: BTreeMap<String, f32> = BTreeMap::new();
        for (zone, bucket, what) in all.0 {
            let mut row = model.scale;
            let steps = model.buckets[usize::from(bucket)];
            row.iter_mut().zip(steps).for_each(|(weight, step)| *weight *= f32::from(step));
            let name = format!("{} {:?}", zone.name(), scratch.words.spell(what));
            *sums.entry(name).or_default() += over(row) * zones[zone as usize];
        }
        Shapes::of(pieces, &scratch.words).each(|index, value| {
            *sums.entry(shape(index)).or_default() += over(model.shapes[index]) * value;
        });
        let mut reasons: Vec<Reason> =
            sums.into_iter().map(|(what, weight)| Reason { what, weight }).collect();
        reasons.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()).then(a.what.cmp(&b.what)));
        reasons.truncate(most);
        reasons
    }
}

/// The name of a feature that is not hashed.
fn shape(index: usize) -> String {
    if let Some(at) = index.checked_sub(FOUND) {
        return statistics::NAMES[at].to_owned();
    }
    format!("{} {}", RULES[index / PLACES].0, PLACE_NAMES[index % PLACES])
}

struct Collect(Vec<(Zone, u16, Gram)>);

impl Sink for Collect {
    fn gram(&mut self, zone: Zone, bucket: u16, what: Gram) {
        self.0.push((zone, bucket, what));
    }
}

const _: () = assert!(ZONES == 5, "`weights` is indexed by zone");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_named_and_sorted() {
        let text = "Translate into German: good morning";
        let reasons = Detector::builtin().explain(text, Category::Translation, 12);
        assert_eq!(reasons.len(), 12);
        assert!(reasons.windows(2).all(|pair| pair[0].weight.abs() >= pair[1].weight.abs()));
        let found = reasons.iter().find(|reason| reason.what.starts_with("asks to translate"));
        assert!(found.is_some_and(|reason| reason.weight > 0.0), "{reasons:?}");
    }

    #[test]
    fn nothing_is_explained_by_little() {
        let reasons = Detector::builtin().explain("", Category::Coding, 5);
        assert!(reasons.len() <= 5);
    }
}
