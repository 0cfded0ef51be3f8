//! The admin port of a router that follows a controller.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use compiler::CredentialState;
use router::admin::{Admin, routes};
use routing::{fleet::Report, outcome::Fault};
use serde_json::{Value, json};
use telemetry::feedback;
use tokio::net::TcpListener;

use crate::rig::{Controller, Router, World, id};

async fn get(url: &str) -> (u16, Value) {
    let response = reqwest::get(url).await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

async fn check(base: &str, body: &Value) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("{base}/config/check")).json(body);
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

#[tokio::test]
async fn it_tells_what_the_router_believes_and_no_secret() {
    let mut world = World::of(2);
    world.hold("held", 9);
    world.credentials.insert(id("t"), CredentialState::Absent);
    let controller = Controller::start("one").await;
    let mut router = Router::start(controller.address, 1);
    let draining = Arc::new(AtomicBool::new(false));
    let metrics = Arc::clone(&router.metrics);
    let admin = Admin {
        store: router.store.clone(),
        metrics,
        unusable: Arc::new(|| vec![id("a0000")]),
        draining: draining.clone(),
        guarded: false,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes(admin)).await });

    let report = Report { credential_faults: [(id("t"), Fault::Auth)].into(), ..Report::default() };
    let told = report.clone();
    router.metrics.report_with(move || told.clone());
    let scrape = reqwest::get(format!("{base}/metrics")).await.unwrap().text().await.unwrap();
    assert!(scrape.contains("moniker_build_info"), "{scrape}");
    assert_eq!(feedback::parse(&scrape).unwrap(), report);
    let request = reqwest::Client::new().get(format!("{base}/metrics"));
    let alone = request.header(feedback::HEADER, feedback::ALONE).send().await.unwrap();
    let alone = alone.text().await.unwrap();
    assert!(!alone.contains("moniker_build_info"), "{alone}");
    assert_eq!(feedback::parse(&alone).unwrap(), report);

    assert_eq!(reqwest::get(format!("{base}/livez")).await.unwrap().status(), 200);
    let (status, ready) = get(&format!("{base}/readyz")).await;
    assert_eq!((status, &ready["ready"]), (503, &json!(false)));
    controller.publish(&world);
    router.serves(world.revision()).await;
    let url = format!("{base}/readyz");
    let (mut status, mut ready) = get(&url).await;
    while status != 200 {
        (status, ready) = get(&url).await;
    }
    assert_eq!(ready["aliasesWithoutUsableCandidate"], json!(["shop/a0000"]));

    let (_, config) = get(&format!("{base}/config")).await;
    assert_eq!(config["revision"], world.revision().to_string());
    assert_eq!(config["cluster"], "one");
    assert_eq!(config["aliases"][0]["value"]["model"], "first");
    assert_eq!(config["aliases"][2]["hold"]["reason"], "InvalidSpec");
    assert_eq!(config["targets"][0]["id"], "shop/t");

    let digest = config["aliases"][0]["digest"].clone();
    let asked = json!({"resources": [
        {"kind": "Alias", "id": "shop/a0000", "digest": digest},
        {"kind": "Alias", "id": "shop/a0001", "digest": "00000000000000000000000000000000"},
        {"kind": "Credential", "id": "shop/t", "digest": "00000000000000000000000000000000"},
    ]});
    let (status, verdict) = check(&base, &asked).await;
    assert_eq!(status, 200);
    let missing = json!([
        {"kind": "Alias", "id": "shop/a0001"}, {"kind": "Credential", "id": "shop/t"},
    ]);
    assert_eq!(verdict["missing"], missing);
    assert_eq!(verdict["rejections"], json!([]));

    let one = json!({"kind": "Alias", "id": "shop/a", "digest": digest});
    let (status, answer) = check(&base, &json!({"resources": vec![one; 1001]})).await;
    assert_eq!(status, 400);
    assert!(answer["error"]["message"].as_str().unwrap().contains("limit of 1000"));
    let (status, _) = check(&base, &json!({"resources": "no"})).await;
    assert_eq!(status, 400);

    let metrics = reqwest::get(format!("{base}/metrics")).await.unwrap();
    assert!(metrics.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert!(metrics.text().await.unwrap().contains("moniker_link_connected 1"));
    draining.store(true, Ordering::Relaxed);
    assert_eq!(get(&format!("{base}/readyz")).await.0, 503);
}
