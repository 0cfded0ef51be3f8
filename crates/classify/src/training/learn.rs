//! From rows to weights, from weights to a model file.

use super::rows::{Labelled, weights};
use crate::{
    CATEGORIES, Category,
    anchors::Anchor,
    features::{FEATURES, SHAPES, shape},
    hash::{BUCKETS, Hash},
    model::{LANES, Model},
    optimise::Limits,
    regression::{Sample, Weights, fit},
};

/// The cost of errors against that of large weights.
const COST: f64 = 4.0;
const LIMITS: Limits = Limits { steps: 40, gradient: 1e-3 };
/// Anchors of each category.
const ANCHORS: u32 = 6;

/// Multinomial logistic regression over the rows.
pub(super) fn weights_of(rows: &[&Labelled]) -> Weights {
    let samples: Vec<Sample<'_>> = rows
        .iter()
        .zip(weights(rows))
        .map(|(row, weight)| Sample { row: &row.row, class: row.category.index(), weight })
        .collect();
    fit(&samples, CATEGORIES, FEATURES, COST, LIMITS)
}

/// The model: weights of buckets in steps of a 127th of each category's largest.
#[expect(clippy::cast_possible_truncation, reason = "rounded to what the file can hold")]
pub(super) fn model(weights: &Weights, temperature: f64, anchors: Vec<Anchor>) -> Model {
    let row = |feature: usize| &weights.table[feature * CATEGORIES..(feature + 1) * CATEGORIES];
    let mut scale = [f32::MIN_POSITIVE; CATEGORIES];
    for bucket in 0..BUCKETS {
        for (scale, weight) in scale.iter_mut().zip(row(bucket)) {
            *scale = scale.max(weight.abs() as f32 / 127.0);
        }
    }
    let bucket = |bucket| {
        let mut steps = [0; LANES];
        for ((step, weight), scale) in steps.iter_mut().zip(row(bucket)).zip(scale) {
            *step = (weight / f64::from(scale)).round().clamp(-127.0, 127.0) as i8;
        }
        steps
    };
    let floats = |numbers: &[f64]| {
        let mut floats = [0.0; CATEGORIES];
        floats.iter_mut().zip(numbers).for_each(|(to, from)| *to = *from as f32);
        floats
    };
    Model {
        temperature: temperature as f32,
        scale,
        bias: floats(&weights.bias),
        shapes: (0..SHAPES).map(|index| floats(row(shape(index) as usize))).collect(),
        buckets: (0..BUCKETS).map(bucket).collect(),
        anchors,
    }
}

/// The anchors: each category's rows in groups by their source.
pub(super) fn anchors(rows: &[&Labelled]) -> Vec<Anchor> {
    let mut anchors = Vec::new();
    for category in Category::ALL {
        for group in 0..ANCHORS {
            let of_group = |row: &&&Labelled| {
                let place = Hash::new("")
                    .then(row.source.as_bytes())
                    .then(&[row.text.len().to_le_bytes()[0]]);
                row.category == category && place.sum() % ANCHORS == group
            };
            let members: Vec<_> = rows.iter().filter(of_group).map(|row| &row.row).collect();
            if !members.is_empty() {
                anchors.push(Anchor::of(&members));
            }
        }
    }
    anchors
}

/// The golden section.
const RATIO: f64 = 0.618_033_988_749_894_8;

/// The temperature that makes the answers likeliest, by golden-section search of its logarithm.
/// An answer is the scores, what was right, and how much it counts.
pub(super) fn temperature(answers: &[(Vec<f64>, usize, f64)]) -> f64 {
    let loss = |logarithm: f64| {
        let heat = libm::exp(logarithm);
        let one = |(scores, right, weight): &(Vec<f64>, usize, f64)| {
            let mut scores: Vec<f64> = scores.iter().map(|score| score / heat).collect();
            let own = scores[*right];
            weight * (crate::regression::softmax(&mut scores) - own)
        };
        answers.iter().map(one).sum::<f64>()
    };
    let (mut low, mut high) = (-2.0_f64, 2.0_f64);
    for _ in 0..60 {
        let (left, right) = (high - RATIO * (high - low), low + RATIO * (high - low));
        if loss(left) < loss(right) { high = right } else { low = left }
    }
    libm::exp(f64::midpoint(low, high))
}
