//! AccessKeys of a cluster: a key serves while its objects say so, on every router, whatever is
//! restarted; its status tells how it stands, and the key is nowhere but in its Secret.

use std::time::Instant;

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
    let edited = Instant::now();
    kubectl(&plane, &["delete", "secret/caller-key", "-n", ns]).await;
    router.until_as("prod-chat", "mk-two", 401).await;
    // With kubectl's own time; seen by `--nocapture`.
    println!("a deleted key was refused {:.2?} after kubectl was started", edited.elapsed());
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

/// The value of a Secret's key, decoded.
async fn value(plane: &testkit::control_plane::ControlPlane, ns: &str, name: &str) -> String {
    let path = "--template={{index .data \"api-key\" | base64decode}}";
    kubectl(plane, &["get", name, "-n", ns, path]).await
}

#[tokio::test]
async fn a_key_is_made_once_whoever_else_tries() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("made").await.unwrap();
    let ns = namespace.as_str();
    plane.apply(&target(ns, "first", "sk-first")).await.unwrap();
    plane.apply(&alias(ns, "prod-chat", &["first"])).await.unwrap();
    // Neither has a Lease, so that both make it.
    let controllers = [Controller::start(&user, &[]).await, Controller::start(&user, &[]).await];
    let nowhere = ["--allow-cidr", "127.0.0.0/8", "--resolve", "first.example=127.0.0.1:1"];
    let router = RealRouter::start(&controllers[0], ns, &nowhere).await;
    let object = format!(
        "apiVersion: moniker.dev/v1alpha1\nkind: AccessKey\n\
         metadata: {{name: caller, namespace: {ns}, labels: {{argocd.argoproj.io/instance: a}}}}\n\
         spec: {{}}\n"
    );
    // Without any AccessKey this router would serve everybody.
    plane.apply(&object.replace("name: caller", "name: other")).await.unwrap();
    plane.apply(&object).await.unwrap();
    ready(&plane, ns, "accesskey/caller").await;
    let key = value(&plane, ns, "secret/caller-access-key").await;
    let parts: Vec<&str> = key.split('-').collect();
    assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 8, 52]);
    router.until_as("prod-chat", &key, SERVED).await;
    let made = get(&plane, ns, "accesskey/caller").await;
    assert_eq!((parts[0], &made["status"]["prefix"]), ("mk", &parts[1].into()));
    let secret = get(&plane, ns, "secret/caller-access-key").await;
    let owner = &secret["metadata"]["ownerReferences"];
    assert_eq!(owner.as_array().unwrap().len(), 1);
    assert_eq!(
        (&owner[0]["uid"], &owner[0]["kind"]),
        (&made["metadata"]["uid"], &"AccessKey".into())
    );
    // Nothing waits for it, and what manages its owner does not manage it.
    assert!(owner[0].get("blockOwnerDeletion").is_none(), "{owner}");
    assert!(secret["metadata"].get("labels").is_none(), "{secret}");

    // Another controller finds it as it is.
    let third = Controller::start(&user, &[]).await;
    let fresh = RealRouter::start(&third, ns, &nowhere).await;
    fresh.until_as("prod-chat", &key, SERVED).await;
    let version = &secret["metadata"]["resourceVersion"];
    let again = get(&plane, ns, "secret/caller-access-key").await;
    assert_eq!(&again["metadata"]["resourceVersion"], version);

    // Deleted, it is another one, and the one before serves nobody.
    kubectl(&plane, &["delete", "secret/caller-access-key", "-n", ns]).await;
    router.until_as("prod-chat", &key, 401).await;
    let changed = |object: &serde_json::Value| {
        let prefix = object["status"]["prefix"].as_str().unwrap_or_default();
        prefix.len() == 8 && prefix != parts[1]
    };
    until(&plane, ns, "accesskey/caller", changed).await;
    let second = value(&plane, ns, "secret/caller-access-key").await;
    router.until_as("prod-chat", &second, SERVED).await;
    assert_eq!(router.chat_as("prod-chat", &key).await.0, 401);

    // Made again, the object has nothing of the one before it.
    kubectl(&plane, &["delete", "accesskey/caller", "-n", ns]).await;
    router.until_as("prod-chat", &second, 401).await;
    plane.apply(&object).await.unwrap();
    until(&plane, ns, "accesskey/caller", |object| {
        condition(object, "Ready")["reason"] == "SecretInvalid"
    })
    .await;
    assert_eq!(router.chat_as("prod-chat", &second).await.0, 401);
    let logs = controllers[0].log() + &controllers[1].log() + &third.log() + &router.log();
    for key in [&key, &second] {
        assert!(!logs.contains(key.as_str()) && !made.to_string().contains(key.as_str()));
    }
}

