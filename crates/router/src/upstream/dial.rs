//! Making a connection: the endpoint's URL is taken apart once, then each connection resolves the
//! name, judges the addresses, tries those that are left and speaks TLS.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use http::HeaderValue;
use routing::snapshot::CompiledEndpoint;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::{
    UpstreamConfig,
    error::{SendError, Stage, chain},
    guard::Guard,
    io::Transport,
    resolve::resolve,
    tls,
};

/// How long an address is tried alone before the next one is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);
/// The most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 16;

/// Makes the connections to one endpoint.
pub(super) struct Dialer {
    /// `host:port`, for messages.
    authority: String,
    host_header: Option<HeaderValue>,
    /// Or why no connection can be made.
    plan: Result<Plan, Unusable>,
    config: Arc<UpstreamConfig>,
}

struct Plan {
    host: Host,
    port: u16,
    guard: Guard,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

struct Unusable {
    stage: Stage,
    message: String,
}

/// Whether what is sent to this host never leaves the machine, so that nobody on the way could read
/// it: a router that joined a `moniker dev` is told such endpoints. The guard decides by itself
/// whether they may be connected to.
fn stays_here(host: &Host) -> bool {
    match host {
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
        Host::Domain(name) => name == "localhost",
    }
}

impl Dialer {
    /// Takes an endpoint apart, and the addresses that are reserved for it. `roots` are the public
    /// authorities.
    pub(super) fn new(
        (endpoint, reserved): (&CompiledEndpoint, &'static [IpAddr]),
        config: Arc<UpstreamConfig>,
        roots: impl FnOnce() -> Arc<RootCertStore>,
    ) -> Self {
        let url = match Url::parse(&endpoint.url) {
            Ok(url) => url,
            Err(error) => {
                let message = format!("the endpoint's URL {:?} is none: {error}", endpoint.url);
                return Self {
                    authority: endpoint.url.clone(),
                    host_header: None,
                    plan: Err(Unusable { stage: Stage::Forbidden, message }),
                    config,
                };
            }
        };
        let host = url.host_str().unwrap_or_default();
        let authority = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
        let host_header = match url.port() {
            Some(_) => HeaderValue::from_str(&authority),
            None => HeaderValue::from_str(host),
        };
        let plan = Plan::new((endpoint, reserved), &url, &config, roots);
        Self { authority, host_header: host_header.ok(), plan, config }
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    pub(super) fn host_header(&self) -> Option<&HeaderValue> {
        self.host_header.as_ref()
    }

    /// A new connection.
    pub(super) async fn dial(&self) -> Result<Transport, SendError> {
        let plan = match &self.plan {
            Ok(plan) => plan,
            Err(Unusable { stage, message }) => return Err(SendError::connect(*stage, message)),
        };
        let addresses = self.addresses(plan).await?;
        let tcp = self.tcp(addresses).await?;
        // Fails only on a socket that is gone, which the next write tells.
        let _ = tcp.set_nodelay(true);
        let Some((tls, name)) = &plan.tls else { return Ok(Transport::Plain(tcp)) };
        match tls.connect(name.clone(), tcp).await {
            Ok(stream) => Ok(Transport::Tls(Box::new(stream))),
            Err(error) => {
                let message = format!("TLS with {} failed: {}", self.authority, chain(&error));
                Err(SendError::connect(Stage::Tls, message))
            }
        }
    }

    /// The addresses that may be connected to.
    async fn addresses(&self, plan: &Plan) -> Result<Vec<SocketAddr>, SendError> {
        let found = match &plan.host {
            Host::Ipv4(ip) => vec![SocketAddr::from((*ip, plan.port))],
            Host::Ipv6(ip) => vec![SocketAddr::from((*ip, plan.port))],
            Host::Domain(name) => {
                resolve(name, plan.port, &self.config.resolve).await.map_err(|error| {
                    let message = format!("the name {name} was not resolved: {error}");
                    SendError::connect(Stage::Dns, message)
                })?
            }
        };
        let mut refusal = None;
        let mut addresses = Vec::new();
        for address in found {
            match plan.guard.refusal(address.ip()) {
                None => addresses.push(address),
                Some(why) => refusal = Some(why),
            }
        }
        addresses.truncate(MAX_ADDRESSES);
        match refusal {
            _ if !addresses.is_empty() => Ok(addresses),
            Some(why) => {
                let message = format!("{} may not be connected to: {why}", self.authority);
                Err(SendError::connect(Stage::Forbidden, message))
            }
            None => {
                let message = format!("the name of {} has no address", self.authority);
                Err(SendError::connect(Stage::Dns, message))
            }
        }
    }

    /// Tries addresses in order, each beside those before it once they had some time or failed.
    async fn tcp(&self, addresses: Vec<SocketAddr>) -> Result<TcpStream, SendError> {
        let mut waiting = addresses.into_iter();
        let mut tried = FuturesUnordered::new();
        let mut last = None;
        let try_one = |address: SocketAddr| async move {
            TcpStream::connect(address).await.map_err(|error| (address, error))
        };
        tried.extend(waiting.next().map(try_one));
        loop {
            let ended = tokio::select! {
                ended = tried.next() => ended,
                () = tokio::time::sleep(STAGGER), if waiting.len() > 0 => {
                    tried.extend(waiting.next().map(try_one));
                    continue;
                }
            };
            match ended {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(failed)) => {
                    last = Some(failed);
                    tried.extend(waiting.next().map(try_one));
                }
                None => return Err(self.unconnected(last)),
            }
        }
    }

    fn unconnected(&self, last: Option<(SocketAddr, io::Error)>) -> SendError {
        let Some((address, error)) = last else {
            return SendError::connect(Stage::Dns, format!("{} has no address", self.authority));
        };
        let stage = match error.kind() {
            io::ErrorKind::ConnectionRefused => Stage::Refused,
            io::ErrorKind::TimedOut => Stage::Timeout,
            _ => Stage::Tcp,
        };
        let message = format!("no connection to {} ({address}): {error}", self.authority);
        SendError::connect(stage, message)
    }
}

impl Plan {
    fn new(
        (endpoint, reserved): (&CompiledEndpoint, &'static [IpAddr]),
        url: &Url,
        config: &UpstreamConfig,
        roots: impl FnOnce() -> Arc<RootCertStore>,
    ) -> Result<Self, Unusable> {
        let forbidden = |message: String| Unusable { stage: Stage::Forbidden, message };
        let host = match url.host() {
            Some(host) => host.to_owned(),
            None => return Err(forbidden(format!("the endpoint's URL {url} has no host"))),
        };
        if !url.username().is_empty() || url.password().is_some() {
            let message = "the endpoint's URL names a user: put credentials in a Secret".to_owned();
            return Err(forbidden(message));
        }
        let secure = match url.scheme() {
            "https" => true,
            "http" if endpoint.service || config.dev || stays_here(&host) => false,
            // What is reserved is on this machine, and asked in no other way.
            "http" if !reserved.is_empty() => false,
            "http" => {
                return Err(forbidden(format!(
                    "the endpoint {url} is plain HTTP, which only a Service of the cluster, or this \
                     machine itself, may be"
                )));
            }
            other => {
                return Err(forbidden(format!("the endpoint's scheme is {other}: want https")));
            }
        };
        let guard = Guard {
            allowed: config.allow_cidrs.clone(),
            service: endpoint.service,
            dev: config.dev,
            reserved: if secure { &[] } else { reserved },
        };
        let port = url.port_or_known_default().unwrap_or(443);
        let tls = secure.then(|| Self::tls(endpoint, &host, roots)).transpose();
        let tls = tls.map_err(|message| Unusable { stage: Stage::Tls, message })?;
        Ok(Self { host, port, guard, tls })
    }

    fn tls(
        endpoint: &CompiledEndpoint,
        host: &Host,
        roots: impl FnOnce() -> Arc<RootCertStore>,
    ) -> Result<(TlsConnector, ServerName<'static>), String> {
        let roots = match &endpoint.ca_bundle {
            Some(pem) => tls::bundle_roots(pem)?,
            None => roots(),
        };
        let config: Arc<ClientConfig> = tls::client(roots)?;
        let name = match (&endpoint.server_name, host) {
            (None, Host::Ipv4(ip)) => ServerName::from(std::net::IpAddr::V4(*ip)),
            (None, Host::Ipv6(ip)) => ServerName::from(std::net::IpAddr::V6(*ip)),
            (Some(name), _) | (None, Host::Domain(name)) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                ServerName::try_from(name.to_owned())
                    .map_err(|error| format!("{name:?} is no server's name: {error}"))?
            }
        };
        Ok((TlsConnector::from(config), name))
    }
}
