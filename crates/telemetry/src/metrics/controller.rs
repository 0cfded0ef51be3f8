//! The metrics of a controller.

use std::time::Duration;

use parking_lot::Mutex;
use prometheus::core::Collector as _;

use super::{Count, SnapshotFacts, encode, family::Families};
use crate::names;

/// How a write of status ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusWrite {
    /// It stands.
    Written,
    /// Somebody else wrote first.
    Conflict,
    /// It was refused or not answered.
    Failed,
}

/// What became of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventEnd {
    /// It stands, or is counted on one that does.
    Written,
    /// It was refused or not answered.
    Failed,
    /// There were too many, or another replica writes by now.
    Dropped,
}

/// Why a sweep got no report of a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepFailure {
    /// It cannot be connected to, or the connection broke.
    Unreachable,
    /// It did not answer in time.
    Timeout,
    /// It answered with another status than 200.
    Status,
    /// What it reports cannot be kept.
    Report,
}

impl SweepFailure {
    const ALL: [Self; 4] = [Self::Unreachable, Self::Timeout, Self::Status, Self::Report];

    fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Status => "status",
            Self::Report => "report",
        }
    }
}

/// Why somebody is refused on the stream's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamRefusal {
    /// It came without one bearer token.
    NoToken,
    /// The token is not valid: forged, expired, or of another audience.
    Token,
    /// The token is of another ServiceAccount.
    Account,
    /// It spoke plain HTTP.
    PlainHttp,
    /// The API server could not be asked about the token.
    Unavailable,
}

impl StreamRefusal {
    const ALL: [Self; 5] =
        [Self::NoToken, Self::Token, Self::Account, Self::PlainHttp, Self::Unavailable];

    /// As the metric and the refusal say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoToken => "NoToken",
            Self::Token => "Token",
            Self::Account => "Account",
            Self::PlainHttp => "PlainHttp",
            Self::Unavailable => "Unavailable",
        }
    }
}

/// The last sweep of the ready routers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sweep {
    took: Duration,
    silent: u64,
}

/// All metrics of a controller's process.
pub struct ControllerMetrics {
    /// Routers that are connected.
    pub routers: Count,
    /// Views of the fleet that were too long for a frame.
    pub fleet_cut: Count,
    /// Whether this replica holds the Lease; 1 or 0.
    pub leader: Count,
    stream_refusals: [Count; StreamRefusal::ALL.len()],
    ready: Mutex<Option<u32>>,
    sweeps: Count,
    last_sweep: Mutex<Option<Sweep>>,
    sweep_failures: [Count; SweepFailure::ALL.len()],
    compiled: Count,
    last_compile: Mutex<Duration>,
    writes: [Count; 3],
    events: [Count; 3],
    /// Whether the API server has not answered for a while.
    away: Count,
    /// What cannot be read, as resource and namespace (empty for all).
    unknown: Mutex<Vec<(String, String)>>,
    snapshot: Mutex<Option<SnapshotFacts>>,
    process: prometheus::process_collector::ProcessCollector,
}

impl Default for ControllerMetrics {
    fn default() -> Self {
        Self {
            routers: Count::default(),
            fleet_cut: Count::default(),
            leader: Count::default(),
            stream_refusals: Default::default(),
            ready: Mutex::default(),
            sweeps: Count::default(),
            last_sweep: Mutex::default(),
            sweep_failures: Default::default(),
            compiled: Count::default(),
            last_compile: Mutex::default(),
            writes: Default::default(),
            events: Default::default(),
            away: Count::default(),
            unknown: Mutex::default(),
            snapshot: Mutex::default(),
            process: prometheus::process_collector::ProcessCollector::for_self(),
        }
    }
}

impl std::fmt::Debug for ControllerMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControllerMetrics").finish_non_exhaustive()
    }
}

impl ControllerMetrics {
    /// A compilation ended, and its snapshot is served.
    pub fn compiled(&self, took: Duration, facts: SnapshotFacts) {
        self.compiled.inc();
        *self.last_compile.lock() = took;
        *self.snapshot.lock() = Some(facts);
    }

