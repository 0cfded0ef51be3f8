//! The decision for a request and its reasons, as `/v1/explain` and `x-moniker-metadata: full` tell
//! them. Made from the same types that requests use; nothing is called and nothing changes.

use routing::{
    Nanos, RequestFacts,
    ejection::Availability,
    fallback::Why,
    filter::indexes,
    snapshot::{CompiledFallback, CompiledTimeouts},
};
use serde::Serialize;
use serde_json::Value;

use crate::{clock, decide::Decision, filter, live::LiveAlias, record::Record};

/// A decision, explained.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation<'a> {
    /// One sentence.
    summary: String,
    alias: String,
    model: &'a str,
    revision: &'a str,
    strategy: &'static str,
    /// With the same facts and live view it gives the same decision.
    seed: u64,
    request: Facts<'a>,
    /// In the order in which they would be tried; filtered ones last.
    candidates: Vec<Candidate<'a>>,
    fallback: &'a CompiledFallback,
    timeouts: &'a CompiledTimeouts,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts<'a> {
    endpoint: &'static str,
    stream: bool,
    prompt_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_cap: Option<u64>,
    needs: Vec<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    providers: &'a [&'a str],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    /// 1 is tried first; absent: filtered.
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<usize>,
    entry: &'a str,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_model: Option<&'a str>,
    availability: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ejected_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovers_in_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filtered: Option<String>,
}

/// An attempt, for the metadata.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attempt<'a> {
    target: String,
    why: Why,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

/// Explains a decision.
pub(crate) fn explain(alias: &LiveAlias, facts: &RequestFacts<'_>, decision: &Decision) -> Value {
    let now = clock::now();
    let ranked = decision.ranking.iter().enumerate();
    let mut candidates: Vec<Candidate<'_>> = ranked
        .map(|(rank, ix)| candidate(alias, ix.get(), Some(rank + 1), decision, None, now))
        .collect();
    for ix in indexes(&alias.compiled).filter(|ix| !decision.ranking.contains(ix)) {
        let why = filter::reason(alias, ix, facts).map(|reason| reason.to_string());
        candidates.push(candidate(alias, ix.get(), None, decision, why, now));
    }
    let explanation = Explanation {
        summary: summary(alias, decision, &candidates),
        alias: alias.compiled.id.to_string(),
        model: &alias.compiled.model,
        revision: alias.revision.to_str().unwrap_or_default(),
        strategy: alias.compiled.lineup.strategy.kind.name(),
        seed: decision.seed,
        request: Facts {
            endpoint: facts.endpoint.path(),
            stream: facts.stream,
            prompt_tokens: facts.prompt_tokens,
            output_cap: facts.output_cap,
            needs: facts.needs.iter().map(routing::Capability::name).collect(),
            providers: &facts.providers,
        },
        candidates,
        fallback: &alias.compiled.fallback,
        timeouts: &alias.compiled.timeouts,
    };
    // Texts and numbers: this cannot fail.
    serde_json::to_value(&explanation).unwrap_or_default()
}

fn candidate<'a>(
    alias: &'a LiveAlias,
    i: usize,
    rank: Option<usize>,
    decision: &Decision,
    filtered: Option<String>,
    now: Nanos,
) -> Candidate<'a> {
    let compiled = &alias.compiled.candidates[i];
    let (availability, ejected_by, until) = match decision.availability[i] {
        Availability::Available => ("Available", None, None),
        Availability::Soft { until } => ("EjectedSoft", None, Some(until)),
        Availability::Hard { until, by } => ("EjectedHard", Some(by.name()), Some(until)),
    };
    Candidate {
        rank,
        entry: &compiled.entry,
        target: format!("{}/{}", compiled.target, compiled.model),
        upstream_model: alias.candidates[i].model().map(|(_, m)| m.upstream_name.as_str()),
        availability,
        ejected_by,
        recovers_in_ms: until.map(|u| u64::try_from(u.since(now).as_millis()).unwrap_or(u64::MAX)),
        filtered,
    }
}

/// The sentence that sums a decision up.
fn summary(alias: &LiveAlias, decision: &Decision, candidates: &[Candidate<'_>]) -> String {
    let strategy = alias.compiled.lineup.strategy.kind;
    let filtered = candidates.iter().filter(|c| c.rank.is_none()).count();
    let Some(first) = candidates.first().filter(|c| c.rank.is_some()) else {
        return format!("No candidate of {} can serve this request.", alias.compiled.id);
    };
    let ranked = decision.ranking.len();
    let ejected = decision
        .ranking
        .iter()
        .filter(|ix| decision.availability[ix.get()] != Availability::Available)
        .count();
    let mut text = format!("{strategy} puts {} first", first.target);
    if ranked > 1 {
        text.push_str(&format!(", with {} behind it", ranked - 1));
    }
    if ejected > 0 {
        text.push_str(&format!("; {ejected} of them ejected"));
    }
    if filtered > 0 {
        text.push_str(&format!("; {filtered} filtered"));
    }
    text.push('.');
    text
}

/// What `x-moniker-metadata: full` adds: the decision and what became of it.
pub(crate) fn metadata(record: &Record, decision: &Value) -> Value {
    let target = |ix: routing::CandidateIx| {
        record.alias.as_ref().map_or_else(String::new, |alias| {
            let c = &alias.compiled.candidates[ix.get()];
            format!("{}/{}", c.target, c.model)
        })
    };
    let attempts: Vec<Attempt<'_>> = record
        .tried
        .iter()
        .map(|tried| Attempt {
            target: target(tried.candidate),
            why: tried.why,
            outcome: tried.ending.class.name(),
            status: tried.ending.status,
            duration_ms: u64::try_from(tried.took.as_millis()).unwrap_or(u64::MAX),
            message: tried.ending.message.as_deref(),
        })
        .collect();
    serde_json::json!({
        "requestId": record.request_id.to_str().unwrap_or_default(),
        "reason": record.reason.name(),
        "attempts": attempts,
        "tokens": record.tokens,
        "decision": decision,
    })
}
