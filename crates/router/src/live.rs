//! The live snapshot: what requests are served from. Assembled off the traffic path from what the
//! controller sent, and swapped in whole; ejections, limits and statistics are carried over by name,
//! so that an edit ends none of them. A request loads it once and works with indexes from there on.

pub(crate) mod choice;
pub(crate) mod health;
pub(crate) mod speaks;
pub(crate) mod stats;
pub(crate) mod target;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use foldhash::fast::RandomState;
use http::HeaderValue;
use providers::dialect::Dialect;
use routing::{
    Digest, Endpoint, Nanos, ObjectId, StrategyKind,
    ejection::Availability,
    material::Material,
    snapshot::{
        CompiledAlias, CompiledLineup, CompiledModel, Members, Resource, RoutingSnapshot,
        Visibility,
    },
};
use telemetry::{AliasMetrics, AttemptMetrics, Metrics};

use self::{
    choice::{Beside, LiveCategory, LiveChoice},
    stats::AliasCell,
    target::{LiveModel, LiveTarget, header_value},
};
use crate::{
    access::{Caller, Keys},
    limits::SharedLimits,
    upstream::{EndpointPool, Pools},
};

type Map<K, V> = HashMap<K, V, RandomState>;

/// Looks up a target's credential.
pub type CredentialOf<'a> = dyn Fn(&ObjectId) -> Option<&'a Material> + 'a;

/// Everything that requests are served from.
#[derive(Default)]
pub struct LiveSnapshot {
    /// The digest of all of it.
    pub(crate) revision: Digest,
    aliases: Map<ObjectId, Arc<LiveAlias>>,
    /// Those that callers may name, by that name, the oldest first.
    by_model: Map<Box<str>, Vec<Arc<LiveAlias>>>,
    held: Map<ObjectId, Held>,
    /// What stands for each model of the targets that some key may name without an alias.
    direct: Map<ObjectId, Vec<Arc<LiveAlias>>>,
    targets: Map<ObjectId, Arc<LiveTarget>>,
    /// Callers' keys.
    pub keys: Arc<Keys>,
    /// The addresses of the pools that are in use, to tell them apart.
    pools: HashSet<usize, RandomState>,
}

/// An alias that did not compile and has no last good form.
#[derive(Debug)]
pub(crate) struct Held {
    /// The condition's reason.
    pub(crate) reason: String,
    /// What is wrong, and how to mend it.
    pub(crate) message: String,
}

/// What a caller's model name stands for.
pub(crate) enum Found<'a> {
    /// An alias.
    Alias(&'a Arc<LiveAlias>),
    /// An alias that cannot be served.
    Held(&'a ObjectId, &'a Held),
    /// Nothing that this caller may see.
    Nothing,
}

/// An alias as requests use it.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, of no order")]
pub(crate) struct LiveAlias {
    /// As it was compiled.
    pub(crate) compiled: CompiledAlias,
    /// `namespace/name`, as a header.
    pub(crate) header: HeaderValue,
    /// The digest of the alias and all that it uses, as a header.
    pub(crate) revision: HeaderValue,
    /// Its candidates, by index.
    pub(crate) candidates: Vec<LiveCandidate>,
    /// What is counted of it.
    pub(crate) metrics: Arc<AliasMetrics>,
    /// What is remembered of it.
    pub(crate) stats: Arc<AliasCell>,
    /// Whether a strategy of it goes by live numbers: the others pay nothing for them.
    pub(crate) by_numbers: bool,
    /// Whether one of them goes by the tokens that were used.
    pub(crate) by_usage: bool,
    /// Whether all candidates are at one target, so that what lives there may be named.
    pub(crate) one_target: bool,
    /// Whether some candidate speaks another dialect than OpenAI's, so that answers to chat may
    /// have been translated.
    pub(crate) mixed: bool,
    /// Whether every candidate takes requests as they came, whatever they say, by
    /// [`Endpoint::ALL`].
    passes: Vec<bool>,
    /// The category whose lineup this is, of an alias that chooses by it.
    pub(crate) category: Option<LiveCategory>,
    /// How the category is told, and the lineups of all others: where this is Default's.
    pub(crate) choice: Option<Box<LiveChoice>>,
    digest: Digest,
}

/// Where a candidate is: a target, and the index of a model there.
type Place = (Arc<LiveTarget>, usize);

/// A candidate as requests use it.
pub(crate) struct LiveCandidate {
    /// Its target and the index of its model there; `None`: the snapshot has no such target or
    /// model.
    pub(crate) place: Option<Place>,
    /// What is counted of the alias's attempts at it.
    pub(crate) metrics: Arc<AttemptMetrics>,
}

