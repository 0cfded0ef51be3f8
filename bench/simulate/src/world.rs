//! A world: targets with their speeds and faults, the routers before them, and the load. Times are
//! seconds since its beginning.

pub mod file;
pub mod named;
pub mod random;

use std::fmt;

/// A function of a target and of time.
pub type OfTime<T> = Box<dyn Fn(usize, f64) -> T + Send + Sync>;

/// One target.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The median time to the first token of a prompt of 400 tokens, in seconds.
    pub first_token: f64,
    /// The median time per output token, in seconds.
    pub token: f64,
    /// The requests under way from which on they slow each other down; endless: never.
    pub capacity: f64,
    /// The requests per minute that are admitted; endless: all.
    pub per_minute: f64,
    /// The part of answers that are slow beyond measure, and by how much.
    pub tail: (f64, f64),
}

impl Target {
    /// A target of this speed, without limits.
    pub fn new(first_token: f64, token: f64) -> Self {
        Self {
            first_token,
            token,
            capacity: f64::INFINITY,
            per_minute: f64::INFINITY,
            tail: (0.0, 1.0),
        }
    }

    /// How much slower so many requests under way make each other.
    pub fn crowding(&self, in_flight: f64) -> f64 {
        (in_flight / self.capacity).max(1.0)
    }
}

/// A world.
pub struct World {
    /// Its name.
    pub name: String,
    /// The targets.
    pub targets: Vec<Target>,
    /// How many routers there are.
    pub routers: usize,
    /// Requests per second, over all routers.
    pub rate: f64,
    /// How long requests come, in seconds.
    pub length: f64,
    /// The standard deviation of the log of the time to the first token.
    pub spread: f64,
    /// What a target's times are multiplied by.
    pub slowness: OfTime<f64>,
    /// The part of a target's requests that fail.
    pub failing: OfTime<f64>,
    /// Whether a target never answers.
    pub hangs: OfTime<bool>,
    /// Whether a target is there.
    pub exists: OfTime<bool>,
    /// From one sweep of the fleet's statistics to the next, in seconds.
    pub sweep: f64,
    /// How much later routers are told of them, in seconds.
    pub delay: f64,
    /// After how long without a first token an attempt is given up, in seconds.
    pub timeout: f64,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("name", &self.name).finish_non_exhaustive()
    }
}

impl World {
    /// The base of every named world: four targets, ten routers, 20 requests per second.
    pub fn base(name: impl Into<String>) -> Self {
        let speeds = [(0.3, 0.012), (0.5, 0.018), (0.8, 0.025), (1.5, 0.040)];
        Self {
            name: name.into(),
            targets: speeds.map(|(first, token)| Target::new(first, token)).to_vec(),
            routers: 10,
            rate: 20.0,
            length: 600.0,
            spread: 0.35,
            slowness: Box::new(|_, _| 1.0),
            failing: Box::new(|_, _| 0.0),
            hangs: Box::new(|_, _| false),
            exists: Box::new(|_, _| true),
            sweep: 5.0,
            delay: 2.0,
            timeout: 30.0,
        }
    }

    /// With so many routers, under the same load.
    #[must_use]
    pub fn with_routers(mut self, routers: usize) -> Self {
        self.routers = routers;
        self
    }
}

/// How much longer a prompt takes to its first token than one of 400 tokens does.
pub fn prompt_factor(tokens: f64) -> f64 {
    0.6 + 0.4 * (tokens / 400.0).sqrt()
}
