//! What a caller's key may have at one router: its share, 429 in the caller's words, and what is
//! counted of it.

use std::time::Duration;

use router::link::FleetNews;
use routing::{
    Digest, Nanos, ObjectId, Price,
    fleet::{Dimension, Draw, FleetKey, FleetKeyLimit, FleetView, KeyId, KeyReport},
    key::CompiledLimits,
    price::PerMillion,
};

use crate::{
    rig::{NAMESPACE, Rig, World, ask, ask_stream},
    upstream::{self, Do, Upstream, chat, events_head},
};

fn limits(change: impl FnOnce(&mut CompiledLimits)) -> CompiledLimits {
    let mut limits = CompiledLimits::default();
    change(&mut limits);
    limits
}

fn id(name: &str) -> KeyId {
    let id = ObjectId::new(NAMESPACE, name.trim_start_matches("mk-"));
    KeyId { id, uid: Digest::of(name.as_bytes()) }
}

fn draw(rig: &Rig, name: &str, of: Dimension) -> Draw {
    rig.traffic.report().keys[&id(name)].draws[&of]
}

/// The fleet says that all of this is this router's.
fn tell_all(rig: &Rig, key: KeyId, dimension: Dimension, share: f64) {
    let limits = vec![FleetKeyLimit { dimension, share, others: Draw::default() }];
    let keys = vec![FleetKey { key, limits, budget: None, age_ms: 0 }];
    let view = FleetView { routers: 1, keys, ..FleetView::default() };
    rig.traffic.fleet(FleetNews::View(view), Nanos::ZERO + Duration::from_nanos(1));
}

#[tokio::test]
async fn requests_beyond_a_keys_share_are_429_and_another_key_feels_nothing() {
    let only = Upstream::always(chat("ok")).await;
    let world = |limit| {
        World::over(&[&only])
            .key("mk-a", |key| {
                key.limits = Some(Box::new(limits(|l| l.requests_per_minute = Some(limit))));
            })
            .key("mk-b", |_| {})
    };
    let rig = Rig::start(world(4)).await;
    // Half of it, as long as nobody has said that no other router serves.
    for left in ["3", "2"] {
        let answer = rig.chat_as("mk-a", ask()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-ratelimit-limit-requests"), "4");
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), left);
        assert!(answer.header("x-ratelimit-reset-requests").starts_with("1m"));
        assert_eq!(answer.header("x-ratelimit-limit-tokens"), "", "there is no such limit");
    }
    for body in [ask(), ask_stream()] {
        let answer = rig.chat_as("mk-a", body).await;
        let (status, code, message) = answer.error();
        assert_eq!((status, code.as_str()), (429, "rate_limit_exceeded"));
        assert_eq!(answer.json()["error"]["type"], "rate_limit_error");
        assert!(message.contains("shop/a is at its limit (limits.requestsPerMinute)"), "{message}");
        let after: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=70).contains(&after), "{after}");
        assert_eq!(answer.header("x-moniker-reason"), "key_limit");
        assert_eq!(answer.header("x-should-retry"), "");
        assert_eq!(answer.header("x-ratelimit-limit-requests"), "4");
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), "0");
    }
    assert_eq!(only.count(), 2);
    let seen = draw(&rig, "mk-a", Dimension::Requests);
    assert!((seen.used - 2.0).abs() < 1e-9 && (seen.demand - 4.0).abs() < 1e-9, "{seen:?}");
    // Whatever the one does, the other is served, and so is who has no key.
    for _ in 0..9 {
        assert_eq!(rig.chat_as("mk-a", ask()).await.status, 429);
        let other = rig.chat_as("mk-b", ask()).await;
        assert_eq!((other.status, other.header("x-ratelimit-limit-requests")), (200, ""));
    }
    assert_eq!(rig.chat(ask()).await.status, 200);
    // Nothing of these is counted, and none is refused.
    let key = [("x-api-key", "mk-a")];
    for path in ["/v1/explain/chat/completions", "/v1/messages/count_tokens"] {
        let body =
            r#"{"model":"prod-chat","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;
        let answer = rig.post_with(path, body, &key).await;
        assert_ne!(answer.status, 429, "{path} {}", answer.body);
        assert_eq!(answer.header("x-ratelimit-limit-requests"), "");
    }
    tell_all(&rig, id("mk-a"), Dimension::Requests, 4.0);
    for status in [200, 200, 429] {
        assert_eq!(rig.chat_as("mk-a", ask()).await.status, status);
    }
    // An edit keeps what was counted, and so does another value of the key.
    let mut edited = world(5);
    edited.keys[0].0 = "mk-other";
    rig.apply(&edited);
    for status in [200, 429] {
        assert_eq!(rig.chat_as("mk-other", ask()).await.status, status);
    }
    let refused = r#"moniker_access_key_refusals_total{access_key="shop/a",limit="Requests"}"#;
    assert_eq!(rig.metric(refused), Some(13.0));
    // One that was made again has used nothing.
    edited.keys[0].2.uid = Digest::of(b"again");
    rig.apply(&edited);
    assert_eq!(rig.chat_as("mk-other", ask()).await.status, 200);
    assert!(!rig.traffic.report().keys.contains_key(&id("mk-a")));
}

