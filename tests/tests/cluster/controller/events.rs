//! Events: which transitions are told, once each, and by whom.

use std::time::Duration;

use serde_json::Value;
use testkit::control_plane::ControlPlane;

use super::harness::{
    Controller, alias, condition, kubectl, plane, ready, secret, target, target_alone, until,
};
use super::release::Release;

/// The Events of an object, oldest first.
async fn events(plane: &ControlPlane, namespace: &str, name: &str) -> Vec<Value> {
    let get = ["get", "events.events.k8s.io", "-n", namespace, "-o", "json"];
    let all: Value = serde_json::from_str(&kubectl(plane, &get).await).unwrap();
    let mut all = all["items"].as_array().unwrap().clone();
    all.retain(|event| event["regarding"]["name"] == name);
    all.sort_by_key(|event| event["eventTime"].as_str().unwrap().to_owned());
    all
}

/// What Events say, a line each: how often, type, reason, and the condition that moved.
fn lines(events: &[Value]) -> Vec<String> {
    let line = |event: &Value| {
        let text = |member: &str| event[member].as_str().unwrap().to_owned();
        let times = event["series"]["count"].as_i64().unwrap_or(1);
        format!("{times} {} {} {}", text("type"), text("reason"), text("action"))
    };
    events.iter().map(line).collect()
}

/// Waits until the Events of an object are these.
async fn told(plane: &ControlPlane, namespace: &str, name: &str, expected: &[&str]) {
    let mut last = Vec::new();
    let found = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            last = lines(&events(plane, namespace, name).await);
            if last == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let found = found.await.is_ok();
    assert!(found, "{name}: {last:#?} is not {expected:#?}");
}

async fn not_ready(plane: &ControlPlane, namespace: &str, name: &str) {
    until(plane, namespace, name, |object| condition(object, "Ready")["status"] == "False").await;
}

#[tokio::test]
async fn a_transition_is_told_once_by_the_holder_of_the_lease() {
    let (plane, user) = plane().await;
    let release = Release::install(&plane, &user).await;
    let namespace = plane.namespace("events").await.unwrap();
    let first = release.controller(&user, "127.0.0.1:0", &[]).await;
    first.until("/metrics", |_, text| text.contains("moniker_controller_leader 1\n")).await;
    let second = release.controller(&user, "127.0.0.1:0", &[]).await;

    plane.apply(&alias(&namespace, "chat", &["openai"])).await.unwrap();
    told(&plane, &namespace, "chat", &["1 Warning NoUsableTarget Ready"]).await;
    plane.apply(&target(&namespace, "openai", "sk-one")).await.unwrap();
    ready(&plane, &namespace, "modelalias/chat").await;
    let fine = ["1 Warning NoUsableTarget Ready", "1 Normal Ready Ready"];
    told(&plane, &namespace, "chat", &fine).await;

    // As people see it.
    let event = events(&plane, &namespace, "chat").await.remove(0);
    let object = super::harness::get(&plane, &namespace, "modelalias/chat").await;
    assert_eq!(event["regarding"]["uid"], object["metadata"]["uid"]);
    assert_eq!(event["regarding"]["kind"], "ModelAlias");
    assert_eq!(event["reportingController"], "moniker.dev/controller");
    let note = event["note"].as_str().unwrap();
    assert!(note.contains("openai") && note.len() <= 1024, "{note}");
    for args in [["describe", "ma", "chat"], ["events", "--for", "modelalias/chat"]] {
        let said = kubectl(&plane, &[&args[..], &["-n", &namespace]].concat()).await;
        assert!(said.contains("NoUsableTarget") && said.contains(note), "{said}");
    }

    // The same again is counted, on the Event that is there.
    kubectl(&plane, &["delete", "secret", "openai-key", "-n", &namespace]).await;
    not_ready(&plane, &namespace, "modelalias/chat").await;
    plane.apply(&secret(&namespace, "openai-key", "CANARY-two")).await.unwrap();
    ready(&plane, &namespace, "modelalias/chat").await;
    let again = [
        "1 Warning NoUsableTarget Ready",
        "2 Normal Ready Ready",
        "1 Warning NoUsableTarget Ready",
    ];
    told(&plane, &namespace, "chat", &again).await;
    let of_target = events(&plane, &namespace, "openai").await;
    assert!(lines(&of_target).contains(&"1 Warning SecretNotFound Ready".to_owned()));

    // Whoever writes next has nothing to tell of what stands.
    let events_total = |text: &str| {
        let of = |line: &&str| line.starts_with("moniker_controller_events_total{");
        text.lines().filter(of).any(|line| !line.ends_with(" 0"))
    };
    let (_, metrics) = second.admin("/metrics").await;
    assert!(!events_total(&metrics), "{metrics}");
    assert!(first.terminate().await);
    second.until("/metrics", |_, text| text.contains("moniker_controller_leader 1\n")).await;
    plane.apply(&alias(&namespace, "later", &["openai"])).await.unwrap();
    told(&plane, &namespace, "later", &["1 Normal Ready Ready"]).await;
    told(&plane, &namespace, "chat", &again).await;
    let get = ["get", "events", "--all-namespaces", "-o", "yaml"];
    assert!(!kubectl(&plane, &get).await.contains("CANARY"));
}

