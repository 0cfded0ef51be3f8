//! An AccessKey as it is meant: rules checked, its Secret looked up, and the hashes of what that
//! holds, which alone go on from here. Of two that have one key the older has it.

use std::collections::BTreeMap;

use api::{AccessKey, AccessKeySpec, Reason, key::PREVIOUS};
use k8s_openapi::jiff::Timestamp;
use routing::{
    Digest, ObjectId,
    hmac::Hmac,
    key::{CompiledKey, KeyHash, MAX_KEY},
};

use super::{problems::Problems, spending, target::Fault};
use crate::{
    credential::{self, KeyState},
    text::{quote, quote_id},
    world::{SecretData, World},
};

const MAX_GLOBS: usize = 64;
const PATH: &str = "spec.secretRef";

/// An AccessKey and everything that is known of it.
#[derive(Debug)]
pub(crate) struct ResolvedKey {
    /// What routers are told, or the message of `InvalidSpec`, for which they keep what they have.
    pub(crate) value: Result<CompiledKey, String>,
    /// What is wrong with it, first what its own spec decides.
    pub(crate) faults: Vec<Fault>,
    /// Its hashes; `None`: whoever has some keeps them.
    pub(crate) hashes: Option<KeyState>,
}

/// Resolves all of them.
pub(crate) fn keys(world: &World) -> BTreeMap<&ObjectId, ResolvedKey> {
    let hmac = Hmac::new(world.settings.key_hash_key.expose());
    let mut keys: BTreeMap<_, _> = world
        .keys
        .iter()
        .map(|(id, stored)| (id, ResolvedKey::of(world, id, &stored.object, &hmac)))
        .collect();
    let mut ages: Vec<_> = world.keys.iter().map(|(id, stored)| (stored.created, id)).collect();
    ages.sort_unstable();
    let mut owners: BTreeMap<KeyHash, &ObjectId> = BTreeMap::new();
    for (_, id) in ages {
        let Some(key) = keys.get_mut(id) else { continue };
        let Some(KeyState::Present { hashes, .. }) = &mut key.hashes else { continue };
        let before = hashes.len();
        hashes.retain(|hash| *owners.entry(*hash).or_insert(id) == id);
        if hashes.len() == before {
            continue;
        }
        // Not whose: a key's holder must not learn of other projects by trying.
        let message = "another AccessKey, which is older, has the same key; give each caller a key \
                       of its own";
        key.faults.push(Fault::new(Reason::KeyInUse, PATH, message));
        if hashes.is_empty() {
            key.hashes = Some(KeyState::Absent);
        }
    }
    keys
}

impl ResolvedKey {
    fn of(world: &World, id: &ObjectId, object: &AccessKey, hmac: &Hmac) -> Self {
        let spec = &object.spec;
        let mut problems = Problems::default();
        let mut faults = Vec::new();
        problems.name(&spec.secret_ref.name, 253, "spec.secretRef.name");
        problems.name(&spec.secret_ref.key, 253, "spec.secretRef.key");
        let aliases = globs(spec, &mut problems);
        let expires_at = expires_at(spec, &mut problems);
        let disabled = spec.disabled.unwrap_or(false);
        let limits = spending::limits(spec, &mut problems);
        let uid = uid(id, object);
        let compiled = CompiledKey { uid, aliases, expires_at, disabled, limits };
        let value = match problems.message() {
            None => Ok(compiled),
            Some(message) => {
                faults.push(Fault::new(Reason::InvalidSpec, "spec", message.clone()));
                // Whatever else makes no sense: what is switched off is off.
                if disabled { Ok(compiled) } else { Err(message) }
            }
        };
        if disabled {
            faults.push(Fault::new(Reason::Disabled, "spec.disabled", "is true: it serves nobody"));
        } else if let (Some(end), Some(now)) = (expires_at, world.now)
            && now >= end
        {
            let message = "has come: it serves nobody; set another time, or delete the object";
            faults.push(Fault::new(Reason::Expired, "spec.expiresAt", message));
        }
        let hashes = hashes(world, id, spec, hmac, &mut faults);
        Self { value, faults, hashes }
    }
}

