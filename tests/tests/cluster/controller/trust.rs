//! Who may follow the stream of a release, and what becomes of its objects.

use reqwest::{Client, StatusCode};
use serde_json::Value;
use testkit::control_plane::ControlPlane;

use super::harness::{alias, client, kubectl, plane, target, until};
use super::release::{Release, port};

const WATCH: &str = "/v1/watch?router=test&protocol=1";

/// A client that trusts what routers are told to trust, and finds the stream.
async fn trusting(release: &Release, plane: &ControlPlane, port: u16) -> Client {
    drop(client());
    let pem = std::fs::read(release.ca_file(plane).await).unwrap();
    let certificates = reqwest::Certificate::from_pem_bundle(&pem).unwrap();
    Client::builder()
        .no_proxy()
        .tls_certs_only(certificates)
        .resolve(&release.host(), ([127, 0, 0, 1], port).into())
        .build()
        .unwrap()
}

/// Asks for a path with this token; the status, and the refusal's reason.
async fn ask(client: &Client, url: &str, token: Option<&str>) -> (StatusCode, String) {
    let mut request = client.post(url).body("{}");
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    if status == StatusCode::OK {
        return (status, String::new());
    }
    let body: Value = answer.json().await.unwrap();
    (status, body["error"]["reason"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn routers_of_the_release_follow_the_stream_and_nobody_else() {
    let (mut plane, user) = plane().await;
    let release = Release::install(&plane, &user).await;
    let namespace = release.namespace.clone();
    plane.apply(&target(&namespace, "openai", "CANARY-sk-one")).await.unwrap();
    plane.apply(&alias(&namespace, "chat", &["openai"])).await.unwrap();
    let controller = release.controller(&user, "127.0.0.1:0", &[]).await;
    let port = port(&controller);
    let trusted = trusting(&release, &plane, port).await;
    let base = release.url(port);
    let watch = format!("{base}{WATCH}");
    let token =
        plane.token(&namespace, super::release::ROUTERS, &release.audience()).await.unwrap();
    assert_eq!(ask(&trusted, &watch, Some(&token)).await.0, StatusCode::OK);

    // Everything else is refused, on every route, before anything is looked up.
    plane.service_account(&namespace, "other").await.unwrap();
    let other = plane.token(&namespace, "other", &release.audience()).await.unwrap();
    let audience = plane.token(&namespace, super::release::ROUTERS, "moniker").await.unwrap();
    let mut forged = token.clone();
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    for path in [WATCH, "/", "/metrics", "/v1/nothing"] {
        let url = format!("{base}{path}");
        for (token, status, reason) in [
            (None, 401, "NoToken"),
            (Some(&*forged), 401, "Token"),
            (Some(&audience), 401, "Token"),
            (Some(&other), 403, "Account"),
        ] {
            let (got, why) = ask(&trusted, &url, token).await;
            assert_eq!((got.as_u16(), &*why), (status, reason), "{path}");
        }
    }
    let plain = client().post(format!("http://127.0.0.1:{port}{WATCH}")).body("{}");
    let plain = plain.bearer_auth(&token).send().await.unwrap();
    assert_eq!(plain.status(), 400);
    // One that trusts somebody else does not even ask.
    assert!(client().post(&watch).send().await.is_err());

    let (_, metrics) = controller.admin("/metrics").await;
    for (reason, times) in [("NoToken", 4), ("Token", 8), ("Account", 4), ("PlainHttp", 1)] {
        let line = format!("stream_refusals_total{{reason=\"{reason}\"}} {times}\n");
        assert!(metrics.contains(&line), "{line} in {metrics}");
        let told = format!("\"why\":\"{reason}\"");
        assert_eq!(controller.log().matches(&told).count(), 1, "{}", controller.log());
    }

    // While the API server is away, nobody is told that a token is wrong.
    let fresh =
        plane.token(&namespace, super::release::ROUTERS, &release.audience()).await.unwrap();
    plane.stop_api_server();
    let (status, reason) = ask(&trusted, &watch, Some(&fresh)).await;
    assert_eq!((status.as_u16(), &*reason), (503, "Unavailable"));
    let (status, _) = ask(&trusted, &watch, Some(&forged)).await;
    assert_eq!(status.as_u16(), 401, "it was judged before");
    let log = controller.log();
    for secret in [&token, &other, &audience, &fresh] {
        assert!(!log.contains(secret.as_str()), "a token in the log:\n{log}");
    }
    assert!(!log.contains("CANARY") && !log.contains("PRIVATE KEY"), "{log}");
}

#[tokio::test]
async fn a_stream_ends_with_the_account_that_it_was_opened_by() {
    let (plane, user) = plane().await;
    let release = Release::install(&plane, &user).await;
    let namespace = release.namespace.clone();
    let controller = release.controller(&user, "127.0.0.1:0", &[]).await;
    let port = port(&controller);
    let trusted = trusting(&release, &plane, port).await;
    let watch = format!("{}{WATCH}", release.url(port));
    let token =
        plane.token(&namespace, super::release::ROUTERS, &release.audience()).await.unwrap();
    let request = trusted.post(&watch).body("{}").bearer_auth(&token);
    let mut stream = request.send().await.unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    kubectl(&plane, &["delete", "serviceaccount", super::release::ROUTERS, "-n", &namespace]).await;
    // It goes on until it is looked at again, and then says so.
    let mut all = Vec::new();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(120), async {
        while let Some(bytes) = stream.chunk().await.unwrap() {
            all.extend_from_slice(&bytes);
        }
    });
    ended.await.expect("the stream goes on");
    let all = String::from_utf8(all).unwrap();
    let last = all.lines().last().unwrap();
    assert!(last.contains("\"RECONNECT\""), "{last}");
    assert_eq!(ask(&trusted, &watch, Some(&token)).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_router_of_the_release_keeps_what_it_believes_to_itself() {
    let (plane, user) = plane().await;
    let release = Release::install(&plane, &user).await;
    let namespace = release.namespace.clone();
    plane.apply(&target(&namespace, "openai", "sk-one")).await.unwrap();
    plane.apply(&alias(&namespace, "chat", &["openai"])).await.unwrap();
    let controller = release.controller(&user, "127.0.0.1:0", &[]).await;
    let router = release.router(&plane, port(&controller), &namespace, &[]).await;
    // Before and after a controller has told it the token.
    for path in ["/config", "/config/check"] {
        assert_eq!(client().get(router.admin(path)).send().await.unwrap().status(), 401);
    }
    router.logged("snapshot applied").await;
    for path in ["/config", "/config/check"] {
        let request = client().get(router.admin(path)).bearer_auth("guess");
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(client().get(router.admin(path)).send().await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn what_was_filled_is_written_back_and_never_made_anew() {
    let (plane, user) = plane().await;
    let release = Release::install(&plane, &user).await;
    let namespace = release.namespace.clone();
    let [one, two] = [
        release.controller(&user, "127.0.0.1:0", &[]).await,
        release.controller(&user, "127.0.0.1:0", &[]).await,
    ];
    let objects = ["secret/moniker-ca", "secret/moniker-keys", "configmap/moniker-ca"];
    let mut before = Vec::new();
    for name in objects {
        before.push(release.data(&plane, name).await);
    }
    assert!(before.iter().all(|data| !data.is_empty()), "{before:?}");

    // Somebody empties them, as an apply of a template that has the fields would.
    for (name, before) in objects.into_iter().zip(&before) {
        let emptied = ["patch", name, "-n", &namespace, "--type=json", "-p"];
        let patch = "[{\"op\":\"remove\",\"path\":\"/data\"}]";
        kubectl(&plane, &[&emptied[..], &[patch]].concat()).await;
        until(&plane, &namespace, name, |object| {
            object["data"].as_object().is_some_and(|data| data.len() == before.len())
        })
        .await;
        assert_eq!(&release.data(&plane, name).await, before, "{name}");
    }
    // Applying what is shipped again changes nothing.
    plane.apply(&release.objects()).await.unwrap();
    for (name, before) in objects.into_iter().zip(&before) {
        assert_eq!(&release.data(&plane, name).await, before, "{name}");
    }
    // Who comes later uses the same, and all agree on it.
    drop(one);
    let three = release.controller(&user, "127.0.0.1:0", &[]).await;
    for controller in [&two, &three] {
        let trusted = trusting(&release, &plane, port(controller)).await;
        let url = format!("{}{WATCH}", release.url(port(controller)));
        assert_eq!(ask(&trusted, &url, None).await.0, 401, "the handshake succeeds");
    }
}
