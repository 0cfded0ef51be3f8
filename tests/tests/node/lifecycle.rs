//! The life of a release, while requests and streams flow through its Service: what an operator does
//! to it on an ordinary day fails no request.

use std::collections::BTreeSet;
use std::time::Duration;

use testkit::cluster::NODE;
use testkit::helm::Version;
use testkit::upstream::{Script, Upstream};

use crate::release::Release;
use crate::traffic::{Asked, Traffic};

/// A provider in this process, which tells what it was sent.
async fn provider() -> Upstream {
    let provider = Upstream::listen(&format!("{NODE}:0"), None).await.unwrap();
    provider.always(Script::chat("hello"));
    provider
}

#[tokio::test]
async fn an_ordinary_day_fails_no_request() {
    let release = Release::install(Version::Four, &[]).await;
    release.demo("chat").await;
    let traffic = Traffic::start(&release.url, "chat", Asked::StreamsToo).await;
    traffic.go_on(20).await;

    for component in ["router", "controller"] {
        release.kubectl(&["rollout", "restart", &format!("deployment/moniker-{component}")]).await;
        release.settled(component, 2).await;
        traffic.go_on(20).await;
        traffic.unharmed(&format!("restart of {component}s"));
    }

    for count in [1, 3, 2] {
        let replicas = format!("--replicas={count}");
        release.kubectl(&["scale", "deployment/moniker-router", &replicas]).await;
        release.settled("router", count).await;
        traffic.go_on(20).await;
        traffic.unharmed(&format!("scaling to {count}"));
    }

    let router = "app.kubernetes.io/component=router";
    let first = ["get", "pods", "--selector", router, "-o", "jsonpath={.items[0].metadata.name}"];
    let first = release.kubectl(&first).await;
    release.kubectl(&["delete", "pod", &first]).await;
    release.settled("router", 2).await;
    traffic.go_on(20).await;
    traffic.unharmed("deletion of a router");

    // The replica that writes is killed without a word; another one does from then on.
    let holder = "jsonpath={.spec.holderIdentity}";
    let holder = release.kubectl(&["get", "lease", "moniker-controller", "-o", holder]).await;
    let (pod, _) = holder.rsplit_once('-').expect("a pod's name and a process");
    release.kubectl(&["delete", "pod", pod, "--force", "--grace-period=0"]).await;
    release.again("chat", "later").await;
    traffic.unharmed("death of the writing controller");

    let changed = ["--set", "router.maxBody=16MiB", "--set", "controller.sweepInterval=2s"];
    release.upgrade(Version::Four, &changed).await;
    release.settled("router", 2).await;
    traffic.go_on(20).await;
    traffic.unharmed("upgrade with other values");
}

