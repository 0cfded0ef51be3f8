//! The state that is served: the snapshot, what routers should have of credentials, and what is
//! known of what is not there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use compiler::SecretBytes;
use routing::{
    Digest, ObjectId, RoutingSnapshot,
    snapshot::{CompiledAlias, Resource},
};
use serde::Serialize;
use tokio::time::Instant;
use wire::{Cause, HashKey, Hashes, Key, Kind, MAX_RESOURCE};

use super::{
    KnownUntil, Publication,
    credentials::{self, Wanted},
};
use crate::fleet::programmed::Pair;
use crate::status::Subject;

/// How long a deletion is remembered.
const KEPT: Duration = Duration::from_mins(10);
/// How many deletions are remembered before the oldest are forgotten.
const MOST: usize = 20_000;

/// A published state.
pub(super) struct State {
    pub(super) snapshot: Arc<RoutingSnapshot>,
    pub(super) credentials: BTreeMap<ObjectId, Wanted>,
    pub(super) hashes: BTreeMap<ObjectId, Wanted<Hashes>>,
    /// What the hashes are made with, and what tells it from others; `None`: there are no keys.
    pub(super) hash_key: Option<(HashKey, Digest)>,
    known: Box<KnownUntil>,
    deleted: BTreeMap<Key, (u64, Instant)>,
}

impl State {
    /// The state after `before`.
    pub(super) fn next(
        before: Option<&Self>,
        mut publication: Publication,
        key: &SecretBytes,
        now: Instant,
    ) -> Self {
        let mut credentials = credentials::next(before, &publication, key, now);
        for target in fit(before.map(|b| &*b.snapshot), &mut publication.snapshot) {
            // What routers go on with may lead to another host than the new credential is for.
            if matches!(credentials.get(&target), Some(Wanted::Gone { .. })) {
                continue;
            }
            match before.and_then(|b| b.credentials.get(&target)) {
                Some(kept) => drop(credentials.insert(target, kept.clone())),
                None => drop(credentials.remove(&target)),
            }
        }
        let hashes = credentials::hashes(before, &publication, now);
        let hash_key = (!publication.snapshot.keys.is_empty()).then(|| {
            let key = HashKey::new(publication.hash_key.expose());
            let digest = key.digest();
            (key, digest)
        });
        let mut deleted = before.map(|b| b.deleted.clone()).unwrap_or_default();
        deleted.retain(|_, (_, at)| now.duration_since(*at) < KEPT);
        for (key, version) in publication.deleted {
            deleted.insert(key, (version, now));
        }
        let (snapshot, known) = (publication.snapshot, publication.known);
        let mut state = Self { snapshot, credentials, hashes, hash_key, known, deleted };
        // What is there again is not gone: should it go once more, that has a version of its own.
        let mut deleted = std::mem::take(&mut state.deleted);
        deleted.retain(|key, _| !state.has(key));
        state.deleted = deleted;
        if let Some(before) = before {
            state.withdraw(before, now);
        }
        state.bound();
        state
    }

    /// What was served before, is served no longer, and is not missing from a new list: it was seen
    /// to go, as the loser of a conflict is.
    fn withdraw(&mut self, before: &Self, now: Instant) {
        let aliases = before.snapshot.aliases.iter().map(|(id, r)| (Key::alias(id), r.version()));
        let targets = before.snapshot.targets.iter().map(|(id, r)| (Key::target(id), r.version()));
        let keys = before.snapshot.keys.iter().map(|(id, r)| (Key::access_key(id), r.version()));
        for (key, version) in aliases.chain(targets).chain(keys) {
            if self.has(&key) || self.deleted.contains_key(&key) {
                continue;
            }
            let until = |state: &Self| (state.known)(&key.kind, &key.id.namespace);
            if until(self).is_some() && until(self) == until(before) {
                self.deleted.insert(key, (version, now));
            }
        }
    }

    fn bound(&mut self) {
        if self.deleted.len() > MOST {
            let mut times: Vec<Instant> = self.deleted.values().map(|(_, at)| *at).collect();
            times.sort_unstable();
            let oldest = times[times.len() - MOST];
            self.deleted.retain(|_, (_, at)| *at >= oldest);
        }
    }

    /// Of every alias and target that has a form, all that a router should hold to serve it.
    pub(super) fn pairs(&self) -> BTreeMap<Subject, Vec<Pair>> {
        let one = |(id, resource): (&ObjectId, &Resource<CompiledAlias>)| {
            let Resource::Value { digest, value, .. } = resource else { return None };
            let mut pairs = vec![Pair { kind: Kind::Alias, id: id.clone(), digest: *digest }];
            let targets: BTreeSet<&ObjectId> =
                value.candidates.iter().map(|candidate| &candidate.target).collect();
            pairs.extend(targets.into_iter().flat_map(|target| self.pairs_of(target)));
            Some((Subject::alias(id.clone()), pairs))
        };
        let aliases = self.snapshot.aliases.iter().filter_map(one);
        let has_form = |(_, resource): &(_, &Resource<_>)| resource.value().is_some();
        let targets = self.snapshot.targets.iter().filter(has_form);
        let targets = targets.map(|(id, _)| (Subject::target(id.clone()), self.pairs_of(id)));
        aliases.chain(targets).collect()
    }

