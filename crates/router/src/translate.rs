//! Which candidates take a request as it came, which are asked in another dialect, and what the
//! others cannot say. A request is decoded once, when a candidate first needs it, and encoded for
//! each candidate that the filter leaves: what cannot be encoded filters that candidate.

use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, HeaderName};
use providers::{
    Rewrite, Versioned,
    count_tokens::{self, Count},
    dialect::{Candidate, Dialect, Encoded, encode, quirks::Quirks},
    embeddings,
    fit::{Fitted, applies, fit},
    neutral::Request,
    protocol::{DecodeError, Protocol, decode},
    rules::Refusal,
    translate::{chat_may_refuse_tools, chat_refuses_tools, dialect_for},
};
use routing::{
    CandidateIx, Capability, Endpoint, RequestFacts,
    filter::{FilterReason, Funds, indexes},
};
use smallvec::SmallVec;

use crate::{
    facts::Asked,
    filter,
    live::{
        LiveAlias,
        speaks::{Speaks, Way},
        target::{LiveModel, LiveTarget},
    },
};

/// The caller's wishes for what is in beta at Anthropic.
pub(crate) const BETA: HeaderName = HeaderName::from_static("anthropic-beta");
/// Encoded bodies that are kept from the decision to the attempt: larger ones are made again.
const KEPT: usize = 64 << 10;
/// How a signature begins that left in a translated answer.
const MARK: &[u8] = b"\"mk1.";

/// The protocol of an endpoint's callers; `None`: embeddings, which have a form of their own, and what
/// is never translated.
pub(crate) fn protocol(endpoint: Endpoint) -> Option<Protocol> {
    match endpoint {
        Endpoint::ChatCompletions => Some(Protocol::Chat),
        Endpoint::Completions => Some(Protocol::Completions),
        Endpoint::Responses => Some(Protocol::Responses),
        Endpoint::Messages | Endpoint::CountTokens => Some(Protocol::Messages),
        Endpoint::Embeddings
        | Endpoint::Images
        | Endpoint::Moderations
        | Endpoint::Rerank
        | Endpoint::Speech => None,
    }
}

/// Why a candidate cannot be told what the request says.
#[derive(Clone, Debug)]
pub(crate) enum Unfit {
    /// A field has no form there.
    Field(Refusal),
    /// The request cannot be read, which a translation must.
    Unread(DecodeError),
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Field(Refusal { field, detail, .. }) => {
                let detail = detail.trim_end_matches('.');
                write!(f, "`{field}` cannot be sent there: {detail}")
            }
            Self::Unread(error) => {
                let text = error.to_string();
                write!(f, "the request cannot be translated: {}", text.trim_end_matches('.'))
            }
        }
    }
}

impl Unfit {
    /// `param` and `code` of the caller's error.
    pub(crate) fn told(&self) -> (Option<&str>, &'static str) {
        match self {
            Self::Field(refusal) if refusal.not_portable => (Some(&refusal.field), "not_portable"),
            Self::Field(refusal) => (Some(&refusal.field), "unsupported_parameter"),
            Self::Unread(error) => (error.param.as_deref(), "invalid_request"),
        }
    }
}

/// A request in the neutral form.
#[derive(Debug)]
pub(crate) enum Neutral {
    /// For an answer, or for the count of its tokens.
    Answer(Box<Request>),
    /// For embeddings.
    Embeddings(embeddings::Request),
}

/// A request as it is written for a candidate.
#[derive(Debug)]
pub(crate) enum Written {
    /// So.
    Encoded(Box<Encoded>),
    /// Not at all: the tokens are estimated here.
    Estimate,
}

/// Writes a request for a candidate, or says what it cannot be told.
pub(crate) fn write(
    endpoint: Endpoint,
    request: &Neutral,
    to: &Candidate<'_>,
) -> Result<Written, Refusal> {
    Ok(match request {
        Neutral::Answer(request) if endpoint == Endpoint::CountTokens => {
            match count_tokens::encode(request, to)? {
                Count::Ask(encoded) => Written::Encoded(encoded),
                Count::Estimate => Written::Estimate,
            }
        }
        Neutral::Answer(request) => Written::Encoded(Box::new(encode(request, to)?)),
        Neutral::Embeddings(request) => {
            Written::Encoded(Box::new(embeddings::encode(request, to)?))
        }
    })
}

/// A request as it was written for a candidate when it was decided on.
#[derive(Debug)]
pub(crate) enum Ready {
    /// In its dialect.
    Encoded(Box<Encoded>),
    /// As the caller wrote it, but for what the server wants otherwise.
    Fitted(Box<Fitted>),
}

/// How each candidate is asked, where not all are asked as the caller did.
#[derive(Debug, Default)]
pub(crate) struct Ways(Option<Box<Differing>>);

/// What the budget of the caller's key has for each candidate, where it has one.
type AllFunds = SmallVec<[Funds; 8]>;

