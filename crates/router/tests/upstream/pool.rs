//! Reuse, loss and return of connections.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use router::upstream::{Pools, Reuse, Segments, SendError, UpstreamConfig};
use routing::snapshot::CompiledEndpoint;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{Notify, mpsc},
    time::{advance, timeout},
};

use crate::support::{PATIENCE, Server, answer_all, ask, dev, ok, post, read_request, send};

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let server = Server::start(|_, io| answer_all(io, "hello")).await;
    let pool = dev().pool(&server.endpoint());
    assert_eq!(ask(&pool).await, ("hello".to_owned(), false));
    for _ in 0..20 {
        assert_eq!(ask(&pool).await, ("hello".to_owned(), true));
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_fresh_connection_is_made_when_asked_for() {
    let server = Server::start(|_, io| answer_all(io, "hello")).await;
    let pool = dev().pool(&server.endpoint());
    ask(&pool).await;
    let sent = pool.send(post(&pool, Bytes::new()), Reuse::Fresh, PATIENCE).await.unwrap();
    assert!(!sent.reused);
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn the_same_endpoint_has_one_pool_for_as_long_as_it_is_used() {
    let server = Server::start(|_, io| answer_all(io, "hello")).await;
    let pools = dev();
    let pool = pools.pool(&server.endpoint());
    assert!(Arc::ptr_eq(&pool, &pools.pool(&server.endpoint())));
    ask(&pool).await;
    drop(pool);
    // The pool is gone, and its connection with it.
    assert_eq!(ask(&pools.pool(&server.endpoint())).await, ("hello".to_owned(), false));
}

#[tokio::test]
async fn a_body_is_sent_slice_by_slice_with_its_length() {
    let (tell, mut told) = mpsc::channel(4);
    let server = Server::start(move |_, mut io| {
        let tell = tell.clone();
        async move {
            let request = read_request(&mut io).await.unwrap();
            io.write_all(ok("").as_bytes()).await.unwrap();
            tell.send(request).await.unwrap();
        }
    })
    .await;
    let pool = dev().pool(&server.endpoint());
    let body: Segments = ["{\"model\":", "", "\"gpt\"", "}"].into_iter().map(Bytes::from).collect();
    assert_eq!(body.len(), 15);
    let sent = pool.send(post(&pool, body), Reuse::Allowed, PATIENCE).await.unwrap();
    assert!(sent.response.body().is_end_stream());
    let (head, body) = told.recv().await.unwrap();
    assert_eq!(body, b"{\"model\":\"gpt\"}".as_slice());
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("post /v1/chat/completions http/1.1\r\n"), "{head}");
    assert!(head.contains("content-length: 15") && !head.contains("transfer-encoding"), "{head}");
    assert!(head.contains(&format!("host: {}", server.address)), "{head}");
}

#[tokio::test]
async fn a_body_larger_than_every_buffer_goes_both_ways() {
    let large = "x".repeat(8 << 20);
    let answer = large.clone();
    let server = Server::start(move |_, mut io| {
        let answer = answer.clone();
        async move {
            while let Some((_, body)) = read_request(&mut io).await {
                assert_eq!(body.len(), answer.len());
                io.write_all(ok(&answer).as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let pool = dev().pool(&server.endpoint());
    for reused in [false, true] {
        let body = Bytes::from(large.clone());
        let sent = pool.send(post(&pool, body), Reuse::Allowed, PATIENCE).await.unwrap();
        assert_eq!(sent.reused, reused);
        let body = sent.response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body.len(), large.len());
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_not_used() {
    let server = Server::start(|_, mut io| async move {
        read_request(&mut io).await;
        io.write_all(ok("once").as_bytes()).await.unwrap();
    })
    .await;
    let pool = dev().pool(&server.endpoint());
    for _ in 0..5 {
        // Either the close was seen when the connection was taken, or it is told as stale.
        match send(&pool, "{}").await {
            Ok(sent) => {
                assert!(!sent.reused);
                sent.response.into_body().collect().await.unwrap();
            }
            Err(error) => assert!(error.is_stale(), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_connection_that_closes_under_a_request_is_told_as_stale() {
    let server = Server::start(|_, mut io| async move {
        read_request(&mut io).await;
        io.write_all(ok("once").as_bytes()).await.unwrap();
        read_request(&mut io).await;
    })
    .await;
    let pool = dev().pool(&server.endpoint());
    ask(&pool).await;
    let error = send(&pool, "{}").await.unwrap_err();
    assert!(error.is_stale(), "{error:?}");
    assert!(error.to_string().contains(&server.address.to_string()), "{error}");
}

#[tokio::test]
async fn a_loss_on_a_new_connection_or_within_the_head_is_not_stale() {
    let server = Server::start(|n, mut io| async move {
        read_request(&mut io).await;
        match n {
            0 => {}
            1 => io.write_all(b"HTTP/1.1 200 OK\r\ncontent-le").await.unwrap(),
            2 => {
                io.write_all(ok("once").as_bytes()).await.unwrap();
                read_request(&mut io).await;
                io.write_all(b"HTTP/1.1 2").await.unwrap();
            }
            _ => io.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await.unwrap(),
        }
    })
    .await;
    let pool = dev().pool(&server.endpoint());
    let lost = |error| match error {
        SendError::Lost { reused, before_response, .. } => (reused, before_response),
        other => panic!("{other:?}"),
    };
    assert_eq!(lost(send(&pool, "{}").await.unwrap_err()), (false, true));
    assert_eq!(lost(send(&pool, "{}").await.unwrap_err()), (false, false));
    ask(&pool).await;
    assert_eq!(lost(send(&pool, "{}").await.unwrap_err()), (true, false));
    let error = send(&pool, "{}").await.unwrap_err();
    assert!(matches!(error, SendError::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn a_body_that_is_cut_is_an_error_and_its_connection_is_gone() {
    let server = Server::start(|n, mut io| async move {
        read_request(&mut io).await;
        match n {
            0 => io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal").await.unwrap(),
            _ => io.write_all(ok("hello").as_bytes()).await.unwrap(),
        }
    })
    .await;
    let pool = dev().pool(&server.endpoint());
    let sent = send(&pool, "{}").await.unwrap();
    let error = sent.response.into_body().collect().await.unwrap_err().to_string();
    assert!(error.contains("within the answer") && error.contains("end of file"), "{error}");
    assert_eq!(ask(&pool).await, ("hello".to_owned(), false));
}

#[tokio::test]
async fn a_dropped_request_or_body_closes_its_connection_at_once() {
    let left = Arc::new(Notify::new());
    let started = Arc::new(Notify::new());
    let (l, s) = (Arc::clone(&left), Arc::clone(&started));
    let server = Server::start(move |n, mut io| {
        let (left, started) = (Arc::clone(&l), Arc::clone(&s));
        async move {
            read_request(&mut io).await;
            if n > 0 {
                let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
                io.write_all(head).await.unwrap();
            }
            started.notify_one();
            let mut byte = [0];
            assert!(matches!(io.read(&mut byte).await, Ok(0) | Err(_)));
            left.notify_one();
        }
    })
    .await;
    let pool = dev().pool(&server.endpoint());
    {
        let mut request = std::pin::pin!(send(&pool, "{}"));
        tokio::select! {
            _ = &mut request => panic!("nothing was answered"),
            () = started.notified() => {}
        }
    }
    timeout(PATIENCE, left.notified()).await.unwrap();

    let mut body = send(&pool, "{}").await.unwrap().response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "abc");
    drop(body);
    timeout(PATIENCE, left.notified()).await.unwrap();
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn a_stream_is_handed_on_event_by_event() {
    let go = Arc::new(Notify::new());
    let gate = Arc::clone(&go);
    let server = Server::start(move |_, mut io| {
        let gate = Arc::clone(&gate);
        async move {
            while read_request(&mut io).await.is_some() {
                io.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                    .await
                    .unwrap();
                for _ in 0..5 {
                    gate.notified().await;
                    io.write_all(b"6\r\nevent\n\r\n").await.unwrap();
                }
                io.write_all(b"0\r\n\r\n").await.unwrap();
            }
        }
    })
    .await;
    let pool = dev().pool(&server.endpoint());
    for reused in [false, true] {
        let sent = send(&pool, "{}").await.unwrap();
        assert_eq!(sent.reused, reused);
        let mut body = sent.response.into_body();
        for _ in 0..5 {
            go.notify_one();
            let frame = timeout(PATIENCE, body.frame()).await.unwrap().unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), "event\n");
        }
        assert!(body.frame().await.is_none());
    }
}

#[tokio::test]
async fn what_the_server_ends_is_not_kept() {
    let server = Server::start(|_, mut io| async move {
        read_request(&mut io).await;
        let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
        io.write_all(answer).await.unwrap();
    })
    .await;
    let pool = dev().pool(&server.endpoint());
    for _ in 0..3 {
        assert_eq!(ask(&pool).await, ("ok".to_owned(), false));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_at_once_share_sixty_four_connections() {
    let server = Server::start(|_, io| answer_all(io, "hello")).await;
    let pool = dev().pool(&server.endpoint());
    join_all((0..64).map(|_| {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move {
            for _ in 0..50 {
                assert_eq!(ask(&pool).await.0, "hello");
            }
        })
    }))
    .await
    .into_iter()
    .for_each(|ended| ended.unwrap());
    assert!(server.accepted() <= 64, "{}", server.accepted());
}

#[tokio::test]
async fn a_pool_that_is_no_longer_wanted_closes_what_is_idle() {
    let left = Arc::new(Notify::new());
    let tell = Arc::clone(&left);
    let server = Server::start(move |_, io| {
        let tell = Arc::clone(&tell);
        async move {
            answer_all(io, "hello").await;
            tell.notify_one();
        }
    })
    .await;
    let pools = dev();
    let pool = pools.pool(&server.endpoint());
    ask(&pool).await;
    pools.retain(|_| false);
    timeout(PATIENCE, left.notified()).await.unwrap();
    // A request that still holds it is served, on a connection that is closed behind it.
    assert_eq!(ask(&pool).await, ("hello".to_owned(), false));
    timeout(PATIENCE, left.notified()).await.unwrap();
    assert!(!Arc::ptr_eq(&pool, &pools.pool(&server.endpoint())));
}

/// Keeps a paused clock still while the test waits for sockets: a runtime that has something to
/// do never runs it ahead.
fn hold_the_clock() {
    tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_closed_when_it_was_idle_for_long() {
    hold_the_clock();
    let left = Arc::new(Notify::new());
    let tell = Arc::clone(&left);
    let server = Server::start(move |_, io| {
        let tell = Arc::clone(&tell);
        async move {
            answer_all(io, "hello").await;
            tell.notify_one();
        }
    })
    .await;
    let pool = dev().pool(&server.endpoint());
    ask(&pool).await;
    advance(Duration::from_secs(45)).await;
    assert!(ask(&pool).await.1);
    advance(Duration::from_secs(56)).await;
    left.notified().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_to_a_service_is_not_reused_when_it_is_old() {
    hold_the_clock();
    let server = Server::start(|_, io| answer_all(io, "hello")).await;
    for (service, reused) in [(true, false), (false, true)] {
        let endpoint = CompiledEndpoint { service, ..server.endpoint() };
        let pools = Pools::new(UpstreamConfig {
            allow_cidrs: vec!["127.0.0.0/8".parse().unwrap()],
            dev: true,
            ..UpstreamConfig::default()
        });
        let pool = pools.pool(&endpoint);
        ask(&pool).await;
        advance(Duration::from_secs(40)).await;
        assert!(ask(&pool).await.1);
        advance(Duration::from_secs(40)).await;
        assert_eq!(ask(&pool).await.1, reused, "80 seconds old");
    }
}
