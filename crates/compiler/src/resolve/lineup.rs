//! From the entries of an alias to its candidates: every reference is looked up, what cannot be
//! used is left out and named, nested aliases are inlined as blocks.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use api::{Reason, condition::Class};
use routing::{
    CandidateIx, ObjectId, StrategyKind,
    category::DEFAULT,
    snapshot::{CompiledCandidate, CompiledEntry, CompiledLineup, MAX_CANDIDATES, Members},
};

use super::{
    Refusal,
    alias::{Entry, LineupSpec, What},
    candidate::{CandidateState, Cx, Problem},
};

/// How deep aliases may nest.
const MAX_DEPTH: usize = 4;
/// How often candidates may stand in a lineup, repeated ones counted: aliases that nest the same
/// aliases over and over would grow without bound while their candidates stay few.
const MAX_PLACES: usize = 1024;

/// The lineups of an alias.
#[derive(Clone, Debug)]
pub(crate) struct Lineups {
    /// Its own, or Default's.
    pub(crate) main: Lineup,
    /// Those of categories, by name; `None`: it does not choose by category.
    pub(crate) overrides: Option<Vec<(String, Lineup)>>,
}

impl Lineups {
    /// All of them, with the name that the status gives each.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Lineup)> {
        let main = if self.overrides.is_some() { DEFAULT } else { "" };
        let overrides = self.overrides.iter().flatten();
        std::iter::once((main, &self.main))
            .chain(overrides.map(|(name, lineup)| (name.as_str(), lineup)))
    }

    /// Nothing is there in any lineup, so routers keep what they have instead.
    pub(crate) fn nothing_found(&self) -> Option<&Problem> {
        let mut found = self.all().map(|(_, lineup)| lineup.nothing_found.as_ref());
        let first = found.next().flatten()?;
        found.all(|problem| problem.is_some()).then_some(first)
    }

    /// Whether waiting may mend that nothing is usable.
    pub(crate) fn class(&self) -> Class {
        let lasting = self.all().all(|(_, lineup)| lineup.class() == Class::Permanent);
        if lasting { Class::Permanent } else { Class::Waiting }
    }

    /// Everything that is wrong with any entry.
    pub(crate) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.all().flat_map(|(_, lineup)| lineup.problems())
    }

    /// Every entry of every lineup. Default's behind a category's counts once.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &EntryState> {
        self.all().flat_map(|(_, lineup)| &lineup.entries)
    }
}

/// An alias's entries, resolved.
#[derive(Clone, Debug)]
pub(crate) struct Lineup {
    /// The candidates that routers are told of.
    pub(crate) candidates: Vec<CompiledCandidate>,
    /// Their order. Without candidates it has no tiers.
    pub(crate) compiled: CompiledLineup,
    /// Every entry with what became of it.
    pub(crate) entries: Vec<EntryState>,
    /// Nothing is there, so routers keep what they have instead.
    pub(crate) nothing_found: Option<Problem>,
    depth: usize,
    places: usize,
}

/// What became of an entry.
#[derive(Clone, Debug)]
pub(crate) struct EntryState {
    /// Its name.
    pub(crate) name: String,
    /// Its candidates, those that are left out too.
    pub(crate) candidates: Vec<CandidateState>,
    /// What is wrong with the entry as a whole.
    pub(crate) problem: Option<Problem>,
}

impl EntryState {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), candidates: Vec::new(), problem: None }
    }

    /// Whether a request can be sent to one of its candidates.
    pub(crate) fn is_usable(&self) -> bool {
        self.candidates.iter().any(|c| c.usable)
    }

    /// Everything that is wrong with it.
    pub(crate) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problem.iter().chain(self.candidates.iter().filter_map(|c| c.problem.as_ref()))
    }
}

