//! Limits by shares, in a fleet of routers with a controller's loop and no store: how well they hold
//! at steady demand, and how far a step overshoots. Simulated time, seeded draws; the routers and
//! the merge are the real ones. `--nocapture` prints the figures.

#![cfg(test)]

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use routing::{
    Digest, Nanos, ObjectId, Rng, Usage,
    fleet::{
        Configured, ConfiguredKey, Dimension, FleetKey, FleetLimit, FleetView, Heard, KeyId,
        LimitKey, Report, merge,
    },
    key::CompiledLimits,
    quota::{Estimate, Limits, Reservation, Rule, Settled},
};

/// From one sweep to the next, in ticks.
const SWEEP: u64 = 50;
/// From a sweep to its word at the routers, in ticks.
const LAG: u64 = 5;
/// A tick.
const TICK: Duration = Duration::from_millis(100);
const MINUTE: u64 = 600;

/// What a world is like.
#[derive(Clone)]
struct Setup {
    /// Whether it is a caller's key that is limited, or a target.
    of_key: bool,
    routers: usize,
    dimension: Dimension,
    limit: u64,
    /// Tokens that a request is estimated to use; what it uses is up to twice or half of it.
    tokens: u64,
    /// How long a request takes on average, in ticks.
    takes: f64,
    seed: u64,
}

impl Setup {
    fn limits(&self) -> CompiledLimits {
        let of = |dimension| (self.dimension == dimension).then_some(self.limit);
        CompiledLimits {
            requests_per_minute: of(Dimension::Requests),
            tokens_per_minute: of(Dimension::Tokens),
            max_in_flight: of(Dimension::InFlight),
        }
    }
}

struct Running {
    ends: u64,
    router: usize,
    reservation: Reservation,
    really: u64,
}

struct World {
    setup: Setup,
    tick: u64,
    rng: Rng,
    key: LimitKey,
    routers: Vec<Limits>,
    running: Vec<Running>,
    /// Of the last minute: when, and how much.
    used: VecDeque<(u64, u64)>,
    word: Option<(u64, Vec<FleetView>)>,
}

impl World {
    fn new(setup: Setup) -> Self {
        let flight = setup.dimension == Dimension::InFlight;
        let quota = (!flight && !setup.of_key).then(|| "main".to_owned());
        let limits = setup.limits();
        let of_key = setup.of_key.then(|| Rule::of_key(&limits));
        let of_target = quota
            .iter()
            .map(|name| Rule {
                quota: Some(name.as_str().into()),
                dimension: setup.dimension,
                limit: setup.limit,
                models: Vec::new(),
                count_cached_input: false,
            })
            .collect();
        let rules: Vec<Rule> = of_key.unwrap_or(of_target);
        let routers = (0..setup.routers).map(|n| {
            let seed = setup.seed * 1_000 + n as u64;
            let mut limits = Limits::new(rules.clone(), flight.then_some(setup.limit), seed);
            limits.set_routers(u32::try_from(setup.routers).unwrap());
            limits
        });
        let target = ObjectId::new("ns", "t");
        Self {
            tick: 0,
            rng: Rng::new(setup.seed),
            key: LimitKey { target, quota, dimension: setup.dimension },
            routers: routers.collect(),
            running: Vec::new(),
            used: VecDeque::new(),
            word: None,
            setup,
        }
    }

    fn key_id(&self) -> KeyId {
        KeyId { id: self.key.target.clone(), uid: Digest::default() }
    }

    fn now(&self) -> Nanos {
        Nanos::ZERO + TICK * u32::try_from(self.tick).unwrap()
    }

    fn poisson(&mut self, mean: f64) -> u32 {
        let (mut product, mut count) = (self.rng.unit(), 0);
        while product > (-mean).exp() {
            product *= self.rng.unit();
            count += 1;
        }
        count
    }

