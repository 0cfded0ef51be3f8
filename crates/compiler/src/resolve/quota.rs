//! What a provider grants, and how it is probed, as it is meant.

use std::collections::BTreeSet;

use api::{ProviderTargetSpec, quota::Quota};
use routing::{
    Endpoint,
    snapshot::{CompiledProbe, CompiledQuota},
};

use super::problems::{At, Problems};
use crate::text;

const MAX_QUOTAS: usize = 16;
const MAX_MODELS: usize = 20;
const MAX_IN_FLIGHT: u32 = 1_000_000;

/// The longest path of a probe.
const MAX_PATH: usize = 1024;

/// The quotas, in the order in which they are written.
pub(super) fn quotas(spec: &ProviderTargetSpec, problems: &mut Problems) -> Vec<CompiledQuota> {
    let Some(written) = &spec.quotas else { return Vec::new() };
    problems.check(
        !written.is_empty(),
        "spec.quotas",
        "is empty: leave it out where there are no limits",
    );
    problems.check(
        written.len() <= MAX_QUOTAS,
        "spec.quotas",
        format_args!("has {} items, and at most {MAX_QUOTAS} are supported", written.len()),
    );
    let offered: BTreeSet<&str> = spec.models.iter().map(|model| model.name.as_str()).collect();
    let mut names = BTreeSet::new();
    let mut out = Vec::with_capacity(written.len().min(MAX_QUOTAS));
    for (i, quota) in written.iter().take(MAX_QUOTAS).enumerate() {
        let path = format!("spec.quotas[{i}]");
        problems.name(&quota.name, 63, At(&path, "name"));
        problems.check(
            names.insert(quota.name.as_str()),
            At(&path, "name"),
            "is the name of an earlier quota as well",
        );
        out.push(compiled(quota, &path, &offered, problems));
    }
    out
}

fn compiled(
    quota: &Quota,
    path: &str,
    offered: &BTreeSet<&str>,
    problems: &mut Problems,
) -> CompiledQuota {
    let at = |field| At(path, field);
    let models = quota.models.as_deref();
    if let Some(models) = models {
        problems.check(!models.is_empty(), at("models"), "is empty: leave it out for all of them");
        problems.check(
            models.len() <= MAX_MODELS,
            at("models"),
            format_args!("has more than {MAX_MODELS} items"),
        );
        for model in models.iter().take(MAX_MODELS) {
            problems.check(
                offered.contains(model.as_str()),
                at("models"),
                format_args!(
                    "names {}, which is not in spec.models; correct it, or leave `models` out for \
                     all of them",
                    text::quote(model)
                ),
            );
        }
    }
    let mut limit = |value: Option<i64>, field| {
        let value = value?;
        let limit = u64::try_from(value).ok().filter(|limit| *limit > 0);
        problems.check(limit.is_some(), at(field), format_args!("is {value}, and must be above 0"));
        limit
    };
    let out = CompiledQuota {
        name: quota.name.clone(),
        models: models.unwrap_or_default().iter().take(MAX_MODELS).cloned().collect(),
        requests_per_minute: limit(quota.requests_per_minute, "requestsPerMinute"),
        tokens_per_minute: limit(quota.tokens_per_minute, "tokensPerMinute"),
        input_tokens_per_minute: limit(quota.input_tokens_per_minute, "inputTokensPerMinute"),
        output_tokens_per_minute: limit(quota.output_tokens_per_minute, "outputTokensPerMinute"),
        count_cached_input: quota.count_cached_input.unwrap_or(true),
    };
    let written = [
        quota.requests_per_minute,
        quota.tokens_per_minute,
        quota.input_tokens_per_minute,
        quota.output_tokens_per_minute,
    ];
    problems.check(
        written.iter().any(Option::is_some),
        path,
        "has no limit: set requestsPerMinute, tokensPerMinute, inputTokensPerMinute or \
         outputTokensPerMinute",
    );
    out
}

/// The most requests under way at once.
pub(super) fn max_in_flight(spec: &ProviderTargetSpec, problems: &mut Problems) -> Option<u32> {
    spec.max_in_flight.map(|most| {
        problems.number(Some(most), (1, MAX_IN_FLIGHT), MAX_IN_FLIGHT, "spec.maxInFlight")
    })
}

/// The probe: a path below the endpoint's own that is no place to generate at.
pub(super) fn probe(spec: &ProviderTargetSpec, problems: &mut Problems) -> Option<CompiledProbe> {
    let probe = spec.probe.as_ref()?;
    let interval_ms =
        problems.duration(probe.interval.as_deref(), "spec.probe.interval").unwrap_or(30_000);
    problems.check(interval_ms >= 1_000, "spec.probe.interval", "is shorter than 1s");
    let at = "spec.probe.path";
    let written = probe.path.as_deref().unwrap_or("/models");
    let path = written.strip_prefix('/').unwrap_or_default();
    let printable = |b: u8| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'\\');
    problems.check(
        !path.is_empty() && written.len() <= MAX_PATH && path.bytes().all(printable),
        at,
        format_args!(
            "is {}, and must be a path such as /models: a slash, then no query, fragment or spaces",
            text::quote(written)
        ),
    );
    problems.check(
        path.split('/').all(|part| part != "." && part != ".."),
        at,
        "leads out of the endpoint's own path: leave out the parts . and ..",
    );
    problems.check(
        Endpoint::from_path(path).is_none(),
        at,
        "is where answers are generated, which a probe never does; name one that costs nothing, \
         such as /models",
    );
    Some(CompiledProbe { interval_ms, path: path.to_owned() })
}
