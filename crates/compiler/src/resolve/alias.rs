//! A ModelAlias as it is meant: rules checked, defaults applied, references only named.

use std::{collections::BTreeSet, fmt::Display};

use api::{
    ModelAliasSpec,
    alias::{Fallback, Timeouts},
};
use routing::{
    ObjectId, StrategyKind, StrategySpec,
    snapshot::{
        CompiledAffinity, CompiledFallback, CompiledGuardrails, CompiledTimeouts, Visibility,
    },
};

use super::{
    category::{self, CategoriesSpec},
    guard,
    problems::{At, Problems},
};

const MAX_ENTRIES: usize = 32;
const MAX_PROVIDERS: usize = 8;
const MAX_NAME: usize = 253;

/// A spec that makes sense.
#[derive(Debug)]
pub(crate) struct AliasSpec<'a> {
    pub(crate) visibility: Visibility,
    /// Its lineup, or Default's.
    pub(crate) lineup: LineupSpec<'a>,
    /// The lineups of categories, under Category.
    pub(crate) categories: Option<CategoriesSpec<'a>>,
    pub(crate) fallback: CompiledFallback,
    pub(crate) timeouts: CompiledTimeouts,
    pub(crate) affinity: CompiledAffinity,
    pub(crate) guardrails: CompiledGuardrails,
}

/// A lineup.
#[derive(Debug)]
pub(crate) struct LineupSpec<'a> {
    /// The path of what holds it, such as `spec`.
    pub(crate) at: String,
    pub(crate) strategy: &'a StrategySpec,
    pub(crate) entries: Vec<Entry<'a>>,
}

impl<'a> AliasSpec<'a> {
    /// Every lineup: its own or Default's, then those of categories.
    pub(crate) fn lineups(&self) -> impl Iterator<Item = &LineupSpec<'a>> {
        let overrides = self.categories.iter().flat_map(|categories| &categories.overrides);
        std::iter::once(&self.lineup).chain(overrides.map(|one| &one.lineup))
    }
}

/// An entry.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    pub(crate) weight: u32,
    pub(crate) tier: i64,
    pub(crate) what: What<'a>,
    /// Where it stands, such as `spec.targets[0]`.
    pub(crate) path: String,
}

/// What an entry stands for.
#[derive(Debug)]
pub(crate) enum What<'a> {
    /// A model of these targets, or, unnamed, of all that offer it.
    Model { model: &'a str, providers: Option<Vec<ObjectId>> },
    /// Another alias.
    Alias(ObjectId),
}

/// What callers write, if it is a name at all.
pub(crate) fn effective_model<'a>(id: &'a ObjectId, spec: &'a ModelAliasSpec) -> Option<&'a str> {
    let model = spec.model.as_deref().unwrap_or(&id.name);
    let mut problems = Problems::default();
    problems.name(model, MAX_NAME, "spec.model");
    (problems.message().is_none() && !model.contains('/')).then_some(model)
}

/// Checks the spec; the error is the message of `InvalidSpec`.
pub(crate) fn check<'a>(
    id: &'a ObjectId,
    spec: &'a ModelAliasSpec,
) -> Result<AliasSpec<'a>, String> {
    let mut problems = Problems::default();
    let model = spec.model.as_deref().unwrap_or(&id.name);
    problems.name(model, MAX_NAME, "spec.model");
    problems.check(!model.contains('/'), "spec.model", "must not hold a slash");
    super::export::check(spec.export.as_ref(), &mut problems);
    let by_category = spec.strategy.kind == StrategyKind::Category;
    let (lineup, categories) = match &spec.categories {
        Some(categories) if by_category => {
            guard::strategy(&spec.strategy, "spec", &mut problems);
            let (default, categories) = category::check(id, spec, categories, &mut problems);
            (default, Some(categories))
        }
        categories => {
            problems.check(
                !by_category,
                "spec.categories",
                "is missing: under Category it has the lineup of default, and those of categories",
            );
            problems.check(
                categories.is_none(),
                "spec.categories",
                "means nothing but under the strategy Category: set it, or remove them",
            );
            let targets = spec.targets.as_deref().unwrap_or_default();
            (lineup(id, "spec".to_owned(), &spec.strategy, targets, &mut problems), None)
        }
    };
    let fallback = fallback(spec.fallback.as_ref(), &mut problems);
    let timeouts = timeouts(spec.timeouts.as_ref(), &mut problems);
    let affinity = guard::affinity(spec, &mut problems);
    let guardrails = guard::guardrails(spec, &mut problems);
    match problems.message() {
        Some(message) => Err(message),
        None => Ok(AliasSpec {
            visibility: spec.visibility.unwrap_or_default(),
            lineup,
            categories,
            fallback,
            timeouts,
            affinity,
            guardrails,
        }),
    }
}

