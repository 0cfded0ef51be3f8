//! The merge: from what every ready router reported to what each is told. Pure, so that the
//! controller only collects and sends. What a router is told of the others is added up from before
//! and behind it in the list, never its own taken off a total: a difference of large sums would be
//! noise, and could be negative. The work is linear in what is reported and told.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    Dimension, Draw, FleetKey, FleetKeyLimit, FleetLimit, FleetModel, FleetView, KeyId, LimitKey,
    ModelKey, Report, Spending, in_flight_shares, prober, shares,
};
use crate::{id::ObjectId, price::Money, spend::Word, stats::Sums};

/// How old a report may be: older ones say nothing, their router still counts.
const OLDEST: Duration = Duration::from_secs(600);

/// The last report of a router, and how old it is.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// What it reported; empty for one that was not heard yet.
    pub report: Report,
    /// How old that is.
    pub age: Duration,
}

/// What routers are told of.
#[derive(Clone, Debug, Default)]
pub struct Configured {
    /// All limits of targets, with the amount.
    pub limits: BTreeMap<LimitKey, u64>,
    /// The callers' keys that were reported.
    pub keys: BTreeMap<KeyId, ConfiguredKey>,
    /// The targets that are to be probed.
    pub probed: BTreeSet<ObjectId>,
}

/// What a caller's key may have.
#[derive(Clone, Debug, Default)]
pub struct ConfiguredKey {
    /// Its limits, each with the amount.
    pub limits: Vec<(Dimension, u64)>,
    /// Its budget.
    pub budget: Option<KeyBudget>,
}

/// How a key's budget stands.
#[derive(Clone, Debug, Default)]
pub struct KeyBudget {
    /// When the period began.
    pub period_start: i64,
    /// What the fleet spent in it, all that was reported included.
    pub spent: Money,
    /// How much of each router's counter is stored, by its name.
    pub counted: BTreeMap<String, Money>,
}

/// What each of these routers is told: all that are ready, those whose last sweep failed with their
/// last report.
pub fn merge<N: Ord + Clone + AsRef<str>>(
    heard: &BTreeMap<N, Heard>,
    configured: &Configured,
) -> BTreeMap<N, FleetView> {
    let routers: Vec<&N> = heard.keys().collect();
    let said: Vec<&Heard> = heard.values().collect();
    let count = u32::try_from(said.len()).unwrap_or(u32::MAX).max(1);
    let mut views = vec![FleetView { routers: count, ..FleetView::default() }; said.len()];
    for (view, heard) in views.iter_mut().zip(&said) {
        view.run.clone_from(&heard.report.run);
    }
    merge_models(&said, &mut views);
    for (key, limit) in &configured.limits {
        merge_limit(key, *limit, &said, &mut views);
    }
    let names: Vec<&str> = routers.iter().map(|name| (*name).as_ref()).collect();
    for (key, configured) in &configured.keys {
        merge_key(key, configured, &names, &said, &mut views);
    }
    for target in &configured.probed {
        if let Some(view) = prober(&names, target).and_then(|at| views.get_mut(at)) {
            view.probes.push(target.clone());
        }
    }
    routers.into_iter().cloned().zip(views).collect()
}

/// For each router, all others added up: what stands before it, and what stands behind it.
fn others<T: Copy>(own: &[T], zero: T, plus: impl Fn(T, T) -> T) -> Vec<T> {
    let mut out = Vec::with_capacity(own.len());
    let mut before = zero;
    for each in own {
        out.push(before);
        before = plus(before, *each);
    }
    let mut behind = zero;
    for (each, sum) in own.iter().zip(&mut out).rev() {
        *sum = plus(*sum, behind);
        behind = plus(behind, *each);
    }
    out
}

