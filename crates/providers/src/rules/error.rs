//! Errors: by which signs of a provider's error its class is told, and what a class is to a caller.
//! The signs stand where they are looked up; here they are one list, for the guide.

use http::StatusCode;
use routing::{OutcomeClass, outcome::Fault};

use crate::{
    context,
    dialect::{Dialect, errors},
    failure::Failure,
    openai,
    protocol::{Caller, Protocol, encode_error},
    tree::Json,
};

/// Where a sign is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// The error's code or type, whole, in any case.
    Code,
    /// The error's message, a part of it, in any case.
    Message,
}

/// A sign of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorSign {
    /// Whose it is: a dialect, or every one.
    pub dialect: Option<Dialect>,
    /// The statuses under which it counts; none: any.
    pub statuses: &'static [u16],
    /// Where it stands.
    pub place: Where,
    /// The code, or the words in their order.
    pub words: &'static [&'static str],
    /// What it means.
    pub class: Fault,
}

/// Every sign, in the order in which they are looked at within a dialect: codes, the words for an
/// exceeded context window, which all dialects share, other words. Bedrock's words come before its
/// codes. The status decides where no sign is found.
pub fn signs() -> Vec<ErrorSign> {
    let mut all = Vec::new();
    let shared = context::CODES.iter().map(|code| (Where::Code, std::slice::from_ref(code)));
    let shared = shared.chain(context::PATTERNS.iter().map(|words| (Where::Message, *words)));
    all.extend(shared.map(|(place, words)| ErrorSign {
        dialect: None,
        statuses: &[],
        place,
        words,
        class: Fault::ContextLength,
    }));
    let openai = openai::CODES.iter().map(|(code, class)| (&[][..], code, *class));
    add(&mut all, Dialect::OpenAiChat, Where::Code, openai);
    let words = openai::WORDS.iter().map(|(statuses, words, class)| (*statuses, words, *class));
    add(&mut all, Dialect::OpenAiChat, Where::Message, words);
    let tables: [(Dialect, &'static [errors::SignOf], &'static [errors::SignOf]); 3] = [
        (Dialect::Anthropic, &errors::ANTHROPIC_CODES, &errors::ANTHROPIC_WORDS),
        (Dialect::Gemini, &errors::GEMINI_CODES, &errors::GEMINI_WORDS),
        (Dialect::Bedrock, &errors::BEDROCK_CODES, &errors::BEDROCK_WORDS),
    ];
    for (dialect, codes, words) in tables {
        add(&mut all, dialect, Where::Code, codes.iter().map(|(s, c, f)| (*s, c, *f)));
        add(&mut all, dialect, Where::Message, words.iter().map(|(s, w, f)| (*s, w, *f)));
    }
    all
}

fn add(
    all: &mut Vec<ErrorSign>,
    dialect: Dialect,
    place: Where,
    signs: impl Iterator<Item = (&'static [u16], &'static &'static str, Fault)>,
) {
    all.extend(signs.map(|(statuses, words, class)| ErrorSign {
        dialect: Some(dialect),
        statuses,
        place,
        words: std::slice::from_ref(words),
        class,
    }));
}

/// What a caller of a protocol is told of a class, when nothing else is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The status; `None`: as the provider answered, or 400 where it said 200.
    pub status: Option<StatusCode>,
    /// `error.type`.
    pub kind: String,
    /// `error.code`; Anthropic has none.
    pub code: Option<String>,
}

/// What a caller of this protocol is told of this class.
pub fn told(class: OutcomeClass, protocol: Protocol) -> Told {
    // Two statuses of a provider: where they are passed on, they make a difference.
    let under = |status: StatusCode| {
        let failure = Failure { status: Some(status), ..Failure::new(class, "m") };
        encode_error(&failure, &caller(protocol), &[])
    };
    let (status, body) = under(StatusCode::BAD_REQUEST);
    let (other, _) = under(StatusCode::UNPROCESSABLE_ENTITY);
    let error = Json::parse(&body).unwrap_or_default().get("error").clone();
    Told {
        status: Some(status).filter(|status| *status == other),
        kind: error.get("type").text().to_owned(),
        code: error.get("code").str().map(str::to_owned),
    }
}

/// A caller of whom nothing is known.
pub(super) fn caller(protocol: Protocol) -> Caller {
    Caller {
        protocol,
        now: 0,
        seed: "1".to_owned(),
        model: "model".to_owned(),
        stream_usage: true,
        old_functions: false,
        echo: crate::protocol::responses::echo(b"{}"),
        tag: String::new(),
        request_id: None,
        estimate: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_has_signs_and_each_is_lower_case() {
        let signs = signs();
        for dialect in Dialect::ALL.into_iter().filter(|d| *d != Dialect::OpenAiResponses) {
            for place in [Where::Code, Where::Message] {
                assert!(signs.iter().any(|s| s.dialect == Some(dialect) && s.place == place));
            }
        }
        for sign in signs {
            for word in sign.words {
                // What is compared with it is lowered first.
                assert_eq!(*word, word.to_lowercase());
            }
        }
    }

    #[test]
    fn what_callers_are_told_is_what_is_written() {
        let full = told(OutcomeClass::Fault(Fault::ContextLength), Protocol::Chat);
        assert_eq!(full.status, Some(StatusCode::BAD_REQUEST));
        assert_eq!(full.code.as_deref(), Some("context_length_exceeded"));
        let filtered = told(OutcomeClass::Fault(Fault::Moderation), Protocol::Messages);
        assert_eq!((filtered.status, filtered.code), (None, None));
        let busy = told(OutcomeClass::Fault(Fault::RateLimited), Protocol::Responses);
        assert_eq!(busy.status.map(|s| s.as_u16()), Some(429));
    }
}
