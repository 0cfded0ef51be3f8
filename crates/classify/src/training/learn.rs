//! From rows to weights, from weights to a model file.

use super::{
    rows::{Labelled, weights},
    seeds::Random,
};
use crate::{
    CATEGORIES, Category,
    anchors::Anchor,
    features::{FEATURES, Row, SHAPES, shape},
    hash::{BUCKETS, Hash},
    model::{LANES, Model},
    optimise::Limits,
    regression::{Sample, Weights, fit, softmax},
};

/// The cost of errors against that of large weights.
const COST: f64 = 2.0;
const LIMITS: Limits = Limits { steps: 40, gradient: 1e-3 };
/// What is not hashed carries further than words do, so a weight of it costs only a share of one of
/// theirs: the root of that share.
const EASE: f32 = 0.5;
/// Copies of each prompt of which features are missing, beside itself: what is told by many signs
/// carries further than what is told by one (Wager, Wang and Liang, Dropout Training as Adaptive
/// Regularization).
const THINNED: usize = 3;
/// How many percent of their features are missing.
const MISSING: u16 = 60;
/// Anchors of each category.
const ANCHORS: u32 = 6;

/// Multinomial logistic regression over the rows.
pub(super) fn weights_of(rows: &[&Labelled]) -> Weights {
    let mut copies: Vec<(Row, usize, f64)> = Vec::with_capacity(rows.len() * (THINNED + 1));
    for (place, (row, weight)) in rows.iter().zip(weights(rows)).enumerate() {
        let class = row.category.index();
        let mut random = Random::new(place);
        let whole = eased(&row.row);
        copies.extend((0..THINNED).map(|_| (thinned(&whole, &mut random), class, weight)));
        copies.push((whole, class, weight));
    }
    let cost = COST / f64::from(u32::try_from(THINNED + 1).unwrap_or(u32::MAX));
    let samples: Vec<Sample<'_>> = copies
        .iter()
        .map(|(row, class, weight)| Sample { row, class: *class, weight: *weight })
        .collect();
    let mut weights = fit(&samples, CATEGORIES, FEATURES, cost, LIMITS);
    for weight in &mut weights.table[shape(0) as usize * CATEGORIES..] {
        *weight /= f64::from(EASE);
    }
    weights
}

/// A row of which features are missing at random, the others stronger to make up for them.
fn thinned(row: &Row, random: &mut Random) -> Row {
    let stays = row.0.iter().filter(|_| random.below(100) >= u64::from(MISSING));
    let factor = 100.0 / f32::from(100 - MISSING);
    Row(stays.map(|(at, value)| (*at, value * factor)).collect())
}

/// A row with what is not hashed made larger, and its weights thereby cheaper.
fn eased(row: &Row) -> Row {
    let larger = |value: f32| value / EASE;
    Row(row
        .0
        .iter()
        .map(|(at, value)| (*at, if *at < shape(0) { *value } else { larger(*value) }))
        .collect())
}

/// The model: weights of buckets in steps of a 127th of each category's largest.
#[expect(clippy::cast_possible_truncation, reason = "rounded to what the file can hold")]
pub(super) fn model(weights: &Weights, calibration: Calibration, anchors: Vec<Anchor>) -> Model {
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
        temperature: calibration.temperature as f32,
        doubt: calibration.doubt as f32,
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

/// How scores become likelihoods: they are divided by a temperature, and of their shares of one
/// a part is given to all categories alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calibration {
    pub(super) temperature: f64,
    pub(super) doubt: f64,
}

impl Calibration {
    /// Scores as they are.
    pub(super) const NONE: Self = Self { temperature: 1.0, doubt: 0.0 };

    /// Likelihoods of the categories with these scores.
    pub(super) fn shares(self, scores: &[f64]) -> Vec<f64> {
        let mut shares: Vec<f64> = scores.iter().map(|score| score / self.temperature).collect();
        softmax(&mut shares);
        let even = self.doubt / f64::from(u32::try_from(shares.len()).unwrap_or(u32::MAX));
        shares.iter().map(|share| (1.0 - self.doubt) * share + even).collect()
    }
}

/// The golden section.
const RATIO: f64 = 0.618_033_988_749_894_8;
/// The doubts that are tried, in percent.
const DOUBTS: std::ops::RangeInclusive<u8> = 0..=20;

/// The calibration that makes the answers likeliest: for each doubt the temperature by golden-section
/// search of its logarithm. An answer is the scores, what was right, and how much it counts.
pub(super) fn calibration(answers: &[(Vec<f64>, usize, f64)]) -> Calibration {
    let loss = |calibration: Calibration| {
        let one = |(scores, right, weight): &(Vec<f64>, usize, f64)| {
            -weight * libm::log(calibration.shares(scores)[*right].max(1e-12))
        };
        answers.iter().map(one).sum::<f64>()
    };
    let coolest = |percent: u8| {
        let doubt = f64::from(percent) / 100.0;
        let at = |logarithm| Calibration { temperature: libm::exp(logarithm), doubt };
        let (mut low, mut high) = (-2.0_f64, 2.0_f64);
        for _ in 0..40 {
            let (left, right) = (high - RATIO * (high - low), low + RATIO * (high - low));
            if loss(at(left)) < loss(at(right)) { high = right } else { low = left }
        }
        at(f64::midpoint(low, high))
    };
    let tried = DOUBTS.map(coolest).map(|one| (loss(one), one));
    tried.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(Calibration::NONE, |(_, one)| one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thinned_row_is_a_part_that_weighs_the_same() {
        let row = Row((0..10_000).map(|at| (at, 1.0)).collect());
        let one = thinned(&row, &mut Random::new(1));
        assert_eq!(one, thinned(&row, &mut Random::new(1)), "always the same");
        assert_ne!(one, thinned(&row, &mut Random::new(2)));
        let sum: f32 = one.0.iter().map(|(_, value)| value).sum();
        assert!((sum - 10_000.0).abs() < 500.0, "{sum}");
        assert!(one.0.len() < 4_500 && one.0.is_sorted_by_key(|(at, _)| *at), "{}", one.0.len());
    }

    #[test]
    fn what_is_not_hashed_is_cheaper() {
        let row = Row(vec![(7, 1.0), (shape(3), 1.0)]);
        assert_eq!(eased(&row), Row(vec![(7, 1.0), (shape(3), 1.0 / EASE)]));
    }
}
