//! Several controllers of one release: all of them serve, one of them writes.

use serde_json::Value;

use super::harness::{Controller, alias, condition, plane, ready, target, until};
use super::release::{Release, port};

async fn leads(controller: &Controller) -> bool {
    controller.admin("/metrics").await.1.contains("moniker_controller_leader 1\n")
}

#[tokio::test]
async fn the_holder_of_the_lease_may_die_and_nothing_that_is_served_depends_on_it() {
    let (plane, user) = plane().await;
    let release = Release::install(&plane, &user).await;
    let namespace = release.namespace.clone();
    plane.apply(&target(&namespace, "openai", "sk-one")).await.unwrap();
    plane.apply(&alias(&namespace, "chat", &["openai"])).await.unwrap();
    let first = release.controller(&user, "127.0.0.1:0", &[]).await;
    first.until("/metrics", |_, text| text.contains("moniker_controller_leader 1\n")).await;
    let second = release.controller(&user, "127.0.0.1:0", &[]).await;
    ready(&plane, &namespace, "modelalias/chat").await;
    assert!(!leads(&second).await);
    assert_eq!(second.writes().await, 0, "{}", second.log());

    // Both serve the same to their routers.
    let followers = [
        release.router(&plane, port(&first), &namespace, &[]).await,
        release.router(&plane, port(&second), &namespace, &[]).await,
    ];
    let applied = |log: &str| {
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.rfind(|line| line["message"] == "snapshot applied").unwrap_or_default()
    };
    for follower in &followers {
        follower.logged("snapshot applied").await;
    }
    let [one, two] = [applied(&followers[0].log()), applied(&followers[1].log())];
    assert_eq!(one["revision"], two["revision"], "replicas agree");

    // It is killed, and an edit comes: it is served at once, and told once the Lease is taken over.
    drop(first);
    plane.apply(&alias(&namespace, "later", &["openai"])).await.unwrap();
    let known = |_: u16, answer: &Value| answer["error"]["code"] != "model_not_found";
    followers[1].until("later", known).await;
    ready(&plane, &namespace, "modelalias/later").await;
    assert!(leads(&second).await);
    let object = until(&plane, &namespace, "modelalias/later", |object| {
        condition(object, "Ready")["status"] == "True"
    })
    .await;
    assert_eq!(object["status"]["observedGeneration"], 1);

    // One that ends says so, and gives the Lease back.
    assert!(second.terminate().await);
    followers[1].logged("asks to be asked again").await;
    let third = release.controller(&user, "127.0.0.1:0", &[]).await;
    third.until("/metrics", |_, text| text.contains("moniker_controller_leader 1\n")).await;
    let lease = super::harness::get(&plane, &namespace, "lease/moniker-controller").await;
    // What is removed with the release takes it along.
    let owner = super::harness::get(&plane, &namespace, "configmap/moniker-ca").await;
    assert_eq!(lease["metadata"]["ownerReferences"][0]["uid"], owner["metadata"]["uid"]);
    assert!(lease["spec"]["holderIdentity"].as_str().is_some_and(|holder| !holder.is_empty()));
}
