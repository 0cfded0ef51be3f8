//! What every ready router reported last, and what follows from it for each. No waiting, no
//! sockets: times are arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::HealthFault;
use routing::fleet::{
    Configured, ConfiguredKey, Dimension, FleetView, Heard, KeyBudget, KeyId, LimitKey, Report,
    merge,
};
use routing::snapshot::{CompiledTarget, Resource};
use routing::{Digest, ObjectId, RoutingSnapshot, outcome::Fault, spend::Ledger};
use tokio::time::Instant;

use super::keys::Keys;
use super::ledgers::{Ledgers, Spends};
use super::{Faults, Member, Members};

/// What is known of a router.
#[derive(Debug)]
struct Kept {
    report: Report,
    /// As of when; `None`: it never reported.
    at: Option<Instant>,
    silent: bool,
}

/// What follows from a sweep.
#[derive(Debug)]
struct Merged {
    heard: BTreeMap<String, Heard>,
    views: BTreeMap<String, FleetView>,
    at: Instant,
}

/// What of a target matters here.
#[derive(Debug, Default, PartialEq)]
struct Target {
    models: BTreeSet<String>,
    limits: BTreeMap<LimitKey, u64>,
    probed: bool,
}

/// The reports and what they are about.
#[derive(Debug, Default)]
pub(super) struct Board {
    targets: BTreeMap<ObjectId, Target>,
    keys: Keys,
    ledgers: Ledgers,
    /// The routers that are no longer ready, and still told what they spent when last asked.
    leaving: Members,
    /// Those that were ready at the last merge.
    ready: Members,
    kept: BTreeMap<String, Kept>,
    merged: Option<Merged>,
}

impl Board {
    /// From now on reports are about these targets. Of one that is held, routers use the last good
    /// form, and so does this.
    pub(super) fn serve(&mut self, snapshot: &RoutingSnapshot) {
        let mut before = std::mem::take(&mut self.targets);
        let one = |(id, resource): (&ObjectId, &Resource<CompiledTarget>)| {
            let target = match resource {
                Resource::Value { value, .. } => Some(Target::of(value)),
                Resource::Hold { .. } => before.remove(id),
            };
            Some((id.clone(), target?))
        };
        self.targets = snapshot.targets.iter().filter_map(one).collect();
        self.keys.serve(snapshot);
    }

    /// This is stored of callers' spending.
    pub(super) fn store(&mut self, stored: BTreeMap<ObjectId, (Digest, Ledger)>) {
        self.ledgers.store(stored);
    }

    /// What was heard of callers' spending.
    pub(super) fn spends(&self) -> &Spends {
        self.ledgers.spends()
    }

    /// Whom to ask, in which order: those that did not answer last time come last.
    pub(super) fn order(&self, ready: &Members) -> Vec<(String, Member)> {
        let silent = |uid: &String| self.kept.get(uid).is_some_and(|kept| kept.silent);
        let all = ready.iter().chain(&self.leaving);
        let mut order: Vec<_> = all.map(|(uid, one)| (uid.clone(), one.clone())).collect();
        order.sort_by_cached_key(|(uid, _)| silent(uid));
        order
    }

    /// A router of this name reported; gives whether it was silent before. `now` is in seconds since
    /// 1970.
    pub(super) fn heard(
        &mut self,
        (uid, name): (&str, &str),
        report: Report,
        at: Instant,
        now: i64,
    ) -> bool {
        let report = self.about_ours(report);
        let router = run(name, &report);
        for (key, seen) in &report.keys {
            if let (Some(spending), Some(period)) = (seen.spending, self.keys.budget(key)) {
                self.ledgers.hear(key, &router, spending.counter, period.start(now));
            }
        }
        if self.leaving.contains_key(uid) {
            // It does no more than end: what it has under way is no demand.
            return false;
        }
        let kept = Kept { report, at: Some(at), silent: false };
        self.kept.insert(uid.to_owned(), kept).is_some_and(|before| before.silent)
    }

    /// A router did not report, so that its last report goes on; gives whether that is new.
    pub(super) fn silent(&mut self, uid: &str) -> bool {
        if self.leaving.remove(uid).is_some() {
            return false;
        }
        let kept = self.kept.entry(uid.to_owned()).or_insert_with(|| Kept {
            report: Report::default(),
            at: None,
            silent: false,
        });
        !std::mem::replace(&mut kept.silent, true)
    }

    /// What of a report is about targets that there are: a router may have used one that is gone,
    /// or say what it likes.
    fn about_ours(&self, report: Report) -> Report {
        let Report { run, mut models, mut limits, mut keys, mut credential_faults } = report;
        models.retain(|key, _| {
            self.targets.get(&key.target).is_some_and(|target| target.models.contains(&key.model))
        });
        limits.retain(|key, _| {
            self.targets.get(&key.target).is_some_and(|target| target.limits.contains_key(key))
        });
        credential_faults.retain(|target, _| self.targets.contains_key(target));
        keys.retain(|key, seen| {
            let limits = self.keys.limits(key);
            seen.draws.retain(|dimension, _| limits.iter().any(|(ours, _)| ours == dimension));
            seen.spending = seen.spending.filter(|_| self.keys.budget(key).is_some());
            !seen.draws.is_empty() || seen.spending.is_some()
        });
        Report { run, models, limits, keys, credential_faults }
    }

