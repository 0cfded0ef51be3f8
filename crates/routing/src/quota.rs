//! Limits without a store: what a provider grants a credential, or an operator a key, held by
//! shares. A router reserves against its own share when a request is admitted, and puts the real
//! usage in the place of the estimate when it ends. It never waits for anybody: the fleet's word
//! ([`FleetLimit`]) moves the shares, and without it they stay safe.
//!
//! What this holds, and what not, as `tests/limits.rs` measures it with 3 and 20 routers, demand
//! even and skewed, and a word from the fleet every 5 s: at steady demand the use of any minute
//! stays within 10 % of the limit (15 % where a router's part is a handful of requests, and one
//! more is much of it), on average within 2 %. After a step (from nothing to five times the limit;
//! demand that moves from one router to another) the use of a minute is up to 17 % above it, until
//! the windows have been filled under the new shares. Requests in flight stay within 5 %. What is
//! left unused: where all demand is at one of many routers, the fifth that is kept for the others.

pub mod window;

mod meter;
mod standing;

use std::{sync::Arc, time::Duration};

use smallvec::SmallVec;

use self::{
    meter::{Flight, Meter},
    standing::Fleet,
    window::Bucket,
};
use crate::{
    fleet::{Dimension, Draw},
    key::CompiledLimits,
    rng::Rng,
    snapshot::CompiledTarget,
    time::Nanos,
    usage::Usage,
};

/// How long a limit is reported after its last use.
const REPORTED: Duration = Duration::from_secs(600);

/// A limit over a minute, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The name of the quota; `None`: the holder has but one.
    pub quota: Option<Arc<str>>,
    /// What it counts; never [`Dimension::InFlight`].
    pub dimension: Dimension,
    /// How much of it a minute, for all routers together.
    pub limit: u64,
    /// The models that it counts, by name; empty: all.
    pub models: Vec<String>,
    /// Whether prompt tokens that a cache held count.
    pub count_cached_input: bool,
}

impl Rule {
    /// The rules of a target's quotas, in the order in which they are written: requests, tokens,
    /// tokens of prompts, tokens of answers.
    pub fn of_target(target: &CompiledTarget) -> Vec<Self> {
        let quotas = target.quotas.iter().flat_map(|quota| {
            let name: Arc<str> = quota.name.as_str().into();
            [
                (Dimension::Requests, quota.requests_per_minute),
                (Dimension::Tokens, quota.tokens_per_minute),
                (Dimension::InputTokens, quota.input_tokens_per_minute),
                (Dimension::OutputTokens, quota.output_tokens_per_minute),
            ]
            .into_iter()
            .filter_map(move |(dimension, limit)| {
                Some(Self {
                    quota: Some(Arc::clone(&name)),
                    dimension,
                    limit: limit?,
                    models: quota.models.clone(),
                    count_cached_input: quota.count_cached_input,
                })
            })
        });
        quotas.collect()
    }

    /// The rules of a caller's key; `maxInFlight` is none.
    pub fn of_key(limits: &CompiledLimits) -> Vec<Self> {
        let windows = limits.amounts().filter(|(dimension, _)| *dimension != Dimension::InFlight);
        windows
            .map(|(dimension, limit)| Self {
                quota: None,
                dimension,
                limit,
                models: Vec::new(),
                count_cached_input: true,
            })
            .collect()
    }

    fn counts(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|name| name == model)
    }

    fn is(&self, quota: Option<&str>, dimension: Dimension) -> bool {
        self.dimension == dimension && self.quota.as_deref() == quota
    }

    /// What a usage counts under it.
    fn amount(&self, usage: &Usage) -> u64 {
        let mut prompt = usage.prompt();
        if !self.count_cached_input {
            prompt = prompt.saturating_sub(usage.cache_read);
        }
        match self.dimension {
            Dimension::Requests | Dimension::InFlight => 1,
            Dimension::Tokens => prompt.saturating_add(usage.completion()),
            Dimension::InputTokens => prompt,
            Dimension::OutputTokens => usage.completion(),
        }
    }
}

/// What a request is expected to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Tokens of the prompt.
    pub prompt: u64,
    /// Tokens of the answer.
    pub output: u64,
}

impl Estimate {
    fn usage(self) -> Usage {
        Usage { input: self.prompt, output: self.output, ..Usage::default() }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub enum Settled<'a> {
    /// It used this.
    Used(&'a Usage),
    /// It failed: no tokens were used. It stays counted as a request.
    Failed,
}

/// A limit is reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit of {dimension} {}is reached, ask again in {retry_after:?}", of(quota.as_deref()))]
pub struct Full {
    /// When it may be worth asking again: never zero, at most 70 s.
    pub retry_after: Duration,
    /// The name of the quota.
    pub quota: Option<Arc<str>>,
    /// What it counts.
    pub dimension: Dimension,
}

fn of(quota: Option<&str>) -> String {
    quota.map(|name| format!("of quota {name} ")).unwrap_or_default()
}

/// The fleet's word on one limit.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a> {
    /// The name of the quota.
    pub quota: Option<&'a str>,
    /// What it counts.
    pub dimension: Dimension,
    /// How much of it is this router's.
    pub share: f64,
    /// What all others did.
    pub others: Draw,
    /// How old that is.
    pub age: Duration,
}

/// What is left of a limit over a minute, as far as this router can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// What it counts.
    pub dimension: Dimension,
    /// How much of it a minute, for all routers together.
    pub limit: u64,
    /// How much of that the fleet has not used.
    pub left: u64,
    /// When all of it is there again, if nothing more is asked.
    pub reset: Duration,
}

