//! Errors, from every dialect's words to one class: the codes of the dialect, the words for an
//! exceeded context, then the status. Data, as tables of signs.

use std::time::SystemTime;

use http::{HeaderMap, StatusCode};
use routing::{
    OutcomeClass, ProviderKind,
    outcome::Fault::{
        self, Auth, ContextLength, InvalidResponse, ModelUnavailable, Moderation, OutOfCredit,
        RateLimited, ServerError, Unsupported,
    },
};

use super::Dialect;
use crate::{
    context,
    failure::{self, Failure, build_by},
    openai::by_status,
    retry_after,
    sign::Sign,
    tree::Json,
};

/// A sign of a class: a code or type, or words of the message in lower case, and the statuses under
/// which it counts (none: under any).
pub(crate) type SignOf = (&'static [u16], &'static str, Fault);

pub(crate) const ANTHROPIC_CODES: [SignOf; 11] = [
    (&[], "enforced_spend_limit_reached", OutOfCredit),
    (&[], "contract_spend_limit_reached", OutOfCredit),
    (&[], "linked_organization_spend_limit_reached", OutOfCredit),
    (&[], "billing_error", OutOfCredit),
    (&[], "ramp_limit_exceeded", RateLimited),
    (&[], "rate_limit_error", RateLimited),
    (&[], "organization_on_hold", Auth),
    (&[], "request_too_large", Unsupported),
    (&[], "image_dimensions_too_large", Unsupported),
    (&[], "overloaded_error", ServerError),
    (&[], "timeout_error", ServerError),
];

pub(crate) const ANTHROPIC_WORDS: [SignOf; 11] = [
    (&[], "credit balance is too low", OutOfCredit),
    (&[400], "reached your specified", OutOfCredit),
    (&[404], "model:", ModelUnavailable),
    (&[400], "output blocked by content filtering policy", Moderation),
    (&[400], "extra inputs are not permitted", Unsupported),
    (&[400], "not supported on this model", Unsupported),
    (&[400], "not supported for this model", Unsupported),
    (&[400], "does not support", Unsupported),
    (&[400], "is not supported", Unsupported),
    (&[400], "schema is too complex", Unsupported),
    (&[400], "compiled grammar is too large", Unsupported),
];

pub(crate) const GEMINI_CODES: [SignOf; 10] = [
    (&[], "api_key_invalid", Auth),
    (&[], "service_disabled", Auth),
    (&[], "billing_disabled", OutOfCredit),
    (&[], "permission_denied", Auth),
    (&[], "unauthenticated", Auth),
    (&[], "resource_exhausted", RateLimited),
    (&[], "unavailable", ServerError),
    (&[], "deadline_exceeded", ServerError),
    (&[], "internal", ServerError),
    (&[], "failed_precondition", Unsupported),
];

pub(crate) const GEMINI_WORDS: [SignOf; 7] = [
    (&[400, 401, 403], "api key not valid", Auth),
    (&[400, 404], "is not found for api version", ModelUnavailable),
    (&[400, 404], "publisher model", ModelUnavailable),
    (&[404], "is not found", ModelUnavailable),
    (&[400], "unknown name", Unsupported),
    (&[400], "is not supported", Unsupported),
    (&[400], "location is not supported", Unsupported),
];

pub(crate) const BEDROCK_CODES: [SignOf; 17] = [
    (&[], "throttlingexception", RateLimited),
    (&[], "servicequotaexceededexception", RateLimited),
    (&[], "toomanyrequestsexception", RateLimited),
    (&[], "modelnotreadyexception", ServerError),
    (&[], "modeltimeoutexception", ServerError),
    (&[], "internalserverexception", ServerError),
    (&[], "internalfailure", ServerError),
    (&[], "serviceunavailableexception", ServerError),
    (&[], "resourcenotfoundexception", ModelUnavailable),
    (&[], "unrecognizedclientexception", Auth),
    (&[], "invalidsignatureexception", Auth),
    (&[], "expiredtokenexception", Auth),
    (&[], "missingauthenticationtokenexception", Auth),
    (&[], "missingauthenticationtoken", Auth),
    (&[], "incompletesignatureexception", Auth),
    (&[], "invalidclienttokenid", Auth),
    (&[], "accessdeniedexception", Auth),
];

pub(crate) const BEDROCK_WORDS: [SignOf; 8] = [
    (&[], "model identifier is invalid", ModelUnavailable),
    (&[], "on-demand throughput isn", ModelUnavailable),
    (&[], "you don't have access to the model", ModelUnavailable),
    (&[], "doesn't support", Unsupported),
    (&[], "does not support", Unsupported),
    (&[], "isn't supported", Unsupported),
    (&[], "is not supported", Unsupported),
    (&[], "extraneous key", Unsupported),
];

