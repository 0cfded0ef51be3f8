//! A controller and a router as pods answer through a Service: Services' names resolve inside the
//! image, and TLS is checked inside it.
//!
//! Both are in one pod, since the stream between them is served on loopback alone.

use std::time::Duration;

use reqwest::{Client, Response};
use serde_json::{Value, json};
use testkit::ca::Ca;
use testkit::cluster::{Cluster, NODE};
use testkit::upstream::{Script, Upstream};

use crate::pods;

/// What the chart grants in the whole cluster.
const RBAC: [&str; 2] = [
    include_str!("../../../deploy/kustomize/base/rbac-kinds.yaml"),
    include_str!("../../../deploy/kustomize/base/rbac-cluster.yaml"),
];
const TARGETS_CRD: &str = include_str!("../../../crds/moniker.dev_providertargets.yaml");
const ALIASES_CRD: &str = include_str!("../../../crds/moniker.dev_modelaliases.yaml");
const KEYS_CRD: &str = include_str!("../../../crds/moniker.dev_accesskeys.yaml");
/// The longest that anything is waited for; only a failure takes it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The product in a namespace of its own, on the address of its Service.
struct Product {
    cluster: Cluster,
    namespace: String,
    url: String,
}

impl Product {
    async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let cluster = Cluster::attach().unwrap();
        let namespace = cluster.namespace("serving").await.unwrap();
        for yaml in RBAC.into_iter().chain([TARGETS_CRD, ALIASES_CRD, KEYS_CRD]) {
            cluster.apply(yaml).await.unwrap();
        }
        for name in ["providertargets", "modelaliases", "accesskeys"] {
            let name = format!("crd/{name}.moniker.dev");
            cluster.wait("default", &name, "Established").await.unwrap();
        }
        let controller = ["controller", "--admin", "[::]:9091", "--watch-namespaces", &namespace];
        let controller = pods::container("controller", &controller);
        let router = ["router", "--controller", "http://127.0.0.1:8443", "--allow-anonymous"];
        let mut router = pods::container("router", &[&router[..], &[&namespace]].concat());
        router["readinessProbe"] =
            json!({"httpGet": {"path": "/readyz", "port": 9090}, "periodSeconds": 1});
        let mut pod = pods::pod(&namespace, "moniker", &[controller, router]);
        pod["spec"]["serviceAccountName"] = json!("moniker");
        pod["spec"]["automountServiceAccountToken"] = json!(true);
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "moniker", "namespace": namespace},
        });
        let role = |role: &str| {
            let group = "rbac.authorization.k8s.io";
            json!({
                "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding",
                "metadata": {"name": format!("{namespace}-{role}")},
                "roleRef": {
                    "apiGroup": group, "kind": "ClusterRole",
                    "name": format!("moniker-system.moniker.{role}"),
                },
                "subjects": [
                    {"kind": "ServiceAccount", "name": "moniker", "namespace": namespace},
                ],
            })
        };
        let roles = ["kinds", "credentials", "cluster"].map(role);
        let service = pods::service(&namespace, "moniker", 8080);
        cluster
            .apply(&pods::list(&[&[account][..], &roles, &[pod, service]].concat()))
            .await
            .unwrap();
        cluster.wait(&namespace, "pod/moniker", "Ready").await.unwrap();
        let address = ["get", "service", "moniker", "-n", &namespace, "-o"];
        let address = [&address[..], &["jsonpath={.spec.clusterIP}"]].concat();
        let address = cluster.kubectl(&address, "").await.unwrap().success().unwrap();
        Self { cluster, namespace, url: format!("http://{address}:8080/v1/chat/completions") }
    }

    /// A target at a Service, and an alias of the same name that leads to it.
    async fn lineup(&self, name: &str, service: &Value) {
        let metadata = json!({"name": name, "namespace": self.namespace});
        let api = "moniker.dev/v1alpha1";
        let mut endpoint = json!({"service": service});
        if let Some(tls) = endpoint["service"].as_object_mut().and_then(|all| all.remove("tls")) {
            endpoint["tls"] = tls;
        }
        let target = json!({
            "apiVersion": api, "kind": "ProviderTarget", "metadata": metadata,
            "spec": {
                "provider": "OpenAICompatible", "endpoint": endpoint, "auth": {"type": "None"},
                "models": [{"name": name}],
            },
        });
        let alias = json!({
            "apiVersion": api, "kind": "ModelAlias", "metadata": metadata,
            "spec": {
                "strategy": {"type": "Priority"},
                "targets": [{"name": "only", "model": name}],
            },
        });
        self.cluster.apply(&pods::list(&[target, alias])).await.unwrap();
        let alias = format!("modelalias/{name}");
        self.cluster.wait(&self.namespace, &alias, "Ready").await.unwrap();
    }

    /// Asks until the answer is of this status: rules for Services come a moment after the Service.
    async fn ask(&self, alias: &str, status: u16) -> Value {
        let body = json!({"model": alias, "messages": [{"role": "user", "content": "hi"}]});
        let mut last = String::new();
        let client = Client::new();
        let answered = tokio::time::timeout(PATIENCE, async {
            loop {
                let answer = client.post(&self.url).json(&body).send().await;
                match answer.map(|answer| (answer.status().as_u16(), answer)) {
                    Ok((is, answer)) if is == status => return body_of(answer).await,
                    Ok((is, answer)) => last = format!("{is} {}", body_of(answer).await),
                    Err(error) => last = format!("{error:?}"),
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let answered = answered.await;
        answered.unwrap_or_else(|_| panic!("{alias} is not answered with {status}: {last}"))
    }
}

async fn body_of(answer: Response) -> Value {
    answer.json().await.unwrap()
}

#[tokio::test]
async fn a_demo_upstream_behind_a_service_answers() {
    let product = Product::start().await;
    let demo = [pods::demo(&product.namespace), pods::service(&product.namespace, "demo", 8091)];
    product.cluster.apply(&pods::list(&demo)).await.unwrap();
    product.cluster.wait(&product.namespace, "pod/demo", "Ready").await.unwrap();
    product.lineup("demo", &json!({"name": "demo", "port": 8091, "pathPrefix": "/v1"})).await;
    let answer = product.ask("demo", 200).await;
    assert!(answer["choices"][0]["message"]["content"].is_string(), "{answer}");
}

#[tokio::test]
async fn certificates_are_checked_inside_the_image() {
    let product = Product::start().await;
    let namespace = &product.namespace;
    let name = format!("provider.{namespace}.svc.cluster.local");
    let ca = Ca::new().unwrap();
    let provider =
        Upstream::listen(&format!("{NODE}:0"), Some(ca.acceptor(&[&name]).unwrap())).await.unwrap();
    provider.always(Script::chat("under a certificate"));
    let port = provider.address().port();
    let config = |name: &str, pem: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace}, "data": {"ca.crt": pem},
        })
    };
    // A Service without pods: this very process is what it leads to.
    let mut service = pods::service(namespace, "provider", port);
    service["spec"]["selector"] = Value::Null;
    service["spec"]["ports"][0]["name"] = json!("https");
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": "provider", "namespace": namespace,
            "labels": {"kubernetes.io/service-name": "provider"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [NODE], "conditions": {"ready": true}}],
    });
    let other = Ca::new().unwrap();
    let maps = [config("right", ca.pem()), config("wrong", other.pem())];
    product.cluster.apply(&pods::list(&[&maps[..], &[service, slice]].concat())).await.unwrap();
    for trusted in ["right", "wrong"] {
        let tls = json!({"caBundleRef": {"name": trusted, "key": "ca.crt"}});
        let at = json!({"name": "provider", "port": port, "pathPrefix": "/v1", "tls": tls});
        product.lineup(trusted, &at).await;
    }

    let answer = product.ask("right", 200).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "under a certificate");
    let served = provider.count();
    product.ask("wrong", 502).await;
    assert_eq!(provider.count(), served, "a server without a good certificate saw a request");
}
