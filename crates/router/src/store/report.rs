//! What `/config` and `/config/check` show: what is held, in the types that requests use, and never
//! a secret.

use std::sync::Arc;

use routing::{
    Digest, Nanos, ObjectId,
    snapshot::{CompiledAlias, CompiledKey, CompiledTarget, Resource},
};
use serde::{Deserialize, Serialize};
use wire::{Hashes, Key, Kind};

use super::{Reason, Rejection, Store};

/// What a router believes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Config<'a> {
    /// The digest of all resources.
    revision: Digest,
    /// Whether a controller's state was ever taken in.
    applied: bool,
    /// The cluster that it came from.
    cluster: &'a str,
    /// The controller that confirmed it last.
    controller: Option<&'a str>,
    /// How long ago.
    age_seconds: Option<f64>,
    aliases: Vec<Shown<'a, CompiledAlias>>,
    targets: Vec<Shown<'a, CompiledTarget>>,
    credentials: Vec<ShownCredential<'a>>,
    /// Callers' keys: what they may, and nothing that they could be told by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<Shown<'a, Arc<CompiledKey>>>,
    /// What could not be used; its last good form, if there is one, stands above.
    rejections: Vec<&'a Rejection>,
    /// Absences that wait for a second opinion.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_commit: Option<HeldCommit<'a>>,
    /// What is refused now because it is older than what is held.
    refused: Vec<Missing<'a>>,
    /// How often that happened.
    refusals: u64,
    /// Frames that this router does not know.
    ignored_frames: u64,
}

/// A resource.
#[derive(Debug, Serialize)]
struct Shown<'a, T> {
    id: &'a ObjectId,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    /// Why its present form is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<&'a Reason>,
    /// What requests use.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a T>,
}

/// A credential, by its keyed hash.
#[derive(Debug, Serialize)]
struct ShownCredential<'a> {
    target: &'a ObjectId,
    version: u64,
    hash: Digest,
}

/// Absences that wait.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HeldCommit<'a> {
    reason: &'static str,
    age_seconds: f64,
    absent: Vec<Missing<'a>>,
}

/// A resource by name.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Missing<'a> {
    /// Its kind.
    pub kind: &'a Kind,
    /// The object.
    pub id: &'a ObjectId,
}

/// A resource that somebody asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asked {
    /// Its kind; `Credential` for that of a target.
    pub kind: Kind,
    /// The object.
    pub id: ObjectId,
    /// Its digest, or a credential's hash.
    pub digest: Digest,
}

/// The answer to what was asked for.
#[derive(Debug, Serialize)]
pub struct Verdict<'a> {
    /// The revision of what is held.
    pub revision: Digest,
    /// What is not held at that digest.
    pub missing: Vec<Missing<'a>>,
    /// What could not be used, of all there is.
    pub rejections: Vec<&'a Rejection>,
}

impl<'a> From<&'a Key> for Missing<'a> {
    fn from(key: &'a Key) -> Self {
        Self { kind: &key.kind, id: &key.id }
    }
}

impl Store {
    /// What this router believes.
    pub fn config(&self, now: Nanos) -> Config<'_> {
        let last = self.last_commit.as_ref();
        let credentials = self.credentials.iter();
        Config {
            revision: self.snapshot.revision,
            applied: self.is_applied(),
            cluster: &self.cluster,
            controller: last.map(|(controller, _)| controller.as_str()),
            age_seconds: last.map(|(_, at)| now.since(*at).as_secs_f64()),
            aliases: self.shown(&Kind::Alias, self.snapshot.aliases.iter()),
            targets: self.shown(&Kind::Target, self.snapshot.targets.iter()),
            credentials: credentials
                .map(|(target, c)| ShownCredential { target, version: c.version, hash: c.hash })
                .collect(),
            keys: self.shown(&Kind::Key, self.snapshot.keys.iter()),
            rejections: self.rejections.values().collect(),
            held_commit: self.shrink.as_ref().map(|shrink| HeldCommit {
                reason: "more than half of the aliases are absent from the controller's list \
                         without having been deleted",
                age_seconds: now.since(shrink.since).as_secs_f64(),
                absent: shrink.absent.keys().map(Missing::from).collect(),
            }),
            refused: self.refused.keys().map(Missing::from).collect(),
            refusals: self.refusals,
            ignored_frames: self.ignored,
        }
    }

    fn shown<'a, T>(
        &'a self,
        kind: &Kind,
        resources: impl Iterator<Item = (&'a ObjectId, &'a Resource<T>)>,
    ) -> Vec<Shown<'a, T>> {
        resources
            .map(|(id, resource)| {
                let side = self.sides.get(&Key::new(kind.clone(), id.clone()));
                Shown {
                    id,
                    version: side.map_or(0, |s| s.version),
                    digest: side.and_then(|s| s.digest),
                    hold: side.and_then(|s| s.hold.as_deref()),
                    value: resource.value(),
                }
            })
            .collect()
    }

    /// Which of these are not held as asked, and what was rejected.
    pub fn check<'a>(&'a self, asked: &'a [Asked]) -> Verdict<'a> {
        let missing = asked
            .iter()
            .filter(|asked| {
                let held = match asked.kind {
                    Kind::Credential => self.credentials.get(&asked.id).map(|c| c.hash),
                    Kind::Hashes => self.hashes.get(&asked.id).map(Hashes::digest),
                    _ => {
                        let key = Key::new(asked.kind.clone(), asked.id.clone());
                        self.sides.get(&key).and_then(|side| side.digest)
                    }
                };
                held != Some(asked.digest)
            })
            .map(|asked| Missing { kind: &asked.kind, id: &asked.id })
            .collect();
        let rejections = self.rejections.values().collect();
        Verdict { revision: self.snapshot.revision, missing, rejections }
    }
}
