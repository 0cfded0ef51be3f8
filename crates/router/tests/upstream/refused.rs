//! What is not connected to, and connections that do not come about.

use std::time::Duration;

use bytes::Bytes;
use router::upstream::{Pools, Reuse, SendError, Stage, UpstreamConfig};
use tokio::net::{TcpListener, TcpSocket};

use crate::support::{PATIENCE, Server, answer_all, ask, dev, endpoint, post, send};

fn stage(error: &SendError) -> Stage {
    match error {
        SendError::Connect { stage, .. } => *stage,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn addresses_are_judged_however_they_are_written() {
    let pools = Pools::new(UpstreamConfig {
        allow_cidrs: vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()],
        resolve: vec![("rebound.test".to_owned(), "169.254.169.254:443".parse().unwrap())],
        dev: true,
        ..UpstreamConfig::default()
    });
    for host in [
        "169.254.169.254",
        "169.254.169.254.",
        "2852039166",
        "0xa9fea9fe",
        "0xa9.0xfe.0xa9.0xfe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "①⑥⑨.②⑤④.①⑥⑨.②⑤④",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::169.254.169.254]",
        "[2002:a9fe:a9fe::]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "100.100.100.200",
        "0.0.0.0",
        "0",
        "[::]",
        "255.255.255.255",
        "rebound.test",
        "rebound.test.",
    ] {
        for scheme in ["http", "https"] {
            let error = send(&pools.pool(&endpoint(&format!("{scheme}://{host}/v1"))), "").await;
            assert_eq!(stage(&error.unwrap_err()), Stage::Forbidden, "{host}");
        }
    }
}

#[tokio::test]
async fn loopback_needs_leave() {
    let server = Server::start(|_, io| answer_all(io, "hello")).await;
    let port = server.address.port();
    let none = Pools::new(UpstreamConfig::default());
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "localhost", "x.localhost", "[::1]"]
    {
        let schemes = if host == "x.localhost" { &["https"][..] } else { &["https", "http"] };
        for scheme in schemes {
            let url = format!("{scheme}://{host}:{port}");
            let error = send(&none.pool(&endpoint(&url)), "").await.unwrap_err();
            assert_eq!(stage(&error), Stage::Forbidden, "{url}");
            assert!(error.to_string().contains("--allow-cidr"), "{error}");
        }
    }
    let service = Pools::new(UpstreamConfig {
        allow_cidrs: vec!["127.0.0.0/8".parse().unwrap()],
        resolve: vec![("vllm.shop.svc.cluster.local".to_owned(), server.address)],
        dev: false,
        ..UpstreamConfig::default()
    });
    let mut inside = endpoint("http://vllm.shop.svc.cluster.local:8000/v1");
    inside.service = true;
    assert_eq!(ask(&service.pool(&inside)).await.0, "hello");
    // With leave, also by plain HTTP, which does not leave the machine.
    for host in ["127.0.0.1", "localhost"] {
        let here = endpoint(&format!("http://{host}:{port}"));
        assert_eq!(ask(&service.pool(&here)).await.0, "hello", "{host}");
    }
    assert_eq!(ask(&dev().pool(&endpoint(&format!("http://localhost:{port}")))).await.0, "hello");
}

#[tokio::test]
async fn plain_http_and_odd_urls_are_refused() {
    let pools = Pools::new(UpstreamConfig::default());
    for (url, why) in [
        ("http://api.example/v1", "plain HTTP"),
        ("ftp://api.example/v1", "scheme"),
        ("https://user@api.example/v1", "names a user"),
        ("https://", "none"),
        ("not a url", "none"),
    ] {
        let pool = pools.pool(&endpoint(url));
        let error = send(&pool, "").await.unwrap_err();
        assert_eq!(stage(&error), Stage::Forbidden, "{url}");
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[tokio::test]
async fn a_closed_port_is_refused_and_a_name_without_address_unresolved() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let pools = Pools::new(UpstreamConfig {
        dev: true,
        resolve: vec![("api.test".to_owned(), free)],
        ..UpstreamConfig::default()
    });
    for url in [format!("http://{free}"), "http://api.test".to_owned()] {
        let error = send(&pools.pool(&endpoint(&url)), "").await.unwrap_err();
        assert_eq!(stage(&error), Stage::Refused, "{error}");
    }
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_fails() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = Server::start(|_, io| answer_all(io, "hello")).await;
    let resolve = [closed, server.address].map(|a| ("api.test".to_owned(), a)).into();
    let pools = Pools::new(UpstreamConfig { dev: true, resolve, ..UpstreamConfig::default() });
    assert_eq!(ask(&pools.pool(&endpoint("http://api.test"))).await.0, "hello");
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_ends_in_time() {
    // A listener whose backlog is full drops what more comes.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let held = tokio::time::timeout(
            Duration::from_millis(100),
            tokio::net::TcpStream::connect(address),
        );
        waiting.push(held.await);
    }
    let pool = dev().pool(&endpoint(&format!("http://{address}")));
    let request = post(&pool, Bytes::new());
    let error = pool.send(request, Reuse::Allowed, Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(stage(&error), Stage::Timeout, "{error}");
    assert!(error.to_string().contains("100 ms"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_hangs_ends_with_connecting() {
    let server = Server::start(|_, io| async move {
        std::future::pending::<()>().await;
        drop(io);
    })
    .await;
    let pool = dev().pool(&endpoint(&format!("https://{}", server.address)));
    let error = pool.send(post(&pool, Bytes::new()), Reuse::Allowed, PATIENCE).await.unwrap_err();
    assert_eq!(stage(&error), Stage::Timeout, "{error}");
}