    /// A write of status ended.
    pub fn status_write(&self, end: StatusWrite) {
        self.writes[end as usize].inc();
    }

    /// An Event was told, or was not.
    pub fn event(&self, end: EventEnd) {
        self.events[end as usize].inc();
    }

    /// Somebody was refused on the stream's port.
    pub fn stream_refused(&self, why: StreamRefusal) {
        self.stream_refusals[why as usize].inc();
    }

    /// So many routers are ready; `None`: it cannot be told.
    pub fn set_ready(&self, routers: Option<u32>) {
        *self.ready.lock() = routers;
    }

    /// A sweep ended, which got no report of so many routers.
    pub fn swept(&self, took: Duration, silent: u64) {
        self.sweeps.inc();
        *self.last_sweep.lock() = Some(Sweep { took, silent });
    }

    /// A sweep got no report of a router.
    pub fn sweep_failed(&self, why: SweepFailure) {
        self.sweep_failures[why as usize].inc();
    }

    /// The API server answers, or has not for a while.
    pub fn set_away(&self, away: bool) {
        self.away.set(u64::from(away));
    }

    /// These resources (of one namespace, or of all: empty) cannot be read.
    pub fn set_unknown(&self, unknown: Vec<(String, String)>) {
        *self.unknown.lock() = unknown;
    }

    /// The text of `/metrics`.
    pub fn render(&self) -> String {
        let mut families = Families::new();
        families.add(&names::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
        families.count(&names::ROUTERS_CONNECTED, &[], self.routers.get());
        for (why, refusals) in StreamRefusal::ALL.iter().zip(&self.stream_refusals) {
            families.count(&names::STREAM_REFUSALS, &[why.name()], refusals.get());
        }
        families.count(&names::LEADER, &[], self.leader.get());
        if let Some(ready) = *self.ready.lock() {
            families.count(&names::ROUTERS_READY, &[], ready.into());
        }
        if let Some(Sweep { took, silent }) = *self.last_sweep.lock() {
            families.count(&names::SWEEPS, &[], self.sweeps.get());
            families.add(&names::SWEEP_DURATION, &[], took.as_secs_f64());
            families.count(&names::ROUTERS_SILENT, &[], silent);
            for (why, failures) in SweepFailure::ALL.iter().zip(&self.sweep_failures) {
                families.count(&names::SWEEP_FAILURES, &[why.name()], failures.get());
            }
            families.count(&names::FLEET_CUT, &[], self.fleet_cut.get());
        }
        families.count(&names::COMPILATIONS, &[], self.compiled.get());
        families.add(&names::COMPILE_DURATION, &[], self.last_compile.lock().as_secs_f64());
        families.count(&names::API_SERVER_AWAY, &[], self.away.get());
        for (outcome, writes) in ["written", "conflict", "failed"].iter().zip(&self.writes) {
            families.count(&names::STATUS_WRITES, &[outcome], writes.get());
        }
        for (outcome, events) in ["written", "failed", "dropped"].iter().zip(&self.events) {
            families.count(&names::EVENTS, &[outcome], events.get());
        }
        for (resource, namespace) in &*self.unknown.lock() {
            families.add(&names::UNKNOWN_RESOURCES, &[resource, namespace], 1.0);
        }
        if let Some(facts) = &*self.snapshot.lock() {
            families.snapshot(facts);
        }
        let mut families = families.finish();
        families.extend(self.process.collect());
        encode(families)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_named() {
        let metrics = ControllerMetrics::default();
        metrics.set_unknown(vec![("secrets".to_owned(), "shop".to_owned())]);
        metrics.status_write(StatusWrite::Conflict);
        metrics.compiled(
            Duration::from_millis(3),
            SnapshotFacts { revision: "r1".to_owned(), aliases: 2, targets: 1, held: 1 },
        );
        let text = metrics.render();
        for line in [
            "moniker_controller_unknown_resources{resource=\"secrets\",namespace=\"shop\"} 1",
            "moniker_controller_status_writes_total{outcome=\"conflict\"} 1",
            "moniker_controller_last_compile_seconds 0.003",
            "moniker_snapshot_info{revision=\"r1\"} 1",
            "moniker_snapshot_held_resources 1",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