#[tokio::test]
async fn a_pod_is_known_by_its_token() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("tokens").await.unwrap();
    let other = plane.namespace("others").await.unwrap();
    let ns = namespace.as_str();
    plane.apply(&target(ns, "first", "sk-first")).await.unwrap();
    plane.apply(&alias(ns, "prod-chat", &["first"])).await.unwrap();
    let account = |ns: &str, name: &str| {
        format!(
            "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, namespace: {ns}}}\n"
        )
    };
    let accounts = account(ns, "checkout") + &account(ns, "nobody") + &account(&other, "checkout");
    plane.apply(&accounts).await.unwrap();
    let key = |name: &str, more: &str| {
        format!(
            "---\napiVersion: moniker.dev/v1alpha1\nkind: AccessKey\n\
             metadata: {{name: {name}, namespace: {ns}}}\n\
             spec: {{serviceAccount: {{name: checkout}}{more}}}\n"
        )
    };
    plane.apply(&key("pods", ", aliases: [prod-*]")).await.unwrap();
    let controller = Controller::start(&user, &[]).await;
    let nowhere = ["--allow-cidr", "127.0.0.0/8", "--resolve", "first.example=127.0.0.1:1"];
    let router = RealRouter::start(&controller, ns, &nowhere).await;
    ready(&plane, ns, "accesskey/pods").await;

    let token = async |ns: &str, name: &str, audience: &str| {
        let audience = format!("--audience={audience}");
        let args = ["create", "token", name, "-n", ns, &audience, "--duration=10m"];
        kubectl(&plane, &args).await.trim().to_owned()
    };
    let mine = token(ns, "checkout", "moniker").await;
    router.until_as("prod-chat", &mine, SERVED).await;
    assert_eq!(router.chat_as("prod-chat", &mine).await.0, SERVED);
    assert_eq!(router.chat_as("other", &mine).await.0, 404);
    for (ns, name, audience) in [
        (ns, "checkout", "https://kubernetes.default.svc.cluster.local"),
        (ns, "checkout", "moniker-stream.moniker-system.moniker"),
        (ns, "nobody", "moniker"),
        (other.as_str(), "checkout", "moniker"),
    ] {
        let wrong = token(ns, name, audience).await;
        assert_eq!(router.chat_as("prod-chat", &wrong).await.0, 401, "{ns} {name} {audience}");
    }
    let (signed, _) = mine.rsplit_once('.').unwrap();
    assert_eq!(router.chat_as("prod-chat", &format!("{signed}.AAAA")).await.0, 401);

    // A second one for the same pods is told so; switched off, no token of theirs serves.
    plane.apply(&key("pods-again", "")).await.unwrap();
    until(&plane, ns, "accesskey/pods-again", |object| {
        condition(object, "Ready")["reason"] == "KeyInUse"
    })
    .await;
    assert_eq!(router.chat_as("other", &mine).await.0, 404);
    kubectl(&plane, &["delete", "accesskey/pods-again", "-n", ns]).await;
    plane.apply(&key("pods", ", disabled: true")).await.unwrap();
    router.until_as("prod-chat", &mine, 401).await;
    plane.apply(&key("pods", "")).await.unwrap();
    router.until_as("prod-chat", &mine, SERVED).await;
    let logs = controller.log() + &router.log();
    assert!(!logs.contains(&mine) && !logs.contains(signed));
}
