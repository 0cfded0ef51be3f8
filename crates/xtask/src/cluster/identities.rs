//! Who the node's processes are to each other: one authority, a certificate for each, and a
//! kubeconfig for each client, with the names that Kubernetes' own roles are bound to.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::network;
use super::pki::{Authority, Holder, token_keys};
use crate::assets;

/// The user that CoreDNS is; its role is ours to give.
pub(super) const DNS_USER: &str = "system:coredns";

/// Clients of the API server: the file, the user and the group.
const CLIENTS: [(&str, &str, Option<&str>); 6] = [
    ("admin", "admin", Some("system:masters")),
    ("apiserver-kubelet-client", "kube-apiserver-kubelet-client", Some("system:masters")),
    ("controller-manager", "system:kube-controller-manager", None),
    ("scheduler", "system:kube-scheduler", None),
    ("proxy", "system:kube-proxy", None),
    ("coredns", DNS_USER, None),
];

/// Writes all of them into the directory.
pub(super) fn write(directory: &Path) -> Result<()> {
    let authority = Authority::new(directory)?;
    token_keys(directory, "tokens")?;
    let internal = format!("kubernetes.default.svc.{}", network::DOMAIN);
    let serves = [
        "127.0.0.1",
        network::NODE,
        network::API_SERVICE,
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        &internal,
    ];
    let server = Holder { file: "apiserver", name: "kube-apiserver", group: None, serves: &serves };
    authority.sign(directory, server)?;
    for (file, name, group) in CLIENTS {
        client(&authority, directory, Holder { file, name, group, serves: &[] })?;
    }
    let (name, group) = ("system:node:node", Some("system:nodes"));
    let serves = &["node", network::NODE];
    client(&authority, directory, Holder { file: "kubelet", name, group, serves })
}

/// A certificate, and the kubeconfig that uses it.
fn client(authority: &Authority, directory: &Path, holder: Holder<'_>) -> Result<()> {
    let pair = authority.sign(directory, holder)?;
    // JSON is YAML.
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "moniker", "cluster": {
            "server": format!("https://{}:6443", network::NODE),
            "certificate-authority": authority.certificate(),
        }}],
        "users": [{"name": holder.name, "user": {
            "client-certificate": pair.certificate, "client-key": pair.key,
        }}],
        "contexts": [{"name": "moniker", "context": {"cluster": "moniker", "user": holder.name}}],
        "current-context": "moniker",
    });
    let file = match holder.file {
        "admin" => assets::CLUSTER_KUBECONFIG.to_owned(),
        other => format!("{other}.kubeconfig"),
    };
    Ok(fs::write(directory.join(file), config.to_string())?)
}
