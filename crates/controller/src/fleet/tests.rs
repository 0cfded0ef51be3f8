//! Sweeps of routers that answer, hang, lie and leave, over real sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Once};
use std::time::Duration;

use api::{AccessKey, HealthFault, ProviderTarget};
use axum::response::Redirect;
use compiler::{Stored, World, compile};
use futures::StreamExt as _;
use parking_lot::Mutex;
use routing::fleet::{
    Dimension, Draw, FleetView, KeyId, KeyReport, LimitKey, ModelKey, Report, Spending,
};
use routing::spend::{Counter, Ledger};
use routing::stats::{Part, Sums, TimeScale};
use routing::{Digest, Money, ObjectId, RoutingSnapshot, outcome::Fault};
use telemetry::{ControllerMetrics, feedback};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Discovery, Fleet, Joined, Settings};

fn target() -> ObjectId {
    ObjectId::new("shop", "t")
}

/// A target `t` with a quota, a bound on requests in flight and a probe.
fn snapshot() -> RoutingSnapshot {
    let target: ProviderTarget = serde_json::from_value(serde_json::json!({
        "apiVersion": "moniker.dev/v1alpha1", "kind": "ProviderTarget",
        "metadata": {"namespace": "shop", "name": "t", "resourceVersion": "5"},
        "spec": {
            "provider": "OpenAI",
            "auth": {"type": "None"},
            "models": [{"name": "m"}],
            "quotas": [{"name": "main", "tokensPerMinute": 1200}],
            "maxInFlight": 12,
            "probe": {"interval": "30s"},
        },
    }))
    .unwrap();
    let key: AccessKey = serde_json::from_value(serde_json::json!({
        "apiVersion": "moniker.dev/v1alpha1",
        "kind": "AccessKey",
        "metadata": {"namespace": "shop", "name": "checkout", "uid": "one"},
        "spec": {
            "secretRef": {"name": "s", "key": "k"},
            "limits": {"requestsPerMinute": 90, "maxInFlight": 9},
            "budget": {"amount": "10", "period": "Month"},
            "budget": {"amount": "10", "period": "Month"},
        },
    }))
    .unwrap();
    let world = World {
        targets: [(self::target(), stored(target))].into(),
        keys: [(access_key("one").id, stored(key))].into(),
        ..World::default()
    };
    compile(&world).snapshot
}

fn stored<T>(object: T) -> Stored<T> {
    Stored { version: 5, generation: 1, created: 1, object: Arc::new(object) }
}

/// The key of a caller, of this uid.
fn access_key(uid: &str) -> KeyId {
    KeyId { id: ObjectId::new("shop", "checkout"), uid: Digest::of(uid.as_bytes()) }
}

/// What a router reports that made so many attempts, and asked for so many tokens.
fn report(attempts: f64, tokens: f64) -> Report {
    let mut sums = Sums::default();
    sums.observe(Part::Attempts, attempts);
    let known = ModelKey { target: target(), model: "m".to_owned() };
    let gone = ModelKey { target: target(), model: "gone".to_owned() };
    let quota = Some("main".to_owned());
    let limit = LimitKey { target: target(), quota, dimension: Dimension::Tokens };
    let draw = Draw { demand: tokens, used: tokens, recent: tokens / 6.0 };
    Report {
        models: [(known, sums), (gone, sums)].into(),
        limits: [(limit, draw)].into(),
        ..Report::default()
    }
}

/// A fleet that is swept as long as this lives.
struct Swept {
    fleet: Fleet,
    metrics: Arc<ControllerMetrics>,
    _stop: DropGuard,
}

impl Swept {
    fn start() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        });
        let metrics = Arc::new(ControllerMetrics::default());
        let interval = Duration::from_millis(50);
        let discovery = Discovery::Streams;
        let settings = Settings { interval, discovery, metrics: Arc::clone(&metrics) };
        let fleet = Fleet::new(settings).unwrap();
        fleet.serve(&snapshot());
        let stop = CancellationToken::new();
        let (swept, stopped) = (fleet.clone(), stop.clone());
        tokio::spawn(async move { swept.run(stopped).await });
        Self { fleet, metrics, _stop: stop.drop_guard() }
    }

    fn join(&self, name: &str, admin: SocketAddr) -> Joined {
        self.fleet.join(name, admin).unwrap()
    }

    /// What the router is told, once it is as it should be.
    async fn until(&self, router: &str, good: impl Fn(&FleetView) -> bool) -> FleetView {
        let mut rounds = self.fleet.rounds();
        loop {
            if let Some(view) = self.fleet.view(router)
                && good(&view)
            {
                return view;
            }
            rounds.changed().await.unwrap();
        }
    }

    /// Waits for two more sweeps: the first may have begun before.
    async fn swept(&self) {
        let mut rounds = self.fleet.rounds();
        for _ in 0..2 {
            rounds.changed().await.unwrap();
        }
    }

    /// Waits until `/metrics` has this line.
    async fn counts(&self, line: &str) {
        let mut rounds = self.fleet.rounds();
        while !self.metrics.render().lines().any(|one| one == line) {
            rounds.changed().await.unwrap();
        }
    }
}