#[derive(Debug, Default)]
struct Differing {
    unfit: Vec<(CandidateIx, Unfit)>,
    translated: Vec<(CandidateIx, Dialect)>,
    ready: Vec<(CandidateIx, Ready)>,
    funds: AllFunds,
}

impl Ways {
    /// How the candidates of an alias are asked.
    pub(crate) fn of(
        alias: &LiveAlias,
        asked: &Asked,
        headers: &HeaderMap,
        facts: &RequestFacts<'_>,
    ) -> Self {
        let bound = asked.read.bound.filter(|_| !alias.one_target);
        if bound.is_none() && !asked.read.background && alias.passes(asked.endpoint) {
            return Self::default();
        }
        let mut ways = Differing::default();
        for ix in indexes(&alias.compiled) {
            let Some((target, model)) = alias.candidates[ix.get()].place.as_ref() else { continue };
            let live = &target.models[*model];
            if !matches!(
                filter::reason(alias, ix, facts, &Self::default()),
                None | Some(FilterReason::ContextWindow)
            ) {
                continue;
            }
            if let Some(member) = bound {
                ways.unfit.push((ix, Unfit::Field(not_portable(member))));
                continue;
            }
            if asked.read.background {
                ways.unfit.push((ix, Unfit::Field(background())));
                continue;
            }
            let mut fitted = None;
            match way(target, live, asked, headers, alias.mixed, &mut fitted) {
                Err(refusal) => ways.unfit.push((ix, Unfit::Field(refusal))),
                Ok(Way::Pass | Way::Nowhere) => {
                    ways.ready.extend(fitted.map(|fitted| (ix, Ready::Fitted(fitted))));
                }
                Ok(Way::Translate(_)) => match asked.neutral(headers) {
                    Err(error) => ways.unfit.push((ix, Unfit::Unread(error.clone()))),
                    Ok(request) => ways.encode(ix, live, asked.endpoint, request, alias.one_target),
                },
            }
        }
        Self(Some(Box::new(ways)))
    }

    /// The budget of the caller's key has this for each candidate.
    pub(crate) fn fund(&mut self, funds: &[Funds]) {
        self.0.get_or_insert_default().funds = funds.iter().copied().collect();
    }

    /// What the budget of the caller's key has for a candidate.
    pub(crate) fn funds(&self, ix: CandidateIx) -> Funds {
        let funds = self.0.as_ref().and_then(|ways| ways.funds.get(ix.get()));
        funds.copied().unwrap_or_default()
    }

    /// Why a candidate cannot be told what the request says, if so.
    pub(crate) fn unfit(&self, ix: CandidateIx) -> Option<&Unfit> {
        let mut unfit = self.0.as_ref()?.unfit.iter();
        unfit.find(|(unfit, _)| *unfit == ix).map(|(_, why)| why)
    }

    /// The dialect that a candidate is asked in, where that is not the caller's protocol.
    pub(crate) fn translated(&self, ix: CandidateIx) -> Option<Dialect> {
        let mut translated = self.0.as_ref()?.translated.iter();
        translated.find(|(found, _)| *found == ix).map(|(_, dialect)| *dialect)
    }

    /// The request as this candidate gets it, where it is still there.
    pub(crate) fn take(&mut self, ix: CandidateIx) -> Option<Ready> {
        let ready = &mut self.0.as_mut()?.ready;
        let at = ready.iter().position(|(found, _)| *found == ix)?;
        Some(ready.swap_remove(at).1)
    }
}

impl Differing {
    fn encode(
        &mut self,
        ix: CandidateIx,
        model: &LiveModel,
        endpoint: Endpoint,
        request: &Neutral,
        bound: bool,
    ) {
        let dialect = match request {
            Neutral::Answer(request) => asked_in(&model.speaks, request, bound),
            Neutral::Embeddings(_) => model.speaks.dialect,
        };
        match write(endpoint, request, &model.speaks.candidate(dialect, bound)) {
            Err(refusal) => self.unfit.push((ix, Unfit::Field(refusal))),
            Ok(written) => {
                self.translated.push((ix, dialect));
                if let Written::Encoded(encoded) = written
                    && encoded.body.len() <= KEPT
                {
                    self.ready.push((ix, Ready::Encoded(encoded)));
                }
            }
        }
    }
}

