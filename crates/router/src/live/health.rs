//! The ejection state that outlives snapshots: one cell per ProviderTarget and one per model of it,
//! found again by name when a snapshot is assembled.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use routing::{
    Nanos,
    ejection::{Availability, Ejected, Ejection, Event},
    outcome::Fault,
    snapshot::CompiledEjection,
};

/// One ejection, shared by all requests.
#[derive(Debug)]
pub(crate) struct Cell {
    /// Whether it has nothing to say, so that healthy targets cost no lock.
    quiet: AtomicBool,
    ejection: Mutex<Ejection>,
}

impl Default for Cell {
    fn default() -> Self {
        Self { quiet: AtomicBool::new(true), ejection: Mutex::default() }
    }
}

impl Cell {
    /// Whether a new request may be sent.
    pub(crate) fn availability(&self, now: Nanos) -> Availability {
        if self.quiet.load(Ordering::Acquire) {
            return Availability::Available;
        }
        self.ejection.lock().availability(now)
    }

    /// What it was ejected by, until it succeeds.
    pub(crate) fn cause(&self) -> Option<Fault> {
        if self.quiet.load(Ordering::Acquire) {
            return None;
        }
        self.ejection.lock().cause()
    }

    /// Claims the right to send a request.
    pub(crate) fn claim(&self, now: Nanos, force: bool) -> bool {
        self.quiet.load(Ordering::Acquire) || self.ejection.lock().claim(now, force)
    }

    /// Takes in what happened; says what that changed.
    pub(crate) fn step(&self, policy: &CompiledEjection, now: Nanos, event: Event) -> Change {
        let nothing = matches!(
            event,
            Event::Success | Event::Neutral | Event::Reached | Event::CredentialChanged
        );
        if nothing && self.quiet.load(Ordering::Acquire) {
            return Change::None;
        }
        let mut ejection = self.ejection.lock();
        let was_quiet = ejection.is_quiet();
        let was = ejection.availability(now);
        let ejected = ejection.step(policy, now, event);
        let quiet = ejection.is_quiet();
        self.quiet.store(quiet, Ordering::Release);
        match ejected {
            Some(ejected) if is_prolonged(was, now, ejected.hard) => Change::Prolonged(ejected),
            Some(ejected) => Change::Ejected(ejected),
            None if quiet && !was_quiet => Change::Healed,
            None => Change::None,
        }
    }
}

/// Whether an ejection is one that there was before, longer: it failed again while nothing else was
/// left, or a request was under way when it began. A hard one after a soft one is another.
fn is_prolonged(was: Availability, now: Nanos, hard: bool) -> bool {
    match was {
        Availability::Available => false,
        // Half-open, its time has passed.
        Availability::Soft { until } => until > now && !hard,
        Availability::Hard { until, .. } => until > now,
    }
}

/// What an event changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing to tell.
    None,
    /// It is ejected.
    Ejected(Ejected),
    /// It was ejected, and is for longer.
    Prolonged(Ejected),
    /// It had failed, and is in use again.
    Healed,
}
