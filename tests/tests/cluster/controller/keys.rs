//! AccessKeys of a cluster: a key serves while its objects say so, on every router, whatever is
//! restarted; its status tells how it stands, and the key is nowhere but in its Secret.

use super::harness::{
    Controller, RealRouter, alias, condition, get, kubectl, plane, ready, secret, target, until,
};

/// What a caller gets whose key is fine: `first.example` is nowhere, so every attempt fails.
const SERVED: u16 = 502;

fn key(namespace: &str, name: &str, more: &str) -> String {
    format!(
        "---
apiVersion: moniker.dev/v1alpha1
kind: AccessKey
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  secretRef: {{name: {name}-key, key: api-key}}
{more}"
    )
}

fn secrets(namespace: &str, name: &str, values: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}-key, namespace: {namespace}}}\n\
         stringData: {{{values}}}\n"
    )
}

#[tokio::test]
async fn keys_are_served_rotated_and_revoked_as_the_cluster_says() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("keys").await.unwrap();
    let ns = namespace.as_str();
    plane.apply(&target(ns, "first", "sk-first")).await.unwrap();
    plane.apply(&alias(ns, "prod-chat", &["first"])).await.unwrap();
    plane.apply(&alias(ns, "other", &["first"])).await.unwrap();
    let objects = secret(ns, "caller-key", "mk-one") + &key(ns, "caller", "  aliases: [prod-*]\n");
    plane.apply(&objects).await.unwrap();
    let controller = Controller::start(&user, &[]).await;
    // Nothing listens there.
    let nowhere = ["--allow-cidr", "127.0.0.0/8", "--resolve", "first.example=127.0.0.1:1"];
    let router = RealRouter::start(&controller, ns, &nowhere).await;
    ready(&plane, ns, "accesskey/caller").await;
    router.until_as("prod-chat", "mk-one", SERVED).await;
    assert_eq!(router.chat_as("other", "mk-one").await.0, 404);
    assert_eq!(router.chat_as("prod-chat", "mk-two").await.0, 401);
    let columns = kubectl(&plane, &["get", "accesskeys", "-n", ns]).await;
    let row = columns.lines().nth(1).unwrap_or_default().split_whitespace().collect::<Vec<_>>();
    assert_eq!(row[..4], ["caller", "-", "prod-*", "True"], "{columns}");

    // Rotated: both, then the new one alone.
    plane.apply(&secrets(ns, "caller", "api-key: mk-two, api-key-previous: mk-one")).await.unwrap();
    router.until_as("prod-chat", "mk-two", SERVED).await;
    assert_eq!(router.chat_as("prod-chat", "mk-one").await.0, SERVED);
    kubectl(
        &plane,
        &[
            "patch",
            "secret/caller-key",
            "-n",
            ns,
            "--type=json",
            "-p",
            r#"[{"op": "remove", "path": "/data/api-key-previous"}]"#,
        ],
    )
    .await;
    router.until_as("prod-chat", "mk-one", 401).await;
    assert_eq!(router.chat_as("prod-chat", "mk-two").await.0, SERVED);

    // Revoked, and still so on what is started later.
    kubectl(&plane, &["delete", "secret/caller-key", "-n", ns]).await;
    router.until_as("prod-chat", "mk-two", 401).await;
    until(&plane, ns, "accesskey/caller", |object| {
        condition(object, "Ready")["reason"] == "SecretNotFound"
    })
    .await;
    let (again, later) = (Controller::start(&user, &[]).await, "mk-two");
    let fresh = RealRouter::start(&again, ns, &nowhere).await;
    fresh.until("prod-chat", |status, _| status == SERVED).await;
    assert_eq!(fresh.chat_as("prod-chat", later).await.0, 401);

    // Back under another value, then switched off, then gone.
    plane.apply(&secret(ns, "caller-key", "mk-three")).await.unwrap();
    for one in [&router, &fresh] {
        one.until_as("prod-chat", "mk-three", SERVED).await;
    }
    plane.apply(&key(ns, "caller", "  disabled: true\n")).await.unwrap();
    for one in [&router, &fresh] {
        one.until_as("prod-chat", "mk-three", 401).await;
    }
    until(&plane, ns, "accesskey/caller", |object| {
        condition(object, "Ready")["reason"] == "Disabled"
    })
    .await;
    let told = get(&plane, ns, "accesskey/caller").await.to_string();
    let logs = controller.log() + &again.log() + &router.log() + &fresh.log();
    for text in [told, logs] {
        assert!(!text.contains("mk-one") && !text.contains("mk-t"), "{text}");
    }
}