impl LiveCandidate {
    /// What was compiled of its model.
    pub(crate) fn model(&self) -> Option<(&LiveModel, &CompiledModel)> {
        let (target, ix) = self.place.as_ref()?;
        Some((&target.models[*ix], &target.compiled.models[*ix]))
    }

    /// The limits of its target, if that states any.
    pub(crate) fn limits(&self) -> Option<&SharedLimits> {
        self.place.as_ref()?.0.limits.as_ref()
    }

    /// Whether it may be asked.
    pub(crate) fn availability(&self, now: Nanos) -> Availability {
        self.place.as_ref().map_or(Availability::Available, |(t, ix)| t.availability(*ix, now))
    }
}

impl LiveSnapshot {
    /// Assembles what the controller sent. What `previous` knows of the health of targets lives on;
    /// what is the same as there is not built again.
    pub fn assemble(
        previous: &Self,
        snapshot: &RoutingSnapshot,
        credential: &CredentialOf<'_>,
        pools: &Pools,
        metrics: &Metrics,
    ) -> Self {
        let now = crate::clock::now();
        let mut live = Self { revision: snapshot.revision, ..Self::default() };
        for (id, resource) in &snapshot.targets {
            let Resource::Value { digest, value, .. } = resource else { continue };
            let material = credential(id);
            let old = previous.targets.get(id);
            if let Some(old) = old.filter(|old| old.is_same(*digest, material)) {
                live.targets.insert(id.clone(), Arc::clone(old));
                continue;
            }
            let ways = (pools.pool(&value.endpoint), pools.issuers());
            match LiveTarget::new(value, *digest, material, ways, metrics, old.map(|o| &**o)) {
                Ok(target) => {
                    if let Some(old) = old {
                        target.adopt(old, now);
                    }
                    live.targets.insert(id.clone(), Arc::new(target));
                }
                Err(error) => tracing::error!(%error, "a target was left out"),
            }
        }
        for (id, resource) in &snapshot.aliases {
            match resource {
                Resource::Value { digest, value, .. } => {
                    let old = previous.aliases.get(id);
                    let alias = live.with_categories(old, *digest, value, metrics);
                    live.insert(id, alias);
                }
                Resource::Hold { reason, message, .. } => {
                    let held = Held { reason: reason.clone(), message: message.clone() };
                    live.held.insert(id.clone(), held);
                }
            }
        }
        for list in live.by_model.values_mut() {
            list.sort_by(|a, b| {
                (a.compiled.created, &a.compiled.id).cmp(&(b.compiled.created, &b.compiled.id))
            });
        }
        live.add_direct(previous, snapshot, metrics);
        live.pools = live.targets.values().map(|t| Arc::as_ptr(&t.pool).addr()).collect();
        live.forget_series(metrics);
        live
    }

    /// Adds what stands for the models of targets that keys name without an alias.
    fn add_direct(&mut self, previous: &Self, snapshot: &RoutingSnapshot, metrics: &Metrics) {
        let keys = snapshot.keys.values().filter_map(Resource::value);
        let named: HashSet<&ObjectId, RandomState> =
            keys.flat_map(|key| key.direct.iter()).collect();
        for id in named {
            let Some(target) = self.targets.get(id) else { continue };
            let before = previous.direct.get(id).map(Vec::as_slice).unwrap_or_default();
            let models = target.compiled.models.iter().map(|model| {
                let compiled = CompiledAlias::direct(&target.compiled, &model.name);
                let old = before.iter().find(|old| old.compiled.model == compiled.model);
                let parts = [target.digest.as_bytes(), compiled.model.as_bytes()];
                let digest = Digest::of_parts(parts);
                self.alias_of(old, digest, &compiled, Beside::nothing(&compiled), metrics)
            });
            let models = models.collect();
            self.direct.insert(id.clone(), models);
        }
    }

    /// Forgets the metrics of what is no longer there.
    fn forget_series(&self, metrics: &Metrics) {
        let all = self.aliases.values().chain(self.direct.values().flatten());
        let aliases: HashSet<&[u8], RandomState> = all.map(|a| a.header.as_bytes()).collect();
        let targets: HashSet<&str, RandomState> =
            self.targets.values().flat_map(|t| &t.models).map(|m| &*m.label).collect();
        metrics.retain(
            |alias| aliases.contains(alias.as_bytes()),
            |target| targets.contains(target),
            |alias, target| aliases.contains(alias.as_bytes()) && targets.contains(target),
        );
        let categories: HashSet<(&[u8], &str), RandomState> = self
            .aliases
            .values()
            .flat_map(|alias| alias.lineups())
            .filter_map(|lineup| Some((lineup.header.as_bytes(), &*lineup.category.as_ref()?.name)))
            .collect();
        metrics.retain_categories(|alias, name| categories.contains(&(alias.as_bytes(), name)));
    }

