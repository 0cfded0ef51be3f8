//! Ways to split bytes: at every offset of what is small, at a sample of what is large, and into
//! chunks of random length.

use bytes::Bytes;

/// What is split at every offset.
const SMALL: usize = 600;

/// The splits of these bytes, the same on every machine.
pub(crate) fn of(body: &Bytes) -> impl Iterator<Item = Vec<Bytes>> + '_ {
    let step = if body.len() <= SMALL { 1 } else { body.len() / 24 };
    let halves = (0..=body.len()).step_by(step.max(1));
    let halves = halves.map(|at| vec![body.slice(..at), body.slice(at..)]);
    let random = [1_u64, 7, 64, 1500].into_iter().map(|longest| chunks(body, longest));
    halves.chain(random)
}

fn chunks(body: &Bytes, longest: u64) -> Vec<Bytes> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ longest;
    let mut rest = body.clone();
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let len = usize::try_from(state % longest).unwrap() + 1;
        chunks.push(rest.split_to(len.min(rest.len())));
    }
    chunks
}
