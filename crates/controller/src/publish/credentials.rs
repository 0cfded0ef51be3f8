//! What routers are told of credentials, and of the hashes of callers' keys. One that became unusable goes on with its last good form
//! for a while; one that is gone is revoked at once.

use std::{collections::BTreeMap, time::Duration};

use compiler::{CredentialState, KeyState, SecretBytes};
use routing::{Digest, ObjectId, material::Material, snapshot::Resource};
use tokio::time::Instant;
use wire::{Credential, Hashes, Kind};

use super::{Publication, state::State};

/// How long the last good credential is used in place of one that is unusable.
const LAST_GOOD: Duration = Duration::from_mins(10);

/// What a router should have for a target, or for a caller's key.
#[derive(Clone, Debug)]
pub(super) enum Wanted<T = Credential> {
    /// This one, until then if it is the last good one.
    Set(T, Option<Instant>),
    /// Whichever it has, until then: it is unusable now, and was before this process knew it.
    Keep { version: u64, until: Instant },
    /// None.
    Gone { version: u64 },
}

/// A secret, or what stands for one, as a router holds it.
pub(super) trait Held: Clone {
    fn version(&self) -> u64;
    /// What tells it from others.
    fn digest(&self) -> Digest;
}

impl Held for Credential {
    fn version(&self) -> u64 {
        self.version
    }

    fn digest(&self) -> Digest {
        self.hash
    }
}

impl Held for Hashes {
    fn version(&self) -> u64 {
        self.version
    }

    fn digest(&self) -> Digest {
        Hashes::digest(self)
    }
}

impl<T: Held> Wanted<T> {
    pub(super) fn version(&self) -> u64 {
        match self {
            Self::Set(held, _) => held.version(),
            Self::Keep { version, .. } | Self::Gone { version } => *version,
        }
    }

    /// What is wanted while what is there is unusable.
    fn unusable(before: Option<&Self>, version: u64, now: Instant) -> Self {
        match before {
            Some(Self::Set(last, until)) => {
                Self::Set(last.clone(), Some(until.unwrap_or(now + LAST_GOOD)))
            }
            Some(Self::Keep { until, .. }) => Self::Keep { version, until: *until },
            Some(Self::Gone { .. }) => Self::Gone { version },
            None => Self::Keep { version, until: now + LAST_GOOD },
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
                Wanted::unusable(before, (*version).max(of_target), now)
            }
        };
        (target.clone(), wanted)
    };
    publication.credentials.iter().map(one).collect()
}

/// What routers should have of callers' keys, by what they should have had before.
pub(super) fn hashes(
    before: Option<&State>,
    publication: &Publication,
    now: Instant,
) -> BTreeMap<ObjectId, Wanted<Hashes>> {
    let one = |(id, state): (&ObjectId, &KeyState)| {
        let before = before.and_then(|state| state.hashes.get(id));
        let of_key = publication.snapshot.keys.get(id).map_or(0, Resource::version);
        let wanted = match state {
            KeyState::Present { version, hashes } => {
                let version = (*version).max(of_key);
                Wanted::Set(Hashes { version, hashes: hashes.clone().into() }, None)
            }
            KeyState::Absent => {
                let known = (publication.known)(&Kind::Hashes, &id.namespace).unwrap_or(0);
                Wanted::Gone { version: known.max(of_key).max(before.map_or(0, Wanted::version)) }
            }
            KeyState::Invalid { version } => Wanted::unusable(before, (*version).max(of_key), now),
        };
        (id.clone(), wanted)
    };
    publication.hashes.iter().map(one).collect()
}
