//! Budgets without a store: what the callers of a key spent in a period, and what is left of it for
//! one router.
//!
//! Each router counts what it spends and never takes any of it back: a [`Counter`]. The controller
//! keeps a [`Ledger`] of each key: the sum, and the last counter that it saw of each router, so that
//! whoever goes on from the ledger (another replica, a controller that starts) adds only what is new
//! since, and nothing is ever counted twice. Whatever is spent counts in the period in which the
//! controller hears of it. Each router is told what the fleet has spent and which part of what is
//! left is its own ([`Word`]); it spends no more than that, but for what is under way: the
//! [`Purse`]. Times are seconds since 1970 by the clock on the wall, since periods are.

mod ledger;
mod purse;

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

pub use ledger::{Heard, Ledger, MAX_SOURCES};
pub use purse::{Purse, Refused, Word};

use crate::{catalog::closed, price::Money};

closed! {
    /// How long a budget lasts until it begins anew. Periods are those of UTC.
    pub enum Period {
        /// From midnight to midnight.
        Day,
        /// From Monday to Monday.
        Week,
        /// From the first of a month to the first of the next.
        Month,
    }
}

impl Period {
    /// When the period that this moment is in began.
    pub fn start(self, now: i64) -> i64 {
        let Some(today) = date(now) else { return 0 };
        let first = match self {
            Self::Day => Some(today),
            Self::Week => {
                let days = i64::from(today.weekday().to_monday_zero_offset());
                today.checked_sub(days.days()).ok()
            }
            Self::Month => Some(today.first_of_month()),
        };
        first.and_then(seconds).unwrap_or_default()
    }

    /// When the next one begins.
    pub fn end(self, now: i64) -> i64 {
        let start = self.start(now);
        let next = date(start).and_then(|first| {
            let next = match self {
                Self::Day => first.checked_add(1.day()),
                Self::Week => first.checked_add(1.week()),
                Self::Month => first.checked_add(1.month()),
            };
            next.ok().and_then(seconds)
        });
        next.unwrap_or(i64::MAX)
    }
}

fn date(seconds: i64) -> Option<Date> {
    let at = Timestamp::from_second(seconds).ok()?;
    Some(at.to_zoned(TimeZone::UTC).date())
}

fn seconds(date: Date) -> Option<i64> {
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// A moment as it is written for people and in status: RFC 3339, in UTC.
pub fn written(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

/// A budget as routers hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledBudget {
    /// How much may be spent in a period, in the currency of the prices.
    pub amount: Money,
    /// Which periods.
    pub period: Period,
    /// What the ledger said when this was compiled, for who has heard nothing newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
}

/// How much was spent in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spent {
    /// When the period began.
    pub period_start: i64,
    /// How much.
    pub amount: Money,
}

/// What one router has spent for one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// All of it since the router started.
    pub spent: Money,
    /// How much of that it was told to be in the ledger as it is stored.
    pub counted: Money,
}

/// The counters of a key, by router. A router that starts again is another one.
pub type Counters = BTreeMap<String, Counter>;
