//! Who probes which target: the router that rendezvous hashing names. Every target has exactly one
//! prober, the probes spread over the routers, and when one leaves only its targets move.

use xxhash_rust::xxh3::Xxh3;

use crate::id::ObjectId;

/// The index of the router that probes the target; `None` without routers. Of equal hashes, which
/// do not happen, the last.
pub fn prober<N: AsRef<str>>(routers: &[N], target: &ObjectId) -> Option<usize> {
    let weight = |name: &str| {
        let mut hash = Xxh3::new();
        for part in [name, &target.namespace, &target.name] {
            hash.update(part.as_bytes());
            // Names hold no zero byte, so that none runs into the next.
            hash.update(&[0]);
        }
        hash.digest()
    };
    (0..routers.len()).max_by_key(|at| weight(routers[*at].as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_targets_of_who_left_move_and_probes_spread() {
        let mut routers: Vec<String> = (0..10).map(|n| format!("router-{n}")).collect();
        let targets: Vec<ObjectId> =
            (0..500).map(|n| ObjectId::new("ns", format!("t{n}"))).collect();
        let by = |routers: &[String]| -> Vec<String> {
            targets.iter().map(|t| routers[prober(routers, t).unwrap()].clone()).collect()
        };
        let before = by(&routers);
        let left = routers.remove(3);
        let after = by(&routers);
        for (b, a) in before.iter().zip(&after) {
            assert!(b == a || *b == left);
        }
        for router in &routers {
            let share = after.iter().filter(|r| *r == router).count();
            assert!((30..90).contains(&share), "{router}: {share} of 500");
        }
        assert_eq!(prober::<String>(&[], &targets[0]), None);
    }
}
