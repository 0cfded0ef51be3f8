//! Live statistics: what a router learns of its requests, keeps over edits, tells the fleet and is
//! told by it.

use std::time::Duration;

use http_body_util::BodyExt as _;
use router::link::FleetNews;
use routing::{
    Nanos, ObjectId, StrategyKind, StrategySpec,
    fleet::{FleetModel, FleetView, ModelKey, Report},
    outcome::Fault,
    stats::{Part, Sums, TimeScale},
    strategy::lowest_latency::Params,
};

use crate::{
    rig::{NAMESPACE, Rig, World, ask, ask_stream},
    upstream::{
        self, DONE, Upstream, chat, chunk, content, end, events_head, finish, good_stream, role,
    },
};

fn key(target: &str) -> ModelKey {
    ModelKey { target: ObjectId::new(NAMESPACE, target), model: "m".to_owned() }
}

fn slow_sum(report: &Report, target: &str, part: Part) -> f64 {
    report.models.get(&key(target)).map_or(0.0, |sums| sums.get(TimeScale::Slow, part))
}

/// What others say of a model whose times are so.
fn seen_by_others(target: &str, first_token: f64, token: f64) -> FleetModel {
    let mut sums = Sums::default();
    for (part, value) in [
        (Part::FirstTokenWeight, 50.0),
        (Part::FirstTokenLog, 50.0 * first_token.ln()),
        (Part::TokenWeight, 50.0),
        (Part::TokenLog, 50.0 * token.ln()),
        (Part::Attempts, 50.0),
    ] {
        sums.observe(part, value);
    }
    FleetModel { target: key(target).target, model: key(target).model, age_ms: 0, sums }
}

/// By predicted time alone: nothing is explored, so that no draw decides a test.
fn by_latency(upstreams: &[&Upstream]) -> World {
    World::over(upstreams).alias(|a| {
        let strategy = &mut a.lineup.strategy;
        *strategy = StrategySpec::of(StrategyKind::LowestLatency);
        strategy.lowest_latency = Some(Params { exploration_percent: Some(0), signal: None });
    })
}

fn tell(rig: &Rig, models: Vec<FleetModel>) {
    let view = FleetView { routers: 2, models, ..FleetView::default() };
    rig.traffic.fleet(FleetNews::View(view), Nanos::ZERO + Duration::from_nanos(1));
}

#[tokio::test]
async fn what_is_learnt_survives_an_edit() {
    let (a, b) = (Upstream::always(good_stream("hello")).await, Upstream::always(chat("b")).await);
    let rig = Rig::start(by_latency(&[&a, &b])).await;
    let only_a = [("x-moniker-providers", "t0")];
    for _ in 0..3 {
        let answer = rig.post_with("/v1/chat/completions", ask_stream(), &only_a).await;
        assert_eq!(answer.status, 200);
    }
    let before = rig.traffic.report();
    assert!(slow_sum(&before, "t0", Part::Attempts) > 2.9);
    assert!(slow_sum(&before, "t0", Part::FirstTokenWeight) > 2.9);
    assert!(slow_sum(&before, "t0", Part::TokenWeight) > 2.9);
    assert!(!before.models.contains_key(&key("t1")), "what was not used is not told");
    let edited = by_latency(&[&a, &b])
        .target(0, |t| t.headers = vec![("x-edited".to_owned(), "1".to_owned())])
        .alias(|a| a.timeouts.request_ms = 500_000);
    rig.apply(&edited);
    assert!(slow_sum(&rig.traffic.report(), "t0", Part::Attempts) > 2.9);
    // What is gone is forgotten.
    let mut world = by_latency(&[&a, &b]);
    world.targets.remove(0);
    rig.apply(&world);
    assert!(rig.traffic.report().models.is_empty());
}

#[tokio::test]
async fn failures_count_and_what_tells_nothing_does_not() {
    let only = Upstream::always(chat("ok")).await;
    let rig = Rig::start(World::over(&[&only])).await;
    only.next(upstream::error("400 Bad Request", "", "odd", "b"));
    assert_eq!(rig.chat(ask()).await.status, 400);
    let report = rig.traffic.report();
    assert!(slow_sum(&report, "t0", Part::Attempts).abs() < 1e-9);
    only.next(upstream::error("500 Internal Server Error", "", "server_error", "b"));
    assert_eq!(rig.chat(ask()).await.status, 200, "tried again");
    let report = rig.traffic.report();
    assert!((slow_sum(&report, "t0", Part::Attempts) - 2.0).abs() < 0.1);
    assert!((slow_sum(&report, "t0", Part::Failures) - 1.0).abs() < 0.1);
}