/// What was reserved for a request, to be settled once, whatever becomes of it; until then it is in
/// flight. Whoever holds it lets a guard settle it.
#[derive(Debug)]
#[must_use = "a reservation that is not settled stays in flight for ever"]
pub struct Reservation(SmallVec<[Held; 4]>);

#[derive(Clone, Copy, Debug)]
struct Held {
    meter: u64,
    bucket: Bucket,
    amount: u64,
}

/// A rule and its meter.
#[derive(Clone, Debug)]
struct Entry {
    /// Never given again, so that a reservation finds its meter after an edit, or none.
    serial: u64,
    rule: Rule,
    meter: Meter,
    used_at: Option<Nanos>,
}

/// The limits of one holder (a ProviderTarget, a key), and what stands against them.
#[derive(Clone, Debug)]
pub struct Limits {
    entries: Vec<Entry>,
    flight: Flight,
    fleet: Fleet,
    next_serial: u64,
    asked_at: Option<Nanos>,
    rng: Rng,
}

impl Limits {
    /// Limits with empty windows. The seed differs from router to router.
    pub fn new(rules: Vec<Rule>, max_in_flight: Option<u64>, seed: u64) -> Self {
        let mut limits = Self {
            entries: Vec::new(),
            flight: Flight::default(),
            fleet: Fleet::default(),
            next_serial: 0,
            asked_at: None,
            rng: Rng::new(seed),
        };
        limits.apply(rules, max_in_flight);
        limits
    }

    /// Puts other rules in the place of these. What was counted under a rule of the same quota and
    /// dimension stays, and the new amount holds from now on.
    pub fn apply(&mut self, rules: Vec<Rule>, max_in_flight: Option<u64>) {
        let mut before = std::mem::take(&mut self.entries);
        for rule in rules {
            let same = before.iter().position(|e| e.rule.is(rule.quota.as_deref(), rule.dimension));
            let entry = if let Some(at) = same {
                let mut entry = before.swap_remove(at);
                entry.meter.limit(rule.limit);
                Entry { rule, ..entry }
            } else {
                self.next_serial += 1;
                let meter = Meter::new(rule.limit, &mut self.rng);
                Entry { serial: self.next_serial, meter, rule, used_at: None }
            };
            self.entries.push(entry);
        }
        self.flight.limit = max_in_flight;
    }

    /// How many routers are ready, as the controller says when a router begins to watch.
    pub fn set_routers(&mut self, routers: u32) {
        self.fleet.routers = routers.max(1);
    }

