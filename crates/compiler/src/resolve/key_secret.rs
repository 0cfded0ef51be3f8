//! The Secret of a caller's key: the one that the AccessKey names, or the one that the controller
//! makes for it. The keys themselves end here, as hashes.

use api::{
    AccessKey, AccessKeySpec, Reason,
    key::{GENERATED, PREVIOUS},
};
use routing::{
    ObjectId,
    hmac::Hmac,
    key::{KeyHash, MAX_KEY},
};

use super::{problems::Problems, target::Fault};
use crate::{
    credential::{self, KeyState},
    text::{quote, quote_id},
    world::{SecretData, World},
};

pub(super) const PATH: &str = "spec.secretRef";
/// The longest name of an object.
const MAX_NAME: usize = 253;
/// How long the public part of a generated key is.
const PUBLIC: usize = 8;

/// What was found of a key's Secret.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The hashes; `None`: nothing is known.
    pub(super) hashes: Option<KeyState>,
    /// The public part of a key that was generated.
    pub(super) prefix: Option<String>,
    /// The Secret that is to be made.
    pub(super) missing: Option<ObjectId>,
}

impl From<KeyState> for Found {
    fn from(state: KeyState) -> Self {
        Self { hashes: Some(state), ..Self::default() }
    }
}

/// Checks what the object alone can decide.
pub(super) fn check(id: &ObjectId, spec: &AccessKeySpec, problems: &mut Problems) {
    if let Some(account) = &spec.service_account {
        problems.name(&account.name, MAX_NAME, "spec.serviceAccount.name");
        problems.check(
            spec.secret_ref.is_none(),
            "spec.serviceAccount",
            "stands beside secretRef: keep one of them",
        );
        return;
    }
    match &spec.secret_ref {
        Some(named) => {
            problems.name(&named.name, MAX_NAME, "spec.secretRef.name");
            problems.name(&named.key, MAX_NAME, "spec.secretRef.key");
        }
        None => problems.check(
            id.name.len() + GENERATED.len() <= MAX_NAME,
            "metadata.name",
            format_args!(
                "is too long for the Secret NAME{GENERATED} that is made for it: shorten it, or \
                 name a Secret in spec.secretRef"
            ),
        ),
    }
}

/// Reads what the Secret holds.
pub(super) fn look(
    world: &World,
    id: &ObjectId,
    object: &AccessKey,
    hmac: &Hmac,
    faults: &mut Vec<Fault>,
) -> Found {
    let wanted = &object.spec.key_ref(&id.name);
    let generated = object.spec.secret_ref.is_none();
    let name = ObjectId::new(id.namespace.clone(), wanted.name.as_str());
    if world.unknown_secrets.contains(&name) {
        faults.push(Fault::unknown(Reason::SecretNotFound, PATH, "Secret", &name));
        return Found::default();
    }
    let Some(secret) = world.secrets.get(&name) else {
        let told = quote_id(&name);
        let message = if !generated {
            format!("there is no Secret {told}; create it")
        } else if world.settings.dev {
            format!(
                "there is no Secret {told}, and keys are generated in a cluster alone: add it to \
                 the files with `stringData: {{{}: YOUR KEY}}`, or name one in spec.secretRef",
                wanted.key
            )
        } else {
            format!(
                "there is no Secret {told} yet: the controller makes it, where it may create \
                 Secrets; or name one in spec.secretRef"
            )
        };
        faults.push(Fault::new(Reason::SecretNotFound, PATH, message));
        let missing = (generated && !world.settings.dev).then_some(name);
        return Found { missing, ..KeyState::Absent.into() };
    };
    // A Secret of that name that somebody else made, or that was made for an AccessKey before this
    // one, is not the key of this one.
    if generated
        && let Some(uid) = &object.metadata.uid
        && !secret.owners.contains(uid)
    {
        let message = format!(
            "Secret {} is there and not owned by this AccessKey: delete it, so that a key is \
             generated, or name it in spec.secretRef",
            quote_id(&name)
        );
        faults.push(Fault::new(Reason::SecretInvalid, PATH, message));
        return KeyState::Absent.into();
    }
    let hashes = hashes(secret, &name, &wanted.key, hmac, faults);
    let prefix = generated.then(|| public(secret, &wanted.key)).flatten();
    Found { prefix, ..hashes.into() }
}

/// The public part of a key of the form `mk-PUBLIC-SECRET`.
fn public(secret: &SecretData, key: &str) -> Option<String> {
    let text = credential::parse(secret.data.get(key)?).ok()?;
    let (public, secret) = text.strip_prefix("mk-")?.split_at_checked(PUBLIC)?;
    let fine = public.bytes().all(|b| b.is_ascii_alphanumeric());
    (fine && secret.starts_with('-')).then(|| public.to_owned())
}

fn hashes(
    secret: &SecretData,
    name: &ObjectId,
    wanted: &str,
    hmac: &Hmac,
    faults: &mut Vec<Fault>,
) -> KeyState {
    let previous = format!("{wanted}{PREVIOUS}");
    let version = secret.version;
    let mut hashes = Vec::new();
    let mut invalid = false;
    for (key, required) in [(wanted, true), (previous.as_str(), false)] {
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
    if invalid {
        KeyState::Invalid { version }
    } else if hashes.is_empty() {
        KeyState::Absent
    } else {
        KeyState::Present { version, hashes }
    }
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
