//! The run of one world under one policy: a queue of events in simulated time.

use std::{cmp::Ordering, collections::BinaryHeap, rc::Rc};

use routing::ejection::Availability;

use crate::{
    health::{Health, Rule},
    merge,
    policy::{Call, Failure, Named, Pick, Policy, Report, Setup, Truth},
    traffic::{Request, requests},
    world::{World, prompt_factor},
};

/// Attempts that a request gets.
const ATTEMPTS: u32 = 6;
/// From a failure to the next attempt, in seconds.
const BETWEEN: f64 = 0.01;
/// After how many seconds a request over the limit is refused.
const REFUSAL: f64 = 0.15;
/// What a request that was never answered counts as, beyond the time that it took, in seconds.
const GIVEN_UP: f64 = 60.0;
/// So many seconds of a rate limit may come at once.
const BURST: f64 = 2.0;
/// Sweeps go on for the requests that are under way at the end, for so many seconds.
const TAIL: f64 = 300.0;

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The time of each request, in seconds.
    pub times: Vec<f64>,
    /// When each came, and where it was sent first.
    pub choices: Vec<(f64, usize)>,
    /// Attempts in all.
    pub attempts: usize,
}

/// What happens.
enum Event {
    Attempt(usize),
    FirstToken(usize),
    Answered { number: usize, first: f64 },
    Failed(usize, Failure),
    Sweep,
    Told { swept: f64, views: Rc<Vec<Report>> },
}

struct Queued {
    at: f64,
    order: u64,
    event: Event,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Queued {}
impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Queued {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives the greatest first; the earliest is wanted.
        other.at.total_cmp(&self.at).then(other.order.cmp(&self.order))
    }
}

/// One router.
struct Router {
    policy: Box<dyn Policy>,
    health: Vec<Health>,
    pending: Vec<u32>,
}

/// A request under way.
#[derive(Clone, Copy, Default)]
struct Flight {
    attempt: u32,
    since: f64,
    target: usize,
    tried: u64,
}

struct Engine<'a> {
    world: &'a World,
    requests: &'a [Request],
    flights: Vec<Flight>,
    routers: Vec<Router>,
    in_flight: Vec<f64>,
    /// What each rate limit admits at once, and when that was.
    buckets: Vec<(f64, f64)>,
    queue: BinaryHeap<Queued>,
    queued: u64,
    run: Run,
    left: usize,
}

/// Runs a world under a policy.
pub fn run(world: &World, policy: &Named, seed: u64, rule: Rule) -> Run {
    let requests = requests(world, seed);
    let count = world.targets.len();
    let router = |number: usize| {
        let number = u64::try_from(number).unwrap_or(0);
        let seed = seed.wrapping_mul(7919).wrapping_add(number * 104_729).wrapping_add(13);
        Router {
            policy: (policy.make)(&Setup { world, seed }),
            health: vec![Health::new(rule); count],
            pending: vec![0; count],
        }
    };
    let mut engine = Engine {
        world,
        requests: &requests,
        flights: vec![Flight::default(); requests.len()],
        routers: (0..world.routers).map(router).collect(),
        in_flight: vec![0.0; count],
        buckets: world.targets.iter().map(|t| (BURST * t.per_minute / 60.0, 0.0)).collect(),
        queue: BinaryHeap::new(),
        queued: 0,
        run: Run {
            times: vec![0.0; requests.len()],
            choices: requests.iter().map(|r| (r.at, 0)).collect(),
            attempts: 0,
        },
        left: requests.len(),
    };
    for (number, request) in requests.iter().enumerate() {
        engine.push(request.at, Event::Attempt(number));
    }
    engine.push(world.sweep, Event::Sweep);
    while engine.left > 0
        && let Some(Queued { at, event, .. }) = engine.queue.pop()
    {
        engine.step(at, event);
    }
    engine.run
}