impl Lineup {
    /// Resolves the entries of `spec`, a lineup of the alias `id`, with another of its lineups
    /// behind them, if any. What it nests is resolved already.
    pub(crate) fn of<'s>(
        cx: &'s Cx<'s, '_>,
        id: &'s ObjectId,
        spec: &'s LineupSpec<'s>,
        behind: Option<&'s Lineup>,
    ) -> Result<Self, Refusal> {
        let namespace: &str = &id.namespace;
        let at = spec.at.as_str();
        let mut builder = Builder { cx, namespace, at, pool: Pool::default(), depth: 0, places: 0 };
        let mut states = Vec::with_capacity(spec.entries.len());
        let mut tiers: BTreeMap<i64, Vec<CompiledEntry>> = BTreeMap::new();
        for entry in &spec.entries {
            let (state, members) = match &entry.what {
                What::Model { model, providers } => {
                    builder.model(entry, model, providers.as_deref())
                }
                What::Alias(id) => builder.alias(entry, id),
            };
            states.push(state);
            if let Some(members) = members {
                let name = entry.name.to_owned();
                // Under Priority the list is the order, and there is one tier.
                let tier =
                    if spec.strategy.kind == StrategyKind::Priority { 0 } else { entry.tier };
                tiers.entry(tier).or_default().push(CompiledEntry {
                    name,
                    weight: entry.weight,
                    members,
                });
            }
        }
        let mut compiled = CompiledLineup {
            ix: 0,
            strategy: spec.strategy.clone(),
            tiers: tiers.into_values().collect(),
        };
        let nothing_found = nothing_found(&compiled, &states);
        if let Some(behind) = behind.filter(|behind| !behind.candidates.is_empty()) {
            builder.places = builder.places.saturating_add(behind.places);
            let members = builder.block(id, DEFAULT, behind);
            compiled.tiers.push(vec![CompiledEntry {
                name: DEFAULT.to_owned(),
                weight: 1,
                members,
            }]);
        }
        builder.check()?;
        number(&mut compiled, &mut 0);
        let Builder { pool, depth, places, .. } = builder;
        let candidates = pool.candidates;
        Ok(Self { candidates, compiled, entries: states, nothing_found, depth, places })
    }

    /// Whether waiting may mend that nothing is usable: not if every cause is there to stay. What
    /// is cordoned is a cause that is not.
    pub(crate) fn class(&self) -> Class {
        let cordoned = |c: &CandidateState| !c.usable && c.problem.is_none();
        let lasting = self.problems().all(|problem| problem.class == Class::Permanent)
            && !self.entries.iter().flat_map(|entry| &entry.candidates).any(cordoned);
        if lasting { Class::Permanent } else { Class::Waiting }
    }

    /// Everything that is wrong with any entry.
    pub(crate) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.entries.iter().flat_map(EntryState::problems)
    }
}

/// No entry resolves, and all that is wrong is that nothing is there: what routers have goes on,
/// for an object that was deleted or renamed by mistake must not take the alias with it.
fn nothing_found(lineup: &CompiledLineup, states: &[EntryState]) -> Option<Problem> {
    if !lineup.tiers.is_empty() {
        return None;
    }
    let mut problems = states.iter().flat_map(EntryState::problems);
    let first = problems.next()?;
    (first.keeps && problems.all(|p| p.keeps)).then(|| first.clone())
}

struct Builder<'s, 'a> {
    cx: &'s Cx<'s, 'a>,
    namespace: &'s str,
    /// The path of the lineup.
    at: &'s str,
    pool: Pool<'s>,
    depth: usize,
    places: usize,
}

impl<'s> Builder<'s, '_> {
    fn model(
        &mut self,
        entry: &'s Entry<'s>,
        model: &'s str,
        providers: Option<&'s [ObjectId]>,
    ) -> (EntryState, Option<Members>) {
        let mut state = EntryState::new(entry.name);
        let mut members = Vec::new();
        if let Some(listed) = providers {
            for (i, target) in listed.iter().enumerate() {
                if state.candidates.iter().any(|c| c.target == *target) {
                    continue;
                }
                let path = || format!("{}.providers[{i}]", entry.path);
                let candidate = self.cx.judge(self.namespace, target, model, &path);
                if candidate.is_kept() {
                    members.push(self.pool.add(|| entry.name.to_owned(), target, model));
                }
                state.candidates.push(candidate);
            }
        } else {
            let offering = self.cx.offering(self.namespace, model);
            if offering.is_empty() {
                state.problem = Some(Cx::nobody_offers(self.namespace, model, &entry.path));
            }
            for candidate in offering {
                if candidate.is_kept() {
                    let target = &candidate.target;
                    members.push(self.pool.add(|| entry.name.to_owned(), target, model));
                }
                let mut candidate = candidate.clone();
                if let Some(problem) = &mut candidate.problem {
                    problem.path.clone_from(&entry.path);
                }
                state.candidates.push(candidate);
            }
        }
        self.places = self.places.saturating_add(members.len());
        (state, (!members.is_empty()).then_some(Members::Candidates(members)))
    }

    fn alias(&mut self, entry: &'s Entry<'s>, id: &ObjectId) -> (EntryState, Option<Members>) {
        let mut state = EntryState::new(entry.name);
        let nested = match self.cx.nested(self.namespace, id, &entry.path) {
            Ok(nested) => nested,
            Err(problem) => {
                state.problem = Some(problem);
                return (state, None);
            }
        };
        self.depth = self.depth.max(nested.depth + 1);
        self.places = self.places.saturating_add(nested.places);
        state.candidates = seen_through(nested, id, &entry.path);
        if nested.candidates.is_empty() {
            state.problem = why_empty(nested, id, &entry.path, &state.candidates);
            return (state, None);
        }
        if self.places > MAX_PLACES {
            // It is refused; what it would grow to is not built.
            return (state, None);
        }
        (state, Some(self.block(id, entry.name, nested)))
    }

    /// A lineup of an alias as one block, which the entry `name` stands for.
    fn block(&mut self, id: &ObjectId, name: &str, of: &'s Lineup) -> Members {
        let map: Vec<CandidateIx> = of
            .candidates
            .iter()
            .map(|c| self.pool.add(|| format!("{name}/{}", c.entry), &c.target, &c.model))
            .collect();
        Members::Alias { id: id.clone(), lineup: Box::new(remap(&of.compiled, &map)) }
    }

    /// Refuses an alias that is impossible as a whole.
    fn check(&self) -> Result<(), Refusal> {
        let refusal = |reason, message| Err(Refusal { reason, message });
        let at = self.at;
        if self.depth > MAX_DEPTH {
            let message = format!(
                "{at}.targets nests aliases {} deep, and at most {MAX_DEPTH} is supported; name \
                 the targets themselves",
                self.depth
            );
            return refusal(Reason::AliasCycle, message);
        }
        let count = self.pool.candidates.len();
        if count > MAX_CANDIDATES {
            let message = format!(
                "{at}.targets has {count} candidates with all that it nests, and at most \
                 {MAX_CANDIDATES} are supported; remove some entries or providers"
            );
            return refusal(Reason::TooManyCandidates, message);
        }
        if self.places > MAX_PLACES {
            let message = format!(
                "{at}.targets nests the same candidates over and over, more than {MAX_PLACES} \
                 times in all; nest each alias once"
            );
            return refusal(Reason::TooManyCandidates, message);
        }
        Ok(())
    }
}

