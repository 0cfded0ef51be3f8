//! Affinity: requests of one session go to one target, on every router, without a store.
//!
//! Weighted rendezvous hashing: session and candidate are hashed together, which gives each
//! candidate a point in (0, 1) that is as good as drawn, but always the same; the point and the
//! candidate's weight decide a race. So sessions are shared out by weight, and when a candidate
//! comes, goes, is ejected or weighs more, only the sessions move that it wins or loses.

use smallvec::SmallVec;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::snapshot::CompiledCandidate;

/// The key of a session, from what its requests have in common, part by part. Parts do not run into
/// each other.
pub fn session<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let mut hash = Xxh3::new();
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.digest()
}

/// A point in (0, 1) that is always the same for this session at this candidate, whichever entry
/// names it.
pub fn point(session: u64, candidate: &CompiledCandidate) -> f64 {
    let target = &candidate.target;
    let mut key: SmallVec<[u8; 128]> = SmallVec::new();
    key.extend_from_slice(&session.to_le_bytes());
    for name in [&*target.namespace, &*target.name, &*candidate.model] {
        key.extend_from_slice(name.as_bytes());
        // Names of objects hold no slash, so that none runs into the next.
        key.push(b'/');
    }
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
    let bits = (xxh3_64(&key) >> 11) as f64;
    (bits + 0.5) / 9_007_199_254_740_992.0
}

/// When a candidate of this weight arrives in a race that its point decides: exponentially
/// distributed with the weight as its rate, so that the first is drawn by weight, and each that
/// follows among the rest. A weight that is not above 0 never arrives.
pub fn arrival(point: f64, weight: f64) -> f64 {
    if weight > 0.0 { -point.ln() / weight } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ObjectId;

    fn candidate(n: usize) -> CompiledCandidate {
        CompiledCandidate {
            entry: "e".into(),
            target: ObjectId::new("ns", format!("t{n}")),
            model: "m".into(),
        }
    }

    fn winner(session: u64, weights: &[f64]) -> usize {
        let arrival = |n: usize| arrival(point(session, &candidate(n)), weights[n]);
        (0..weights.len()).min_by(|a, b| arrival(*a).total_cmp(&arrival(*b))).unwrap()
    }

    #[test]
    fn sessions_are_shared_out_by_weight() {
        let weights = [5.0, 3.0, 1.0, 1.0, 0.0];
        let mut counts = [0.0; 5];
        for n in 0..100_000_u64 {
            counts[winner(session([&n.to_le_bytes()[..]]), &weights)] += 1.0;
        }
        let chi: f64 = (0..4)
            .map(|i| {
                let expected = 10_000.0 * weights[i];
                f64::powi(counts[i] - expected, 2) / expected
            })
            .sum();
        assert!(chi < 16.27, "p = 0.001 of three degrees: {chi} of {counts:?}");
        assert!(counts[4] < 0.5);
    }

    #[test]
    fn only_the_sessions_of_what_changes_move() {
        let before = [1.0, 1.0, 1.0, 1.0];
        for n in 0..10_000_u64 {
            let was = winner(n, &before);
            let without = winner(n, &[1.0, 0.0, 1.0, 1.0]);
            assert!(was == without || was == 1);
            let more = winner(n, &[1.0, 1.0, 1.0, 2.0]);
            assert!(was == more || more == 3);
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(session([&b"ab"[..], b"c"]), session([&b"a"[..], b"bc"]));
        assert_eq!(session([&b"ab"[..]]), session([&b"ab"[..]]));
    }

    #[test]
    fn routers_of_other_builds_agree() {
        // What a release hashes, the next must hash as well: routers of both serve side by side.
        assert_eq!(xxh3_64(b""), 0x2d06_8005_38d3_94c2, "the reference vector");
        assert_eq!(session([&b"s"[..]]), 12_234_941_915_797_697_604);
        assert!((point(1, &candidate(0)) - 0.660_547_346_237_791_8).abs() < 1e-15);
    }
}
