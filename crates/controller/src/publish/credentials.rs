//! What routers are told of credentials. One that became unusable goes on with its last good form
//! for a while; one that is gone is revoked at once.

use std::{collections::BTreeMap, time::Duration};

use compiler::{CredentialState, SecretBytes};
use routing::{Digest, ObjectId, material::Material, snapshot::Resource};
use tokio::time::Instant;
use wire::{Credential, Kind};

use super::{Publication, state::State};

/// How long the last good credential is used in place of one that is unusable.
const LAST_GOOD: Duration = Duration::from_mins(10);

/// What a router should have for a target.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// This one, until then if it is the last good one.
    Set(Credential, Option<Instant>),
    /// Whichever it has, until then: it is unusable now, and was before this process knew it.
    Keep { version: u64, until: Instant },
    /// None.
    Gone { version: u64 },
}

impl Wanted {
    pub(super) fn version(&self) -> u64 {
        match self {
            Self::Set(credential, _) => credential.version,
            Self::Keep { version, .. } | Self::Gone { version } => *version,
        }
    }
}

/// A hash that says that two credentials are the same, and nothing to who lacks the key.
fn hash(key: &SecretBytes, target: &ObjectId, material: &Material) -> Digest {
    let name = target.to_string();
    Digest::of_parts([b"credential", key.expose(), name.as_bytes(), &material.canonical()])
}

/// What routers should have, by what they should have had before.
pub(super) fn next(
    before: Option<&State>,
    publication: &Publication,
    key: &SecretBytes,
    now: Instant,
) -> BTreeMap<ObjectId, Wanted> {
    let one = |(target, state): (&ObjectId, &CredentialState)| {
        let before = before.and_then(|state| state.credentials.get(target));
        let of_target = publication.snapshot.targets.get(target).map_or(0, Resource::version);
        let wanted = match state {
            CredentialState::Present { version, material } => {
                let hash = hash(key, target, material);
                let version = (*version).max(of_target);
                Wanted::Set(Credential::new(version, hash, material.clone()), None)
            }
            CredentialState::Absent => {
                let known = (publication.known)(&Kind::Credential, &target.namespace).unwrap_or(0);
                let version = known.max(of_target).max(before.map_or(0, Wanted::version));
                Wanted::Gone { version }
            }
            CredentialState::Invalid { version } => {
                let version = (*version).max(of_target);
                match before {
                    Some(Wanted::Set(last, until)) => {
                        Wanted::Set(last.clone(), Some(until.unwrap_or(now + LAST_GOOD)))
                    }
                    Some(Wanted::Keep { until, .. }) => Wanted::Keep { version, until: *until },
                    Some(Wanted::Gone { .. }) => Wanted::Gone { version },
                    None => Wanted::Keep { version, until: now + LAST_GOOD },
                }
            }
        };
        (target.clone(), wanted)
    };
    publication.credentials.iter().map(one).collect()
}
