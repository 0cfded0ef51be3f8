//! What requests count on: one handle per alias, per target and per (alias, target), each a few
//! atomics that nothing has to be looked up for.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use routing::{
    Money,
    outcome::{Fault, OutcomeClass},
};

use super::{Count, category::JudgeMetrics, family::Families};
use crate::names;

/// Upper bounds of the buckets, in seconds: from a cached answer to the longest think.
const BOUNDS: [f64; 12] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Success, the faults, InvalidRequest and CallerLeft.
const CLASSES: usize = Fault::ALL.len() + 3;

/// How a request ended, as its caller saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestEnd {
    /// With an answer.
    Answered,
    /// Refused for the request's own fault, or for a limit.
    Refused,
    /// Failed on our side, or on all targets.
    Failed,
    /// A stream that broke off after content.
    Cut,
    /// The caller went away.
    Left,
}

impl RequestEnd {
    const ALL: [Self; 5] = [Self::Answered, Self::Refused, Self::Failed, Self::Cut, Self::Left];

    /// The end that a status is.
    pub fn of_status(status: u16) -> Self {
        match status {
            0..400 => Self::Answered,
            400..500 => Self::Refused,
            _ => Self::Failed,
        }
    }

    /// The value of the label `code`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "2xx",
            Self::Refused => "4xx",
            Self::Failed => "5xx",
            Self::Cut => "cut",
            Self::Left => "left",
        }
    }
}

/// A histogram, made by its first observation.
#[derive(Debug, Default)]
pub(super) struct Buckets(OnceLock<Box<Cells>>);

