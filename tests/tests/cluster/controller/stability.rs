//! Static stability: a router that starts while the controller and the API server are both away
//! serves what it served before.

use std::time::Instant;

use testkit::upstream::Upstream;

use super::harness::{alias, client, kubectl, plane, ready, secret, until};
use super::release::{Release, port};
use super::survival::{providers, said};

#[tokio::test]
async fn a_router_that_starts_alone_serves_what_it_served() {
    let (mut plane, user) = plane().await;
    let release = Release::install(&plane, &user).await;
    let namespace = plane.namespace("shop").await.unwrap();
    let (upstreams, objects, resolve) = providers(&namespace).await;
    plane.apply(&objects).await.unwrap();
    plane.apply(&secret(&namespace, "key", "CANARY-sk-one")).await.unwrap();
    plane.apply(&alias(&namespace, "chat", &["first", "second"])).await.unwrap();
    let controller = release.controller(&user, "127.0.0.1:0", &[]).await;
    let port = port(&controller);
    let state = tempfile::tempdir().unwrap();
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let args = [
        format!("--state-dir={}", state.path().display()),
        format!("--credential-dir={}", memory.path().display()),
        "--allow-cidr=127.0.0.0/8".to_owned(),
        format!("--resolve={resolve}"),
    ];
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let router = release.router(&plane, port, &namespace, &args).await;
    router.until("chat", |_, answer| said(answer, "first").is_some()).await;
    let credentials = memory.path().join("moniker/credentials");
    let kept = async |has: bool| {
        let has = |text: String| text.contains("CANARY") == has;
        while !std::fs::read_to_string(&credentials).is_ok_and(has) {
            tokio::task::yield_now().await;
        }
    };
    kept(true).await;
    // The snapshot is written after them.
    let snapshot = || {
        let mut files = std::fs::read_dir(state.path().join("moniker")).into_iter().flatten();
        files.any(|file| {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap_or_default();
            text.contains("\"chat\"") && text.contains("first")
        })
    };
    while !snapshot() {
        tokio::task::yield_now().await;
    }
    drop(router);

    // Nobody is there any more.
    drop(controller);
    plane.stop_api_server();
    let began = Instant::now();
    let router = release_router(&release, port, &namespace, &args).await;
    let (status, answer) = router.chat("chat").await;
    let took = began.elapsed();
    assert_eq!(status, 200, "{answer}\n{}", router.log());
    println!("a router that started alone served after {took:?}");
    assert_eq!(client().get(router.admin("/readyz")).send().await.unwrap().status(), 200);
    served_with(&upstreams, "CANARY-sk-one");
    let metrics =
        client().get(router.admin("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("moniker_snapshot_age_seconds "), "{metrics}");
    assert!(metrics.contains("moniker_link_connected 0\n"), "{metrics}");

    // They come back: a deletion is heeded, also by what is kept.
    plane.start_api_server().await.unwrap();
    let listen = format!("127.0.0.1:{port}");
    let _controller = release.controller(&user, &listen, &[]).await;
    ready(&plane, &namespace, "modelalias/chat").await;
    kubectl(&plane, &["delete", "secret", "key", "-n", &namespace]).await;
    until(&plane, &namespace, "modelalias/chat", |object| {
        super::harness::condition(object, "Ready")["status"] == "False"
    })
    .await;
    router.until("chat", |status, _| status == 503).await;
    kept(false).await;
    let files = std::fs::read_dir(state.path().join("moniker")).unwrap();
    for file in files {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains("CANARY"), "a key on a disk");
    }
    assert!(!router.log().contains("CANARY"), "{}", router.log());
}

/// A router whose files are there already: nobody can be asked for others.
async fn release_router(
    release: &Release,
    port: u16,
    namespace: &str,
    more: &[&str],
) -> super::harness::RealRouter {
    let [ca, token] = ["ca.crt", "token"].map(|name| release.files.path().join(name));
    let args = [
        format!("--resolve={}=127.0.0.1:{port}", release.host()),
        format!("--ca-file={}", ca.display()),
        format!("--token-file={}", token.display()),
    ];
    let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
    super::harness::RealRouter::start_at(&release.url(port), namespace, &args).await
}

/// The last request came with this key.
fn served_with(upstreams: &[Upstream; 2], key: &str) {
    let received = upstreams[0].received().pop().unwrap();
    assert_eq!(received.headers["authorization"], format!("Bearer {key}").as_str());
}
