//! What goes wrong around the controller: the API server away, kinds absent, objects that do not
//! decode, no permission.

use super::harness::{
    Controller, ROLES, alias, bare_plane, condition, install, kubectl, plane, ready, secret,
    target, target_alone, until,
};

#[tokio::test]
async fn the_api_server_may_go_and_come_back() {
    let (mut plane, user) = plane().await;
    let namespace = plane.namespace("outage").await.unwrap();
    plane.apply(&target(&namespace, "openai", "sk-one")).await.unwrap();
    plane.apply(&alias(&namespace, "chat", &["openai"])).await.unwrap();
    let controller = Controller::start(&user, &[]).await;
    let mut router = controller.join().await;
    ready(&plane, &namespace, "modelalias/chat").await;

    plane.stop_api_server();
    // After 15 s no new router is taken; the one that is there keeps its stream.
    controller.until("/readyz", |status, _| status == 503).await;
    assert_eq!(controller.ask().await.err(), Some(503));
    let (status, _) = controller.admin("/livez").await;
    assert_eq!(status, 200);

    plane.start_api_server().await.unwrap();
    controller.until("/readyz", |status, _| status == 200).await;
    plane.apply(&alias(&namespace, "after", &["openai"])).await.unwrap();
    let after = format!("{namespace}/after");
    router.until("Alias", &after, |frame| frame["type"] == "UPSERT").await;
    assert_ne!(router.last("Alias", &format!("{namespace}/chat"))["type"], "REMOVE");
    ready(&plane, &namespace, "modelalias/after").await;
}

#[tokio::test]
async fn a_fresh_install_is_empty_until_its_kinds_are_there() {
    let (plane, user) = bare_plane().await;
    let namespace = plane.namespace("fresh").await.unwrap();
    let controller = Controller::start(&user, &[]).await;
    let mut router = controller.join().await;
    let (_, text) = controller.admin("/readyz").await;
    assert!(text.contains("modelaliases"), "{text}");
    let (_, metrics) = controller.admin("/metrics").await;
    assert!(metrics.contains("resource=\"modelaliases\""), "{metrics}");

    install(&plane).await;
    plane.apply(&target(&namespace, "openai", "sk-one")).await.unwrap();
    plane.apply(&alias(&namespace, "chat", &["openai"])).await.unwrap();
    let id = format!("{namespace}/chat");
    router.until("Alias", &id, |frame| frame["type"] == "UPSERT").await;
    ready(&plane, &namespace, "modelalias/chat").await;
    controller.until("/readyz", |status, text| status == 200 && !text.contains("unknown")).await;
}

#[tokio::test]
async fn an_object_that_does_not_decode_is_reported_on_itself_alone() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("undecodable").await.unwrap();
    // What another version may have stored: a provider that this one does not know.
    let at = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/provider/enum";
    let patch = format!("[{{\"op\":\"remove\",\"path\":\"{at}\"}}]");
    let crd = "crd/providertargets.moniker.dev";
    kubectl(&plane, &["patch", crd, "--type=json", "-p", &patch]).await;
    let odd = target_alone(&namespace, "odd", "FromTheFuture");
    for _ in 0..200 {
        // The API server takes a moment to serve the new schema.
        if plane.apply(&odd).await.is_ok() {
            break;
        }
    }
    plane.apply(&target(&namespace, "openai", "sk-one")).await.unwrap();
    plane.apply(&alias(&namespace, "chat", &["openai", "odd"])).await.unwrap();

    let controller = Controller::start(&user, &[]).await;
    let router = controller.join().await;
    let frame = router.last("Target", &format!("{namespace}/odd"));
    assert_eq!(frame["type"], "HOLD", "{frame}");
    assert_eq!(router.last("Target", &format!("{namespace}/openai"))["type"], "UPSERT");
    ready(&plane, &namespace, "modelalias/chat").await;
    let object = until(&plane, &namespace, "providertarget/odd", |object| {
        condition(object, "Accepted")["reason"] == "InvalidSpec"
    })
    .await;
    let message = condition(&object, "Accepted")["message"].as_str().unwrap();
    assert!(message.contains("provider"), "{message}");
    assert_eq!(condition(&object, "Stalled")["status"], "True", "{object:#}");
    let writes = controller.writes().await;
    plane.apply(&secret(&namespace, "odd-key", "sk-two")).await.unwrap();
    plane.apply(&alias(&namespace, "next", &["openai"])).await.unwrap();
    ready(&plane, &namespace, "modelalias/next").await;
    assert_eq!(controller.writes().await, writes + 1, "the odd one is left alone");
}

#[tokio::test]
async fn what_may_not_be_read_is_unknown_and_not_gone() {
    let (plane, _) = plane().await;
    let namespace = plane.namespace("blind").await.unwrap();
    plane.apply(&target(&namespace, "openai", "sk-one")).await.unwrap();
    plane.apply(&alias(&namespace, "chat", &["openai"])).await.unwrap();
    let role = "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: no-secrets}
rules:
- {apiGroups: [moniker.dev], resources: [modelaliases, providertargets], verbs: [get, list, watch]}
- {apiGroups: [moniker.dev], resources: [modelaliases/status, providertargets/status], verbs: [patch]}
- {apiGroups: [\"\"], resources: [configmaps, services, namespaces], verbs: [get, list, watch]}
";
    plane.apply(role).await.unwrap();
    let user = plane.user("no-secrets").unwrap();
    plane.bind_cluster_role(&user, "no-secrets").await.unwrap();
    let controller = Controller::start(&user, &[]).await;
    let mut router = controller.join().await;
    let (status, text) = controller.admin("/readyz").await;
    assert_eq!(status, 200);
    assert!(text.contains("secrets"), "{text}");
    let id = format!("{namespace}/openai");
    assert_eq!(router.last("Target", &id)["type"], "UPSERT");
    assert!(router.last("Credential", &id).is_null(), "nothing is said of it");
    let usable = |frame: &serde_json::Value| {
        frame["resource"]["candidates"].as_array().is_some_and(|all| all.len() == 1)
    };
    let alias_id = format!("{namespace}/chat");
    router.until("Alias", &alias_id, usable).await;

    // Once it may read, it does.
    for role in ROLES {
        plane.bind_cluster_role(&user, role).await.unwrap();
    }
    router.until("Credential", &id, |frame| frame["material"]["key"] == "sk-one").await;
    ready(&plane, &namespace, "modelalias/chat").await;
}
