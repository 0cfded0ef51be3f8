//! From the world to what routers serve from. Pure: the same objects give the same bytes on every
//! replica, in whatever order they came.

use std::{collections::BTreeMap, sync::Arc};

use routing::{
    Digest, ObjectId, RoutingSnapshot,
    category::{CompiledChoice, CompiledOverride},
    snapshot::{CompiledAlias, CompiledTarget, Resource},
};
use serde::Serialize;

use crate::{
    credential::{CredentialState, KeyState},
    finding::Finding,
    resolve::{Refusal, Resolved, ResolvedAlias, ResolvedTarget, resolve},
    status::{self, Statuses},
    world::{Kind, World},
};

/// What the world compiles to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compiled {
    /// What routers serve from. Holds no secret.
    pub snapshot: RoutingSnapshot,
    /// The credentials of the targets. Of a target that is not here nothing is known: whoever has
    /// a credential for it keeps that as long as it keeps the target.
    pub credentials: BTreeMap<ObjectId, CredentialState>,
    /// The hashes of the callers' keys. Of a key that is not here nothing is known: whoever has
    /// hashes of it keeps them.
    pub hashes: BTreeMap<ObjectId, KeyState>,
    /// The Secrets that are to be made for callers' keys that name none, by AccessKey.
    pub missing: BTreeMap<ObjectId, ObjectId>,
    /// Everything that is wrong, by kind and object.
    pub findings: Vec<Finding>,
    /// What each object's status should say.
    pub statuses: Statuses,
}

/// Compiles everything. Never fails: what makes no sense is a finding on its own object, and all
/// other objects are as if it were not there.
pub fn compile(world: &World) -> Compiled {
    let resolved = resolve(world);
    let (statuses, findings) = status::of(world, &resolved);
    let credentials = resolved
        .targets
        .iter()
        .filter_map(|(id, target)| Some(((*id).clone(), target.credential.clone()?)))
        .collect();
    let hashes = resolved
        .keys
        .iter()
        .filter_map(|(id, key)| Some(((*id).clone(), key.hashes.clone()?)))
        .collect();
    let missing = resolved
        .keys
        .iter()
        .filter_map(|(id, key)| Some(((*id).clone(), key.missing.clone()?)))
        .collect();
    let snapshot = snapshot(world, resolved);
    Compiled { snapshot, credentials, hashes, missing, findings, statuses }
}

fn snapshot(world: &World, resolved: Resolved<'_>) -> RoutingSnapshot {
    let mut snapshot = RoutingSnapshot::default();
    let mut keys = BTreeMap::new();
    for ((kind, id), note) in &world.undecodable {
        let (reason, message) = (api::Reason::InvalidSpec, &note.message);
        match kind {
            Kind::Alias => {
                snapshot.aliases.insert(id.clone(), hold(note.version, reason, message));
            }
            Kind::Target => {
                snapshot.targets.insert(id.clone(), hold(note.version, reason, message));
            }
            Kind::Key => {
                keys.insert(id.clone(), hold(note.version, reason, message));
            }
        }
    }
    for (id, target) in resolved.targets {
        let Some(stored) = world.targets.get(id) else { continue };
        if target.value.is_err() && target.lost_identity() {
            // The last good form, which routers would keep, may use the identity: it goes.
            continue;
        }
        snapshot.targets.insert(id.clone(), target_resource(stored.version, target));
    }
    for (id, alias) in resolved.aliases {
        let Some(stored) = world.aliases.get(id) else { continue };
        if let Some(resource) = alias_resource(id, stored.version, stored.created, alias) {
            snapshot.aliases.insert(id.clone(), resource);
        }
    }
    for (id, key) in resolved.keys {
        let Some(stored) = world.keys.get(id) else { continue };
        let resource = match key.value {
            Ok(compiled) => value(stored.version, Arc::new(compiled)),
            Err(refusal) => hold(stored.version, refusal.reason, &refusal.message),
        };
        keys.insert(id.clone(), resource);
    }
    snapshot.keys = Arc::new(keys.into_iter().collect());
    snapshot.revision = snapshot.content_revision();
    snapshot
}

fn target_resource(version: u64, target: ResolvedTarget<'_>) -> Resource<CompiledTarget> {
    match target.value {
        Ok(compiled) => value(version, compiled),
        Err(fault) => hold(version, fault.reason, &fault.message),
    }
}

/// The alias as routers are told of it; `None` for one that lost its name.
fn alias_resource(
    id: &ObjectId,
    version: u64,
    created: i64,
    alias: ResolvedAlias<'_>,
) -> Option<Resource<CompiledAlias>> {
    let lineups = match alias.lineups {
        Err(Refusal { reason: api::Reason::NameConflict, .. }) => return None,
        Err(refusal) => return Some(hold(version, refusal.reason, &refusal.message)),
        Ok(lineups) => lineups,
    };
    if let Some(problem) = lineups.nothing_found() {
        let message = status::described(problem);
        return Some(hold(version, problem.reason, &message));
    }
    let options = alias.options?;
    let compiled = CompiledAlias {
        id: id.clone(),
        model: alias.model?.to_owned(),
        visibility: options.visibility,
        export: alias.export,
        created,
        candidates: lineups.main.candidates,
        lineup: lineups.main.compiled,
        categories: options.choice.zip(lineups.overrides).map(|(choice, overrides)| {
            let overrides = overrides.into_iter().map(|(_, lineup)| CompiledOverride {
                candidates: lineup.candidates,
                lineup: lineup.compiled,
            });
            Box::new(CompiledChoice {
                detector: choice.detector,
                known: choice.known,
                overrides: overrides.collect(),
            })
        }),
        fallback: options.fallback,
        timeouts: options.timeouts,
        affinity: options.affinity,
        guardrails: options.guardrails,
    };
    Some(value(version, compiled))
}

fn value<T: Serialize>(version: u64, value: T) -> Resource<T> {
    // Serialising plain data into memory does not fail; were it to, the digest of nothing would
    // say so wherever it is compared.
    let digest = Digest::of(&serde_json::to_vec(&value).unwrap_or_default());
    Resource::Value { version, digest, value }
}

fn hold<T>(version: u64, reason: api::Reason, message: &str) -> Resource<T> {
    let message = crate::text::join(&[message]);
    Resource::Hold { version, reason: reason.name().to_owned(), message }
}