/// What tells it from an object of the same name before it or after it. Files have no such thing:
/// there it is the name that goes on.
fn uid(id: &ObjectId, object: &AccessKey) -> Digest {
    match &object.metadata.uid {
        Some(uid) => Digest::of(uid.as_bytes()),
        None => Digest::of(id.to_string().as_bytes()),
    }
}

fn globs(spec: &AccessKeySpec, problems: &mut Problems) -> Option<Vec<String>> {
    let globs = spec.aliases.as_ref()?;
    problems.check(!globs.is_empty(), "spec.aliases", "is empty: leave it out for all");
    problems.check(
        globs.len() <= MAX_GLOBS,
        "spec.aliases",
        format_args!("has {} items, and at most {MAX_GLOBS} are supported", globs.len()),
    );
    for (i, glob) in globs.iter().take(MAX_GLOBS).enumerate() {
        problems.name(glob, 253, format_args!("spec.aliases[{i}]"));
    }
    Some(globs.iter().take(MAX_GLOBS).cloned().collect())
}

fn expires_at(spec: &AccessKeySpec, problems: &mut Problems) -> Option<i64> {
    let text = spec.expires_at.as_ref()?;
    let time: Result<Timestamp, _> = text.parse();
    let Ok(time) = time else {
        let text = quote(text);
        problems.add(
            "spec.expiresAt",
            format_args!("is {text}, and must be a time such as 2027-06-30T00:00:00Z"),
        );
        return None;
    };
    Some(time.as_second())
}

/// Reads what the Secret holds; the keys themselves end here.
fn hashes(
    world: &World,
    id: &ObjectId,
    spec: &AccessKeySpec,
    hmac: &Hmac,
    faults: &mut Vec<Fault>,
) -> Option<KeyState> {
    let wanted = &spec.secret_ref;
    let name = ObjectId::new(id.namespace.clone(), wanted.name.as_str());
    if world.unknown_secrets.contains(&name) {
        faults.push(Fault::unknown(Reason::SecretNotFound, PATH, "Secret", &name));
        return None;
    }
    let Some(secret) = world.secrets.get(&name) else {
        let message = format!("there is no Secret {}; create it", quote_id(&name));
        faults.push(Fault::new(Reason::SecretNotFound, PATH, message));
        return Some(KeyState::Absent);
    };
    let previous = format!("{}{PREVIOUS}", wanted.key);
    let version = secret.version;
    let mut hashes = Vec::new();
    let mut invalid = false;
    for (key, required) in [(&wanted.key, true), (&previous, false)] {
        match hash(secret, key, hmac) {
            Some(Ok(hash)) if hashes.contains(&hash) => {}
            Some(Ok(hash)) => hashes.push(hash),
            // Who has rotated may leave an empty value behind.
            Some(Err(_)) if !required && secret.data[key].expose().is_empty() => {}
            Some(Err(what)) => {
                let key = quote(key);
                let message = format!("key {key} of Secret {name} {what}");
                invalid |= required;
                let mend = if required {
                    "correct it: the last good one goes on for 10 minutes"
                } else {
                    "correct it, or remove it"
                };
                let message = format!("{message}; {mend}");
                faults.push(Fault::new(Reason::SecretInvalid, PATH, message));
            }
            None if required => {
                let key = quote(key);
                let message = format!("Secret {name} has no key {key}; add it, or correct the key");
                faults.push(Fault::new(Reason::SecretKeyNotFound, PATH, message));
            }
            None => {}
        }
    }
    Some(if invalid {
        KeyState::Invalid { version }
    } else if hashes.is_empty() {
        KeyState::Absent
    } else {
        KeyState::Present { version, hashes }
    })
}

/// The hash of a value of the Secret; `None`: it has no such key.
fn hash(secret: &SecretData, key: &str, hmac: &Hmac) -> Option<Result<KeyHash, &'static str>> {
    Some(credential::parse(secret.data.get(key)?).and_then(|material| {
        let text = material.as_bytes();
        if text.len() > MAX_KEY {
            Err("is longer than 4096 bytes")
        } else {
            Ok(KeyHash::of(hmac, text))
        }
    }))
}
