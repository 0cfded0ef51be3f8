//! A publisher that serves on loopback, routers that follow it, and a reader of the bare stream.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Once},
    time::Duration,
};

use compiler::{CredentialState, SecretBytes};
use controller::{
    fleet::{self, Discovery, Fleet},
    publish::{self, Publication, Publisher},
};
use parking_lot::Mutex;
use router::{
    admin::{self, Admin},
    link::{FleetNews, Link, Settings, SharedStore, Trust},
    store::{Applied, Store},
};
use routing::{
    AuthKind, Capability, Digest, ObjectId, ProviderKind, RoutingSnapshot,
    fleet::{FleetView, Report},
    snapshot::{
        CompiledAlias, CompiledAuth, CompiledEndpoint, CompiledFallback, CompiledLineup,
        CompiledModel, CompiledOptions, CompiledTarget, CompiledTimeouts, Exported, Resource,
        Visibility,
    },
};
use serde::Serialize;
use telemetry::{ControllerMetrics, Metrics};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use wire::{Decoder, Frame, Held, Key, Kind};

pub(crate) fn id(name: &str) -> ObjectId {
    ObjectId::new("shop", name)
}

/// What the controller knows, to be changed and published.
#[derive(Clone, Default)]
pub(crate) struct World {
    pub(crate) aliases: BTreeMap<String, Resource<CompiledAlias>>,
    pub(crate) targets: BTreeMap<String, Resource<CompiledTarget>>,
    pub(crate) credentials: BTreeMap<ObjectId, CredentialState>,
    pub(crate) deleted: BTreeMap<Key, u64>,
    /// As of when what is not there is absent; `None`: it is unknown.
    pub(crate) known: Option<u64>,
}

fn value<T: Serialize>(version: u64, value: T) -> Resource<T> {
    let digest = Digest::of(&serde_json::to_vec(&value).unwrap());
    Resource::Value { version, digest, value }
}

impl World {
    /// A target, and so many aliases.
    pub(crate) fn of(aliases: usize) -> Self {
        let mut world = Self { known: Some(1000), ..Self::default() };
        world.target("t", 5, "http://127.0.0.1:1/v1");
        for n in 0..aliases {
            world.alias(&format!("a{n:04}"), 7, "first");
        }
        world
    }