/// The failure that an answer with this status and body is. `compatible`: from another server than
/// OpenAI's own.
pub fn classify(
    dialect: Dialect,
    compatible: bool,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Failure {
    let provider = kind(compatible);
    if matches!(dialect, Dialect::OpenAiChat | Dialect::OpenAiResponses) {
        return failure::classify(provider, status, headers, body, now);
    }
    let mut sign = Sign::read(status, body);
    let value = Json::parse(body).unwrap_or_default();
    if dialect == Dialect::Bedrock {
        let told = headers.get("x-amzn-errortype").and_then(|v| v.to_str().ok());
        name_exception(&mut sign, told.or_else(|| value.get("__type").str()));
    }
    let waits = retry_after::from_headers(headers, now);
    build_by(Some(status), sign, waits, |stated, sign, waits| {
        class_of(dialect, stated, sign, &value, waits)
    })
}

/// The failure that an error within a stream, or under a status of success, is.
pub(super) fn of_value(dialect: Dialect, compatible: bool, value: &Json) -> Failure {
    let plain = serde_json::from_slice(&value.to_vec()).unwrap_or_default();
    if matches!(dialect, Dialect::OpenAiChat | Dialect::OpenAiResponses) {
        return failure::classify_value(kind(compatible), &plain);
    }
    let sign = Sign::of(&plain);
    build_by(None, sign, None, |stated, sign, waits| class_of(dialect, stated, sign, value, waits))
}

/// The failure that an exception in a stream of Bedrock is.
pub(super) fn exception(name: &str, message: &str, original: Option<u16>) -> Failure {
    let mut sign = Sign { message: message.to_owned(), ..Sign::default() };
    sign.status = original;
    name_exception(&mut sign, Some(name));
    build_by(None, sign, None, |stated, sign, waits| {
        class_of(Dialect::Bedrock, stated, sign, &Json::Null, waits)
    })
}

fn kind(compatible: bool) -> ProviderKind {
    if compatible { ProviderKind::OpenAICompatible } else { ProviderKind::OpenAI }
}

/// The name of an exception, cut at `:` and `#`.
fn name_exception(sign: &mut Sign, name: Option<&str>) {
    let Some(name) = name else { return };
    let name = name.split(':').next().unwrap_or_default();
    name.rsplit('#').next().unwrap_or_default().clone_into(&mut sign.code);
}

fn class_of(
    dialect: Dialect,
    status: Option<u16>,
    sign: &Sign,
    body: &Json,
    waits: bool,
) -> OutcomeClass {
    let message = sign.message.to_lowercase();
    let code = sign.code.to_lowercase();
    let kind = sign.kind.to_lowercase();
    let (codes, words, found): (&[SignOf], &[SignOf], Option<Fault>) = match dialect {
        Dialect::Anthropic => (&ANTHROPIC_CODES, &ANTHROPIC_WORDS, anthropic(body)),
        Dialect::Gemini => (&GEMINI_CODES, &GEMINI_WORDS, gemini(body, status)),
        Dialect::Bedrock => {
            // Behind these words stands what the model's own maker said.
            if let Some((_, rest)) = message.split_once("the model returned the following errors:")
            {
                let inner = Sign { message: rest.trim().to_owned(), ..Sign::default() };
                let status = status.or(Some(400));
                return class_of(Dialect::Anthropic, status, &inner, &Json::Null, waits);
            }
            (&BEDROCK_CODES, &BEDROCK_WORDS, bedrock(&code, &message, sign.status))
        }
        Dialect::OpenAiChat | Dialect::OpenAiResponses => (&[], &[], None),
    };
    let counts = |statuses: &[u16]| {
        statuses.is_empty() || status.is_none_or(|status| statuses.contains(&status))
    };
    let by_code = |text: &str| {
        codes.iter().find(|(s, c, _)| *c == text && counts(s)).map(|(.., fault)| *fault)
    };
    let fault = found
        .or_else(|| context::exceeded(&code, &kind, &message).then_some(ContextLength))
        .or_else(|| {
            // Words are more exact than Bedrock's one code for many faults.
            let by_words =
                words.iter().find(|(s, w, _)| counts(s) && message.contains(w)).map(|(.., f)| *f);
            if dialect == Dialect::Bedrock {
                by_words.or_else(|| by_code(&code))
            } else {
                by_code(&code).or_else(|| by_code(&kind)).or(by_words)
            }
        });
    match fault {
        Some(Auth | OutOfCredit) if waits && matches!(status, Some(401..=403)) => {
            OutcomeClass::Fault(RateLimited)
        }
        Some(fault) => OutcomeClass::Fault(fault),
        None => by_rest(dialect, status, &code, &kind, waits),
    }
}

/// What the status says, where nothing else says more.
fn by_rest(
    dialect: Dialect,
    status: Option<u16>,
    code: &str,
    kind: &str,
    waits: bool,
) -> OutcomeClass {
    let of_kind = match (dialect, kind, code) {
        (Dialect::Anthropic, "invalid_request_error", _)
        | (Dialect::Gemini, _, "invalid_argument")
        | (Dialect::Bedrock, _, "validationexception") => Some(400),
        (Dialect::Anthropic, "authentication_error" | "permission_error", _) => Some(401),
        (Dialect::Anthropic, "not_found_error", _) => Some(404),
        (Dialect::Anthropic, "api_error", _)
        | (Dialect::Bedrock, _, "modelerrorexception" | "modelstreamerrorexception") => Some(500),
        _ => None,
    };
    match status.filter(|s| *s >= 400).or(of_kind) {
        Some(424 | 499 | 504) => OutcomeClass::Fault(ServerError),
        // Bedrock: a model that took too long is the service's fault, whatever the status.
        Some(408) if dialect == Dialect::Bedrock => OutcomeClass::Fault(ServerError),
        Some(413) => OutcomeClass::Fault(Unsupported),
        other => by_status(other, waits),
    }
}

/// `error.details.error_code`, which decides before any wording does.
fn anthropic(body: &Json) -> Option<Fault> {
    let code = body.at(&["error", "details", "error_code"]).text();
    if code.is_empty() {
        return None;
    }
    ANTHROPIC_CODES.iter().find(|(_, c, _)| *c == code).map(|(.., fault)| *fault)
}

/// `ErrorInfo.reason`, quotas that are zero, and the status in words.
fn gemini(body: &Json, status: Option<u16>) -> Option<Fault> {
    let body = body.items().first().unwrap_or(body);
    let error = body.get("error");
    let details = error.get("details").items();
    let reasons = details.iter().filter_map(|d| d.get("reason").str());
    let mut names = reasons.chain(error.get("status").str());
    let quotas = details.iter().flat_map(|d| d.get("violations").items());
    if quotas.into_iter().any(|v| v.get("quotaValue").text() == "0") {
        return Some(OutOfCredit);
    }
    let found = names.find_map(|name| {
        let name = name.to_lowercase();
        GEMINI_CODES.iter().find(|(_, code, _)| *code == name).map(|(.., fault)| *fault)
    });
    // A missing model is told by its words alone.
    found.filter(|_| status != Some(404))
}

fn bedrock(code: &str, message: &str, original: Option<u16>) -> Option<Fault> {
    match code {
        "accessdeniedexception" if message.contains("model") => Some(ModelUnavailable),
        "modelerrorexception" | "modelstreamerrorexception" => match original {
            Some(status @ 400..500) => match by_status(Some(status), false) {
                OutcomeClass::Fault(fault) => Some(fault),
                _ => None,
            },
            _ => Some(ServerError),
        },
        "malformed_model_output" => Some(InvalidResponse),
        _ => None,
    }
}

/// How long Gemini's quota of a day is empty, whatever delay is given: the longest ejection.
pub fn daily_quota(body: &[u8]) -> bool {
    let body = Json::parse(body).unwrap_or_default();
    let body = body.items().first().unwrap_or(&body);
    let details = body.at(&["error", "details"]).items();
    let quotas = details.iter().flat_map(|d| d.get("violations").items());
    quotas.into_iter().any(|v| v.get("quotaId").text().contains("PerDay"))
}

/// Words by which a provider refuses a replayed signature.
const SIGNATURE_WORDS: [&str; 13] = [
    "invalid `signature`",
    "invalid signature in",
    "bound to a different conversation",
    "cannot be modified",
    "expected `thinking`",
    "missing a thought_signature",
    "missing thought_signature",
    "invalid thought signature",
    "corrupted thought signature",
    "thought signature is not valid",
    "encrypted content could not be",
    "without its required following item",
    "not found. items are not persisted",
];

/// Whether a provider refuses a signature that was sent: the same target is asked once more,
/// without any. `signed`: signatures were sent, so that Gemini's bare refusal may be of one.
pub fn refuses_signature(dialect: Dialect, failure: &Failure, signed: bool) -> bool {
    let message = failure.message.to_lowercase();
    let code = failure.code.as_deref().unwrap_or_default();
    let told = SIGNATURE_WORDS.iter().any(|words| message.contains(words))
        || matches!(code, "invalid_encrypted_content" | "MISSING_THOUGHT_SIGNATURE")
        || (message.contains("item with id") && message.contains("not found"));
    let bare = dialect == Dialect::Gemini
        && signed
        && message.trim_end_matches('.') == "request contains an invalid argument";
    told || bare
}

/// The class of an error's code within a response object.
pub(super) fn of_code(value: &Json) -> Failure {
    of_value(Dialect::OpenAiResponses, false, value)
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
