//! The arguments of `moniker router`: long flags only, each also an environment variable.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, ValueEnum};

/// The largest `--max-body`.
const MOST_BODY: u64 = 128 << 20;

/// Arguments of `moniker router`.
#[derive(Args, Clone, Debug)]
pub struct RouterArgs {
    /// The controller's watch stream, such as https://moniker-controller.moniker.svc:8443.
    #[arg(long, env = "MONIKER_CONTROLLER", value_name = "URL")]
    pub controller: url::Url,

    /// The file with the ServiceAccount token that this router proves itself to the controller by
    /// (audience moniker-stream.NAMESPACE.RELEASE); read again for every connection. With it,
    /// /config and /config/check of the admin port are for those who have the release's admin token.
    #[arg(long, env = "MONIKER_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// PEM file of the authorities that a controller is trusted by; read again for every connection.
    /// Default: those that the system trusts.
    #[arg(long, env = "MONIKER_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// A directory for the last known good snapshot, without credentials: a router that starts while
    /// no controller answers serves from it. It need not outlive the pod.
    #[arg(long, env = "MONIKER_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// A directory in memory (tmpfs; anything else is refused) for the credentials that go with it,
    /// so that they never reach a disk and a restarted container still has them.
    #[arg(long, env = "MONIKER_CREDENTIAL_DIR", value_name = "DIR", requires = "state_dir")]
    pub credential_dir: Option<PathBuf>,

    /// Where callers are served. [::] takes IPv4 too; it is 0.0.0.0 where there is no IPv6.
    #[arg(long, env = "MONIKER_LISTEN", value_name = "ADDR", default_value = "[::]:8080")]
    pub listen: SocketAddr,

    /// Where health, metrics and /config are served.
    #[arg(long, env = "MONIKER_ADMIN", value_name = "ADDR", default_value = "[::]:9090")]
    pub admin: SocketAddr,

    /// PEM file of the certificate chain that callers are served with; read again when it changes.
    #[arg(long, env = "MONIKER_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// PEM file of that certificate's key.
    #[arg(long, env = "MONIKER_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// A private or loopback range that targets may be in, such as 10.0.0.0/8; repeatable.
    #[arg(long, env = "MONIKER_ALLOW_CIDR", value_name = "CIDR", value_delimiter = ',')]
    pub allow_cidr: Vec<ipnet::IpNet>,

    /// Answers a host name before DNS does, as NAME=ADDR:PORT; repeatable. For the controller's name
    /// the port is that of its URL.
    #[arg(long, env = "MONIKER_RESOLVE", value_name = "NAME=ADDR:PORT", value_delimiter = ',')]
    pub resolve: Vec<Resolve>,

    /// Serves callers without a key, as callers of this namespace.
    #[arg(long, env = "MONIKER_ALLOW_ANONYMOUS", value_name = "NAMESPACE")]
    pub allow_anonymous: Option<String>,

    /// Which headers of ours a response carries: all, or x-request-id alone.
    #[arg(long, env = "MONIKER_RESPONSE_HEADERS", value_enum, default_value = "full")]
    pub response_headers: ResponseHeaders,

    /// The largest body of a request, such as 32MiB; at most 128MiB.
    #[arg(long, env = "MONIKER_MAX_BODY", value_name = "SIZE", default_value = "32MiB")]
    pub max_body: Size,

    /// How long what has begun may take to end once this router is asked to (SIGTERM), such as 10m; a
    /// stream that still runs then gets an error as its last event.
    #[arg(
        long,
        env = "MONIKER_GRACE_PERIOD",
        value_name = "DURATION",
        default_value = "10m",
        value_parser = grace_period
    )]
    pub grace_period: Duration,

    /// Joins a `moniker dev` on this machine: endpoints may be plain HTTP and on loopback, as they may
    /// there.
    #[arg(long, env = "MONIKER_DEV")]
    pub dev: bool,

    /// This router's name on the stream; the host's name when absent.
    #[arg(long, env = "MONIKER_NAME", value_name = "NAME")]
    pub name: Option<String>,
}

/// The longest `--grace-period`: a day.
const LONGEST_GRACE: Duration = Duration::from_secs(24 * 60 * 60);

fn grace_period(text: &str) -> Result<Duration, String> {
    let period = routing::duration::parse(text).map(Duration::from_millis);
    period
        .filter(|period| *period <= LONGEST_GRACE)
        .ok_or_else(|| "want a duration up to 24h, such as 10m".to_owned())
}

/// Which headers of ours a response carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ResponseHeaders {
    /// All of them.
    #[default]
    Full,
    /// `x-request-id` alone.
    Minimal,
}

/// A name that is answered before DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolve {
    /// The host's name.
    pub name: String,
    /// Where it is.
    pub addr: SocketAddr,
}

/// Why a text is no `NAME=ADDR:PORT`.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not NAME=ADDR:PORT, such as api.openai.com=127.0.0.1:8443")]
pub struct BadResolve(String);

impl FromStr for Resolve {
    type Err = BadResolve;
    fn from_str(text: &str) -> Result<Self, BadResolve> {
        let bad = || BadResolve(text.to_owned());
        let (name, addr) = text.split_once('=').ok_or_else(bad)?;
        if name.is_empty() {
            return Err(bad());
        }
        Ok(Self { name: name.to_ascii_lowercase(), addr: addr.parse().map_err(|_| bad())? })
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// Why a text is no size.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no size from 1 byte to 128MiB: write a number and KiB or MiB, such as 32MiB")]
pub struct BadSize(String);

impl FromStr for Size {
    type Err = BadSize;
    fn from_str(text: &str) -> Result<Self, BadSize> {
        let bad = || BadSize(text.to_owned());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit: u64 = match unit.trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            _ => return Err(bad()),
        };
        let bytes = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
        bytes.filter(|b| (1..=MOST_BODY).contains(b)).map(Self).ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_period_has_an_end() {
        assert_eq!(grace_period("1m30s").unwrap(), Duration::from_secs(90));
        assert_eq!(grace_period("0s").unwrap(), Duration::ZERO);
        assert!(["", "10", "25h", "-1s"].into_iter().all(|text| grace_period(text).is_err()));
    }

    #[test]
    fn sizes_and_names_are_read() {
        assert_eq!("32MiB".parse::<Size>().unwrap(), Size(32 << 20));
        assert_eq!("1024".parse::<Size>().unwrap(), Size(1024));
        for bad in ["", "MiB", "0", "129MiB", "1GB", "-1", "99999999999999999999"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
        let resolve: Resolve = "API.example=127.0.0.1:80".parse().unwrap();
        assert_eq!(resolve.name, "api.example");
        for bad in ["a", "=1.1.1.1:1", "a=b", "a=1.1.1.1"] {
            assert!(bad.parse::<Resolve>().is_err(), "{bad}");
        }
    }
}
