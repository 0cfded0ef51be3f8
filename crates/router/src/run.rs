//! A router put together: two runtimes, one for traffic, one for everything else (the link, the
//! assembly of snapshots, the admin port), so that neither a scrape nor a large snapshot adds to a
//! request.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use telemetry::Metrics;
use tokio::{net::TcpListener, runtime, sync::watch};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    access::Anonymous,
    admin::{self, Admin},
    args::{ResponseHeaders, RouterArgs},
    kept::{self, Keeper},
    link::{self, Link, LinkError, Trust},
    pipeline::{Options, Traffic},
    probe, server,
    store::{Applied, Store},
    tls::{ServerTls, TlsError},
    upstream::{Environment, Pools, UpstreamConfig},
};

/// How long the last events of streams that are ended have to reach their callers.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A router's set-up.
#[derive(Debug)]
pub struct Config {
    /// The controller's base URL.
    pub controller: Url,
    /// This router's name on the stream.
    pub name: String,
    /// Where callers are served.
    pub listen: SocketAddr,
    /// Where health, metrics and `/config` are served.
    pub admin: SocketAddr,
    /// What callers are served under, if TLS.
    pub tls: Option<Arc<ServerTls>>,
    /// How the data path behaves.
    pub options: Options,
    /// How controller and router know each other.
    pub trust: Trust,
    /// Where the last known good is kept.
    pub kept: kept::Dirs,
    /// What may be connected to.
    pub upstream: UpstreamConfig,
    /// How long what has begun may take to end when the router is asked to.
    pub grace: Duration,
}

impl Config {
    /// [`Config::grace`], unless said otherwise.
    pub const GRACE: Duration = Duration::from_mins(10);
}

/// Why a router does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port cannot be had.
    #[error("cannot listen on {address} ({flag}): {source}")]
    Listen {
        /// Which flag says it.
        flag: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The controller cannot be asked.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Credentials cannot be kept there.
    #[error(transparent)]
    Kept(#[from] kept::Refused),
    /// What is for this machine alone, asked for elsewhere.
    #[error(
        "--dev is for routers that join a `moniker dev`, which is on this machine: {0} (--controller) \
         is not"
    )]
    NotDev(url::Url),
    /// Threads cannot be had.
    #[error("cannot start: {0}")]
    Runtime(#[from] io::Error),
}

impl Config {
    /// What the arguments say.
    pub fn from_args(args: RouterArgs) -> Result<Self, Error> {
        let tls = match (&args.tls_cert, &args.tls_key) {
            (Some(cert), Some(key)) => Some(Arc::new(ServerTls::from_files(cert, key)?)),
            _ => None,
        };
        let here = |url: &url::Url| match url.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if args.dev && !here(&args.controller) {
            return Err(Error::NotDev(args.controller));
        }
        let resolve: Vec<_> = args.resolve.into_iter().map(|r| (r.name, r.addr)).collect();
        let trust =
            Trust { token_file: args.token_file, ca_file: args.ca_file, resolve: resolve.clone() };
        Ok(Self {
            controller: args.controller,
            name: args.name.unwrap_or_else(host_name),
            listen: args.listen,
            admin: args.admin,
            tls,
            options: Options {
                anonymous: match args.allow_anonymous {
                    Some(namespace) => Anonymous::Of(namespace.into()),
                    None => Anonymous::Refused,
                },
                minimal_headers: args.response_headers == ResponseHeaders::Minimal,
                max_body: args.max_body.0,
                ..Options::default()
            },
            trust,
            kept: kept::Dirs { state: args.state_dir, credentials: args.credential_dir },
            upstream: UpstreamConfig {
                allow_cidrs: args.allow_cidr,
                resolve,
                dev: args.dev,
                environment: Environment::of_process(),
            },
            grace: args.grace_period,
        })
    }
}

/// The host's name, as the kernel knows it.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "router".to_owned())
}

/// A router whose ports are open.
#[derive(Debug)]
pub struct Running {
    /// Where callers are served.
    pub listen: SocketAddr,
    /// Where the admin port is.
    pub admin: SocketAddr,
    traffic: runtime::Runtime,
    served: tokio::task::JoinHandle<()>,
    applied: watch::Receiver<Option<Applied>>,
    stop: CancellationToken,
    /// Ends the streams that have begun.
    drained: CancellationToken,
    grace: Duration,
}

impl Running {
    /// Waits until requests are served from what `is` it.
    pub async fn applied(&mut self, is: impl Fn(&Applied) -> bool) {
        // An error means that the router is ending.
        let _ = self.applied.wait_for(|applied| applied.as_ref().is_some_and(&is)).await;
    }

