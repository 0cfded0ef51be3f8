//! Streams through the real binary: byte for byte, never switched after content, never ended as if
//! they were whole when they are not.

use bytes::Bytes;
use serde_json::{Value, json};
use testkit::{
    moniker::Moniker,
    upstream::{Script, Step, Upstream, delta, error, finish, role},
};

use crate::rig::{Answer, ask, open, priority, request, target};

struct One {
    moniker: Moniker,
    only: Upstream,
    spare: Upstream,
}

impl One {
    /// A target with a second one behind it that is never to be asked.
    async fn start() -> Self {
        let (only, spare) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
        spare.always(Script::chat("SPARE"));
        let idle = ["timeouts: {request: 20s, streamIdle: 1s}"];
        let yaml = target("only", &only.url(), &[])
            + &target("spare", &spare.url(), &[])
            + &priority("chat", &["only", "spare"], &idle);
        Self { moniker: Moniker::dev(&yaml).await.unwrap(), only, spare }
    }

    async fn ask(&self) -> Answer {
        ask(&self.moniker, &request("chat", true)).await
    }
}

/// The error in the last event of a stream, after which nothing comes.
fn error_frame(name: &str, answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{name}: it had begun");
    assert!(!answer.body.contains("[DONE]"), "{name}: no clean end: {}", answer.body);
    assert!(answer.body.ends_with("\n\n"), "{name}: {:?}", answer.body);
    let last = answer.events().pop().unwrap();
    assert!(last["error"]["message"].is_string(), "{name}: {}", answer.body);
    let reasons = answer.events().iter().any(|e| e["choices"][0]["finish_reason"].is_string());
    assert!(!reasons, "{name}: no reason is invented: {}", answer.body);
    last["error"].clone()
}

#[tokio::test]
async fn what_dies_after_content_ends_in_an_error_and_is_never_continued() {
    let one = One::start().await;
    let begun = || vec![role("m"), delta("m", "one "), delta("m", "two")];
    let half = "data: {\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":\"HALF".to_owned();
    let event = format!("data: {}\n\n", error("server_error", "overloaded"));
    let named = format!("event: error\n{event}");
    let more = |chunk: String| begun().into_iter().chain([chunk]);
    for (name, script) in [
        ("clean end", Script::stream(begun())),
        ("close", Script::stream_then(begun(), [Step::Close])),
        ("reset", Script::stream_then(begun(), [Step::Reset])),
        ("silence", Script::stream_then(begun(), [Step::Stall])),
        ("half an event, then close", Script::stream_then(more(half.clone()), [Step::Close])),
        ("half an event, then end", Script::stream(more(half))),
        ("error event", Script::stream(more(event))),
        ("named error event", Script::stream(more(named))),
        (
            "broken chunk",
            Script::stream_then(begun(), [Step::Send(Bytes::from_static(b"zzz\r\n")), Step::Close]),
        ),
    ] {
        one.only.then(script);
        let answer = one.ask().await;
        assert_eq!(answer.told(), ("1", "only", "first_choice"), "{name}");
        assert!(answer.body.starts_with(&begun().concat()), "{name}: {}", answer.body);
        assert_eq!(answer.said(), "one two", "{name}");
        assert!(!answer.body.contains("HALF"), "{name}: no partial event: {}", answer.body);
        let error = error_frame(name, &answer);
        assert!(error["type"].is_string() && error["code"].is_string(), "{name}: {error}");
        // What broke off once is no reason to leave the target alone; three in a row would be.
        one.only.then(Script::chat("whole"));
        assert_eq!(one.ask().await.said(), "whole", "{name}");
    }
    assert_eq!(one.spare.count(), 0, "never switched");
}

#[tokio::test]
async fn the_bytes_of_a_stream_pass_unchanged() {
    let one = One::start().await;
    let crlf = |event: String| event.replace('\n', "\r\n");
    let chunk = r#"{"choices":[{"index":0,"delta":{"content":"é 😀 \u00e9","x":{"y":[1.50]}},"logprobs":null,"finish_reason":null}],"zeta" : 1e400,"model":"served-by"}"#;
    let odd = format!(": a comment\nid: 7\nevent: message\nretry: 10\ndata: {chunk}\n\n");
    let split = format!("data: {}\ndata: {}\n\n", &chunk[..12], &chunk[12..]);
    let narrow = format!("data:{chunk}\n\n");
    let late = format!("data: {{\"choices\":[],\"usage\":{{\"total_tokens\":3}}}}\n\n{}", done());
    let ended = finish("m").replace(&done(), "");
    for (name, text) in [
        ("line feeds", [role("m"), delta("m", "a"), finish("m")].concat()),
        ("crlf", crlf([role("m"), delta("m", "a"), finish("m")].concat())),
        ("comments, ids, names", [odd.clone(), finish("m")].concat()),
        ("crlf with all of it", crlf([odd, delta("m", "b"), finish("m")].concat())),
        ("data on two lines", [split, finish("m")].concat()),
        ("no space", [narrow, finish("m")].concat()),
        (
            "keep-alives",
            [": x\n\n".into(), delta("m", "a"), ": y\n\n".into(), finish("m")].concat(),
        ),
        ("a malformed event", [delta("m", "a"), "data: {oops\n\n".into(), finish("m")].concat()),
        ("no done", [delta("m", "a"), ended.clone()].concat()),
        ("usage that was asked for", [delta("m", "a"), ended, late].concat()),
        ("nothing said", [role("m"), finish("m")].concat()),
    ] {
        // In one piece, then at odd places.
        for size in [text.len(), 1, 7, 64] {
            let pieces = text.as_bytes().chunks(size).map(piece);
            let end = Step::Send(Bytes::from_static(b"0\r\n\r\n"));
            one.only.then(Script::stream_then([], pieces.chain([end])));
            let answer = one.ask().await;
            assert_eq!(answer.status, 200, "{name} by {size}: {}", answer.body);
            assert_eq!(answer.body, text, "{name} by {size}");
            assert_eq!(answer.told(), ("1", "only", "first_choice"), "{name} by {size}");
        }
    }
}

