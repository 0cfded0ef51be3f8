//! Affinity and guardrails of an alias, and the options of its strategy, as they are meant.

use api::{
    ModelAliasSpec,
    alias::{Affinity, AffinityBy, Guardrails},
};
use routing::{
    StrategyKind, StrategySpec,
    snapshot::{CompiledAffinity, CompiledGuardrails},
};

use super::{auth, price, problems::Problems};

/// What keeps a session's requests together.
pub(super) fn affinity(spec: &ModelAliasSpec, problems: &mut Problems) -> CompiledAffinity {
    const AT: &str = "spec.affinity.header";
    let Some(Affinity { by, header }) = &spec.affinity else { return CompiledAffinity::None };
    if *by != AffinityBy::Header {
        problems.check(header.is_none(), AT, "goes with `by: Header` alone");
    }
    match by {
        AffinityBy::None => CompiledAffinity::None,
        AffinityBy::PromptPrefix => CompiledAffinity::PromptPrefix,
        AffinityBy::AccessKey => CompiledAffinity::AccessKey,
        AffinityBy::Header => {
            let name = header.as_deref().unwrap_or_default().to_ascii_lowercase();
            problems.check(
                auth::is_token(&name) && name.len() <= 128,
                AT,
                "is missing or no header name: write one such as x-session-id",
            );
            problems.check(
                !auth::is_reserved(&name),
                AT,
                "is a header of credentials or of the connection: name one that tells sessions \
                 apart",
            );
            CompiledAffinity::Header(name)
        }
    }
}

/// What every candidate must be.
pub(super) fn guardrails(spec: &ModelAliasSpec, problems: &mut Problems) -> CompiledGuardrails {
    let Some(Guardrails { max_price, require_capabilities }) = &spec.guardrails else {
        return CompiledGuardrails::default();
    };
    let mut out = CompiledGuardrails::default();
    if let Some(max) = max_price {
        let at = "spec.guardrails.maxPrice";
        problems.check(
            max.input.is_some() || max.output.is_some(),
            at,
            "is empty: set input, output or both, or leave it out",
        );
        out.max_price_input =
            price::ceiling(max.input.as_ref(), "spec.guardrails.maxPrice.input", problems);
        out.max_price_output =
            price::ceiling(max.output.as_ref(), "spec.guardrails.maxPrice.output", problems);
    }
    if let Some(required) = require_capabilities {
        problems.check(
            !required.is_empty(),
            "spec.guardrails.requireCapabilities",
            "is empty: leave it out where nothing is required",
        );
        out.require_capabilities = required.iter().copied().collect();
    }
    out
}

/// That the options of the strategy at this path are its own and within their bounds, and that
/// only an alias as a whole chooses by category.
pub(super) fn strategy(spec: &StrategySpec, at: &str, problems: &mut Problems) {
    for (member, message) in api::strategy::misfits(spec) {
        problems.add(format_args!("{at}.strategy.{member}"), message);
    }
    problems.check(
        at == "spec" || spec.kind != StrategyKind::Category,
        format_args!("{at}.strategy"),
        "is Category, which a category's own lineup cannot have: set another",
    );
}
