//! The CRDs on real API servers, the newest and the oldest that are supported: taken without a
//! warning, with the columns and names that users see, and every rule decides there as it does
//! offline.

#[path = "../../corpus/cel.rs"]
mod corpus;

use corpus::{Case, Documents};
use futures::{StreamExt, stream};
use serde_json::Value;
use testkit::control_plane::{ControlPlane, Output, Version};

/// Enough that `kubectl`'s start-up does not add up, few enough for a small machine.
const AT_ONCE: usize = 4;

async fn plane(version: Version) -> &'static ControlPlane {
    let plane = ControlPlane::shared(version).await.unwrap();
    for (file, yaml) in api::crd::all() {
        let applied = plane.kubectl(&["apply", "--server-side", "-f", "-"], &yaml).await.unwrap();
        assert_eq!(applied.warnings().collect::<Vec<_>>(), [""; 0], "{file}");
        applied.success().unwrap();
    }
    let wait = "wait --for=condition=Established --timeout=60s crd/modelaliases.moniker.dev \
                crd/providertargets.moniker.dev";
    let args: Vec<_> = wait.split_whitespace().collect();
    plane.kubectl(&args, "").await.unwrap().success().unwrap();
    plane
}

async fn write(plane: &ControlPlane, args: &[&str], object: &Value) -> Output {
    let output = plane.kubectl(&[args, &["-f", "-"]].concat(), &object.to_string()).await.unwrap();
    assert_eq!(output.warnings().collect::<Vec<_>>(), [""; 0], "{object}");
    output
}

/// What the API server says to a case.
async fn answer(plane: &ControlPlane, case: &Case) -> Output {
    let namespace = plane.namespace("rules").await.unwrap();
    let create = ["create", "--namespace", &namespace, "--dry-run=server"];
    let Some(old) = &case.old else { return write(plane, &create, &case.new).await };
    write(plane, &["create", "--namespace", &namespace], old).await.success().unwrap();
    write(plane, &["replace", "--namespace", &namespace, "--dry-run=server"], &case.new).await
}

async fn check(plane: &ControlPlane, Documents { rule, valid, invalid }: Documents) {
    for case in &valid {
        let output = answer(plane, case).await;
        assert_eq!(output.code, 0, "{}: {}\n{}", rule.id, case.new, output.stderr);
    }
    for case in &invalid {
        let output = answer(plane, case).await;
        assert_ne!(output.code, 0, "{}: {}", rule.id, case.new);
        assert!(output.stderr.contains(&rule.message), "{}: {}", rule.id, output.stderr);
    }
}

async fn every_rule_decides_as_offline(version: Version) {
    let plane = plane(version).await;
    let all = stream::iter(corpus::read()).map(|documents| check(plane, documents));
    all.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

#[tokio::test]
async fn every_rule_decides_on_the_current_api_server_as_offline() {
    every_rule_decides_as_offline(Version::Current).await;
}

#[tokio::test]
async fn every_rule_decides_on_the_oldest_api_server_as_offline() {
    every_rule_decides_as_offline(Version::Oldest).await;
}

#[tokio::test]
async fn users_see_names_columns_and_words() {
    let plane = plane(Version::Current).await;
    let namespace = plane.namespace("columns").await.unwrap();
    let in_it = async |args: &[&str]| {
        let args = [&["--namespace", namespace.as_str()], args].concat();
        plane.kubectl(&args, "").await.unwrap().success().unwrap()
    };
    let bases: Vec<_> = corpus::read().into_iter().map(|documents| documents.valid).collect();
    let alias = bases.iter().flatten().find(|case| case.new["kind"] == "ModelAlias").unwrap();
    let target = bases.iter().flatten().find(|case| case.new["kind"] == "ProviderTarget").unwrap();
    for case in [alias, target] {
        write(plane, &["create", "--namespace", &namespace], &case.new).await.success().unwrap();
    }

    let header = |text: &str| {
        text.lines().next().unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let columns = ["NAME", "MODEL", "STRATEGY", "TARGETS", "READY", "ROUTERS", "AGE"];
    assert_eq!(header(&in_it(&["get", "ma"]).await), columns);
    let columns = ["NAME", "PROVIDER", "MODELS", "READY", "ROUTERS", "USED-BY", "AGE"];
    assert_eq!(header(&in_it(&["get", "pt"]).await), columns);
    let both = in_it(&["get", "moniker", "-o", "name"]).await;
    assert_eq!(both.lines().count(), 2, "{both}");
    let ready = "jsonpath={.items[0].status.conditions[0].status}";
    assert_eq!(in_it(&["get", "ma", "-o", ready]).await, "Unknown", "a fresh object is pending");
    let words = in_it(&["explain", "modelalias.spec.targets.weight"]).await;
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("Default: 1"), "{words}");
}

#[tokio::test]
async fn an_unknown_field_or_value_is_refused() {
    let plane = plane(Version::Current).await;
    let mut object = corpus::read().remove(0).valid.remove(0).new;
    object["spec"]["cordonned"] = true.into();
    let output = write(plane, &["create", "--dry-run=server"], &object).await;
    assert!(output.stderr.contains("cordonned"), "{}", output.stderr);
    object["spec"].as_object_mut().unwrap().remove("cordonned");
    object["spec"]["provider"] = "Oracle".into();
    let output = write(plane, &["create", "--dry-run=server"], &object).await;
    assert!(output.stderr.contains("OpenAICompatible"), "{}", output.stderr);
}
