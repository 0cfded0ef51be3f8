//! Every metric: its name, what it tells, its type and its labels. The text of `/metrics` and the
//! reference documentation both come from here, and no other file holds a name.
//!
//! The label `alias` is namespace/name of a ModelAlias, `target` is namespace/ProviderTarget/model,
//! `provider_target` namespace/name of a ProviderTarget, `access_key` that of an AccessKey; no label ever holds what a caller typed.

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

/// `access_key` of AccessKeys beyond those that have series of their own.
pub const OTHER_KEYS: &str = "other";

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
    CATEGORY_REQUESTS = Counter "moniker_category_requests_total" ["alias", "category", "by"]
        "Requests of an alias that chooses by category, by the category whose lineup they took (a configured one, or default) and what told it: header, rule (a keyword or regex), examples, builtin, judge, or nothing (no text, no header, no judge that answered).";
    CATEGORY_CONFIDENCE = Histogram "moniker_category_confidence" ["alias", "category"]
        "How sure the detector was of the likeliest category, from 0 to 1; under default, of the category that was not sure enough or has no lineup.";
    CATEGORY_JUDGE = Counter "moniker_category_judge_total" ["alias", "outcome"]
        "Questions to the judge of an alias that chooses by category: answered, cached (answered before), timeout, nonsense (no category's name), failed, or skipped (its targets are ejected, or it is not there). All but the first two went to default.";
    ATTEMPTS = Counter "moniker_attempts_total" ["alias", "target", "outcome"]
        "Attempts that ended, by the class of their outcome.";
    ATTEMPT_DURATION = Histogram "moniker_attempt_duration_seconds" ["alias", "target"]
        "Time from the start of an attempt to the end of its answer, successful ones only.";
    TIME_TO_FIRST_TOKEN = Histogram "moniker_time_to_first_token_seconds" ["alias", "target"]
        "Time from the start of a streaming attempt to its first content.";
    TOKENS = Counter "moniker_tokens_total" ["alias", "target", "direction"]
        "Tokens of what was answered, by direction: input or output. As the provider counted them; estimated where it did not (a caller who left, a stream that broke off).";
    ESTIMATES = Counter "moniker_estimated_usage_total" ["alias", "target"]
        "Attempts whose tokens were estimated, because the provider did not count them.";
    COST = Counter "moniker_cost_total" ["alias", "target"]
        "What the answers cost, in the currency of the prices. What has no price is not in it.";
    STREAMS_TRUNCATED = Counter "moniker_streams_truncated_total" ["alias", "target"]
        "Streams that ended after content without their dialect's terminal event.";
    ATTEMPTS_IN_FLIGHT = Gauge "moniker_attempts_in_flight" ["target"]
        "Attempts that a target is working on, of all aliases.";
    EJECTIONS = Counter "moniker_ejections_total" ["target", "outcome"]
        "Times that a target was ejected, by the outcome that led to it.";
    TARGET_EJECTED = Gauge "moniker_target_ejected" ["target"]
        "Whether a target is ejected (1) or may be tried (0).";
    PROBES = Counter "moniker_probes_total" ["provider_target", "outcome"]
        "Probes of a ProviderTarget (namespace/name) by this router, by the class of their outcome.";
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
    KEPT_FAILURES = Counter "moniker_last_known_good_failures_total" ["what"]
        "Times that the last known good could not be written down: the snapshot (--state-dir) or the credentials (--credential-dir). It is tried again.";
    LINK_CONNECTED = Gauge "moniker_link_connected" []
        "Whether the router is connected to a controller (1) or not (0).";
    FLEET_AGE = Gauge "moniker_fleet_view_age_seconds" []
        "Time since the controller last told what all other routers saw.";
    FLEET_ROUTERS = Gauge "moniker_fleet_routers" []
        "Routers that are ready, as the controller last told it with its view of the fleet.";
    FEEDBACK = Gauge "moniker_target_feedback" ["target", "scale", "part"]
        "Decayed sums of what attempts at a target showed in the last minutes, in two time scales. They add up over routers; the controller sends each router the sum of all others.";
    LIMIT_DEMAND = Gauge "moniker_limit_demand" ["provider_target", "quota", "dimension"]
        "What was asked for under a limit of a ProviderTarget over the last 60 s, refused included; in flight: the most at one moment of them. quota is empty for maxInFlight.";
    LIMIT_USED = Gauge "moniker_limit_used" ["provider_target", "quota", "dimension"]
        "What was used of a limit of a ProviderTarget over the last 60 s, reservations included; in flight: now.";
    LIMIT_RECENT = Gauge "moniker_limit_recent" ["provider_target", "quota", "dimension"]
        "What of moniker_limit_used is of the last 10 s.";
    KEY_TOKENS = Counter "moniker_access_key_tokens_total" ["access_key", "direction"]
        "Tokens of what was answered to the callers of an AccessKey (namespace/name), by direction: input or output; counted as moniker_tokens_total. access_key is \"other\" beyond 2,000 of them.";
    KEY_COST = Counter "moniker_access_key_cost_total" ["access_key"]
        "What the answers to the callers of an AccessKey cost, in the currency of the prices. What has no price is not in it.";
    KEY_REFUSALS = Counter "moniker_access_key_refusals_total" ["access_key", "limit"]
        "Requests that were refused because their AccessKey was at a limit, by what that counts: Requests, Tokens, InFlight or Budget.";
    KEY_LIMIT_DEMAND = Gauge "moniker_access_key_limit_demand" ["access_key", "uid", "dimension"]
        "What was asked for under a limit of an AccessKey over the last 60 s, refused included; in flight: the most at one moment of them. uid tells it from another of that name.";
    KEY_LIMIT_USED = Gauge "moniker_access_key_limit_used" ["access_key", "uid", "dimension"]
        "What was used of a limit of an AccessKey over the last 60 s, reservations included; in flight: now.";
    KEY_LIMIT_RECENT = Gauge "moniker_access_key_limit_recent" ["access_key", "uid", "dimension"]
        "What of moniker_access_key_limit_used is of the last 10 s.";
    KEY_SPENT = Counter "moniker_access_key_spent_total" ["access_key", "uid", "run"]
        "What this router spent of the budget of an AccessKey since it started, exact to the last digit. run tells one start of a router from the next.";
    KEY_STORED = Gauge "moniker_access_key_spent_stored" ["access_key", "uid"]
        "What of moniker_access_key_spent_total is known to be in the AccessKey's status.";
    KEY_SPENDING = Gauge "moniker_access_key_spending" ["access_key", "uid"]
        "The price of what was asked for under the budget of an AccessKey over the last 60 s, refused included.";
    CREDENTIAL_FAULT = Gauge "moniker_credential_fault" ["provider_target", "outcome"]
        "ProviderTargets whose credential the provider refuses (Auth) or that are out of credit (OutOfCredit); always 1.";
    ROUTERS_CONNECTED = Gauge "moniker_controller_routers_connected" []
        "Routers that hold a watch stream of this controller.";
    STREAM_REFUSALS = Counter "moniker_controller_stream_refusals_total" ["reason"]
        "Requests on the stream's port that were refused: NoToken, Token (not valid, or of another audience), Account (of another ServiceAccount), PlainHttp, or Unavailable (the API server could not be asked).";
    LEADER = Gauge "moniker_controller_leader" []
        "Whether this replica holds the Lease and so writes status (1) or not (0).";
    ROUTERS_READY = Gauge "moniker_controller_routers_ready" []
        "Routers that are ready and so are swept; absent while the controller cannot tell.";
    ROUTERS_SILENT = Gauge "moniker_controller_routers_silent" []
        "Ready routers that the last sweep got no report of; their last one goes on, aged.";
    SWEEPS = Counter "moniker_controller_sweeps_total" []
        "Sweeps of all ready routers that ended.";
    SWEEP_DURATION = Gauge "moniker_controller_last_sweep_seconds" []
        "How long the last sweep took.";
    SWEEP_FAILURES = Counter "moniker_controller_sweep_failures_total" ["reason"]
        "Reports that a sweep did not get: unreachable, timeout, status (another than 200) or report (it cannot be kept).";
    FLEET_CUT = Counter "moniker_controller_fleet_views_cut_total" []
        "Views of the fleet that were too long for a frame, so that the targets with the fewest attempts were left out.";
    COMPILATIONS = Counter "moniker_controller_compilations_total" []
        "Compilations of everything that the controller sees.";
    COMPILE_DURATION = Gauge "moniker_controller_last_compile_seconds" []
        "How long the last compilation took.";
    STATUS_WRITES = Counter "moniker_controller_status_writes_total" ["outcome"]
        "Writes of status that ended: written, conflict (somebody else wrote first) or failed.";
    EVENTS = Counter "moniker_controller_events_total" ["outcome"]
        "Events about transitions of conditions, by what came of them: written, failed (refused or not answered) or dropped (more than the bounds on their rate allow, or another replica writes by now).";
    API_SERVER_AWAY = Gauge "moniker_controller_api_server_away" []
        "Whether the API server has not answered for 15 seconds (1) or answers (0).";
    UNKNOWN_RESOURCES = Gauge "moniker_controller_unknown_resources" ["resource", "namespace"]
        "Resources that the controller cannot read, so that routers keep what they have of them; always 1.";
    BUILD_INFO = Gauge "moniker_build_info" ["version"]
        "The version that runs; always 1.";
}