    /// One tick, with so many requests a minute asked of each router.
    fn step(&mut self, rates: &[f64]) {
        self.tick += 1;
        let now = self.now();
        if self.tick.is_multiple_of(SWEEP) {
            self.sweep();
        }
        if self.word.as_ref().is_some_and(|(at, _)| *at == self.tick) {
            let (_, views) = self.word.take().unwrap();
            for (limits, mut view) in self.routers.iter_mut().zip(views) {
                for limit in &mut view.limits {
                    limit.age_ms += LAG * 100;
                }
                view.keys.iter_mut().for_each(|key| key.age_ms += LAG * 100);
                let words = view.keys.iter().flat_map(FleetKey::words);
                let words = words.chain(view.limits.iter().map(FleetLimit::word));
                limits.tell(now, view.routers, words);
            }
        }
        let (ended, running) =
            std::mem::take(&mut self.running).into_iter().partition(|r| r.ends <= self.tick);
        self.running = running;
        let ended: Vec<Running> = ended;
        for r in ended {
            let usage = Usage { input: r.really, ..Usage::default() };
            self.routers[r.router].settle(now, r.reservation, Settled::Used(&usage));
        }
        // Nobody is always the first of a tick.
        let first = usize::try_from(self.rng.below(rates.len() as u64)).unwrap();
        for n in 0..rates.len() {
            let router = (first + n) % rates.len();
            for _ in 0..self.poisson(rates[router] / 600.0) {
                self.ask(router);
            }
        }
    }

    fn ask(&mut self, router: usize) {
        let now = self.now();
        let estimate = Estimate { prompt: self.setup.tokens, output: 0 };
        let Ok(reservation) = self.routers[router].reserve(now, "m", estimate) else { return };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "small"
        )]
        let (takes, really) = (
            (-self.setup.takes * (1.0 - self.rng.unit()).ln()) as u64 + 1,
            (self.setup.tokens as f64 * (self.rng.unit() * 2.0 - 1.0).exp2()) as u64,
        );
        self.running.push(Running { ends: self.tick + takes, router, reservation, really });
        let counts = if self.setup.dimension == Dimension::Requests { 1 } else { really };
        self.used.push_back((self.tick, counts));
    }

    fn sweep(&mut self) {
        let now = self.now();
        let heard: BTreeMap<String, Heard> = (0..)
            .zip(&self.routers)
            .map(|(n, limits)| {
                let mut report = Report::default();
                for (quota, dimension, draw) in limits.draws(now) {
                    if self.setup.of_key {
                        let key = report.keys.entry(self.key_id()).or_default();
                        key.draws.insert(dimension, draw);
                        continue;
                    }
                    let target = self.key.target.clone();
                    let quota = quota.map(str::to_owned);
                    report.limits.insert(LimitKey { target, quota, dimension }, draw);
                }
                (format!("router-{n:03}"), Heard { report, age: Duration::ZERO })
            })
            .collect();
        let mut configured = Configured::default();
        if self.setup.of_key {
            let limits = self.setup.limits().amounts().collect();
            configured.keys.insert(self.key_id(), ConfiguredKey { limits, budget: None });
        } else {
            configured.limits.insert(self.key.clone(), self.setup.limit);
        }
        let views = merge(&heard, &configured);
        self.word = Some((self.tick + LAG, views.into_values().collect()));
    }

    /// What of the limit is used: over the last minute, or in flight.
    fn level(&mut self) -> f64 {
        while self.used.front().is_some_and(|(at, _)| *at + MINUTE <= self.tick) {
            self.used.pop_front();
        }
        let used = if self.setup.dimension == Dimension::InFlight {
            self.running.len() as u64
        } else {
            self.used.iter().map(|(_, n)| n).sum()
        };
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let (used, limit) = (used as f64, self.setup.limit as f64);
        used / limit
    }
}

/// The levels of a stretch.
#[derive(Debug)]
struct Levels {
    highest: f64,
    mean: f64,
}

fn run(world: &mut World, seconds: u64, rates: &[f64]) -> Levels {
    let mut levels = Levels { highest: 0.0, mean: 0.0 };
    for _ in 0..seconds * 10 {
        world.step(rates);
        let level = world.level();
        levels.highest = levels.highest.max(level);
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let ticks = (seconds * 10) as f64;
        levels.mean += level / ticks;
    }
    levels
}

/// How demand is spread over routers, as parts of the whole.
fn even(routers: usize) -> Vec<f64> {
    let count = f64::from(u32::try_from(routers).unwrap());
    vec![1.0 / count; routers]
}

/// Half of it at one router, a quarter at the next, and the rest spread.
fn skewed(routers: usize, first: usize) -> Vec<f64> {
    let count = f64::from(u32::try_from(routers).unwrap());
    let mut parts = vec![0.25 / count; routers];
    parts[first % routers] += 0.5;
    parts[(first + 1) % routers] += 0.25;
    parts
}