/// An admin port that answers with what this gives.
async fn serve(routes: axum::Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

/// The admin port of a router that reports this, until it is changed.
async fn reporting(report: Report) -> (SocketAddr, Arc<Mutex<Report>>) {
    let report = Arc::new(Mutex::new(report));
    let told = Arc::clone(&report);
    let metrics = axum::routing::get(move || {
        let text = feedback::text(&told.lock());
        async move { text }
    });
    (serve(axum::Router::new().route("/metrics", metrics)).await, report)
}

/// An admin port that takes connections and never answers.
async fn hanging() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    address
}

/// The slow sum of attempts at `model`, if the view tells any.
fn attempts(view: &FleetView, model: &str) -> Option<f64> {
    let model = view.models.iter().find(|one| one.model == model)?;
    Some(model.sums.get(TimeScale::Slow, Part::Attempts))
}

/// As much as this, but for what fades while a test runs.
fn about(told: Option<f64>, wanted: f64) -> bool {
    told.is_some_and(|told| told <= wanted && told > wanted * 0.5)
}

#[tokio::test]
async fn each_is_told_what_all_others_saw_and_its_share() {
    let swept = Swept::start();
    let mut joined = Vec::new();
    for (name, attempts) in [("a", 1.0), ("b", 10.0), ("c", 100.0)] {
        let (admin, _) = reporting(report(attempts, 600.0)).await;
        joined.push(swept.join(name, admin));
    }
    for (name, others) in [("a", 110.0), ("b", 101.0), ("c", 11.0)] {
        let view = swept.until(name, |view| about(attempts(view, "m"), others)).await;
        assert_eq!(view.routers, 3);
        assert_eq!(attempts(&view, "gone"), None, "the target offers no such model");
        let [in_flight, tokens] = &view.limits[..] else { panic!("{:?}", view.limits) };
        assert_eq!((in_flight.key.dimension, in_flight.share), (Dimension::InFlight, 4.0));
        assert!((tokens.share - 400.0).abs() < 1.0, "{tokens:?}");
        assert!(about(Some(tokens.others.used), 1200.0), "{tokens:?}");
    }
    let probes: Vec<_> = ["a", "b", "c"].map(|r| swept.fleet.view(r).unwrap().probes).concat();
    assert_eq!(probes, [target()], "one of them probes it");
    swept.counts("moniker_controller_routers_ready 3").await;

    // One that is not ready yet is told what one more would be, and probes nothing.
    let guest = swept.fleet.view("new").unwrap();
    assert!(about(attempts(&guest, "m"), 111.0), "{guest:?}");
    assert_eq!((guest.routers, guest.probes), (3, Vec::new()));
}

#[tokio::test]
async fn the_share_of_a_callers_key_follows_demand_and_only_what_is_there_is_told() {
    let swept = Swept::start();
    let draws = |demand: f64| {
        let draw = Draw { demand, used: demand, recent: demand / 6.0 };
        let draws = [(Dimension::Requests, draw), (Dimension::Tokens, draw)].into();
        KeyReport { draws, spending: None }
    };
    let report = |demand| Report {
        keys: [(access_key("one"), draws(demand)), (access_key("gone"), draws(demand))].into(),
        ..Report::default()
    };
    let (a, _) = reporting(report(60.0)).await;
    let (b, said) = reporting(Report::default()).await;
    let _joined = [swept.join("a", a), swept.join("b", b)];
    let share = |view: &FleetView| {
        let [told] = &view.keys[..] else { return None };
        assert_eq!(told.key, access_key("one"));
        // In flight too: whoever has no demand there has a part all the same.
        assert_eq!(told.limits.len(), 2, "the key has no limit of tokens: {told:?}");
        told.limits.iter().find(|l| l.dimension == Dimension::Requests).map(|l| l.share)
    };
    swept.until("a", |view| share(view).is_some_and(|s| (s - 81.0).abs() < 1e-6)).await;
    let view = swept.until("b", |view| share(view).is_some_and(|s| (s - 9.0).abs() < 1e-6)).await;
    assert!((view.keys[0].limits[0].others.used - 60.0).abs() < 60.0, "{view:?}");
    *said.lock() = report(60.0);
    swept.until("b", |view| share(view).is_some_and(|s| (s - 45.0).abs() < 1.0)).await;
}