/// How a candidate is asked this request. What a server wants otherwise of a body that is passed
/// through is put into `fitted`.
fn way(
    target: &LiveTarget,
    model: &LiveModel,
    asked: &Asked,
    headers: &HeaderMap,
    mixed: bool,
    fitted: &mut Option<Box<Fitted>>,
) -> Result<Way, Refusal> {
    let speaks = &model.speaks;
    let way = speaks.way(asked.endpoint);
    match way {
        Way::Pass if asked.endpoint.passes_only() => return Ok(way),
        Way::Pass => {}
        Way::Translate(_) => return Ok(way),
        Way::Nowhere => return Err(nowhere(asked.endpoint)),
    }
    // A signature that left in a translated answer is read by a translation alone.
    let marked = match asked.endpoint {
        Endpoint::Messages | Endpoint::Responses | Endpoint::CountTokens => asked.marked(),
        Endpoint::ChatCompletions => mixed && asked.marked(),
        Endpoint::Completions
        | Endpoint::Embeddings
        | Endpoint::Images
        | Endpoint::Moderations
        | Endpoint::Rerank
        | Endpoint::Speech => false,
    };
    if marked {
        let responses = asked.endpoint == Endpoint::Responses;
        let dialect = if responses { Dialect::OpenAiResponses } else { speaks.dialect };
        return Ok(Way::Translate(dialect));
    }
    if asked.endpoint == Endpoint::ChatCompletions
        && asked.read.needs.has(Capability::Tools)
        && let candidate = speaks.candidate(Dialect::OpenAiChat, false)
        && chat_may_refuse_tools(&candidate)
        && let Ok(Neutral::Answer(request)) = asked.neutral(headers)
        && chat_refuses_tools(request, &candidate)
    {
        let dialect = dialect_for(request, &candidate, speaks.serves_responses());
        return Ok(Way::Translate(dialect));
    }
    if let Some(quirks) = fitting(asked, speaks) {
        let to = rewriting(target, model, asked.endpoint, false);
        match fit(&asked.text, &asked.read, &to, quirks)? {
            Some(found) => *fitted = Some(Box::new(found)),
            None => return Ok(Way::Translate(Dialect::OpenAiChat)),
        }
    }
    Ok(Way::Pass)
}

/// What a candidate wants changed of a body that is passed through; `bound`: what lives at one
/// provider may be named.
pub(crate) fn rewriting(
    target: &LiveTarget,
    model: &LiveModel,
    endpoint: Endpoint,
    bound: bool,
) -> Rewrite {
    let may = |slot: &AtomicBool| slot.load(Ordering::Relaxed);
    let chat = matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Completions);
    let beside = endpoint == Endpoint::CountTokens;
    Rewrite {
        versioned: match model.rewrite.versioned {
            Versioned::ForModel if beside => Versioned::BesideModel,
            versioned => versioned,
        },
        ask_usage: chat && may(&target.ask_usage),
        unstored: endpoint == Endpoint::Responses && !bound && may(&target.say_unstored),
        encrypted: model.speaks.encrypts() && may(&model.ask_encrypted),
        ..model.rewrite.clone()
    }
}

/// What a server wants of a body that is passed through, where it may be another body than this.
pub(crate) fn fitting(asked: &Asked, speaks: &Speaks) -> Option<&'static Quirks> {
    let quirks = speaks.quirks()?;
    let chat = matches!(asked.endpoint, Endpoint::ChatCompletions | Endpoint::Completions);
    (chat && applies(&asked.text, quirks)).then_some(quirks)
}

/// The dialect in which a request that is translated is asked.
pub(crate) fn asked_in(speaks: &Speaks, request: &Request, bound: bool) -> Dialect {
    match (request.protocol, speaks.dialect) {
        (Protocol::Responses, Dialect::OpenAiChat) if speaks.serves_responses() => {
            Dialect::OpenAiResponses
        }
        (_, Dialect::OpenAiChat) if !speaks.serves_chat() => Dialect::OpenAiResponses,
        (_, Dialect::OpenAiChat) => dialect_for(
            request,
            &speaks.candidate(Dialect::OpenAiChat, bound),
            speaks.serves_responses(),
        ),
        (_, dialect) => dialect,
    }
}

/// Whether a body holds a signature that left in a translated answer.
pub(crate) fn is_marked(text: &[u8]) -> bool {
    memchr::memmem::find(text, MARK).is_some()
}

/// Decodes a request, with what its headers add.
pub(crate) fn neutral(asked: &Asked, headers: &HeaderMap) -> Result<Neutral, DecodeError> {
    let Some(protocol) = protocol(asked.endpoint) else {
        if asked.endpoint.passes_only() {
            let what = asked.endpoint.path();
            let message = format!("/v1/{what} has a form in no other dialect.");
            return Err(DecodeError { param: None, message });
        }
        return embeddings::decode(&asked.text).map(Neutral::Embeddings);
    };
    let mut request = decode(protocol, &asked.text)?;
    if protocol == Protocol::Messages {
        for value in headers.get_all(&BETA) {
            let names = value.to_str().unwrap_or_default().split(',').map(str::trim);
            request.betas.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
        }
    }
    Ok(Neutral::Answer(Box::new(request)))
}

fn not_portable(member: &'static str) -> Refusal {
    let detail = "It names what lives at one provider, and this alias has targets at several.";
    Refusal { field: member.to_owned(), detail: detail.to_owned(), not_portable: true }
}

/// What is asked has no form in the candidate's dialect, whatever the request says.
fn nowhere(endpoint: Endpoint) -> Refusal {
    let detail = format!("Its provider has no /v1/{}.", endpoint.path());
    Refusal { field: "model".to_owned(), detail, not_portable: false }
}

fn background() -> Refusal {
    let detail = "Stored answers are not served.";
    Refusal { field: "background".to_owned(), detail: detail.to_owned(), not_portable: false }
}
