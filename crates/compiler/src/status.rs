//! What each object's status should say. Times are not known here: every condition has that of
//! 1970, and the writer puts in when its status changed, and lets who waits too long stall.

mod alias;
mod prices;
mod target;

use std::collections::{BTreeMap, HashMap};

use api::{
    ConditionType, ModelAliasStatus, ProviderTargetStatus, Reason,
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
        let conditions = conditions.finish(note.generation);
        match kind {
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
