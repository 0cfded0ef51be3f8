//! From objects to what they mean: references looked up, defaults applied, rules checked. Never an
//! early error: whatever an object holds, it resolves to something, with what is wrong beside it,
//! and no other object suffers.

mod alias;
mod auth;
mod candidate;
mod category;
mod direct;
mod endpoint;
mod export;
mod guard;
mod host;
mod key;
mod key_secret;
mod learnt;
mod lineup;
mod names;
mod nesting;
mod options;
mod price;
mod problems;
mod quota;
mod spending;
mod target;

use std::collections::BTreeMap;

use api::Reason;
use routing::{
    ObjectId, StrategyKind,
    category::{CompiledCategories, CompiledDetector},
    snapshot::{
        CompiledAffinity, CompiledFallback, CompiledGuardrails, CompiledTimeouts, Exported,
        Visibility,
    },
};

use self::{
    alias::{AliasSpec, What},
    candidate::Cx,
    category::CategoriesSpec,
    names::{Claim, Names},
    nesting::{Edges, Nesting},
};
pub(crate) use self::{
    candidate::Problem,
    category::unreliable,
    key::ResolvedKey,
    lineup::{EntryState, Lineup, Lineups},
    target::ResolvedTarget,
};
use crate::{text, world::World};

/// Everything, resolved.
pub(crate) struct Resolved<'a> {
    pub(crate) targets: BTreeMap<&'a ObjectId, ResolvedTarget<'a>>,
    pub(crate) aliases: BTreeMap<&'a ObjectId, ResolvedAlias<'a>>,
    pub(crate) keys: BTreeMap<&'a ObjectId, ResolvedKey>,
}

/// An alias and everything that is known of it.
#[derive(Debug)]
pub(crate) struct ResolvedAlias<'a> {
    /// What callers write, where that is a name at all.
    pub(crate) model: Option<&'a str>,
    /// Who may use it.
    pub(crate) export: Exported,
    /// Why it is exported to fewer than was asked for.
    pub(crate) export_fault: Option<(Reason, String)>,
    /// What stands beside the lineup; `None` where the spec makes no sense.
    pub(crate) options: Option<Options>,
    /// Its entries, resolved, or why it is not accepted.
    pub(crate) lineups: Result<Lineups, Refusal>,
    /// The older exported alias that serves in its place in some namespaces.
    pub(crate) shadowed_by: Option<&'a ObjectId>,
}

/// Why an alias is not accepted.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

/// What stands beside the lineup.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) visibility: Visibility,
    pub(crate) fallback: CompiledFallback,
    pub(crate) timeouts: CompiledTimeouts,
    pub(crate) affinity: CompiledAffinity,
    pub(crate) guardrails: CompiledGuardrails,
    pub(crate) choice: Option<Choice>,
}

/// How an alias chooses among the lineups of categories.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// The detector, without a judge that may not be asked.
    pub(crate) detector: CompiledDetector,
    /// By what each category is known.
    pub(crate) known: CompiledCategories,
    /// Why the judge may not be asked.
    pub(crate) judge: Option<Problem>,
}

/// Resolves everything.
pub(crate) fn resolve(world: &World) -> Resolved<'_> {
    let targets: BTreeMap<&ObjectId, ResolvedTarget<'_>> = world
        .targets
        .iter()
        .map(|(id, stored)| (id, ResolvedTarget::of(world, id, stored)))
        .collect();
    let aliases = aliases(world, &targets);
    let keys = key::keys(world, &targets);
    Resolved { targets, aliases, keys }
}

/// The categories of an alias alone, whatever its targets resolve to: how they are told, and by what
/// each is known; or what is wrong with the alias. `None`: it does not choose by category.
pub fn categories(
    id: &ObjectId,
    spec: &api::ModelAliasSpec,
) -> Option<Result<(CompiledDetector, CompiledCategories), String>> {
    match alias::check(id, spec) {
        Ok(checked) => checked.categories.map(|spec| Ok((spec.detector, spec.known))),
        Err(message) => spec.categories.is_some().then_some(Err(message)),
    }
}

fn aliases<'a>(
    world: &'a World,
    targets: &BTreeMap<&'a ObjectId, ResolvedTarget<'a>>,
) -> BTreeMap<&'a ObjectId, ResolvedAlias<'a>> {
    let mut specs: BTreeMap<&ObjectId, AliasSpec<'_>> = BTreeMap::new();
    let mut invalid: BTreeMap<&ObjectId, String> = BTreeMap::new();
    let mut exports = BTreeMap::new();
    for (id, stored) in &world.aliases {
        let spec = &stored.object.spec;
        exports.insert(id, export::resolve(world, id, spec.export.as_ref()));
        match alias::check(id, spec) {
            Ok(checked) => {
                specs.insert(id, checked);
            }
            Err(message) => {
                invalid.insert(id, message);
            }
        }
    }
    let names = Names::of(world.aliases.iter().filter_map(|(id, stored)| {
        let spec = &stored.object.spec;
        Some(Claim {
            id,
            model: alias::effective_model(id, spec)?,
            created: stored.created,
            export: &exports.get(id)?.0,
            public: spec.visibility.unwrap_or_default() == Visibility::Public,
        })
    }));
    // What an alias may not use is left out of it, and so is in no circle: nobody else's alias
    // can draw one of ours into a circle that we did not close.
    let admits = |from: &ObjectId, to: &ObjectId| {
        exports.get(to).is_some_and(|(export, _)| export.admits(&to.namespace, &from.namespace))
    };
    let edges: Edges<'_> = specs
        .iter()
        .map(|(id, spec)| (*id, nested(world, spec).filter(|to| admits(id, to)).collect()))
        .collect();
    let nesting = Nesting::of(&edges);

    // Those that no lineup helps come first, so that whoever nests them finds them refused.
    let mut cx = Cx::new(world, targets);
    let mut exports_left = exports.clone();
    let mut add = |cx: &mut Cx<'_, 'a>, id: &'a ObjectId, lineups: Result<Lineups, Refusal>| {
        let (export, export_fault) = exports_left.remove(id).unwrap_or_default();
        let model = world.aliases.get(id).and_then(|s| alias::effective_model(id, &s.object.spec));
        let options = specs.get(id).map(|spec| Options {
            visibility: spec.visibility,
            fallback: spec.fallback.clone(),
            timeouts: spec.timeouts,
            affinity: spec.affinity.clone(),
            guardrails: spec.guardrails.clone(),
            choice: spec.categories.as_ref().map(|spec| choice(world, id, spec, &admits)),
        });
        let shadowed_by = names.shadowed.get(id).copied();
        let alias = ResolvedAlias { model, export, export_fault, options, lineups, shadowed_by };
        cx.aliases.insert(id, alias);
    };
    for id in world.aliases.keys() {
        if let Some(refusal) = refusal(id, &invalid, &names, &nesting) {
            add(&mut cx, id, Err(refusal));
        }
    }
    for id in nesting.order.iter().copied() {
        if let Some(spec) = specs.get(id)
            && !cx.aliases.contains_key(id)
        {
            let lineups = lineups(&cx, id, spec);
            add(&mut cx, id, lineups);
        }
    }
    learnt::forget();
    cx.aliases
}

