//! When a router leaves a target alone: the product's ejection, for every policy alike, or the
//! plain rule that published figures were measured with.

use std::time::Duration;

use routing::{
    ejection::{Availability, Ejection, Event},
    outcome::Fault,
    snapshot::CompiledEjection,
};

use crate::{nanos, policy::Failure};

/// Which rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Rule {
    /// The product's.
    #[default]
    Product,
    /// Five seconds, after a rate limit or three failures in a row.
    Flat,
}

/// How long the flat rule leaves a target alone, in seconds.
const FLAT: f64 = 5.0;
/// After how many failures in a row.
const IN_A_ROW: u32 = 3;

/// One router's view of one target.
#[derive(Clone, Copy, Debug)]
pub enum Health {
    /// By the product's rule.
    Product(Ejection),
    /// By the flat one.
    Flat {
        /// Until when it is left alone.
        until: f64,
        /// Failures in a row.
        failures: u32,
    },
}

impl Health {
    /// A target that nothing is known of.
    pub fn new(rule: Rule) -> Self {
        match rule {
            Rule::Product => Self::Product(Ejection::default()),
            Rule::Flat => Self::Flat { until: 0.0, failures: 0 },
        }
    }

    /// Whether it may be tried.
    pub fn availability(&self, now: f64) -> Availability {
        match self {
            Self::Product(ejection) => ejection.availability(nanos(now)),
            Self::Flat { until, .. } if *until <= now => Availability::Available,
            Self::Flat { until, .. } => Availability::Soft { until: nanos(*until) },
        }
    }

    /// A request is sent there.
    pub fn claim(&mut self, now: f64) {
        if let Self::Product(ejection) = self {
            ejection.claim(nanos(now), true);
        }
    }

    /// A request was answered, or its stream has begun.
    pub fn succeeded(&mut self, now: f64) {
        match self {
            Self::Product(ejection) => {
                ejection.step(&CompiledEjection::default(), nanos(now), Event::Success);
            }
            Self::Flat { failures, .. } => *failures = 0,
        }
    }

    /// A request failed that took so many seconds.
    pub fn failed(&mut self, now: f64, failure: Failure, took: f64) {
        match self {
            Self::Product(ejection) => {
                let fault = match failure {
                    Failure::RateLimited => Fault::RateLimited,
                    Failure::Error => Fault::ServerError,
                    Failure::Timeout => Fault::Timeout,
                };
                let cost = Duration::from_secs_f64(took.max(0.0));
                let event = Event::Failure { fault, retry_after: None, cost };
                ejection.step(&CompiledEjection::default(), nanos(now), event);
            }
            Self::Flat { until, failures } => {
                *failures += 1;
                if failure == Failure::RateLimited {
                    *failures -= 1;
                    *until = until.max(now + FLAT);
                } else if *failures >= IN_A_ROW {
                    *failures = 0;
                    *until = now + FLAT;
                }
            }
        }
    }
}