    /// The alias as requests use it: the one of before when nothing of it has changed.
    fn alias_of(
        &self,
        old: Option<&Arc<LiveAlias>>,
        digest: Digest,
        compiled: &CompiledAlias,
        beside: Beside<'_>,
        metrics: &Metrics,
    ) -> Arc<LiveAlias> {
        let places: Vec<Option<Place>> = compiled
            .candidates
            .iter()
            .map(|candidate| {
                let target = self.targets.get(&candidate.target)?;
                Some((Arc::clone(target), target.compiled.model(&candidate.model)?.0))
            })
            .collect();
        let same = |(old, new): (&LiveCandidate, &Option<Place>)| match (&old.place, new) {
            (Some((a, i)), Some((b, j))) => i == j && Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        if let Some(old) = old
            && old.digest == digest
            && beside.unchanged
            && old.candidates.iter().zip(&places).all(same)
        {
            return Arc::clone(old);
        }
        let stats = match old {
            Some(old) if old.digest == digest => Arc::clone(&old.stats),
            Some(old) => Arc::new(AliasCell::adopting(compiled, &old.stats, &old.compiled)),
            None => Arc::new(AliasCell::new(compiled)),
        };
        let id = compiled.id.to_string();
        // A conversation may have been in the lineups of several categories.
        let used = || beside.whole.lineups().flat_map(|(candidates, _)| candidates);
        let found = || used().filter_map(|c| Some((self.targets.get(&c.target)?, &c.model)));
        let parts: Vec<Digest> = found().map(|(target, _)| target.digest).collect();
        let revision = Digest::of_parts([digest].iter().chain(&parts).map(Digest::as_bytes));
        let models = || places.iter().flatten().map(|(target, ix)| &target.models[*ix].speaks);
        let mixed = found().any(|(target, model)| {
            let ix = target.compiled.model(model).map(|(ix, _)| ix);
            ix.is_some_and(|ix| target.models[ix].speaks.dialect != Dialect::OpenAiChat)
        });
        let first = used().next().map(|c| &c.target);
        let passes = Endpoint::ALL
            .iter()
            .map(|endpoint| models().all(|speaks| speaks.always_passes(*endpoint, mixed)))
            .collect();
        Arc::new(LiveAlias {
            one_target: used().all(|c| Some(&c.target) == first),
            mixed,
            passes,
            header: header_value(&id),
            revision: header_value(&revision.to_string()),
            metrics: metrics.alias(&id),
            candidates: places
                .into_iter()
                .zip(&compiled.candidates)
                .map(|(place, c)| {
                    let metrics = metrics.alias_target(&id, &format!("{}/{}", c.target, c.model));
                    LiveCandidate { place, metrics }
                })
                .collect(),
            stats,
            by_numbers: has(&compiled.lineup, &|kind| {
                use StrategyKind::{Category, Priority, RandomShuffle};
                !matches!(kind, Priority | RandomShuffle | Category)
            }),
            by_usage: has(&compiled.lineup, &|kind| kind == StrategyKind::LowestUsage),
            category: beside.category,
            choice: beside.choice,
            compiled: compiled.clone(),
            digest,
        })
    }

    fn insert(&mut self, id: &ObjectId, alias: Arc<LiveAlias>) {
        if alias.compiled.visibility == Visibility::Public {
            let model = Box::from(alias.compiled.model.as_str());
            self.by_model.entry(model).or_default().push(Arc::clone(&alias));
        }
        self.aliases.insert(id.clone(), alias);
    }

    /// What `model` stands for when a caller of `namespace` writes it: the namespace's own alias
    /// first, then the oldest one that is exported to it.
    fn find(&self, namespace: &str, model: &str) -> Found<'_> {
        let named = self.by_model.get(model).map(Vec::as_slice).unwrap_or_default();
        if let Some(own) = named.iter().find(|a| &*a.compiled.id.namespace == namespace) {
            return Found::Alias(own);
        }
        // A held alias's spec is not known here, so its object's name stands for it, and it is
        // seen in its own namespace alone.
        if let Some((id, held)) = (!self.held.is_empty())
            .then(|| self.held.get_key_value(&ObjectId::new(namespace, model)))
            .flatten()
        {
            return Found::Held(id, held);
        }
        named.iter().find(|a| a.is_seen_from(namespace)).map_or(Found::Nothing, Found::Alias)
    }

