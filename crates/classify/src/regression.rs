//! Multinomial logistic regression on sparse rows, with a squared penalty on the weights.

use crate::{
    features::Row,
    optimise::{Limits, minimise},
};

/// What to learn from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample<'a> {
    pub(crate) row: &'a Row,
    pub(crate) class: usize,
    pub(crate) weight: f64,
}

/// Weights of every feature for every class, and every class's own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Weights {
    pub(crate) classes: usize,
    /// Feature by feature.
    pub(crate) table: Vec<f64>,
    pub(crate) bias: Vec<f64>,
}

impl Weights {
    /// The score of every class, without bounds.
    pub(crate) fn scores(&self, row: &Row) -> Vec<f64> {
        let mut scores = self.bias.clone();
        for (feature, value) in &row.0 {
            let at = *feature as usize * self.classes;
            let weights = &self.table[at..at + self.classes];
            scores.iter_mut().zip(weights).for_each(|(score, w)| *score += w * f64::from(*value));
        }
        scores
    }
}

/// Scores to shares of one, in place; returns the logarithm of the sum of the exponentials.
pub(crate) fn softmax(scores: &mut [f64]) -> f64 {
    let most = scores.iter().fold(f64::NEG_INFINITY, |most, one| most.max(*one));
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = libm::exp(*score - most);
        sum += *score;
    }
    for score in scores.iter_mut() {
        *score /= sum;
    }
    most + libm::log(sum)
}

/// Minimises half the squared weights plus `cost` times the samples' loss.
pub(crate) fn fit(
    samples: &[Sample<'_>],
    classes: usize,
    features: usize,
    cost: f64,
    limits: Limits,
) -> Weights {
    let size = features * classes;
    let mut scores = vec![0.0; classes];
    let objective = |point: &[f64], gradient: &mut [f64]| {
        let (table, bias) = point.split_at(size);
        let (slopes, bias_slopes) = gradient.split_at_mut(size);
        slopes.copy_from_slice(table);
        bias_slopes.fill(0.0);
        let mut value = 0.5 * table.iter().map(|w| w * w).sum::<f64>();
        for sample in samples {
            scores.copy_from_slice(bias);
            for (feature, x) in &sample.row.0 {
                let (at, x) = (*feature as usize * classes, f64::from(*x));
                let weights = &table[at..at + classes];
                scores.iter_mut().zip(weights).for_each(|(score, w)| *score += w * x);
            }
            let own = scores[sample.class];
            let total = softmax(&mut scores);
            let weight = cost * sample.weight;
            value += weight * (total - own);
            scores[sample.class] -= 1.0;
            for score in &mut scores {
                *score *= weight;
            }
            for (feature, x) in &sample.row.0 {
                let (at, x) = (*feature as usize * classes, f64::from(*x));
                let slopes = &mut slopes[at..at + classes];
                slopes.iter_mut().zip(&scores).for_each(|(slope, score)| *slope += score * x);
            }
            bias_slopes.iter_mut().zip(&scores).for_each(|(slope, score)| *slope += score);
        }
        value
    };
    let mut table = minimise(objective, vec![0.0; size + classes], limits);
    let bias = table.split_off(size);
    Weights { classes, table, bias }
}
