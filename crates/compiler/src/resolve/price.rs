//! Prices as they are meant.

use routing::{
    Money, Price,
    price::{DecimalError, LongContext, PerMillion},
};

use super::problems::{At, Problems};
use crate::text;

/// The price of a model; what makes no sense is a problem, and the spec is refused for it.
pub(super) fn price(written: &api::price::Price, path: &str, problems: &mut Problems) -> Price {
    let at = |field| At(path, field);
    let tokens = |text: &str, field, problems: &mut Problems| {
        read(text, PerMillion::parse, at(field), problems).unwrap_or_default()
    };
    let maybe = |text: Option<&String>, field, problems: &mut Problems| {
        read(text?, PerMillion::parse, at(field), problems)
    };
    let amount = |text: Option<&String>, field, problems: &mut Problems| {
        // As fine as every other price, though money may be finer.
        let checked = |text: &str| PerMillion::parse(text).and_then(|_| Money::parse(text));
        read(text?, checked, at(field), problems)
    };
    Price {
        input: tokens(&written.input, "input", problems),
        cached_input: maybe(written.cached_input.as_ref(), "cachedInput", problems),
        cache_write: maybe(written.cache_write.as_ref(), "cacheWrite", problems),
        output: tokens(&written.output, "output", problems),
        audio_input: maybe(written.audio_input.as_ref(), "audioInput", problems),
        audio_output: maybe(written.audio_output.as_ref(), "audioOutput", problems),
        per_image: amount(written.per_image.as_ref(), "perImage", problems),
        per_request: amount(written.per_request.as_ref(), "perRequest", problems),
        above: written.above.as_ref().map(|long| {
            let input_tokens = u64::try_from(long.input_tokens).ok().filter(|tokens| *tokens > 0);
            problems.check(
                input_tokens.is_some(),
                at("above.inputTokens"),
                format_args!("is {}, and must be above 0", long.input_tokens),
            );
            LongContext {
                input_tokens: input_tokens.unwrap_or(u64::MAX),
                input: tokens(&long.input, "above.input", problems),
                cached_input: maybe(long.cached_input.as_ref(), "above.cachedInput", problems),
                cache_write: maybe(long.cache_write.as_ref(), "above.cacheWrite", problems),
                output: maybe(long.output.as_ref(), "above.output", problems),
            }
        }),
    }
}

/// A ceiling of guardrails.
pub(super) fn ceiling(
    written: Option<&String>,
    path: &'static str,
    problems: &mut Problems,
) -> Option<PerMillion> {
    read(written?, PerMillion::parse, path, problems)
}

fn read<T>(
    written: &str,
    parse: impl Fn(&str) -> Result<T, DecimalError>,
    path: impl std::fmt::Display,
    problems: &mut Problems,
) -> Option<T> {
    match parse(written) {
        Ok(value) => Some(value),
        Err(error) => {
            problems.add(path, format_args!("is {}, which {error}", text::quote(written)));
            None
        }
    }
}
