//! The decision for a request and its reasons, as `/v1/explain` and `x-moniker-metadata: full` tell
//! them. Made from the same types that requests use; nothing is called and nothing changes.

use providers::dialect::Dialect;
use routing::{
    CandidateIx, Money, Nanos, RequestFacts, Usage,
    ejection::Availability,
    fallback::Why,
    filter::indexes,
    rank::{Score, reason},
    snapshot::{CompiledAlias, CompiledFallback, CompiledLineup, CompiledTimeouts, Members},
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    attempts::limit, clock, decide::Decision, filter, live::LiveAlias, record::Record,
    translate::Ways, used::Used,
};

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
    expected: Expected,
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
    /// Whether it belongs to a session.
    session: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    providers: &'a [&'a str],
}

/// What the request is expected to use.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Expected {
    prompt_tokens: u64,
    output_tokens: u64,
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
    /// The dialect that the request is translated to; absent: it is passed through.
    #[serde(skip_serializing_if = "Option::is_none")]
    translated: Option<&'static str>,
    /// What orders the lineup that it stands in.
    strategy: &'static str,
    /// What it was ranked by, for people; absent: its strategy goes by no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<String>,
    /// Requests of this router that it is working on.
    pending: u32,
    /// What the expected use costs there, a decimal; absent: its price is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_cost: Option<Money>,
    /// The limit of which this router's share is used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_limit: Option<AtLimit>,
    availability: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ejected_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovers_in_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filtered: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AtLimit {
    limit: String,
    retry_after_ms: u64,
}

/// What became of a request, for the metadata.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    request_id: &'a str,
    reason: &'static str,
    attempts: Vec<Attempt<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<Used>,
    /// A decimal, exact; absent: a price is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Money>,
    /// What the providers say that it costs, each in its own currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_cost: Option<Money>,
    /// What of the request was adapted or dropped for the target that answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning<'a>>,
    decision: &'a Value,
}

/// What was done to a field of the request.
#[derive(Serialize)]
struct Warning<'a> {
    field: &'a str,
    action: &'static str,
    detail: &'a str,
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
    tokens: Option<Used>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_cost: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

/// Explains a decision.
pub(crate) fn explain(
    alias: &LiveAlias,
    facts: &RequestFacts<'_>,
    ways: &Ways,
    decision: &Decision,
) -> Value {
    let now = clock::now();
    let strategies = strategies(&alias.compiled);
    let ranked = decision.ranking().iter().enumerate();
    let candidate = |ix: CandidateIx, rank, filtered| {
        let translated = ways.translated(ix).map(Dialect::name);
        let strategy = strategies[ix.get()];
        let expected_cost = expected_cost(alias, ix, facts, decision);
        Candidate {
            translated,
            expected_cost,
            ..candidate(alias, ix, rank, decision, strategy, filtered, now)
        }
    };
    let mut candidates: Vec<Candidate<'_>> =
        ranked.map(|(rank, ix)| candidate(*ix, Some(rank + 1), None)).collect();
    for ix in indexes(&alias.compiled).filter(|ix| !decision.ranking().contains(ix)) {
        let why = filter::told(alias, ix, facts, ways);
        candidates.push(candidate(ix, None, why));
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
            needs: facts
                .needs
                .with(facts.endpoint.capability())
                .iter()
                .map(routing::Capability::name)
                .collect(),
            session: facts.session.is_some(),
            providers: &facts.providers,
        },
        expected: Expected {
            prompt_tokens: decision.expected.prompt,
            output_tokens: decision.expected.output,
        },
        candidates,
        fallback: &alias.compiled.fallback,
        timeouts: &alias.compiled.timeouts,
    };
    // Texts and numbers: this cannot fail.
    serde_json::to_value(&explanation).unwrap_or_default()
}

/// The strategy of the lineup that each candidate stands in: of a nested alias, its own.
fn strategies(alias: &CompiledAlias) -> Vec<&'static str> {
    fn walk(lineup: &CompiledLineup, out: &mut [&'static str]) {
        for entry in lineup.tiers.iter().flatten() {
            match &entry.members {
                Members::Candidates(list) => {
                    for ix in list {
                        if let Some(slot) = out.get_mut(ix.get()) {
                            *slot = lineup.strategy.kind.name();
                        }
                    }
                }
                Members::Alias { lineup, .. } => walk(lineup, out),
            }
        }
    }
    let mut out = vec![alias.lineup.strategy.kind.name(); alias.candidates.len()];
    walk(&alias.lineup, &mut out);
    out
}

