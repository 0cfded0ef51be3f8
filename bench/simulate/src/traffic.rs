//! The requests of one run, and the luck that each has at each target: drawn before anything is
//! chosen, so that every policy meets the same.

use routing::Rng;

use crate::{
    draw::{below, normal},
    world::World,
};

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// When it comes.
    pub(crate) at: f64,
    /// To which router.
    pub(crate) router: usize,
    /// Tokens of its prompt.
    pub(crate) prompt: f64,
    /// Tokens of its answer.
    pub(crate) output: f64,
    /// Whether it streams.
    pub(crate) stream: bool,
    /// How it fares, by target.
    pub(crate) luck: Vec<Luck>,
}

/// How a request fares at one target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Luck {
    /// Of the time to the first token, standard normal.
    pub(crate) first_token: f64,
    /// Of the time per token, standard normal.
    pub(crate) token: f64,
    /// It fails where this is below the part that fails.
    pub(crate) fails: f64,
    /// It is slow beyond measure where this is below the part that is.
    pub(crate) tail: f64,
}

/// All requests of a world, in the order in which they come.
pub(crate) fn requests(world: &World, seed: u64) -> Vec<Request> {
    let rng = &mut Rng::new(seed.wrapping_mul(1_000_003).wrapping_add(1));
    let mut requests = Vec::new();
    let mut at = 0.0;
    loop {
        at -= (1.0 - rng.unit()).ln() / world.rate;
        if at >= world.length {
            return requests;
        }
        let router = below(rng, world.routers);
        let prompt = 400.0 * (1.1 * normal(rng)).exp();
        let output = (180.0 * (0.9 * normal(rng)).exp()).clamp(4.0, 2000.0);
        let stream = rng.unit() < 0.7;
        let luck = (0..world.targets.len()).map(|_| Luck {
            first_token: normal(rng),
            token: normal(rng),
            fails: rng.unit(),
            tail: rng.unit(),
        });
        let luck = luck.collect();
        requests.push(Request { at, router, prompt, output, stream, luck });
    }
}
