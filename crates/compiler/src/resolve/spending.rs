//! What an AccessKey may spend, as it is meant.

use api::{AccessKey, AccessKeySpec, spending::KeyLimits};
use routing::{
    Money,
    key::CompiledLimits,
    spend::{CompiledBudget, Spent},
};

use super::problems::{At, Problems};
use crate::text::quote;

const LIMITS: &str = "spec.limits";

/// Its limits.
pub(super) fn limits(spec: &AccessKeySpec, problems: &mut Problems) -> Option<Box<CompiledLimits>> {
    let KeyLimits { requests_per_minute, tokens_per_minute, max_in_flight } =
        spec.limits.as_ref()?;
    let mut limit = |value: &Option<i64>, field| {
        let value = (*value)?;
        let limit = u64::try_from(value).ok().filter(|limit| *limit > 0);
        let at = At(LIMITS, field);
        problems.check(limit.is_some(), at, format_args!("is {value}, and must be above 0"));
        limit
    };
    let compiled = CompiledLimits {
        requests_per_minute: limit(requests_per_minute, "requestsPerMinute"),
        tokens_per_minute: limit(tokens_per_minute, "tokensPerMinute"),
        max_in_flight: limit(max_in_flight, "maxInFlight"),
    };
    let written = [requests_per_minute, tokens_per_minute, max_in_flight];
    problems.check(
        written.iter().any(|limit| limit.is_some()),
        LIMITS,
        "has no limit: set requestsPerMinute, tokensPerMinute or maxInFlight, or leave it out",
    );
    Some(Box::new(compiled))
}

/// Its budget, with what is stored to be spent of it.
pub(super) fn budget(key: &AccessKey, problems: &mut Problems) -> Option<Box<CompiledBudget>> {
    const AMOUNT: &str = "spec.budget.amount";
    let budget = key.spec.budget.as_ref()?;
    let amount = match Money::parse(&budget.amount) {
        Ok(amount) => amount,
        Err(error) => {
            let written = quote(&budget.amount);
            problems.add(AMOUNT, format_args!("is {written}, which {error}"));
            return None;
        }
    };
    let stored = key.status.as_ref().and_then(|status| status.budget.as_ref());
    let spent = stored.map(|stored| {
        let ledger = stored.ledger();
        Spent { period_start: ledger.period_start, amount: ledger.spent }
    });
    Some(Box::new(CompiledBudget { amount, period: budget.period, spent }))
}
