//! What kustomize builds is what the chart renders to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testkit::helm::{self, Version};
use testkit::kubectl;

use super::parsed;

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kustomize").join(name)
}

async fn build(path: &Path) -> Vec<Value> {
    let args = ["kustomize", &*path.to_string_lossy()];
    parsed(&kubectl::offline(&args, "").await.unwrap().success().unwrap())
}

/// Objects by kind and name, without what is said of Helm alone. Flags have no order.
fn compared(all: Vec<Value>) -> BTreeMap<String, Value> {
    let mut by_name = BTreeMap::new();
    for mut object in all {
        if let Some(labels) = object.pointer_mut("/metadata/labels").and_then(Value::as_object_mut)
        {
            labels.remove("helm.sh/chart");
            labels.remove("app.kubernetes.io/managed-by");
        }
        let args = object.pointer_mut("/spec/template/spec/containers/0/args");
        if let Some(args) = args.and_then(Value::as_array_mut) {
            args.sort_by_key(Value::to_string);
        }
        let name = format!("{} {}", object["kind"], object["metadata"]["name"]);
        assert!(by_name.insert(name.clone(), object).is_none(), "{name} is there twice");
    }
    by_name
}

async fn chart(values: &str) -> BTreeMap<String, Value> {
    let text = helm::render(Version::Four, "moniker", "moniker-system", "moniker", values).await;
    let all = parsed(&text.unwrap()).into_iter();
    // Hooks are Helm's.
    compared(
        all.filter(|object| object["metadata"]["annotations"]["helm.sh/hook"].is_null()).collect(),
    )
}

#[tokio::test]
async fn the_base_is_the_chart() {
    assert_eq!(compared(build(&directory("base")).await), chart("{}").await);
}

#[tokio::test]
async fn the_overlay_is_the_chart_with_its_values() {
    let overlay = directory("overlays/example");
    let values = std::fs::read_to_string(overlay.join("values.yaml")).unwrap();
    assert_eq!(compared(build(&overlay).await), chart(&values).await);
}

#[tokio::test]
async fn the_kinds_are_those_of_the_types() {
    let kinds = build(&directory("crds")).await;
    let files = std::fs::read_dir(directory("../../crds")).unwrap();
    let files: Vec<_> = files
        .map(|file| parsed(&std::fs::read_to_string(file.unwrap().path()).unwrap()).remove(0))
        .collect();
    assert_eq!(compared(kinds), compared(files));
}

#[tokio::test]
async fn one_item_of_a_list_is_changed_by_a_json_patch_alone() {
    let overlay = tempfile::tempdir().unwrap();
    let alias = json!({
        "apiVersion": "moniker.dev/v1alpha1", "kind": "ModelAlias",
        "metadata": {"name": "prod-chat"},
        "spec": {"strategy": {"type": "RandomShuffle"}, "targets": [
            {"name": "a", "model": "a", "weight": 80}, {"name": "b", "model": "b", "weight": 10},
        ]},
    });
    std::fs::write(overlay.path().join("alias.yaml"), alias.to_string()).unwrap();
    let built = async |patch: Value| {
        let kustomization = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
            "resources": ["alias.yaml"],
            "patches": [{"target": {"kind": "ModelAlias"}, "patch": patch.to_string()}],
        });
        let path = overlay.path().join("kustomization.yaml");
        std::fs::write(path, kustomization.to_string()).unwrap();
        build(overlay.path()).await.remove(0)["spec"]["targets"].clone()
    };
    let path = "/spec/targets/1/weight";
    let targets = built(json!([{"op": "replace", "path": path, "value": 20}])).await;
    assert_eq!(targets[0], alias["spec"]["targets"][0]);
    assert_eq!((&targets[1]["model"], &targets[1]["weight"]), (&json!("b"), &json!(20)));
    // As documented: this is why.
    let merge = json!({
        "apiVersion": "moniker.dev/v1alpha1", "kind": "ModelAlias", "metadata": {"name": "prod-chat"},
        "spec": {"targets": [{"name": "b", "weight": 20}]},
    });
    assert_eq!(built(merge).await, json!([{"name": "b", "weight": 20}]));
}
