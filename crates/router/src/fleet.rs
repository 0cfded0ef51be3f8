//! What this router tells the fleet, and what it is told: the report that a scrape carries, and the
//! views that come beside the snapshots. A view is a hint: it is applied to what is there, again
//! after each snapshot, and without one the router goes by what it sees itself.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use routing::{
    Digest, Money, Nanos, ObjectId,
    fleet::{FleetKey, FleetLimit, FleetView, LimitKey, ModelKey, Report},
    outcome::Fault,
    quota::Limits,
    spend::{Purse, Word},
};

use crate::{
    clock,
    link::FleetNews,
    live::{LiveSnapshot, target::LiveTarget},
    pipeline::Traffic,
};

/// How long a series is told after its last use.
const REPORTED: Duration = Duration::from_secs(600);

/// What is known of the fleet.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// What tells this run of the router from the next.
    run: String,
    /// How many routers are ready; 0: nobody has said.
    routers: AtomicU32,
    /// The last view.
    view: ArcSwapOption<Told>,
}

/// A view that came.
#[derive(Debug)]
struct Told {
    view: FleetView,
    arrived: Nanos,
    /// Where the callers' keys are in it, by uid.
    keys: HashMap<Digest, usize, foldhash::fast::RandomState>,
}

impl Told {
    fn new(view: FleetView, arrived: Nanos) -> Self {
        let keys = view.keys.iter().enumerate().map(|(at, told)| (told.key.uid, at)).collect();
        Self { view, arrived, keys }
    }

    fn key(&self, uid: &Digest) -> Option<&FleetKey> {
        self.view.keys.get(*self.keys.get(uid)?)
    }
}

impl Fleet {
    /// Nothing is known yet; these bits tell this run of the router from the next.
    pub(crate) fn new(run: u64) -> Self {
        let run = format!("{run:016x}");
        Self { run, routers: AtomicU32::new(0), view: ArcSwapOption::empty() }
    }

    /// How many routers are ready, at least 1.
    pub(crate) fn routers(&self) -> u32 {
        self.routers.load(Ordering::Relaxed).max(1)
    }

    /// The targets that this router probes.
    pub(crate) fn probes(&self) -> Vec<ObjectId> {
        self.view.load().as_ref().map(|told| told.view.probes.clone()).unwrap_or_default()
    }

    /// Applies what is known to what is served from, but for what was served from `before` already:
    /// that has been told, and a limit that was edited since is not what the view spoke of.
    fn tell(&self, live: &LiveSnapshot, before: Option<&LiveSnapshot>) {
        let known = |target: &LiveTarget| before?.target(&target.compiled.id);
        let new = live.targets().filter_map(|target| {
            let limits = target.limits.as_ref()?;
            let known = known(target).and_then(|old| old.limits.as_ref());
            known.is_none_or(|old| !Arc::ptr_eq(old, limits)).then_some((target, limits))
        });
        let Some(told) = self.view.load_full() else {
            let routers = self.routers.load(Ordering::Relaxed);
            if routers > 0 {
                new.for_each(|(_, limits)| limits.lock().set_routers(routers));
            }
            return;
        };
        let Told { view, arrived, .. } = &*told;
        for seen in &view.models {
            if let Some(target) = live.target(&seen.target)
                && let Some((ix, _)) = target.compiled.model(&seen.model)
                && known(target).is_none_or(|old| !old.shares_statistics(target, ix))
            {
                let age = Duration::from_millis(seen.age_ms);
                target.models[ix].stats.told(*arrived, &seen.sums, age);
            }
        }
        let mut by_target: HashMap<&ObjectId, Vec<&FleetLimit>, foldhash::fast::RandomState> =
            HashMap::default();
        for limit in &view.limits {
            by_target.entry(&limit.key.target).or_default().push(limit);
        }
        for (target, limits) in new {
            let told = by_target.get(&target.compiled.id).into_iter().flatten();
            limits.lock().tell(*arrived, self.routers(), told.map(|limit| limit.word()));
        }
    }

    /// Tells the budget of a caller's key what is known of it.
    pub(crate) fn tell_budget(&self, uid: &Digest, purse: &mut Purse) {
        purse.set_routers(self.routers());
        let told = self.view.load();
        if let Some(told) = &*told
            && let Some(word) = told.key(uid).and_then(|key| key.budget)
        {
            let own = told.view.run == self.run;
            let none = Word { at: Money::ZERO, counted: Money::ZERO, ..word };
            purse.tell(if own { word } else { none });
        }
    }

    /// Tells the limits of a caller's key what is known of it.
    pub(crate) fn tell_key(&self, uid: &Digest, limits: &mut Limits) {
        match &*self.view.load() {
            Some(told) => {
                let words = told.key(uid).into_iter().flat_map(FleetKey::words);
                limits.tell(told.arrived, self.routers(), words);
            }
            None => limits.set_routers(self.routers()),
        }
    }
}

impl Traffic {
    /// Takes in news of the fleet, which came at `arrived`.
    pub fn fleet(&self, news: FleetNews, arrived: Nanos) {
        let live = self.live();
        match news {
            FleetNews::Routers(routers) => {
                self.fleet.routers.store(routers, Ordering::Relaxed);
                for limits in live.targets().filter_map(|target| target.limits.as_ref()) {
                    limits.lock().set_routers(routers);
                }
                for caller in self.callers.all() {
                    caller.with_limits(|limits| limits.set_routers(routers));
                    caller.with_purse(|purse| purse.set_routers(routers));
                }
            }
            FleetNews::View(view) => {
                self.fleet.routers.store(view.routers, Ordering::Relaxed);
                self.fleet.view.store(Some(Arc::new(Told::new(view, arrived))));
                self.fleet.tell(&live, None);
                for caller in self.callers.all() {
                    caller.with_limits(|limits| self.fleet.tell_key(&caller.key.uid, limits));
                    caller.with_purse(|purse| self.fleet.tell_budget(&caller.key.uid, purse));
                }
                self.changed.notify_waiters();
            }
        }
    }

    /// Applies what is known of the fleet to a snapshot that is about to be served from.
    pub(crate) fn told(&self, live: &LiveSnapshot) {
        self.fleet.tell(live, Some(&self.live()));
    }

    /// What this router has seen, as of now: of what was used in the last 10 minutes.
    pub fn report(&self) -> Report {
        let now = clock::now();
        let keys = self.callers.report(now).collect();
        let mut report = Report { run: self.fleet.run.clone(), keys, ..Report::default() };
        for target in self.live().targets() {
            let id = &target.compiled.id;
            for (model, compiled) in target.models.iter().zip(&target.compiled.models) {
                if let Some(sums) = model.stats.report(now, REPORTED) {
                    let key = ModelKey { target: id.clone(), model: compiled.name.clone() };
                    report.models.insert(key, sums);
                }
            }
            if let Some(limits) = &target.limits {
                for (quota, dimension, draw) in limits.lock().draws(now) {
                    let (target, quota) = (id.clone(), quota.map(str::to_owned));
                    report.limits.insert(LimitKey { target, quota, dimension }, draw);
                }
            }
            // Until it succeeds or is another one: that its time is over makes no key right.
            if let Some(by @ (Fault::Auth | Fault::OutOfCredit)) = target.cell.cause() {
                report.credential_faults.insert(id.clone(), by);
            }
        }
        report
    }
}