    pub(crate) fn alias(&mut self, name: &str, version: u64, model: &str) {
        let strategy = serde_json::from_str(r#"{"type":"Priority"}"#).unwrap();
        let alias = CompiledAlias {
            id: id(name),
            model: model.to_owned(),
            visibility: Visibility::Public,
            export: Exported::Same,
            created: 1,
            candidates: Vec::new(),
            lineup: CompiledLineup { ix: 0, strategy, tiers: Vec::new() },
            categories: None,
            fallback: CompiledFallback {
                max_attempts: 3,
                retries: None,
                outcomes: serde_json::from_str("[]").unwrap(),
            },
            timeouts: CompiledTimeouts {
                request_ms: 1000,
                first_token_ms: 1000,
                attempt_ms: None,
                stream_idle_ms: 1000,
            },
            affinity: routing::snapshot::CompiledAffinity::None,
            guardrails: routing::snapshot::CompiledGuardrails::default(),
        };
        self.aliases.insert(name.to_owned(), value(version, alias));
    }

    pub(crate) fn hold(&mut self, name: &str, version: u64) {
        let (reason, message) = ("InvalidSpec".to_owned(), "mend it".to_owned());
        self.aliases.insert(name.to_owned(), Resource::Hold { version, reason, message });
    }

    pub(crate) fn target(&mut self, name: &str, version: u64, url: &str) {
        let target = CompiledTarget {
            id: id(name),
            created: 7,
            provider: ProviderKind::OpenAICompatible,
            options: CompiledOptions::None,
            endpoint: CompiledEndpoint {
                url: url.to_owned(),
                service: false,
                ca_bundle: None,
                server_name: None,
            },
            auth: CompiledAuth { kind: AuthKind::Bearer, header: None, identity: false },
            headers: Vec::new(),
            models: vec![CompiledModel {
                name: "m".to_owned(),
                upstream_name: "m".to_owned(),
                family: None,
                context_window: None,
                max_output_tokens: None,
                capabilities: [Capability::Chat].into_iter().collect(),
                price: None,
            }],
            ejection: routing::snapshot::CompiledEjection::default(),
            cordoned: false,
            quotas: Vec::new(),
            max_in_flight: None,
            probe: None,
        };
        self.targets.insert(name.to_owned(), value(version, target));
    }

    pub(crate) fn delete(&mut self, name: &str, version: u64) {
        self.aliases.remove(name);
        self.deleted.insert(Key::new(Kind::Alias, id(name)), version);
    }

    pub(crate) fn snapshot(&self) -> RoutingSnapshot {
        let mut snapshot = RoutingSnapshot {
            aliases: self.aliases.iter().map(|(n, r)| (id(n), r.clone())).collect(),
            targets: self.targets.iter().map(|(n, r)| (id(n), r.clone())).collect(),
            ..RoutingSnapshot::default()
        };
        snapshot.revision = snapshot.content_revision();
        snapshot
    }

    pub(crate) fn revision(&self) -> Digest {
        self.snapshot().revision
    }
}

/// A controller as routers see it.
pub(crate) struct Controller {
    pub(crate) publisher: Publisher,
    pub(crate) address: SocketAddr,
    pub(crate) metrics: Arc<ControllerMetrics>,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl Controller {
    /// Serves nothing yet.
    pub(crate) async fn start(cluster: &str) -> Self {
        Self::start_at(cluster, "127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn start_at(cluster: &str, address: SocketAddr) -> Self {
        Self::start_with(cluster, address, Arc::default(), None).await
    }

    /// Serves this world, and sweeps the routers that name their admin port.
    pub(crate) async fn sweeping(world: &World) -> (Self, Fleet) {
        install_crypto();
        let metrics: Arc<ControllerMetrics> = Arc::default();
        let fleet = Fleet::new(fleet::Settings {
            interval: Duration::from_millis(50),
            discovery: Discovery::Streams,
            metrics: Arc::clone(&metrics),
        });
        let fleet = fleet.unwrap();
        let address = "127.0.0.1:0".parse().unwrap();
        let controller = Self::start_with("one", address, metrics, Some(fleet.clone())).await;
        let (swept, stop) = (fleet.clone(), controller.stop.clone());
        tokio::spawn(async move { swept.run(stop).await });
        controller.publish(world);
        (controller, fleet)
    }

    async fn start_with(
        cluster: &str,
        address: SocketAddr,
        metrics: Arc<ControllerMetrics>,
        fleet: Option<Fleet>,
    ) -> Self {
        publish::check_address(address).unwrap();
        let publisher = Publisher::new(publish::Settings {
            controller: "c".to_owned(),
            cluster: cluster.to_owned(),
            heartbeat: Duration::from_millis(200),
            credential_key: SecretBytes::new(vec![7; 32]),
            admin_token: None,
            metrics: Arc::clone(&metrics),
            fleet,
        });
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let served = tokio::spawn(publish::serve(listener, publisher.clone(), stop.clone()));
        Self { publisher, address, metrics, stop, served }
    }

    /// Serves this world.
    pub(crate) async fn with(world: &World) -> Self {
        let controller = Self::start("one").await;
        controller.publish(world);
        controller
    }

    pub(crate) fn publish(&self, world: &World) {
        let known = world.known;
        self.publisher.publish(Publication {
            snapshot: Arc::new(world.snapshot()),
            credentials: world.credentials.clone(),
            hashes: std::collections::BTreeMap::new(),
            hash_key: compiler::SecretBytes::new(vec![7; 32]),
            deleted: world.deleted.clone(),
            known: Box::new(move |_, _| known),
        });
    }

    /// Ends it and every stream; its port is free afterwards.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.served.await.unwrap();
    }

    pub(crate) fn url(&self, router: &str) -> String {
        format!("http://{}{}?router={router}&protocol=1", self.address, wire::PATH)
    }
}

/// A router: its store, and what was handed on to those who serve.
pub(crate) struct Router {
    pub(crate) store: SharedStore,
    pub(crate) metrics: Arc<Metrics>,
    /// The revision that is served, and how many snapshots were.
    applied: watch::Receiver<(Digest, usize)>,
    /// The numbers of aliases that were ever served at once.
    pub(crate) seen: Arc<Mutex<BTreeSet<usize>>>,
    pub(crate) last: Arc<Mutex<Option<Applied>>>,
    /// What it was told last of the fleet, and how often.
    fleet: watch::Receiver<(Option<FleetView>, usize)>,
    linked: JoinHandle<()>,
}

impl Router {
    /// One that follows the controller at this address.
    pub(crate) fn start(address: SocketAddr, seed: u64) -> Self {
        Self::start_with(address, seed, SharedStore::default(), Arc::new(Metrics::new()), None)
    }

