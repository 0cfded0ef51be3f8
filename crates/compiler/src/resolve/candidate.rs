//! Looks up what an entry names, and says of each whether it may be used: it is there, its owner
//! exports it, it offers the model, and nothing is wrong with it.

use std::collections::BTreeMap;

use api::{Reason, condition::Class};
use routing::{ObjectId, snapshot::MAX_CANDIDATES};

use super::{ResolvedAlias, lineup::Lineup, target::ResolvedTarget};
use crate::{
    text::{quote, quote_id},
    world::{Kind, World},
};

/// Why something that an entry names is not used.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) reason: Reason,
    pub(crate) message: String,
    /// Where the reference stands.
    pub(crate) path: String,
    /// Routers may go on with what they have of the alias: nothing was taken away on purpose.
    pub(crate) keeps: bool,
    /// Routers go on with what they have of the target, its last good form or credential.
    pub(crate) keeps_target: bool,
    /// The alias may use it, once the rest is mended.
    pub(crate) permitted: bool,
    /// Whether waiting may mend it.
    pub(crate) class: Class,
}

impl Problem {
    /// As an alias that nests `id` tells it.
    pub(crate) fn seen_through(&self, id: &ObjectId, path: &str) -> Self {
        let message = format!("in ModelAlias {id}: {}", self.message);
        Self { message, path: path.to_owned(), ..self.clone() }
    }
}

/// Beyond so many that are left out, those of a namespace are not told one by one.
const MAX_TOLD: usize = 64;

/// A target as a provider of a model.
#[derive(Clone, Debug)]
pub(crate) struct CandidateState {
    /// The target.
    pub(crate) target: ObjectId,
    /// A request can be sent to it: it resolved and is not cordoned.
    pub(crate) usable: bool,
    /// Why it did not resolve.
    pub(crate) problem: Option<Problem>,
}

impl CandidateState {
    /// Whether routers are told of it: it resolved, or they go on with what they have of it.
    pub(crate) fn is_kept(&self) -> bool {
        self.problem.as_ref().is_none_or(|problem| problem.keeps_target)
    }

    /// Whether the alias may use it, now or once it is mended.
    pub(crate) fn is_permitted(&self) -> bool {
        self.problem.as_ref().is_none_or(|problem| problem.permitted)
    }
}

/// Everything that entries are looked up in.
pub(crate) struct Cx<'t, 'a> {
    pub(crate) world: &'a World,
    pub(crate) targets: &'t BTreeMap<&'a ObjectId, ResolvedTarget<'a>>,
    /// The targets that offer a model to their own namespace, by namespace and model, in order of
    /// name: judged once, for thousands of aliases may ask.
    offers: BTreeMap<&'a str, BTreeMap<&'a str, Vec<CandidateState>>>,
    /// The aliases that are resolved so far.
    pub(crate) aliases: BTreeMap<&'a ObjectId, ResolvedAlias<'a>>,
}

impl<'t, 'a> Cx<'t, 'a> {
    pub(crate) fn new(
        world: &'a World,
        targets: &'t BTreeMap<&'a ObjectId, ResolvedTarget<'a>>,
    ) -> Self {
        let mut cx = Self { world, targets, offers: BTreeMap::new(), aliases: BTreeMap::new() };
        let mut offers: BTreeMap<&str, BTreeMap<&str, Vec<CandidateState>>> = BTreeMap::new();
        for (id, target) in targets {
            for model in &target.offers {
                let judged = cx.judge(&id.namespace, id, model, &String::new);
                let list = offers.entry(&id.namespace).or_default().entry(*model).or_default();
                let alike = list.iter().filter(|other| other.is_kept() == judged.is_kept());
                // One more than a lineup can have is enough to refuse it.
                if alike.count() <= MAX_TOLD.max(MAX_CANDIDATES) {
                    list.push(judged);
                }
            }
        }
        cx.offers = offers;
        cx
    }

    /// The targets of this namespace that offer the model, by name.
    pub(crate) fn offering(&self, namespace: &str, model: &str) -> &[CandidateState] {
        let models = self.offers.get(namespace);
        models.and_then(|models| models.get(model)).map(Vec::as_slice).unwrap_or_default()
    }

    /// The problem of an entry without providers that nothing offers.
    pub(crate) fn nobody_offers(namespace: &str, model: &str, path: &str) -> Problem {
        Problem {
            reason: Reason::TargetNotFound,
            message: format!(
                "no ProviderTarget of namespace {namespace} offers the model {}; add it to one, or \
                 name `providers` with their namespace",
                quote(model)
            ),
            path: path.to_owned(),
            keeps: true,
            keeps_target: false,
            permitted: true,
            class: Reason::TargetNotFound.class(),
        }
    }