#[tokio::test]
async fn what_ready_does_not_say_is_told_too() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("events").await.unwrap();
    let _controller = Controller::start(&user, &[]).await;
    plane.apply(&target(&namespace, "good", "sk-one")).await.unwrap();
    plane.apply(&target_alone(&namespace, "bad", "OpenAI")).await.unwrap();
    plane.apply(&alias(&namespace, "chat", &["good", "bad"])).await.unwrap();
    let partly = ["1 Normal Ready Ready", "1 Warning SecretNotFound ResolvedRefs"];
    // What the first look saw of it depends on what had come by then.
    until(&plane, &namespace, "modelalias/chat", |object| {
        condition(object, "Ready")["status"] == "True"
            && condition(object, "ResolvedRefs")["reason"] == "SecretNotFound"
    })
    .await;
    let has = async |line: &str| {
        while !lines(&events(&plane, &namespace, "chat").await).iter().any(|one| one == line) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    for line in partly {
        tokio::time::timeout(Duration::from_secs(60), has(line)).await.expect(line);
    }
    plane.apply(&secret(&namespace, "bad-key", "sk-two")).await.unwrap();
    let whole = "1 Normal Resolved ResolvedRefs";
    tokio::time::timeout(Duration::from_secs(60), has(whole)).await.expect(whole);
}

#[tokio::test]
async fn nothing_is_told_in_a_namespace_that_ends() {
    let (plane, user) = plane().await;
    let ending = plane.namespace("ending").await.unwrap();
    let other = plane.namespace("other").await.unwrap();
    let _controller = Controller::start(&user, &[]).await;
    plane.apply(&target(&ending, "openai", "sk-one")).await.unwrap();
    ready(&plane, &ending, "providertarget/openai").await;
    plane.apply(&alias(&ending, "chat", &["openai"])).await.unwrap();
    told(&plane, &ending, "chat", &["1 Normal Ready Ready"]).await;
    // Nobody here finishes the deletion of a namespace, so it ends for ever.
    kubectl(&plane, &["delete", "namespace", &ending, "--wait=false"]).await;
    kubectl(&plane, &["delete", "secret", "openai-key", "-n", &ending]).await;
    plane.apply(&alias(&other, "chat", &["gone"])).await.unwrap();
    told(&plane, &other, "chat", &["1 Warning NoUsableTarget Ready"]).await;
    told(&plane, &ending, "chat", &["1 Normal Ready Ready"]).await;
}

#[tokio::test]
async fn one_that_never_rests_is_told_of_now_and_then() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("loud").await.unwrap();
    let controller = Controller::start(&user, &[]).await;
    plane.apply(&target(&namespace, "good", "sk-one")).await.unwrap();
    let dropped = async || {
        let (_, text) = controller.admin("/metrics").await;
        !text.contains("moniker_controller_events_total{outcome=\"dropped\"} 0\n")
    };
    let mut generation = 0;
    while !dropped().await {
        assert!(generation < 100, "nothing is ever dropped");
        for to in ["good", &format!("gone-{generation}")] {
            plane.apply(&alias(&namespace, "loud", &[to])).await.unwrap();
            generation += 1;
            until(&plane, &namespace, "modelalias/loud", |object| {
                condition(object, "Ready")["observedGeneration"] == generation
            })
            .await;
        }
    }
    let loud = events(&plane, &namespace, "loud").await.len();
    assert!(loud < usize::try_from(generation).unwrap(), "{loud} of {generation}");
    // Others are heard.
    plane.apply(&alias(&namespace, "quiet", &["good"])).await.unwrap();
    told(&plane, &namespace, "quiet", &["1 Normal Ready Ready"]).await;
}