fn done() -> String {
    "data: [DONE]\n\n".to_owned()
}

/// A chunk of the transfer coding, written on its own.
fn piece(bytes: &[u8]) -> Step {
    Step::Send([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat().into())
}

#[tokio::test]
async fn usage_is_learnt_and_shown_to_those_alone_who_asked() {
    let one = One::start().await;
    let base = r#"{"model": "chat", "messages": [], "stream": true"#;
    for (more, shown, sent) in [
        ("", false, None),
        (r#", "stream_options": {"include_usage": true}"#, true, Some(true)),
        (r#", "stream_options": {"include_usage": false}"#, false, None),
        (r#", "stream_options": {}"#, false, None),
        (r#", "stream_options": null"#, false, None),
    ] {
        let body = format!("{base}{more}}}");
        let answer = ask(&one.moniker, &body).await;
        assert_eq!((answer.status, answer.said().as_str()), (200, "hello"), "{more}");
        let usage = answer.events().iter().any(|e| e["usage"].is_object());
        assert_eq!(usage, shown, "{more}: {}", answer.body);
        assert!(answer.body.ends_with(&done()), "{more}");
        let received = one.only.received().pop().unwrap();
        assert_eq!(received.json()["stream_options"]["include_usage"], json!(true), "{more}");
        if sent == Some(true) {
            let want = body.replace("\"chat\"", "\"up-only\"");
            assert_eq!(String::from_utf8_lossy(&received.body), want, "untouched when given");
        }
    }
}

#[tokio::test]
async fn words_come_as_the_provider_sends_them_and_who_leaves_is_not_paid_for() {
    let one = One::start().await;
    one.only.then(Script::stream_then([role("m"), delta("m", "one")], [Step::Stall]));
    let mut answer = open(&one.moniker, &request("chat", true), &[]).await;
    assert_eq!(answer.status().as_u16(), 200);
    let mut got = String::new();
    // The provider says nothing more, so what has come was not held back.
    while !got.contains("one") {
        got += std::str::from_utf8(&answer.chunk().await.unwrap().unwrap()).unwrap();
    }
    drop(answer);
    one.only.wait_for_left(1).await.unwrap();

    // Before the first content, and JSON, too.
    for (i, (script, stream)) in
        [(Script::stream_then([role("m")], [Step::Stall]), true), (Script::hang(), false)]
            .into_iter()
            .enumerate()
    {
        let count = one.only.count();
        one.only.then(script);
        let body = request("chat", stream);
        let asking = open(&one.moniker, &body, &[]);
        tokio::select! {
            answer = asking => panic!("{answer:?}"),
            came = one.only.wait_for(count + 1) => came.unwrap(),
        }
        one.only.wait_for_left(i + 2).await.unwrap();
    }
    assert_eq!(one.spare.count(), 0, "nobody else is asked for who has left");
}

#[tokio::test]
async fn a_caller_that_does_not_read_holds_its_own_stream_alone() {
    let one = One::start().await;
    let words = delta("m", &"x".repeat(8 << 10));
    let again = [format!("{:x}\r\n", words.len()).as_bytes(), words.as_bytes(), b"\r\n"].concat();
    one.only.then(Script::stream_then([role("m")], [Step::Forever(again.into())]));
    let mut slow = open(&one.moniker, &request("chat", true), &[]).await;
    for _ in 0..20 {
        assert_eq!(one.ask().await.said(), "hello");
    }
    assert!(slow.chunk().await.unwrap().is_some());
    drop(slow);
    one.only.wait_for_left(1).await.unwrap();
}

#[tokio::test]
async fn an_answer_in_the_other_shape_is_turned() {
    let one = One::start().await;
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8});
    let whole = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "in one"},
                     "finish_reason": "length"}], "usage": usage});
    // Judged by what it is, whatever it says that it is.
    for kind in ["application/json", "text/event-stream", "text/plain"] {
        one.only.then(Script::answer(200, &[("content-type", kind)], &whole.to_string()));
        let answer = one.ask().await;
        assert_eq!(answer.told(), ("1", "only", "first_choice"), "{kind}: {}", answer.body);
        assert_eq!(answer.said(), "in one", "{kind}");
        assert!(answer.body.ends_with(&done()), "{kind}: {}", answer.body);
        let events = answer.events();
        assert!(events.iter().all(|e| e["object"] == json!("chat.completion.chunk")), "{kind}");
        assert!(events.iter().any(|e| e["choices"][0]["finish_reason"] == json!("length")));
        assert!(events.iter().any(|e| e["usage"] == usage), "{kind}: {}", answer.body);
    }
    let events = [role("m"), delta("m", "in "), delta("m", "one"), finish("m")].concat();
    one.only.then(Script::answer(200, &[("content-type", "text/event-stream")], &events));
    let answer = ask(&one.moniker, &request("chat", false)).await;
    assert_eq!((answer.status, answer.said().as_str()), (200, "in one"), "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/json");
}
