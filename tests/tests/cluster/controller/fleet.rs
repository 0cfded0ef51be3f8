//! Which routers a controller asks, as EndpointSlices tell it, and what becomes of what they say.
//! There is nobody here who writes slices, so the tests do.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use routing::ObjectId;
use routing::fleet::{ModelKey, Report};
use routing::outcome::Fault;
use routing::stats::{Part, Sums};
use serde_json::{Value, json};
use telemetry::feedback;
use testkit::control_plane::ControlPlane;
use tokio::net::TcpListener;

use super::harness::{Controller, condition, grant_own, kubectl, plane, target, until};

/// Addresses that the namespace of these tests has for routers: the API server takes no loopback
/// address.
pub(crate) const ADDRESSES: [&str; 3] = ["198.18.0.1", "198.18.0.2", "198.18.0.3"];

/// A slice of the Service `routers` with these endpoints: address, pod and whether it is ready.
pub(crate) fn slice(
    namespace: &str,
    name: &str,
    port: u16,
    endpoints: &[(&str, &str, bool)],
) -> String {
    let endpoints: Vec<Value> = endpoints
        .iter()
        .map(|(address, pod, ready)| {
            json!({
                "addresses": [address], "conditions": {"ready": ready},
                "targetRef": {
                    "kind": "Pod", "namespace": namespace, "name": pod, "uid": format!("uid-{pod}"),
                },
            })
        })
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": name, "namespace": namespace,
            "labels": {"kubernetes.io/service-name": "routers"},
        },
        "ports": [{"name": "admin", "port": port}],
        "endpoints": endpoints,
    })
    .to_string()
}

/// What a router reports that made so many attempts at the target `openai`.
fn report(namespace: &str, attempts: f64) -> Report {
    let mut sums = Sums::default();
    sums.observe(Part::Attempts, attempts);
    let target = ObjectId::new(namespace, "openai");
    let model = ModelKey { target, model: "gpt-4o".to_owned() };
    Report { models: [(model, sums)].into(), ..Report::default() }
}

/// The admin port of a router that reports this; the port is the same for all.
pub(crate) async fn router(address: &str, port: u16, report: Report) -> (u16, Arc<Mutex<Report>>) {
    let address = SocketAddr::new(address.parse().unwrap(), port);
    let listener = TcpListener::bind(address).await.unwrap_or_else(|error| {
        panic!("{address}: {error}; `cargo xtask test` runs this where there is such an address")
    });
    let port = listener.local_addr().unwrap().port();
    let report = Arc::new(Mutex::new(report));
    let told = Arc::clone(&report);
    let metrics = axum::routing::get(move || {
        let text = feedback::text(&told.lock());
        async move { text }
    });
    // It holds all that it is asked for.
    let check = axum::routing::post(async || axum::Json(json!({})));
    let routes = axum::Router::new().route("/metrics", metrics).route("/config/check", check);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (port, report)
}

/// Whether a FLEET tells of so many routers, and so many attempts but for what fades meanwhile.
fn tells(fleet: &Value, routers: u64, attempts: f64) -> bool {
    let slow = serde_json::from_value::<Sums>(fleet["models"][0]["sums"].clone())
        .map_or(0.0, |sums| sums.get(routing::stats::TimeScale::Slow, Part::Attempts));
    fleet["routers"] == routers && slow <= attempts && slow > attempts / 2.0
}

pub(crate) async fn swept(
    plane: &ControlPlane,
    user: &testkit::control_plane::User,
    ns: &str,
) -> Controller {
    grant_own(plane, user, ns).await;
    let service = format!("{ns}/routers");
    Controller::start(user, &["--router-service", &service, "--sweep-interval", "200ms"]).await
}

#[tokio::test]
async fn slices_say_which_routers_are_asked_and_counted() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("fleet").await.unwrap();
    let (port, _) = router(ADDRESSES[0], 0, report(&namespace, 1.0)).await;
    router(ADDRESSES[1], port, report(&namespace, 10.0)).await;
    router(ADDRESSES[2], port, report(&namespace, 100.0)).await;
    let controller = swept(&plane, &user, &namespace).await;
    plane.apply(&target(&namespace, "openai", "sk-one")).await.unwrap();
    until(&plane, &namespace, "providertarget/openai", |object| {
        condition(object, "Programmed")["reason"] == "NoRouters"
    })
    .await;
    let [one, two, three] = ADDRESSES;
    let first = [(one, "r-1", true), (two, "r-2", false)];
    plane.apply(&slice(&namespace, "routers-a", port, &first)).await.unwrap();
    let mut stream = controller.join().await;
    stream.fleet(|fleet| tells(fleet, 1, 1.0)).await;

    // Another becomes ready, a third comes in a slice of its own, which has the first one too.
    let both = [(one, "r-1", true), (two, "r-2", true)];
    plane.apply(&slice(&namespace, "routers-a", port, &both)).await.unwrap();
    let more = [(one, "r-1", true), (three, "r-3", true)];
    plane.apply(&slice(&namespace, "routers-b", port, &more)).await.unwrap();
    stream.fleet(|fleet| tells(fleet, 3, 111.0)).await;
    controller.until("/metrics", |_, text| text.contains("routers_ready 3\n")).await;

    // What is not ready any more is forgotten at once, and so is what is gone.
    plane.apply(&slice(&namespace, "routers-a", port, &first)).await.unwrap();
    stream.fleet(|fleet| tells(fleet, 2, 101.0)).await;
    for name in ["endpointslice/routers-a", "endpointslice/routers-b"] {
        kubectl(&plane, &["delete", name, "-n", &namespace]).await;
    }
    stream.fleet(|fleet| fleet["routers"] == 1 && fleet["models"].is_null()).await;
    controller.until("/metrics", |_, text| text.contains("routers_ready 0\n")).await;
}

#[tokio::test]
async fn a_credential_that_fails_is_a_condition_until_it_works() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("health").await.unwrap();
    let name = "providertarget/openai";
    let fault = |fault: Fault| Report {
        credential_faults: [(ObjectId::new(&*namespace, "openai"), fault)].into(),
        ..Report::default()
    };
    let (port, told) = router(ADDRESSES[0], 0, fault(Fault::Auth)).await;
    let endpoints = [(ADDRESSES[0], "r-1", true)];
    plane.apply(&slice(&namespace, "routers-a", port, &endpoints)).await.unwrap();
    plane.apply(&target(&namespace, "openai", "sk-wrong")).await.unwrap();
    let first = swept(&plane, &user, &namespace).await;
    let object = until(&plane, &namespace, name, |object| {
        condition(object, "Healthy")["reason"] == "CredentialRejected"
    })
    .await;
    assert_eq!(condition(&object, "Healthy")["status"], "False");
    assert_eq!(condition(&object, "Ready")["status"], "True", "it says nothing of the spec");
    assert!(first.terminate().await);

    // Its successor has not heard of the fault at first, and does not take that for health.
    let second = swept(&plane, &user, &namespace).await;
    second.until("/metrics", |_, text| text.contains("routers_ready 1\n")).await;
    *told.lock() = fault(Fault::OutOfCredit);
    until(&plane, &namespace, name, |object| {
        condition(object, "Healthy")["reason"] == "OutOfCredit"
    })
    .await;
    assert_eq!(second.writes().await, 1, "{}", second.log());
    *told.lock() = Report::default();
    let object =
        until(&plane, &namespace, name, |object| condition(object, "Healthy").is_null()).await;
    assert_eq!(condition(&object, "Ready")["status"], "True");
    assert_eq!(second.writes().await, 2, "{}", second.log());
}
