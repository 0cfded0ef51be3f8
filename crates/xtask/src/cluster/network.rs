//! The cluster's addresses. It has a network of its own without a way out, so none of these is
//! anybody else's: pods and Services are where most clusters have them, the node in the range that
//! is reserved for benchmarks.

use std::fs;

use anyhow::{Context, Result};

use crate::run;

/// The node: the API server, DNS, and whatever tests serve to pods.
pub(super) const NODE: &str = "198.18.0.1";
pub(super) const PODS: &str = "10.244.0.0/24";
pub(super) const SERVICES: &str = "10.96.0.0/16";
/// The Service `kubernetes`: the first address of their range.
pub(super) const API_SERVICE: &str = "10.96.0.1";
pub(super) const DOMAIN: &str = "cluster.local";

/// Routing between pods, and Services for pods on one bridge: kube-proxy's rules see no packet that
/// a bridge forwards otherwise.
const SETTINGS: [&str; 2] = ["net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables"];

/// Gives the node its address, in the network namespace that this runs in.
pub(super) fn set_up() -> Result<()> {
    let address = format!("{NODE}/32");
    for words in [
        "link set lo up",
        "link add node0 type bridge",
        &format!("address add {address} dev node0"),
        "link set node0 up",
        // Without a route, kube-proxy and others find no address that is theirs.
        "route add default dev node0",
    ] {
        run::output(&mut run::program("ip", &words.split(' ').collect::<Vec<_>>()))?;
    }
    for name in SETTINGS {
        let file = format!("/proc/sys/{name}");
        fs::write(&file, "1").with_context(|| {
            format!(
                "{file}: the kernel's module br_netfilter may be missing (modprobe br_netfilter)"
            )
        })?;
    }
    Ok(())
}
