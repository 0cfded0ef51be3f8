//! Policies: the product's own, and what others do. Each is one router's, and sees what a router
//! sees: its own requests, and what the fleet is told. (The oracle alone sees the world.)

mod bandit;
mod ewma;
mod fleet_argmin;
mod litellm;
mod lowest_latency;
mod oracle;
mod prequal;
mod simple;

use routing::{ejection::Availability, stats::Sums};

use crate::world::World;

/// What a policy chooses by.
#[derive(Debug)]
pub struct Pick<'a> {
    /// The time.
    pub now: f64,
    /// The request.
    pub call: &'a Call,
    /// The targets that may be chosen; never empty.
    pub open: &'a [usize],
    /// Every target that exists, as a set of bits.
    pub exists: u64,
    /// The ejections of this router, by target.
    pub availability: &'a [Availability],
    /// Requests of this router that are under way, by target.
    pub pending: &'a [u32],
    /// What no router knows.
    pub truth: Truth<'a>,
}

/// The world as it is.
#[derive(Clone, Copy, Debug)]
pub struct Truth<'a> {
    /// The world.
    pub world: &'a World,
    /// Requests of all routers that are under way, by target.
    pub in_flight: &'a [f64],
    /// How many requests the rate limit admits at once now, by target.
    pub admits: &'a [f64],
}

/// A request at a router.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call {
    /// Its number.
    pub number: usize,
    /// Which attempt it is, from 0.
    pub attempt: u32,
    /// When this attempt began.
    pub since: f64,
    /// Tokens of its prompt.
    pub prompt: f64,
    /// Tokens of its answer, which only its end tells.
    pub output: f64,
    /// Whether it streams.
    pub stream: bool,
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// 429.
    RateLimited,
    /// 5xx.
    Error,
    /// No first token in time.
    Timeout,
}

/// What a router reports to the fleet, by target.
#[derive(Clone, Debug)]
pub enum Report {
    /// The product's decayed sums.
    Sums(Vec<Sums>),
    /// Total time and number of answers since the last report.
    Times(Vec<(f64, f64)>),
}

/// What a router does.
pub trait Policy {
    /// Chooses one of the open targets.
    fn pick(&mut self, cx: &Pick<'_>) -> usize;
    /// The request was sent there.
    fn sent(&mut self, _now: f64, _call: &Call, _target: usize) {}
    /// Its first token came.
    fn first_token(&mut self, _now: f64, _call: &Call, _target: usize) {}
    /// It was answered, after so many seconds to the first token and in all.
    fn answered(&mut self, _now: f64, _call: &Call, _target: usize, _first: f64, _total: f64) {}
    /// It failed.
    fn failed(&mut self, _now: f64, _call: &Call, _target: usize, _failure: Failure) {}
    /// The fleet asks.
    fn report(&mut self, _now: f64) -> Option<Report> {
        None
    }
    /// The fleet tells: the sums of all other routers, or the totals of all, so many seconds old.
    fn told(&mut self, _now: f64, _age: f64, _fleet: &Report) {}
}

/// What a policy is made for.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The world.
    pub world: &'a World,
    /// The seed of its draws: different on every router.
    pub seed: u64,
}

impl Setup<'_> {
    /// How many targets there are.
    pub fn targets(&self) -> usize {
        self.world.targets.len()
    }
}

/// A policy by name.
#[derive(Clone, Copy)]
pub struct Named {
    /// Its name in the tables.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Makes one for a router.
    pub make: fn(&Setup<'_>) -> Box<dyn Policy>,
}

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! policies {
    ($($name:literal $about:literal => $make:expr;)+) => {
        /// Every policy, the product's own first.
        pub const ALL: &[Named] =
            &[$(Named { name: $name, about: $about, make: |setup| Box::new($make(setup)) }),+];
    };
}

policies! {
    "LowestLatency" "the routing crate itself" => lowest_latency::LowestLatency::new;
    "LiteLLM" "LiteLLM's lowest latency, a cache per router: mean of the last 10" => litellm::LiteLlm::new;
    "PeakEWMA" "peak EWMA of latency times load, two random choices (tower, Linkerd, Helicone)" => ewma::PeakEwma::new;
    "PrequalHCL" "hot-cold by requests in flight, then by latency (Prequal), from own requests" => prequal::HotCold::new;
    "LeastBusy" "fewest requests under way" => simple::LeastBusy::new;
    "DiscountedTS" "discounted Thompson sampling" => bandit::DiscountedThompson::new;
    "Random" "uniform" => simple::Random::new;
    "FleetArgmin" "the lowest fleet-wide mean latency" => fleet_argmin::FleetArgmin::new;
    "RoundRobin" "in turn" => simple::RoundRobin::new;
    "P2CLeast" "two random choices by requests under way" => simple::TwoChoicesLeast::new;
    "Kong" "decaying EWMA of latency, two random choices" => ewma::Kong::new;
    "AgentGateway" "health by EWMA of latency and load, two random choices" => ewma::AgentGateway::new;
    "ArgminEWMA" "lowest EWMA of latency" => ewma::Argmin::new;
    "SlidingUCB" "sliding-window UCB" => bandit::SlidingUcb::new;
}

/// The clairvoyant that regret is measured against.
pub const ORACLE: Named = Named {
    name: "Oracle",
    about: "knows medians, faults and load",
    make: |_| Box::new(oracle::Oracle),
};
