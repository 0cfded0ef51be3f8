//! The OpenAI dialect: of OpenAI itself and of the servers that speak its protocol. What their
//! codes, words and finish reasons mean, and how usage is counted. Chat, completions, embeddings.

use routing::{
    Money, OutcomeClass, ProviderKind,
    outcome::Fault::{
        self, Auth, ContextLength, InvalidResponse, ModelUnavailable, Moderation, OutOfCredit,
        RateLimited, ServerError, Timeout, Unsupported,
    },
};

use smallvec::SmallVec;

use crate::{
    Usage, context,
    dialect::Dialect,
    json::{JsonError, Kind, Reader},
    rules::{
        finish::{self, Ends, Why},
        usage::read,
    },
    sign::Sign,
};

/// Codes and types that decide whatever the status is.
pub(crate) const CODES: [(&str, Fault); 33] = [
    ("insufficient_quota", OutOfCredit),
    ("exceeded_current_quota_error", OutOfCredit),
    ("arrearage", OutOfCredit),
    ("model_not_found", ModelUnavailable),
    ("modelnotfound", ModelUnavailable),
    ("deploymentnotfound", ModelUnavailable),
    ("bio_policy", Moderation),
    ("misalignment_policy_violation", Moderation),
    ("content_policy_violation", Moderation),
    ("moderation_blocked", Moderation),
    ("image_content_policy_violation", Moderation),
    ("content_filter", Moderation),
    ("data_inspection_failed", Moderation),
    ("unsupported_parameter", Unsupported),
    ("unsupported_value", Unsupported),
    ("unsupported_file", Unsupported),
    ("unknown_parameter", Unsupported),
    ("tool_use_failed", InvalidResponse),
    ("rate_limit_exceeded", RateLimited),
    ("rate_limit_error", RateLimited),
    ("rate_limit_reached_error", RateLimited),
    ("too_many_requests", RateLimited),
    ("requests", RateLimited),
    ("tokens", RateLimited),
    ("engine_overloaded_error", ServerError),
    ("overloaded_error", ServerError),
    ("server_error", ServerError),
    ("internal_error", ServerError),
    ("internal_server_error", ServerError),
    ("vector_store_timeout", ServerError),
    ("invalid_api_key", Auth),
    ("authentication_error", Auth),
    ("permission_error", Auth),
];

/// Words of the message, in lower case, the statuses under which they count (none: under any) and
/// what they mean.
pub(crate) const WORDS: [(&[u16], &str, Fault); 21] = [
    (&[400, 401, 403], "incorrect api key", Auth),
    (&[400, 401, 403], "api key not valid", Auth),
    (&[403, 429], "used all available credits", OutOfCredit),
    (&[403], "budget limit", OutOfCredit),
    (&[400, 403], "usage guidelines", Moderation),
    (&[403], "guardrail", Moderation),
    (&[500], "system message must be at the beginning", Unsupported),
    (&[400, 413, 422], "not supported", Unsupported),
    (&[400, 413, 422], "n't supported", Unsupported),
    (&[400, 413, 422], "does not support", Unsupported),
    (&[400, 413, 422], "do not support", Unsupported),
    (&[400, 413, 422], "doesn't support", Unsupported),
    (&[400, 413, 422], "unsupported", Unsupported),
    (&[400, 413, 422], "extra inputs are not permitted", Unsupported),
    (&[400, 413, 422], "unrecognized request argument", Unsupported),
    (&[400, 413, 422], "unknown parameter", Unsupported),
    (&[400, 413, 422], "unknown name", Unsupported),
    (&[400, 413, 422], "requires --enable-", Unsupported),
    (&[413], "too large", Unsupported),
    (&[413], "size", Unsupported),
    (&[404], "invalid url", Unsupported),
];

/// The class of an error: the codes of the dialect, the words for an exceeded context, the words of
/// the dialect, the status. `status` is `None` for an error within an answer that states none.
pub(crate) fn class_of(
    provider: ProviderKind,
    status: Option<u16>,
    sign: &Sign,
    waits: bool,
) -> OutcomeClass {
    let code = sign.code.to_lowercase();
    let kind = sign.kind.to_lowercase();
    let message = sign.message.to_lowercase();
    let fault = by_relay(status, sign, &message, waits)
        .or_else(|| by_code(provider, &code, &kind, &message))
        .filter(|fault| *fault != RateLimited || !context::exceeded("", "", &message))
        .or_else(|| context::exceeded(&code, &kind, &message).then_some(ContextLength))
        .or_else(|| by_words(status, &message));
    match fault {
        // A key that frees by itself is no bad key for everybody.
        Some(Auth | OutOfCredit) if waits && matches!(status, Some(401..=403)) => {
            OutcomeClass::Fault(RateLimited)
        }
        Some(fault) => OutcomeClass::Fault(fault),
        None => by_status(status.or_else(|| status_of_kind(&kind)), waits),
    }
}

/// What OpenRouter says beside the code.
fn by_relay(status: Option<u16>, sign: &Sign, message: &str, waits: bool) -> Option<Fault> {
    match status? {
        402 if sign.metadata.contains("weight_exceeds_budget")
            || message.contains("weight_exceeds_budget") =>
        {
            Some(Unsupported)
        }
        402 if waits && sign.metadata.contains("openrouter_in_flight_budget") => Some(RateLimited),
        403 if sign.metadata.contains("\"reasons\"")
            || sign.metadata.contains("\"flagged_input\"") =>
        {
            Some(Moderation)
        }
        _ => None,
    }
}