fn candidate<'a>(
    alias: &'a LiveAlias,
    ix: CandidateIx,
    rank: Option<usize>,
    decision: &Decision,
    strategy: &'static str,
    filtered: Option<String>,
    now: Nanos,
) -> Candidate<'a> {
    let compiled = &alias.compiled.candidates[ix.get()];
    let model = alias.candidates[ix.get()].model();
    let (availability, ejected_by, until) = match decision.availability[ix.get()] {
        Availability::Available => ("Available", None, None),
        Availability::Soft { until } => ("EjectedSoft", None, Some(until)),
        Availability::Hard { until, by } => ("EjectedHard", Some(by.name()), Some(until)),
    };
    let millis = |d: std::time::Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    Candidate {
        rank,
        entry: &compiled.entry,
        target: format!("{}/{}", compiled.target, compiled.model),
        upstream_model: model.map(|(_, m)| m.upstream_name.as_str()),
        translated: None,
        strategy,
        score: decision.ranked.scores.get(ix.get()).and_then(|s| s.as_ref()).map(Score::to_string),
        pending: model.map_or(0, |(live, _)| live.stats.pending()),
        expected_cost: None,
        at_limit: decision
            .at_limit(ix)
            .map(|full| AtLimit { limit: limit(full), retry_after_ms: millis(full.retry_after) }),
        availability,
        ejected_by,
        recovers_in_ms: until.map(|u| millis(u.since(now))),
        filtered,
    }
}

/// What the request is expected to cost at a candidate, where its price is known.
fn expected_cost(
    alias: &LiveAlias,
    ix: CandidateIx,
    facts: &RequestFacts<'_>,
    decision: &Decision,
) -> Option<Money> {
    let (_, model) = alias.candidates[ix.get()].model()?;
    Some(model.price.as_ref()?.cost(&Usage {
        input: decision.expected.prompt,
        output: decision.expected.output.saturating_sub(facts.audio_out),
        audio_out: facts.audio_out,
        images: facts.images,
        ..Usage::default()
    }))
}

/// The sentence that sums a decision up.
fn summary(alias: &LiveAlias, decision: &Decision, candidates: &[Candidate<'_>]) -> String {
    let strategy = alias.compiled.lineup.strategy.kind;
    if decision.ranking().is_empty() {
        return format!("No candidate of {} can serve this request.", alias.compiled.id);
    }
    let mut text = format!("{strategy}: {}", reason(&alias.compiled, &decision.ranked));
    let count = |what: &dyn Fn(&Candidate<'_>) -> bool| {
        candidates.iter().filter(|candidate| what(candidate)).count()
    };
    let ranked = |c: &Candidate<'_>| c.rank.is_some();
    for (number, what) in [
        (count(&|c| ranked(c) && c.availability != "Available"), "ejected"),
        (count(&|c| ranked(c) && c.at_limit.is_some()), "at a limit"),
        (count(&|c| !ranked(c)), "filtered"),
    ] {
        if number > 0 {
            text.push_str(&format!("; {number} {what}"));
        }
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
            tokens: tried.used,
            cost: tried.cost,
            provider_cost: tried.used.and_then(|used| used.usage.stated_cost),
            message: tried.ending.message.as_deref(),
        })
        .collect();
    let outcome = Outcome {
        request_id: record.request_id.to_str().unwrap_or_default(),
        reason: record.reason.name(),
        attempts,
        tokens: record.used(),
        cost: record.cost(),
        provider_cost: record.used().and_then(|used| used.usage.stated_cost),
        warnings: record
            .warnings
            .iter()
            .map(|w| Warning { field: &w.field, action: w.action.name(), detail: &w.detail })
            .collect(),
        decision,
    };
    // Texts and numbers: this cannot fail.
    serde_json::to_value(&outcome).unwrap_or_default()
}
