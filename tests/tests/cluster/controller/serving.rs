//! What is applied reaches routers: resources, credentials, removals.

use super::harness::{
    Controller, alias, condition, get, kubectl, plane, ready, secret, target, target_alone, until,
};

#[tokio::test]
async fn what_is_applied_is_served_and_what_is_deleted_is_removed() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("shop").await.unwrap();
    let controller = Controller::start(&user, &[]).await;
    let mut router = controller.join().await;

    plane.apply(&target(&namespace, "openai", "sk-one")).await.unwrap();
    plane.apply(&alias(&namespace, "prod-chat", &["openai"])).await.unwrap();
    let (target_id, alias_id) = (format!("{namespace}/openai"), format!("{namespace}/prod-chat"));
    let usable = |frame: &serde_json::Value| {
        frame["resource"]["candidates"].as_array().is_some_and(|all| all.len() == 1)
    };
    let frame = router.until("Alias", &alias_id, usable).await;
    assert_eq!(frame["resource"]["model"], "prod-chat");
    let frame = router.until("Target", &target_id, |frame| frame["type"] == "UPSERT").await;
    assert_eq!(frame["resource"]["endpoint"]["url"], "https://openai.example/v1");
    let frame =
        router.until("Credential", &target_id, |frame| frame["material"]["key"].is_string()).await;
    assert_eq!(frame["material"]["key"], "sk-one");
    ready(&plane, &namespace, "modelalias/prod-chat").await;
    ready(&plane, &namespace, "providertarget/openai").await;
    assert!(!controller.log().contains("sk-one"), "a secret in the log");

    let object = get(&plane, &namespace, "modelalias/prod-chat").await;
    let version: u64 = object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    kubectl(&plane, &["delete", "modelalias/prod-chat", "-n", &namespace]).await;
    let frame = router.until("Alias", &alias_id, |frame| frame["type"] == "REMOVE").await;
    assert_eq!(frame["cause"], "Deleted");
    assert!(frame["version"].as_u64().unwrap() > version, "not the deletion's version");
    kubectl(&plane, &["delete", "providertarget/openai", "-n", &namespace]).await;
    router.until("Target", &target_id, |frame| frame["type"] == "REMOVE").await;
    assert!(controller.terminate().await);
}

#[tokio::test]
async fn secrets_are_rotated_and_revoked_without_a_restart() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("secrets").await.unwrap();
    let controller = Controller::start(&user, &[]).await;
    let mut router = controller.join().await;
    let id = format!("{namespace}/openai");
    let version_of = |object: &serde_json::Value| object["status"]["credentialVersion"].clone();

    plane.apply(&target_alone(&namespace, "openai", "OpenAI")).await.unwrap();
    let missing = |object: &serde_json::Value| {
        condition(object, "ResolvedRefs")["reason"] == "SecretNotFound"
    };
    let object = until(&plane, &namespace, "providertarget/openai", missing).await;
    assert_eq!(condition(&object, "Ready")["status"], "False");
    assert_eq!(condition(&object, "Reconciling")["status"], "True", "it may still come");

    plane.apply(&secret(&namespace, "openai-key", "sk-one")).await.unwrap();
    let frame = router.until("Credential", &id, |frame| frame["material"]["key"] == "sk-one").await;
    ready(&plane, &namespace, "providertarget/openai").await;
    let first = version_of(&get(&plane, &namespace, "providertarget/openai").await);
    assert!(first.is_string());

    plane.apply(&secret(&namespace, "openai-key", "sk-two")).await.unwrap();
    let rotated =
        router.until("Credential", &id, |frame| frame["material"]["key"] == "sk-two").await;
    assert!(rotated["version"].as_u64() > frame["version"].as_u64());
    let new = |object: &serde_json::Value| version_of(object) != first;
    until(&plane, &namespace, "providertarget/openai", new).await;

    kubectl(&plane, &["delete", "secret/openai-key", "-n", &namespace]).await;
    let revoked = router.until("Credential", &id, |frame| frame["material"]["key"].is_null()).await;
    assert!(revoked["version"].as_u64() > rotated["version"].as_u64());
    until(&plane, &namespace, "providertarget/openai", missing).await;
}

#[tokio::test]
async fn what_happened_while_it_was_away_is_told_as_of_its_list() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("away").await.unwrap();
    plane.apply(&target(&namespace, "openai", "sk-one")).await.unwrap();
    plane.apply(&alias(&namespace, "kept", &["openai"])).await.unwrap();
    let first = Controller::start(&user, &[]).await;
    let mut router = first.join().await;
    let kept = format!("{namespace}/kept");
    let before = router.until("Alias", &kept, |frame| frame["type"] == "UPSERT").await;
    ready(&plane, &namespace, "modelalias/kept").await;
    assert!(first.terminate().await);

    plane.apply(&alias(&namespace, "new", &["openai"])).await.unwrap();
    let second = Controller::start(&user, &[]).await;
    let router = second.join().await;
    assert_eq!(router.last("Alias", &kept)["digest"], before["digest"]);
    assert_eq!(router.last("Alias", &format!("{namespace}/new"))["type"], "UPSERT");
}

#[tokio::test]
async fn only_the_namespaces_that_it_is_given_are_watched() {
    let (plane, user) = plane().await;
    let [mine, other] =
        [plane.namespace("mine").await.unwrap(), plane.namespace("other").await.unwrap()];
    for namespace in [&mine, &other] {
        plane.apply(&target(namespace, "openai", "sk-one")).await.unwrap();
        plane.apply(&alias(namespace, "chat", &["openai"])).await.unwrap();
    }
    let controller = Controller::start(&user, &["--watch-namespaces", &mine]).await;
    let router = controller.join().await;
    assert_eq!(router.last("Alias", &format!("{mine}/chat"))["type"], "UPSERT");
    assert!(router.last("Alias", &format!("{other}/chat")).is_null());
    ready(&plane, &mine, "modelalias/chat").await;
    let object = get(&plane, &other, "modelalias/chat").await;
    assert_eq!(condition(&object, "Ready")["reason"], "Pending", "nobody looked at it");

    let export = "{\"spec\":{\"export\":{\"from\":\"Selector\",\"selector\":{\"matchLabels\":{\"a\":\"b\"}}}}}";
    let patch = ["patch", "providertarget/openai", "-n", &mine, "--type=merge", "-p", export];
    kubectl(&plane, &patch).await;
    until(&plane, &mine, "providertarget/openai", |object| {
        let conditions = object["status"]["conditions"].to_string();
        conditions.contains("SelectorUnavailable") || conditions.contains("ExportNotPermitted")
    })
    .await;
}