/// The candidates so far. One that stands already keeps its first place in every ranking.
#[derive(Default)]
struct Pool<'s> {
    candidates: Vec<CompiledCandidate>,
    index: HashMap<(&'s ObjectId, &'s str), CandidateIx, foldhash::fast::FixedState>,
}

impl<'s> Pool<'s> {
    fn add(
        &mut self,
        entry: impl FnOnce() -> String,
        target: &'s ObjectId,
        model: &'s str,
    ) -> CandidateIx {
        *self.index.entry((target, model)).or_insert_with(|| {
            // Beyond 64 the alias is refused and no index is used.
            let ix = CandidateIx(u8::try_from(self.candidates.len()).unwrap_or(u8::MAX));
            let (target, model) = (target.clone(), model.to_owned());
            self.candidates.push(CompiledCandidate { entry: entry(), target, model });
            ix
        })
    }
}

/// The candidates of a nested alias, each target once, as the outer alias tells them.
fn seen_through(nested: &Lineup, id: &ObjectId, path: &str) -> Vec<CandidateState> {
    let mut seen: BTreeSet<&ObjectId> = BTreeSet::new();
    let mut broken = 0;
    let candidates = nested.entries.iter().flat_map(|entry| &entry.candidates);
    let told = candidates.filter(|candidate| {
        // What works is at most 64; of what does not, as much is told.
        broken += usize::from(candidate.problem.is_some());
        (candidate.problem.is_none() || broken <= MAX_CANDIDATES) && seen.insert(&candidate.target)
    });
    told.map(|candidate| CandidateState {
        problem: candidate.problem.as_ref().map(|problem| problem.seen_through(id, path)),
        ..candidate.clone()
    })
    .collect()
}

/// Why a nested alias without candidates has none, where its candidates do not tell it already.
fn why_empty(
    nested: &Lineup,
    id: &ObjectId,
    path: &str,
    told: &[CandidateState],
) -> Option<Problem> {
    let first = nested.entries.iter().find_map(|entry| entry.problem.as_ref());
    let problem = match first {
        Some(problem) => problem.seen_through(id, path),
        None if told.iter().any(|candidate| candidate.problem.is_some()) => return None,
        None => Problem {
            reason: Reason::NoUsableTarget,
            message: format!("ModelAlias {id} has no target that can be used; see its status"),
            path: path.to_owned(),
            keeps: true,
            keeps_target: false,
            permitted: true,
            class: nested.class(),
        },
    };
    // Whether anything was taken away is asked of all that the nested alias lacks.
    Some(Problem { keeps: nested.nothing_found.is_some(), ..problem })
}

/// Numbers the lineup and those that it nests, each before its own.
fn number(lineup: &mut CompiledLineup, next: &mut u16) {
    lineup.ix = *next;
    // There are fewer than there are places.
    *next = next.saturating_add(1);
    for entry in lineup.tiers.iter_mut().flatten() {
        if let Members::Alias { lineup, .. } = &mut entry.members {
            number(lineup, next);
        }
    }
}

/// The lineup over the outer alias's candidates.
fn remap(lineup: &CompiledLineup, map: &[CandidateIx]) -> CompiledLineup {
    let member = |members: &Members| match members {
        Members::Candidates(list) => {
            Members::Candidates(list.iter().filter_map(|ix| map.get(ix.get()).copied()).collect())
        }
        Members::Alias { id, lineup } => {
            Members::Alias { id: id.clone(), lineup: Box::new(remap(lineup, map)) }
        }
    };
    let entry = |entry: &CompiledEntry| CompiledEntry {
        name: entry.name.clone(),
        weight: entry.weight,
        members: member(&entry.members),
    };
    let tiers = lineup.tiers.iter().map(|tier| tier.iter().map(entry).collect()).collect();
    CompiledLineup { ix: lineup.ix, strategy: lineup.strategy.clone(), tiers }
}
