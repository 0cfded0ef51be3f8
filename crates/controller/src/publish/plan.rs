//! From what a router holds to what it should: the steps between the two, and nothing else.

use std::{cmp::Ordering, collections::BTreeMap};

use routing::{Digest, ObjectId, snapshot::Resource};
use serde_json::value::RawValue;
use tokio::time::Instant;
use wire::{
    Cause, CredentialFrame, Frame, HashesFrame, Hold, Key, Kind, Remove, Upsert, hold_digest,
};

use super::{
    credentials::{Held, Wanted},
    state::State,
    view::{Mark, View},
};

/// One frame to send, written when it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The resource; with its bytes, unless the router has them.
    Upsert {
        key: Key,
        version: u64,
        digest: Digest,
        bytes: bool,
    },
    /// Why it is held is in the state.
    Hold {
        key: Key,
        version: u64,
    },
    Remove {
        key: Key,
        version: u64,
        cause: Cause,
    },
    /// The key of all hashes, which is in the state.
    HashKey,
    /// The hashes of a caller's key are in the state; `false`: it is revoked.
    Hashes {
        id: ObjectId,
        version: u64,
        set: bool,
    },
    /// The credential is in the state; `false`: it is revoked.
    Credential {
        target: ObjectId,
        version: u64,
        set: bool,
    },
}

/// What takes a router from what it holds to the state.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// Whether the router is told that so much is absent that it will ask for a second list.
    pub(super) doubtful: bool,
}

/// Absences of so many aliases are doubted by no router.
const FEW: usize = 10;

/// Plans, and takes it that the plan will be carried out.
pub(super) fn plan(view: &mut View, state: &State, now: Instant) -> Plan {
    let mut plan = Plan::default();
    doubted(view, state, &mut plan);
    let (aliases, already) = (view.aliases.len(), plan.steps.len());
    // Targets first, for who reads along.
    resources(&Kind::Target, &mut view.targets, state.snapshot.targets.iter(), state, &mut plan);
    resources(&Kind::Alias, &mut view.aliases, state.snapshot.aliases.iter(), state, &mut plan);
    resources(&Kind::Key, &mut view.keys, state.snapshot.keys.iter(), state, &mut plan);
    let absent = |step: &Step| match step {
        Step::Remove { key, version, cause: Cause::Absent } => Some((key.clone(), *version)),
        _ => None,
    };
    let absences: Vec<_> = plan.steps[already..].iter().filter_map(absent).collect();
    let gone = absences.iter().filter(|(key, _)| key.kind == Kind::Alias).count();
    if gone > FEW && gone * 2 > aliases {
        plan.doubtful = true;
        view.doubted.extend(absences);
    }
    // A router drops a credential with its target.
    let targets = &view.targets;
    view.credentials.retain(|target, _| targets.contains_key(target));
    for (target, wanted) in &state.credentials {
        if targets.contains_key(target) {
            let step = |version, set| Step::Credential { target: target.clone(), version, set };
            plan.steps.extend(secret(target, wanted, &mut view.credentials, now, step));
        }
    }
    hashes(view, state, now, &mut plan);
    plan
}

/// The same of callers' keys, whose hashes are worth nothing without what they are made with.
fn hashes(view: &mut View, state: &State, now: Instant, plan: &mut Plan) {
    if let Some((_, digest)) = &state.hash_key
        && view.hash_key != Some(*digest)
    {
        view.hash_key = Some(*digest);
        plan.steps.push(Step::HashKey);
    }
    let keys = &view.keys;
    view.hashes.retain(|id, _| keys.contains_key(id));
    for (id, wanted) in state.hashes.iter().filter(|(id, _)| keys.contains_key(*id)) {
        let step = |version, set| Step::Hashes { id: id.clone(), version, set };
        plan.steps.extend(secret(id, wanted, &mut view.hashes, now, step));
    }
}

/// States doubted absences again when a newer list confirms them.
fn doubted(view: &mut View, state: &State, plan: &mut Plan) {
    view.doubted.retain(|key, told| {
        if state.has(key) {
            return false;
        }
        match state.gone(key) {
            Some((cause, version)) if cause == Cause::Deleted || version > *told => {
                plan.steps.push(Step::Remove { key: key.clone(), version, cause });
                *told = version;
                cause == Cause::Absent
            }
            _ => true,
        }
    });
}

fn resources<'a, T: 'a>(
    kind: &Kind,
    marks: &mut BTreeMap<ObjectId, Mark>,
    wanted: impl Iterator<Item = (&'a ObjectId, &'a Resource<T>)>,
    state: &State,
    plan: &mut Plan,
) {
    let mut changed = Vec::new();
    let mut gone = Vec::new();
    // Both are in order, so that one walk finds the differences.
    let (mut marks_left, mut wanted_left) = (marks.iter().peekable(), wanted.peekable());
    loop {
        let order = match (marks_left.peek(), wanted_left.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((held, _)), Some((id, _))) => held.cmp(id),
        };
        let mark = if order.is_le() { marks_left.next() } else { None };
        let resource = if order.is_ge() { wanted_left.next() } else { None };
        match (mark, resource) {
            (mark, Some((id, resource))) => {
                let key = || Key::new(kind.clone(), id.clone());
                if let Some((mark, step)) = difference(mark.map(|(_, m)| *m), resource, key) {
                    changed.push((id.clone(), mark));
                    plan.steps.push(step);
                }
            }
            (Some((id, _)), None) => {
                let key = Key::new(kind.clone(), id.clone());
                if let Some((cause, version)) = state.gone(&key) {
                    gone.push(id.clone());
                    plan.steps.push(Step::Remove { key, version, cause });
                }
            }
            (None, None) => {}
        }
    }
    marks.extend(changed);
    for id in gone {
        marks.remove(&id);
    }
}

