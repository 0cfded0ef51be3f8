//! Learning a category from a few examples: one against all others, and against the embedded
//! anchors, which stand for prompts of all other kinds.
//!
//! Beside the features of the built-in detector, its own shares of the seven categories are
//! features: examples that are all of one kind are told by their kind first, which carries further
//! than the few words that ten examples have in common.

use routing::category::Trained;

use super::{
    kernel::{self, Square},
    trained::{self, Weights},
};
use crate::{
    CATEGORIES, Detector, Scratch,
    features::{Row, SHAPES},
    hash::BUCKETS,
};

/// Features that are not hashed: patterns, statistics, shares.
pub(super) const EXTRAS: usize = SHAPES + CATEGORIES;
/// The weight of the built-in detector's shares.
const SHARES: f32 = 0.5;
/// The score at which a prompt is as likely in a category as not, and how fast that changes with the
/// score. Anchors are means, and single prompts lie further out than they do: of three categories by
/// six to ten examples, each alone in its alias, one in twenty of the prompts of other kinds (those
/// of `dev`) is above the default confidence, and 31 of 32 prompts of their own are.
const MIDDLE: f32 = 1.6;
const SLOPE: f32 = 3.0;
/// The cost of errors against that of large weights.
const COST: f64 = 8.0;

/// A text's features, hashed and otherwise, each index once and in order.
fn features(detector: &Detector, text: &str, scratch: &mut Scratch) -> Row {
    let shares = detector.detect(text, scratch).scores;
    with_shares(Row::of(text, &mut scratch.words), shares)
}

fn with_shares(mut row: Row, shares: [f32; CATEGORIES]) -> Row {
    for (at, share) in (BUCKETS + SHAPES..).zip(shares) {
        row.0.push((u32::try_from(at).unwrap_or(u32::MAX), extra(share)));
    }
    row
}

/// A share as a feature.
pub(super) fn extra(share: f32) -> f32 {
    share * SHARES
}

/// Trains each category that has examples. Also gives the factor that makes scores likelihoods.
pub(super) fn train(detector: &Detector, categories: &[&[String]]) -> (Vec<Option<Trained>>, f32) {
    let mut scratch = Scratch::default();
    let mut rows = Vec::new();
    let mut owners = Vec::new();
    for (owner, examples) in categories.iter().enumerate() {
        for text in *examples {
            rows.push(features(detector, text, &mut scratch));
            owners.push(Some(owner));
        }
    }
    if rows.is_empty() {
        return (vec![None; categories.len()], 1.0);
    }
    for anchor in &detector.model.anchors {
        rows.push(with_shares(anchor.0.clone(), detector.shares(&anchor.0)));
        owners.push(None);
    }
    let products =
        Square::new(
            rows.len(),
            |a, b| if b <= a { product(&rows[a], &rows[b]) + 1.0 } else { 0.0 },
        );
    let products = mirrored(products);
    let fits: Vec<Option<kernel::Fit>> = (0..categories.len())
        .map(|category| {
            let positive: Vec<bool> = owners.iter().map(|owner| *owner == Some(category)).collect();
            let count = positive.iter().filter(|is| **is).count();
            (count > 0).then(|| kernel::fit(&products, &positive, &costs(&positive, count)))
        })
        .collect();
    let model = detector.fingerprint;
    let packed = fits.iter().enumerate().map(|(category, fit)| {
        let fit = fit.as_ref()?;
        let examples = categories[category].len();
        let percent = leave_one_out(category, &fits, &owners);
        Some(trained::pack(examples, percent, &weights(&rows, &fit.shares), model))
    });
    (packed.collect(), SLOPE)
}

/// Both sides the same in all.
fn costs(positive: &[bool], count: usize) -> Vec<f64> {
    let real = |count: usize| f64::from(u32::try_from(count.max(1)).unwrap_or(u32::MAX));
    let all = real(positive.len());
    let (own, others) = (all / (2.0 * real(count)), all / (2.0 * real(positive.len() - count)));
    positive.iter().map(|is| COST * if *is { own } else { others }).collect()
}

fn product(a: &Row, b: &Row) -> f64 {
    let (mut sum, mut at) = (0.0, 0);
    for (index, value) in &a.0 {
        while b.0.get(at).is_some_and(|(other, _)| other < index) {
            at += 1;
        }
        if let Some((other, with)) = b.0.get(at)
            && other == index
        {
            sum += f64::from(*value) * f64::from(*with);
        }
    }
    sum
}

/// Fills in what is above the diagonal.
fn mirrored(mut square: Square) -> Square {
    for row in 0..square.size {
        for column in row + 1..square.size {
            square.cells[row * square.size + column] = square.cells[column * square.size + row];
        }
    }
    square
}

/// Scores to weights: the samples' rows, each as much as its share.
fn weights(rows: &[Row], shares: &[f64]) -> Weights {
    let mut all = vec![0.0_f64; BUCKETS + EXTRAS];
    for (row, share) in rows.iter().zip(shares) {
        row.0.iter().for_each(|(index, value)| all[*index as usize] += share * f64::from(*value));
    }
    #[expect(clippy::cast_possible_truncation, reason = "rounded further when it is kept")]
    let floats: Vec<f32> = all.into_iter().map(|weight| weight as f32).collect();
    #[expect(clippy::cast_possible_truncation, reason = "rounded as all weights")]
    let bias = shares.iter().sum::<f64>() as f32 - MIDDLE;
    let (buckets, extras) = floats.split_at(BUCKETS);
    Weights { bias, buckets: buckets.to_vec(), extras: extras.to_vec() }
}

/// How many percent of a category's examples have a score above zero, and above those of the other
/// categories, from what was learnt without them.
fn leave_one_out(category: usize, fits: &[Option<kernel::Fit>], owners: &[Option<usize>]) -> u8 {
    let own = |at: &usize| owners[*at] == Some(category);
    let examples: Vec<usize> = (0..owners.len()).filter(own).collect();
    let score = |fit: &Option<kernel::Fit>, at: usize| fit.as_ref().map(|fit| fit.without[at]);
    let right = examples.iter().filter(|at| {
        let Some(mine) = score(&fits[category], **at) else { return false };
        let best = fits.iter().filter_map(|fit| score(fit, **at)).fold(f64::NEG_INFINITY, f64::max);
        mine > 0.0 && mine >= best
    });
    u8::try_from(right.count() * 100 / examples.len().max(1)).unwrap_or(100)
}
