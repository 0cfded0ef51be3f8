//! Every metric: its name, what it tells, its type and its labels. The text of `/metrics` and the
//! reference documentation both come from here, and no other file holds a name.
//!
//! The label `alias` is namespace/name of a ModelAlias, `target` is namespace/ProviderTarget/model;
//! no label ever holds what a caller typed.

/// How a metric is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts of observations in buckets.
    Histogram,
}

impl Kind {
    /// The word for it in `/metrics`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it tells.
    pub help: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
}

/// `alias` of a request whose model is no alias that its caller may name.
pub const UNKNOWN_ALIAS: &str = "unknown";
/// `alias` of a request that named no model: malformed, too large, or to a path that is not served.
pub const NO_ALIAS: &str = "none";

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(#[doc = $help] pub const $constant: Metric = Metric {
            name: $name, help: $help, kind: Kind::$kind, labels: &[$($label),*],
        };)+

        /// Every metric of the table, in order. Those of the process itself (`process_*`) are
        /// beside it.
        pub const ALL: &[&Metric] = &[$(&$constant),+];
    };
}

metrics! {
    REQUESTS = Counter "moniker_requests_total" ["alias", "code"]
        "Requests that ended, by how: the class of the status that the caller got (2xx, 4xx, 5xx), cut (a stream that broke off after content) or left (the caller went away). alias is \"unknown\" for a model that is none, \"none\" where none was named.";
    REQUEST_DURATION = Histogram "moniker_request_duration_seconds" ["alias"]
        "Time from a request's head to the end of its answer.";
    REQUESTS_IN_FLIGHT = Gauge "moniker_requests_in_flight" ["alias"]
        "Requests that are being served.";
    ATTEMPTS = Counter "moniker_attempts_total" ["alias", "target", "outcome"]
        "Attempts that ended, by the class of their outcome.";
    ATTEMPT_DURATION = Histogram "moniker_attempt_duration_seconds" ["alias", "target"]
        "Time from the start of an attempt to the end of its answer, successful ones only.";
    TIME_TO_FIRST_TOKEN = Histogram "moniker_time_to_first_token_seconds" ["alias", "target"]
        "Time from the start of a streaming attempt to its first content.";
    TOKENS = Counter "moniker_tokens_total" ["alias", "target", "direction"]
        "Tokens as the providers counted them, by direction: input or output.";
    STREAMS_TRUNCATED = Counter "moniker_streams_truncated_total" ["alias", "target"]
        "Streams that ended after content without their dialect's terminal event.";
    ATTEMPTS_IN_FLIGHT = Gauge "moniker_attempts_in_flight" ["target"]
        "Attempts that a target is working on, of all aliases.";
    EJECTIONS = Counter "moniker_ejections_total" ["target", "outcome"]
        "Times that a target was ejected, by the outcome that led to it.";
    TARGET_EJECTED = Gauge "moniker_target_ejected" ["target"]
        "Whether a target is ejected (1) or may be tried (0).";
    SNAPSHOT_INFO = Gauge "moniker_snapshot_info" ["revision"]
        "The revision of the snapshot that is served from; always 1.";
    SNAPSHOT_AGE = Gauge "moniker_snapshot_age_seconds" []
        "Time since the snapshot was last confirmed to be the controller's current one.";
    SNAPSHOT_APPLIED = Counter "moniker_snapshots_applied_total" []
        "Snapshots that were applied.";
    SNAPSHOT_REJECTIONS = Counter "moniker_snapshot_rejections_total" []
        "Resources, or whole transmissions, that were rejected because they could not be used.";
    SNAPSHOT_REFUSALS = Counter "moniker_snapshot_refusals_total" []
        "Resources that were refused because they are older than what is held.";
    SNAPSHOT_HELD = Gauge "moniker_snapshot_held_resources" []
        "Resources that are held at their last good form, because the current one is invalid.";
    SNAPSHOT_ALIASES = Gauge "moniker_snapshot_aliases" []
        "Aliases in the snapshot.";
    SNAPSHOT_TARGETS = Gauge "moniker_snapshot_targets" []
        "ProviderTargets in the snapshot.";
    LINK_CONNECTED = Gauge "moniker_link_connected" []
        "Whether the router is connected to a controller (1) or not (0).";
    ROUTERS_CONNECTED = Gauge "moniker_controller_routers_connected" []
        "Routers that hold a watch stream of this controller.";
    COMPILATIONS = Counter "moniker_controller_compilations_total" []
        "Compilations of everything that the controller sees.";
    COMPILE_DURATION = Gauge "moniker_controller_last_compile_seconds" []
        "How long the last compilation took.";
    STATUS_WRITES = Counter "moniker_controller_status_writes_total" ["outcome"]
        "Writes of status that ended: written, conflict (somebody else wrote first) or failed.";
    API_SERVER_AWAY = Gauge "moniker_controller_api_server_away" []
        "Whether the API server has not answered for 15 seconds (1) or answers (0).";
    UNKNOWN_RESOURCES = Gauge "moniker_controller_unknown_resources" ["resource", "namespace"]
        "Resources that the controller cannot read, so that routers keep what they have of them; always 1.";
    BUILD_INFO = Gauge "moniker_build_info" ["version"]
        "The version that runs; always 1.";
}
