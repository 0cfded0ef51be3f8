//! What each object's status should say. Times are not known here: every condition has that of
//! 1970, and the writer puts in when its status changed, and lets who waits too long stall.

mod alias;
mod key;
mod prices;
mod target;

use std::collections::{BTreeMap, HashMap};

use api::{
    AccessKeyStatus, ConditionType, ModelAliasStatus, ProviderTargetStatus, Reason,
    condition::{self, Class, Desired},
};
use foldhash::fast::FixedState;
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};
use routing::ObjectId;
use serde::Serialize;

use crate::{
    finding::Finding,
    resolve::{Lineups, Problem, Resolved},
    text,
    world::{Kind, World},
};

/// The desired statuses, without times.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Statuses {
    /// Of the aliases, those that do not decode too.
    pub aliases: BTreeMap<ObjectId, ModelAliasStatus>,
    /// Of the targets, those that do not decode too.
    pub targets: BTreeMap<ObjectId, ProviderTargetStatus>,
    /// Of the callers' keys, those that do not decode too.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<ObjectId, AccessKeyStatus>,
}

/// The statuses of everything, and the findings that they tell, in order.
pub(crate) fn of(world: &World, resolved: &Resolved<'_>) -> (Statuses, Vec<Finding>) {
    let mut statuses = Statuses::default();
    let mut findings = Vec::new();
    let mut used_by: HashMap<&ObjectId, i32, FixedState> = HashMap::default();
    for alias in resolved.aliases.values() {
        let entries = alias.lineups.iter().flat_map(Lineups::entries);
        let candidates = entries.flat_map(|entry| &entry.candidates);
        let mut uses: Vec<_> =
            candidates.filter(|c| c.is_permitted()).map(|candidate| &candidate.target).collect();
        uses.sort_unstable();
        uses.dedup();
        for target in uses {
            let count = used_by.entry(target).or_default();
            *count = count.saturating_add(1);
        }
    }
    for (id, stored) in &world.aliases {
        let Some(alias) = resolved.aliases.get(id) else { continue };
        let status = alias::status(resolved, id, stored, alias, &mut findings);
        statuses.aliases.insert(id.clone(), status);
    }
    for (id, stored) in &world.targets {
        let Some(target) = resolved.targets.get(id) else { continue };
        let users = used_by.get(id).copied().unwrap_or_default();
        let status = target::status(world, id, stored, target, users, &mut findings);
        statuses.targets.insert(id.clone(), status);
    }
    for (id, stored) in &world.keys {
        let Some(key) = resolved.keys.get(id) else { continue };
        statuses.keys.insert(id.clone(), key::status(world, id, stored, key, &mut findings));
    }
    for ((kind, id), note) in &world.undecodable {
        let message = format!("the object cannot be read: {}", note.message);
        let conditions = Conditions::refused(Reason::InvalidSpec, &message);
        findings.push(Finding {
            kind: *kind,
            id: id.clone(),
            condition: ConditionType::Accepted,
            reason: Reason::InvalidSpec,
            message: text::join(&[message]),
            path: None,
        });
        let observed_generation = Some(note.generation);
        if *kind == Kind::Key {
            statuses.keys.insert(id.clone(), key::unreadable(note.generation, conditions));
            continue;
        }
        let conditions = conditions.finish(note.generation);
        match kind {
            Kind::Key => {}
            Kind::Alias => {
                let status =
                    ModelAliasStatus { observed_generation, conditions, ..Default::default() };
                statuses.aliases.insert(id.clone(), status);
            }
            Kind::Target => {
                let status = ProviderTargetStatus {
                    observed_generation,
                    used_by: Some(used_by.get(id).copied().unwrap_or_default()),
                    conditions,
                    ..Default::default()
                };
                statuses.targets.insert(id.clone(), status);
            }
        }
    }
    findings.sort_by(|a, b| a.order().cmp(&b.order()));
    (statuses, findings)
}

/// A problem with its place, as one part of a message.
pub(crate) fn described(problem: &Problem) -> String {
    format!("{}: {}", problem.path, problem.message)
}

