//! Demo embeddings: unit vectors, the same for the same text and model.

use routing::Rng;

/// The dimensions of an embedding, unless the request names them.
const DIMENSIONS: usize = 8;

/// The vector of a text.
pub(super) fn vector(model: &str, input: &str, dimensions: Option<u64>) -> Vec<f32> {
    let digest = routing::Digest::of_parts([model.as_bytes(), input.as_bytes()]);
    let seed = digest.as_bytes().iter().take(8).fold(0_u64, |seed, b| seed << 8 | u64::from(*b));
    let mut rng = Rng::new(seed);
    let dimensions = dimensions.and_then(|d| usize::try_from(d).ok()).unwrap_or(DIMENSIONS);
    let raw: Vec<f64> = (0..dimensions.clamp(1, 4096)).map(|_| rng.unit() - 0.5).collect();
    let norm = raw.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::EPSILON);
    #[expect(clippy::cast_possible_truncation, reason = "an embedding is made of f32")]
    raw.iter().map(|x| (x / norm) as f32).collect()
}

/// Little-endian f32 in base64, as OpenAI's `encoding_format: base64`.
pub(super) fn base64(vector: &[f32]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_has_the_same_vector() {
        assert_eq!(vector("m", "a", None), vector("m", "a", None));
        assert_ne!(vector("m", "a", None), vector("m", "b", None));
        let unit: f32 = vector("m", "a", Some(3)).iter().map(|x| x * x).sum();
        assert!((unit - 1.0).abs() < 1e-5, "{unit}");
    }
}
