//! `Programmed` and `Ready` say what routers serve: a real router is asked, and others that a test
//! makes up. There is nobody here who writes slices, so the tests do.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::fleet::{ADDRESSES, slice};
use super::harness::{alias, condition, kubectl, plane, ready, target, until};
use super::release::{Release, port};

/// A router that cannot use the alias of this name; gives what it was sent as a proof.
async fn rejecting(address: SocketAddr, id: String) -> Arc<Mutex<Vec<String>>> {
    let listener = TcpListener::bind(address).await.unwrap();
    let proofs: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&proofs);
    let check = move |headers: axum::http::HeaderMap| {
        let proof = headers.get("authorization").map(|v| v.to_str().unwrap().to_owned());
        seen.lock().extend(proof);
        let answer = json!({
            "revision": "0", "missing": [{"kind": "Alias", "id": id}],
            "rejections": [{
                "kind": "Alias", "id": id, "version": 1, "reason": "FeatureUnknown",
                "message": "it requires a feature that this router lacks",
            }],
        });
        async move { axum::Json(answer) }
    };
    let routes = axum::Router::new()
        .route("/config/check", axum::routing::post(check))
        .route("/metrics", axum::routing::get(async || ""));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    proofs
}

fn reason<'a>(object: &'a Value, kind: &str) -> &'a str {
    condition(object, kind)["reason"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn an_alias_is_ready_once_every_ready_router_serves_it() {
    let (plane, user) = plane().await;
    let release = Release::install(&plane, &user).await;
    let namespace = release.namespace.clone();
    plane.apply(&target(&namespace, "openai", "sk-one")).await.unwrap();
    plane.apply(&alias(&namespace, "chat", &["openai"])).await.unwrap();
    let service = format!("{namespace}/routers");
    let args = ["--router-service", &service, "--sweep-interval", "200ms"];
    let controller = release.controller(&user, "127.0.0.1:0", &args).await;
    let object = until(&plane, &namespace, "modelalias/chat", |object| {
        reason(object, "Programmed") == "NoRouters"
    })
    .await;
    assert_eq!(condition(&object, "Ready")["status"], "Unknown");
    assert!(condition(&object, "Stalled").is_null() && condition(&object, "Reconciling").is_null());
    let object = until(&plane, &namespace, "providertarget/openai", |object| {
        reason(object, "Programmed") == "NoRouters"
    })
    .await;
    assert_eq!(condition(&object, "Ready")["status"], "Unknown");

    // A real one comes.
    let admin = format!("--admin={}:0", ADDRESSES[0]);
    let router = release.router(&plane, port(&controller), &namespace, &[&admin]).await;
    router.logged("snapshot applied").await;
    let admin: SocketAddr = router.admin("").trim_start_matches("http://").parse().unwrap();
    let one = [(ADDRESSES[0], "r-1", true)];
    plane.apply(&slice(&namespace, "routers-a", admin.port(), &one)).await.unwrap();
    ready(&plane, &namespace, "modelalias/chat").await;
    let columns = kubectl(&plane, &["get", "ma", "-n", &namespace]).await;
    let row = columns.lines().last().unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(row[3..6], ["1/1", "True", "All"], "{columns}");
    ready(&plane, &namespace, "providertarget/openai").await;
    let columns = kubectl(&plane, &["get", "pt", "-n", &namespace]).await;
    let row = columns.lines().last().unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(row[..6], ["openai", "OpenAI", "1", "True", "All", "1"], "{columns}");
    let of_target = until(&plane, &namespace, "providertarget/openai", |object| {
        object["status"]["programmed"]["routers"] == "All"
    })
    .await;
    let before = until(&plane, &namespace, "modelalias/chat", |object| {
        object["status"]["programmed"]["routers"] == "All"
    })
    .await;

    // Another one, which does not answer, makes nobody less ready; what is new waits for it.
    let two = [(ADDRESSES[0], "r-1", true), (ADDRESSES[1], "r-2", true)];
    plane.apply(&slice(&namespace, "routers-a", admin.port(), &two)).await.unwrap();
    controller.until("/metrics", |_, text| text.contains("routers_ready 2\n")).await;
    plane.apply(&alias(&namespace, "later", &["openai"])).await.unwrap();
    let object = until(&plane, &namespace, "modelalias/later", |object| {
        reason(object, "Programmed") == "RoutersDisconnected"
    })
    .await;
    assert_eq!(object["status"]["programmed"]["routers"], "1/2");
    assert_eq!(condition(&object, "Ready")["status"], "False");
    assert_eq!(condition(&object, "Reconciling")["status"], "True");
    let message = condition(&object, "Programmed")["message"].to_string();
    assert!(message.contains("r-2") && !message.contains("r-1"), "{message}");
    let same = super::harness::get(&plane, &namespace, "modelalias/chat").await;
    assert_eq!(same["status"], before["status"], "a scale event rewrites no status");
    let same = super::harness::get(&plane, &namespace, "providertarget/openai").await;
    let [now, then] = [&same, &of_target].map(|target| &target["status"]["conditions"]);
    assert_eq!(now, then, "nor that of a target");

    // A target that is edited waits for it too, and its credential counts.
    plane.apply(&target(&namespace, "other", "sk-two")).await.unwrap();
    let object = until(&plane, &namespace, "providertarget/other", |object| {
        reason(object, "Programmed") == "RoutersDisconnected"
    })
    .await;
    assert_eq!(object["status"]["programmed"]["routers"], "1/2");
    assert_eq!(condition(&object, "Ready")["reason"], "RoutersDisconnected");

    // One that cannot use it is named, with why, to whoever has the right to ask.
    let third = SocketAddr::new(ADDRESSES[2].parse().unwrap(), admin.port());
    let proofs = rejecting(third, format!("{namespace}/later")).await;
    let bad = [(ADDRESSES[0], "r-1", true), (ADDRESSES[2], "r-3", true)];
    plane.apply(&slice(&namespace, "routers-a", admin.port(), &bad)).await.unwrap();
    let object = until(&plane, &namespace, "modelalias/later", |object| {
        reason(object, "Ready") == "RouterRejected"
    })
    .await;
    assert_eq!(condition(&object, "Stalled")["status"], "True");
    let message = condition(&object, "Programmed")["message"].to_string();
    assert!(message.contains("r-3") && message.contains("FeatureUnknown"), "{message}");
    assert!(proofs.lock().iter().all(|proof| proof.starts_with("Bearer ")));
    assert!(!proofs.lock().is_empty() && !controller.log().contains(&proofs.lock()[0][7..]));

    // It goes, and all is well.
    plane.apply(&slice(&namespace, "routers-a", admin.port(), &one)).await.unwrap();
    ready(&plane, &namespace, "modelalias/later").await;
    let object = until(&plane, &namespace, "modelalias/later", |object| {
        object["status"]["programmed"]["routers"] == "All"
    })
    .await;
    assert!(condition(&object, "Stalled").is_null(), "{object:#}");
    ready(&plane, &namespace, "providertarget/other").await;
}