/// What a router holds once it was sent the step, and the step; `None`: nothing is different.
fn difference<T>(
    mark: Option<Mark>,
    resource: &Resource<T>,
    key: impl FnOnce() -> Key,
) -> Option<(Mark, Step)> {
    match resource {
        Resource::Value { version, digest, .. } => {
            let after = Mark { version: *version, digest: Some(*digest), hold: None };
            let has_bytes = mark.is_some_and(|m| m.digest == Some(*digest));
            let same = has_bytes && mark.is_some_and(|m| m.hold.is_none() && m.version >= *version);
            let (version, digest) = (*version, *digest);
            let step = || Step::Upsert { key: key(), version, digest, bytes: !has_bytes };
            (!same).then(|| (after, step()))
        }
        Resource::Hold { version, reason, message } => {
            let hold = Some(hold_digest(reason, message));
            let digest = mark.and_then(|m| m.digest);
            let after = Mark { version: *version, digest, hold };
            let same = mark.is_some_and(|m| m.hold == hold && m.version >= *version);
            (!same).then(|| (after, Step::Hold { key: key(), version: *version }))
        }
    }
}

/// The step from what a router holds of a secret to what it should.
fn secret<T: Held>(
    id: &ObjectId,
    wanted: &Wanted<T>,
    held: &mut BTreeMap<ObjectId, (u64, Digest)>,
    now: Instant,
    step: impl FnOnce(u64, bool) -> Step,
) -> Option<Step> {
    let has = held.get(id).copied();
    let mut version = wanted.version();
    match wanted {
        Wanted::Set(secret, until) if until.is_none_or(|until| now < until) => {
            let digest = secret.digest();
            if has.is_some_and(|(_, has)| has == digest) {
                return None;
            }
            held.insert(id.clone(), (version, digest));
            return Some(step(version, true));
        }
        Wanted::Keep { until, .. } if now < *until => return None,
        // It is unusable for too long: what it was replaced by is newer than it.
        Wanted::Set(..) | Wanted::Keep { .. } | Wanted::Gone { .. } => {}
    }
    let (held_version, _) = has?;
    // This controller sent it, or its like would have: it knows what that was replaced by.
    if matches!(wanted, Wanted::Set(..)) {
        version = version.max(held_version);
    }
    held.remove(id);
    Some(step(version, false))
}

impl Step {
    /// The frame; `None` when the state has not what it is about, which is a fault of ours.
    pub(super) fn frame(&self, state: &State) -> Option<Frame> {
        match self {
            Self::Upsert { key, version, digest, bytes } => {
                let resource =
                    if *bytes { Some(RawValue::from_string(state.json(key)?).ok()?) } else { None };
                let Key { kind, id } = key.clone();
                let (version, digest, requires) = (*version, *digest, Vec::new());
                Some(Frame::Upsert(Upsert { kind, id, version, digest, requires, resource }))
            }
            Self::Hold { key, version } => {
                let (reason, message) = match key.kind {
                    Kind::Alias => hold_of(state.snapshot.aliases.get(&key.id)?)?,
                    Kind::Target => hold_of(state.snapshot.targets.get(&key.id)?)?,
                    Kind::Key => hold_of(state.snapshot.keys.get(&key.id)?)?,
                    Kind::Credential | Kind::HashKey | Kind::Hashes | Kind::Other(_) => {
                        return None;
                    }
                };
                let Key { kind, id } = key.clone();
                Some(Frame::Hold(Hold { kind, id, version: *version, reason, message }))
            }
            Self::Remove { key, version, cause } => {
                let Key { kind, id } = key.clone();
                Some(Frame::Remove(Remove { kind, id, version: *version, cause: *cause }))
            }
            Self::HashKey => Some(Frame::HashKey(state.hash_key.as_ref()?.0.clone())),
            Self::Hashes { id, version, set } => {
                let hashes = match state.hashes.get(id) {
                    Some(Wanted::Set(hashes, _)) if *set => hashes.hashes.to_vec(),
                    _ if *set => return None,
                    _ => Vec::new(),
                };
                Some(Frame::Hashes(HashesFrame { id: id.clone(), version: *version, hashes }))
            }
            Self::Credential { target, version, set } => {
                let credential = match state.credentials.get(target) {
                    Some(Wanted::Set(credential, _)) if *set => Some(credential.clone()),
                    _ if *set => return None,
                    _ => None,
                };
                let (target, version) = (target.clone(), *version);
                Some(Frame::Credential(CredentialFrame { target, version, credential }))
            }
        }
    }
}

fn hold_of<T>(resource: &Resource<T>) -> Option<(String, String)> {
    match resource {
        Resource::Hold { reason, message, .. } => Some((reason.clone(), message.clone())),
        Resource::Value { .. } => None,
    }
}
