//! The charts as they are installed: twice in one cluster, twice in a row, and with the rights that
//! they give.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use testkit::ca::Ca;
use testkit::helm::{self, Version};

use super::super::controller::release::{Release, port};
use super::super::controller::{harness, rotation};
use super::{objects, parsed};

/// Installs or upgrades a release; it must not fail.
async fn helm_upgrade(plane: &testkit::control_plane::ControlPlane, args: &[&str], values: &str) {
    let chart = helm::chart("moniker");
    let chart = chart.to_string_lossy();
    let all = [&["upgrade", "--install", "--values", "-"], args, &[&*chart]].concat();
    plane.helm(Version::Four, &all, values).await.unwrap().success().unwrap();
}

fn key(object: &Value) -> String {
    let part = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or("-").to_owned();
    [part("/kind"), part("/metadata/namespace"), part("/metadata/name")].join(" ")
}

#[tokio::test]
async fn releases_share_no_object() {
    let (plane, _) = harness::plane().await;
    let mut all = BTreeMap::new();
    for namespace in ["a", "a-b", "x"] {
        harness::kubectl(&plane, &["create", "namespace", namespace]).await;
    }
    let values = "{watchNamespaces: [x], router: {allowAnonymous: x}, test: {model: m}}";
    for (namespace, release) in [("a", "b-c"), ("a-b", "c"), ("a", "c"), ("x", "c")] {
        for object in objects(namespace, release, values).await {
            let key = key(&object);
            let before = all.insert(key.clone(), (namespace, release));
            assert!(before.is_none(), "{key} is of {before:?} and {namespace} {release}");
        }
        helm_upgrade(&plane, &["--namespace", namespace, release], values).await;
    }
}

#[tokio::test]
async fn applied_twice_nothing_changes() {
    let (plane, _) = harness::plane().await;
    harness::kubectl(&plane, &["create", "namespace", "moniker-system"]).await;
    let values = "{podMonitor: {enabled: false}, networkPolicy: {enabled: true}, router: \
                  {autoscaling: {enabled: true}}}";
    let text = helm::render(Version::Four, "moniker", "moniker-system", "moniker", values);
    let text = text.await.unwrap();
    let versions = async || {
        let mut all = BTreeMap::new();
        for object in parsed(&text) {
            let (kind, metadata) = (object["kind"].as_str().unwrap(), &object["metadata"]);
            // Those of the release's test are made and removed with it, and applied by nobody.
            if !metadata["annotations"]["helm.sh/hook"].is_null() {
                continue;
            }
            let namespace = metadata["namespace"].as_str().unwrap_or("default");
            let name = format!("{kind}/{}", metadata["name"].as_str().unwrap());
            let live = harness::get(&plane, namespace, &name).await;
            assert!(!live.is_null(), "{name}");
            all.insert(key(&object), live["metadata"]["resourceVersion"].clone());
        }
        all
    };
    plane.apply(&text).await.unwrap();
    let first = versions().await;
    plane.apply(&text).await.unwrap();
    assert_eq!(versions().await, first);
    let diff = ["diff", "--server-side", "--force-conflicts", "-f", "-"];
    let said = plane.kubectl(&diff, &text).await.unwrap();
    assert_eq!((said.code, said.stdout.as_str()), (0, ""), "{}", said.stderr);
}

/// How often the API server has answered 403.
async fn refusals(plane: &testkit::control_plane::ControlPlane) -> Vec<String> {
    let text = harness::kubectl(plane, &["get", "--raw", "/metrics"]).await;
    let lines = text.lines().filter(|line| line.starts_with("apiserver_request_total{"));
    lines.filter(|line| line.contains("code=\"403\"")).map(str::to_owned).collect()
}

/// Serves an alias under exactly what the chart grants. `tls`: the Secret of the stream's certificate,
/// or empty.
async fn controller_is_refused_nothing(values: &str, tls: &str, args: &[&str]) {
    let (plane, _) = harness::plane().await;
    for namespace in ["moniker-system", "shop"] {
        harness::kubectl(&plane, &["create", "namespace", namespace]).await;
    }
    let user = plane.service_account("moniker-system", "own").await.unwrap();
    let controller = format!("{{serviceAccount: {{name: own}}, tlsSecretName: {tls:?}}}");
    let values = format!("controller: {controller}\n{values}\n");
    helm_upgrade(&plane, &["--namespace", "moniker-system", "moniker"], &values).await;
    for (verb, what, namespace) in [
        ("list", "modelaliases", "shop"),
        ("list", "secrets", "shop"),
        ("create", "secrets", "shop"),
        ("create", "leases", "moniker-system"),
    ] {
        let can = ["auth", "can-i", verb, what, "--namespace", namespace];
        // The authorizer learns of a binding a moment after it was written.
        while plane.kubectl_as(&user, &can, "").await.unwrap().stdout.trim() != "yes" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let before = refusals(&plane).await;
    let release =
        Release { namespace: "moniker-system".to_owned(), files: TempDir::new().unwrap() };
    let service = ["--router-service", "moniker-system/moniker-router-admin"];
    let args = [&service[..], args].concat();
    let secret = format!("--tls-secret={tls}");
    let mut args = args;
    if !tls.is_empty() {
        args.push(&secret);
        let ca = Ca::new().unwrap();
        plane.apply(&rotation::kept(&release, &ca)).await.unwrap();
    }
    let controller = release.controller(&user, "127.0.0.1:0", &args).await;
    plane.apply(&harness::target("shop", "openai", "k-1")).await.unwrap();
    plane.apply(&harness::alias("shop", "chat", &["openai"])).await.unwrap();
    let router = release.router(&plane, port(&controller), "shop", &[]).await;
    // The provider's name exists nowhere.
    router.until("chat", |status, _| status == 502).await;
    harness::until(&plane, "shop", "modelalias/chat", |alias| {
        harness::condition(alias, "Accepted")["status"] == "True"
    })
    .await;
    // Its Secret is made.
    let key = "apiVersion: moniker.dev/v1alpha1\nkind: AccessKey\n\
               metadata: {name: caller, namespace: shop}\nspec: {}\n";
    plane.apply(key).await.unwrap();
    harness::ready(&plane, "shop", "accesskey/caller").await;
    let after = refusals(&plane).await;
    assert_eq!(after, before, "{}", controller.log());
}

#[tokio::test]
async fn a_controller_needs_no_more_than_the_chart_grants() {
    controller_is_refused_nothing("logFormat: json", "", &[]).await;
}

#[tokio::test]
async fn a_controller_of_some_namespaces_needs_no_more_either() {
    let values = "watchNamespaces: [shop]";
    controller_is_refused_nothing(values, "", &["--watch-namespaces", "shop"]).await;
}

#[tokio::test]
async fn a_certificate_that_somebody_else_keeps_may_be_read() {
    let values = "watchNamespaces: [shop]";
    controller_is_refused_nothing(values, "stream-tls", &["--watch-namespaces", "shop"]).await;
}
