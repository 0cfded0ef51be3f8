//! What callers' keys used, cost and were refused. A key has series once it was used, and there are
//! only so many: those that come later are counted together.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use routing::{Money, fleet::Dimension};

use super::{Count, family::Families};
use crate::names;

/// The most keys that have series of their own.
const MOST: usize = 2_000;

/// What is counted per caller's key.
#[derive(Debug, Default)]
pub struct KeyMetrics {
    input: Count,
    output: Count,
    refusals: [Count; Dimension::ALL.len()],
    over_budget: Count,
    /// `None`: nothing that has a price.
    cost: Mutex<Option<Money>>,
}

impl KeyMetrics {
    /// So many tokens were used.
    pub fn tokens(&self, input: u64, output: u64) {
        self.input.add(input);
        self.output.add(output);
    }

    /// An answer cost so much.
    pub fn cost(&self, cost: Money) {
        let mut sum = self.cost.lock();
        *sum = Some(sum.unwrap_or_default().plus(cost));
    }

    /// A request was refused because the key is at this limit.
    pub fn refused(&self, by: Dimension) {
        self.refusals[by as usize].inc();
    }

    /// A request was refused because the key's budget has nothing left for it.
    pub fn over_budget(&self) {
        self.over_budget.inc();
    }

    fn collect(&self, key: &str, out: &mut Families) {
        for (direction, tokens) in [("input", &self.input), ("output", &self.output)] {
            if tokens.get() > 0 {
                out.count(&names::KEY_TOKENS, &[key, direction], tokens.get());
            }
        }
        if let Some(cost) = *self.cost.lock() {
            out.add(&names::KEY_COST, &[key], cost.to_f64());
        }
        let limits = Dimension::ALL.iter().map(|by| by.name()).zip(&self.refusals);
        for (by, count) in limits.chain([("Budget", &self.over_budget)]) {
            if count.get() > 0 {
                out.count(&names::KEY_REFUSALS, &[key, by], count.get());
            }
        }
    }
}

/// The metrics of all callers' keys.
#[derive(Debug, Default)]
pub struct AllKeys {
    known: Mutex<BTreeMap<Arc<str>, Arc<KeyMetrics>>>,
    others: Arc<KeyMetrics>,
}

impl AllKeys {
    /// The handle of a key (namespace/name): the same as long as it is not removed.
    pub fn of(&self, key: &str) -> Arc<KeyMetrics> {
        let mut known = self.known.lock();
        if let Some(handle) = known.get(key) {
            return Arc::clone(handle);
        }
        if known.len() >= MOST {
            return Arc::clone(&self.others);
        }
        Arc::clone(known.entry(key.into()).or_default())
    }

    /// Forgets the series of keys that are no longer there.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.known.lock().retain(|key, _| keep(key));
    }

    pub(super) fn collect(&self, out: &mut Families) {
        self.known.lock().iter().for_each(|(name, key)| key.collect(name, out));
        self.others.collect(names::OTHER_KEYS, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_beyond_the_most_are_counted_together() {
        let all = AllKeys::default();
        let names: Vec<String> = (0..MOST + 2).map(|n| format!("shop/k{n}")).collect();
        for name in &names {
            all.of(name).tokens(1, 0);
        }
        all.of(&names[0]).tokens(1, 0);
        all.of(&names[MOST]).tokens(5, 0);
        let text = |all: &AllKeys| {
            let mut families = Families::new();
            all.collect(&mut families);
            super::super::encode(families.finish())
        };
        let line = |key: &str, n: u64| {
            format!(
                "moniker_access_key_tokens_total{{access_key=\"{key}\",direction=\"input\"}} {n}\n"
            )
        };
        let told = text(&all);
        assert!(told.contains(&line("shop/k0", 2)) && told.contains(&line("other", 7)), "{told}");
        assert_eq!(told.lines().filter(|line| !line.starts_with('#')).count(), MOST + 1);
        all.retain(|name| name == "shop/k1");
        all.of("shop/new").tokens(3, 0);
        let told = text(&all);
        assert!(told.contains(&line("shop/k1", 1)) && told.contains(&line("shop/new", 3)));
        assert!(!told.contains("shop/k0"), "{told}");
    }
}
