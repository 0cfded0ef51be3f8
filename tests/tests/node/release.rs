//! The product as its charts install it, in a namespace of its own.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::cluster::{Cluster, NODE};
use testkit::helm::{self, Version};
use testkit::upstream::Upstream;

use crate::pods;

/// How long pods may take on a loaded machine.
const PATIENCE: &str = "--timeout=180s";
/// What every release here has: the image of this build, and little to wait for.
const VALUES: &str = "
image: {tag: dev, pullPolicy: Never}
controller: {resources: {requests: {cpu: 1m}, limits: {memory: 512Mi}}}
router:
  resources: {requests: {cpu: 1m}, limits: {memory: 512Mi}}
  preStopSleepSeconds: 3
  terminationGracePeriodSeconds: 90
";

/// An installed release.
pub(crate) struct Release {
    pub(crate) cluster: Cluster,
    pub(crate) namespace: String,
    /// Where callers are served.
    pub(crate) url: String,
}

impl Release {
    /// Installs the kinds and a release that serves the callers and aliases of its own namespace.
    pub(crate) async fn install(version: Version, more: &[&str]) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let cluster = Cluster::attach().unwrap();
        let namespace = cluster.namespace("release").await.unwrap();
        let kinds = helm::render(version, "moniker-crds", "default", "moniker-crds", "{}");
        cluster.apply(&kinds.await.unwrap()).await.unwrap();
        for name in ["providertargets", "modelaliases"] {
            let name = format!("crd/{name}.moniker.dev");
            cluster.wait("default", &name, "Established").await.unwrap();
        }
        let mut this = Self { cluster, namespace, url: String::new() };
        this.upgrade(version, more).await;
        let get = ["get", "service", "moniker-router", "-o", "jsonpath={.spec.clusterIP}"];
        let address = this.kubectl(&get).await;
        this.url = format!("http://{address}/v1/chat/completions");
        this
    }

    /// Installs or upgrades it, and waits until all that it changed runs.
    pub(crate) async fn upgrade(&self, version: Version, more: &[&str]) {
        let set = format!("watchNamespaces={{{0}}},router.allowAnonymous={0}", self.namespace);
        let chart = helm::chart("moniker");
        let chart = chart.to_string_lossy();
        let args = ["upgrade", "--install", "moniker", &*chart, "--values", "-", "--set", &set];
        self.helm(version, &[&args[..], more].concat()).await;
        self.rolled_out("controller").await;
        self.rolled_out("router").await;
    }

    /// Runs Helm on the release's namespace; it must not fail.
    pub(crate) async fn helm(&self, version: Version, args: &[&str]) -> String {
        let args = [args, &["--namespace", &self.namespace]].concat();
        let said = self.cluster.helm(version, &args, VALUES).await.unwrap();
        said.success().unwrap()
    }

    /// Runs kubectl on the release's namespace; it must not fail.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> String {
        let args = [args, &["--namespace", &self.namespace]].concat();
        self.cluster.kubectl(&args, "").await.unwrap().success().unwrap()
    }

    /// Waits until every pod of a Deployment is of its present form, and ready.
    pub(crate) async fn rolled_out(&self, component: &str) {
        let name = format!("deployment/moniker-{component}");
        let status = ["rollout", "status", &name, PATIENCE, "--namespace", &self.namespace];
        let said = self.cluster.kubectl(&status, "").await.unwrap();
        if said.code != 0 {
            let pods = self.kubectl(&["describe", "pods"]).await;
            let logs = self.kubectl(&["logs", &name, "--tail=50"]).await;
            panic!("{said:?}\n{pods}\n{logs}");
        }
    }

    /// Waits until a Deployment has this many ready pods and no others, those that end included.
    pub(crate) async fn settled(&self, component: &str, pods: usize) {
        let selector = format!("app.kubernetes.io/component={component}");
        let phase = "jsonpath={range .items[*]}{.metadata.name}{\"\\n\"}{end}";
        let get = ["get", "pods", "--selector", &selector, "-o", phase];
        self.rolled_out(component).await;
        let gone = tokio::time::timeout(Duration::from_secs(180), async {
            while self.kubectl(&get).await.lines().count() != pods {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        gone.await.unwrap_or_else(|_| panic!("there are not {pods} pods of {component}"));
    }

    /// A provider in a pod, which answers and streams, and its target and alias.
    pub(crate) async fn demo(&self, name: &str) {
        let mut service = pods::service(&self.namespace, "demo", 8091);
        service["metadata"]["name"] = json!(name);
        let all = [pods::demo(&self.namespace), service];
        self.cluster.apply(&pods::list(&all)).await.unwrap();
        self.cluster.wait(&self.namespace, "pod/demo", "Ready").await.unwrap();
        self.lineup(name, 8091, None).await;
    }

    /// Another alias over what an alias is served by, once it is served.
    pub(crate) async fn again(&self, model: &str, name: &str) {
        let alias = json!({
            "apiVersion": "moniker.dev/v1alpha1", "kind": "ModelAlias",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "strategy": {"type": "Priority"}, "targets": [{"name": "only", "model": model}],
            },
        });
        self.cluster.apply(&pods::list(&[alias])).await.unwrap();
        let alias = format!("modelalias/{name}");
        self.cluster.wait(&self.namespace, &alias, "Ready").await.unwrap();
    }

    /// A Service without pods that leads to a provider in this process, and its target and alias.
    pub(crate) async fn lead_to(&self, name: &str, provider: &Upstream, key: &str) {
        let port = provider.address().port();
        let mut service = pods::service(&self.namespace, name, port);
        service["spec"]["selector"] = Value::Null;
        service["spec"]["ports"][0]["name"] = json!("http");
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "name": name, "namespace": self.namespace,
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
            "endpoints": [{"addresses": [NODE], "conditions": {"ready": true}}],
        });
        self.cluster.apply(&pods::list(&[service, slice])).await.unwrap();
        self.lineup(name, port, Some(key)).await;
    }

    /// A target at a Service of this name, and an alias over it.
    async fn lineup(&self, name: &str, port: u16, key: Option<&str>) {
        let metadata = json!({"name": name, "namespace": self.namespace});
        let auth = match key {
            None => json!({"type": "None"}),
            Some(_) => json!({"type": "Bearer", "secretRef": {"name": name, "key": "api-key"}}),
        };
        let api = "moniker.dev/v1alpha1";
        let target = json!({
            "apiVersion": api, "kind": "ProviderTarget", "metadata": metadata,
            "spec": {
                "provider": "OpenAICompatible", "auth": auth, "models": [{"name": name}],
                "endpoint": {"service": {"name": name, "port": port, "pathPrefix": "/v1"}},
            },
        });
        let alias = json!({
            "apiVersion": api, "kind": "ModelAlias", "metadata": metadata,
            "spec": {
                "strategy": {"type": "Priority"}, "targets": [{"name": "only", "model": name}],
            },
        });
        self.cluster.apply(&pods::list(&[target, alias])).await.unwrap();
        if let Some(key) = key {
            self.secret(name, key).await;
        }
        let alias = format!("modelalias/{name}");
        self.cluster.wait(&self.namespace, &alias, "Ready").await.unwrap();
    }

    /// Writes the Secret of a target.
    pub(crate) async fn secret(&self, name: &str, key: &str) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "namespace": self.namespace},
            "stringData": {"api-key": key},
        });
        self.cluster.apply(&pods::list(&[secret])).await.unwrap();
    }
}
