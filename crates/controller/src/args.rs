//! The arguments of `moniker controller`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args as ClapArgs;
use routing::ObjectId;

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

    /// The Service whose ready endpoints are the routers: each is asked for what it saw, and told
    /// what all others saw and its shares of the limits. Their admin port is the Service's port
    /// named `admin`, else 9090. Without it nobody is asked or told.
    #[arg(long, env = "MONIKER_ROUTER_SERVICE", value_name = "NAMESPACE/NAME")]
    pub router_service: Option<ObjectId>,

    /// The time from one sweep of the routers to the next.
    #[arg(
        long,
        env = "MONIKER_SWEEP_INTERVAL",
        value_name = "DURATION",
        default_value = "5s",
        value_parser = sweep_interval
    )]
    pub sweep_interval: Duration,
}

/// How often routers may be swept: what they told fades within a minute or so.
const SWEEP_INTERVALS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(60)];

/// Parses the time from one sweep to the next.
pub fn sweep_interval(text: &str) -> Result<Duration, String> {
    let interval = api::duration::parse(text).map(Duration::from_millis);
    interval
        .filter(|interval| (SWEEP_INTERVALS[0]..=SWEEP_INTERVALS[1]).contains(interval))
        .ok_or_else(|| "want a duration from 100ms to 1m, such as 5s".to_owned())
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
    fn routers_are_swept_within_reason() {
        let args = |more: &[&str]| Command::try_parse_from([&["x"][..], more].concat());
        let parsed = args(&[]).unwrap().args;
        assert_eq!((parsed.sweep_interval, parsed.router_service), (Duration::from_secs(5), None));
        let parsed = args(&["--sweep-interval", "500ms", "--router-service", "m/routers"]);
        let parsed = parsed.unwrap().args;
        assert_eq!(parsed.sweep_interval, Duration::from_millis(500));
        assert_eq!(parsed.router_service, Some(ObjectId::new("m", "routers")));
        for wrong in ["0s", "99ms", "2m", "5", "fast"] {
            let error = args(&["--sweep-interval", wrong]).unwrap_err();
            assert!(error.to_string().contains("100ms to 1m"), "{error}");
        }
        assert!(args(&["--router-service", "routers"]).is_err());
    }

    #[test]
    fn what_is_no_namespace_is_refused() {
        for wrong in ["A", "a_b", "-a", "a-", "a,,b", "*"] {
            let parsed = Command::try_parse_from(["x", "--watch-namespaces", wrong]);
            assert!(parsed.is_err(), "{wrong}");
        }
    }
}
