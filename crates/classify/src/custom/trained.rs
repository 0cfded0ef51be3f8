//! What was learnt from examples, small enough to be sent: the strongest weights, a byte each.
//!
//! The text is Base64 of: a fingerprint of the built-in model u32, bias f32, scale of buckets f32,
//! count u16, then bucket u16 and weight i8 each; scale of the rest f32, then one i8 for each.
//! Numbers are little-endian.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use routing::category::Trained;

use super::examples::EXTRAS;
use crate::hash::BUCKETS;

/// Buckets that are kept.
const KEPT: usize = 2048;

/// Keeps the strongest weights, learnt beside the model of this fingerprint.
pub(super) fn pack(examples: usize, percent: u8, weights: &Weights, model: u32) -> Trained {
    let mut strongest: Vec<usize> = (0..BUCKETS).filter(|at| weights.buckets[*at] != 0.0).collect();
    let strength = |at: &usize| weights.buckets[*at].abs();
    strongest.sort_by(|a, b| strength(b).total_cmp(&strength(a)).then(a.cmp(b)));
    strongest.truncate(KEPT);
    strongest.sort_unstable();
    let mut file = model.to_le_bytes().to_vec();
    file.extend(weights.bias.to_le_bytes());
    let scale = scale(strongest.iter().map(|at| weights.buckets[*at]));
    file.extend(scale.to_le_bytes());
    file.extend(u16::try_from(strongest.len()).unwrap_or(u16::MAX).to_le_bytes());
    for at in strongest {
        file.extend(u16::try_from(at).unwrap_or(u16::MAX).to_le_bytes());
        file.push(step(weights.buckets[at], scale));
    }
    let scale = self::scale(weights.extras.iter().copied());
    file.extend(scale.to_le_bytes());
    file.extend(weights.extras.iter().map(|weight| step(*weight, scale)));
    let examples = u32::try_from(examples).unwrap_or(u32::MAX);
    let weights = STANDARD_NO_PAD.encode(file);
    Trained { examples, leave_one_out_percent: percent, weights }
}

/// Reads the weights; `None` if they are damaged, or of another model.
pub(super) fn read(trained: &Trained, model: u32) -> Option<Weights> {
    let file = STANDARD_NO_PAD.decode(&trained.weights).ok()?;
    let mut rest = file.as_slice();
    if u32::from_le_bytes(take(&mut rest)?) != model {
        return None;
    }
    let number = |rest: &mut &[u8]| {
        Some(f32::from_le_bytes(take(rest)?)).filter(|number| number.is_finite())
    };
    let bias = number(&mut rest)?;
    let scale = number(&mut rest)?;
    let mut buckets = vec![0.0; BUCKETS];
    for _ in 0..u16::from_le_bytes(take(&mut rest)?) {
        let bucket = u16::from_le_bytes(take(&mut rest)?);
        let [step] = take(&mut rest)?;
        buckets[usize::from(bucket)] = f32::from(step.cast_signed()) * scale;
    }
    let scale = number(&mut rest)?;
    let weight = |step: &u8| f32::from(step.cast_signed()) * scale;
    let extras: Vec<f32> = rest.iter().map(weight).collect();
    (extras.len() == EXTRAS).then_some(Weights { bias, buckets, extras })
}

/// Weights of one trained category.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Weights {
    pub(super) bias: f32,
    pub(super) buckets: Vec<f32>,
    /// Of patterns, statistics and the built-in detector's shares.
    pub(super) extras: Vec<f32>,
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}

fn scale(weights: impl Iterator<Item = f32>) -> f32 {
    weights.fold(f32::MIN_POSITIVE, |most, weight| most.max(weight.abs())) / 127.0
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to a byte")]
fn step(weight: f32, scale: f32) -> u8 {
    ((weight / scale).round().clamp(-127.0, 127.0) as i8).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_survive_the_way_and_damage_is_noticed() {
        let mut weights =
            Weights { bias: -0.5, buckets: vec![0.0; BUCKETS], extras: vec![0.25; EXTRAS] };
        (weights.buckets[7], weights.buckets[65_535]) = (1.27, -0.64);
        let trained = pack(5, 80, &weights, 9);
        let back = read(&trained, 9).unwrap();
        assert!(
            (back.buckets[7] - 1.27).abs() < 1e-5 && (back.buckets[65_535] + 0.64).abs() < 1e-5
        );
        assert!((back.extras[3] - 0.25).abs() < 1e-5);
        assert_eq!(read(&trained, 8), None, "another model");
        let cut = Trained { weights: trained.weights[..40].to_owned(), ..trained };
        assert_eq!(read(&cut, 9), None);
    }
}