#[tokio::test]
async fn anthropics_clients_read_it_in_their_words() {
    let only = Upstream::always(chat("ok")).await;
    let world = World::over(&[&only]).key("mk-a", |key| {
        key.limits = Some(Box::new(limits(|l| {
            l.requests_per_minute = Some(2);
            l.tokens_per_minute = Some(100_000);
        })));
    });
    let rig = Rig::start(world).await;
    let body =
        r#"{"model":"prod-chat","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;
    let ask = || rig.post_with("/v1/messages", body, &[("x-api-key", "mk-a")]);
    let answer = ask().await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let number = |name: &str| answer.header(name).parse::<u64>().unwrap();
    assert_eq!(number("anthropic-ratelimit-requests-limit"), 2);
    assert_eq!(number("anthropic-ratelimit-requests-remaining"), 1);
    assert_eq!(number("anthropic-ratelimit-tokens-limit"), 100_000);
    assert!(number("anthropic-ratelimit-tokens-remaining") < 100_000);
    for name in ["anthropic-ratelimit-requests-reset", "anthropic-ratelimit-tokens-reset"] {
        let reset = answer.header(name);
        assert!(reset.len() == 20 && reset.ends_with('Z'), "{reset}");
    }
    assert_eq!(answer.header("x-ratelimit-limit-requests"), "");
    let refused = ask().await;
    assert_eq!(
        (refused.status, &refused.json()["error"]["type"]),
        (429, &"rate_limit_error".into())
    );
    assert_ne!(refused.header("retry-after"), "");
    assert_eq!(refused.header("anthropic-ratelimit-requests-remaining"), "0");
}

#[tokio::test]
async fn tokens_are_settled_by_what_was_used_and_counted_by_key() {
    // An answer is expected to have some 200 tokens, and has 2; the share is 250.
    let only = Upstream::always(chat("ok")).await;
    let price = Price {
        input: PerMillion::parse("2").unwrap(),
        output: PerMillion::parse("10").unwrap(),
        ..Price::default()
    };
    let world = World::over(&[&only]).target(0, |target| target.models[0].price = Some(price)).key(
        "mk-a",
        |key| {
            key.limits = Some(Box::new(limits(|l| l.tokens_per_minute = Some(500))));
        },
    );
    let rig = Rig::start(world).await;
    for _ in 0..8 {
        assert_eq!(rig.chat_as("mk-a", ask()).await.status, 200);
    }
    let used = draw(&rig, "mk-a", Dimension::Tokens).used;
    assert!((used - 40.0).abs() < 1e-9, "8 times 3 + 2: {used}");
    // What fails gives its tokens back.
    only.next(upstream::error("400 Bad Request", "", "odd", "b"));
    assert_eq!(rig.chat_as("mk-a", ask()).await.status, 400);
    let used = draw(&rig, "mk-a", Dimension::Tokens).used;
    assert!((used - 40.0).abs() < 1e-9, "{used}");
    let metric = |what: &str| rig.metric(&format!("moniker_access_key_{what}"));
    let tokens =
        |way| metric(&format!("tokens_total{{access_key=\"shop/a\",direction=\"{way}\"}}"));
    assert_eq!((tokens("input"), tokens("output")), (Some(24.0), Some(16.0)));
    let cost = metric("cost_total{access_key=\"shop/a\"}").unwrap();
    assert!((cost - 208e-6).abs() < 1e-12, "{cost}");
    // One that is larger than all of its share goes alone.
    let huge = format!(
        r#"{{"model":"prod-chat","max_tokens":9000,"messages":[{{"role":"user","content":"{}"}}]}}"#,
        "word ".repeat(2_000)
    );
    let answer = rig.chat_as("mk-a", &huge).await;
    assert_eq!((answer.status, answer.header("x-moniker-reason")), (429, "key_limit"));
}

#[tokio::test]
async fn requests_in_flight_are_bounded_until_their_caller_leaves() {
    let only = Upstream::always(vec![events_head(), Do::Hang]).await;
    let world = World::over(&[&only])
        .key("mk-a", |key| key.limits = Some(Box::new(limits(|l| l.max_in_flight = Some(2)))))
        .key("mk-b", |key| key.limits = Some(Box::new(limits(|l| l.max_in_flight = Some(2)))));
    let rig = Rig::start(world).await;
    let key = [("authorization", "Bearer mk-a")];
    let request = rig.request("/v1/chat/completions", ask_stream().into(), &key);
    let addr = rig.addr;
    let waiting = tokio::spawn(async move { crate::rig::abandon_later(addr, request).await });
    only.asked(1).await;
    let answer = rig.chat_as("mk-a", ask()).await;
    assert_eq!((answer.status, answer.header("x-moniker-reason")), (429, "key_limit"));
    assert_eq!(answer.header("retry-after"), "1");
    assert!(answer.error().2.contains("limits.maxInFlight"), "{}", answer.body);
    only.next(chat("ok"));
    assert_eq!(rig.chat_as("mk-b", ask()).await.status, 200, "another key has room of its own");
    waiting.abort();
    only.peer_left().await;
    only.next(chat("ok"));
    assert_eq!(rig.chat_as("mk-a", ask()).await.status, 200);
    let seen: KeyReport = rig.traffic.report().keys[&id("mk-a")].clone();
    assert!(seen.draws[&Dimension::InFlight].demand > 1.0, "{seen:?}");
}
