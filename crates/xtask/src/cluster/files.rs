//! The configuration of the node's processes.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::identities::DNS_USER;
use super::network::{DOMAIN, NODE, PODS};
use super::state::State;

/// The image that holds pods' networks, loaded before the first pod.
pub(super) const PAUSE_IMAGE: &str = "localhost/pause:1";
/// Where Debian and others have the plugins that connect pods.
const PLUGINS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];

/// Writes all of them into the directory of the cluster.
pub(super) fn write(state: &State) -> Result<()> {
    let directory = state.directory();
    fs::write(state.path("containerd.toml"), containerd(state, plugins()?))?;
    fs::create_dir_all(state.path("cni"))?;
    fs::write(state.path("cni/10-node.conflist"), cni().to_string())?;
    fs::write(state.path("kubelet.json"), kubelet(state).to_string())?;
    fs::write(state.path("proxy.json"), proxy(directory).to_string())?;
    fs::write(state.path("admission.json"), admission().to_string())?;
    fs::write(state.path("Corefile"), corefile(directory))?;
    Ok(())
}

fn plugins() -> Result<&'static str> {
    let has = |directory: &&str| Path::new(directory).join("bridge").is_file();
    match PLUGINS.into_iter().find(|directory| has(directory)) {
        Some(directory) => Ok(directory),
        None => bail!("no CNI plugins in {}", PLUGINS.join(" or ")),
    }
}

/// Without `CAP_SYS_RESOURCE`, which containers lack, no process may be made safer from the
/// kernel's killer, and runc dies of trying.
fn containerd(state: &State, plugins: &str) -> String {
    let directory = state.directory().display();
    let socket = state.socket();
    let socket = socket.display();
    format!(
        r#"version = 3
root = "{directory}/containerd"
state = "/run/containerd"
[grpc]
address = "{socket}"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE_IMAGE}"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{plugins}"]
conf_dir = "{directory}/cni"
"#
    )
}

fn cni() -> Value {
    json!({"cniVersion": "1.0.0", "name": "node", "plugins": [
        {
            "type": "bridge", "bridge": "pods0", "isGateway": true, "ipMasq": true,
            "hairpinMode": true,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": PODS}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": true}},
    ]})
}

fn kubelet(state: &State) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "x509": {"clientCAFile": state.path("ca.crt")},
            "webhook": {"enabled": true},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": state.path("kubelet.crt"),
        "tlsPrivateKeyFile": state.path("kubelet.key"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": state.cgroups().root(),
        "enforceNodeAllocatable": [],
        // Version 1 is old, and what many containers still have.
        "failCgroupV1": false,
        "failSwapOn": false,
        // It measures whole disks, which are not the cluster's.
        "localStorageCapacityIsolation": false,
        "containerRuntimeEndpoint": format!("unix://{}", state.socket().display()),
        "volumePluginDir": state.path("volume-plugins"),
        "clusterDNS": [NODE],
        "clusterDomain": DOMAIN,
        "resolvConf": "",
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%",
        },
    })
}

fn proxy(directory: &Path) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": directory.join("proxy.kubeconfig")},
        "mode": "iptables",
        "clusterCIDR": PODS,
        "hostnameOverride": "node",
        // These are the machine's, not the namespace's.
        "conntrack": {
            "maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s",
        },
    })
}

/// Pods of all namespaces are held to the strictest level, so that nothing of ours needs less.
fn admission() -> Value {
    json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [{"name": "PodSecurity", "configuration": {
            "apiVersion": "pod-security.admission.config.k8s.io/v1",
            "kind": "PodSecurityConfiguration",
            "defaults": {
                "enforce": "restricted", "enforce-version": "latest",
                "audit": "restricted", "audit-version": "latest",
                "warn": "restricted", "warn-version": "latest",
            },
            "exemptions": {"usernames": [], "runtimeClasses": [], "namespaces": ["kube-system"]},
        }}],
    })
}

/// Names of the cluster are answered, and no others exist: there is nobody to ask. In blocks of
/// their own, since within one the template would come first, whatever stands first.
fn corefile(directory: &Path) -> String {
    format!(
        "{DOMAIN}:53 in-addr.arpa:53 {{\n  bind {NODE}\n  errors\n  kubernetes {{\n    \
         kubeconfig {}/coredns.kubeconfig moniker\n    pods verified\n    ttl 0\n  }}\n}}\n\
         .:53 {{\n  bind {NODE}\n  template ANY ANY {{\n    rcode NXDOMAIN\n  }}\n}}\n",
        directory.display()
    )
}

/// What CoreDNS may read, as its own deployments have it.
pub(super) fn dns_role() -> Value {
    let (name, group) = (DNS_USER, "rbac.authorization.k8s.io");
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": format!("{group}/v1"), "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": [
                {"apiGroups": [""], "resources": ["services", "pods", "namespaces"],
                 "verbs": ["list", "watch"]},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"],
                 "verbs": ["list", "watch"]},
            ],
        },
        {
            "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": group, "kind": "User", "name": name}],
        },
    ]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containerd_is_configured_in_toml_that_parses() {
        let state = State::at(Path::new("/state")).unwrap();
        let config: toml::Table = containerd(&state, "/usr/lib/cni").parse().unwrap();
        assert_eq!(config["grpc"]["address"].as_str(), Some("/state/containerd.sock"));
        let images = &config["plugins"]["io.containerd.cri.v1.images"];
        assert_eq!(images["pinned_images"]["sandbox"].as_str(), Some(PAUSE_IMAGE));
    }
}