    /// Merges what the routers that are ready reported; what others did is forgotten, but for what
    /// they spent, which they are asked about as long as they answer. `unix` is in seconds since
    /// 1970.
    pub(super) fn merge(&mut self, ready: &Members, now: Instant, unix: i64) {
        let gone = self.ready.iter().filter(|(uid, _)| !ready.contains_key(*uid));
        self.leaving.extend(gone.map(|(uid, member)| (uid.clone(), member.clone())));
        self.leaving.retain(|uid, _| !ready.contains_key(uid));
        self.ready.clone_from(ready);
        let here: BTreeSet<String> = ready
            .iter()
            .chain(&self.leaving)
            .filter_map(|(uid, member)| Some(run(&member.name, &self.kept.get(uid)?.report)))
            .collect();
        self.ledgers.turn(|key| self.keys.budget(key), unix);
        self.ledgers.forget(|router| here.contains(router));
        self.kept.retain(|uid, _| ready.contains_key(uid));
        let age = |at: Option<Instant>| at.map_or(Duration::ZERO, |at| now.duration_since(at));
        let one = |(uid, member): (&String, &Member)| {
            let heard = self
                .kept
                .get(uid)
                .map(|kept| Heard { report: kept.report.clone(), age: age(kept.at) });
            (member.name.clone(), heard.unwrap_or_default())
        };
        let heard: BTreeMap<String, Heard> = ready.iter().map(one).collect();
        let views = self.views(&heard);
        self.merged = Some(Merged { heard, views, at: now });
    }

    fn views(&self, heard: &BTreeMap<String, Heard>) -> BTreeMap<String, FleetView> {
        let limits = self.targets.values().flat_map(|target| target.limits.clone()).collect();
        let probed = self.targets.iter().filter(|(_, target)| target.probed);
        let probed = probed.map(|(id, _)| id.clone()).collect();
        let seen: BTreeSet<&KeyId> =
            heard.values().flat_map(|one| one.report.keys.keys()).collect();
        let keys = seen.into_iter().filter_map(|key| Some((key.clone(), self.key(key, heard)?)));
        let keys = keys.collect();
        merge(heard, &Configured { limits, keys, probed })
    }

    /// What a key may have; `None`: what was edited away since it was reported has no limits.
    fn key(&self, key: &KeyId, heard: &BTreeMap<String, Heard>) -> Option<ConfiguredKey> {
        let limits = self.keys.limits(key);
        let budget = self.keys.budget(key).map(|_| {
            let ledger = self.ledgers.of(key);
            let counted = heard.iter().filter_map(|(name, one)| {
                let counted = self.ledgers.counted(key, &run(name, &one.report))?;
                Some((name.clone(), counted))
            });
            KeyBudget {
                period_start: ledger.period_start,
                spent: ledger.spent,
                counted: counted.collect(),
            }
        });
        (!limits.is_empty() || budget.is_some()).then_some(ConfiguredKey { limits, budget })
    }

    /// What the router of this name is told now, of so many that are ready; `None` before the first
    /// merge.
    pub(super) fn view(&self, router: &str, routers: u32, now: Instant) -> Option<FleetView> {
        let merged = self.merged.as_ref()?;
        let view = merged.views.get(router).cloned();
        let mut view = view.unwrap_or_else(|| self.guest(router, merged));
        view.routers = routers;
        let waited = now.duration_since(merged.at).as_millis();
        let waited = u64::try_from(waited).unwrap_or(u64::MAX);
        view.models.iter_mut().for_each(|model| model.age_ms = model.age_ms.saturating_add(waited));
        view.limits.iter_mut().for_each(|limit| limit.age_ms = limit.age_ms.saturating_add(waited));
        view.keys.iter_mut().for_each(|key| key.age_ms = key.age_ms.saturating_add(waited));
        Some(view)
    }

    /// What one is told that is not ready yet, as it is before its first snapshot: what one more
    /// would be. It probes nothing, since others do.
    fn guest(&self, router: &str, merged: &Merged) -> FleetView {
        let mut heard = merged.heard.clone();
        heard.insert(router.to_owned(), Heard::default());
        let view = self.views(&heard).remove(router).unwrap_or_default();
        FleetView { probes: Vec::new(), ..view }
    }

    /// The targets whose credential fails, on any router that is ready.
    pub(super) fn faults(&self) -> Faults {
        let mut all: BTreeMap<&ObjectId, Vec<Fault>> = BTreeMap::new();
        for (target, fault) in self.kept.values().flat_map(|kept| &kept.report.credential_faults) {
            all.entry(target).or_default().push(*fault);
        }
        let ours = all.into_iter().filter(|(target, _)| self.targets.contains_key(*target));
        ours.filter_map(|(target, of)| Some((target.clone(), HealthFault::of(of)?))).collect()
    }
}

/// What tells a run of a router from others: its name would tell, and be the same when it starts
/// again.
fn run(name: &str, report: &Report) -> String {
    format!("{name}/{}", report.run)
}

impl Target {
    fn of(target: &CompiledTarget) -> Self {
        let mut limits = BTreeMap::new();
        let mut limit = |quota: Option<&str>, dimension, most: Option<u64>| {
            let key =
                LimitKey { target: target.id.clone(), quota: quota.map(str::to_owned), dimension };
            limits.extend(most.map(|most| (key, most)));
        };
        limit(None, Dimension::InFlight, target.max_in_flight.map(u64::from));
        for quota in &target.quotas {
            let name = Some(&*quota.name);
            limit(name, Dimension::Requests, quota.requests_per_minute);
            limit(name, Dimension::Tokens, quota.tokens_per_minute);
            limit(name, Dimension::InputTokens, quota.input_tokens_per_minute);
            limit(name, Dimension::OutputTokens, quota.output_tokens_per_minute);
        }
        Self {
            models: target.models.iter().map(|model| model.name.clone()).collect(),
            limits,
            probed: target.probe.is_some(),
        }
    }
}
