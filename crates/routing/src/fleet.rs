//! What routers tell of themselves, and what each is told of all others: sums that merge by
//! addition, demand for limits, and shares of them. A router exports a [`Report`] in its metrics,
//! the controller adds the reports up and sends each router a [`FleetView`]. Nothing here is ever
//! needed to serve: without it a router knows what it saw itself.

mod keys;
mod merge;
mod probes;
mod shares;

pub use keys::{FleetKey, FleetKeyLimit, KeyId, KeyReport, Spending};
pub use merge::{Configured, ConfiguredKey, Heard, KeyBudget, merge};
pub use probes::prober;
pub use shares::{in_flight_shares, shares};

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    catalog::closed,
    id::ObjectId,
    quota::Word,
    stats::{Sums, TimeScale},
};

closed! {
    /// What a limit counts.
    pub enum Dimension {
        /// Requests admitted, over 60 seconds.
        Requests,
        /// Tokens of prompt and answer, over 60 seconds.
        Tokens,
        /// Tokens of prompts, over 60 seconds.
        InputTokens,
        /// Tokens of answers, over 60 seconds.
        OutputTokens,
        /// Requests that are being served, at one moment.
        InFlight,
    }
}

/// A model of a ProviderTarget: what statistics are kept for, whatever alias uses it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelKey {
    /// The ProviderTarget.
    pub target: ObjectId,
    /// The model, by the name that the ProviderTarget gives it.
    pub model: String,
}

/// One limit of a ProviderTarget.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LimitKey {
    /// The ProviderTarget.
    pub target: ObjectId,
    /// The name of the quota; `None`: `maxInFlight`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<String>,
    /// What it counts.
    pub dimension: Dimension,
}

/// What one router, or some together, did under one limit. Adds up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Draw {
    /// What was asked for over the last 60 s, refused included; for [`Dimension::InFlight`] the
    /// most that was asked for at one moment of them.
    pub demand: f64,
    /// What was used over the last 60 s, reservations included; in flight: now.
    pub used: f64,
    /// What of `used` is of the last 10 s; in flight: the same as `used`.
    pub recent: f64,
}

impl Draw {
    /// The same without what no router can mean: what is negative or not finite is 0.
    #[must_use]
    pub fn sane(self) -> Self {
        let sane = |part: f64| if part.is_finite() { part.max(0.0) } else { 0.0 };
        Self { demand: sane(self.demand), used: sane(self.used), recent: sane(self.recent) }
    }

    /// What is left of it after this long without another report: half after 80 s, as of the slow
    /// sums.
    #[must_use]
    pub fn aged(self, age: Duration) -> Self {
        let left = TimeScale::Slow.left_after(age);
        Self { demand: self.demand * left, used: self.used * left, recent: self.recent * left }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            demand: self.demand + other.demand,
            used: self.used + other.used,
            recent: self.recent + other.recent,
        }
    }
}

/// What one router knows, as of the moment of the report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What tells this run of the router from others; counts of money belong to it.
    pub run: String,
    /// The decayed sums of every model that was used in the last 10 minutes.
    pub models: BTreeMap<ModelKey, Sums>,
    /// What it did under every limit that was used in the last 10 minutes.
    pub limits: BTreeMap<LimitKey, Draw>,
    /// What the callers of every key that has limits and was used in the last 10 minutes did.
    pub keys: BTreeMap<KeyId, KeyReport>,
    /// The targets whose credential fails here, and how: `Auth` or `OutOfCredit`.
    pub credential_faults: BTreeMap<ObjectId, crate::outcome::Fault>,
}

/// What one router is told of the fleet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetView {
    /// How many routers are ready, at least 1.
    pub routers: u32,
    /// The run of the router that this goes by: what it says of a router's own counts is nothing to
    /// another run.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// The sums of all other routers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<FleetModel>,
    /// The limits: this router's share, and what all others did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<FleetLimit>,
    /// The callers' keys that have limits and that any router saw used in the last 10 minutes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<FleetKey>,
    /// The targets that this router probes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<ObjectId>,
}

/// What all other routers saw of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetModel {
    /// The ProviderTarget.
    pub target: ObjectId,
    /// The model.
    pub model: String,
    /// How old the sums are when this is sent, in milliseconds.
    pub age_ms: u64,
    /// Their sums, added up, decayed to one moment.
    pub sums: Sums,
}

/// One limit, as one router is told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetLimit {
    /// Which limit.
    #[serde(flatten)]
    pub key: LimitKey,
    /// How much of it is this router's.
    pub share: f64,
    /// What all others did.
    pub others: Draw,
    /// How old that is when this is sent, in milliseconds.
    pub age_ms: u64,
}

impl FleetLimit {
    /// What it says, for [`Limits::tell`](crate::quota::Limits::tell).
    pub fn word(&self) -> Word<'_> {
        Word {
            quota: self.key.quota.as_deref(),
            dimension: self.key.dimension,
            share: self.share,
            others: self.others,
            age: Duration::from_millis(self.age_ms),
        }
    }
}
