//! What a router tells the fleet, as gauges of its `/metrics`, and how a controller reads it back.
//!
//! The text is Prometheus's own, so that anybody can look at it and nothing but `/metrics` is
//! scraped. What is read comes from another process: everything that is not ours is skipped, values
//! that cannot be are ignored, and memory is bounded whatever comes.

mod parse;

use std::fmt::Write as _;

use routing::{
    Money,
    fleet::{Draw, KeyId, Report},
    outcome::Fault,
    spend::Counter,
    stats::{Part, TimeScale},
};

use crate::{metrics::family::Families, names};

pub use parse::{Parser, TooMuch, parse};

/// The header by which a scraper asks for the gauges of the feedback alone: the rest of a router's
/// metrics may be a hundred times as long. Its value is [`ALONE`].
pub const HEADER: &str = "x-moniker-metrics";
/// The value of [`HEADER`].
pub const ALONE: &str = "feedback";

/// The faults that are the credential's.
const CREDENTIAL_FAULTS: [Fault; 2] = [Fault::Auth, Fault::OutOfCredit];

/// One number of a [`Draw`].
type Number = fn(&mut Draw) -> &mut f64;

/// The three of them, with the metric of each for a target and for a caller's key.
const DRAWS: [Drawn; 3] = [
    (&names::LIMIT_DEMAND, &names::KEY_LIMIT_DEMAND, |draw| &mut draw.demand),
    (&names::LIMIT_USED, &names::KEY_LIMIT_USED, |draw| &mut draw.used),
    (&names::LIMIT_RECENT, &names::KEY_LIMIT_RECENT, |draw| &mut draw.recent),
];

/// One amount of a [`Counter`].
type Amount = fn(&mut Counter) -> &mut Money;

/// The amounts of a [`Counter`], each with its metric.
const AMOUNTS: [(&names::Metric, Amount); 2] = [
    (&names::KEY_SPENT, |counter| &mut counter.spent),
    (&names::KEY_STORED, |counter| &mut counter.counted),
];

/// The metrics of one number.
type Drawn = (&'static names::Metric, &'static names::Metric, Number);

/// Writes the report. What is not finite is left out, and so is a sum of 0, which is what its absence
/// means.
pub(crate) fn collect(report: &Report, out: &mut Families) {
    for (key, sums) in &report.models {
        let target = format!("{}/{}", key.target, key.model);
        for scale in TimeScale::ALL {
            for part in Part::ALL {
                let sum = sums.get(*scale, *part);
                // The count of attempts stands for the model even where it is nothing.
                if sum.is_finite() && (sum != 0.0 || *part == Part::Attempts) {
                    let labels = [&*target, scale.name(), part.name()];
                    out.add(&names::FEEDBACK, &labels, sum);
                }
            }
        }
    }
    for (key, draw) in &report.limits {
        let target = key.target.to_string();
        let quota = key.quota.as_deref().unwrap_or_default();
        let labels = [&*target, quota, key.dimension.name()];
        let mut draw = *draw;
        for (metric, _, number) in DRAWS {
            let value = *number(&mut draw);
            if value.is_finite() {
                out.add(metric, &labels, value);
            }
        }
    }
    for (key, seen) in &report.keys {
        let (name, uid) = (key.id.to_string(), key.uid.to_string());
        for (dimension, draw) in &seen.draws {
            let mut draw = *draw;
            for (_, metric, number) in DRAWS {
                let value = *number(&mut draw);
                if value.is_finite() {
                    out.add(metric, &[&name, &uid, dimension.name()], value);
                }
            }
        }
    }
    for (key, seen) in &report.keys {
        if let Some(demand) = seen.spending.map(|s| s.demand).filter(|demand| demand.is_finite()) {
            out.add(&names::KEY_SPENDING, &[&key.id.to_string(), &key.uid.to_string()], demand);
        }
    }
    for (target, fault) in &report.credential_faults {
        if CREDENTIAL_FAULTS.contains(fault) {
            out.add(&names::CREDENTIAL_FAULT, &[&target.to_string(), fault.name()], 1.0);
        }
    }
}

/// The report as text, the feedback's part of `/metrics`.
pub fn text(report: &Report) -> String {
    let mut families = Families::new();
    collect(report, &mut families);
    crate::metrics::encode(families.finish()) + &amounts(report)
}

/// The amounts of money of a report, to the last digit: the format takes a number of any length, and
/// who reads it as a float is close.
pub(crate) fn amounts(report: &Report) -> String {
    let mut out = String::new();
    for (metric, part) in AMOUNTS {
        let amounts = report.keys.iter().filter_map(|(key, seen)| {
            let mut counter = seen.spending?.counter;
            Some((key, *part(&mut counter)))
        });
        for (n, (key, amount)) in amounts.enumerate() {
            if n == 0 {
                let (name, kind) = (metric.name, metric.kind.name());
                // Writing into memory does not fail.
                let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} {kind}", metric.help);
            }
            let KeyId { id, uid } = key;
            let id = id.to_string().replace('\\', "\\\\").replace('"', "\\\"");
            let run = if metric.labels.contains(&"run") {
                format!(",run=\"{}\"", report.run)
            } else {
                String::new()
            };
            let labels = format!("{{access_key=\"{id}\",uid=\"{uid}\"{run}}}");
            let _ = writeln!(out, "{}{labels} {amount}", metric.name);
        }
    }
    out
}