    /// What this caller's `model` stands for. What it may not name is as what is not there.
    pub(crate) fn named_by(&self, caller: &Caller, model: &str) -> Found<'_> {
        if !caller.may_name(model) {
            return Found::Nothing;
        }
        match self.find(caller.namespace(), model) {
            Found::Nothing => self.direct(caller, model).map_or(Found::Nothing, Found::Alias),
            found => found,
        }
    }

    /// What stands for a model of a target, where the caller may name it so.
    fn direct(&self, caller: &Caller, name: &str) -> Option<&Arc<LiveAlias>> {
        let (id, model) = caller.key()?.compiled.direct(name)?;
        let (ix, _) = self.targets.get(id)?.compiled.model(model)?;
        self.direct.get(id)?.get(ix)
    }

    /// What a caller may name, each name once.
    pub(crate) fn seen_by(&self, caller: &Caller) -> Vec<&Arc<LiveAlias>> {
        let mut seen: Vec<_> = self
            .by_model
            .keys()
            .filter_map(|model| match self.named_by(caller, model) {
                Found::Alias(alias) => Some(alias),
                Found::Held(..) | Found::Nothing => None,
            })
            .collect();
        let direct = caller.key().map(|key| &*key.compiled.direct).unwrap_or_default();
        let direct = direct.iter().filter_map(|id| self.direct.get(id)).flatten();
        seen.extend(direct.filter(|alias| caller.may_name(&alias.compiled.model)));
        seen.sort_by(|a, b| a.compiled.model.cmp(&b.compiled.model));
        seen
    }

    /// The alias of this id, whoever may name it.
    pub(crate) fn alias(&self, id: &ObjectId) -> Option<Arc<LiveAlias>> {
        self.aliases.get(id).map(Arc::clone)
    }

    /// The target of this id.
    pub(crate) fn target(&self, id: &ObjectId) -> Option<&Arc<LiveTarget>> {
        self.targets.get(id)
    }

    /// All targets.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Arc<LiveTarget>> {
        self.targets.values()
    }

    /// Whether a target of it is reached by this pool.
    pub(crate) fn uses(&self, pool: &Arc<EndpointPool>) -> bool {
        self.pools.contains(&Arc::as_ptr(pool).addr())
    }

    /// The aliases that no candidate of can be used now, whatever the request.
    pub fn unusable_aliases(&self) -> Vec<ObjectId> {
        let usable = |alias: &LiveAlias| {
            let candidates = alias.lineups().flat_map(|lineup| &lineup.candidates);
            let mut places = candidates.filter_map(|c| c.place.as_ref());
            places.any(|(target, _)| !target.compiled.cordoned && target.has_credential())
        };
        let mut ids: Vec<_> =
            self.aliases.iter().filter(|(_, a)| !usable(a)).map(|(id, _)| id.clone()).collect();
        ids.extend(self.held.keys().cloned());
        ids.sort();
        ids
    }
}

impl LiveAlias {
    /// Whether every candidate takes requests to this endpoint as they came.
    pub(crate) fn passes(&self, endpoint: Endpoint) -> bool {
        self.passes.get(endpoint as usize).copied().unwrap_or_default()
    }

    /// Itself, and the lineups of its categories.
    fn lineups(&self) -> impl Iterator<Item = &Self> {
        let others = self.choice.iter().flat_map(|choice| &choice.lineups);
        std::iter::once(self).chain(others.map(|lineup| &**lineup))
    }

    fn is_seen_from(&self, namespace: &str) -> bool {
        self.compiled.export.admits(&self.compiled.id.namespace, namespace)
    }
}

/// Whether a strategy of a lineup, or of one that it nests, is one of these.
fn has(lineup: &CompiledLineup, these: &dyn Fn(StrategyKind) -> bool) -> bool {
    these(lineup.strategy.kind)
        || lineup.tiers.iter().flatten().any(|entry| match &entry.members {
            Members::Candidates(_) => false,
            Members::Alias { lineup, .. } => has(lineup, these),
        })
}

impl std::fmt::Debug for LiveSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveSnapshot")
            .field("revision", &self.revision)
            .field("aliases", &self.aliases.len())
            .field("targets", &self.targets.len())
            .finish_non_exhaustive()
    }
}
