//! The link to the controller: asks for the watch stream, feeds the store, hands on what took
//! effect, and begins anew whenever the stream ends. It never gives up, and losing it changes
//! nothing that is served.
//!
//! When to do what is decided by [`machine`], which is pure; this is the shell around it. It runs
//! beside the traffic, on a runtime of its own.

mod backoff;
mod dial;
mod inflate;
mod machine;
mod session;

use std::{
    convert::Infallible,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use parking_lot::Mutex;
use routing::{Nanos, fleet::FleetView};
use telemetry::Metrics;
use tokio::time::{Instant, sleep_until};
use url::Url;

use crate::{
    clock,
    store::{Applied, Store},
};
use backoff::Backoff;
pub use dial::Trust;
use dial::{Dialed, Dialer};
use machine::{Event, Machine};
pub(crate) use session::facts;
use session::{Ended, Session};

/// The store, as the link and the admin port share it.
pub type SharedStore = Arc<Mutex<Store>>;

/// Takes over what took effect. When it returns, requests are served from it.
pub type Apply = dyn Fn(&Applied) + Send + Sync;

/// What the link learns of the fleet: hints, which come beside the snapshots and wait for no COMMIT.
#[derive(Clone, Debug, PartialEq)]
pub enum FleetNews {
    /// So many routers are ready, at least 1.
    Routers(u32),
    /// What all other routers saw, and this one's shares of the limits.
    View(FleetView),
}

/// Takes news of the fleet, with the moment at which they came. It is called between two frames, so
/// it should be quick.
pub type TellFleet = dyn Fn(FleetNews, Nanos) + Send + Sync;

/// What a link is set up with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The controller's base URL.
    pub controller: Url,
    /// This router's name.
    pub router: String,
    /// Where its admin port is, for `moniker dev`, which has no cluster to ask.
    pub admin: Option<SocketAddr>,
    /// How controller and router know each other.
    pub trust: Trust,
    /// Of the jitter between attempts; another one for every router.
    pub seed: u64,
}

/// Why there can be no link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The address cannot be used.
    #[error("the controller's address {0} is no http:// or https:// URL")]
    Address(Url),
    /// A token would be sent to whoever listens.
    #[error("--token-file is sent to https:// alone, and --controller is {0}")]
    Plain(Url),
    /// The client cannot be made.
    #[error("cannot set up the client of the watch stream: {0}")]
    Client(#[source] reqwest::Error),
}

/// A link that is ready to run.
pub struct Link {
    url: Url,
    dialer: Arc<Mutex<Dialer>>,
    seed: u64,
    store: SharedStore,
    apply: Arc<Apply>,
    fleet: Arc<TellFleet>,
    metrics: Arc<Metrics>,
}

impl Link {
    /// A link that feeds `store`, and hands on what takes effect to `apply`.
    pub fn new(
        settings: Settings,
        store: SharedStore,
        apply: Arc<Apply>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, LinkError> {
        let Settings { controller, router, admin, trust, seed } = settings;
        if !matches!(controller.scheme(), "http" | "https") {
            return Err(LinkError::Address(controller));
        }
        if trust.token_file.is_some() && controller.scheme() != "https" {
            return Err(LinkError::Plain(controller));
        }
        let dialer = Arc::new(Mutex::new(Dialer::new(trust)?));
        let url = watch_url(controller, &router, admin);
        Ok(Self { url, dialer, seed, store, apply, fleet: Arc::new(|_, _| {}), metrics })
    }

    /// The same link, which tells the news of the fleet as well.
    #[must_use]
    pub fn telling(mut self, fleet: Arc<TellFleet>) -> Self {
        self.fleet = fleet;
        self
    }

    /// Runs for ever: one stream after another.
    pub async fn run(self) -> Infallible {
        let mut machine = Machine::new(Backoff::new(self.seed));
        let mut told = String::new();
        loop {
            sleep_until(instant(machine.deadline())).await;
            machine.step(clock::now(), Event::Timer);
            let ended = match self.dial().await {
                Ok(dialed) => Session::run(&self, &mut machine, dialed).await,
                Err(ended) => ended,
            };
            self.store.lock().disconnect();
            self.metrics.set_link_connected(false);
            machine.step(clock::now(), Event::Lost);
            let again = machine.deadline().since(clock::now());
            let why = ended.to_string();
            // The same failure over and over is told once.
            if why == told && !machine.was_live() {
                tracing::debug!(controller = %self.url, why, ?again, "no link to the controller");
            } else {
                tracing::warn!(controller = %self.url, why, ?again, "no link to the controller");
            }
            told = why;
        }
    }
}

impl Link {
    /// Reads whom to trust and what to prove this router by, where it may take its time.
    async fn dial(&self) -> Result<Dialed, Ended> {
        let dialer = Arc::clone(&self.dialer);
        Ok(tokio::task::spawn_blocking(move || dialer.lock().dial()).await??)
    }
}

/// Where the stream is asked for.
fn watch_url(mut controller: Url, name: &str, admin: Option<SocketAddr>) -> Url {
    let path = format!("{}{}", controller.path().trim_end_matches('/'), wire::PATH);
    controller.set_path(&path);
    let protocol = wire::PROTOCOL.to_string();
    let mut query = controller.query_pairs_mut();
    query.clear().append_pair("router", name).append_pair("protocol", &protocol);
    if let Some(admin) = admin {
        query.append_pair("admin", &reachable(admin).to_string());
    }
    drop(query);
    controller
}

/// Where a port can be reached from this machine: what listens on all addresses does so on loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// A time of the state machine as the runtime's timers know it.
fn instant(at: Nanos) -> Instant {
    Instant::now() + at.since(clock::now())
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_below_the_controllers_url() {
        let of = |url: &str| watch_url(url.parse().unwrap(), "a b", None).to_string();
        let query = "router=a+b&protocol=1";
        assert_eq!(of("http://c:8443"), format!("http://c:8443/v1/watch?{query}"));
        assert_eq!(of("http://c/under/?x=1"), format!("http://c/under/v1/watch?{query}"));
    }

    #[test]
    fn the_admin_port_is_named_as_this_machine_reaches_it() {
        for (admin, told) in [
            ("[::]:9090", "%5B%3A%3A1%5D%3A9090"),
            ("0.0.0.0:1", "127.0.0.1%3A1"),
            ("127.0.0.2:7", "127.0.0.2%3A7"),
        ] {
            let url = watch_url("http://c".parse().unwrap(), "r", Some(admin.parse().unwrap()));
            assert_eq!(url.query().unwrap(), format!("router=r&protocol=1&admin={told}"));
        }
    }
}
