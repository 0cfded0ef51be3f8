//! What is stored of a key's spending, and how it goes on from what routers say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Counter, Counters};
use crate::price::Money;

/// The most routers whose counters are stored.
pub const MAX_SOURCES: usize = 64;

/// What a key spent in a period, and how much of each router's counter is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// When the period began.
    pub period_start: i64,
    /// What was spent in it.
    pub spent: Money,
    /// The last counter that was seen of each router, by what tells its runs apart.
    pub sources: BTreeMap<String, Money>,
}

/// What was heard of a key's spending, by one who has listened for some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The period that it is now, as far as is known here.
    pub period_start: i64,
    /// The last counter of each router, those that are gone too.
    counters: Counters,
    /// Their counters when the period began, of those that were heard before.
    base: BTreeMap<String, Money>,
}

impl Heard {
    /// It is this period, if it was not yet: a period never moves back.
    pub fn is_period(&mut self, start: i64) {
        if start > self.period_start {
            if self.period_start > 0 {
                let counters = self.counters.iter();
                self.base = counters.map(|(router, c)| (router.clone(), c.spent)).collect();
            }
            self.period_start = start;
        }
    }

    /// A router says this; whether that is new.
    pub fn hear(&mut self, router: &str, counter: Counter) -> bool {
        match self.counters.get_mut(router) {
            Some(known) => {
                // Counters only rise: an answer that came late says nothing.
                let new = counter.spent > known.spent;
                known.spent = known.spent.max(counter.spent);
                known.counted = known.counted.max(counter.counted);
                new
            }
            None => {
                self.counters.insert(router.to_owned(), counter);
                counter.spent > counter.counted
            }
        }
    }

    /// What this router said last.
    pub fn counter(&self, router: &str) -> Option<Counter> {
        self.counters.get(router).copied()
    }

    /// Forgets the routers that are not to be kept, and of which all is stored.
    pub fn forget(&mut self, stored: &Ledger, keep: impl Fn(&str) -> bool) {
        self.counters.retain(|router, counter| {
            keep(router) || stored.sources.get(router).is_none_or(|seen| *seen < counter.spent)
        });
    }

    /// Whether [`Heard::forget`] would forget any.
    pub fn has_gone(&self, stored: &Ledger, keep: impl Fn(&str) -> bool) -> bool {
        self.counters.iter().any(|(router, counter)| {
            !keep(router) && stored.sources.get(router).is_some_and(|seen| *seen >= counter.spent)
        })
    }
}

impl Ledger {
    /// The ledger with what was heard since. Heard again it adds nothing, in whatever order.
    #[must_use]
    pub fn with(&self, heard: &Heard) -> Self {
        let mut next = self.clone();
        let new_period = heard.period_start > self.period_start;
        if new_period {
            next.period_start = heard.period_start;
            next.spent = Money::ZERO;
        }
        for (router, counter) in &heard.counters {
            let stored = self.sources.get(router).copied();
            let base = heard.base.get(router).copied().filter(|_| new_period);
            // Of a router that is not in the ledger, what it was told to be in it.
            let known = base.max(stored).unwrap_or(counter.counted);
            next.spent = next.spent.plus(counter.spent.minus(known));
            let seen = counter.spent.max(known);
            next.sources.insert(router.clone(), seen);
        }
        next.bound(heard);
        next
    }

    /// Keeps so many routers as may be stored: those that are heard, and of these the ones that
    /// spent most. The others are known by what they were told.
    fn bound(&mut self, heard: &Heard) {
        if self.sources.len() <= MAX_SOURCES {
            return;
        }
        let mut order: Vec<(bool, Money, String)> = std::mem::take(&mut self.sources)
            .into_iter()
            .map(|(router, seen)| (heard.counters.contains_key(&router), seen, router))
            .collect();
        order.sort_by(|a, b| (b.0, b.1, &a.2).cmp(&(a.0, a.1, &b.2)));
        order.truncate(MAX_SOURCES);
        self.sources = order.into_iter().map(|(_, seen, router)| (router, seen)).collect();
    }
}
