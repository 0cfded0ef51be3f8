//! When no target answers: a status and a body that say so, for streams too, and honest advice on
//! when to ask again.

use testkit::{
    moniker::Moniker,
    upstream::{Script, Step, Upstream, error, role},
};

use crate::rig::{ask, ask_with, priority, request, target};

struct Two {
    moniker: Moniker,
    first: Upstream,
    second: Upstream,
}

impl Two {
    /// Two targets that always do these, and no second try of either.
    async fn of(first: Script, second: Script) -> Self {
        let (one, two) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
        one.always(first);
        two.always(second);
        let yaml = target("first", &one.url(), &[])
            + &target("second", &two.url(), &[])
            + &priority(
                "chat",
                &["first", "second"],
                &[
                    "fallback: {retries: 0}",
                    "timeouts: {request: 20s, attempt: 500ms, firstToken: 500ms}",
                ],
            );
        Self { moniker: Moniker::dev(&yaml).await.unwrap(), first: one, second: two }
    }
}

#[tokio::test]
async fn the_status_says_what_became_of_all() {
    let broken = || Script::error(500, "server_error", "boom");
    let limited = || Script::rate_limited("9");
    let stale = || Script::error(401, "invalid_api_key", "who are you");
    let long = || Script::error(400, "context_length_exceeded", "too long for the window");
    let alien = || Script::error(400, "unsupported_parameter", "no such knob");
    for (name, first, second, status, code, says) in [
        ("both broken", broken(), broken(), 502, "upstream_error", "boom"),
        ("both limited", limited(), limited(), 429, "rate_limit_exceeded", "rate limited"),
        ("one limited", limited(), broken(), 502, "upstream_error", "boom"),
        ("our keys", stale(), stale(), 502, "upstream_error", "credential"),
        ("silence", Script::hang(), Script::hang(), 504, "timeout", "in time"),
        ("silence last", broken(), Script::hang(), 504, "timeout", "in time"),
        ("too long", long(), broken(), 400, "context_length_exceeded", "too long"),
        ("too long for both", long(), long(), 400, "context_length_exceeded", "too long"),
        ("unsupported", alien(), broken(), 400, "unsupported_parameter", "no such knob"),
    ] {
        for stream in [false, true] {
            let two = Two::of(first.clone(), second.clone()).await;
            let answer = ask(&two.moniker, &request("chat", stream)).await;
            let (got, got_code, message) = answer.error();
            assert_eq!((got, got_code.as_str()), (status, code), "{name}: {}", answer.body);
            assert!(message.contains(says), "{name}: {message}");
            assert!(answer.json()["error"]["type"].is_string(), "{name}");
            assert_eq!(answer.header("content-type"), "application/json", "{name}");
            assert_eq!(answer.header("x-should-retry"), "false", "{name}");
            assert_eq!(answer.header("x-moniker-alias"), "default/chat", "{name}");
            assert!(!answer.header("x-request-id").is_empty(), "{name}");
            if status == 429 {
                let after: u64 = answer.header("retry-after").parse().unwrap();
                assert!((1..=9).contains(&after), "{name}: {after}");
            }
        }
    }
}

/// Both wait for a known time: a fast answer that says how long, and nobody is asked.
#[tokio::test]
async fn hard_ejections_are_answered_at_once() {
    let limited = || Script::rate_limited("300");
    let stale = || Script::error(401, "invalid_api_key", "who are you");
    for (script, status) in [(limited(), 429), (stale(), 502)] {
        let two = Two::of(script.clone(), script).await;
        ask(&two.moniker, &request("chat", false)).await;
        for stream in [false, true] {
            let answer = ask(&two.moniker, &request("chat", stream)).await;
            assert_eq!((answer.status, answer.told().0), (status, "0"), "{}", answer.body);
            assert_eq!(answer.told().2, "ejected");
            let after: u64 = answer.header("retry-after").parse().unwrap();
            assert!((1..=300).contains(&after), "{after}");
        }
        assert_eq!((two.first.count(), two.second.count()), (1, 1));
    }
}

/// The status is not decided before content: a stream that never got any is no 200.
#[tokio::test]
async fn a_stream_that_fails_everywhere_before_content_has_a_proper_status() {
    let event = format!("data: {}\n\n", error("server_error", "boom"));
    let failing = || Script::stream([role("m"), event.clone()]);
    let cut = || Script::stream_then([role("m")], [Step::Reset]);
    for (first, second) in [(failing(), failing()), (cut(), failing()), (failing(), cut())] {
        let two = Two::of(first, second).await;
        let answer = ask(&two.moniker, &request("chat", true)).await;
        let (status, code, _) = answer.error();
        assert_eq!((status, code.as_str()), (502, "upstream_error"), "{}", answer.body);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.told(), ("2", "second", "exhausted"));
        assert_eq!((two.first.count(), two.second.count()), (1, 1));
    }
}

#[tokio::test]
async fn soft_ejections_never_leave_nobody() {
    let broken = || Script::error(500, "server_error", "boom");
    let two = Two::of(broken(), broken()).await;
    for _ in 0..8 {
        let answer = ask(&two.moniker, &request("chat", false)).await;
        assert_eq!((answer.status, answer.told().0 != "0"), (502, true), "{}", answer.body);
    }
    two.first.always(Script::chat("back"));
    two.second.always(Script::chat("back"));
    let answer = ask(&two.moniker, &request("chat", false)).await;
    assert_eq!((answer.status, answer.said().as_str()), (200, "back"));
}

#[tokio::test]
async fn the_caller_may_shorten_the_deadline() {
    let hanging = Upstream::start().await.unwrap();
    hanging.always(Script::hang());
    let other = Upstream::start().await.unwrap();
    let yaml = target("hanging", &hanging.url(), &[])
        + &target("other", &other.url(), &[])
        + &priority("alone", &["hanging"], &[])
        + &priority("two", &["hanging", "other"], &[]);
    let moniker = Moniker::dev(&yaml).await.unwrap();
    for (i, stream) in [false, true, false, true].into_iter().enumerate() {
        let sent = request("alone", stream);
        let answer = ask_with(&moniker, &sent, &[("x-moniker-timeout", "0.3")]).await;
        let (status, code, _) = answer.error();
        assert_eq!((status, code.as_str()), (504, "timeout"), "{}", answer.body);
        hanging.wait_for_left(i + 1).await.unwrap();
    }
    // What the caller cut short is no fault of the target: it is still the first choice. Half of
    // what remains is kept for the second.
    let answer = ask_with(&moniker, &request("two", false), &[("x-stainless-timeout", "2")]).await;
    assert_eq!((answer.status, answer.told()), (200, ("2", "other", "fallback")));
    assert_eq!(hanging.count(), 5);
    for bad in ["0", "-1", "soon"] {
        let answer =
            ask_with(&moniker, &request("two", false), &[("x-moniker-timeout", bad)]).await;
        assert_eq!(answer.status, 400, "{bad}");
        assert!(answer.error().2.contains("x-moniker-timeout"), "{bad}: {}", answer.body);
    }
}
