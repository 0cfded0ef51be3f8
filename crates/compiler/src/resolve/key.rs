//! An AccessKey as it is meant: rules checked, its Secret looked up, and the hashes of what that
//! holds, which alone go on from here. Of two that have one key the older has it.

use std::collections::{BTreeMap, BTreeSet};

use api::{AccessKey, AccessKeySpec, Reason};
use k8s_openapi::jiff::Timestamp;
use routing::{
    Digest, ObjectId,
    hmac::Hmac,
    key::{CompiledKey, CompiledTokens, KeyHash, List},
};

use super::{
    Refusal, direct, key_secret,
    problems::Problems,
    spending,
    target::{Fault, ResolvedTarget},
};
use crate::{credential::KeyState, text::quote, world::World};

const MAX_GLOBS: usize = 64;

/// An AccessKey and everything that is known of it.
#[derive(Debug)]
pub(crate) struct ResolvedKey {
    /// What routers are told, or why they keep what they have.
    pub(crate) value: Result<CompiledKey, Refusal>,
    /// What is wrong with it, first what its own spec decides.
    pub(crate) faults: Vec<Fault>,
    /// Its hashes; `None`: whoever has some keeps them.
    pub(crate) hashes: Option<KeyState>,
    /// The public part of a key that was generated.
    pub(crate) prefix: Option<String>,
    /// The Secret that is to be made for it.
    pub(crate) missing: Option<ObjectId>,
}

/// Resolves all of them.
pub(crate) fn keys<'a>(
    world: &'a World,
    targets: &BTreeMap<&'a ObjectId, ResolvedTarget<'a>>,
) -> BTreeMap<&'a ObjectId, ResolvedKey> {
    let hmac = Hmac::new(world.settings.key_hash_key.expose());
    let mut keys: BTreeMap<_, _> = world
        .keys
        .iter()
        .map(|(id, stored)| (id, ResolvedKey::of(world, id, &stored.object, &hmac)))
        .collect();
    let mut direct: BTreeMap<&str, List<ObjectId>> = BTreeMap::new();
    for (id, stored) in &world.keys {
        if stored.object.spec.allow_direct_models == Some(true)
            && let Some(ResolvedKey { value: Ok(compiled), .. }) = keys.get_mut(id)
        {
            let list = direct.entry(&id.namespace);
            let list = list.or_insert_with(|| direct::targets(world, targets, &id.namespace));
            compiled.direct = list.clone();
        }
    }
    let mut ages: Vec<_> = world.keys.iter().map(|(id, stored)| (stored.created, id)).collect();
    ages.sort_unstable();
    let mut owners: BTreeMap<KeyHash, &ObjectId> = BTreeMap::new();
    let mut accounts: BTreeSet<(&str, Box<str>)> = BTreeSet::new();
    for (_, id) in ages {
        let Some(key) = keys.get_mut(id) else { continue };
        if let Ok(CompiledKey { tokens, .. }) = &mut key.value
            && let Some(CompiledTokens { account, .. }) = tokens.as_deref()
            && !accounts.insert((&id.namespace, account.clone()))
        {
            *tokens = None;
            let message = "another AccessKey, which is older, has the same ServiceAccount; delete \
                           one of them";
            key.faults.push(Fault::new(Reason::KeyInUse, "spec.serviceAccount", message));
        }
        let Some(KeyState::Present { hashes, .. }) = &mut key.hashes else { continue };
        let before = hashes.len();
        hashes.retain(|hash| *owners.entry(*hash).or_insert(id) == id);
        if hashes.len() == before {
            continue;
        }
        // Not whose: a key's holder must not learn of other projects by trying.
        let message = "another AccessKey, which is older, has the same key; give each caller a key \
                       of its own";
        key.faults.push(Fault::new(Reason::KeyInUse, key_secret::PATH, message));
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
        key_secret::check(id, spec, &mut problems);
        let aliases = globs(spec, &mut problems);
        let expires_at = expires_at(spec, &mut problems);
        let disabled = spec.disabled.unwrap_or(false);
        let limits = spending::limits(spec, &mut problems);
        let budget = spending::budget(object, &mut problems);
        let uid = uid(id, object);
        let tokens = tokens(world, spec);
        let mut compiled = CompiledKey {
            uid,
            aliases,
            expires_at,
            disabled,
            limits,
            budget,
            ..CompiledKey::default()
        };
        let refusal = match (problems.message(), tokens) {
            (Some(message), _) => {
                faults.push(Fault::new(Reason::InvalidSpec, "spec", message.clone()));
                Some(Refusal { reason: Reason::InvalidSpec, message })
            }
            (None, Some(Err(refusal))) => {
                let message = refusal.message.clone();
                faults.push(Fault::new(refusal.reason, "spec.serviceAccount", message));
                Some(refusal)
            }
            (None, tokens) => {
                compiled.tokens = tokens.and_then(Result::ok);
                None
            }
        };
        // Whatever else makes no sense: what is switched off is off.
        let value = refusal.filter(|_| !disabled).map_or(Ok(compiled), Err);
        if disabled {
            faults.push(Fault::new(Reason::Disabled, "spec.disabled", "is true: it serves nobody"));
        } else if let (Some(end), Some(now)) = (expires_at, world.now)
            && now >= end
        {
            let message = "has come: it serves nobody; set another time, or delete the object";
            faults.push(Fault::new(Reason::Expired, "spec.expiresAt", message));
        }
        let found = if spec.service_account.is_some() {
            KeyState::Absent.into()
        } else {
            key_secret::look(world, id, object, hmac, &mut faults)
        };
        let missing = found.missing.filter(|_| value.is_ok());
        Self { value, faults, hashes: found.hashes, prefix: found.prefix, missing }
    }
}

/// The tokens that are its keys, or why they are not known.
fn tokens(world: &World, spec: &AccessKeySpec) -> Option<Result<Box<CompiledTokens>, Refusal>> {
    let account = spec.service_account.as_ref()?.name.as_str().into();
    Some(match &world.issuer {
        Some(issuer) => {
            let (issuer, keys) = (issuer.name.clone(), issuer.keys.clone());
            Ok(Box::new(CompiledTokens { account, issuer, keys }))
        }
        None => {
            let message = if world.settings.dev {
                "means nothing without a cluster, which issues the tokens; use secretRef here"
            } else {
                "the keys of the cluster's issuer of tokens are not known; let the controller get \
                 /.well-known/openid-configuration and /openid/v1/jwks of the API server"
            };
            Err(Refusal { reason: Reason::IssuerUnknown, message: message.to_owned() })
        }
    })
}

/// What tells it from an object of the same name before it or after it. Files have no such thing:
/// there it is the name that goes on.
fn uid(id: &ObjectId, object: &AccessKey) -> Digest {
    match &object.metadata.uid {
        Some(uid) => Digest::of(uid.as_bytes()),
        None => Digest::of(id.to_string().as_bytes()),
    }
}

fn globs(spec: &AccessKeySpec, problems: &mut Problems) -> Option<List<Box<str>>> {
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
    Some(globs.iter().take(MAX_GLOBS).map(|glob| glob.as_str().into()).collect())
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
