//! A minimiser for smooth convex functions of many variables: L-BFGS (Nocedal and Wright, Numerical
//! Optimization, algorithms 7.4 and 7.5) with a backtracking line search. Sums are taken in a fixed
//! order on one thread, so the same function gives the same bits.

use std::collections::VecDeque;

/// Steps whose curvature is remembered.
const MEMORY: usize = 8;
/// Armijo's condition: the least share of the promised decrease.
const DECREASE: f64 = 1e-4;
/// Halvings of a step before giving up.
const HALVINGS: usize = 30;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Steps.
    pub(crate) steps: usize,
    /// The largest partial derivative, as a share of the first one.
    pub(crate) gradient: f64,
}

/// Minimises `function`, which takes a point, writes its gradient, and returns its value, from
/// `point` on.
pub(crate) fn minimise(
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
    mut point: Vec<f64>,
    limits: Limits,
) -> Vec<f64> {
    let size = point.len();
    let mut gradient = vec![0.0; size];
    let mut value = function(&point, &mut gradient);
    let enough = limits.gradient * largest(&gradient);
    let mut history: VecDeque<(Vec<f64>, Vec<f64>, f64)> = VecDeque::with_capacity(MEMORY);
    let (mut next, mut next_gradient) = (vec![0.0; size], vec![0.0; size]);
    for _ in 0..limits.steps {
        if largest(&gradient) <= enough {
            break;
        }
        let direction = descent(&gradient, &history);
        let slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            break;
        }
        let mut step = if history.is_empty() { 1.0 / norm(&gradient).max(1.0) } else { 1.0 };
        let mut lower = false;
        let mut next_value = value;
        for _ in 0..HALVINGS {
            for ((to, from), along) in next.iter_mut().zip(&point).zip(&direction) {
                *to = from + step * along;
            }
            next_value = function(&next, &mut next_gradient);
            if next_value <= value + DECREASE * step * slope {
                lower = true;
                break;
            }
            step *= 0.5;
        }
        if !lower {
            break;
        }
        let moved: Vec<f64> = next.iter().zip(&point).map(|(a, b)| a - b).collect();
        let turned: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&moved, &turned);
        if curvature > 1e-12 {
            if history.len() == MEMORY {
                history.pop_front();
            }
            history.push_back((moved, turned, 1.0 / curvature));
        }
        std::mem::swap(&mut point, &mut next);
        std::mem::swap(&mut gradient, &mut next_gradient);
        value = next_value;
    }
    point
}

/// The two-loop recursion: minus the inverse Hessian, as remembered, times the gradient.
fn descent(gradient: &[f64], history: &VecDeque<(Vec<f64>, Vec<f64>, f64)>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|one| -one).collect();
    let mut shares = Vec::with_capacity(history.len());
    for (moved, turned, inverse) in history.iter().rev() {
        let share = inverse * dot(moved, &direction);
        add(&mut direction, -share, turned);
        shares.push(share);
    }
    if let Some((_, turned, inverse)) = history.back() {
        let scale = 1.0 / (inverse * dot(turned, turned));
        for one in &mut direction {
            *one *= scale;
        }
    }
    for ((moved, turned, inverse), share) in history.iter().zip(shares.into_iter().rev()) {
        let other = inverse * dot(turned, &direction);
        add(&mut direction, share - other, moved);
    }
    direction
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(to, one)| *to += factor * one);
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn largest(a: &[f64]) -> f64 {
    a.iter().fold(0.0, |most, one| most.max(one.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_valley_is_followed_to_its_bottom() {
        // Minimum at (1, 2, 3, 4), steeper in each further direction.
        let valley = |point: &[f64], gradient: &mut [f64]| {
            let mut value = 0.0;
            for (index, (at, slope)) in point.iter().zip(gradient).enumerate() {
                let (weight, off) =
                    ([1.0, 10.0, 100.0, 1000.0][index], at - [1.0, 2.0, 3.0, 4.0][index]);
                value += 0.5 * weight * off * off;
                *slope = weight * off;
            }
            value
        };
        let limits = Limits { steps: 100, gradient: 1e-9 };
        let found = minimise(valley, vec![0.0; 4], limits);
        for (found, expected) in found.iter().zip([1.0, 2.0, 3.0, 4.0]) {
            assert!((found - expected).abs() < 1e-6, "{found}");
        }
    }

    #[test]
    fn nothing_to_do_is_done() {
        let flat = |_: &[f64], _: &mut [f64]| 1.0;
        assert_eq!(minimise(flat, vec![5.0], Limits { steps: 9, gradient: 0.1 }), [5.0]);
    }
}
