//! Every fault of a provider before an answer has begun, for JSON and streams alike: the next target
//! serves, is asked with the caller's own bytes, and nothing of the first leaks.

use testkit::{
    moniker::Moniker,
    upstream::{Script, Step, Upstream, error, role},
};
use tokio::net::TcpSocket;

use crate::rig::{Answer, ask, priority, request, target};

/// What no answer may hold: it stands in everything that a faulty provider says.
pub(crate) const LEAK: &str = "LEAK-of-the-first";

/// Time limits for those who would wait for ever.
pub(crate) const SHORT: &str =
    "timeouts: {request: 20s, attempt: 1s, firstToken: 1s, streamIdle: 1s}";

/// An error of this status, leaking.
fn says(status: u16, code: &str) -> Script {
    let headers = [("content-type", "application/json"), ("x-leak", LEAK), ("x-request-id", LEAK)];
    Script::answer(status, &headers, &error(code, LEAK).to_string())
}

/// A body under 200, leaking.
fn ok(content_type: &str, body: &str) -> Script {
    Script::answer(200, &[("content-type", content_type), ("x-leak", LEAK)], body)
}

/// An event with an error.
fn error_event() -> String {
    format!("data: {}\n\n", error("server_error", LEAK))
}

/// Faults that both kinds of request meet.
fn faults() -> Vec<(&'static str, Script)> {
    let moved = [("location", "http://127.0.0.1:1/v1"), ("x-leak", LEAK)];
    vec![
        ("reset", Script::reset()),
        ("close", Script::close()),
        ("hang", Script::hang()),
        ("garbage", Script::steps([Step::Send("SSH-2.0-LEAK\r\n\r\n".into()), Step::Close])),
        ("500", says(500, "server_error")),
        ("502 html", Script::answer(502, &[("content-type", "text/html")], "<h1>LEAK</h1>")),
        ("503", says(503, "server_error")),
        ("529", says(529, "overloaded_error")),
        ("408", says(408, "timeout")),
        ("429", says(429, "rate_limit_exceeded")),
        ("429 no credit", says(429, "insufficient_quota")),
        ("401", says(401, "invalid_api_key")),
        ("403", says(403, "permission_denied")),
        ("402", says(402, "billing_hard_limit_reached")),
        ("404 model", says(404, "model_not_found")),
        ("400 unsupported", says(400, "unsupported_parameter")),
        ("400 context", says(400, "context_length_exceeded")),
        ("307", Script::answer(307, &moved, LEAK)),
        ("302", Script::answer(302, &moved, LEAK)),
        ("200 empty", ok("application/json", "")),
        ("200 html", ok("text/html", "<html>LEAK</html>")),
        ("200 html said to be json", ok("application/json", "<html>LEAK</html>")),
        ("200 half", ok("application/json", r#"{"choices":[{"message":{"content":"LEAK"#)),
        ("200 error", ok("application/json", &error("server_error", LEAK).to_string())),
        ("200 no choices", ok("application/json", r#"{"id":"LEAK","choices":[]}"#)),
        (
            "200 cut",
            Script::steps([
                Step::Send("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{\"choices\":[".into()),
                Step::Reset,
            ]),
        ),
    ]
}

/// Faults of streams alone, all before content.
fn stream_faults() -> Vec<(&'static str, Script)> {
    vec![
        ("error event", Script::stream([role(LEAK), error_event()])),
        ("error event at once", Script::stream([error_event()])),
        ("role, then end", Script::stream([role(LEAK)])),
        ("role, then close", Script::stream_then([role(LEAK)], [Step::Close])),
        ("role, then reset", Script::stream_then([role(LEAK)], [Step::Reset])),
        ("role, then silence", Script::stream_then([role(LEAK)], [Step::Stall])),
        ("comments for ever", Script::stream_then([": LEAK\n\n".into()], [Step::Stall])),
        ("done alone", Script::stream(["data: [DONE]\n\n".to_owned()])),
        ("no event", Script::stream([])),
    ]
}

/// Many lineups in one process: a first target for each fault, one second target for all.
pub(crate) struct Table {
    moniker: Moniker,
    bad: Vec<(String, Upstream)>,
    good: Upstream,
}

impl Table {
    /// These faults, with a time limit.
    pub(crate) async fn of(faults: Vec<(&'static str, Script)>, timeouts: &str) -> Self {
        let good = Upstream::start().await.unwrap();
        good.always(Script::chat("served by the second"));
        let mut yaml = target("good", &good.url(), &[]);
        let mut bad = Vec::new();
        for (i, (name, script)) in faults.into_iter().enumerate() {
            let upstream = Upstream::start().await.unwrap();
            upstream.always(script);
            let first = format!("bad-{i}");
            yaml += &target(&first, &upstream.url(), &[]);
            yaml += &priority(&format!("case-{i}"), &[&first, "good"], &[timeouts]);
            bad.push((name.to_owned(), upstream));
        }
        Self { moniker: Moniker::dev(&yaml).await.unwrap(), bad, good }
    }

    /// Sends one request to each alias; each must be served by the second target.
    pub(crate) async fn served(&self, stream: bool) {
        for (i, (name, bad)) in self.bad.iter().enumerate() {
            let (asked, seen) = (self.good.count(), bad.count());
            let sent = request(&format!("case-{i}"), stream);
            let answer = ask(&self.moniker, &sent).await;
            check(name, &answer, stream);
            assert_eq!(answer.told(), ("2", "good", "fallback"), "{name}");
            assert_eq!(bad.count(), seen + 1, "{name}: the first is asked once");
            assert_eq!(self.good.count(), asked + 1, "{name}: the second is asked once");
            let got = self.good.received().pop().unwrap();
            let want = sent.replace(&format!("case-{i}"), "up-good");
            assert_eq!(String::from_utf8_lossy(&got.body), want, "{name}: byte for byte");
            assert_eq!(got.path, "/v1/chat/completions", "{name}");
        }
    }
}

/// One whole answer of the second target, and no trace of the first.
fn check(name: &str, answer: &Answer, stream: bool) {
    assert_eq!(answer.status, 200, "{name}: {}", answer.body);
    assert_eq!(answer.said(), "served by the second", "{name}");
    assert!(!answer.body.contains("LEAK"), "{name}: {}", answer.body);
    assert!(!format!("{:?}", answer.headers).contains("LEAK"), "{name}: {:?}", answer.headers);
    assert_eq!(answer.header("retry-after"), "", "{name}");
    assert_eq!(answer.header("x-should-retry"), "", "{name}");
    assert!(!answer.header("x-request-id").is_empty(), "{name}");
    let kind = if stream { "text/event-stream" } else { "application/json" };
    assert!(answer.header("content-type").starts_with(kind), "{name}: {:?}", answer.headers);
    assert_eq!(answer.body.matches("[DONE]").count(), usize::from(stream), "{name}");
    assert_eq!(answer.body.matches(r#""role":"assistant""#).count(), 1, "{name}: one beginning");
}

#[tokio::test]
async fn the_next_target_answers_json_after_every_fault() {
    Table::of(faults(), SHORT).await.served(false).await;
}

#[tokio::test]
async fn the_next_target_streams_after_every_fault() {
    let all = faults().into_iter().chain(stream_faults()).collect();
    Table::of(all, SHORT).await.served(true).await;
}

/// A port that refuses connections for as long as the socket is kept.
fn refusing() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/v1", socket.local_addr().unwrap());
    (socket, url)
}

#[tokio::test]
async fn the_next_target_answers_after_a_refused_connection() {
    let (_held, url) = refusing();
    let good = Upstream::start().await.unwrap();
    good.always(Script::chat("served by the second"));
    let yaml = target("bad", &url, &[])
        + &target("good", &good.url(), &[])
        + &priority("chat", &["bad", "good"], &[]);
    let moniker = Moniker::dev(&yaml).await.unwrap();
    for stream in [false, true] {
        let answer = ask(&moniker, &request("chat", stream)).await;
        check("refused", &answer, stream);
        assert_eq!(answer.told(), ("2", "good", "fallback"));
    }
}

/// What the first failure of a target says about its next time: those of a hard ejection are left
/// alone until it, without an attempt.
#[tokio::test]
async fn who_says_when_it_recovers_is_not_asked_before() {
    for (name, script) in [
        ("429", Script::rate_limited("600")),
        ("429 by date", Script::rate_limited("Sun, 06 Nov 2044 08:49:37 GMT")),
        ("401", says(401, "invalid_api_key")),
        ("402", says(402, "billing")),
        ("404", says(404, "model_not_found")),
        ("503", Script::answer(503, &[("retry-after", "600")], "")),
    ] {
        let (bad, good) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
        bad.then(script);
        let yaml = target("bad", &bad.url(), &[])
            + &target("good", &good.url(), &[])
            + &priority("chat", &["bad", "good"], &[]);
        let moniker = Moniker::dev(&yaml).await.unwrap();
        let answer = ask(&moniker, &request("chat", false)).await;
        assert_eq!((answer.status, answer.told()), (200, ("2", "good", "fallback")), "{name}");
        for stream in [false, true] {
            let answer = ask(&moniker, &request("chat", stream)).await;
            assert_eq!(answer.told(), ("1", "good", "first_available"), "{name}");
        }
        assert_eq!(bad.count(), 1, "{name}");
    }
}

/// One target is as good as the model id that it replaces: it is asked again.
#[tokio::test]
async fn one_target_is_asked_again_after_a_fault() {
    let only = Upstream::start().await.unwrap();
    let yaml = target("only", &only.url(), &[]) + &priority("chat", &["only"], &[]);
    let moniker = Moniker::dev(&yaml).await.unwrap();
    let before_content = Script::stream([role("m"), error_event()]);
    for (script, stream) in [
        // First, on a fresh connection: on one that was kept it is no attempt at all.
        (Script::reset(), false),
        (says(500, "server_error"), false),
        (says(500, "server_error"), true),
        (ok("application/json", ""), false),
        (before_content, true),
    ] {
        let count = only.count();
        only.then(script);
        let sent = request("chat", stream);
        let answer = ask(&moniker, &sent).await;
        assert_eq!((answer.status, answer.said().as_str()), (200, "hello"), "{}", answer.body);
        assert_eq!(answer.told(), ("2", "only", "retry"));
        assert_eq!(only.count(), count + 2);
        let bodies: Vec<_> = only.received().into_iter().rev().take(2).map(|r| r.body).collect();
        assert_eq!(bodies[0], bodies[1], "the same request again");
        assert_eq!(bodies[0], sent.replace("chat", "up-only").as_bytes());
    }
}

/// The provider's word on a request that no other would take either: asked once, passed on.
#[tokio::test]
async fn a_request_at_fault_is_asked_once_and_ejects_nobody() {
    let (first, second) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
    let yaml = target("first", &first.url(), &[])
        + &target("second", &second.url(), &[])
        + &priority("chat", &["first", "second"], &[]);
    let moniker = Moniker::dev(&yaml).await.unwrap();
    let odd = Script::error(422, "odd_value", "temperature is odd");
    let flagged = Script::error(400, "content_policy_violation", "flagged");
    for stream in [false, true] {
        for (script, status, code, message) in [
            (odd.clone(), 422, "odd_value", "temperature is odd"),
            (flagged.clone(), 400, "content_filter", "flagged"),
        ] {
            for _ in 0..4 {
                first.then(script.clone());
                let answer = ask(&moniker, &request("chat", stream)).await;
                assert_eq!(answer.error(), (status, code.to_owned(), message.to_owned()));
                assert_eq!(answer.told(), ("1", "first", "final"));
            }
        }
    }
    assert_eq!(second.count(), 0);
    assert_eq!(ask(&moniker, &request("chat", false)).await.told().1, "first");
}
