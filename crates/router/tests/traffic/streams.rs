//! Streams past the commit point: passed on as they come, never switched, never cut silently.

use std::io::Write as _;

use http_body_util::BodyExt as _;
use routing::ProviderKind;

use crate::{
    rig::{Answer, Rig, World, ask, ask_stream},
    upstream::{
        self, DONE, Do, Upstream, chat, chunk, content, delta, end, events_head, finish,
        good_stream, role,
    },
};

async fn text(response: &mut http::Response<hyper::body::Incoming>) -> Option<String> {
    let frame = response.body_mut().frame().await?.unwrap();
    Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

/// The error of the last event, which must be the last thing of all.
fn error_frame(body: &str) -> serde_json::Value {
    assert!(!body.contains("[DONE]"), "no clean end: {body}");
    let last = body.trim_end().rsplit("\n\n").next().unwrap();
    let json: serde_json::Value =
        serde_json::from_str(last.strip_prefix("data: ").unwrap()).unwrap();
    json["error"].clone()
}

#[tokio::test]
async fn nothing_reaches_the_caller_before_content_and_everything_after() {
    let only = Upstream::always(vec![
        events_head(),
        chunk(&role()),
        chunk(&content("a")),
        Do::Wait,
        chunk(&content("b")),
        chunk(&finish()),
        chunk(DONE),
        end(),
    ])
    .await;
    let rig = Rig::start(World::over(&[&only])).await;
    let request = rig.request("/v1/chat/completions", ask_stream().into(), &[]);
    let (mut response, _connection) = rig.open(request).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(response.headers()["x-moniker-target"], "shop/t0/m");
    let mut got = String::new();
    while !got.contains("\"a\"") {
        got.push_str(&text(&mut response).await.unwrap());
    }
    assert_eq!(got, [role(), content("a")].concat());
    only.go_on();
    while let Some(more) = text(&mut response).await {
        got.push_str(&more);
    }
    assert_eq!(got, [role(), content("a"), content("b"), finish(), DONE.into()].concat());
}

#[tokio::test]
async fn what_breaks_off_after_content_ends_in_an_error_frame() {
    let half = content("b");
    let half = &half[..half.len() - 9];
    let event_error =
        "data: {\"error\":{\"message\":\"overloaded\",\"code\":\"server_error\"}}\n\n";
    let cases: Vec<(&str, Vec<Do>)> = vec![
        ("clean end", vec![end()]),
        ("close", vec![Do::Close]),
        ("reset", vec![Do::Reset]),
        ("cut within an event", vec![chunk(half), Do::Close]),
        ("done without finish", vec![chunk(DONE), Do::Close]),
        ("error event", vec![chunk(event_error), end()]),
    ];
    for (name, tail) in cases {
        let mut script = vec![events_head(), chunk(&role()), chunk(&content("a"))];
        script.extend(tail);
        let bad = Upstream::always(script).await;
        let good = Upstream::always(good_stream("never")).await;
        let rig = Rig::start(World::over(&[&bad, &good])).await;
        let answer = rig.chat(ask_stream()).await;
        if name == "done without finish" {
            // Content and the terminator, but no finish reason: an end, by the dialect.
            assert!(answer.body.contains("\"a\""), "{name}");
            continue;
        }
        assert_eq!(answer.status, 200);
        assert!(answer.body.starts_with(&[role(), content("a")].concat()), "{name}");
        assert!(!answer.body.contains("\"b"), "{name}: no partial event");
        let error = error_frame(&answer.body);
        assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()), "{name}: {error}");
        assert_eq!(good.count(), 0, "{name}: never switched");
    }
}

#[tokio::test]
async fn a_missing_done_after_the_finish_is_no_truncation() {
    let only =
        Upstream::always(vec![events_head(), chunk(&content("a")), chunk(&finish()), end()]).await;
    let rig = Rig::start(World::over(&[&only])).await;
    let answer = rig.chat(ask_stream()).await;
    assert_eq!(answer.body, [content("a"), finish()].concat());
}

#[tokio::test]
async fn an_empty_answer_is_an_answer() {
    let only =
        Upstream::always(vec![events_head(), chunk(&role()), chunk(&finish()), chunk(DONE), end()])
            .await;
    let rig = Rig::start(World::over(&[&only])).await;
    let answer = rig.chat(ask_stream()).await;
    assert_eq!(answer.body, [role(), finish(), DONE.into()].concat());
}

