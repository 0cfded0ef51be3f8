//! Anchors: what prompts of all kinds look like, embedded beside the model. A category that is
//! trained from a few examples needs to be told what does not belong to it.
//!
//! An anchor is the mean of the rows of one kind of prompts, its strongest features only, brought
//! to the length of a single prompt's row. In the file: length f32, count u16, then each feature's
//! index as u16 (buckets) or, from the count of buckets on, u16 of what is not hashed; value u8.

use crate::{
    features::{Row, SHAPES, shape},
    hash::BUCKETS,
    model::{ModelError, Reader},
};

/// Hashed features that an anchor keeps.
const KEPT: usize = 160;

/// The mean of some prompts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Anchor(pub(crate) Row);

impl Anchor {
    /// The mean of rows.
    pub(crate) fn of(rows: &[&Row]) -> Self {
        let mut sums = vec![0.0_f32; BUCKETS + SHAPES];
        let mut length = 0.0;
        for row in rows {
            length += norm(&row.0);
            row.0.iter().for_each(|(index, value)| sums[*index as usize] += value);
        }
        let present = |index: &u32| sums[*index as usize] > 0.0;
        let value = |index: u32| (index, sums[index as usize]);
        let mut hashed: Vec<_> = (0..shape(0)).filter(present).map(value).collect();
        hashed.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        hashed.truncate(KEPT);
        hashed.sort_by_key(|(index, _)| *index);
        hashed.extend((shape(0)..shape(SHAPES)).filter(present).map(value));
        let count = u16::try_from(rows.len().max(1)).unwrap_or(u16::MAX);
        let factor = length / f32::from(count) / norm(&hashed).max(f32::MIN_POSITIVE);
        for (_, value) in &mut hashed {
            *value *= factor;
        }
        Self(rounded(&hashed))
    }
}

fn norm(row: &[(u32, f32)]) -> f32 {
    row.iter().map(|(_, value)| value * value).sum::<f32>().sqrt()
}

/// The largest value of a row, whose steps are 255ths of it.
fn largest(row: &[(u32, f32)]) -> f32 {
    row.iter().fold(0.0, |most, (_, value)| most.max(*value))
}

/// Values as the file can hold them.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 255")]
fn steps(row: &[(u32, f32)]) -> impl Iterator<Item = (u32, u8)> {
    let most = largest(row).max(f32::MIN_POSITIVE);
    row.iter().map(move |(index, value)| (*index, (value / most * 255.0).round() as u8))
}

fn rounded(row: &[(u32, f32)]) -> Row {
    let most = largest(row);
    Row(steps(row).map(|(index, step)| (index, f32::from(step) / 255.0 * most)).collect())
}

pub(crate) fn encode(anchors: &[Anchor], file: &mut Vec<u8>) {
    let short = |count: usize| u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
    file.extend(short(anchors.len()));
    for Anchor(row) in anchors {
        let hashed = row.0.partition_point(|(index, _)| *index < shape(0));
        file.extend(largest(&row.0).to_le_bytes());
        file.extend(short(hashed));
        file.extend(short(row.0.len() - hashed));
        for (index, step) in steps(&row.0) {
            file.extend(short(index as usize % BUCKETS));
            file.push(step);
        }
    }
}

pub(crate) fn decode(rest: &mut Reader<'_>) -> Result<Vec<Anchor>, ModelError> {
    let anchors = u16::from_le_bytes(rest.take()?);
    let one = |_| {
        let most = rest.number()?;
        let hashed = u16::from_le_bytes(rest.take()?);
        let shapes = u16::from_le_bytes(rest.take()?);
        let mut row = Vec::with_capacity(usize::from(hashed) + usize::from(shapes));
        for at in 0..hashed.saturating_add(shapes) {
            let index = usize::from(u16::from_le_bytes(rest.take()?));
            let [step] = rest.take()?;
            let index = if at < hashed { index } else { BUCKETS + index };
            if index >= BUCKETS + SHAPES {
                return Err(ModelError::Damaged);
            }
            let index = u32::try_from(index).map_err(|_| ModelError::Damaged)?;
            row.push((index, f32::from(step) / 255.0 * most));
        }
        Ok(Anchor(Row(row)))
    };
    (0..anchors).map(one).collect()
}
