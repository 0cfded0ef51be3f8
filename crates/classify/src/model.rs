//! The built-in model's file: one byte a weight, a scale for each category.
//!
//! ```text
//! "MNKR" | version u16 | fingerprint of features u32 | temperature f32 | doubt f32
//! | scale f32 x 7 | bias f32 x 7 | shapes f32 x SHAPES x 7 | buckets i8 x 65,536 x 7
//! | anchors u16, then each (see `anchors`) | CRC-32 of all before u32
//! ```
//!
//! Numbers are little-endian. The fingerprint covers the table of rules, so that a model that was
//! trained for other features is refused instead of read wrong.

use crate::{
    anchors::{self, Anchor},
    category::CATEGORIES,
    features::SHAPES,
    hash::{self, BUCKETS},
    rules::RULES,
    statistics,
};

const MAGIC: [u8; 4] = *b"MNKR";
const VERSION: u16 = 2;

/// The largest file that is embedded.
pub const SIZE_LIMIT: usize = 512 * 1000;

/// Weights as the detector uses them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Model {
    /// Divides scores, so that shares of one are calibrated.
    pub(crate) temperature: f32,
    /// The share of one that all categories have alike, since some prompts are what no sign of
    /// theirs says.
    pub(crate) doubt: f32,
    /// What one step of a bucket's weight is worth, for each category.
    pub(crate) scale: [f32; CATEGORIES],
    pub(crate) bias: [f32; CATEGORIES],
    /// Weights of patterns and statistics.
    pub(crate) shapes: Vec<[f32; CATEGORIES]>,
    /// Weights of buckets; the last of each row is no category's, so that a row is eight bytes.
    pub(crate) buckets: Vec<[i8; LANES]>,
    /// What prompts of all kinds look like, for categories that are trained later.
    pub(crate) anchors: Vec<Anchor>,
}

/// Bytes of a row of buckets in memory.
pub(crate) const LANES: usize = 8;
const _: () = assert!(CATEGORIES <= LANES);

/// A model file that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// It does not begin as one.
    #[error("not a model file of this version")]
    Foreign,
    /// It is shorter or longer than it says, or was changed.
    #[error("damaged: its length or checksum is wrong")]
    Damaged,
    /// It was trained for another table of rules.
    #[error("made for other features: train it again with `cargo xtask train-classifier`")]
    Features,
}

/// What identifies the features that are not hashed: names and rules, in order.
fn fingerprint() -> u32 {
    let statistics =
        statistics::NAMES.iter().fold(hash::Hash::new(""), |hash, name| hash.then(name.as_bytes()));
    RULES.iter().fold(statistics, |hash, rule| hash.then(format!("{rule:?}").as_bytes())).sum()
}

impl Model {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut file = Vec::with_capacity(SIZE_LIMIT);
        file.extend(MAGIC);
        file.extend(VERSION.to_le_bytes());
        file.extend(fingerprint().to_le_bytes());
        let shapes = self.shapes.iter().flatten();
        for number in
            [self.temperature, self.doubt].iter().chain(&self.scale).chain(&self.bias).chain(shapes)
        {
            file.extend(number.to_le_bytes());
        }
        for row in &self.buckets {
            file.extend(row[..CATEGORIES].iter().map(|weight| weight.cast_unsigned()));
        }
        anchors::encode(&self.anchors, &mut file);
        let sum = hash::Hash::new("").then(&file).sum();
        file.extend(sum.to_le_bytes());
        file
    }

    pub(crate) fn decode(file: &[u8]) -> Result<Self, ModelError> {
        let (body, sum) = file.split_last_chunk::<4>().ok_or(ModelError::Damaged)?;
        let mut rest = Reader(body);
        if rest.take::<4>()? != MAGIC || rest.take()? != VERSION.to_le_bytes() {
            return Err(ModelError::Foreign);
        }
        if hash::Hash::new("").then(body).sum() != u32::from_le_bytes(*sum) {
            return Err(ModelError::Damaged);
        }
        if u32::from_le_bytes(rest.take()?) != fingerprint() {
            return Err(ModelError::Features);
        }
        let temperature = rest.number()?;
        let doubt = rest.number()?;
        let scale = rest.numbers()?;
        let bias = rest.numbers()?;
        let shapes = (0..SHAPES).map(|_| rest.numbers()).collect::<Result<_, _>>()?;
        let row = |rest: &mut Reader<'_>| {
            let mut row = [0; LANES];
            let weights: [u8; CATEGORIES] = rest.take()?;
            row.iter_mut().zip(weights).for_each(|(to, weight)| *to = weight.cast_signed());
            Ok(row)
        };
        let buckets = (0..BUCKETS).map(|_| row(&mut rest)).collect::<Result<_, _>>()?;
        let anchors = anchors::decode(&mut rest)?;
        if !rest.0.is_empty() {
            return Err(ModelError::Damaged);
        }
        Ok(Self { temperature, doubt, scale, bias, shapes, buckets, anchors })
    }
}

/// What is left of a file.
pub(crate) struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], ModelError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(ModelError::Damaged)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn number(&mut self) -> Result<f32, ModelError> {
        let number = f32::from_le_bytes(self.take()?);
        if number.is_finite() { Ok(number) } else { Err(ModelError::Damaged) }
    }

    fn numbers(&mut self) -> Result<[f32; CATEGORIES], ModelError> {
        let mut numbers = [0.0; CATEGORIES];
        for number in &mut numbers {
            *number = self.number()?;
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::MODEL;

    #[test]
    fn the_embedded_file_is_small_and_reads_back_the_same() {
        assert!(MODEL.len() <= SIZE_LIMIT, "{}", MODEL.len());
        assert_eq!(Model::decode(MODEL).unwrap().encode(), MODEL);
    }

    #[test]
    fn damage_is_noticed() {
        assert_eq!(Model::decode(b"PK"), Err(ModelError::Damaged));
        assert_eq!(Model::decode(b"nothing of the sort"), Err(ModelError::Foreign));
        let mut file = MODEL.to_vec();
        file[1000] ^= 1;
        assert_eq!(Model::decode(&file), Err(ModelError::Damaged));
        assert_eq!(Model::decode(&MODEL[..MODEL.len() - 9]), Err(ModelError::Damaged));
    }
}