/// What is wrong with an object: the reason, what and how to mend it, and where.
type Told<'a> = (Reason, &'a str, &'static str);

/// What is wrong with an object that names others, by the condition that it shows in.
#[derive(Debug, Default)]
struct Faults<'a> {
    accepted: Vec<Told<'a>>,
    refs: Vec<Told<'a>>,
}

/// The conditions of one object, in their order.
#[derive(Debug, Default)]
struct Conditions(Vec<Desired>);

impl Conditions {
    /// Those of an object that is not accepted at all.
    fn refused(reason: Reason, message: &str) -> Self {
        let mut conditions = Self::default();
        conditions.push(ConditionType::Accepted, Some(false), reason, message);
        let unknown = "not looked at while the spec is not accepted";
        conditions.push(ConditionType::ResolvedRefs, None, reason, unknown);
        conditions.not_ready(reason, reason.class(), message);
        conditions
    }

    /// Those of an object that is ready, with these words, when nothing is wrong with it; `off` is
    /// what its author wants and that yet keeps it from being ready.
    fn of(
        faults: &Faults<'_>,
        off: &[Told<'_>],
        (object, id): (Kind, &ObjectId),
        ready: &str,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let mut conditions = Self::default();
        let parts = [
            (ConditionType::Accepted, &faults.accepted, Reason::Accepted, "the spec is accepted"),
            (
                ConditionType::ResolvedRefs,
                &faults.refs,
                Reason::Resolved,
                "every reference is resolved",
            ),
        ];
        for (kind, faults, fine, message) in parts {
            for (reason, message, path) in faults {
                findings.push(Finding {
                    kind: object,
                    id: id.clone(),
                    condition: kind,
                    reason: *reason,
                    message: text::join(&[message]),
                    // The message of a spec names the fields itself.
                    path: (*reason != Reason::InvalidSpec).then(|| (*path).to_owned()),
                });
            }
            match faults.first() {
                None => conditions.push(kind, Some(true), fine, message),
                Some((reason, ..)) => conditions.push(kind, Some(false), *reason, &told(faults)),
            }
        }
        let all = [&faults.accepted[..], &faults.refs, off].concat();
        // All of it must be mended, so one that waiting does not mend decides.
        let lasting = all.iter().find(|(reason, ..)| reason.class() == Class::Permanent);
        match lasting.or_else(|| all.first()) {
            Some((reason, ..)) => conditions.not_ready(*reason, reason.class(), &told(&all)),
            None => conditions.push(ConditionType::Ready, Some(true), Reason::Ready, ready),
        }
        conditions
    }

    fn push(&mut self, kind: ConditionType, status: Option<bool>, reason: Reason, message: &str) {
        let message = text::join(&[message]);
        self.0.push(Desired { kind, status, reason, message });
    }

    /// As [`Self::push`], unless a condition of this type is there: of two lineups that have the
    /// same to say, the first says it.
    fn push_once(
        &mut self,
        kind: ConditionType,
        status: Option<bool>,
        reason: Reason,
        message: &str,
    ) {
        if self.0.iter().all(|one| one.kind != kind) {
            self.push(kind, status, reason, message);
        }
    }

    /// Ready is False, and so one of Reconciling and Stalled is True.
    fn not_ready(&mut self, reason: Reason, class: Class, message: &str) {
        self.push(ConditionType::Ready, Some(false), reason, message);
        let kind = match class {
            Class::Permanent => ConditionType::Stalled,
            Class::Fine | Class::Unknown | Class::Warning | Class::Waiting => {
                ConditionType::Reconciling
            }
        };
        self.push(kind, Some(true), reason, message);
    }

    fn finish(self, generation: i64) -> Vec<Condition> {
        condition::merge(&[], &self.0, generation, Timestamp::UNIX_EPOCH)
    }
}

fn told(faults: &[Told<'_>]) -> String {
    let parts: Vec<String> = faults
        .iter()
        .map(|(reason, message, path)| match reason {
            Reason::InvalidSpec | Reason::ExportNotPermitted | Reason::SelectorUnavailable => {
                (*message).to_owned()
            }
            _ => format!("{path}: {message}"),
        })
        .collect();
    text::join(&parts)
}
