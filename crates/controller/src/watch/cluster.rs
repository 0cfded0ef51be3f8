//! Joins the news of all sources into the compiler's `World`, and tells what each change calls for:
//! a compilation, now or soon, objects to read, statuses to compare.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use compiler::{Issuer, Settings, Undecodable, World};
use kube::api::ObjectMeta;
use routing::ObjectId;

use super::fetch::{Name, Read};
use super::named::Named;
use super::ours::Ours;
use super::source::{Change, Kind, Mark, NamespaceFacts, NamespaceMark, News, Source, id, version};
use super::stored::Stored;
use crate::status::{Live, Subject};

/// What a change calls for.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) compile: Compile,
    /// Objects to read.
    pub(crate) reads: Vec<Name>,
    /// What stands now, for the writer of statuses; `None`: gone.
    pub(crate) live: Vec<(Subject, Option<Live>)>,
    /// The namespaces that are being deleted, if that changed.
    pub(crate) terminating: Option<BTreeSet<String>>,
}

/// When to compile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Compile {
    #[default]
    Never,
    /// Only versions moved, as a write of status does: no hurry.
    Soon,
    Now,
}

/// What a source has told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    /// Nothing yet.
    Nothing,
    /// Everything as of this version.
    Until(u64),
    /// That it cannot be read, and why.
    Unknown(String),
}

/// As of which version what is not there is absent, per source. A source that is not here is
/// unknown: nothing is said of what it would have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known(BTreeMap<Source, u64>);

impl Known {
    /// The version as of which an object of this kind that is not there is absent.
    pub(crate) fn until(&self, kind: Kind, namespace: &str) -> Option<u64> {
        let of = |namespace| self.0.get(&Source { kind, namespace }).copied();
        of(None).or_else(|| of(Some(namespace.to_owned())))
    }
}

/// Everything that was told.
#[derive(Debug)]
pub(crate) struct Cluster {
    world: Arc<World>,
    told: BTreeMap<Source, Told>,
    named: Named,
    /// What is named, or was read, has changed since the world was filled with it.
    refill: bool,
    /// The deletions that were seen and not yet handed on.
    deleted: BTreeMap<Subject, u64>,
    namespaces: BTreeMap<String, NamespaceFacts>,
    terminating: BTreeSet<String>,
}

impl Cluster {
    /// These have told nothing yet.
    pub(crate) fn new(sources: &[Source], settings: Settings) -> Self {
        Self {
            world: Arc::new(World { settings, ..World::default() }),
            told: sources.iter().map(|source| (source.clone(), Told::Nothing)).collect(),
            named: Named::default(),
            refill: true,
            deleted: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            terminating: BTreeSet::new(),
        }
    }

    /// What time it is, in seconds since 1970.
    pub(crate) fn is_now(&mut self, now: i64) {
        Arc::make_mut(&mut self.world).now = Some(now);
    }

    /// Who issues tokens of ServiceAccounts.
    pub(crate) fn issued_by(&mut self, issuer: Arc<Issuer>) {
        Arc::make_mut(&mut self.world).issuer = Some(issuer);
    }

    /// The world as it was told.
    pub(crate) fn world(&mut self) -> Arc<World> {
        if std::mem::take(&mut self.refill) {
            self.named.fill(Arc::make_mut(&mut self.world));
        }
        self.world.clone()
    }

    /// The sources whose first list is still awaited.
    pub(crate) fn missing(&self) -> Vec<&Source> {
        self.told.iter().filter(|(_, told)| **told == Told::Nothing).map(|(s, _)| s).collect()
    }

    /// Whether objects that are named have yet to be read for the first time.
    pub(crate) fn unread(&self) -> bool {
        self.named.unread()
    }

    /// What cannot be read, and why.
    pub(crate) fn unknown(&self) -> Vec<(Source, String)> {
        let unknown = self.told.iter().filter_map(|(source, told)| match told {
            Told::Unknown(why) => Some((source.clone(), why.clone())),
            Told::Nothing | Told::Until(_) => None,
        });
        unknown.collect()
    }

    /// As of which versions what is not there is absent.
    pub(crate) fn known(&self) -> Known {
        let until = self.told.iter().filter_map(|(source, told)| match told {
            Told::Until(version) => Some((source.clone(), *version)),
            Told::Nothing | Told::Unknown(_) => None,
        });
        Known(until.collect())
    }