#[derive(Debug, Default)]
struct Cells {
    /// One per bound, and one for what is above them all.
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Buckets {
    fn observe(&self, took: Duration) {
        let cells = self.0.get_or_init(Box::default);
        let seconds = took.as_secs_f64();
        let at = BOUNDS.partition_point(|bound| *bound < seconds);
        cells.counts[at].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        cells.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Bounds with cumulative counts, the count of all, and the sum in seconds.
    pub(super) fn read(&self) -> (impl Iterator<Item = (f64, u64)>, u64, f64) {
        let mut counts = [0; BOUNDS.len() + 1];
        let mut total = 0;
        let mut sum = 0.0;
        if let Some(cells) = self.0.get() {
            for (out, cell) in counts.iter_mut().zip(&cells.counts) {
                total += cell.load(Ordering::Relaxed);
                *out = total;
            }
            sum = Duration::from_micros(cells.micros.load(Ordering::Relaxed)).as_secs_f64();
        }
        (BOUNDS.into_iter().zip(counts), total, sum)
    }
}

/// What is counted per alias.
#[derive(Debug, Default)]
pub struct AliasMetrics {
    ends: [Count; RequestEnd::ALL.len()],
    started: Count,
    duration: Buckets,
    /// Requests that are being served.
    pub in_flight: Count,
    /// The questions of what a prompt is about, to another alias.
    pub judge: JudgeMetrics,
}

impl AliasMetrics {
    /// A request begins: it is in flight until [`ended`](Self::ended) is called.
    pub fn begun(&self) {
        self.started.inc();
        self.in_flight.inc();
    }

    /// A request that had [`begun`](Self::begun) ended.
    pub fn ended(&self, end: RequestEnd, took: Duration) {
        self.in_flight.dec();
        self.refused(end, took);
    }

    /// A request ended that never counted as in flight.
    pub fn refused(&self, end: RequestEnd, took: Duration) {
        self.ends[end as usize].inc();
        self.duration.observe(took);
    }

    pub(super) fn collect(&self, alias: &str, out: &mut Families) {
        for (end, count) in RequestEnd::ALL.iter().zip(&self.ends) {
            if count.get() > 0 {
                out.count(&names::REQUESTS, &[alias, end.name()], count.get());
            }
        }
        if self.started.get() > 0 {
            out.count(&names::REQUESTS_IN_FLIGHT, &[alias], self.in_flight.get());
        }
        out.histogram(&names::REQUEST_DURATION, &[alias], &self.duration);
        self.judge.collect(alias, out);
    }
}

/// What is counted per (alias, target).
#[derive(Debug, Default)]
pub struct AttemptMetrics {
    /// Made by the first attempt: most pairs of a large snapshot are never used.
    cells: OnceLock<Box<AttemptCells>>,
}

#[derive(Debug, Default)]
struct AttemptCells {
    outcomes: [Count; CLASSES],
    duration: Buckets,
    first_token: Buckets,
    input: Count,
    output: Count,
    estimates: Count,
    /// `None`: nothing that has a price. Exact, as its sum is too; locked for an addition.
    cost: Mutex<Option<Money>>,
    truncated: Count,
}

impl AttemptMetrics {
    fn cells(&self) -> &AttemptCells {
        self.cells.get_or_init(Box::default)
    }

    /// An attempt ended.
    pub fn ended(&self, class: OutcomeClass, took: Duration) {
        let cells = self.cells();
        cells.outcomes[index(class)].inc();
        if class == OutcomeClass::Success {
            cells.duration.observe(took);
        }
    }

    /// A stream's first content came so long after its attempt began.
    pub fn first_token(&self, after: Duration) {
        self.cells().first_token.observe(after);
    }

    /// So many tokens were used; `estimated`: as far as can be told without the provider's count.
    pub fn tokens(&self, input: u64, output: u64, estimated: bool) {
        let cells = self.cells();
        cells.input.add(input);
        cells.output.add(output);
        cells.estimates.add(u64::from(estimated));
    }

    /// An answer cost so much.
    pub fn cost(&self, cost: Money) {
        let mut sum = self.cells().cost.lock();
        *sum = Some(sum.unwrap_or_default().plus(cost));
    }

    /// A stream ended after content without its terminal event.
    pub fn truncated(&self) {
        self.cells().truncated.inc();
    }

    pub(super) fn collect(&self, alias: &str, target: &str, out: &mut Families) {
        let Some(cells) = self.cells.get() else { return };
        for class in OutcomeClass::all() {
            let count = cells.outcomes[index(class)].get();
            if count > 0 {
                out.count(&names::ATTEMPTS, &[alias, target, class.name()], count);
            }
        }
        out.histogram(&names::ATTEMPT_DURATION, &[alias, target], &cells.duration);
        out.histogram(&names::TIME_TO_FIRST_TOKEN, &[alias, target], &cells.first_token);
        for (direction, tokens) in [("input", &cells.input), ("output", &cells.output)] {
            if tokens.get() > 0 {
                out.count(&names::TOKENS, &[alias, target, direction], tokens.get());
            }
        }
        if cells.estimates.get() > 0 {
            out.count(&names::ESTIMATES, &[alias, target], cells.estimates.get());
        }
        if let Some(cost) = *cells.cost.lock() {
            out.add(&names::COST, &[alias, target], cost.to_f64());
        }
        if cells.truncated.get() > 0 {
            out.count(&names::STREAMS_TRUNCATED, &[alias, target], cells.truncated.get());
        }
    }
}

/// What is counted per target, of all aliases together.
#[derive(Debug)]
pub struct TargetMetrics {
    started: Instant,
    used: Count,
    /// Attempts that it is working on.
    pub in_flight: Count,
    ejections: [Count; Fault::ALL.len()],
    /// Milliseconds after `started`.
    ejected_until: AtomicU64,
}

impl TargetMetrics {
    pub(super) fn new(started: Instant) -> Self {
        Self {
            started,
            used: Count::default(),
            in_flight: Count::default(),
            ejections: Default::default(),
            ejected_until: AtomicU64::new(0),
        }
    }

    /// An attempt begins: it is in flight until [`attempt_ended`](Self::attempt_ended).
    pub fn attempt_begun(&self) {
        self.used.inc();
        self.in_flight.inc();
    }

    /// An attempt ended.
    pub fn attempt_ended(&self) {
        self.in_flight.dec();
    }

    /// The target was ejected for so long.
    pub fn ejected(&self, by: Fault, length: Duration) {
        self.ejections[by as usize].inc();
        self.prolonged(length);
    }

    /// The target stays ejected for so long from now.
    pub fn prolonged(&self, length: Duration) {
        let until = (self.started.elapsed() + length).as_millis();
        self.ejected_until.fetch_max(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// An ejection ended before its time.
    pub fn readmitted(&self) {
        self.ejected_until.store(0, Ordering::Relaxed);
    }

    fn is_ejected(&self) -> bool {
        u128::from(self.ejected_until.load(Ordering::Relaxed)) > self.started.elapsed().as_millis()
    }

    pub(super) fn collect(&self, target: &str, out: &mut Families) {
        if self.used.get() > 0 {
            out.count(&names::ATTEMPTS_IN_FLIGHT, &[target], self.in_flight.get());
        }
        out.count(&names::TARGET_EJECTED, &[target], u64::from(self.is_ejected()));
        for (fault, count) in Fault::ALL.iter().zip(&self.ejections) {
            if count.get() > 0 {
                out.count(&names::EJECTIONS, &[target, fault.name()], count.get());
            }
        }
    }
}

fn index(class: OutcomeClass) -> usize {
    match class {
        OutcomeClass::Fault(fault) => fault as usize,
        OutcomeClass::Success => Fault::ALL.len(),
        OutcomeClass::InvalidRequest => Fault::ALL.len() + 1,
        OutcomeClass::CallerLeft => Fault::ALL.len() + 2,
    }
}