impl Engine<'_> {
    fn push(&mut self, at: f64, event: Event) {
        self.queued += 1;
        self.queue.push(Queued { at, order: self.queued, event });
    }

    fn call(&self, number: usize) -> Call {
        let (request, flight) = (&self.requests[number], &self.flights[number]);
        Call {
            number,
            attempt: flight.attempt,
            since: flight.since,
            prompt: request.prompt,
            output: request.output,
            stream: request.stream,
        }
    }

    fn step(&mut self, now: f64, event: Event) {
        match event {
            Event::Attempt(number) => self.attempt(now, number),
            Event::FirstToken(number) => {
                let (call, target) = (self.call(number), self.flights[number].target);
                let router = &mut self.routers[self.requests[number].router];
                router.health[target].succeeded(now);
                router.policy.first_token(now, &call, target);
            }
            Event::Answered { number, first } => self.answered(now, number, first),
            Event::Failed(number, failure) => self.failed(now, number, failure),
            Event::Sweep => self.sweep(now),
            Event::Told { swept, views } => {
                for (router, view) in self.routers.iter_mut().zip(views.iter()) {
                    router.policy.told(now, now - swept, view);
                }
            }
        }
    }

    /// What the router may choose from: what is available; else what is ejected softly; else what
    /// was tried already, but for what is ejected hard, if there is anything else.
    fn open(&mut self, number: usize, availability: &[Availability], exists: u64) -> Vec<usize> {
        let hard = |i: &usize| matches!(availability[*i], Availability::Hard { .. });
        let there = |i: &usize| exists >> i & 1 == 1;
        let all = || (0..availability.len()).filter(there);
        let fresh = |i: &usize| self.flights[number].tried >> i & 1 == 0;
        let available = |i: &usize| availability[*i] == Availability::Available;
        let mut open: Vec<usize> = all().filter(fresh).filter(available).collect();
        if open.is_empty() {
            open = all().filter(fresh).filter(|i| !hard(i)).collect();
        }
        if open.is_empty() {
            open = all().filter(|i| !hard(i)).collect();
            if open.is_empty() {
                open = all().collect();
            }
            self.flights[number].tried = 0;
        }
        open
    }

    fn attempt(&mut self, now: f64, number: usize) {
        let request = &self.requests[number];
        let world = self.world;
        let count = world.targets.len();
        let there = (0..count).filter(|i| (world.exists)(*i, now));
        let exists = there.fold(0_u64, |set, i| set | 1 << i);
        if exists == 0 {
            self.give_up(now, number);
            return;
        }
        let health = &self.routers[request.router].health;
        let availability: Vec<Availability> = health.iter().map(|h| h.availability(now)).collect();
        let open = self.open(number, &availability, exists);
        self.flights[number].since = now;
        let call = self.call(number);
        for (target, bucket) in world.targets.iter().zip(&mut self.buckets) {
            let rate = target.per_minute / 60.0;
            if rate.is_finite() {
                *bucket = ((bucket.0 + (now - bucket.1) * rate).min(BURST * rate), now);
            }
        }
        let admits: Vec<f64> = self.buckets.iter().map(|(admits, _)| *admits).collect();
        let router = &mut self.routers[request.router];
        let target = router.policy.pick(&Pick {
            now,
            call: &call,
            open: &open,
            exists,
            availability: &availability,
            pending: &router.pending,
            truth: Truth { world, in_flight: &self.in_flight, admits: &admits },
        });
        router.pending[target] += 1;
        router.health[target].claim(now);
        router.policy.sent(now, &call, target);
        self.in_flight[target] += 1.0;
        self.flights[number].target = target;
        self.run.attempts += 1;
        if call.attempt == 0 {
            self.run.choices[number].1 = target;
        }
        self.serve(now, number, target);
    }

    /// What the target makes of it.
    fn serve(&mut self, now: f64, number: usize, target: usize) {
        let (request, world) = (&self.requests[number], self.world);
        let of = &world.targets[target];
        let luck = request.luck[target];
        if of.per_minute.is_finite() {
            if self.buckets[target].0 < 1.0 {
                self.push(now + REFUSAL, Event::Failed(number, Failure::RateLimited));
                return;
            }
            self.buckets[target].0 -= 1.0;
        }
        if (world.hangs)(target, now) {
            self.push(now + world.timeout, Event::Failed(number, Failure::Timeout));
            return;
        }
        if luck.fails < (world.failing)(target, now) {
            self.push(now + 0.4 * of.first_token, Event::Failed(number, Failure::Error));
            return;
        }
        let slowness = (world.slowness)(target, now) * of.crowding(self.in_flight[target]);
        let tail = if luck.tail < of.tail.0 { of.tail.1 } else { 1.0 };
        let first = of.first_token
            * slowness
            * (world.spread * luck.first_token).exp()
            * prompt_factor(request.prompt)
            * tail;
        if first > world.timeout {
            self.push(now + world.timeout, Event::Failed(number, Failure::Timeout));
            return;
        }
        let token = of.token * slowness * (0.15 * luck.token).exp();
        if request.stream {
            self.push(now + first, Event::FirstToken(number));
        }
        self.push(now + first + request.output * token, Event::Answered { number, first });
    }

    fn answered(&mut self, now: f64, number: usize, first: f64) {
        let (call, target) = (self.call(number), self.flights[number].target);
        self.in_flight[target] -= 1.0;
        let router = &mut self.routers[self.requests[number].router];
        router.pending[target] -= 1;
        router.health[target].succeeded(now);
        router.policy.answered(now, &call, target, first, now - call.since);
        self.run.times[number] = now - self.requests[number].at;
        self.left -= 1;
    }

    fn failed(&mut self, now: f64, number: usize, failure: Failure) {
        let (call, target) = (self.call(number), self.flights[number].target);
        self.in_flight[target] -= 1.0;
        let router = &mut self.routers[self.requests[number].router];
        router.pending[target] -= 1;
        router.health[target].failed(now, failure, now - call.since);
        router.policy.failed(now, &call, target, failure);
        let flight = &mut self.flights[number];
        flight.tried |= 1 << target;
        flight.attempt += 1;
        if flight.attempt < ATTEMPTS {
            self.push(now + BETWEEN, Event::Attempt(number));
        } else {
            self.give_up(now, number);
        }
    }

    fn give_up(&mut self, now: f64, number: usize) {
        self.run.times[number] = now - self.requests[number].at + GIVEN_UP;
        self.left -= 1;
    }

    fn sweep(&mut self, now: f64) {
        let reports: Option<Vec<Report>> =
            self.routers.iter_mut().map(|router| router.policy.report(now)).collect();
        if let Some(reports) = reports {
            let views = Rc::new(merge::merge(&reports));
            self.push(now + self.world.delay, Event::Told { swept: now, views });
        }
        if now + self.world.sweep < self.world.length + TAIL {
            self.push(now + self.world.sweep, Event::Sweep);
        }
    }
}