#[tokio::test]
async fn a_request_that_the_caller_cut_short_says_nothing_of_the_target() {
    let only = Upstream::always(vec![upstream::Do::Hang]).await;
    let rig = Rig::start(World::over(&[&only])).await;
    let short = [("x-moniker-timeout", "0.05")];
    let answer = rig.post_with("/v1/chat/completions", ask(), &short).await;
    assert_eq!(answer.status, 504);
    let report = rig.traffic.report();
    assert!(slow_sum(&report, "t0", Part::Attempts).abs() < 1e-9);
    assert!(slow_sum(&report, "t0", Part::FirstTokenWeight).abs() < 1e-9);
}

#[tokio::test]
async fn others_experience_ranks_and_explaining_changes_nothing() {
    let (a, b) = (Upstream::always(chat("a")).await, Upstream::always(chat("b")).await);
    let rig = Rig::start(by_latency(&[&a, &b])).await;
    tell(&rig, vec![seen_by_others("t0", 5.0, 0.5), seen_by_others("t1", 0.1, 0.005)]);
    for _ in 0..20 {
        let said = rig.explain(ask()).await;
        assert_eq!(said["candidates"][0]["target"], "shop/t1/m", "{said}");
        let summary = said["summary"].as_str().unwrap();
        assert!(summary.starts_with("LowestLatency: 2 candidates; t1/m predicted "), "{summary}");
        assert!(summary.contains(", next t0/m "), "{summary}");
        assert!(said["candidates"][1]["score"].as_str().unwrap().ends_with(" s"), "{said}");
    }
    assert!(rig.traffic.report().models.is_empty(), "nothing was used");
    assert_eq!(rig.chat(ask()).await.target(), "t1");
    // A snapshot that comes later is told the same.
    rig.apply(&by_latency(&[&a, &b]).target(0, |t| t.headers = vec![("x-e".into(), "1".into())]));
    assert_eq!(rig.explain(ask()).await["candidates"][0]["target"], "shop/t1/m");
}

#[tokio::test]
async fn a_credential_that_fails_is_told() {
    let refused = upstream::error("401 Unauthorized", "", "invalid_api_key", "b");
    let only = Upstream::always(refused).await;
    let rig = Rig::start(World::over(&[&only]).secret(0, "sk-1")).await;
    assert_eq!(rig.chat(ask()).await.status, 502);
    let faults = rig.traffic.report().credential_faults;
    assert_eq!(faults.get(&key("t0").target), Some(&Fault::Auth));
    assert!(rig.metrics.render().contains("moniker_"));
    // Another credential, another chance.
    rig.apply(&World::over(&[&only]).secret(0, "sk-2"));
    assert!(rig.traffic.report().credential_faults.is_empty());
}

#[tokio::test]
async fn a_scrape_carries_the_report() {
    let only = Upstream::always(chat("ok")).await;
    let rig = Rig::start(World::over(&[&only])).await;
    assert_eq!(rig.chat(ask()).await.status, 200);
    let parsed = telemetry::feedback::parse(&rig.metrics.render_feedback()).unwrap();
    assert_eq!(parsed.models.keys().collect::<Vec<_>>(), [&key("t0")]);
}

#[tokio::test]
async fn a_slow_caller_says_nothing_of_how_fast_the_provider_writes() {
    let mut script = vec![events_head(), chunk(&role())];
    script.extend((0..256).map(|_| chunk(&content(&"x".repeat(1 << 16)))));
    script.extend([chunk(&finish()), chunk(DONE), end()]);
    let only = Upstream::always(script).await;
    let rig =
        Rig::start(World::over(&[&only]).alias(|a| a.timeouts.stream_idle_ms = 3_600_000)).await;
    let (mut response, _connection) =
        rig.open_narrow(rig.request("/v1/chat/completions", ask_stream().into(), &[])).await;
    response.body_mut().frame().await.unwrap().unwrap();
    // Nothing is read for a minute; far more was sent than all sockets hold.
    tokio::time::pause();
    for _ in 0..60 {
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }
    tokio::time::resume();
    let rest = response.into_body().collect().await.unwrap().to_bytes();
    assert!(rest.len() > 16 << 20);
    let report = rig.traffic.report();
    assert!(slow_sum(&report, "t0", Part::FirstTokenWeight) > 0.0);
    assert!(slow_sum(&report, "t0", Part::Attempts) > 0.0);
    assert!(slow_sum(&report, "t0", Part::TokenWeight).abs() < 1e-9);
}

#[tokio::test]
async fn many_at_once_are_all_counted_out() {
    let only = Upstream::always(good_stream("hello")).await;
    let rig = Rig::start(World::over(&[&only])).await;
    // More than are looked at one by one.
    let requests = (0..150).map(|_| rig.chat(ask_stream()));
    for answer in futures::future::join_all(requests).await {
        assert_eq!(answer.status, 200);
    }
    assert_eq!(rig.explain(ask()).await["candidates"][0]["pending"], 0);
    let attempts = slow_sum(&rig.traffic.report(), "t0", Part::Attempts);
    assert!((140.0..=150.0).contains(&attempts), "{attempts}");
}
