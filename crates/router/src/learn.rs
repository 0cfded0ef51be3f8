//! What the ejection of a target, and of a model of it, learns of an attempt or a probe that ended;
//! the metrics and the log learn of what that changed.

use std::{sync::atomic::Ordering, time::Duration};

use routing::{
    OutcomeClass,
    ejection::{Availability, Event, Scope},
    outcome::Fault,
};

use crate::{
    clock,
    live::{
        health::Change,
        target::{LiveModel, LiveTarget},
    },
    record::Ending,
};

/// An attempt at a model ended.
pub(crate) fn attempt(target: &LiveTarget, model: usize, ending: &Ending, took: Duration) {
    let neutral = ending.neutral || is_outdated(target, ending.class);
    for scope in [Scope::Target, Scope::Model] {
        let event = if neutral {
            Event::Neutral
        } else {
            Event::of(ending.class, scope, ending.retry_after, took)
        };
        step(target, scope, model, event);
    }
    if ending.class == OutcomeClass::Fault(Fault::RateLimited)
        && let Some(limits) = &target.limits
        && let Availability::Hard { until, .. } =
            target.models[model].cell.availability(clock::now())
    {
        // Whatever was counted here, the provider says that its quota is used up.
        limits.lock().exhausted(&target.compiled.models[model].name, until);
    }
}

/// A probe of the target ended. What it says of a model is nothing, since none was asked; and what
/// was ejected is readmitted by a real request alone.
pub(crate) fn probe(
    target: &LiveTarget,
    class: OutcomeClass,
    retry_after: Option<Duration>,
    took: Duration,
) {
    if is_outdated(target, class) {
        return;
    }
    let event = match Event::of(class, Scope::Target, retry_after, took) {
        Event::Success => Event::Reached,
        // It took no half-open slot, so it has none to give back.
        Event::Neutral => return,
        event => event,
    };
    step(target, Scope::Target, 0, event);
}

/// Whether what was refused is a credential that has been replaced since.
fn is_outdated(target: &LiveTarget, class: OutcomeClass) -> bool {
    matches!(class, OutcomeClass::Fault(Fault::Auth | Fault::OutOfCredit))
        && target.outdated.load(Ordering::Relaxed)
}

/// Steps the cell of a scope; `model` is the one that was asked.
fn step(target: &LiveTarget, scope: Scope, model: usize, event: Event) {
    let now = clock::now();
    let concerned: &[LiveModel] = match scope {
        Scope::Target => &target.models,
        Scope::Model => &target.models[model..=model],
    };
    let metrics = concerned.iter().map(|m| &m.metrics);
    match target.cell_of(scope, model).step(&target.compiled.ejection, now, event) {
        Change::None => {}
        Change::Healed => metrics.for_each(|m| m.readmitted()),
        Change::Prolonged(ejected) => {
            let length = ejected.until.since(now);
            metrics.for_each(|m| m.prolonged(length));
        }
        Change::Ejected(ejected) => {
            let length = ejected.until.since(now);
            metrics.for_each(|m| m.ejected(ejected.by, length));
            tracing::warn!(
                target = concerned.get(model).or(concerned.first()).map(|m| &*m.label),
                by = ejected.by.name(),
                hard = ejected.hard,
                for_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
                "target ejected"
            );
        }
    }
}