    /// A target in its present form and its credential, as far as they are there.
    fn pairs_of(&self, target: &ObjectId) -> Vec<Pair> {
        let mut pairs = Vec::new();
        if let Some(Resource::Value { digest, .. }) = self.snapshot.targets.get(target) {
            pairs.push(Pair { kind: Kind::Target, id: target.clone(), digest: *digest });
        }
        if let Some(Wanted::Set(credential, _)) = self.credentials.get(target) {
            let (kind, id) = (Kind::Credential, target.clone());
            pairs.push(Pair { kind, id, digest: credential.hash });
        }
        pairs
    }

    /// Whether it has this resource, held ones too.
    pub(super) fn has(&self, key: &Key) -> bool {
        match key.kind {
            Kind::Alias => self.snapshot.aliases.contains_key(&key.id),
            Kind::Target => self.snapshot.targets.contains_key(&key.id),
            Kind::Key => self.snapshot.keys.contains_key(&key.id),
            Kind::Credential | Kind::HashKey | Kind::Hashes | Kind::Other(_) => false,
        }
    }

    /// Why a resource that is not in the snapshot is to be removed, and as of which version; `None`:
    /// nothing is known of it, so whoever has it keeps it.
    pub(super) fn gone(&self, key: &Key) -> Option<(Cause, u64)> {
        if let Some((version, _)) = self.deleted.get(key) {
            return Some((Cause::Deleted, *version));
        }
        Some((Cause::Absent, (self.known)(&key.kind, &key.id.namespace)?))
    }

    /// The JSON of a resource's value.
    pub(super) fn json(&self, key: &Key) -> Option<String> {
        fn json<T: serde::Serialize>(resource: Option<&Resource<T>>) -> Option<String> {
            serde_json::to_string(resource?.value()?).ok()
        }
        match key.kind {
            Kind::Alias => json(self.snapshot.aliases.get(&key.id)),
            Kind::Target => json(self.snapshot.targets.get(&key.id)),
            Kind::Key => json(self.snapshot.keys.get(&key.id)),
            Kind::Credential | Kind::HashKey | Kind::Hashes | Kind::Other(_) => None,
        }
    }
}

/// Holds what is too large for a frame, and gives the targets among it.
fn fit(before: Option<&RoutingSnapshot>, snapshot: &mut Arc<RoutingSnapshot>) -> Vec<ObjectId> {
    let aliases = too_large(before.map(|b| &b.aliases), &snapshot.aliases);
    let targets = too_large(before.map(|b| &b.targets), &snapshot.targets);
    if aliases.is_empty() && targets.is_empty() {
        return Vec::new();
    }
    let held = targets.iter().map(|(id, _)| id.clone()).collect();
    let snapshot = Arc::make_mut(snapshot);
    hold(&mut snapshot.aliases, aliases);
    hold(&mut snapshot.targets, targets);
    held
}

/// What is too large, and how large; what was the same before was found to fit.
fn too_large<T: Serialize>(
    before: Option<&BTreeMap<ObjectId, Resource<T>>>,
    resources: &BTreeMap<ObjectId, Resource<T>>,
) -> Vec<(ObjectId, usize)> {
    let digest = |resource: &Resource<T>| match resource {
        Resource::Value { digest, .. } => Some(*digest),
        Resource::Hold { .. } => None,
    };
    let size = |(id, resource): (&ObjectId, &Resource<T>)| {
        let value = resource.value()?;
        if before.and_then(|b| b.get(id)).and_then(digest) == digest(resource) {
            return None;
        }
        let bytes = serde_json::to_vec(value).map_or(0, |json| json.len());
        (bytes > MAX_RESOURCE).then(|| (id.clone(), bytes))
    };
    resources.iter().filter_map(size).collect()
}

fn hold<T>(resources: &mut BTreeMap<ObjectId, Resource<T>>, large: Vec<(ObjectId, usize)>) {
    for (id, bytes) in large {
        tracing::error!(resource = %id, bytes, limit = MAX_RESOURCE, "held: too large to be sent");
        let message = format!(
            "its compiled form has {bytes} bytes, over the limit of {MAX_RESOURCE}; make it smaller"
        );
        if let Some(resource) = resources.get_mut(&id) {
            let version = resource.version();
            *resource = Resource::Hold { version, reason: "InvalidSpec".to_owned(), message };
        }
    }
}