    /// One that reports this on an admin port of its own, which it names.
    pub(crate) async fn reporting(address: SocketAddr, seed: u64, report: Report) -> Self {
        let (store, metrics) = (SharedStore::default(), Arc::new(Metrics::new()));
        metrics.report_with(move || report.clone());
        let routes = admin::routes(Admin {
            store: store.clone(),
            metrics: metrics.clone(),
            unusable: Arc::new(Vec::new),
            draining: Arc::default(),
            guarded: false,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self::start_with(address, seed, store, metrics, Some(admin))
    }

    fn start_with(
        address: SocketAddr,
        seed: u64,
        store: SharedStore,
        metrics: Arc<Metrics>,
        admin: Option<SocketAddr>,
    ) -> Self {
        install_crypto();
        let (say, applied) = watch::channel((Digest::default(), 0));
        let seen: Arc<Mutex<BTreeSet<usize>>> = Arc::default();
        let last: Arc<Mutex<Option<Applied>>> = Arc::default();
        let (seeing, lasting) = (Arc::clone(&seen), Arc::clone(&last));
        let apply = move |applied: &Applied| {
            seeing.lock().insert(applied.snapshot.aliases.len());
            *lasting.lock() = Some(applied.clone());
            say.send_modify(|(revision, n)| {
                *revision = applied.snapshot.revision;
                *n += 1;
            });
        };
        let controller = format!("http://{address}").parse().unwrap();
        let settings = Settings {
            controller,
            router: format!("r{seed}"),
            admin,
            trust: Trust::default(),
            seed,
        };
        let link = Link::new(settings, store.clone(), Arc::new(apply), metrics.clone()).unwrap();
        let (tell, fleet) = watch::channel((None, 0));
        let link = link.telling(Arc::new(move |news, _| {
            if let FleetNews::View(view) = news {
                tell.send_modify(|(last, times)| {
                    *last = Some(view);
                    *times += 1;
                });
            }
        }));
        let linked = tokio::spawn(async move { match link.run().await {} });
        Self { store, metrics, applied, seen, last, fleet, linked }
    }

    /// Waits until it is told something of the fleet that is as it should be.
    pub(crate) async fn told(&mut self, good: impl Fn(&FleetView) -> bool) -> FleetView {
        let told = self.fleet.wait_for(|(last, _)| last.as_ref().is_some_and(&good));
        told.await.unwrap().0.clone().unwrap()
    }

    /// How often it was told something of the fleet.
    pub(crate) fn times_told(&self) -> usize {
        self.fleet.borrow().1
    }

    /// Waits until this revision is served, and says how many snapshots were so far.
    pub(crate) async fn serves(&mut self, revision: Digest) -> usize {
        self.applied.wait_for(|(applied, _)| *applied == revision).await.unwrap().1
    }

    /// Waits until `/metrics` has this line: it is written right after a snapshot is taken over.
    pub(crate) async fn counts(&self, line: &str) {
        while !self.metrics.render().lines().any(|one| one == line) {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn model(&self, name: &str) -> Option<String> {
        let store = self.store.lock();
        Some(store.snapshot().aliases.get(&id(name))?.value()?.model.clone())
    }

    /// What `/config` says.
    pub(crate) fn config(&self) -> serde_json::Value {
        let store: &Store = &self.store.lock();
        serde_json::to_value(store.config(routing::Nanos::ZERO)).unwrap()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.linked.abort();
    }
}

pub(crate) fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

/// The bare stream, frame by frame.
pub(crate) struct Reader {
    response: reqwest::Response,
    decoder: Decoder,
    pub(crate) bytes: usize,
}

impl Reader {
    /// Asks with what is held, without compression.
    pub(crate) async fn ask(controller: &Controller, held: &Held) -> Self {
        install_crypto();
        let request = reqwest::Client::new().post(controller.url("raw")).json(held);
        let response = request.send().await.unwrap().error_for_status().unwrap();
        Self { response, decoder: Decoder::default(), bytes: 0 }
    }

    /// The next frame; `None`: the stream is over.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some(frame);
            }
            let chunk = self.response.chunk().await.ok()??;
            self.bytes += chunk.len();
            self.decoder.push(&chunk);
        }
    }

    /// The frames up to the next COMMIT, heartbeats left out, and that COMMIT's revision.
    pub(crate) async fn batch(&mut self) -> (Vec<Frame>, Digest) {
        let mut frames = Vec::new();
        loop {
            match self.frame().await.unwrap() {
                Frame::Commit(commit) => return (frames, commit.revision),
                Frame::Heartbeat(_) | Frame::Fleet(_) | Frame::Reconnect(_) => {}
                frame => frames.push(frame),
            }
        }
    }
}

pub(crate) fn names(frames: &[Frame]) -> Vec<&str> {
    frames.iter().map(Frame::name).collect()
}