/// What one run of a router reports that has spent this.
fn spending(run: &str, spent: &str) -> Report {
    let counter = Counter { spent: Money::parse(spent).unwrap(), counted: Money::ZERO };
    let spending = Some(Spending { counter, demand: 1.0 });
    let seen = KeyReport { draws: BTreeMap::new(), spending };
    Report {
        run: run.to_owned(),
        keys: [(access_key("one"), seen.clone()), (access_key("gone"), seen)].into(),
        ..Report::default()
    }
}

#[tokio::test]
async fn what_runs_spent_adds_up_whatever_starts_again_and_whoever_leaves() {
    let swept = Swept::start();
    let (a, said) = reporting(spending("x", "1.25")).await;
    let (b, other) = reporting(spending("x", "0.5")).await;
    let joined = swept.join("a", a);
    let leaving = swept.join("b", b);
    let spent = |view: &FleetView| view.keys.first()?.budget.map(|word| word.spent.to_string());
    let is = |text: &'static str| move |view: &FleetView| spent(view).as_deref() == Some(text);
    let view = swept.until("a", is("1.75")).await;
    let word = view.keys[0].budget.unwrap();
    assert_eq!((word.at.to_string(), word.part), ("1.25".to_owned(), 500_000_000));
    // One that is ready no longer is asked as long as it answers, and nothing of it is lost.
    drop(leaving);
    *other.lock() = spending("x", "0.75");
    swept.until("a", is("2")).await;
    // Another run of a router begins at nothing.
    *said.lock() = spending("y", "0.1");
    swept.until("a", is("2.1")).await;
    // What is stored by another controller is not counted again.
    let money = |text| Money::parse(text).unwrap();
    let stored = Ledger {
        period_start: word.period_start,
        spent: money("5"),
        sources: [
            ("a/x".to_owned(), money("1.25")),
            ("a/y".to_owned(), money("0.05")),
            ("b/x".to_owned(), money("0.75")),
        ]
        .into(),
    };
    let uid = access_key("one").uid;
    swept.fleet.store([(access_key("one").id, (uid, stored))].into());
    let view = swept.until("a", is("5.05")).await;
    assert_eq!(view.keys[0].budget.unwrap().counted.to_string(), "0.05");
    let spends = swept.fleet.spends().borrow().clone();
    assert_eq!(spends.keys().collect::<Vec<_>>(), [&access_key("one")]);
    drop(joined);
}

#[tokio::test]
async fn one_that_hangs_keeps_nobody_from_being_told() {
    let swept = Swept::start();
    let (a, _) = reporting(report(1.0, 0.0)).await;
    let (b, _) = reporting(report(10.0, 0.0)).await;
    let _joined = [swept.join("a", a), swept.join("b", b), swept.join("h", hanging().await)];
    swept.until("a", |view| view.routers == 3 && about(attempts(view, "m"), 10.0)).await;
    swept.until("h", |view| about(attempts(view, "m"), 11.0)).await;
    swept.counts("moniker_controller_routers_silent 1").await;
    assert!(!swept.metrics.render().contains("failures_total{reason=\"timeout\"} 0"));
}

#[tokio::test]
async fn one_that_falls_silent_keeps_its_last_report_until_it_leaves() {
    let swept = Swept::start();
    let (a, _) = reporting(report(1.0, 0.0)).await;
    let _a = swept.join("a", a);
    // It answers once, and never again.
    let answered = Arc::new(Mutex::new(false));
    let once = axum::routing::get(move || {
        let first = !std::mem::replace(&mut *answered.lock(), true);
        async move {
            if first { feedback::text(&report(10.0, 0.0)) } else { std::future::pending().await }
        }
    });
    let b = swept.join("b", serve(axum::Router::new().route("/metrics", once)).await);
    swept.until("a", |view| about(attempts(view, "m"), 10.0)).await;
    swept.counts("moniker_controller_routers_silent 1").await;
    let aged = swept.fleet.view("a").unwrap();
    assert!(about(attempts(&aged, "m"), 10.0) && aged.routers == 2, "{aged:?}");
    drop(b);
    assert_eq!(swept.fleet.routers(), Some(1));
    swept.until("a", |view| attempts(view, "m").is_none()).await;
    swept.counts("moniker_controller_routers_silent 0").await;
}

