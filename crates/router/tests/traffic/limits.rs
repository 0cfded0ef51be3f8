//! What is refused before a target is asked, and that each limit names itself.

use http::Request;
use http_body_util::Full;

use crate::{
    rig::{Rig, World, ask, options},
    upstream::{Upstream, chat},
};

async fn rig() -> (Rig, Upstream) {
    let only = Upstream::always(chat("ok")).await;
    (Rig::start(World::over(&[&only])).await, only)
}

#[tokio::test]
async fn bad_bodies_say_what_is_wrong() {
    let (rig, only) = rig().await;
    for (body, code) in [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ("[]", "invalid_type"),
        ("{}", "missing_model"),
        (r#"{"model":7}"#, "invalid_type"),
        (r#"{"model":"prod-chat","model":"other"}"#, "duplicate_member"),
        (r#"{"model":"prod-chat","mod\u0065l":"other"}"#, "duplicate_member"),
        ("\u{feff}{}", "invalid_json"),
        (r#"{"model":"prod-chat"} x"#, "invalid_json"),
    ] {
        let answer = rig.chat(body).await;
        assert_eq!((answer.status, answer.error().1.as_str()), (400, code), "{body}");
        assert!(!answer.header("x-request-id").is_empty());
    }
    let deep = format!(r#"{{"model":"prod-chat","x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let (status, _, message) = rig.chat(&deep).await.error();
    assert!(status == 400 && message.contains("127"), "{message}");
    assert_eq!(only.count(), 0);
}

#[tokio::test]
async fn methods_paths_and_types() {
    let (rig, only) = rig().await;
    let answer = rig.get("/v1/chat/completions").await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
    assert_eq!(rig.post("/v1/models", "").await.header("allow"), "GET");
    for path in ["/v1/files", "/v1/batches", "/", "/v1/threads/x"] {
        let (status, code, message) = rig.get(path).await.error();
        assert_eq!((status, code.as_str()), (404, "unsupported_endpoint"));
        assert!(message.contains("/v1/chat/completions"));
    }
    for (name, value) in
        [("content-type", "text/plain"), ("content-type", "application/x-www-form-urlencoded")]
    {
        let request = Request::post("/v1/chat/completions")
            .header("host", "x")
            .header(name, value)
            .body(Full::from(ask()))
            .unwrap();
        assert_eq!(rig.send(request).await.status, 415, "{value}");
    }
    let packed = [("content-encoding", "gzip")];
    let answer = rig.post_with("/v1/chat/completions", ask(), &packed).await;
    assert_eq!((answer.status, answer.error().1.as_str()), (415, "unsupported_content_encoding"));
    let bad_timeout = [("x-moniker-timeout", "soon")];
    assert_eq!(rig.post_with("/v1/chat/completions", ask(), &bad_timeout).await.status, 400);
    assert_eq!(only.count(), 0);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413_with_and_without_a_length() {
    let only = Upstream::always(chat("ok")).await;
    let rig = Rig::with(
        World::over(&[&only]),
        router::pipeline::Options { max_body: 1 << 20, ..options() },
    )
    .await;
    let large = format!(r#"{{"model":"prod-chat","x":"{}"}}"#, "a".repeat(3 << 20));
    let (status, code, message) = rig.chat(&large).await.error();
    assert_eq!((status, code.as_str()), (413, "request_too_large"));
    assert!(message.contains("1 MiB"), "{message}");
    let mut raw =
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\
                    content-type: application/json\r\n\r\n"
            .to_vec();
    for _ in 0..3 {
        raw.extend_from_slice(format!("{:x}\r\n{}\r\n", 1 << 20, "a".repeat(1 << 20)).as_bytes());
    }
    raw.extend_from_slice(b"0\r\n\r\n");
    let text = rig.raw(&raw).await;
    assert!(text.starts_with("HTTP/1.1 413 "), "{}", &text[..text.len().min(200)]);
    assert!(text.contains("1 MiB") && text.to_lowercase().contains("connection: close"));
}

#[tokio::test]
async fn bodies_together_are_bounded() {
    let only = Upstream::always(chat("ok")).await;
    let rig = Rig::with(
        World::over(&[&only]),
        router::pipeline::Options { body_memory: 64 << 10, ..options() },
    )
    .await;
    let large = format!(r#"{{"model":"prod-chat","messages":[],"x":"{}"}}"#, "a".repeat(80 << 10));
    let answer = rig.chat(&large).await;
    assert_eq!((answer.status, answer.error().1.as_str()), (503, "overloaded"));
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(rig.chat(ask()).await.status, 200, "what was refused holds nothing");
}

#[tokio::test]
async fn heads_that_smuggle_or_swell_are_refused() {
    let (rig, only) = rig().await;
    let post = "POST /v1/chat/completions HTTP/1.1\r\n";
    let both = "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    let chunked = "0\r\n\r\n";
    for raw in [
        format!("{post}host: x\r\n{both}"),
        format!(
            "{post}host: x\r\ntransfer-encoding: chunked\r\nContent-Length: 5\r\n\r\n{chunked}"
        ),
        format!("{post}content-length: 2\r\n\r\n{{}}"),
        format!("{post}host: a\r\nhost: b\r\ncontent-length: 2\r\n\r\n{{}}"),
    ] {
        let text = rig.raw(raw.as_bytes()).await;
        assert!(text.starts_with("HTTP/1.1 400 "), "{raw:?}: {text}");
        assert_eq!(text.matches("HTTP/1.1").count(), 1, "one response: {text}");
    }
    let many = "x-many: 1\r\n".repeat(120);
    let text =
        rig.raw(format!("{post}host: x\r\n{many}content-length: 2\r\n\r\n{{}}").as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 431 ") && text.contains("at most 100"), "{text}");
    let long = "a".repeat(40 << 10);
    let text = rig
        .raw(format!("{post}host: x\r\nx-long: {long}\r\ncontent-length: 2\r\n\r\n{{}}").as_bytes())
        .await;
    assert!(text.starts_with("HTTP/1.1 431 ") && text.contains("32768"), "{text}");
    assert_eq!(only.count(), 0);
}

#[tokio::test]
async fn callers_without_a_key_are_refused_by_default() {
    let only = Upstream::always(chat("ok")).await;
    let rig = Rig::with(World::over(&[&only]), router::pipeline::Options::default()).await;
    for answer in [rig.chat(ask()).await, rig.get("/v1/models").await] {
        assert_eq!((answer.status, answer.error().1.as_str()), (401, "invalid_api_key"));
        assert!(answer.error().2.contains("--allow-anonymous"));
    }
}

#[tokio::test]
async fn many_requests_on_one_connection() {
    let (rig, only) = rig().await;
    let stream = tokio::net::TcpStream::connect(rig.addr).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let driving = tokio::spawn(connection);
    for _ in 0..50 {
        let request = rig.request("/v1/chat/completions", ask().into(), &[]);
        let answer = crate::rig::Answer::of(sender.send_request(request).await.unwrap()).await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(only.count(), 50);
    driving.abort();
}

#[tokio::test]
async fn h2c_is_served_on_the_same_port() {
    let (rig, _only) = rig().await;
    let stream = tokio::net::TcpStream::connect(rig.addr).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io)
            .await
            .unwrap();
    let driving = tokio::spawn(connection);
    let request = Request::post(format!("http://{}/v1/chat/completions", rig.addr))
        .header("content-type", "application/json")
        .body(Full::<hyper::body::Bytes>::from(ask()))
        .unwrap();
    let answer = crate::rig::Answer::of(sender.send_request(request).await.unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    driving.abort();
}
