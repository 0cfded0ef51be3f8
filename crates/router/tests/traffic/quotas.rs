//! A target's quotas and `maxInFlight` at one router: its share, what ranks last, and 429.

use std::time::Duration;

use router::link::FleetNews;
use routing::{
    Nanos, ObjectId,
    fleet::{Dimension, Draw, FleetLimit, FleetView, LimitKey},
    snapshot::CompiledQuota,
};

use crate::{
    rig::{NAMESPACE, Rig, World, ask, ask_stream},
    upstream::{self, Do, Upstream, chat, events_head},
};

fn quota(change: impl FnOnce(&mut CompiledQuota)) -> Vec<CompiledQuota> {
    let mut quota = CompiledQuota {
        name: "main".to_owned(),
        models: vec![],
        requests_per_minute: None,
        tokens_per_minute: None,
        input_tokens_per_minute: None,
        output_tokens_per_minute: None,
        count_cached_input: false,
    };
    change(&mut quota);
    vec![quota]
}

#[tokio::test]
async fn requests_beyond_the_share_are_429_and_reach_nobody() {
    let only = Upstream::always(chat("ok")).await;
    let world =
        World::over(&[&only]).target(0, |t| t.quotas = quota(|q| q.requests_per_minute = Some(4)));
    let rig = Rig::start(world).await;
    // Half of it, as long as nobody has said that no other router serves.
    for _ in 0..2 {
        assert_eq!(rig.chat(ask()).await.status, 200);
    }
    let said = rig.explain(ask()).await;
    assert_eq!(said["candidates"][0]["atLimit"]["limit"], "Requests of the quota main");
    assert!(said["summary"].as_str().unwrap().contains("1 at a limit"), "{said}");
    for body in [ask(), ask_stream()] {
        let answer = rig.chat(body).await;
        let (status, code, message) = answer.error();
        assert_eq!((status, code.as_str()), (429, "rate_limit_exceeded"));
        assert!(message.contains("shop/t0/m: Requests of the quota main"), "{message}");
        let after: u64 = answer.header("retry-after").parse().unwrap();
        // What a bucket of 10 s holds is gone at the latest when the last of it is a minute old.
        assert!((1..=70).contains(&after), "{after}");
        assert_eq!(answer.header("x-moniker-reason"), "at_limit");
        assert_eq!(answer.header("x-moniker-attempts"), "0");
    }
    assert_eq!(only.count(), 2);
    let key = LimitKey {
        target: ObjectId::new(NAMESPACE, "t0"),
        quota: Some("main".to_owned()),
        dimension: Dimension::Requests,
    };
    let draw = rig.traffic.report().limits[&key];
    assert!((draw.used - 2.0).abs() < 1e-9 && (draw.demand - 4.0).abs() < 1e-9, "{draw:?}");
    // The fleet says that all of it is this router's.
    let limit = FleetLimit { key, share: 4.0, others: Draw::default(), age_ms: 0 };
    let view = FleetView { routers: 1, limits: vec![limit], ..FleetView::default() };
    rig.traffic.fleet(FleetNews::View(view), Nanos::ZERO + Duration::from_nanos(1));
    for status in [200, 200, 429] {
        assert_eq!(rig.chat(ask()).await.status, status);
    }
    // An edit of the target keeps what was counted.
    let world = World::over(&[&only]).target(0, |t| {
        t.quotas = quota(|q| q.requests_per_minute = Some(5));
        t.headers = vec![("x-edited".to_owned(), "1".to_owned())];
    });
    rig.apply(&world);
    for status in [200, 429] {
        assert_eq!(rig.chat(ask()).await.status, status);
    }
}

