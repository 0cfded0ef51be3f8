//! The arguments of `moniker controller`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
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
    /// Where routers fetch their snapshots. Default: [::]:8443 with --release, which also takes IPv4
    /// (0.0.0.0 where there is no IPv6); without it the stream is neither encrypted nor
    /// authenticated, so that it is 127.0.0.1:8443 and an address beyond loopback is refused.
    #[arg(long, env = "MONIKER_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,

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

    /// The namespaces whose ProviderTargets may use the routers' own identity at a cloud
    /// (`auth.type: WorkloadIdentity`), separated by commas: who may write ProviderTargets there can
    /// spend what that identity may. Default: none.
    #[arg(
        long,
        env = "MONIKER_WORKLOAD_IDENTITY_NAMESPACES",
        value_name = "NAMESPACES",
        value_delimiter = ',',
        value_parser = api::common::namespace
    )]
    pub workload_identity_namespaces: Vec<String>,

    /// The Service whose ready endpoints are the routers: each is asked for what it saw, and told
    /// what all others saw and its shares of the limits. Their admin port is the Service's port
    /// named `admin`, else 9090. Without it nobody is asked or told.
    #[arg(long, env = "MONIKER_ROUTER_SERVICE", value_name = "NAMESPACE/NAME")]
    pub router_service: Option<ObjectId>,

    /// The release that this controller is of, as the prefix of its objects: it fills the Secrets
    /// NAME-ca and NAME-keys and the ConfigMap NAME-ca (ca.crt: whom routers trust), serves the
    /// stream under TLS as NAME-controller.NAMESPACE.svc, and writes status while it holds the Lease
    /// NAME-controller.
    #[arg(
        long,
        env = "MONIKER_RELEASE",
        value_name = "NAMESPACE/NAME",
        requires = "router_service_account"
    )]
    pub release: Option<ObjectId>,

    /// The ServiceAccount in the release's namespace that routers run as. They may follow the stream
    /// with its token of the audience moniker-stream.NAMESPACE.NAME, and nobody else may.
    #[arg(
        long,
        env = "MONIKER_ROUTER_SERVICE_ACCOUNT",
        value_name = "NAME",
        requires = "release",
        value_parser = service_account
    )]
    pub router_service_account: Option<String>,

    /// A Secret of the release's namespace (tls.crt, tls.key, ca.crt), such as cert-manager keeps,
    /// to serve the stream with instead of an authority of the controller's own.
    #[arg(long, env = "MONIKER_TLS_SECRET", value_name = "NAME", requires = "release")]
    pub tls_secret: Option<String>,

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

/// Where the stream is served, unless said otherwise.
const PORT: u16 = 8443;
/// How often routers may be swept: what they told fades within a minute or so.
const SWEEP_INTERVALS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(60)];

/// Parses the time from one sweep to the next.
pub fn sweep_interval(text: &str) -> Result<Duration, String> {
    let interval = api::duration::parse(text).map(Duration::from_millis);
    interval
        .filter(|interval| (SWEEP_INTERVALS[0]..=SWEEP_INTERVALS[1]).contains(interval))
        .ok_or_else(|| "want a duration from 100ms to 1m, such as 5s".to_owned())
}

impl Args {
    /// Where the stream is served.
    pub(crate) fn listen(&self) -> Result<SocketAddr, publish::NotLoopback> {
        let default = || match self.release {
            Some(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)),
            None => SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
        };
        let address = self.listen.unwrap_or_else(default);
        if self.release.is_none() {
            publish::check_address(address)?;
        }
        Ok(address)
    }
}

/// The name of a ServiceAccount: one that cannot be mistaken for more than a name.
fn service_account(text: &str) -> Result<String, String> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if text.is_empty() || text.len() > 253 || !text.chars().all(fine) {
        return Err("want the name of a ServiceAccount, such as moniker-router".to_owned());
    }
    Ok(text.to_owned())
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
        assert!(parsed.args.workload_identity_namespaces.is_empty());
    }

    #[test]
    fn the_stream_stays_on_loopback_unless_it_is_a_releases() {
        let listen = |more: &[&str]| {
            Command::try_parse_from([&["x"][..], more].concat()).unwrap().args.listen()
        };
        assert_eq!(listen(&[]).unwrap(), "127.0.0.1:8443".parse().unwrap());
        for fine in ["127.0.0.1:0", "127.9.9.9:8443", "[::1]:8443"] {
            listen(&["--listen", fine]).unwrap();
        }
        let release = ["--release", "moniker/m", "--router-service-account", "m-router"];
        for wrong in ["0.0.0.0:8443", "[::]:8443", "10.0.0.1:8443"] {
            let error = listen(&["--listen", wrong]).unwrap_err();
            assert!(error.to_string().contains("--release"), "{error}");
            let of_release = [&release[..], &["--listen", wrong]].concat();
            assert_eq!(listen(&of_release).unwrap(), wrong.parse().unwrap());
        }
        assert_eq!(listen(&release).unwrap(), "[::]:8443".parse().unwrap());
    }

    #[test]
    fn a_release_needs_to_know_its_routers() {
        for wrong in [
            &["--release", "moniker/m"][..],
            &["--router-service-account", "m-router"],
            &["--tls-secret", "m-tls"],
            &["--release", "m", "--router-service-account", "m-router"],
            &["--release", "moniker/m", "--router-service-account", "a:b"],
        ] {
            let parsed = Command::try_parse_from([&["x"][..], wrong].concat());
            assert!(parsed.is_err(), "{wrong:?}");
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
