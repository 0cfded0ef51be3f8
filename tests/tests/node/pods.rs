//! Manifests of pods that hold to the level "restricted", which the cluster enforces everywhere.

use serde_json::{Value, json};
use testkit::cluster::IMAGE;

/// A container of the product's image that does this.
pub(crate) fn container(name: &str, args: &[&str]) -> Value {
    json!({
        "name": name,
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": args,
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
    })
}

/// A pod, labelled `app: NAME`.
pub(crate) fn pod(namespace: &str, name: &str, containers: &[Value]) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": containers,
        },
    })
}

/// The demo upstream on port 8091, ready once it listens.
pub(crate) fn demo(namespace: &str) -> Value {
    let mut container = container("demo", &["demo-upstream", "--listen", "0.0.0.0:8091"]);
    container["readinessProbe"] = json!({"tcpSocket": {"port": 8091}, "periodSeconds": 1});
    pod(namespace, "demo", &[container])
}

/// A Service on one port for the pods that are labelled `app: NAME`.
pub(crate) fn service(namespace: &str, name: &str, port: u16) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [{"port": port}]},
    })
}

/// Documents as `kubectl apply` takes them.
pub(crate) fn list(items: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}
