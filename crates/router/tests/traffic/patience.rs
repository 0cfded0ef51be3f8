//! How long what is slow or silent is waited for. The clock is paused once only timers are left, so
//! that nothing here waits.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use crate::{
    rig::{Rig, World, ask},
    upstream::{self, Do, Upstream, chat},
};

/// Sends these bytes and nothing more; what comes back until the router closes, and after how long.
async fn silence_after(rig: &Rig, bytes: &[u8]) -> (String, Duration) {
    let mut stream = TcpStream::connect(rig.addr).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    // The router has accepted and read what there is once it answers another connection.
    assert_eq!(rig.get("/v1/models").await.status, 200);
    tokio::time::pause();
    let began = Instant::now();
    let mut out = Vec::new();
    let _ = stream.read_to_end(&mut out).await;
    let took = began.elapsed();
    tokio::time::resume();
    (String::from_utf8_lossy(&out).into_owned(), took)
}

fn about(took: Duration, seconds: u64) {
    let off = took.as_secs_f64() - Duration::from_secs(seconds).as_secs_f64();
    assert!(off.abs() < 2.0, "{took:?}, not {seconds} s");
}

#[tokio::test]
async fn silent_connections_end() {
    let only = Upstream::always(chat("ok")).await;
    let rig = Rig::start(World::over(&[&only])).await;
    for begun in ["", "P", "POST /v1/chat"] {
        let (text, took) = silence_after(&rig, begun.as_bytes()).await;
        assert_eq!(text, "", "{begun:?}");
        about(took, 10);
    }
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-slow: ";
    about(silence_after(&rig, head.as_bytes()).await.1, 10);
}

#[tokio::test]
async fn a_body_that_stops_is_408() {
    let only = Upstream::always(chat("ok")).await;
    let rig = Rig::start(World::over(&[&only])).await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"mod";
    let (text, took) = silence_after(&rig, head.as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    assert!(text.contains("30 seconds"), "{text}");
    assert!((30..40).contains(&took.as_secs()), "{took:?}");
    assert_eq!(only.count(), 0);
}

#[tokio::test]
async fn the_callers_own_timeout_holds_and_ejects_nobody() {
    let only = Upstream::always(vec![Do::Hang]).await;
    let rig = Rig::start(World::over(&[&only])).await;
    for (name, value) in
        [("x-moniker-timeout", "0.05"), ("x-stainless-read-timeout", "0.05")].repeat(2)
    {
        let answer = rig.post_with("/v1/chat/completions", ask(), &[(name, value)]).await;
        assert_eq!(answer.status, 504, "{name}");
        only.peer_left().await;
    }
    let said = rig.post("/v1/explain/chat/completions", ask()).await.json();
    assert_eq!(said["candidates"][0]["availability"], "Available");
}

#[tokio::test]
async fn a_body_that_comes_slowly_ejects_nobody() {
    let only = Upstream::always(vec![Do::Hang]).await;
    let world = World::over(&[&only]).alias(|a| a.timeouts.request_ms = 10_000);
    let rig = Rig::start(world).await;
    tokio::time::pause();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(rig.addr).await.unwrap();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n",
            ask().len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // Being told to go on says that the head was read.
        let mut told = [0; 25];
        stream.read_exact(&mut told).await.unwrap();
        assert!(told.starts_with(b"HTTP/1.1 100 "));
        tokio::time::advance(Duration::from_secs(9)).await;
        stream.write_all(ask().as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    }
    tokio::time::resume();
    let said = rig.post("/v1/explain/chat/completions", ask()).await.json();
    assert_eq!(said["candidates"][0]["availability"], "Available");
}

#[tokio::test]
async fn a_deadline_of_the_alias_ejects() {
    let only = Upstream::always(vec![Do::Hang]).await;
    let rig = Rig::start(World::over(&[&only]).alias(|a| a.timeouts.attempt_ms = Some(30))).await;
    for _ in 0..3 {
        assert_eq!(rig.chat(ask()).await.status, 504);
    }
    let said = rig.post("/v1/explain/chat/completions", ask()).await.json();
    assert_eq!(said["candidates"][0]["availability"], "EjectedSoft");
    // When nothing else is left it is asked all the same, and that is no other ejection.
    assert_eq!(rig.chat(ask()).await.status, 504);
    let line = r#"moniker_ejections_total{target="shop/t0/m",outcome="Timeout"} 1"#;
    assert!(rig.metrics.render().contains(line));
    only.next(chat("ok"));
    assert_eq!(rig.chat(ask()).await.status, 200);
}

#[tokio::test]
async fn a_caller_that_does_not_read_is_left() {
    let flood: Vec<Do> = std::iter::once(upstream::events_head())
        .chain((0..400).map(|_| upstream::chunk(&upstream::content(&"a".repeat(64 << 10)))))
        .chain([Do::Hang])
        .collect();
    let only = Upstream::always(flood).await;
    let rig = Rig::start(World::over(&[&only])).await;
    let body = crate::rig::ask_stream();
    let mut stream = TcpStream::connect(rig.addr).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'H');
    // Nothing more is read. The provider is held back, and let go after the time for writing.
    tokio::time::pause();
    only.peer_left().await;
}
