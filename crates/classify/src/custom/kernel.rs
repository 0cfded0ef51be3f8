//! Two-class logistic regression for few samples of many features: Newton's method in the space of
//! samples (Rasmussen and Williams, Gaussian Processes for Machine Learning, algorithm 3.1), and
//! the scores that each sample would have had without itself, to first order (Rad and Maleki, A
//! scalable estimate of the out-of-sample prediction error).

/// A square matrix, row by row.
#[derive(Clone, Debug)]
pub(super) struct Square {
    pub(super) size: usize,
    pub(super) cells: Vec<f64>,
}

impl Square {
    pub(super) fn new(size: usize, mut cell: impl FnMut(usize, usize) -> f64) -> Self {
        let cells = (0..size * size).map(|at| cell(at / size, at % size)).collect();
        Self { size, cells }
    }

    pub(super) fn row(&self, at: usize) -> &[f64] {
        &self.cells[at * self.size..(at + 1) * self.size]
    }

    fn times(&self, vector: &[f64]) -> Vec<f64> {
        (0..self.size).map(|at| dot(self.row(at), vector)).collect()
    }

    /// The lower triangle whose product with its own transpose is this, for what is symmetric and
    /// has eigenvalues of at least one.
    fn cholesky(mut self) -> Self {
        let size = self.size;
        for row in 0..size {
            for column in 0..=row {
                let (above, below) = self.cells.split_at_mut(row * size);
                let sum = if column == row {
                    dot(&below[..column], &below[..column])
                } else {
                    dot(&below[..column], &above[column * size..column * size + column])
                };
                below[column] = if column == row {
                    (below[column] - sum).max(1e-12).sqrt()
                } else {
                    (below[column] - sum) / above[column * size + column]
                };
            }
        }
        self
    }

    /// Solves `L x = b` for a lower triangle.
    fn forward(&self, mut b: Vec<f64>) -> Vec<f64> {
        for at in 0..self.size {
            b[at] = (b[at] - dot(&self.row(at)[..at], &b[..at])) / self.row(at)[at];
        }
        b
    }

    /// Solves `L^T x = b`.
    fn backward(&self, mut b: Vec<f64>) -> Vec<f64> {
        for at in (0..self.size).rev() {
            b[at] /= self.row(at)[at];
            let value = b[at];
            let row = &self.row(at)[..at];
            b[..at].iter_mut().zip(row).for_each(|(one, cell)| *one -= cell * value);
        }
        b
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What was learnt.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    /// How much of each sample is in the weights.
    pub(super) shares: Vec<f64>,
    /// Each sample's score, had it not been among them.
    pub(super) without: Vec<f64>,
}

const STEPS: usize = 25;

/// Learns from samples with these products, these labels and these costs of errors.
pub(super) fn fit(products: &Square, positive: &[bool], cost: &[f64]) -> Fit {
    let size = products.size;
    let (mut scores, mut shares) = (vec![0.0; size], vec![0.0; size]);
    for _ in 0..STEPS {
        let Curve { slope, bend, root, triangle } = curve(products, &scores, positive, cost);
        let target: Vec<f64> = (0..size).map(|at| bend[at] * scores[at] + slope[at]).collect();
        let mut scaled = products.times(&target);
        scaled.iter_mut().zip(&root).for_each(|(one, root)| *one *= root);
        let solved = triangle.backward(triangle.forward(scaled));
        shares = (0..size).map(|at| target[at] - root[at] * solved[at]).collect();
        let next = products.times(&shares);
        let moved =
            scores.iter().zip(&next).fold(0.0, |most, (a, b)| f64::max(most, (a - b).abs()));
        scores = next;
        if moved < 1e-6 {
            break;
        }
    }
    let Curve { slope, bend, root, triangle } = curve(products, &scores, positive, cost);
    let without = (0..size).map(|at| {
        let row = products.row(at);
        let solved =
            triangle.forward(row.iter().zip(&root).map(|(cell, root)| cell * root).collect());
        // How much a sample's score gives way to its own label.
        let spread = (row[at] - dot(&solved, &solved)).max(0.0);
        scores[at] - slope[at] * spread / (1.0 - bend[at] * spread).max(1e-6)
    });
    let without = without.collect();
    Fit { shares, without }
}

/// The loss at some scores: its slope and curvature for each sample, the root of the curvature, and
/// the triangle of `1 + root K root`.
struct Curve {
    slope: Vec<f64>,
    bend: Vec<f64>,
    root: Vec<f64>,
    triangle: Square,
}

fn curve(products: &Square, scores: &[f64], positive: &[bool], cost: &[f64]) -> Curve {
    let size = products.size;
    let likely: Vec<f64> = scores.iter().map(|score| likelihood(*score)).collect();
    let slope = (0..size).map(|at| cost[at] * (f64::from(u8::from(positive[at])) - likely[at]));
    let bend: Vec<f64> =
        (0..size).map(|at| (cost[at] * likely[at] * (1.0 - likely[at])).max(1e-9)).collect();
    let root: Vec<f64> = bend.iter().map(|bend| bend.sqrt()).collect();
    let triangle = Square::new(size, |row, column| {
        f64::from(u8::from(row == column)) + root[row] * products.row(row)[column] * root[column]
    });
    Curve { slope: slope.collect(), bend, root, triangle: triangle.cholesky() }
}

/// The likelihood of a score.
fn likelihood(score: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-score))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Products of points on a line, and one for the constant.
    fn products(points: &[f64]) -> Square {
        Square::new(points.len(), |a, b| points[a] * points[b] + 1.0)
    }

    #[test]
    fn the_minimum_has_no_slope() {
        let points = [-2.0, -1.0, 0.5, 1.0, 3.0];
        let positive = [false, false, true, false, true];
        let found = fit(&products(&points), &positive, &[1.0; 5]);
        let scores = products(&points).times(&found.shares);
        for (at, share) in found.shares.iter().enumerate() {
            let slope = f64::from(u8::from(positive[at])) - likelihood(scores[at]);
            assert!((share - slope).abs() < 1e-5, "{share} {slope}");
        }
    }

    #[test]
    fn scores_without_a_sample_are_nearly_those_of_a_fit_without_it() {
        let points = [-2.0, -1.5, -0.5, 0.2, 1.0, 1.2, 2.0, 3.0];
        let positive = [false, false, false, true, false, true, true, true];
        let found = fit(&products(&points), &positive, &[0.5; 8]);
        for left in 0..points.len() {
            let rest = |at: &usize| *at != left;
            let kept: Vec<usize> = (0..points.len()).filter(rest).collect();
            let others: Vec<f64> = kept.iter().map(|at| points[*at]).collect();
            let labels: Vec<bool> = kept.iter().map(|at| positive[*at]).collect();
            let exact = fit(&products(&others), &labels, &[0.5; 7]);
            let score: f64 = exact
                .shares
                .iter()
                .zip(&others)
                .map(|(share, x)| share * (x * points[left] + 1.0))
                .sum();
            assert!(
                (score - found.without[left]).abs() < 0.15,
                "{left}: {score} {}",
                found.without[left]
            );
        }
    }
}
