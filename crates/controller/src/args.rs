//! The arguments of `moniker controller`.

use std::net::SocketAddr;

use clap::Args as ClapArgs;

use crate::publish;

/// Watches a Kubernetes API server, compiles what it finds, serves it to routers and writes status.
///
/// The API server is found as every Kubernetes client finds it: `KUBECONFIG`, then
/// `~/.kube/config`, then the ServiceAccount of the pod.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// Where routers fetch their snapshots. The stream is not authenticated yet, so an address
    /// beyond loopback is refused.
    #[arg(long, env = "MONIKER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8443", value_parser = loopback)]
    pub listen: SocketAddr,

    /// Where /livez, /readyz and /metrics are served.
    #[arg(long, env = "MONIKER_ADMIN", value_name = "ADDRESS", default_value = "[::]:9090")]
    pub admin: SocketAddr,

    /// The cluster's DNS domain, for the addresses of Services.
    #[arg(
        long,
        env = "MONIKER_CLUSTER_DOMAIN",
        value_name = "DOMAIN",
        default_value = "cluster.local"
    )]
    pub cluster_domain: String,

    /// Watch these namespaces alone, separated by commas. Labels of namespaces are then not read,
    /// so an export by selector reaches nobody. Default: all namespaces.
    #[arg(
        long,
        env = "MONIKER_WATCH_NAMESPACES",
        value_name = "NAMESPACES",
        value_delimiter = ',',
        value_parser = api::common::namespace
    )]
    pub watch_namespaces: Vec<String>,

    /// The namespaces that may export aliases and targets beyond themselves, separated by commas.
    /// Default: none.
    #[arg(
        long,
        env = "MONIKER_EXPORTING_NAMESPACES",
        value_name = "NAMESPACES",
        value_delimiter = ',',
        value_parser = api::common::namespace
    )]
    pub exporting_namespaces: Vec<String>,
}

/// An address that the stream may be served at.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse().map_err(|_| "want ADDRESS:PORT, such as 127.0.0.1:8443")?;
    publish::check_address(address).map_err(|refused| refused.to_string())?;
    Ok(address)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn namespaces_are_split_at_commas() {
        let parsed = Command::try_parse_from(["x", "--watch-namespaces", "a,b-1, c"]).unwrap();
        assert_eq!(parsed.args.watch_namespaces, ["a", "b-1", "c"]);
        assert!(parsed.args.exporting_namespaces.is_empty());
    }

    #[test]
    fn the_stream_stays_on_loopback() {
        for fine in ["127.0.0.1:0", "127.9.9.9:8443", "[::1]:8443"] {
            Command::try_parse_from(["x", "--listen", fine]).unwrap();
        }
        for wrong in ["0.0.0.0:8443", "[::]:8443", "10.0.0.1:8443", "localhost"] {
            let error = Command::try_parse_from(["x", "--listen", wrong]).unwrap_err();
            assert!(error.to_string().contains("127.0.0.1:8443"), "{error}");
        }
    }

    #[test]
    fn what_is_no_namespace_is_refused() {
        for wrong in ["A", "a_b", "-a", "a-", "a,,b", "*"] {
            let parsed = Command::try_parse_from(["x", "--watch-namespaces", wrong]);
            assert!(parsed.is_err(), "{wrong}");
        }
    }
}
