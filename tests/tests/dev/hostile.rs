//! Providers that send too much, too little or the wrong thing: they are left at a limit, the next
//! target serves, and no byte of theirs ends up in an answer that is not theirs.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use testkit::{
    moniker::Moniker,
    upstream::{Script, Step, Upstream, delta, role},
};

use crate::{
    faults::{LEAK, Table},
    rig::{ask, priority, request, target},
};

/// Far more than it takes: a limit ends each case, not the time.
const LONG: &str = "timeouts: {request: 60s, attempt: 50s, firstToken: 50s, streamIdle: 50s}";

fn raw(text: &str) -> Step {
    Step::Send(Bytes::from(text.to_owned()))
}

fn for_ever(size: usize, text: &str) -> Step {
    Step::Forever(text.repeat(size / text.len()).into())
}

/// One chunk of the transfer coding.
fn chunk(body: &str) -> Bytes {
    format!("{:x}\r\n{body}\r\n", body.len()).into()
}

const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                      transfer-encoding: chunked\r\n\r\n";

/// More zeros than an answer may have bytes, packed.
fn bomb() -> Script {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(br#"{"choices":[{"message":{"content":""#).unwrap();
    for _ in 0..80 {
        packed.write_all(&vec![b'0'; 1 << 20]).unwrap();
    }
    let body = packed.finish().unwrap();
    let head = format!("{JSON}content-encoding: gzip\r\ncontent-length: {}\r\n\r\n", body.len());
    Script::steps([raw(&head), Step::Send(body.into())])
}

fn ok(body: &str) -> Script {
    Script::answer(200, &[("content-type", "application/json")], body)
}

#[tokio::test]
async fn json_that_is_none_is_left_for_the_next_target() {
    let whole = r#"{"choices":[{"message":{"content":"LEAK"}}]}"#;
    let nested = "[".repeat(100_000);
    let cases = vec![
        ("endless answer", Script::steps([raw(JSON), raw("\r\n"), for_ever(1 << 20, "LEAK")])),
        (
            "endless chunks",
            Script::steps([
                raw(&format!("{JSON}transfer-encoding: chunked\r\n\r\n")),
                Step::Forever(chunk(&" ".repeat(1 << 20))),
            ]),
        ),
        ("endless headers", Script::steps([raw(JSON), for_ever(64 << 10, "x-leak: LEAK\r\n")])),
        ("endless header", Script::steps([raw(JSON), raw("x-leak: "), for_ever(64 << 10, "LEAK")])),
        ("endless status", Script::steps([for_ever(64 << 10, "HTTP/1.1 LEAK")])),
        ("bomb", bomb()),
        ("not packed at all", Script::answer(200, &[("content-encoding", "gzip")], whole)),
        ("unknown coding", Script::answer(200, &[("content-encoding", "br")], whole)),
        ("trailing garbage", ok(&format!("{whole} LEAK"))),
        ("two objects", ok(&format!("{whole}{whole}"))),
        ("not a number", ok(r#"{"choices":[{"message":{"content":"LEAK"},"x":NaN}]}"#)),
        ("deeply nested", ok(&format!("{{\"choices\":{nested}"))),
        ("a list", ok("[1, 2]")),
        ("null", ok("null")),
        ("no content", Script::answer(204, &[], "")),
        ("not modified", Script::answer(304, &[], "")),
        (
            "broken chunk",
            Script::steps([
                raw(&format!("{JSON}transfer-encoding: chunked\r\n\r\nzz\r\nLEAK")),
                Step::Close,
            ]),
        ),
        (
            "two lengths",
            Script::steps([
                raw(&format!("{JSON}content-length: 5\r\ncontent-length: 44\r\n\r\n{whole}")),
                Step::Close,
            ]),
        ),
        (
            "switching protocols",
            Script::steps([
                raw("HTTP/1.1 101 LEAK\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
                Step::Close,
            ]),
        ),
    ];
    Table::of(cases, LONG).await.served(false).await;
}

#[tokio::test]
async fn a_stream_that_never_comes_to_content_is_left_for_the_next_target() {
    let long = chunk(&"LEAK".repeat(16 << 10));
    let cases = vec![
        ("endless roles", Script::steps([raw(EVENTS), Step::Forever(chunk(&role(LEAK)))])),
        ("endless comments", Script::steps([raw(EVENTS), Step::Forever(chunk(": LEAK\n\n"))])),
        ("endless line", Script::steps([raw(EVENTS), raw("6\r\ndata: \r\n"), Step::Forever(long)])),
        ("endless blanks", Script::steps([raw(EVENTS), Step::Forever(chunk(&"\n".repeat(4096)))])),
        ("html", Script::stream(["<html>LEAK</html>".to_owned()])),
        ("bomb", bomb()),
    ];
    Table::of(cases, LONG).await.served(true).await;
}

struct One {
    moniker: Moniker,
    only: Upstream,
}

impl One {
    async fn start() -> Self {
        let only = Upstream::start().await.unwrap();
        let yaml = target("only", &only.url(), &[]) + &priority("chat", &["only"], &[LONG]);
        Self { moniker: Moniker::dev(&yaml).await.unwrap(), only }
    }
}

#[tokio::test]
async fn an_endless_event_after_content_is_cut_with_an_error() {
    let one = One::start().await;
    let long = chunk(&"LEAK".repeat(64 << 10));
    let begun = [raw(EVENTS), Step::Send(chunk(&delta("m", "a"))), raw("6\r\ndata: \r\n")];
    one.only.then(Script::steps(begun.into_iter().chain([Step::Forever(long)])));
    let answer = ask(&one.moniker, &request("chat", true)).await;
    assert!(answer.body.starts_with(&delta("m", "a")), "{:.300}", answer.body);
    assert!(!answer.body.contains("LEAK"), "no part of it");
    assert!(answer.events().pop().unwrap()["error"].is_object(), "{}", answer.body);
    one.only.wait_for_left(1).await.unwrap();
}

/// A second answer that nobody asked for must not be the answer to the next request.
#[tokio::test]
async fn an_answer_that_was_not_asked_for_is_nobodys() {
    let one = One::start().await;
    let body = |text: &str| format!(r#"{{"choices":[{{"message":{{"content":"{text}"}}}}]}}"#);
    let answer = |text: &str| {
        let body = body(text);
        format!("{JSON}content-length: {}\r\n\r\n{body}", body.len())
    };
    let events = [delta("m", "first"), testkit::upstream::finish("m")].concat();
    let stream = format!("{EVENTS}{:x}\r\n{events}\r\n0\r\n\r\n", events.len());
    for _ in 0..10 {
        for (first, streamed) in [(answer("first"), false), (stream.clone(), true)] {
            one.only.then(Script::steps([raw(&(first + &answer(LEAK)))]));
            for said in ["first", "hello", "hello"] {
                let got = ask(&one.moniker, &request("chat", streamed)).await;
                assert_eq!((got.status, got.said().as_str()), (200, said), "{}", got.body);
            }
        }
    }
}

#[tokio::test]
async fn what_comes_before_an_answer_is_passed_over() {
    let one = One::start().await;
    let body = r#"{"choices":[{"message":{"content":"fine"}}]}"#;
    let answer = format!("{JSON}content-length: {}\r\n\r\n{body}", body.len());
    for before in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"] {
        one.only.then(Script::steps([raw(before), raw(&answer)]));
        let got = ask(&one.moniker, &request("chat", false)).await;
        assert_eq!((got.body.as_str(), got.told()), (body, ("1", "only", "first_choice")));
    }
    // Without a length it ends with the connection, and is whole all the same.
    one.only.then(Script::steps([raw(JSON), raw("\r\n"), raw(body), Step::Close]));
    assert_eq!(ask(&one.moniker, &request("chat", false)).await.body, body);
}