    /// The deletions that were seen since the last call, with their versions.
    pub(crate) fn deletions(&mut self) -> BTreeMap<Subject, u64> {
        std::mem::take(&mut self.deleted)
    }

    /// Something was told.
    pub(crate) fn apply(&mut self, change: Change) -> Effects {
        let mut effects = Effects::default();
        match change {
            Change::Aliases(source, news) => self.ours(source, news, &mut effects),
            Change::Targets(source, news) => self.ours(source, news, &mut effects),
            Change::Keys(source, news) => self.ours(source, news, &mut effects),
            Change::Named(source, news) => self.marks(source, news, &mut effects),
            Change::Namespaces(source, news) => self.namespaces(source, news, &mut effects),
        }
        effects
    }

    /// An object was read; gives whether it must be asked for again some time.
    pub(crate) fn read(&mut self, name: &Name, read: Read) -> (Compile, bool) {
        let again = matches!(read, Read::Refused) && self.named.contains(name);
        let changed = self.named.read(name, read);
        self.refill |= changed;
        (if changed { Compile::Now } else { Compile::Never }, again)
    }

    /// Objects of one of our own kinds.
    fn ours<K: Ours>(&mut self, source: Source, news: News<Stored<K>>, effects: &mut Effects) {
        match news {
            News::Listed { items, read } => {
                let listed: BTreeSet<ObjectId> = items.iter().filter_map(id).collect();
                let mut gone = self.held::<K>(&source);
                gone.retain(|id| !listed.contains(id));
                for id in &gone {
                    self.remove::<K>(id, effects);
                }
                for item in items {
                    self.put(item, effects);
                }
                self.told_all(source, read, effects);
            }
            News::Applied(item) => {
                self.advance(&source, version(item.meta.resource_version.as_deref()));
                self.put(item, effects);
            }
            News::Deleted(item) => {
                let version = version(item.meta.resource_version.as_deref());
                self.advance(&source, version);
                if let Some(id) = id(&item) {
                    self.remove::<K>(&id, effects);
                    self.deleted.insert(Subject { kind: K::KIND, id }, version);
                }
            }
            News::Unknown(why) => self.told_unknown(source, why, effects),
        }
    }

    fn put<K: Ours>(&mut self, item: Stored<K>, effects: &mut Effects) {
        let Some(id) = id(&item) else { return };
        let Stored { meta, status, mut object } = item;
        if let Ok(object) = &mut object {
            object.recall(&status);
        }
        let subject = Subject { kind: K::KIND, id: id.clone() };
        let version = version(meta.resource_version.as_deref());
        let generation = meta.generation.unwrap_or_default();
        let uid = meta.uid.clone().unwrap_or_default();
        self.deleted.remove(&subject);
        effects.live.push((subject, Some(Live { uid, version, generation, status })));

        let world = Arc::make_mut(&mut self.world);
        let key = (K::WORLD_KIND, id.clone());
        let bad = world.undecodable.remove(&key);
        let good = K::table(world).remove(&id);
        let names_before = good.as_ref().map(|good| good.object.names()).unwrap_or_default();
        let mut names = BTreeSet::new();
        let alike = match object {
            Ok(object) => {
                names = object.names();
                let created = created(&meta);
                let alike = good.is_some_and(|good| {
                    (good.generation, good.created) == (generation, created)
                        && good.object.same(&object)
                });
                let object = Arc::new(object);
                let stored = compiler::Stored { version, generation, created, object };
                K::table(world).insert(id, stored);
                alike
            }
            Err(message) => {
                let alike =
                    bad.is_some_and(|bad| (bad.generation, &bad.message) == (generation, &message));
                world.undecodable.insert(key, Undecodable { version, generation, message });
                alike
            }
        };
        effects.compile = effects.compile.max(if alike { Compile::Soon } else { Compile::Now });
        self.rename(&names_before, &names, effects);
    }