    /// Judges a target as a provider of the model for aliases of `namespace`.
    pub(crate) fn judge(
        &self,
        namespace: &str,
        id: &ObjectId,
        model: &str,
        path: &dyn Fn() -> String,
    ) -> CandidateState {
        let (usable, problem) = match self.verdict(namespace, id, model) {
            Ok(usable) => (usable, None),
            Err(problem) => (false, Some(Problem { path: path(), ..problem })),
        };
        CandidateState { target: id.clone(), usable, problem }
    }

    /// Whether it is usable, or why it did not resolve.
    fn verdict(&self, namespace: &str, id: &ObjectId, model: &str) -> Result<bool, Problem> {
        let problem = |reason, keeps, permitted, message| Problem {
            reason,
            message,
            path: String::new(),
            keeps,
            keeps_target: false,
            permitted,
            class: Reason::class(reason),
        };
        let name = || quote_id(id);
        let Some(target) = self.targets.get(id) else {
            if self.world.undecodable.contains_key(&(Kind::Target, id.clone())) {
                // Whom it is exported to cannot be read, so that no other namespace may use it.
                let own = *id.namespace == *namespace;
                let message = format!("ProviderTarget {} cannot be read; see its status", name());
                let problem = problem(Reason::InvalidSpec, true, own, message);
                return Err(Problem { keeps_target: own, ..problem });
            }
            let message =
                format!("there is no ProviderTarget {}; create it, or correct the name", name());
            return Err(problem(Reason::TargetNotFound, true, true, message));
        };
        if !target.export.admits(&id.namespace, namespace) {
            let message = format!(
                "ProviderTarget {} is not exported to namespace {namespace}; its spec.export must \
                 admit it",
                name()
            );
            return Err(problem(Reason::RefNotPermitted, false, false, message));
        }
        if !target.offers.contains(model) {
            let message = format!(
                "ProviderTarget {} does not offer the model {}; add it to its spec.models, or \
                 correct the name",
                name(),
                quote(model)
            );
            return Err(problem(Reason::ModelNotOffered, true, true, message));
        }
        let fault = target.faults.iter().find(|f| !f.keeps()).or_else(|| target.faults.first());
        let Some(fault) = fault else { return Ok(!target.cordoned) };
        let message = if fault.reason == Reason::InvalidSpec {
            format!("ProviderTarget {} is not accepted; see its status", name())
        } else {
            format!("ProviderTarget {}: {}", name(), fault.message)
        };
        let problem = problem(fault.reason, fault.keeps(), true, message);
        Err(Problem { keeps_target: fault.keeps(), ..problem })
    }

    /// The lineup of an alias that an alias of `namespace` nests.
    pub(crate) fn nested(
        &self,
        namespace: &str,
        id: &ObjectId,
        path: &str,
    ) -> Result<&Lineup, Problem> {
        let problem = |reason, keeps, message| Problem {
            reason,
            message,
            path: path.to_owned(),
            keeps,
            keeps_target: false,
            permitted: keeps,
            class: Reason::class(reason),
        };
        let name = quote_id(id);
        let refused = |reason| {
            let message = format!("ModelAlias {name} is not accepted ({reason}); see its status");
            problem(reason, true, message)
        };
        let not_exported = || {
            let message = format!(
                "ModelAlias {name} is not exported to namespace {namespace}; its spec.export must \
                 admit it"
            );
            problem(Reason::RefNotPermitted, false, message)
        };
        let Some(alias) = self.aliases.get(id) else {
            // Whatever may be nested was resolved before.
            if self.world.aliases.contains_key(id) {
                return Err(not_exported());
            }
            if self.world.undecodable.contains_key(&(Kind::Alias, id.clone())) {
                return Err(refused(Reason::InvalidSpec));
            }
            let message = format!("there is no ModelAlias {name}; create it, or correct the name");
            return Err(problem(Reason::TargetNotFound, true, message));
        };
        if !alias.export.admits(&id.namespace, namespace) {
            return Err(not_exported());
        }
        let lineups = alias.lineups.as_ref().map_err(|refusal| refused(refusal.reason))?;
        if lineups.overrides.is_some() {
            let message = format!(
                "ModelAlias {name} chooses by category, and so cannot stand in a lineup; name its \
                 targets, or an alias with another strategy"
            );
            return Err(problem(Reason::InvalidSpec, false, message));
        }
        Ok(&lineups.main)
    }
}