/// The sums of each model, as of now.
fn merge_models(said: &[&Heard], views: &mut [FleetView]) {
    let mut models: BTreeMap<&ModelKey, Vec<(usize, Sums)>> = BTreeMap::new();
    for (router, heard) in said.iter().enumerate().filter(|(_, h)| h.age <= OLDEST) {
        for (key, sums) in &heard.report.models {
            let mut sums = sums.sane();
            sums.decay(heard.age);
            models.entry(key).or_default().push((router, sums));
        }
    }
    for (key, own) in models {
        let sums: Vec<Sums> = own.iter().map(|(_, sums)| *sums).collect();
        let plus = |mut a: Sums, b: Sums| {
            a.add(&b);
            a
        };
        let without = others(&sums, Sums::default(), plus);
        let all = sums.into_iter().fold(Sums::default(), plus);
        let mut reported = own.iter().map(|(router, _)| *router).zip(without).peekable();
        for (router, view) in views.iter_mut().enumerate() {
            let sums = match reported.next_if(|(at, _)| *at == router) {
                Some((_, sums)) => sums,
                None => all,
            };
            if sums != Sums::default() {
                let (target, model) = (key.target.clone(), key.model.clone());
                view.models.push(FleetModel { target, model, age_ms: 0, sums });
            }
        }
    }
}

/// Every router's share of a limit, and what the others did under it.
fn merge_limit(key: &LimitKey, limit: u64, said: &[&Heard], views: &mut [FleetView]) {
    let divided = divide(key.dimension, limit, said, |report| report.limits.get(key));
    for (view, (share, others)) in views.iter_mut().zip(divided) {
        view.limits.push(FleetLimit { key: key.clone(), share, others, age_ms: 0 });
    }
}

/// The same for the limits of a caller's key.
fn merge_key(
    key: &KeyId,
    configured: &ConfiguredKey,
    names: &[&str],
    said: &[&Heard],
    views: &mut [FleetView],
) {
    let mut words = configured.budget.iter().flat_map(|budget| words(key, budget, names, said));
    for view in views.iter_mut() {
        let (key, budget) = (key.clone(), words.next());
        view.keys.push(FleetKey { key, limits: Vec::new(), budget, age_ms: 0 });
    }
    for (dimension, limit) in &configured.limits {
        let divided =
            divide(*dimension, *limit, said, |report| report.keys.get(key)?.draws.get(dimension));
        for (view, (share, others)) in views.iter_mut().zip(divided) {
            if let Some(told) = view.keys.last_mut() {
                told.limits.push(FleetKeyLimit { dimension: *dimension, share, others });
            }
        }
    }
}

/// For each router what it is told of a budget.
fn words(key: &KeyId, budget: &KeyBudget, names: &[&str], said: &[&Heard]) -> Vec<Word> {
    let spending = |heard: &&Heard| heard.report.keys.get(key).and_then(|seen| seen.spending);
    let own: Vec<_> = said.iter().map(spending).collect();
    let demand = |(own, heard): (&Option<Spending>, &&Heard)| {
        own.filter(|_| heard.age <= OLDEST).map_or(0.0, |own| own.demand)
    };
    let demands: Vec<f64> = own.iter().zip(said).map(demand).collect();
    shares(1e9, &demands)
        .into_iter()
        .zip(own)
        .zip(names)
        .map(|((part, own), name)| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between nothing and a billion"
            )]
            let part = part.floor() as u32;
            Word {
                period_start: budget.period_start,
                spent: budget.spent,
                part,
                at: own.unwrap_or_default().counter.spent,
                counted: budget.counted.get(*name).copied().unwrap_or_default(),
            }
        })
        .collect()
}

/// For each router its share of a limit, and what the others did under it.
fn divide(
    dimension: Dimension,
    limit: u64,
    said: &[&Heard],
    of: impl Fn(&Report) -> Option<&Draw>,
) -> impl Iterator<Item = (f64, Draw)> {
    let own: Vec<Draw> = said
        .iter()
        .map(|heard| match of(&heard.report) {
            Some(draw) if heard.age <= OLDEST => draw.sane().aged(heard.age),
            _ => Draw::default(),
        })
        .collect();
    let demands: Vec<f64> = own.iter().map(|draw| draw.demand).collect();
    #[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53")]
    let shares: Vec<f64> = if dimension == Dimension::InFlight {
        in_flight_shares(limit, &demands).into_iter().map(|share| share as f64).collect()
    } else {
        shares(limit as f64, &demands)
    };
    shares.into_iter().zip(others(&own, Draw::default(), Draw::plus))
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
