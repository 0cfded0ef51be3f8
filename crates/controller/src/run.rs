//! The controller on a real API server: everything put together, and the one loop that joins what
//! the sources tell, compiles it and hands it on.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use compiler::Namespaces;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PartialObjectMeta};
use kube::config::InferConfigError;
use kube::{Client, Config};
use routing::ObjectId;
use telemetry::ControllerMetrics;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::args::Args;
use crate::events::Recorder;
use crate::fleet::{self, Discovery, Fleet};
use crate::generate;
use crate::health::{self, Health};
use crate::issuer;
use crate::join::Join;
use crate::lease::{self, Elector, Leadership};
use crate::publish::{self, Publisher};
use crate::serve::{self, Secure};
use crate::status::Writer;
use crate::trust::{Callers, Certificates, Keeper, Keys, Set, guarded};
use crate::watch::{Backoff, Cluster, Fetches, Reach, Sources, said};

/// How long a connection to the API server may be silent: longer than a watch is without a
/// bookmark.
const READ_TIMEOUT: Duration = Duration::from_secs(45);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many reports may wait for the writer of statuses.
const REPORTS: usize = 256;
/// How long what has begun may take to end.
const LINGER: Duration = Duration::from_secs(10);

/// Why a controller does not run.
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
    /// No API server was named.
    #[error(
        "cannot tell which API server to use; set KUBECONFIG, or run in a pod with a \
         ServiceAccount: {0}"
    )]
    Config(#[from] Box<InferConfigError>),
    /// The kubeconfig names things that cannot be used.
    #[error("the kubeconfig cannot be used: {0}")]
    Client(#[source] Box<kube::Error>),
    /// The stream may not be served there.
    #[error("--listen: {0}")]
    NotLoopback(#[from] publish::NotLoopback),
    /// TLS cannot be set up at all.
    #[error("the stream's TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// Routers cannot be swept.
    #[error(transparent)]
    Fleet(#[from] fleet::NoClient),
}

/// Runs a controller until `stop`.
pub async fn run(args: Args, stop: CancellationToken) -> Result<(), Error> {
    let stream = bind("--listen", args.listen()?).await?;
    let admin = bind("--admin", args.admin).await?;
    let metrics = Arc::new(ControllerMetrics::default());
    let fleet = fleet(&args, &metrics)?;
    let certificates = Certificates::new()?;
    let health = Arc::new(ArcSwap::default());
    let routes = health::routes(health.clone(), metrics.clone());
    let admin = tokio::spawn(serve::serve(admin, routes, stop.clone()));

    let connected = tokio::select! {
        connected = connect() => connected.map(Some),
        () = stop.cancelled() => Ok(None),
    };
    let result = match connected {
        Ok(Some(cluster)) => {
            let trusted = tokio::select! {
                trusted = trust(&args, &cluster, certificates, &metrics) => Some(trusted),
                () = stop.cancelled() => None,
            };
            if let Some(trust) = trusted {
                let control = Control { args, cluster, trust, stream, fleet, health, metrics };
                Box::pin(control.run(stop.clone())).await;
            }
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    stop.cancel();
    // It ends by itself; if it was lost, nothing depends on it any more.
    let _ = admin.await;
    result
}

/// The cluster that is controlled.
struct Connected {
    client: Client,
    /// What tells it from others.
    identity: String,
}

/// Whom the stream is for, and by which keys.
struct Trust {
    keys: Keys,
    /// For a release: the stream under TLS, for its routers alone.
    release: Option<(Keeper, Secure)>,
}

/// What the stream is trusted by. For a release that is in objects of the cluster, and waits for
/// them.
async fn trust(
    args: &Args,
    cluster: &Connected,
    certificates: Certificates,
    metrics: &Arc<ControllerMetrics>,
) -> Trust {
    let (Some(release), Some(account)) = (&args.release, &args.router_service_account) else {
        return Trust { keys: Keys::open(&cluster.identity), release: None };
    };
    let set = Set::new(release.clone(), &args.cluster_domain, args.tls_secret.clone());
    let mut keeper = Keeper::new(&cluster.client, set, certificates.clone());
    let keys = keeper.ready().await;
    let callers = Callers::new(cluster.client.clone(), release, account, metrics.clone());
    let secure = Secure { config: certificates.config(), callers };
    Trust { keys, release: Some((keeper, secure)) }
}

/// The routers, where they can be found.
fn fleet(args: &Args, metrics: &Arc<ControllerMetrics>) -> Result<Option<Fleet>, fleet::NoClient> {
    if args.router_service.is_none() {
        info!("without --router-service no router is told what others see");
        return Ok(None);
    }
    Fleet::new(fleet::Settings {
        interval: args.sweep_interval,
        discovery: Discovery::Slices,
        metrics: metrics.clone(),
    })
    .map(Some)
}

/// What controls a cluster.
struct Control {
    args: Args,
    cluster: Connected,
    trust: Trust,
    stream: TcpListener,
    fleet: Option<Fleet>,
    health: Arc<ArcSwap<Health>>,
    metrics: Arc<ControllerMetrics>,
}

impl Control {
    /// Controls the cluster until `stop`.
    async fn run(self, stop: CancellationToken) {
        let Self { args, cluster, trust, stream, fleet, health, metrics } = self;
        let Trust { keys, release } = trust;
        let Connected { client, identity } = cluster;
        let name = name();
        let elector = args.release.as_ref().map(|release| {
            let (elector, leadership) = Elector::new(client.clone(), release, &name);
            (Arc::new(Mutex::new(elector)), leadership)
        });
        let (elector, leadership) = elector.unzip();
        let leadership = leadership.unwrap_or_else(Leadership::always);
        let (recorder, teller) =
            Recorder::new(client.clone(), &name, leadership.clone(), metrics.clone());
        let publisher = Publisher::new(publish::Settings {
            controller: name,
            credential_key: keys.credential_hashes,
            admin_token: keys.admin.clone(),
            heartbeat: publish::Settings::HEARTBEAT,
            metrics: metrics.clone(),
            cluster: identity.clone(),
            fleet: fleet.clone(),
        });
        let (reach, pulse) = reach(&client, elector.clone());
        let sources = Sources::start(client.clone(), args.watch_namespaces, reach.clone());
        let settings = compiler::Settings {
            exporting_namespaces: Namespaces::Named(
                args.exporting_namespaces.into_iter().collect(),
            ),
            workload_identity_namespaces: Namespaces::Named(
                args.workload_identity_namespaces.into_iter().collect(),
            ),
            cluster_domain: args.cluster_domain,
            dev: false,
            credential_version_key: keys.credential_versions,
            key_hash_key: keys.key_hashes,
        };
        let (reports, reported) = mpsc::channel(REPORTS);
        let asks = fleet.is_some();
        let (tell, issuer) = watch::channel(None);
        let asking_issuer = issuer::run(client.clone(), tell);
        let (missing, to_make) = watch::channel(Arc::default());
        let generating = generate::run(client.clone(), leadership.clone(), to_make);
        let writer = Writer::new(client.clone(), asks, leadership, recorder, metrics.clone());
        let token = keys.admin.clone();
        let (programmes, programmed) = watch::channel(Arc::default());
        let asking = {
            let (fleet, reports, stop) = (fleet.clone(), reports.clone(), stop.clone());
            async move {
                if let Some(fleet) = fleet {
                    fleet::programmed::run(fleet, token, programmed, reports, stop).await;
                }
            }
        };
        let join = Join {
            issuer,
            missing,
            programmes: fleet.is_some().then_some(programmes),
            cluster: Cluster::new(&sources.all, settings),
            sources,
            fetches: Fetches::new(client.clone()),
            faults: fleet.as_ref().map(Fleet::faults),
            spending: fleet.as_ref().map(|fleet| (fleet.clone(), fleet.spends())),
            reach,
            publisher: publisher.clone(),
            reports,
            health,
            metrics,
        };
        let (keeper, secure) = release.unzip();
        let mut routes = publish::routes(publisher.clone());
        if let Some(Secure { callers, .. }) = &secure {
            routes = guarded(routes, callers.clone());
        }
        let work = async {
            tokio::join!(
                // The writer ends after the loop, once what it has begun to write is answered.
                join.run(stop.clone()),
                asking,
                generating,
                writer.run(reported),
                teller.run(stop.clone()),
                serve::serve_with(stream, routes, secure, stop.clone()),
                sweep(fleet, args.router_service, client, stop.clone()),
                async {
                    stop.cancelled().await;
                    publisher.close();
                },
            )
        };
        let late = async {
            stop.cancelled().await;
            sleep(LINGER).await;
        };
        tokio::select! {
            _ = work => {}
            // These go on for ever.
            () = pulse => {}
            () = asking_issuer => {}
            never = keep(keeper) => match never {},
            () = late => warn!("what had begun did not end in time"),
        }
        if let Some(elector) = elector {
            elector.lock().await.release().await;
        }
    }
}

/// Whether the API server answers: by the Lease where there is one.
fn reach(client: &Client, elector: Option<Arc<Mutex<Elector>>>) -> (Reach, BoxFuture<'static, ()>) {
    match elector {
        Some(elector) => {
            let look = move || {
                let elector = elector.clone();
                async move { elector.lock().await.look().await }
            };
            let (reach, pulse) = Reach::by(lease::PERIOD, look);
            (reach, pulse.boxed())
        }
        None => {
            let (reach, pulse) = Reach::of(client.clone());
            (reach, pulse.boxed())
        }
    }
}

/// Keeps what the stream is trusted by, where that is this controller's to keep.
async fn keep(keeper: Option<Keeper>) -> Infallible {
    match keeper {
        Some(keeper) => keeper.run().await,
        None => std::future::pending().await,
    }
}

/// Follows which routers are ready and sweeps them, until `stop`.
async fn sweep(
    fleet: Option<Fleet>,
    service: Option<ObjectId>,
    client: Client,
    stop: CancellationToken,
) {
    let (Some(fleet), Some(service)) = (fleet, service) else { return };
    tokio::select! {
        () = fleet.run(stop) => {}
        never = fleet::follow(client, service, fleet.clone()) => match never {},
    }
}

/// This controller's name, unique among replicas: a pod's host name is.
fn name() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "controller".to_owned());
    format!("{host}-{}", std::process::id())
}

async fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    let failed = |source| Error::Listen { flag, address, source };
    let listener = serve::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let serves = if flag == "--listen" { "routers" } else { "admin" };
    info!(serves, address = %bound, "listening");
    Ok(listener)
}

/// Finds the API server and waits until it tells which cluster it is.
async fn connect() -> Result<Connected, Error> {
    let mut config = Config::infer().await.map_err(Box::new)?;
    // What is retried, and when, is decided where it is known what for.
    config.default_retry = false;
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    let namespace = config.default_namespace.clone();
    info!(server = %config.cluster_url, "using this API server");
    let client = Client::try_from(config).map_err(|error| Error::Client(Box::new(error)))?;
    let identity = identity(&client, &namespace).await;
    Ok(Connected { client, identity })
}

/// What tells this cluster from others: the UID of kube-system, or of the own namespace where that
/// may not be read. Asks until there is an answer.
async fn identity(client: &Client, own: &str) -> String {
    let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
    let mut backoff = Backoff::default();
    loop {
        let mut failed = None;
        for name in ["kube-system", own] {
            match timeout(PATIENCE, namespaces.get(name)).await {
                Ok(Ok(namespace)) => return namespace.metadata.uid.unwrap_or_default(),
                Ok(Err(error)) => failed = Some(error),
                Err(_elapsed) => {}
            }
        }
        let (why, delay) = match failed {
            Some(error) => (said(&error), backoff.after(&error)),
            None => ("no answer".to_owned(), backoff.next()),
        };
        warn!(
            "cannot read namespace kube-system or {own}, which tells this cluster from others, \
             again in {delay:.1?}: {why}"
        );
        sleep(delay).await;
    }
}
