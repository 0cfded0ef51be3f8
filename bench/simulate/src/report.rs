//! Runs worlds under policies over seeds, on every core, and puts the scores together.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde::Serialize;

use crate::{
    engine::run,
    health::Rule,
    policy::{Named, ORACLE},
    score::{Score, geometric_mean},
    world::World,
};

/// The scores of a set of worlds.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The seeds.
    pub seeds: Vec<u64>,
    /// The worlds, in order.
    pub worlds: Vec<Scored>,
    /// The geometric mean of the regrets of each policy, over the worlds.
    pub geomean: BTreeMap<&'static str, f64>,
}

/// The scores of one world.
#[derive(Clone, Debug, Serialize)]
pub struct Scored {
    /// Its name.
    pub name: String,
    /// Each policy's score.
    pub policies: BTreeMap<&'static str, Score>,
}

/// Runs every world under every policy with every seed. The figures do not depend on how many
/// threads there are.
pub fn simulate(worlds: &[World], policies: &[Named], seeds: &[u64], rule: Rule) -> Report {
    let jobs = worlds.len() * seeds.len();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done: Vec<(usize, Vec<Score>)> = Vec::new();
        loop {
            let job = next.fetch_add(1, Ordering::Relaxed);
            if job >= jobs {
                return done;
            }
            let (world, seed) = (&worlds[job / seeds.len()], seeds[job % seeds.len()]);
            let oracle = run(world, &ORACLE, seed, rule);
            let score = |policy: &Named| {
                Score::of(&run(world, policy, seed, rule), &oracle, world.targets.len())
            };
            done.push((job, policies.iter().map(score).collect()));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut done: Vec<(usize, Vec<Score>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        // A worker that panicked has said why; what it did is missing, and so no table is printed.
        workers.into_iter().filter_map(|worker| worker.join().ok()).flatten().collect()
    });
    assert!(done.len() == jobs, "a run did not end");
    done.sort_by_key(|(job, _)| *job);
    let done: Vec<Vec<Score>> = done.into_iter().map(|(_, scores)| scores).collect();
    let scored = worlds.iter().zip(done.chunks(seeds.len().max(1))).map(|(world, runs)| Scored {
        name: world.name.clone(),
        policies: policies
            .iter()
            .enumerate()
            .map(|(at, policy)| {
                let of: Vec<Score> = runs.iter().map(|scores| scores[at]).collect();
                (policy.name, Score::mean(&of))
            })
            .collect(),
    });
    let scored: Vec<Scored> = scored.collect();
    let geomean = policies
        .iter()
        .map(|policy| {
            let regrets = scored.iter().map(|world| world.policies[policy.name].regret);
            (policy.name, geometric_mean(regrets))
        })
        .collect();
    Report { seeds: seeds.to_vec(), worlds: scored, geomean }
}