    /// Takes in the fleet's word on this holder's limits; a limit that is not among them is used by
    /// nobody.
    pub fn tell<'a>(
        &mut self,
        now: Nanos,
        routers: u32,
        limits: impl IntoIterator<Item = Word<'a>>,
    ) {
        self.fleet = Fleet { routers: routers.max(1), told: Some(now) };
        self.entries.iter_mut().for_each(|e| e.meter.standing.forget());
        self.flight.standing.forget();
        for Word { quota, dimension, share, others, age } in limits {
            if dimension == Dimension::InFlight {
                let limit = window::float(self.flight.limit.unwrap_or(1).max(1));
                self.flight.standing.tell(now, limit, share, others, age);
            } else if let Some(entry) =
                self.entries.iter_mut().find(|e| e.rule.is(quota, dimension))
            {
                let limit = window::float(entry.rule.limit.max(1));
                entry.meter.standing.tell(now, limit, share, others, age);
            }
        }
    }

    /// Whether a request fits this router's shares. Changes nothing.
    pub fn check(&self, now: Nanos, model: &str, estimate: Estimate) -> Result<(), Full> {
        let full = |wait: Duration, quota: Option<Arc<str>>, dimension| Full {
            retry_after: wait.max(Duration::from_millis(1)),
            quota,
            dimension,
        };
        self.flight
            .admits(now, self.fleet)
            .map_err(|wait| full(wait, None, Dimension::InFlight))?;
        let usage = estimate.usage();
        // Of several that are reached, the one that takes longest is when asking is worth it.
        let mut worst: Option<Full> = None;
        for entry in self.entries.iter().filter(|e| e.rule.counts(model)) {
            if let Err(wait) = entry.meter.admits(now, self.fleet, entry.rule.amount(&usage)) {
                let found = full(wait, entry.rule.quota.clone(), entry.rule.dimension);
                if worst.as_ref().is_none_or(|w| found.retry_after > w.retry_after) {
                    worst = Some(found);
                }
            }
        }
        worst.map_or(Ok(()), Err)
    }

    /// Reserves for a request, or counts it as one that was refused.
    pub fn reserve(
        &mut self,
        now: Nanos,
        model: &str,
        estimate: Estimate,
    ) -> Result<Reservation, Full> {
        if let Err(full) = self.check(now, model, estimate) {
            self.refuse(now, model, estimate);
            return Err(full);
        }
        self.asked_at = Some(now);
        self.flight.take(now);
        let (usage, fleet) = (estimate.usage(), self.fleet);
        let entries = self.entries.iter_mut().filter(|e| e.rule.counts(model));
        let held = entries.map(|entry| {
            entry.used_at = Some(now);
            let amount = entry.rule.amount(&usage);
            let bucket = entry.meter.take(now, fleet, amount, &mut self.rng);
            Held { meter: entry.serial, bucket, amount }
        });
        Ok(Reservation(held.collect()))
    }

    /// Counts a request that would have come here, had the limits not been reached: demand that
    /// shares are given by.
    pub fn refuse(&mut self, now: Nanos, model: &str, estimate: Estimate) {
        self.asked_at = Some(now);
        self.flight.refuse(now);
        let usage = estimate.usage();
        for entry in self.entries.iter_mut().filter(|e| e.rule.counts(model)) {
            entry.used_at = Some(now);
            entry.meter.refuse(now, entry.rule.amount(&usage));
        }
    }

    /// Ends a request: what it really used takes the place of what was reserved, and it is no
    /// longer in flight.
    pub fn settle(&mut self, now: Nanos, reservation: Reservation, settled: Settled<'_>) {
        self.flight.end();
        for held in reservation.0 {
            let Some(entry) = self.entries.iter_mut().find(|e| e.serial == held.meter) else {
                continue;
            };
            let really = match settled {
                Settled::Used(usage) => entry.rule.amount(usage),
                Settled::Failed if entry.rule.dimension == Dimension::Requests => held.amount,
                Settled::Failed => 0,
            };
            entry.meter.correct(now, held.bucket, held.amount, really);
        }
    }

    /// The provider refused a request to this model for its rate, until then: whatever was counted,
    /// the quotas that count the model are used up so long.
    pub fn exhausted(&mut self, model: &str, until: Nanos) {
        for entry in self.entries.iter_mut().filter(|e| e.rule.counts(model)) {
            entry.meter.exhausted(until);
        }
    }

    /// How much of its quotas the fleet uses with this request: the highest over their dimensions,
    /// 1 is all. `None`: no quota counts the model.
    pub fn utilisation(&self, now: Nanos, model: &str, estimate: Estimate) -> Option<f64> {
        let usage = estimate.usage();
        self.entries
            .iter()
            .filter(|e| e.rule.counts(model))
            .map(|e| e.meter.utilisation(now, e.rule.amount(&usage)))
            .reduce(f64::max)
    }

    /// What the first rule that counts the model limits, and to how much a minute.
    pub fn first_limit(&self, model: &str) -> Option<(Dimension, u64)> {
        let rule = &self.entries.iter().find(|e| e.rule.counts(model))?.rule;
        Some((rule.dimension, rule.limit))
    }

    /// What is left of each limit over a minute, in the order of the rules.
    pub fn left(&self, now: Nanos) -> impl Iterator<Item = Left> {
        self.entries.iter().map(move |entry| {
            let (left, reset) = entry.meter.left(now);
            let Rule { dimension, limit, .. } = entry.rule;
            Left { dimension, limit, left, reset }
        })
    }

    /// Whether nothing is in flight and nothing was asked for in the last 10 minutes.
    pub fn is_idle(&self, now: Nanos) -> bool {
        self.flight.now == 0 && self.asked_at.is_none_or(|at| now.since(at) > REPORTED)
    }

    /// How many requests are in flight here.
    pub fn in_flight(&self) -> u64 {
        self.flight.now
    }

    /// What is reported of each limit that was used in the last 10 minutes: the name of its quota,
    /// what it counts, and what this router did under it.
    pub fn draws(&self, now: Nanos) -> impl Iterator<Item = (Option<&str>, Dimension, Draw)> {
        let lately = move |at: Option<Nanos>| at.is_some_and(|at| now.since(at) <= REPORTED);
        let flight = (self.flight.limit.is_some()
            && (self.flight.now > 0 || lately(self.asked_at)))
        .then(|| (None, Dimension::InFlight, self.flight.draw(now)));
        let windows = self.entries.iter().filter(move |e| lately(e.used_at));
        let windows =
            windows.map(move |e| (e.rule.quota.as_deref(), e.rule.dimension, e.meter.draw(now)));
        windows.chain(flight)
    }
}

#[cfg(test)]
mod tests;