#[tokio::test]
async fn usage_that_only_we_asked_for_is_hidden() {
    let usage = r#"data: {"id":"c1","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":22,"total_tokens":33}}"#
        .to_owned()
        + "\n\n";
    let only = Upstream::always(vec![
        events_head(),
        chunk(&content("a")),
        chunk(&finish()),
        chunk(&usage),
        chunk(DONE),
        end(),
    ])
    .await;
    let rig = Rig::start(World::over(&[&only])).await;
    let answer = rig.chat(ask_stream()).await;
    assert_eq!(answer.body, [content("a"), finish(), DONE.into()].concat());
    assert!(only.seen()[0].text().contains(r#""stream_options":{"include_usage":true}"#));
    let text = rig.metrics.render();
    assert!(text.contains(r#"target="shop/t0/m",direction="output"} 22"#), "{text}");

    let asked = r#"{"model":"prod-chat","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#;
    let answer = rig.chat(asked).await;
    assert_eq!(answer.body, [content("a"), finish(), usage, DONE.into()].concat());
}

#[tokio::test]
async fn a_member_that_we_added_is_left_out_where_it_is_refused() {
    let only = Upstream::always(good_stream("ok")).await;
    only.next(upstream::error(
        "400 Bad Request",
        "",
        "unknown_parameter",
        "Unknown parameter: stream_options",
    ));
    let rig = Rig::start(World::over(&[&only])).await;
    let answer = rig.chat(ask_stream()).await;
    assert_eq!((answer.status, answer.header("x-moniker-attempts")), (200, "1"));
    rig.chat(ask_stream()).await;
    let seen = only.seen();
    assert!(seen[0].text().contains("stream_options"));
    assert!(!seen[1].text().contains("stream_options"));
    assert!(!seen[2].text().contains("stream_options"), "remembered");
}

#[tokio::test]
async fn a_json_answer_to_a_stream_request_becomes_events() {
    let only = Upstream::always(chat("hello")).await;
    let rig = Rig::start(World::over(&[&only])).await;
    let answer = rig.chat(ask_stream()).await;
    assert_eq!(answer.header("content-type"), "text/event-stream; charset=utf-8");
    assert!(answer.body.contains(r#""content":"hello""#), "{}", answer.body);
    assert!(answer.body.contains("chat.completion.chunk"));
    assert!(answer.body.ends_with(DONE));
}

#[tokio::test]
async fn a_stream_that_answers_a_json_request_is_collected() {
    let only = Upstream::always(good_stream("a")).await;
    let rig = Rig::start(World::over(&[&only])).await;
    let answer = rig.chat(ask()).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let body = answer.json();
    assert_eq!(body["object"], "chat.completion");
    let choice = &body["choices"][0];
    assert_eq!(
        (&choice["message"]["content"], &choice["finish_reason"]),
        (&"a".into(), &"stop".into())
    );
}

#[tokio::test]
async fn a_cut_stream_that_answers_a_json_request_is_no_answer() {
    let bad =
        Upstream::always(vec![events_head(), chunk(&role()), chunk(&content("a")), end()]).await;
    let good = Upstream::always(chat("whole")).await;
    let rig = Rig::start(World::over(&[&bad, &good])).await;
    let answer = rig.chat(ask()).await;
    assert_eq!((answer.status, answer.target()), (200, "t1"));
}

#[tokio::test]
async fn packed_answers_are_unpacked() {
    let pack = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let stream = pack(&[content("a"), finish(), DONE.into()].concat());
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        stream.len()
    );
    let only = Upstream::always(vec![Do::Send(head.into_bytes()), Do::Send(stream)]).await;
    let rig = Rig::start(World::over(&[&only])).await;
    let answer = rig.chat(ask_stream()).await;
    assert_eq!(answer.body, [content("a"), finish(), DONE.into()].concat());
    assert_eq!(answer.header("content-encoding"), "");
    assert_eq!(only.seen()[0].header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn a_caller_that_leaves_closes_the_provider() {
    let only = Upstream::always(vec![events_head(), chunk(&content("a")), Do::Hang]).await;
    let rig = Rig::start(World::over(&[&only])).await;
    let request = rig.request("/v1/chat/completions", ask_stream().into(), &[]);
    let (mut response, connection) = rig.open(request).await;
    text(&mut response).await.unwrap();
    connection.leave();
    drop(response);
    only.peer_left().await;

    // Before an answer too, JSON.
    let only = Upstream::always(vec![Do::Hang]).await;
    let rig = Rig::start(World::over(&[&only])).await;
    let request = rig.request("/v1/chat/completions", crate::rig::ask().into(), &[]);
    let asking = tokio::spawn({
        let addr = rig.addr;
        async move {
            let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
            let io = hyper_util::rt::TokioIo::new(stream);
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            let driving = tokio::spawn(connection);
            let _ = sender.send_request(request).await;
            driving.abort();
        }
    });
    while only.count() == 0 {
        tokio::task::yield_now().await;
    }
    asking.abort();
    only.peer_left().await;
    let left = r#"moniker_requests_total{alias="shop/prod-chat",code="left"} 1"#;
    while !rig.metrics.render().contains(left) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_thinking_model_is_bridged_by_keep_alives_after_content_alone() {
    let only = Upstream::always(vec![events_head(), chunk(&content("a")), Do::Hang]).await;
    let rig = Rig::start(World::over(&[&only])).await;
    let request = rig.request("/v1/chat/completions", ask_stream().into(), &[]);
    let (mut response, _connection) = rig.open(request).await;
    assert_eq!(text(&mut response).await.unwrap(), content("a"));
    // From here on nothing but timers can happen.
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    for seconds in [15, 30, 45] {
        assert_eq!(text(&mut response).await.unwrap(), ": keep-alive\n");
        let elapsed = began.elapsed().as_secs_f64();
        assert!((elapsed - f64::from(seconds)).abs() < 2.0, "{elapsed} for {seconds}");
    }
    let rest = Answer::of(response).await.body;
    assert!(error_frame(&rest)["message"].as_str().unwrap().contains("streamIdle"), "{rest}");
}

#[tokio::test]
async fn other_protocols_are_bridged_in_their_own_form() {
    for (kind, path, said, alive) in [
        (
            ProviderKind::Anthropic,
            "messages",
            [
                r#"{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"c","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}"#,
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#,
            ],
            "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        ),
        // The events bear the provider's numbers.
        (
            ProviderKind::OpenAI,
            "responses",
            [
                r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":1,"model":"c","status":"in_progress","output":[]}}"#,
                r#"{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"message","id":"msg_1","role":"assistant","status":"in_progress","content":[]}}"#,
                r#"{"type":"response.output_text.delta","sequence_number":2,"output_index":0,"item_id":"msg_1","content_index":0,"delta":"a"}"#,
            ],
            ": keep-alive\n",
        ),
    ] {
        let events = said.map(|data| {
            let kind = data.split('"').nth(3).unwrap();
            format!("event: {kind}\ndata: {data}\n\n")
        });
        let mut script = vec![events_head()];
        script.extend(events.iter().map(|event| chunk(event)));
        script.push(Do::Hang);
        let only = Upstream::always(script).await;
        let rig = Rig::start(World::over(&[&only]).target(0, |t| {
            t.provider = kind;
            t.models[0].capabilities = kind.unstated_capabilities();
        }))
        .await;
        let ask = r#"{"model":"prod-chat","stream":true,"max_tokens":9,"input":"hi","messages":[{"role":"user","content":"hi"}]}"#;
        let request = rig.request(&format!("/v1/{path}"), ask.into(), &[]);
        let (mut response, _connection) = rig.open(request).await;
        let mut came = String::new();
        while came.len() < events.concat().len() {
            came += &text(&mut response).await.unwrap();
        }
        assert_eq!(came, events.concat());
        // From here on nothing but timers can happen.
        tokio::time::pause();
        for _ in 0..3 {
            assert_eq!(text(&mut response).await.unwrap(), alive, "{path}");
        }
        let rest = Answer::of(response).await.body;
        tokio::time::resume();
        assert!(
            rest.starts_with("event: error\n") && rest.contains("streamIdle"),
            "{path}: {rest}"
        );
    }
}

#[tokio::test]
async fn silence_within_a_stream_ends_it() {
    let only = Upstream::always(vec![events_head(), chunk(&content("a")), Do::Hang]).await;
    let rig = Rig::start(World::over(&[&only]).alias(|a| a.timeouts.stream_idle_ms = 150)).await;
    let answer = rig.chat(ask_stream()).await;
    let error = error_frame(&answer.body);
    assert!(error["message"].as_str().unwrap().contains("streamIdle"), "{error}");
    only.peer_left().await;
}

#[tokio::test]
async fn a_stream_survives_shutdown_and_new_connections_do_not() {
    let only = Upstream::always(vec![
        events_head(),
        chunk(&content("a")),
        Do::Wait,
        chunk(&finish()),
        chunk(DONE),
        end(),
    ])
    .await;
    let mut rig = Rig::start(World::over(&[&only])).await;
    let request = rig.request("/v1/chat/completions", ask_stream().into(), &[]);
    let (mut response, _connection) = rig.open(request).await;
    let first = text(&mut response).await.unwrap();
    rig.stop.cancel();
    while tokio::net::TcpStream::connect(rig.addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    only.go_on();
    let rest = Answer::of(response).await.body;
    assert_eq!(first + &rest, [content("a"), finish(), DONE.into()].concat());
    (&mut rig.served).await.unwrap();
}

#[tokio::test]
async fn several_choices_end_when_each_has() {
    let two = delta(
        r#"{"index":0,"delta":{"content":"x"},"finish_reason":null},{"index":1,"delta":{"content":"y"},"finish_reason":null}"#,
    );
    let only = Upstream::always(vec![events_head(), chunk(&two), chunk(&finish()), end()]).await;
    let rig = Rig::start(World::over(&[&only])).await;
    let answer = rig.chat(ask_stream()).await;
    error_frame(&answer.body);
}
