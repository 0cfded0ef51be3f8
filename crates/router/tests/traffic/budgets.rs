//! What a caller's key may spend at one router: its part of the budget, what a spent one answers, and
//! which targets are used under one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use router::link::FleetNews;
use routing::{
    Digest, Money, Nanos, ObjectId, Price,
    fleet::{FleetKey, FleetView, KeyId, Spending},
    price::PerMillion,
    spend::{CompiledBudget, Period, Spent, Word},
};

use crate::{
    rig::{NAMESPACE, Rig, World, ask, ask_stream},
    upstream::{self, Do, Upstream, chat, events_head},
};

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn money(text: &str) -> Money {
    Money::parse(text).unwrap()
}

/// An answer has 3 tokens of prompt and 2 of answer, and costs 0.05 at these prices.
fn price(input: &str, output: &str) -> Price {
    Price {
        input: PerMillion::parse(input).unwrap(),
        output: PerMillion::parse(output).unwrap(),
        ..Price::default()
    }
}

fn budget(amount: &str) -> CompiledBudget {
    CompiledBudget { amount: money(amount), period: Period::Month, spent: None }
}

fn key() -> KeyId {
    KeyId { id: ObjectId::new(NAMESPACE, "a"), uid: Digest::of(b"mk-a") }
}

fn spending(rig: &Rig) -> Spending {
    rig.traffic.report().keys[&key()].spending.unwrap()
}

/// That the fleet has spent so much, and that all of the rest is this router's, whose counter was at
/// `at` then.
fn told(spent: &str, at: Money) -> Vec<FleetKey> {
    let budget = Some(Word {
        period_start: Period::Month.start(now()),
        spent: money(spent),
        part: 1_000_000_000,
        at,
        counted: Money::ZERO,
    });
    vec![FleetKey { key: key(), limits: Vec::new(), budget, age_ms: 0 }]
}

/// The fleet says that of this run of the router.
fn tell(rig: &Rig, spent: &str, at: Money) {
    let (run, keys) = (rig.traffic.report().run, told(spent, at));
    let view = FleetView { routers: 1, run, keys, ..FleetView::default() };
    rig.traffic.fleet(FleetNews::View(view), Nanos::ZERO + Duration::from_nanos(1));
}

/// One target of this price, and a key with this budget.
async fn rig(price: Option<Price>, amount: &str) -> (Rig, Upstream) {
    let only = Upstream::always(chat("ok")).await;
    let world = World::over(&[&only])
        .target(0, |target| target.models[0].price = price)
        .key("mk-a", |key| {
            key.budget = Some(Box::new(budget(amount)));
        })
        .key("mk-b", |_| {});
    (Rig::start(world).await, only)
}

