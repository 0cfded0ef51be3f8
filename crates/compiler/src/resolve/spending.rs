//! What an AccessKey may spend, as it is meant.

use api::{AccessKeySpec, spending::KeyLimits};
use routing::key::CompiledLimits;

use super::problems::{At, Problems};

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
