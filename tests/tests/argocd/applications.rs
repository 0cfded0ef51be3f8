//! An Argo CD on the test cluster with the repositories of somebody who follows the guide, and what
//! it says of its Applications.

use std::time::Duration;

use serde_json::Value;
use testkit::argocd::{ArgoCd, Repository};
use testkit::cluster::Cluster;

/// The longest that anything is waited for on a loaded machine; only a failure takes it.
const PATIENCE: Duration = Duration::from_secs(300);
const PERIOD: Duration = Duration::from_millis(200);
/// The repositories that `deploy/argocd` names, for their owner to replace.
const PLATFORM: &str = "https://git.example.com/platform/moniker.git";
const ALIASES: &str = "https://git.example.com/platform/aliases.git";
/// What the test's cluster has in place of the guide's registry, and little to wait for.
const IMAGE: &str = "image: {repository: registry.example.com/moniker}";
const VALUES: &str = "image: {repository: localhost/moniker, tag: dev, pullPolicy: Never}
        controller: {resources: {requests: {cpu: 1m}, limits: {memory: 512Mi}}}
        router:
          allowAnonymous: models
          resources: {requests: {cpu: 1m}, limits: {memory: 512Mi}}
          preStopSleepSeconds: 1
          terminationGracePeriodSeconds: 60";
/// The Application of the chart, within the repository.
const CHART: &str = "deploy/argocd/applications/2-moniker.yaml";

/// Who deploys by git.
pub(crate) struct GitOps {
    pub(crate) cluster: Cluster,
    argo_cd: ArgoCd,
    platform: Repository,
    pub(crate) aliases: Repository,
}

impl GitOps {
    /// Argo CD that knows our kinds' health, and the repositories; nothing is applied yet.
    pub(crate) async fn prepare() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let cluster = Cluster::attach().unwrap();
        let argo_cd = ArgoCd::start(&cluster).await.unwrap();
        let file = |name: &str| format!("{}/../{name}", env!("CARGO_MANIFEST_DIR"));
        let patch = ["patch", "configmap", "argocd-cm", "--namespace", "argocd", "--patch-file"];
        let health = file("deploy/argocd/argocd-cm.yaml");
        let patch = [&patch[..], &[&health]].concat();
        cluster.kubectl(&patch, "").await.unwrap().success().unwrap();
        let platform = argo_cd.repository("platform").unwrap();
        let aliases = argo_cd.repository("aliases").unwrap();
        platform.copy("charts").unwrap();
        for name in ["moniker.yaml", "applications/1-crds.yaml", "applications/2-moniker.yaml"]
            .into_iter()
            .chain(["applications/3-aliases.yaml"])
        {
            let path = format!("deploy/argocd/{name}");
            let text = std::fs::read_to_string(file(&path)).unwrap();
            let text = text.replace(PLATFORM, &platform.url()).replace(ALIASES, &aliases.url());
            platform.write(&path, &text.replace(IMAGE, VALUES)).unwrap();
        }
        platform.commit("As the guide has it").unwrap();
        Self { cluster, argo_cd, platform, aliases }
    }

    /// Applies the one Application that brings the others.
    pub(crate) async fn begin(&self) {
        let root = self.platform.read("deploy/argocd/moniker.yaml").unwrap();
        self.cluster.apply(&root).await.unwrap();
    }

    /// Changes the values of the chart's Application, and commits.
    pub(crate) fn change_values(&self, from: &str, to: &str) {
        let text = self.platform.read(CHART).unwrap();
        assert!(text.contains(from), "{text}");
        self.platform.write(CHART, &text.replace(from, to)).unwrap();
        self.platform.commit("Change values").unwrap();
    }

    /// An object, or null where there is none.
    pub(crate) async fn get(&self, namespace: &str, name: &str) -> Value {
        let args = ["get", name, "-n", namespace, "-o", "json", "--ignore-not-found"];
        let said = self.cluster.kubectl(&args, "").await.unwrap();
        // A kind that is not installed yet has no objects either.
        serde_json::from_str(&said.stdout).unwrap_or_default()
    }

    /// Runs kubectl; it must not fail.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> String {
        self.cluster.kubectl(args, "").await.unwrap().success().unwrap()
    }

    /// Waits until an object is as it should be.
    pub(crate) async fn until(
        &self,
        namespace: &str,
        name: &str,
        good: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                last = self.get(namespace, name).await;
                if good(&last) {
                    return;
                }
                tokio::time::sleep(PERIOD).await;
            }
        });
        if found.await.is_err() {
            let pods = self.cluster.kubectl(&["get", "pods", "-A"], "").await.unwrap().stdout;
            let logs = self.argo_cd.logs();
            panic!("{name} in {namespace} stays {last:#}\n{pods}\n{logs}");
        }
        last
    }

    /// Waits until an Application is of this sync status and health.
    pub(crate) async fn is(&self, name: &str, sync: &str, health: &str) -> Value {
        let name = format!("application/{name}");
        self.until("argocd", &name, |application| {
            let status = &application["status"];
            status["sync"]["status"] == sync && status["health"]["status"] == health
        })
        .await
    }

    /// Waits until an Application has synced this commit, and is of this health.
    pub(crate) async fn synced(&self, name: &str, commit: &str, health: &str) -> Value {
        let name = format!("application/{name}");
        self.until("argocd", &name, |application| {
            let status = &application["status"];
            status["sync"]["status"] == "Synced"
                && status["sync"]["revision"] == commit
                && status["health"]["status"] == health
        })
        .await
    }

    /// Waits until every Application was reconciled so many more times.
    pub(crate) async fn reconciled(&self, times: u64) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let count = async || -> u64 {
            let text = client.get(self.argo_cd.metrics()).send().await.unwrap();
            let text = text.text().await.unwrap();
            let of = |line: &&str| line.starts_with("argocd_app_reconcile_count{");
            let counts = text.lines().filter(of).filter_map(|line| line.rsplit(' ').next());
            counts.filter_map(|count| count.parse::<u64>().ok()).sum()
        };
        let (began, applications) = (count().await, 4);
        let done = tokio::time::timeout(PATIENCE, async {
            while count().await < began + times * applications {
                tokio::time::sleep(PERIOD).await;
            }
        });
        done.await.expect("nothing is reconciled");
    }
}