fn rates(parts: &[f64], setup: &Setup, load: f64) -> Vec<f64> {
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let (limit, tokens) = (setup.limit as f64, setup.tokens as f64);
    let per_minute = match setup.dimension {
        Dimension::Requests => limit,
        // What is in flight is replaced so often in a minute.
        Dimension::InFlight => limit * 600.0 / setup.takes,
        // A request uses 1.08 of its estimate on average.
        _ => limit / (tokens * 1.08),
    };
    parts.iter().map(|part| part * per_minute * load).collect()
}

fn setups() -> Vec<Setup> {
    let mut all = Vec::new();
    for (dimension, limit, tokens, takes) in [
        (Dimension::Requests, 600, 1, 20.0),
        (Dimension::Requests, 75, 1, 20.0),
        (Dimension::Tokens, 200_000, 500, 50.0),
        (Dimension::InFlight, 60, 1, 40.0),
        (Dimension::InFlight, 400, 1, 100.0),
    ] {
        for routers in [3, 20] {
            all.push(Setup { of_key: false, routers, dimension, limit, tokens, takes, seed: 5 });
        }
        // A caller's key goes the same way; the small limits are told apart above.
        for routers in [1, 3, 20].into_iter().filter(|_| limit > 75) {
            all.push(Setup { of_key: true, routers, dimension, limit, tokens, takes, seed: 7 });
        }
    }
    all
}

#[test]
fn limits_hold_at_steady_demand_two_intervals_after_a_change() {
    println!("routers dimension limit spread load: highest, mean (of the limit)");
    for setup in setups() {
        // Where a router's part is a handful, one request more or less is much of it.
        let small = setup.limit < 200;
        for (name, parts) in [("even", even(setup.routers)), ("skewed", skewed(setup.routers, 0))] {
            for load in [0.7, 2.0, 5.0] {
                let mut world = World::new(setup.clone());
                run(&mut world, 200, &rates(&parts, &setup, load / 2.0));
                // The change, and two intervals.
                run(&mut world, 10, &rates(&parts, &setup, load));
                let Levels { highest, mean } = run(&mut world, 360, &rates(&parts, &setup, load));
                let Setup { of_key, routers, dimension, limit, .. } = setup;
                let of = if of_key { "key" } else { "target" };
                let case =
                    format!("{of:6} {routers:3} {dimension:9} {limit:6} {name:7} {load:3.1}");
                println!("{case}: {highest:.3} {mean:.3}");
                assert!(highest <= if small { 1.15 } else { 1.1 }, "{case}: {highest}");
                assert!(mean <= 1.02, "{case}: {mean}");
                if load > 1.0 && !small {
                    assert!(mean >= 0.9, "{case}: {mean} is used");
                }
            }
        }
    }
}

#[test]
fn the_overshoot_of_a_step() {
    println!("routers dimension limit step: highest at once, after two intervals, after 70 s");
    for setup in setups() {
        let routers = setup.routers;
        let one = |at: usize| (0..routers).map(|n| f64::from(u8::from(n == at))).collect();
        let quiet: Vec<f64> = vec![0.0; routers];
        let steps: [(&str, Vec<f64>, Vec<f64>); 3] = [
            ("from nothing", quiet, even(routers)),
            ("skew moves", skewed(routers, 0), skewed(routers, 2)),
            ("from one to another", one(0), one(1)),
        ];
        for (name, before, after) in steps {
            let mut world = World::new(setup.clone());
            run(&mut world, 200, &rates(&before, &setup, 5.0));
            let after = rates(&after, &setup, 5.0);
            let at_once = run(&mut world, 10, &after).highest;
            let soon = run(&mut world, 60, &after).highest;
            let later = run(&mut world, 300, &after).highest;
            let Setup { of_key, dimension, limit, .. } = setup;
            let of = if of_key { "key" } else { "target" };
            let case = format!("{of:6} {routers:3} {dimension:9} {limit:6} {name}");
            println!("{case}: {at_once:.2} {soon:.2} {later:.2}");
            assert!(at_once.max(soon) <= 1.25, "{case}: {at_once} {soon}");
            assert!(later <= 1.25, "{case}: {later}");
        }
    }
}
