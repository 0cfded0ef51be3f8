//! A budget as one router holds it: what it has spent, what is reserved for what is under way, and
//! the part of what the fleet has left that is its own.
//!
//! A request reserves its price, as far as it can be told. It is admitted if that fits what is left
//! here, or if nothing else is under way and anything is left: so a budget can be spent to its end,
//! and each router goes beyond its part by what its last requests cost more than was reserved.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CompiledBudget, Counter, Spent};
use crate::{fleet::Spending, price::Money, quota::window::Window, time::Nanos};

/// When it may be worth asking again where others have something left: shares follow in seconds.
const SOON: Duration = Duration::from_secs(5);

/// How long a budget is reported after its last use.
const REPORTED: Duration = Duration::from_secs(600);

/// What the fleet says of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Word {
    /// When the period began.
    pub period_start: i64,
    /// What the fleet spent in it, this router's counter as of `at` included.
    pub spent: Money,
    /// Which part of what is left is this router's, in billionths.
    pub part: u32,
    /// This router's counter when that was known.
    pub at: Money,
    /// How much of this router's counter is stored.
    pub counted: Money,
}

/// Why a request may not cost anything now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The budget is spent.
    Spent {
        /// What was spent of it, as far as is known here.
        spent: Money,
        /// When the next period begins, in seconds since 1970.
        resets: i64,
    },
    /// What is left is reserved by requests under way, or is the part of other routers.
    Held {
        /// When it may be worth asking again.
        retry_after: Duration,
    },
}

/// What is known of a key's budget at one router.
#[derive(Clone, Debug)]
pub struct Purse {
    budget: CompiledBudget,
    counter: Counter,
    reserved: Money,
    /// What was asked for lately, in 10^-9 of the currency; and when last.
    asked: Window,
    asked_at: Option<Nanos>,
    /// Requests that have reserved something.
    under_way: u32,
    routers: u32,
    word: Option<Word>,
    /// What was stored, and the counter when that was heard.
    stored: (Option<Spent>, Money),
    /// The latest period that was seen, and the counter when it began.
    period: (i64, Money),
}

impl Purse {
    /// A purse that has spent nothing, where so many routers are ready.
    pub fn new(budget: CompiledBudget, routers: u32) -> Self {
        Self {
            stored: (budget.spent, Money::ZERO),
            budget,
            counter: Counter::default(),
            reserved: Money::ZERO,
            asked: Window::default(),
            asked_at: None,
            under_way: 0,
            routers: routers.max(1),
            word: None,
            period: (i64::MIN, Money::ZERO),
        }
    }

    /// The budget.
    pub fn budget(&self) -> &CompiledBudget {
        &self.budget
    }

    /// The budget was edited, or more of it is stored; what was spent stays.
    pub fn apply(&mut self, budget: &CompiledBudget) {
        if budget.period != self.budget.period {
            // Another period began at another time: only what is stored tells what was spent in it.
            self.word = None;
            self.period = (i64::MIN, self.counter.spent);
        }
        if budget.spent != self.budget.spent {
            self.stored = (budget.spent, self.counter.spent);
        }
        self.budget = budget.clone();
    }

    /// So many routers are ready.
    pub fn set_routers(&mut self, routers: u32) {
        self.routers = routers.max(1);
    }

    /// The fleet says this.
    pub fn tell(&mut self, word: Word) {
        self.counter.counted = self.counter.counted.max(word.counted);
        if self.word.is_none_or(|before| word.period_start >= before.period_start) {
            self.word = Some(word);
        }
    }

    /// Something of this price was asked for, whether it is admitted or not.
    pub fn ask(&mut self, at: Nanos, cost: Money) {
        let nano = cost.atto() / 1_000_000_000;
        self.asked.add(at, u64::try_from(nano).unwrap_or(u64::MAX));
        self.asked_at = Some(at);
    }

    /// What was spent here, for the fleet; `None` while that tells it nothing new, and nothing was
    /// asked for in the last 10 minutes.
    pub fn spending(&self, at: Nanos) -> Option<Spending> {
        let lately = self.asked_at.is_some_and(|asked| at.since(asked) <= REPORTED);
        let told = self.counter.spent <= self.counter.counted;
        let spending = Spending { counter: self.counter, demand: self.asked.sum(at) / 1e9 };
        (lately || self.under_way > 0 || !told).then_some(spending)
    }

    /// It is this time: a new period begins, and none that is over comes back.
    fn is(&mut self, now: i64) {
        let told = self.word.map_or(i64::MIN, |word| word.period_start);
        let start = self.budget.period.start(now).max(told);
        if start > self.period.0 {
            self.period = (start, self.counter.spent);
        }
    }

    /// What the fleet has spent in this period, as far as is known here, and what is left of it for
    /// this router.
    fn stand(&self) -> (Money, Money) {
        let (period, began) = self.period;
        let amount = self.budget.amount;
        let routers = u128::from(self.routers);
        if let Some(word) = self.word.filter(|word| word.period_start == period) {
            let since = self.counter.spent.minus(word.at);
            let share = amount.minus(word.spent).part(word.part);
            return (word.spent.plus(since), share.minus(since));
        }
        // Nobody has said anything of this period: an even part of what was stored to be left, and
        // one more router may be about to start.
        let stored = self.stored.0.filter(|stored| stored.period_start == period);
        let (before, since) = match stored {
            Some(stored) => (stored.amount, self.counter.spent.minus(self.stored.1.max(began))),
            None => (Money::ZERO, self.counter.spent.minus(began)),
        };
        let parts = if self.word.is_some() { routers } else { routers + 1 };
        let share = Money::from_atto(amount.minus(before).atto() / parts);
        (before.plus(since), share.minus(since))
    }

    /// Whether something that costs as much may be begun now; a cost of nothing always may.
    pub fn admits(&mut self, now: i64, cost: Money) -> Result<(), Refused> {
        self.is(now);
        let (spent, left) = self.stand();
        if cost == Money::ZERO {
            return Ok(());
        }
        if spent >= self.budget.amount {
            let resets = self.budget.period.end(self.period.0);
            return Err(Refused::Spent { spent, resets });
        }
        let alone = self.under_way == 0 && left > Money::ZERO;
        if alone || self.reserved.plus(cost) <= left {
            return Ok(());
        }
        Err(Refused::Held { retry_after: SOON })
    }

    /// Reserves so much; [`Purse::release`] must follow.
    pub fn reserve(&mut self, cost: Money) {
        self.reserved = self.reserved.plus(cost);
        self.under_way = self.under_way.saturating_add(1);
    }

    /// What was reserved is not any more.
    pub fn release(&mut self, cost: Money) {
        self.reserved = self.reserved.minus(cost);
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// So much was spent.
    pub fn spend(&mut self, now: i64, cost: Money) {
        self.is(now);
        self.counter.spent = self.counter.spent.plus(cost);
    }
}
