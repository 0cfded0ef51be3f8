//! `moniker dev`: everything in one process on YAML files. The files are compiled as a controller
//! compiles a cluster, published on a watch stream on loopback, and served by the same router.

mod changes;
mod keys;
mod lineup;
mod show;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Args as ClapArgs;
use cli::demo::{Behaviour, Protocol};
use compiler::SecretBytes;
use controller::{
    fleet::{self, Discovery, Fleet},
    publish::{self, Publisher},
};
use lineup::{Lineup, Outcome};
use router::{
    access::Anonymous,
    args::{ResponseHeaders, Size},
    kept::Dirs,
    link::Trust,
    pipeline::Options,
    run::{Config, Running, seed},
    upstream::{Environment, UpstreamConfig},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{WrongUse, signals};

/// Where the project has the lineup that the binary carries.
const SAMPLE_PATH: &str = "deploy/samples/dev.yaml";

/// Arguments of `moniker dev`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Args {
    /// Files, or directories of files, with ProviderTargets, ModelAliases, AccessKeys and Secrets;
    /// they are read again when they change. Without one, the sample lineup that the binary carries,
    /// and the providers whose usual variables are set (OPENAI_API_KEY and the like, OLLAMA_HOST).
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Where callers are served; loopback only, since without an AccessKey they need no key.
    #[arg(long, env = "MONIKER_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Where health, metrics and /config are served; loopback only.
    #[arg(long, env = "MONIKER_ADMIN", value_name = "ADDR", default_value = "127.0.0.1:9090")]
    admin: SocketAddr,

    /// Where the watch stream is served, so that more routers join: `moniker router --controller
    /// http://ADDR --name NAME`, each with a --listen and an --admin of its own. Loopback only, since
    /// it carries credentials. Default: a free port, which nobody is told.
    #[arg(long, env = "MONIKER_STREAM", value_name = "ADDR")]
    stream: Option<SocketAddr>,

    /// The time from one sweep of the routers, this one and those that joined, to the next.
    #[arg(
        long,
        env = "MONIKER_SWEEP_INTERVAL",
        value_name = "DURATION",
        default_value = "5s",
        value_parser = controller::sweep_interval
    )]
    sweep_interval: Duration,

    /// Where the demo upstream listens, a provider that needs no key; loopback only.
    #[arg(long, env = "MONIKER_DEMO", value_name = "ADDR", default_value = "127.0.0.1:8091")]
    demo: SocketAddr,

    /// The namespace of callers, and of documents that name none.
    #[arg(
        long,
        env = "MONIKER_NAMESPACE",
        value_name = "NAMESPACE",
        default_value = "default",
        value_parser = api::common::namespace
    )]
    namespace: String,

    /// A private range that targets may be in, beside this machine itself, such as 192.168.0.0/16;
    /// repeatable.
    #[arg(long, env = "MONIKER_ALLOW_CIDR", value_name = "CIDR", value_delimiter = ',')]
    allow_cidr: Vec<ipnet::IpNet>,

    /// Which headers of ours a response carries: all, or x-request-id alone.
    #[arg(long, env = "MONIKER_RESPONSE_HEADERS", value_enum, default_value = "full")]
    response_headers: ResponseHeaders,

    /// The largest body of a request, such as 32MiB; at most 128MiB.
    #[arg(long, env = "MONIKER_MAX_BODY", value_name = "SIZE", default_value = "32MiB")]
    max_body: Size,
}

impl Args {
    fn check(&self) -> Result<(), WrongUse> {
        let flags = [
            ("--listen", Some(self.listen)),
            ("--admin", Some(self.admin)),
            ("--demo", Some(self.demo)),
            ("--stream", self.stream),
        ];
        for (flag, address) in flags.into_iter().filter_map(|(flag, at)| Some((flag, at?))) {
            if !address.ip().is_loopback() {
                return Err(WrongUse(format!(
                    "{flag} {address} is not loopback: `moniker dev` serves callers without a key where \
                     there is no AccessKey, so it stays on this machine"
                )));
            }
        }
        // What is missing at the start is a slip of the pen; later it may be an edit under way.
        match self.paths.iter().find(|path| !path.exists()) {
            Some(path) => Err(WrongUse(format!(
                "{}: there is no such file or directory; give files with ProviderTargets and \
                 ModelAliases, or none to serve the sample",
                path.display()
            ))),
            None => Ok(()),
        }
    }
}

