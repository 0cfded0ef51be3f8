//! The status of an AccessKey.

use api::{AccessKey, AccessKeyStatus, ConditionType, Reason, spending::BudgetStatus};
use routing::{
    Money, ObjectId,
    spend::{Ledger, written},
};

use super::{Conditions, Faults};
use crate::{
    finding::Finding,
    resolve::ResolvedKey,
    text,
    world::{Kind, Stored, World},
};

/// The longest text of a column, in bytes.
const COLUMN: usize = 120;

pub(super) fn status(
    world: &World,
    id: &ObjectId,
    stored: &Stored<AccessKey>,
    key: &ResolvedKey,
    findings: &mut Vec<Finding>,
) -> AccessKeyStatus {
    let mut faults = Faults::default();
    let mut off = Vec::new();
    for fault in &key.faults {
        let told = (fault.reason, fault.message.as_str(), fault.path);
        match fault.reason {
            Reason::InvalidSpec => faults.accepted.push(told),
            // As its author wants it.
            Reason::Disabled | Reason::Expired => off.push(told),
            _ => faults.refs.push(told),
        }
    }
    let mut conditions =
        Conditions::of(&faults, &off, (Kind::Key, id), "its callers are served", findings);
    let aliases = stored.object.spec.aliases.as_ref().map_or("*".to_owned(), |g| g.join(","));
    let budget = budget(world, stored, key, &mut conditions);
    AccessKeyStatus {
        observed_generation: Some(stored.generation),
        prefix: Some(key.prefix.clone().unwrap_or_else(|| "-".to_owned())),
        aliases: Some(text::cut(&aliases, COLUMN)),
        budget,
        conditions: conditions.finish(stored.generation),
    }
}

/// What was spent of its budget, as it is stored; and the warning, while little is left. What routers
/// have told since is added by who writes it.
fn budget(
    world: &World,
    stored: &Stored<AccessKey>,
    key: &ResolvedKey,
    conditions: &mut Conditions,
) -> Option<BudgetStatus> {
    let compiled = key.value.as_ref().ok().and_then(|key| key.budget.as_deref());
    let before = stored.object.status.as_ref().and_then(|status| status.budget.clone());
    // Of a spec that makes no sense, what is stored stays.
    let Some(budget) = compiled else {
        return before.filter(|_| stored.object.spec.budget.is_some());
    };
    let mut ledger = before.map(|before| before.ledger()).unwrap_or_default();
    let now = world.now.map_or(ledger.period_start, |now| budget.period.start(now));
    if now > ledger.period_start {
        ledger = Ledger { period_start: now, spent: Money::ZERO, ..ledger };
    }
    let (spent, amount) = (ledger.spent, budget.amount);
    // Where nothing may be spent, nothing runs low.
    let low = amount > Money::ZERO && spent >= amount.part(800_000_000);
    if low {
        let resets = written(budget.period.end(ledger.period_start));
        let of = format!("{amount} a {}", budget.period.name().to_lowercase());
        // Without what is spent, which rises: it is told once.
        let (reason, what) = if spent >= amount {
            (Reason::BudgetSpent, format!("all of {of} is spent: callers get 402"))
        } else {
            let what = format!("four fifths of {of} are spent: callers get 402 once all is,");
            (Reason::BudgetLow, what)
        };
        let message = format!("{what} until {resets}; raise spec.budget.amount, or wait");
        conditions.push(ConditionType::BudgetLow, Some(true), reason, &message);
    }
    Some(BudgetStatus::of(&ledger))
}

/// That of one that cannot be read.
pub(super) fn unreadable(generation: i64, conditions: Conditions) -> AccessKeyStatus {
    AccessKeyStatus {
        observed_generation: Some(generation),
        conditions: conditions.finish(generation),
        ..AccessKeyStatus::default()
    }
}