    fn remove<K: Ours>(&mut self, id: &ObjectId, effects: &mut Effects) {
        effects.live.push((Subject { kind: K::KIND, id: id.clone() }, None));
        effects.compile = Compile::Now;
        let world = Arc::make_mut(&mut self.world);
        world.undecodable.remove(&(K::WORLD_KIND, id.clone()));
        if let Some(before) = K::table(world).remove(id) {
            self.rename(&before.object.names(), &BTreeSet::new(), effects);
        }
    }

    /// The objects of a source that are held.
    fn held<K: Ours>(&mut self, source: &Source) -> Vec<ObjectId> {
        let world = Arc::make_mut(&mut self.world);
        let mut all: Vec<ObjectId> = K::table(world).keys().cloned().collect();
        let bad = world.undecodable.keys().filter(|(kind, _)| *kind == K::WORLD_KIND);
        all.extend(bad.map(|(_, id)| id.clone()));
        all.retain(|id| source.holds(K::KIND, &id.namespace));
        all
    }

    fn rename(&mut self, before: &BTreeSet<Name>, now: &BTreeSet<Name>, effects: &mut Effects) {
        if before != now {
            effects.reads.extend(self.named.rename(before, now));
            self.refill = true;
        }
    }

    /// Objects of a kind that targets may name.
    fn marks(&mut self, source: Source, news: News<Mark>, effects: &mut Effects) {
        let kind = source.kind;
        match news {
            News::Listed { items, read } => {
                effects.reads.extend(self.named.listed(&source, items));
                self.told_all(source, read, effects);
            }
            News::Applied(Mark { id, version }) => {
                self.advance(&source, version);
                let name = Name { kind, id };
                if self.named.applied(&name, version) {
                    effects.reads.push(name);
                }
            }
            News::Deleted(Mark { id, version }) => {
                self.advance(&source, version);
                if self.named.deleted(&Name { kind, id }, version) {
                    self.refill = true;
                    effects.compile = Compile::Now;
                }
            }
            News::Unknown(why) => self.told_unknown(source, why, effects),
        }
    }

    fn namespaces(&mut self, source: Source, news: News<NamespaceMark>, effects: &mut Effects) {
        let mut all = std::mem::take(&mut self.namespaces);
        let listed = !matches!(news, News::Unknown(_));
        match news {
            News::Listed { items, read } => {
                all = items.into_iter().map(|mark| (mark.name, mark.facts)).collect();
                self.told_all(source, read, effects);
            }
            News::Applied(mark) => drop(all.insert(mark.name, mark.facts)),
            News::Deleted(mark) => drop(all.remove(&mark.name)),
            // What was read stays: rights are not lost because permission to look is.
            News::Unknown(why) => self.told_unknown(source, why, effects),
        }
        self.namespaces = all;
        if listed {
            let labels =
                |(name, facts): (&String, &NamespaceFacts)| (name.clone(), facts.labels.clone());
            let labels = self.namespaces.iter().map(labels).collect();
            if self.world.namespaces.as_ref() != Some(&labels) {
                Arc::make_mut(&mut self.world).namespaces = Some(labels);
                effects.compile = Compile::Now;
            }
        }
        let terminating = self.namespaces.iter().filter(|(_, facts)| facts.terminating);
        let terminating: BTreeSet<String> = terminating.map(|(name, _)| name.clone()).collect();
        if terminating != self.terminating {
            self.terminating.clone_from(&terminating);
            effects.terminating = Some(terminating);
        }
    }

    /// A source has told everything as of this version.
    fn told_all(&mut self, source: Source, read: u64, effects: &mut Effects) {
        // Even where nothing came of it: it may have been the last that was awaited, and removals
        // hang on the version.
        effects.compile = Compile::Now;
        self.told.insert(source, Told::Until(read));
    }

    fn told_unknown(&mut self, source: Source, why: String, effects: &mut Effects) {
        let told = Told::Unknown(why);
        if self.told.get(&source) != Some(&told) {
            effects.compile = Compile::Now;
            self.told.insert(source, told);
        }
    }

    /// A source's news come in order, so that it has told everything as of each.
    fn advance(&mut self, source: &Source, version: u64) {
        if let Some(Told::Until(until)) = self.told.get_mut(source) {
            *until = version.max(*until);
        }
    }
}

/// When an object was made, in seconds since 1970.
fn created(meta: &ObjectMeta) -> i64 {
    meta.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second())
}

#[cfg(test)]
mod tests;