fn by_code(provider: ProviderKind, code: &str, kind: &str, message: &str) -> Option<Fault> {
    if code.starts_with("billing_") || kind.starts_with("billing_") {
        return Some(OutOfCredit);
    }
    // OpenRouter uses this code for any request that it finds wrong.
    if code == "invalid_prompt"
        && (matches!(provider, ProviderKind::OpenAI | ProviderKind::AzureOpenAI)
            || message.contains("flagged")
            || message.contains("policy"))
    {
        return Some(Moderation);
    }
    let find = |text: &str| CODES.iter().find(|(c, _)| *c == text).map(|(_, fault)| *fault);
    find(code).or_else(|| find(kind))
}

fn by_words(status: Option<u16>, message: &str) -> Option<Fault> {
    let status = status?;
    if matches!(status, 400 | 404) && names_a_missing_model(message) {
        return Some(ModelUnavailable);
    }
    WORDS
        .iter()
        .find(|(statuses, words, _)| statuses.contains(&status) && message.contains(words))
        .map(|(_, _, fault)| *fault)
}

fn names_a_missing_model(message: &str) -> bool {
    message.contains("model")
        && ["does not exist", "not found", "not exist", "try pulling", "is not a valid model"]
            .iter()
            .any(|words| message.contains(words))
}

/// The class of a status alone.
pub(crate) fn by_status(status: Option<u16>, waits: bool) -> OutcomeClass {
    let fault = match status {
        Some(401..=403) if waits => RateLimited,
        Some(401 | 403) => Auth,
        Some(402) => OutOfCredit,
        Some(404 | 405 | 501) => Unsupported,
        Some(408) => Timeout,
        Some(429) => RateLimited,
        Some(409 | 425 | 498 | 500..) => ServerError,
        Some(400..500) => return OutcomeClass::InvalidRequest,
        // No status of an error, so nothing that an answer can be: a redirect, 204, an error
        // without a code under 200.
        _ => InvalidResponse,
    };
    OutcomeClass::Fault(fault)
}

/// The status that a type of error usually comes with, for errors under 200 and in streams.
fn status_of_kind(kind: &str) -> Option<u16> {
    match kind {
        "invalid_request_error" | "badrequesterror" => Some(400),
        "not_found_error" | "notfounderror" => Some(404),
        "api_error" | "internalservererror" | "service_unavailable" | "timeout" => Some(500),
        _ => None,
    }
}

/// What a finish reason says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Finish {
    /// Nothing: there is none yet.
    #[default]
    None,
    /// The answer is whole, or as long as it may be.
    Answer,
    /// A filter ended it.
    Filter,
    /// The provider failed.
    Error,
    /// A word that is not known: an answer if there is content.
    Unknown,
}

/// Reads a finish reason.
pub(crate) fn finish_of(reason: &str) -> Finish {
    match finish::ends(Dialect::OpenAiChat, reason) {
        Ends::NotYet => Finish::None,
        Ends::Is(Why::Filter) => Finish::Filter,
        Ends::Is(_) => Finish::Answer,
        Ends::Fails(_) => Finish::Error,
        Ends::Maybe => Finish::Unknown,
    }
}

/// Reads a `usage` object into disjoint parts; null, what is no object and one that counts nothing
/// (servers that fill it in later send zeros until then) is `None`.
pub(crate) fn usage(r: &mut Reader<'_>) -> Result<Option<Usage>, JsonError> {
    if r.peek()? != Kind::Object {
        r.skip()?;
        return Ok(None);
    }
    let mut cost = None;
    let mut found: SmallVec<[(&str, &str, u64); 16]> = SmallVec::new();
    r.object(|r, key| {
        let outer = key.raw();
        match r.peek()? {
            Kind::Object => drop(r.object(|r, key| {
                let count = r.maybe_u64()?;
                found.extend(count.map(|count| (outer, key.raw(), count)));
                Ok::<(), JsonError>(())
            })?),
            Kind::Number => {
                let text = r.number()?.0;
                found.extend(text.parse().ok().map(|count| (outer, "", count)));
                if outer == "cost" {
                    cost = money(text);
                }
            }
            _ => drop(r.skip()?),
        }
        Ok::<(), JsonError>(())
    })?;
    let get = |path: &str| {
        let (outer, inner) = path.split_once('.').unwrap_or((path, ""));
        found.iter().rev().find(|(o, i, _)| (*o, *i) == (outer, inner)).map(|(.., count)| *count)
    };
    let names = ["prompt_tokens", "completion_tokens", "total_tokens"];
    Ok(counted(Dialect::OpenAiChat, names, get).map(|usage| Usage { stated_cost: cost, ..usage }))
}

/// Usage of OpenAI's counting, of the members that `get` gives; `totals` are those of the prompt, the
/// answer and both. `None`: it counts nothing.
pub(crate) fn counted(
    dialect: Dialect,
    totals: [&str; 3],
    get: impl Fn(&str) -> Option<u64>,
) -> Option<Usage> {
    let [prompt, completion, total] = totals.map(|name| get(name).unwrap_or_default());
    let mut usage = read(dialect, get);
    if prompt == 0 && completion == 0 {
        if total == 0 {
            return None;
        }
        // Some embeddings servers state the total alone.
        usage.input = total;
    }
    let beside = usage.reasoning > 0
        && total == prompt.saturating_add(completion).saturating_add(usage.reasoning);
    if beside {
        // Some servers leave reasoning out of the completion, and only the total shows it.
        usage.output = usage.output.saturating_add(usage.reasoning);
    }
    Some(usage)
}

/// A cost as a provider writes it, to 10^-12; `None`: it is none.
fn money(text: &str) -> Option<Money> {
    let cost: f64 = text.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the bounds, and rounded"
    )]
    let pico = (0.0..1e6).contains(&cost).then(|| (cost * 1e12).round() as u128)?;
    Some(Money::from_atto(pico * 1_000_000))
}