#[tokio::test]
async fn who_is_at_its_share_ranks_last() {
    let (a, b) = (Upstream::always(chat("a")).await, Upstream::always(chat("b")).await);
    let world =
        World::over(&[&a, &b]).target(0, |t| t.quotas = quota(|q| q.requests_per_minute = Some(2)));
    let rig = Rig::start(world).await;
    assert_eq!(rig.chat(ask()).await.target(), "t0");
    for _ in 0..3 {
        let answer = rig.chat(ask()).await;
        assert_eq!((answer.target(), answer.header("x-moniker-reason")), ("t1", "first_available"));
    }
    // What it kept away is demand all the same.
    let draw = rig.traffic.report().limits.into_values().next().unwrap();
    assert!((draw.demand - 4.0).abs() < 1e-9, "{draw:?}");
}

#[tokio::test]
async fn tokens_are_settled_by_what_was_used() {
    // An answer is expected to have some 200 tokens, and has 2; the share is 250.
    let only = Upstream::always(chat("ok")).await;
    let world =
        World::over(&[&only]).target(0, |t| t.quotas = quota(|q| q.tokens_per_minute = Some(500)));
    let rig = Rig::start(world).await;
    for _ in 0..8 {
        assert_eq!(rig.chat(ask()).await.status, 200);
    }
    let draw = rig.traffic.report().limits.into_values().next().unwrap();
    assert!((draw.used - 40.0).abs() < 1e-9, "8 times 3 + 2: {draw:?}");
    // What fails gives its tokens back.
    only.next(upstream::error("400 Bad Request", "", "odd", "b"));
    assert_eq!(rig.chat(ask()).await.status, 400);
    let draw = rig.traffic.report().limits.into_values().next().unwrap();
    assert!((draw.used - 40.0).abs() < 1e-9, "{draw:?}");
}

#[tokio::test]
async fn a_request_counts_once_however_often_a_target_is_tried() {
    let only = Upstream::always(chat("ok")).await;
    only.next(upstream::error("500 Internal Server Error", "", "server_error", "b"));
    let world = World::over(&[&only])
        .target(0, |t| t.quotas = quota(|q| q.requests_per_minute = Some(100)));
    let rig = Rig::start(world).await;
    assert_eq!(rig.chat(ask()).await.header("x-moniker-reason"), "retry");
    let draw = rig.traffic.report().limits.into_values().next().unwrap();
    assert!((draw.used - 1.0).abs() < 1e-9, "{draw:?}");
}

#[tokio::test]
async fn requests_in_flight_are_bounded_until_their_caller_leaves() {
    let only = Upstream::always(vec![events_head(), Do::Hang]).await;
    let world = World::over(&[&only]).target(0, |t| t.max_in_flight = Some(2));
    let rig = Rig::start(world).await;
    let request = rig.request("/v1/chat/completions", ask_stream().into(), &[]);
    let addr = rig.addr;
    let waiting = tokio::spawn(async move { crate::rig::abandon_later(addr, request).await });
    only.asked(1).await;
    let answer = rig.chat(ask()).await;
    assert_eq!((answer.status, answer.header("x-moniker-reason")), (429, "at_limit"));
    assert!(answer.error().2.contains("maxInFlight"), "{}", answer.body);
    waiting.abort();
    only.peer_left().await;
    only.next(chat("ok"));
    assert_eq!(rig.chat(ask()).await.status, 200);
}

#[tokio::test]
async fn what_the_provider_says_is_used_up_is_at_its_limit() {
    let only = Upstream::always(chat("ok")).await;
    only.next(upstream::error("429 Too Many Requests", "retry-after: 30\r\n", "x", "slow down"));
    let world = World::over(&[&only])
        .alias(|a| {
            a.lineup.strategy = routing::StrategySpec::of(routing::StrategyKind::LowestUsage);
        })
        .target(0, |t| t.quotas = quota(|q| q.requests_per_minute = Some(1_000)));
    let rig = Rig::start(world).await;
    let score = |said: &serde_json::Value| said["candidates"][0]["score"].clone();
    assert_eq!(score(&rig.explain(ask()).await), "0 % of its quota");
    assert_eq!(rig.chat(ask()).await.status, 429);
    assert_eq!(score(&rig.explain(ask()).await), "100 % of its quota");
}
