//! The programs of a node that the test control plane does not have.

use crate::assets::Asset;

/// Makes pods of Deployments, EndpointSlices of Services, and so on.
pub(crate) const CONTROLLER_MANAGER: Asset = of("current", "kube-controller-manager");
/// Finds nodes for pods.
pub(crate) const SCHEDULER: Asset = of("current", "kube-scheduler");
/// Runs pods.
pub(crate) const KUBELET: Asset = of("current", "kubelet");
/// Makes the addresses of Services lead to pods.
pub(crate) const PROXY: Asset = of("current", "kube-proxy");
/// Runs containers.
pub(crate) const CONTAINERD: Asset = of("containerd", "containerd");
/// Stays with each container; containerd looks for it by this very name.
pub(crate) const SHIM: Asset = of("containerd", "containerd-shim-runc-v2");
/// Containerd's command line, for loading images.
pub(crate) const CTR: Asset = of("containerd", "ctr");
/// Holds the network namespace of each pod.
pub(crate) const PAUSE: Asset = of("containerd", "pause");
/// The cluster's DNS.
pub(crate) const DNS: Asset = of("dns", "coredns");

const fn of(module: &'static str, name: &'static str) -> Asset {
    Asset { module, name, given_name: name }
}