/// A secret key of this process, from the system's randomness.
fn key() -> SecretBytes {
    SecretBytes::new([Uuid::new_v4(), Uuid::new_v4()].map(Uuid::into_bytes).concat())
}

/// Serves until the process is asked to end.
pub(crate) async fn run(mut args: Args) -> anyhow::Result<()> {
    args.check()?;
    let stop = signals::stop()?;
    // Before the first load, so that an edit made meanwhile is not missed.
    let mut changes = changes::watch(&args.paths)?;
    demo(&args).await;
    let (publisher, stream) = stream(&args, &stop).await?;
    let sample = if args.paths.is_empty() {
        let sample = keys::sample(&keys::environment).await;
        sample.told.iter().for_each(|line| show::line(line));
        args.allow_cidr.extend(&sample.allowed);
        sample.text
    } else {
        String::new()
    };
    let mut lineup = Lineup::new(args.paths.clone(), sample, args.namespace.clone());
    let outcome = lineup.load();
    // Of a first load that is bad nothing is published, which is an empty lineup.
    publisher.publish(lineup.publication());
    let mut running = start(&args, stream.clone(), &stop).await?;
    running.applied(|applied| lineup.is(applied)).await;
    show::loaded(&lineup, &outcome, true, &args.namespace);
    if args.stream.is_some() {
        show::stream(&args, &stream);
    }
    show::address(&args.namespace, &running, &lineup);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = changes.next() => {}
        }
        let outcome = lineup.load();
        if matches!(outcome, Outcome::Same) {
            continue;
        }
        // What is bad is not published, so the last good lineup goes on.
        if matches!(outcome, Outcome::Good(_)) {
            publisher.publish(lineup.publication());
            running.applied(|applied| lineup.is(applied)).await;
        }
        show::loaded(&lineup, &outcome, false, &args.namespace);
    }
    running.wait().await;
    Ok(())
}

/// Starts the demo upstream, unless its port is taken.
async fn demo(args: &Args) {
    match TcpListener::bind(args.demo).await {
        Ok(listener) => {
            let address = listener.local_addr().unwrap_or(args.demo);
            let behaviour = Behaviour { protocol: Protocol::All, ..Behaviour::default() };
            tokio::spawn(async move {
                if let Err(error) = cli::demo::serve(listener, behaviour, seed()).await {
                    tracing::error!(%error, "the demo upstream is gone");
                }
            });
            show::line(&format!("Demo upstream: http://{address}/v1"));
        }
        Err(error) => {
            let why = format!("{} (--demo) cannot be had: {error}", args.demo);
            show::line(&format!("No demo upstream: {why}"));
        }
    }
}

/// Serves the watch stream on loopback, and sweeps the routers that follow it.
async fn stream(args: &Args, stop: &CancellationToken) -> anyhow::Result<(Publisher, url::Url)> {
    let address = args.stream.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot serve the watch stream on {address} (--stream)"))?;
    let url = format!("http://{}", listener.local_addr()?).parse()?;
    let metrics = Arc::default();
    let fleet = Fleet::new(fleet::Settings {
        interval: args.sweep_interval,
        discovery: Discovery::Streams,
        metrics: Arc::clone(&metrics),
    })?;
    let publisher = Publisher::new(publish::Settings {
        controller: "dev".to_owned(),
        cluster: format!("dev-{}", Uuid::new_v4()),
        heartbeat: publish::Settings::HEARTBEAT,
        credential_key: key(),
        admin_token: None,
        metrics,
        fleet: Some(fleet.clone()),
    });
    tokio::spawn(publish::serve(listener, publisher.clone(), stop.clone()));
    let ending = stop.clone();
    tokio::spawn(async move { fleet.run(ending).await });
    Ok((publisher, url))
}

async fn start(
    args: &Args,
    controller: url::Url,
    stop: &CancellationToken,
) -> anyhow::Result<Running> {
    let config = Config {
        controller,
        name: "dev".to_owned(),
        listen: args.listen,
        admin: args.admin,
        tls: None,
        options: Options {
            anonymous: Anonymous::WithoutKeys(args.namespace.as_str().into()),
            minimal_headers: args.response_headers == ResponseHeaders::Minimal,
            max_body: args.max_body.0,
            ..Options::default()
        },
        trust: Trust::default(),
        kept: Dirs::default(),
        upstream: UpstreamConfig {
            dev: true,
            allow_cidrs: args.allow_cidr.clone(),
            environment: Environment::of_process(),
            ..UpstreamConfig::default()
        },
        grace: Config::GRACE,
    };
    Ok(router::run::start(config, stop).await?)
}
