//! What a request holds of a target's limits: reserved when an attempt starts, once for each target
//! and model that the request is sent to, and settled by what was really used. Dropped, it gives
//! the tokens back and is no longer in flight, so that a caller who leaves is counted out.

use std::sync::Arc;

use parking_lot::Mutex;
use routing::{
    Nanos, Usage,
    quota::{Estimate, Full, Limits, Reservation, Rule, Settled},
    snapshot::CompiledTarget,
};

use crate::clock;

/// The limits of one target, shared by all requests.
pub(crate) type SharedLimits = Arc<Mutex<Limits>>;

/// The limits of a target: the ones of before under the rules of now; `None` where it states none.
pub(crate) fn of_target(
    target: &CompiledTarget,
    previous: Option<&SharedLimits>,
    seed: u64,
) -> Option<SharedLimits> {
    let rules = Rule::of_target(target);
    let max_in_flight = target.max_in_flight.map(u64::from);
    if rules.is_empty() && max_in_flight.is_none() {
        return None;
    }
    match previous {
        Some(limits) => {
            limits.lock().apply(rules, max_in_flight);
            Some(Arc::clone(limits))
        }
        None => Some(Arc::new(Mutex::new(Limits::new(rules, max_in_flight, seed)))),
    }
}

/// What a request holds.
#[derive(Debug)]
pub(crate) struct Hold {
    limits: SharedLimits,
    model: Arc<str>,
    /// `None` once settled.
    reservation: Option<Reservation>,
}

impl Hold {
    /// Reserves what a request to this model (by its label) is expected to use.
    pub(crate) fn reserve(
        limits: &SharedLimits,
        label: &Arc<str>,
        model: &str,
        estimate: Estimate,
        now: Nanos,
    ) -> Result<Self, Full> {
        let reservation = limits.lock().reserve(now, model, estimate)?;
        Ok(Self {
            limits: Arc::clone(limits),
            model: Arc::clone(label),
            reservation: Some(reservation),
        })
    }

    /// Whether it is of this model of this target.
    pub(crate) fn is_of(&self, label: &Arc<str>) -> bool {
        self.model == *label
    }

    /// Puts what was really used in the place of what was reserved.
    pub(crate) fn used(mut self, usage: &Usage) {
        self.settle(Settled::Used(usage));
    }

    fn settle(&mut self, settled: Settled<'_>) {
        if let Some(reservation) = self.reservation.take() {
            self.limits.lock().settle(clock::now(), reservation, settled);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.settle(Settled::Failed);
    }
}
