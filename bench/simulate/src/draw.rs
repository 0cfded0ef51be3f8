//! Draws that worlds, traffic and policies need beyond what routing's generator has.

use routing::Rng;

/// A standard normal (Box and Muller).
pub(crate) fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * rng.unit().max(1e-300).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.unit()).cos()
}

/// Uniform in `0..n`, by one draw.
pub(crate) fn below(rng: &mut Rng, n: usize) -> usize {
    let n_wide = f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to n")]
    let at = (rng.unit() * n_wide) as usize;
    at.min(n.saturating_sub(1))
}

/// One of them.
pub(crate) fn one_of<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[below(rng, of.len())]
}
