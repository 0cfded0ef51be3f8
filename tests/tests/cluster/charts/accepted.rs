//! Every feature, and every two together, as the real API server takes it: admission included, with
//! Pod Security at `restricted`, and without a warning.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::control_plane::{ControlPlane, Version};
use testkit::{helm, programs};

use super::super::controller::harness;
use super::features::{ALL, refused};
use super::parsed;

/// The namespaces that the features name.
const NAMESPACES: [&str; 2] = ["moniker-system", "other"];
/// What the API server is asked at a time.
const BATCH: usize = 60;

/// A control plane with all kinds that the chart may render, and namespaces that enforce.
async fn plane() -> ControlPlane {
    let (plane, _) = harness::plane().await;
    plane.apply(&programs::http_route().unwrap()).await.unwrap();
    let restricted = |name: &str| {
        let modes = ["enforce", "warn"].map(|mode| format!("pod-security.kubernetes.io/{mode}"));
        let labels: Value = modes.into_iter().map(|key| (key, json!("restricted"))).collect();
        json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels},
        })
    };
    plane.apply(&list(NAMESPACES.map(restricted))).await.unwrap();
    let established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
    harness::kubectl(&plane, &established).await;
    plane
}

fn list(items: impl IntoIterator<Item = Value>) -> String {
    let items: Vec<_> = items.into_iter().collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// The pod that a workload would make: Pod Security refuses pods, not what makes them.
fn pod(workload: &Value) -> Option<Value> {
    let template = workload.pointer("/spec/template")?;
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod"});
    pod["metadata"] = template["metadata"].clone();
    pod["metadata"]["name"] = workload["metadata"]["name"].clone();
    pod["metadata"]["namespace"] = workload["metadata"]["namespace"].clone();
    pod["spec"] = template["spec"].clone();
    Some(pod)
}

/// All objects that any of these values render to, each once, with the pods that they would make.
async fn rendered(release: &str, values: &[String]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for values in values {
        let text = helm::render(helm::Version::Four, "moniker", "moniker-system", release, values);
        let text = text.await.unwrap_or_else(|error| panic!("{values}\n{error}"));
        for object in parsed(&text) {
            all.extend(pod(&object).map(|pod| pod.to_string()));
            all.insert(object.to_string());
        }
    }
    all
}

/// Values that turn on two features, unless the chart rightly refuses them together.
async fn pairs() -> Vec<String> {
    let mut values = Vec::new();
    for (index, (first, one)) in ALL.iter().enumerate() {
        for (second, other) in &ALL[index..] {
            let both = merged(one, other);
            match refused(first, second) {
                None => values.push(both),
                Some(why) => {
                    let version = helm::Version::Four;
                    let said = helm::render(version, "moniker", "moniker-system", "moniker", &both);
                    let error = said.await.expect_err(&both).to_string();
                    assert!(error.contains(why), "{first}, {second}: {error}");
                }
            }
        }
    }
    values
}

fn merged(one: &str, other: &str) -> String {
    fn merge(into: &mut Value, from: Value) {
        match (into, from) {
            (Value::Object(into), Value::Object(from)) => {
                for (key, value) in from {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
            (into, from) => *into = from,
        }
    }
    let read = |text: &str| {
        let mut value: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
        value.apply_merge().unwrap();
        serde_json::to_value(value).unwrap()
    };
    let mut both = read(one);
    merge(&mut both, read(other));
    both.to_string()
}

async fn dry_run(plane: &ControlPlane, objects: &BTreeSet<String>) {
    let all: Vec<Value> = objects.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    for batch in all.chunks(BATCH) {
        let args = ["apply", "--server-side", "--dry-run=server", "-f", "-"];
        let said = plane.kubectl(&args, &list(batch.iter().cloned())).await.unwrap();
        // The word that the oldest server knows is one that the newest deprecates.
        let warned = said.stderr.lines().filter(|line| !line.contains("\"PreferClose\""));
        assert_eq!((said.code, warned.collect::<String>()), (0, String::new()), "{}", said.stdout);
    }
}

#[tokio::test]
async fn every_pair_of_features_is_accepted() {
    let plane = plane().await;
    let all = rendered("moniker", &pairs().await).await;
    assert!(all.len() > 100, "{} objects", all.len());
    dry_run(&plane, &all).await;
    // What would be refused is: the test can fail.
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "moniker-system"}});
    pod["spec"] = json!({"containers": [{"name": "c", "image": "i"}]});
    let refusal = plane.apply(&list([pod])).await.unwrap_err().to_string();
    assert!(refusal.contains("violates PodSecurity"), "{refusal}");
}

#[tokio::test]
async fn the_longest_name_of_a_release_is_accepted() {
    let plane = plane().await;
    let release = "a-release-with-the-longest-name-that-helm-admits.0123";
    assert_eq!(release.len(), 53);
    let features: Vec<_> = ALL.iter().filter(|(name, _)| *name != "more of everything").collect();
    let values: Vec<_> = features.iter().map(|(_, values)| merged("{}", values)).collect();
    dry_run(&plane, &rendered(release, &values).await).await;
}

#[tokio::test]
async fn the_oldest_api_server_takes_every_feature() {
    let plane = ControlPlane::start(Version::Oldest).await.unwrap();
    harness::install(&plane).await;
    plane.apply(&programs::http_route().unwrap()).await.unwrap();
    for name in NAMESPACES {
        harness::kubectl(&plane, &["create", "namespace", name]).await;
    }
    let values: Vec<_> = ALL.iter().map(|(_, values)| merged("{}", values)).collect();
    dry_run(&plane, &rendered("moniker", &values).await).await;
}
