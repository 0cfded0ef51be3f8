//! Every fault of a target before an answer has begun: the next one serves, JSON and streams alike.

use std::time::Duration;

use routing::outcome::Fault;

use crate::{
    rig::{Rig, World, ask, ask_stream},
    upstream::{
        self, DONE, Do, Upstream, chat, chunk, content, end, error, events_head, response, role,
    },
};

/// Faults that both kinds of requests meet, and whether the next target is asked.
fn faults() -> Vec<(&'static str, Vec<Do>)> {
    vec![
        ("500", error("500 Internal Server Error", "", "server_error", "boom")),
        ("503 html", response("503 Service Unavailable", "", "<html>busy</html>")),
        ("529", error("529 Overloaded", "", "overloaded_error", "busy")),
        ("408", error("408 Request Timeout", "", "timeout", "slow")),
        ("429", error("429 Too Many Requests", "retry-after: 7\r\n", "rate_limit_exceeded", "x")),
        ("429 quota", error("429 Too Many Requests", "", "insufficient_quota", "no money")),
        ("401", error("401 Unauthorized", "", "invalid_api_key", "bad key")),
        ("403", error("403 Forbidden", "", "permission_denied", "no")),
        ("402", error("402 Payment Required", "", "billing", "no credit")),
        ("404 model", error("404 Not Found", "", "model_not_found", "no such model")),
        ("400 unsupported", error("400 Bad Request", "", "unsupported_parameter", "x")),
        ("307", response("307 Temporary Redirect", "location: http://127.0.0.1:1/\r\n", "")),
        ("200 empty", response("200 OK", "", "")),
        ("200 html", response("200 OK", "", "<html>hello</html>")),
        ("200 cut json", response("200 OK", "", r#"{"choices":[{"message":{"content":"#)),
        ("200 error", response("200 OK", "", r#"{"error":{"message":"x","code":"server_error"}}"#)),
        ("200 no choices", response("200 OK", "", r#"{"id":"x","choices":[]}"#)),
        ("reset", vec![Do::Reset]),
        ("close", vec![Do::Close]),
        ("garbage", vec![Do::Send(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()), Do::Close]),
        ("unknown coding", response("200 OK", "content-encoding: br\r\n", "xx")),
    ]
}

#[tokio::test]
async fn json_falls_back_on_every_fault() {
    for (name, script) in faults() {
        let (bad, good) = (Upstream::always(script).await, Upstream::always(chat("ok")).await);
        let rig = Rig::start(World::over(&[&bad, &good])).await;
        let answer = rig.chat(ask()).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.body);
        assert_eq!(answer.body, upstream::chat_body("ok"), "{name}");
        assert_eq!(answer.target(), "t1", "{name}");
        assert_eq!(answer.header("x-moniker-attempts"), "2", "{name}");
        assert_eq!(answer.header("x-moniker-reason"), "fallback", "{name}");
        assert_eq!((bad.count(), good.count()), (1, 1), "{name}: nobody is asked twice");
    }
}

#[tokio::test]
async fn streams_fall_back_on_every_fault_before_content() {
    let mut faults = faults();
    let event_error = "data: {\"error\":{\"message\":\"x\",\"code\":\"server_error\"}}\n\n";
    faults.extend([
        ("error event", vec![events_head(), chunk(&role()), chunk(event_error), end()]),
        ("role, then end", vec![events_head(), chunk(&role()), end()]),
        ("role, then cut", vec![events_head(), chunk(&role()), Do::Close]),
        ("role, then reset", vec![events_head(), chunk(&role()), Do::Reset]),
        ("only done", vec![events_head(), chunk(DONE), end()]),
        ("no event", vec![events_head(), end()]),
        ("comments", vec![events_head(), chunk(": hello\n\n"), end()]),
    ]);
    for (name, script) in faults {
        let bad = Upstream::always(script).await;
        let good = Upstream::always(upstream::good_stream("ok")).await;
        let rig = Rig::start(World::over(&[&bad, &good])).await;
        let answer = rig.chat(ask_stream()).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.body);
        let whole = [role(), content("ok"), upstream::finish(), DONE.to_owned()].concat();
        assert_eq!(answer.body, whole, "{name}: one clean stream");
        assert_eq!(answer.header("x-moniker-attempts"), "2", "{name}");
        assert_eq!(answer.target(), "t1", "{name}");
    }
}

#[tokio::test]
async fn a_refused_connection_falls_back() {
    let good = Upstream::always(chat("ok")).await;
    let dead = format!("http://{}/v1", upstream::refused().await);
    let rig = Rig::start(World::of(&[dead, good.url()])).await;
    let answer = rig.chat(ask()).await;
    assert_eq!((answer.status, answer.target()), (200, "t1"));
}

#[tokio::test]
async fn a_hanging_target_is_left_in_time() {
    let (bad, good) = (Upstream::always(vec![Do::Hang]).await, Upstream::always(chat("ok")).await);
    let rig =
        Rig::start(World::over(&[&bad, &good]).alias(|a| a.timeouts.attempt_ms = Some(150))).await;
    let answer = rig.chat(ask()).await;
    assert_eq!((answer.status, answer.target()), (200, "t1"));
    bad.peer_left().await;

    let bad = Upstream::always(vec![events_head(), chunk(&role()), Do::Hang]).await;
    let good = Upstream::always(upstream::good_stream("ok")).await;
    let rig =
        Rig::start(World::over(&[&bad, &good]).alias(|a| a.timeouts.first_token_ms = 150)).await;
    let answer = rig.chat(ask_stream()).await;
    assert_eq!((answer.status, answer.target()), (200, "t1"));
    bad.peer_left().await;
}

#[tokio::test]
async fn the_request_itself_at_fault_is_asked_once() {
    let bad =
        Upstream::always(error("400 Bad Request", "", "bad_thing", "temperature is odd")).await;
    let good = Upstream::always(chat("ok")).await;
    let rig = Rig::start(World::over(&[&bad, &good])).await;
    let answer = rig.chat(ask()).await;
    assert_eq!(answer.error(), (400, "bad_thing".into(), "temperature is odd".into()));
    assert_eq!(good.count(), 0);
    assert_eq!(answer.header("x-moniker-target"), "shop/t0/m");
    assert_eq!(answer.header("x-should-retry"), "");
}

#[tokio::test]
async fn moderation_stops_unless_the_alias_names_it() {
    let refusal = error("400 Bad Request", "", "content_policy_violation", "flagged");
    let (bad, good) = (Upstream::always(refusal).await, Upstream::always(chat("ok")).await);
    let rig = Rig::start(World::over(&[&bad, &good])).await;
    let answer = rig.chat(ask()).await;
    assert_eq!(answer.error(), (400, "content_filter".into(), "flagged".into()));
    let named = World::over(&[&bad, &good])
        .alias(|a| a.fallback.outcomes = Fault::ALL.iter().copied().collect());
    let rig = Rig::start(named).await;
    assert_eq!(rig.chat(ask()).await.status, 200);
}

#[tokio::test]
async fn one_target_is_asked_again_once() {
    let only = Upstream::always(chat("ok")).await;
    only.next(error("500 Internal Server Error", "", "server_error", "boom"));
    let rig = Rig::start(World::over(&[&only])).await;
    let answer = rig.chat(ask()).await;
    assert_eq!((answer.status, only.count()), (200, 2));
    assert_eq!(answer.header("x-moniker-reason"), "retry");
}

#[tokio::test]
async fn a_stale_connection_is_no_attempt() {
    let only = Upstream::always(chat("ok")).await;
    let mut closing = chat("first");
    closing.push(Do::Pause(Duration::from_millis(50)));
    closing.push(Do::Reset);
    only.next(closing);
    let rig = Rig::start(World::over(&[&only])).await;
    assert_eq!(rig.chat(ask()).await.status, 200);
    for _ in 0..20 {
        let answer = rig.chat(ask()).await;
        assert_eq!((answer.status, answer.header("x-moniker-attempts")), (200, "1"));
    }
}

#[tokio::test]
async fn a_prompt_that_does_not_fit_goes_to_larger_windows_only() {
    let full = || error("400 Bad Request", "", "context_length_exceeded", "too long");
    let small = Upstream::always(full()).await;
    let smaller = Upstream::always(chat("no")).await;
    let larger = Upstream::always(chat("ok")).await;
    let world = World::over(&[&small, &smaller, &larger])
        .target(0, |t| t.models[0].context_window = Some(8_000))
        .target(1, |t| t.models[0].context_window = Some(4_000))
        .target(2, |t| t.models[0].context_window = Some(128_000));
    let rig = Rig::start(world).await;
    assert_eq!(rig.chat(ask()).await.target(), "t2");
    assert_eq!(smaller.count(), 0);

    let rig = Rig::start(World::over(&[&small])).await;
    let answer = rig.chat(ask()).await;
    assert_eq!(answer.error(), (400, "context_length_exceeded".into(), "too long".into()));
}

#[tokio::test]
async fn when_all_fail_the_answer_says_why() {
    let limited = error("429 Too Many Requests", "retry-after: 9\r\n", "rate_limit_exceeded", "s");
    let (a, b) = (Upstream::always(limited.clone()).await, Upstream::always(limited).await);
    let rig = Rig::start(World::over(&[&a, &b])).await;
    let answer = rig.chat(ask()).await;
    assert_eq!((answer.status, answer.error().1.as_str()), (429, "rate_limit_exceeded"));
    let after: u64 = answer.header("retry-after").parse().unwrap();
    assert!((8..=9).contains(&after), "{after}");
    assert_eq!(answer.header("x-should-retry"), "false");
    // Both are ejected hard now: a fast refusal, and nobody is asked.
    let answer = rig.chat(ask()).await;
    assert_eq!((answer.status, answer.header("x-moniker-attempts")), (429, "0"));
    assert_eq!(answer.header("x-moniker-reason"), "ejected");
    assert_eq!((a.count(), b.count()), (1, 1));

    let broken = error("500 Internal Server Error", "", "server_error", "boom");
    let (a, b) = (Upstream::always(broken.clone()).await, Upstream::always(broken).await);
    let rig = Rig::start(World::over(&[&a, &b]).alias(|a| a.fallback.retries = Some(0))).await;
    let answer = rig.chat(ask()).await;
    assert_eq!((answer.status, answer.error().1.as_str()), (502, "upstream_error"));
    assert_eq!(answer.header("x-moniker-attempts"), "2");

    let slow = Upstream::always(vec![Do::Hang]).await;
    let rig = Rig::start(World::over(&[&slow])).await;
    let answer =
        rig.post_with("/v1/chat/completions", ask(), &[("x-moniker-timeout", "0.2")]).await;
    assert_eq!((answer.status, answer.error().1.as_str()), (504, "timeout"));
    slow.peer_left().await;
}

#[tokio::test]
async fn the_first_to_recover_says_when_to_come_back() {
    let limited = |after: u32| {
        let header = format!("retry-after: {after}\r\n");
        error("429 Too Many Requests", &header, "rate_limit_exceeded", "s")
    };
    let a = Upstream::always(limited(20)).await;
    let b = Upstream::always(limited(500)).await;
    let rig = Rig::start(World::over(&[&a, &b])).await;
    let only_b = [("x-moniker-providers", "t1")];
    assert_eq!(rig.post_with("/v1/chat/completions", ask(), &only_b).await.status, 429);
    // `b` is left and ejected for long; `a`, tried and refused now, recovers first.
    let answer = rig.chat(ask()).await;
    assert_eq!((answer.status, answer.header("x-moniker-attempts")), (429, "1"));
    let after: u64 = answer.header("retry-after").parse().unwrap();
    assert!((18..=20).contains(&after), "{after}");
}

#[tokio::test]
async fn an_error_that_cannot_be_unpacked_has_the_class_of_its_status() {
    let headers = "retry-after: 60\r\ncontent-encoding: br\r\n";
    let limited = response("429 Too Many Requests", headers, "packed");
    let (bad, good) = (Upstream::always(limited).await, Upstream::always(chat("ok")).await);
    let rig = Rig::start(World::over(&[&bad, &good])).await;
    for _ in 0..3 {
        assert_eq!(rig.chat(ask()).await.target(), "t1");
    }
    assert_eq!(bad.count(), 1, "ejected for its Retry-After at once");
}

#[tokio::test]
async fn our_key_is_never_the_callers_problem() {
    let said = error("401 Unauthorized", "", "invalid_api_key", "wrong key sk-canary-1");
    let only = Upstream::always(said).await;
    let rig = Rig::start(World::over(&[&only]).secret(0, "sk-canary-1")).await;
    let answer = rig.chat(ask()).await;
    assert_eq!((answer.status, answer.error().1.as_str()), (502, "upstream_error"));
    assert!(answer.error().2.contains("refused this gateway's credential"), "{}", answer.body);
    assert!(!answer.body.contains("canary"));
    assert_eq!(only.seen()[0].header("authorization"), Some("Bearer sk-canary-1"));
    // Ejected until the credential changes.
    assert_eq!(rig.chat(ask()).await.header("x-moniker-attempts"), "0");
    only.next(chat("ok"));
    rig.apply(&World::over(&[&only]).secret(0, "sk-canary-2"));
    let answer = rig.chat(ask()).await;
    assert_eq!((answer.status, only.count()), (200, 2));
}

#[tokio::test]
async fn a_late_refusal_of_the_old_key_does_not_eject_the_new_one() {
    let said = error("401 Unauthorized", "", "invalid_api_key", "wrong key");
    let late = [vec![Do::Wait], said].concat();
    let only = Upstream::always(chat("ok")).await;
    only.next(late);
    let rig = Rig::start(World::over(&[&only]).secret(0, "sk-old-key-1")).await;
    let (answer, ()) = tokio::join!(rig.chat(ask()), async {
        while only.count() == 0 {
            tokio::task::yield_now().await;
        }
        rig.apply(&World::over(&[&only]).secret(0, "sk-new-key-2"));
        only.go_on();
    });
    assert_eq!(answer.status, 502);
    assert_eq!(rig.chat(ask()).await.status, 200);
}

#[tokio::test]
async fn ejections_outlive_an_edit() {
    let limited = error("429 Too Many Requests", "retry-after: 60\r\n", "x", "s");
    let (bad, good) = (Upstream::always(limited).await, Upstream::always(chat("ok")).await);
    let rig = Rig::start(World::over(&[&bad, &good])).await;
    assert_eq!(rig.chat(ask()).await.target(), "t1");
    rig.apply(
        &World::over(&[&bad, &good])
            .alias(|a| a.timeouts.request_ms = 1_000)
            .target(0, |t| t.headers.push(("x-team".into(), "a".into()))),
    );
    let answer = rig.chat(ask()).await;
    assert_eq!((answer.target(), answer.header("x-moniker-attempts")), ("t1", "1"));
    assert_eq!(answer.header("x-moniker-reason"), "first_available");
    assert_eq!(bad.count(), 1);
}

#[tokio::test]
async fn three_failures_in_a_row_eject_softly() {
    let bad = Upstream::always(error("500 Internal Server Error", "", "server_error", "b")).await;
    let good = Upstream::always(chat("ok")).await;
    let rig = Rig::start(World::over(&[&bad, &good])).await;
    for _ in 0..6 {
        assert_eq!(rig.chat(ask()).await.target(), "t1");
    }
    assert_eq!(bad.count(), 3);
    let text = rig.metrics.render();
    let line = r#"moniker_ejections_total{target="shop/t0/m",outcome="ServerError"} 1"#;
    assert!(text.contains(line), "{text}");
    let line =
        r#"moniker_attempts_total{alias="shop/prod-chat",target="shop/t1/m",outcome="Success"} 6"#;
    assert!(text.contains(line), "{text}");
}