/// All lineups of an alias.
fn lineups(cx: &Cx<'_, '_>, id: &ObjectId, spec: &AliasSpec<'_>) -> Result<Lineups, Refusal> {
    let main = Lineup::of(cx, id, &spec.lineup, None)?;
    let Some(categories) = &spec.categories else { return Ok(Lineups { main, overrides: None }) };
    let overrides = categories.overrides.iter().map(|one| {
        let behind = one.fallback_to_default.then_some(&main);
        Ok((one.name.to_owned(), Lineup::of(cx, id, &one.lineup, behind)?))
    });
    let overrides = Some(overrides.collect::<Result<_, Refusal>>()?);
    Ok(Lineups { main, overrides })
}

/// How an alias chooses, with its judge if that may be asked: another alias, which is there, may be
/// used, and does not choose by category itself, for what it would ask could come back.
fn choice(
    world: &World,
    id: &ObjectId,
    spec: &CategoriesSpec<'_>,
    admits: &impl Fn(&ObjectId, &ObjectId) -> bool,
) -> Choice {
    let mut detector = spec.detector.clone();
    let known = spec.known.clone();
    let Some(asked) = detector.judge.as_ref().map(|judge| judge.alias.clone()) else {
        return Choice { detector, known, judge: None };
    };
    let stored = world.aliases.get(&asked);
    let name = text::quote_id(&asked);
    let wrong = if stored.is_none() {
        let message = format!("there is no ModelAlias {name}; create it, or correct the name");
        Some((Reason::TargetNotFound, message))
    } else if !admits(id, &asked) {
        let message = format!(
            "ModelAlias {name} is not exported to namespace {}; its spec.export must admit it",
            id.namespace
        );
        Some((Reason::RefNotPermitted, message))
    } else if stored.is_some_and(|alias| alias.object.spec.strategy.kind == StrategyKind::Category)
    {
        let message = format!(
            "ModelAlias {name} chooses by category itself, so it cannot tell a category; name one \
             with another strategy"
        );
        Some((Reason::AliasCycle, message))
    } else {
        None
    };
    let judge = wrong.map(|(reason, message)| {
        detector.judge = None;
        Problem {
            reason,
            message: format!(
                "{message}; until then every prompt that no keyword decides is default"
            ),
            path: "spec.categories.detector.alias".to_owned(),
            keeps: false,
            keeps_target: false,
            permitted: false,
            class: reason.class(),
        }
    });
    Choice { detector, known, judge }
}

/// The aliases that this one nests and that are there.
fn nested<'a>(world: &'a World, spec: &AliasSpec<'_>) -> impl Iterator<Item = &'a ObjectId> {
    let entries = spec.lineups().flat_map(|lineup| &lineup.entries);
    entries.filter_map(|entry| match &entry.what {
        What::Alias(id) => world.aliases.get_key_value(id).map(|(id, _)| id),
        What::Model { .. } => None,
    })
}

/// Why the alias is not accepted, whatever its entries resolve to. The name comes first: routers
/// must not keep a form of an alias that lost it.
fn refusal(
    id: &ObjectId,
    invalid: &BTreeMap<&ObjectId, String>,
    names: &Names<'_>,
    nesting: &Nesting<'_>,
) -> Option<Refusal> {
    if let Some(owner) = names.conflicts.get(id) {
        let message = format!(
            "spec.model is taken: ModelAlias {owner}, which is older, has the same name in this \
             namespace; choose another name, or delete one of them"
        );
        return Some(Refusal { reason: Reason::NameConflict, message });
    }
    if let Some(message) = invalid.get(id) {
        return Some(Refusal { reason: Reason::InvalidSpec, message: message.clone() });
    }
    let cycle = nesting.cycles.get(id)?;
    let shown: Vec<String> = cycle.iter().take(5).map(ToString::to_string).collect();
    let more = match cycle.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = if cycle.len() == 1 {
        "spec.targets names the alias itself; remove that entry".to_owned()
    } else {
        format!(
            "spec.targets: these aliases nest each other: {}{more}; break the circle",
            shown.join(", ")
        )
    };
    Some(Refusal { reason: Reason::AliasCycle, message })
}
