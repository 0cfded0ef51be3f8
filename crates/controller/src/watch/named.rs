//! The Secrets, ConfigMaps and Services that targets name: which they are, what was read of each,
//! and when one must be read again.

use std::collections::{BTreeMap, BTreeSet};

use compiler::World;
use routing::ObjectId;

use super::fetch::{Name, Read};
use super::source::{Mark, Source};

/// One of them.
#[derive(Debug, Default)]
struct Object {
    /// How many targets name it.
    by: usize,
    /// `None`: not read yet.
    read: Option<Read>,
    /// A deletion that was seen: what was read before it is stale.
    deleted: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Named(BTreeMap<Name, Object>);

impl Named {
    /// A target names other objects than before; gives those that nobody named yet.
    pub(super) fn rename(&mut self, before: &BTreeSet<Name>, now: &BTreeSet<Name>) -> Vec<Name> {
        let mut new = Vec::new();
        for name in now.difference(before) {
            let object = self.0.entry(name.clone()).or_default();
            object.by += 1;
            if object.by == 1 {
                new.push(name.clone());
            }
        }
        for name in before.difference(now) {
            if let Some(object) = self.0.get_mut(name) {
                object.by -= 1;
                if object.by == 0 {
                    self.0.remove(name);
                }
            }
        }
        new
    }

    /// Everything that a source has; gives what must be read again.
    pub(super) fn listed(&self, source: &Source, items: Vec<Mark>) -> Vec<Name> {
        let listed: BTreeMap<ObjectId, u64> =
            items.into_iter().map(|mark| (mark.id, mark.version)).collect();
        let stale = |(name, object): &(&Name, &Object)| {
            let there = listed.get(&name.id).copied();
            let fresh = match &object.read {
                Some(Read::Absent) => there.is_none(),
                Some(read) => there.is_some() && there == read.version(),
                None => false,
            };
            source.holds(name.kind, &name.id.namespace) && !fresh
        };
        self.0.iter().filter(stale).map(|(name, _)| name.clone()).collect()
    }

    /// An object is new or changed; gives whether it must be read.
    pub(super) fn applied(&self, name: &Name, version: u64) -> bool {
        let read = self.0.get(name).map(|object| object.read.as_ref().and_then(Read::version));
        read.is_some_and(|read| read != Some(version))
    }

    /// An object is gone; gives whether that changes anything.
    pub(super) fn deleted(&mut self, name: &Name, version: u64) -> bool {
        let Some(object) = self.0.get_mut(name) else { return false };
        object.deleted = version;
        object.read = Some(Read::Absent);
        true
    }

    /// An object was read; gives whether that changes anything.
    pub(super) fn read(&mut self, name: &Name, read: Read) -> bool {
        let Some(object) = self.0.get_mut(name) else { return false };
        let stale = read.version().is_some_and(|version| version <= object.deleted);
        let same = object.read.as_ref().is_some_and(|before| before.same(&read));
        if stale || same {
            return false;
        }
        object.read = Some(read);
        true
    }

    /// Whether anybody names it.
    pub(super) fn contains(&self, name: &Name) -> bool {
        self.0.contains_key(name)
    }

    /// Whether one has yet to be read for the first time.
    pub(super) fn unread(&self) -> bool {
        self.0.values().any(|object| object.read.is_none())
    }

    /// Puts what was read into the world, in place of what was there.
    pub(super) fn fill(&self, world: &mut World) {
        world.secrets.clear();
        world.config_maps.clear();
        world.unknown_secrets.clear();
        world.unknown_config_maps.clear();
        let mut services = Some(BTreeMap::new());
        for (name, object) in &self.0 {
            let id = name.id.clone();
            match &object.read {
                Some(Read::Absent) => {}
                Some(Read::Secret(data)) => drop(world.secrets.insert(id, data.clone())),
                Some(Read::ConfigMap(_, data)) => {
                    world.config_maps.insert(id, data.clone());
                }
                Some(Read::Service(_, facts)) => {
                    if let Some(known) = &mut services {
                        known.insert(id, facts.clone());
                    }
                }
                None | Some(Read::Refused) => match name.kind {
                    super::Kind::Secret => drop(world.unknown_secrets.insert(id)),
                    super::Kind::ConfigMap => drop(world.unknown_config_maps.insert(id)),
                    _ => services = None,
                },
            }
        }
        world.services = services;
    }
}