    /// Waits until `stop` was given and what has begun has ended; what has not after the grace period
    /// is ended with an error, as far as a stream can be told.
    pub async fn wait(self) {
        // An error would be a panic of the server, which was logged.
        let mut served = self.served;
        tokio::select! {
            _ = &mut served => {}
            () = async {
                self.stop.cancelled().await;
                tokio::time::sleep(self.grace).await;
                self.drained.cancel();
                tokio::time::sleep(LAST_WORDS).await;
            } => {}
        }
        // A runtime may not be dropped where it would have to wait.
        self.traffic.shutdown_background();
    }
}

/// Opens the ports and starts a router; the link and the admin port run on the runtime that this is
/// called on, traffic on one of its own.
pub async fn start(config: Config, stop: &CancellationToken) -> Result<Running, Error> {
    let metrics = Arc::new(Metrics::new());
    let traffic = Traffic::new(config.options, Arc::clone(&metrics));
    let (drained, grace) = (traffic.drained().clone(), config.grace);
    let store = Arc::new(Mutex::new(Store::default()));

    let keeper = Keeper::new(config.kept, Arc::clone(&store), Arc::clone(&metrics))?;

    let listener = bind("--listen", config.listen).await?;
    let listen = listener.local_addr()?;
    let admin_listener = bind("--admin", config.admin).await?;
    let admin = admin_listener.local_addr()?;

    if let Some(tls) = &config.tls {
        tokio::spawn(Arc::clone(tls).watch());
    }
    let draining = Arc::new(AtomicBool::new(false));
    let shown = Arc::clone(&traffic);
    let routes = admin::routes(Admin {
        store: Arc::clone(&store),
        metrics: Arc::clone(&metrics),
        unusable: Arc::new(move || shown.live().unusable_aliases()),
        draining: Arc::clone(&draining),
        guarded: config.trust.token_file.is_some(),
    });
    tokio::spawn(async move {
        // Until the process ends: what drains is watched to the end.
        if let Err(error) = axum::serve(admin_listener, routes).await {
            tracing::error!(%error, "the admin port is gone");
        }
    });

    let pools = Pools::new(config.upstream);
    if let Some(beginning) = keeper.read() {
        let age = beginning.age;
        let mut store = store.lock();
        let applied = store.restore(beginning);
        traffic.apply(&applied, &pools);
        let facts = link::facts(&store);
        tracing::info!(
            revision = facts.revision,
            aliases = facts.aliases,
            targets = facts.targets,
            credentials = applied.credentials.len(),
            ?age,
            "serving the last known good snapshot"
        );
        metrics.snapshot_restored(facts, age);
    }
    let keep = keeper.notify();
    let applying = Arc::clone(&traffic);
    let (said, applied) = watch::channel(None);
    let apply = move |applied: &Applied| {
        applying.apply(applied, &pools);
        said.send_replace(Some(applied.clone()));
        keep();
    };
    let settings = link::Settings {
        controller: config.controller,
        router: config.name,
        admin: Some(admin),
        trust: config.trust,
        seed: seed(),
    };
    let told = Arc::clone(&traffic);
    let link = Link::new(settings, store, Arc::new(apply), metrics)?
        .telling(Arc::new(move |news, arrived| told.fleet(news, arrived)));
    let probing = probe::run(Arc::clone(&traffic), seed());
    let ending = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            never = link.run() => match never {},
            never = keeper.run() => match never {},
            never = probing => match never {},
            () = ending.cancelled() => draining.store(true, Ordering::Relaxed),
        }
    });

    // From std and back: a listener belongs to the runtime that polls it.
    let listener = listener.into_std()?;
    // Made last: a runtime must not be dropped where it would wait, as on an error above.
    let traffic_runtime =
        runtime::Builder::new_multi_thread().thread_name("traffic").enable_all().build()?;
    let stopping = stop.clone();
    let served = traffic_runtime.spawn(async move {
        match TcpListener::from_std(listener) {
            Ok(listener) => server::serve(listener, config.tls, traffic, stopping).await,
            Err(error) => tracing::error!(%error, "callers cannot be served"),
        }
    });
    let (traffic, stop) = (traffic_runtime, stop.clone());
    Ok(Running { listen, admin, traffic, served, applied, stop, drained, grace })
}

async fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    server::bind(address).await.map_err(|source| Error::Listen { flag, address, source })
}

/// A seed that no other process has. Not for secrets.
pub fn seed() -> u64 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id())
}