/// The lineup at a path, such as `spec`.
pub(super) fn lineup<'a>(
    id: &ObjectId,
    at: String,
    strategy: &'a StrategySpec,
    targets: &'a [api::alias::Entry],
    problems: &mut Problems,
) -> LineupSpec<'a> {
    guard::strategy(strategy, &at, problems);
    let list = format!("{at}.targets");
    let count = targets.len();
    problems.check(count > 0, &list, "is empty: name at least one model or alias");
    problems.check(
        count <= MAX_ENTRIES,
        &list,
        format_args!("has {count} entries, and at most {MAX_ENTRIES} are supported"),
    );
    let mut names = BTreeSet::new();
    let mut entries = Vec::with_capacity(count.min(MAX_ENTRIES));
    for (i, entry) in targets.iter().take(MAX_ENTRIES).enumerate() {
        let path = format!("{list}[{i}]");
        let at = |field| At(&path, field);
        problems.name(&entry.name, 63, at("name"));
        problems.check(
            names.insert(entry.name.as_str()),
            at("name"),
            "is the name of an earlier entry as well",
        );
        let weight = problems.number(entry.weight, (0, 1_000_000), 1, at("weight"));
        let tier = problems.number(entry.tier, (0, 31), 0, at("tier"));
        problems.check(
            entry.tier.is_none() || strategy.kind != StrategyKind::Priority,
            at("tier"),
            "has no meaning under Priority, where the list is the order; remove it",
        );
        if let Some(what) = what(id, entry, &path, problems) {
            entries.push(Entry { name: &entry.name, weight, tier: tier.into(), what, path });
        }
    }
    problems.check(
        entries.is_empty() || entries.iter().any(|e| e.weight > 0),
        &list,
        "have the weight 0 all of them: give one a weight",
    );
    LineupSpec { at, strategy, entries }
}

fn what<'a>(
    id: &ObjectId,
    entry: &'a api::alias::Entry,
    path: &str,
    problems: &mut Problems,
) -> Option<What<'a>> {
    match (&entry.model, &entry.alias) {
        (Some(model), None) => {
            problems.name(model, MAX_NAME, At(path, "model"));
            problems.check(
                entry.namespace.is_none(),
                At(path, "namespace"),
                "goes with `alias` alone; a provider has a namespace of its own",
            );
            let providers = entry.providers.as_ref().map(|list| {
                let at = At(path, "providers");
                problems.check(!list.is_empty(), at, "is empty: leave it out for all that offer");
                problems.check(
                    list.len() <= MAX_PROVIDERS,
                    at,
                    format_args!("has more than {MAX_PROVIDERS} items"),
                );
                let list = list.iter().take(MAX_PROVIDERS).enumerate();
                list.map(|(i, provider)| {
                    let at = format_args!("{path}.providers[{i}]");
                    let namespace = provider.namespace.as_deref().unwrap_or(&id.namespace);
                    reference(namespace, &provider.name, at, problems)
                })
                .collect()
            });
            Some(What::Model { model, providers })
        }
        (None, Some(alias)) => {
            problems.check(
                entry.providers.is_none(),
                At(path, "providers"),
                "goes with `model` alone",
            );
            let namespace = entry.namespace.as_deref().unwrap_or(&id.namespace);
            Some(What::Alias(reference(namespace, alias, path, problems)))
        }
        (Some(_), Some(_)) => {
            problems.add(path, "has both `model` and `alias`: keep one of them");
            None
        }
        (None, None) => {
            problems.add(path, "has neither `model` nor `alias`: name one of them");
            None
        }
    }
}

/// A reference, whose parts are names that an object can have.
pub(super) fn reference(
    namespace: &str,
    name: &str,
    path: impl Display + Copy,
    problems: &mut Problems,
) -> ObjectId {
    for part in [namespace, name] {
        problems.name(part, MAX_NAME, path);
        problems.check(!part.contains('/'), path, "holds a slash: give name and namespace apart");
    }
    ObjectId::new(namespace, name)
}

fn fallback(spec: Option<&Fallback>, problems: &mut Problems) -> CompiledFallback {
    let spec = spec.cloned().unwrap_or_default();
    let default = CompiledFallback::default();
    let path = "spec.fallback.maxAttempts";
    CompiledFallback {
        max_attempts: problems.number(spec.max_attempts, (1, 64), default.max_attempts, path),
        retries: spec
            .retries
            .map(|retries| problems.number(Some(retries), (0, 3), 0, "spec.fallback.retries")),
        outcomes: match spec.outcomes {
            Some(named) => named.into_iter().collect(),
            None => default.outcomes,
        },
    }
}

fn timeouts(spec: Option<&Timeouts>, problems: &mut Problems) -> CompiledTimeouts {
    let spec = spec.cloned().unwrap_or_default();
    let request = problems.duration(spec.request.as_deref(), "spec.timeouts.request");
    let attempt = problems.duration(spec.attempt.as_deref(), "spec.timeouts.attempt");
    let first = problems.duration(spec.first_token.as_deref(), "spec.timeouts.firstToken");
    let idle = problems.duration(spec.stream_idle.as_deref(), "spec.timeouts.streamIdle");
    let default = CompiledTimeouts::default();
    let request_ms = request.unwrap_or(default.request_ms);
    problems.check(
        first.is_none_or(|first| first <= request_ms),
        "spec.timeouts.firstToken",
        "is longer than `request`, and so would never be reached",
    );
    problems.check(
        attempt.is_none_or(|attempt| attempt <= request_ms),
        "spec.timeouts.attempt",
        "is longer than `request`, and so would never be reached",
    );
    CompiledTimeouts {
        request_ms,
        first_token_ms: first.unwrap_or(default.first_token_ms).min(request_ms),
        attempt_ms: attempt,
        stream_idle_ms: idle.unwrap_or(default.stream_idle_ms),
    }
}