#[tokio::test]
async fn one_that_never_ends_or_leads_elsewhere_is_not_believed() {
    let swept = Swept::start();
    let (a, _) = reporting(report(1.0, 0.0)).await;
    // Lines that are right, without end.
    let endless = axum::routing::get(|| async {
        let line = |n: u64| {
            format!("moniker_limit_used{{provider_target=\"shop/t{n}\",dimension=\"Tokens\"}} 1\n")
        };
        let lines = futures::stream::iter(0_u64..).map(move |n| {
            Ok::<_, std::convert::Infallible>(
                (n * 500..(n + 1) * 500).map(line).collect::<String>(),
            )
        });
        axum::body::Body::from_stream(lines)
    });
    let endless = serve(axum::Router::new().route("/metrics", endless)).await;
    // Another's report is not one's own.
    let elsewhere = format!("http://{a}/metrics");
    let elsewhere = axum::routing::get(move || async move { Redirect::temporary(&elsewhere) });
    let elsewhere = serve(axum::Router::new().route("/metrics", elsewhere)).await;
    let _joined =
        [swept.join("a", a), swept.join("endless", endless), swept.join("else", elsewhere)];
    let view = swept.until("new", |view| view.routers == 3 && attempts(view, "m").is_some()).await;
    swept.swept().await;
    assert!(about(attempts(&view, "m"), 1.0), "{view:?}");
    swept.counts("moniker_controller_routers_silent 2").await;
    let text = swept.metrics.render();
    let failed =
        |reason: &str| !text.contains(&format!("sweep_failures_total{{reason=\"{reason}\"}} 0\n"));
    assert!(failed("status"), "{text}");
    // On a slow machine its time is up before its report is too much.
    assert!(failed("report") || failed("timeout"), "{text}");
}

#[tokio::test]
async fn a_router_that_comes_again_is_counted_once() {
    let swept = Swept::start();
    let (admin, _) = reporting(report(1.0, 0.0)).await;
    let first = swept.join("a", admin);
    let second = swept.join("a", admin);
    assert_eq!(swept.fleet.routers(), Some(1));
    drop(first);
    swept.swept().await;
    assert!(about(attempts(&swept.fleet.view("b").unwrap(), "m"), 1.0), "the second is there");
    drop(second);
    assert_eq!(swept.fleet.routers(), Some(1), "at least 1 is told");
    swept.counts("moniker_controller_routers_ready 0").await;
}

#[tokio::test]
async fn credentials_that_fail_are_told_until_none_reports_them() {
    let swept = Swept::start();
    let with = |fault: Fault| Report {
        credential_faults: [(target(), fault), (ObjectId::new("shop", "gone"), fault)].into(),
        ..Report::default()
    };
    let (a, told_by_a) = reporting(with(Fault::OutOfCredit)).await;
    let (b, told_by_b) = reporting(with(Fault::Auth)).await;
    let _joined = [swept.join("a", a), swept.join("b", b)];
    let mut faults = swept.fleet.faults();
    let mut until = async |wanted: Option<HealthFault>| {
        let wanted: BTreeMap<_, _> = wanted.map(|fault| (target(), fault)).into_iter().collect();
        let found = faults.wait_for(|faults| faults.as_deref() == Some(&wanted));
        drop(found.await.unwrap());
    };
    until(Some(HealthFault::CredentialRejected)).await;
    *told_by_b.lock() = Report::default();
    until(Some(HealthFault::OutOfCredit)).await;
    *told_by_a.lock() = Report::default();
    until(None).await;
}

#[tokio::test]
async fn where_the_cluster_tells_nobody_joins_by_himself() {
    let _ = Swept::start();
    let settings = Settings {
        interval: Settings::INTERVAL,
        discovery: Discovery::Slices,
        metrics: Arc::default(),
    };
    let fleet = Fleet::new(settings).unwrap();
    assert!(fleet.join("a", "127.0.0.1:9090".parse().unwrap()).is_none());
    assert_eq!(fleet.routers(), None, "nobody has told yet");
    assert!(fleet.view("a").is_none());
}