#[tokio::test]
async fn the_releases_own_test_passes_and_leaves_nothing() {
    let release = Release::install(Version::Four, &[]).await;
    let before = release.names().await;
    release.helm(Version::Four, &["test", "moniker", "--timeout", "4m"]).await;
    // Pods end a moment after Helm has deleted them.
    let ended = tokio::time::timeout(Duration::from_secs(120), async {
        while release.names().await != before {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let ended = ended.await.is_ok();
    assert!(ended, "{before:?} has become {:?}", release.names().await);
}

#[tokio::test]
async fn a_new_key_is_used_at_once_and_no_request_fails() {
    let release = Release::install(Version::Four, &[]).await;
    let provider = provider().await;
    release.lead_to("keyed", &provider, "key-1").await;
    let traffic = Traffic::start(&release.url, "keyed", Asked::AnswersAlone).await;
    traffic.go_on(10).await;
    release.secret("keyed", "key-2").await;
    let used = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let all = provider.received();
            let last = all.last().and_then(|request| request.headers.get("authorization").cloned());
            if last.is_some_and(|value| value == "Bearer key-2") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    used.await.expect("the new key is never used");
    traffic.go_on(20).await;
    traffic.unharmed("a new key");
}

#[tokio::test]
async fn what_helm_3_installed_helm_4_upgrades_under_an_autoscaler() {
    let scaled = "router.autoscaling.enabled=true,router.autoscaling.minReplicas=2";
    let release = Release::install(Version::Three, &["--set", scaled]).await;
    release.settled("router", 2).await;
    release.demo("chat").await;
    let traffic = Traffic::start(&release.url, "chat", Asked::StreamsToo).await;
    release.upgrade(Version::Four, &["--set", scaled, "--set", "router.maxBody=16MiB"]).await;
    release.settled("router", 2).await;
    traffic.go_on(20).await;
    traffic.unharmed("an upgrade from Helm 3 to Helm 4");
}

#[tokio::test]
async fn autoscaling_is_switched_on_and_off_without_a_drop() {
    let release = Release::install(Version::Four, &["--set", "router.replicas=3"]).await;
    // As docs/install.md has it.
    let own = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: moniker-router, namespace: {}}}\n\
         spec: {{replicas: 3}}\n",
        release.namespace
    );
    let apply = ["apply", "--server-side", "--field-manager=autoscaling", "-f", "-"];
    release.cluster.kubectl(&apply, &own).await.unwrap().success().unwrap();
    let scaled = "router.autoscaling.enabled=true,router.autoscaling.minReplicas=3";
    release.upgrade(Version::Four, &["--set", scaled]).await;
    release.settled("router", 3).await;
    release.upgrade(Version::Four, &["--set", "router.replicas=3"]).await;
    release.settled("router", 3).await;
    let events = ["get", "events", "--field-selector", "reason=ScalingReplicaSet", "-o"];
    let events = [&events[..], &["jsonpath={range .items[*]}{.message}{\"\\n\"}{end}"]].concat();
    let said = release.kubectl(&events).await;
    let router = said.lines().filter(|line| line.contains("moniker-router"));
    assert!(router.clone().count() > 0, "{said}");
    for line in router {
        assert!(line.contains("Scaled up") && line.contains("to 3"), "{said}");
    }
}

#[tokio::test]
async fn uninstalled_it_leaves_what_the_user_made_alone() {
    let release = Release::install(Version::Four, &[]).await;
    let provider = provider().await;
    release.lead_to("mine", &provider, "k").await;
    release.helm(Version::Four, &["uninstall", "moniker", "--wait", "--timeout", "3m"]).await;
    let left = tokio::time::timeout(Duration::from_secs(120), async {
        loop {
            let left = release.names().await;
            let ours = |line: &&String| {
                let name = line.split_once('/').map_or("", |(_, name)| name);
                name.contains("moniker")
            };
            if !left.iter().any(|line| ours(&line)) {
                return left;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let left = left.await.expect("something of the release stays");
    for mine in ["modelalias.moniker.dev/mine", "providertarget.moniker.dev/mine", "secret/mine"] {
        assert!(left.contains(mine), "{mine} is gone: {left:?}");
    }
    // The garbage collector takes what was owned.
    let leases = tokio::time::timeout(Duration::from_secs(120), async {
        while release.kubectl(&["get", "leases", "-o", "name"]).await.contains("moniker") {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    leases.await.expect("the Lease stays");
    let definitions = release.kubectl(&["get", "crd", "-o", "name"]).await;
    assert!(definitions.contains("modelaliases.moniker.dev"), "{definitions}");
}

impl Release {
    /// Everything in the namespace, and of the whole cluster what carries its name.
    async fn names(&self) -> BTreeSet<String> {
        let kinds = "all,configmaps,secrets,serviceaccounts,roles,rolebindings,\
                     poddisruptionbudgets,networkpolicies,ingresses,horizontalpodautoscalers,\
                     modelaliases,providertargets";
        let mut all = BTreeSet::new();
        for line in self.kubectl(&["get", kinds, "-o", "name"]).await.lines() {
            // Helm's own note of the release. Leases are left out: controllers make them when they please.
            if !line.contains("sh.helm.release") {
                all.insert(line.to_owned());
            }
        }
        let wide = self.kubectl(&["get", "clusterroles,clusterrolebindings", "-o", "name"]).await;
        let own = format!("/{}.", self.namespace);
        all.extend(wide.lines().filter(|line| line.contains(&own)).map(str::to_owned));
        all
    }
}
