//! What the callers of an AccessKey may have of all routers together.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use routing::{
    Money,
    spend::{Ledger, Period, written},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The pattern of an amount of money: at most nine digits before the point, twelve behind it.
pub const AMOUNT: &str = r"^[0-9]{1,9}(\.[0-9]{1,12})?$";

/// How much callers with this key may ask for, all routers together. At least one of the limits must
/// be there. A request that would go beyond one is answered 429 with Retry-After.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyLimits {
    /// Requests in a minute, counted when they are admitted, whatever becomes of them. Default: no
    /// limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub requests_per_minute: Option<i64>,
    /// Tokens of prompts and answers in a minute: reserved when a request is admitted, as many as it
    /// is expected to use, and corrected to what it used. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub tokens_per_minute: Option<i64>,
    /// Requests under way at once, each until the end of its answer. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_in_flight: Option<i64>,
}

/// How much callers with this key may spend in a period, all routers together, in the currency of the
/// prices. What is spent is counted from what providers say was used. When it is spent, requests are
/// answered 402 until the next period begins, but for models that cost nothing; models without a
/// price are never used under a budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// How much, such as "200.00". "0" leaves models that cost nothing.
    #[schemars(length(min = 1, max = 22), regex(pattern = AMOUNT))]
    pub amount: String,
    /// From when to when: a day, a week that begins on Monday, or a month, in UTC.
    pub period: Period,
}

/// What was spent of a budget. It is written at most once a minute while it changes, and is gone with
/// the object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetStatus {
    /// When the period began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub period_start: Option<String>,
    /// What was spent in it, exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<String>,
    /// The last count that was seen of each run of a router, so that nothing is counted twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<BudgetSource>,
}

/// What one run of a router has spent since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetSource {
    /// The router, and which run of it.
    pub router: String,
    /// What it has spent, exact.
    pub spent: String,
}

impl BudgetStatus {
    /// As it is stored.
    pub fn of(ledger: &Ledger) -> Self {
        Self {
            period_start: Some(written(ledger.period_start)),
            spent: Some(ledger.spent.to_string()),
            sources: ledger
                .sources
                .iter()
                .map(|(router, spent)| BudgetSource {
                    router: router.clone(),
                    spent: spent.to_string(),
                })
                .collect(),
        }
    }

    /// What it says; whatever cannot be read is as if it were not there.
    pub fn ledger(&self) -> Ledger {
        let start = self.period_start.as_ref().and_then(|at| at.parse::<Timestamp>().ok());
        let money = |text: &str| Money::parse(text).ok();
        let sources = self.sources.iter();
        Ledger {
            period_start: start.map_or(0, Timestamp::as_second),
            spent: self.spent.as_deref().and_then(money).unwrap_or_default(),
            sources: sources
                .filter_map(|source| Some((source.router.clone(), money(&source.spent)?)))
                .collect::<BTreeMap<_, _>>(),
        }
    }
}