#[tokio::test]
async fn what_is_spent_is_exact_and_a_spent_budget_is_402_until_it_resets() {
    let (rig, only) = rig(Some(price("10000", "10000")), "0.12").await;
    tell(&rig, "0", Money::ZERO);
    // An answer is expected to have 200 tokens, more than all of it: one at a time goes all the same.
    for _ in 0..3 {
        let answer = rig.chat_as("mk-a", ask()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert_eq!(spending(&rig).counter.spent, money("0.15"));
    for body in [ask(), ask_stream()] {
        let answer = rig.chat_as("mk-a", body).await;
        let (status, code, message) = answer.error();
        assert_eq!((status, code.as_str()), (402, "budget_exceeded"));
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
        let resets = routing::spend::written(Period::Month.end(now()));
        assert!(message.contains("0.15 of 0.12") && message.contains(&resets), "{message}");
        assert_eq!(answer.header("x-should-retry"), "false");
        assert_eq!(answer.header("x-moniker-reason"), "key_budget");
        assert_eq!(answer.header("x-moniker-attempts"), "0");
    }
    let body =
        r#"{"model":"prod-chat","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;
    let answer = rig.post_with("/v1/messages", body, &[("x-api-key", "mk-a")]).await;
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (402, &"billing_error".into()));
    assert_eq!(only.count(), 3);
    // Nobody else feels it, and what costs nothing is served on.
    assert_eq!(rig.chat_as("mk-b", ask()).await.status, 200);
    let count = rig.post_with("/v1/messages/count_tokens", body, &[("x-api-key", "mk-a")]).await;
    assert_ne!(count.status, 402, "{}", count.body);
    let said = rig.post_with("/v1/explain/chat/completions", ask(), &[("x-api-key", "mk-a")]).await;
    let reason = said.json()["candidates"][0]["filtered"].to_string();
    assert!(reason.contains("budget"), "{reason}");
    // In `/metrics` to the last digit, and what was refused is demand.
    let text = rig.metrics.render();
    let line = text.lines().find(|l| l.starts_with("moniker_access_key_spent_total")).unwrap();
    assert!(line.contains("access_key=\"shop/a\"") && line.ends_with(" 0.15"), "{line}");
    assert!(spending(&rig).demand > 0.15);
    let refused = r#"moniker_access_key_refusals_total{access_key="shop/a",limit="Budget"}"#;
    assert_eq!(rig.metric(refused), Some(3.0));
    // What is told of another run's count is nothing to this one.
    let view = FleetView { routers: 1, keys: told("0", money("0.15")), ..FleetView::default() };
    rig.traffic.fleet(FleetNews::View(view), Nanos::ZERO + Duration::from_nanos(1));
    assert_eq!(rig.chat_as("mk-a", ask()).await.status, 402);
    // The fleet has spent less than this router thought; a new amount holds at once.
    tell(&rig, "0.1", spending(&rig).counter.spent);
    assert_eq!(rig.chat_as("mk-a", ask()).await.status, 200);
    assert_eq!(rig.chat_as("mk-a", ask()).await.status, 402);
    let mut world = World::over(&[&only])
        .target(0, |target| target.models[0].price = Some(price("10000", "10000")))
        .key("mk-a", |key| {
            key.budget = Some(Box::new(budget("10")));
        });
    rig.apply(&world);
    assert_eq!(rig.chat_as("mk-a", ask()).await.status, 200);
    world.keys[0].2.budget = None;
    rig.apply(&world);
    assert_eq!(rig.chat_as("mk-a", ask()).await.status, 200, "there is none any more");
}

#[tokio::test]
async fn under_a_budget_a_price_must_be_known_and_what_is_free_goes_on_when_it_is_spent() {
    let (unknown, dear, free) = (
        Upstream::always(chat("unknown")).await,
        Upstream::always(chat("dear")).await,
        Upstream::always(chat("free")).await,
    );
    let world = World::over(&[&unknown, &dear, &free])
        .target(1, |target| target.models[0].price = Some(price("10000", "10000")))
        .target(2, |target| target.models[0].price = Some(Price::default()))
        .key("mk-a", |key| {
            key.budget = Some(Box::new(budget("0.05")));
        })
        .key("mk-b", |_| {});
    let rig = Rig::start(world).await;
    tell(&rig, "0", Money::ZERO);
    assert_eq!(rig.chat_as("mk-b", ask()).await.target(), "t0");
    let targets = [rig.chat_as("mk-a", ask()).await, rig.chat_as("mk-a", ask()).await];
    assert_eq!(targets.map(|answer| answer.target().to_owned()), ["t1", "t2"]);
    assert_eq!(spending(&rig).counter.spent, money("0.05"));
    // A fallback that is not affordable is none.
    free.next(upstream::error("500 Internal Server Error", "", "server_error", "b"));
    free.next(upstream::error("500 Internal Server Error", "", "server_error", "b"));
    assert_eq!(rig.chat_as("mk-a", ask()).await.status, 502);
    assert_eq!((unknown.count(), dear.count()), (1, 1));
}

#[tokio::test]
async fn without_a_price_nothing_is_served_under_a_budget() {
    let (rig, only) = rig(None, "100").await;
    let (status, code, message) = rig.chat_as("mk-a", ask()).await.error();
    assert_eq!((status, code.as_str()), (503, "no_target"));
    assert!(message.contains("its price is not known"), "{message}");
    assert_eq!(only.count(), 0);
    assert_eq!(rig.chat_as("mk-b", ask()).await.status, 200);
}

#[tokio::test]
async fn what_is_under_way_is_reserved_until_its_caller_leaves_and_what_was_seen_is_paid() {
    let only = Upstream::always(vec![events_head(), Do::Hang]).await;
    let world = World::over(&[&only])
        .target(0, |target| target.models[0].price = Some(price("10000", "10000")))
        .key("mk-a", |key| {
            key.budget = Some(Box::new(budget("3")));
        });
    let rig = Rig::start(world).await;
    tell(&rig, "0", Money::ZERO);
    let key = [("x-api-key", "mk-a")];
    let request = rig.request("/v1/chat/completions", ask_stream().into(), &key);
    let addr = rig.addr;
    let waiting = tokio::spawn(async move { crate::rig::abandon_later(addr, request).await });
    only.asked(1).await;
    // Some 2.02 are reserved; another may not have as much.
    let held = rig.chat_as("mk-a", ask()).await;
    let (status, code, message) = held.error();
    assert_eq!((status, code.as_str()), (429, "rate_limit_exceeded"), "{message}");
    assert!(message.contains("under way"), "{message}");
    assert_eq!(held.header("retry-after"), "5");
    waiting.abort();
    only.peer_left().await;
    only.next(chat("ok"));
    assert_eq!(rig.chat_as("mk-a", ask()).await.status, 200);
    // The prompt of the one that left was sent: 2 tokens by estimate, or a few.
    let spent = spending(&rig).counter.spent;
    assert!(spent > money("0.05") && spent < money("0.2"), "{spent}");
    // A provider that refuses costs nothing.
    only.next(upstream::error("400 Bad Request", "", "odd", "b"));
    assert_eq!(rig.chat_as("mk-a", ask()).await.status, 400);
    assert_eq!(spending(&rig).counter.spent, spent);
}

#[tokio::test]
async fn what_was_reserved_is_free_again_though_the_budget_was_away_meanwhile() {
    let only = Upstream::always(vec![events_head(), Do::Hang]).await;
    let with = |amount: Option<&str>| {
        let budget = amount.map(|amount| Box::new(budget(amount)));
        World::over(&[&only])
            .target(0, |target| target.models[0].price = Some(price("10000", "10000")))
            .key("mk-a", |key| key.budget = budget)
    };
    let rig = Rig::start(with(Some("3"))).await;
    tell(&rig, "0", Money::ZERO);
    let key = [("x-api-key", "mk-a")];
    let request = rig.request("/v1/chat/completions", ask_stream().into(), &key);
    let addr = rig.addr;
    let waiting = tokio::spawn(async move { crate::rig::abandon_later(addr, request).await });
    only.asked(1).await;
    rig.apply(&with(None));
    waiting.abort();
    only.peer_left().await;
    rig.apply(&with(Some("3")));
    // More than what would be left beside what the first had reserved.
    for _ in 0..2 {
        only.next(chat("ok"));
        let answer = rig.chat_as("mk-a", ask()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

#[tokio::test]
async fn before_the_fleet_has_spoken_what_is_stored_counts() {
    let (rig, only) = rig(Some(price("1", "1")), "100").await;
    let stored = |amount| {
        let spent = Spent { period_start: Period::Month.start(now()), amount: money(amount) };
        World::over(&[&only])
            .target(0, |target| target.models[0].price = Some(price("1", "1")))
            .key("mk-a", |key| {
                let spent = Some(spent);
                key.budget = Some(Box::new(CompiledBudget { spent, ..budget("100") }));
            })
    };
    rig.apply(&stored("99"));
    assert_eq!(rig.chat_as("mk-a", ask()).await.status, 200);
    rig.apply(&stored("100"));
    assert_eq!(rig.chat_as("mk-a", ask()).await.status, 402);
}
