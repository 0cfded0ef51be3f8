//! A router on a real socket over a snapshot that a test writes down, and a client for it.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use router::{
    access::{Anonymous, Keys},
    live::LiveSnapshot,
    pipeline::{Options, Traffic},
    tls::ServerTls,
    upstream::{Environment, Pools, UpstreamConfig},
};
use routing::{
    AuthKind, CandidateIx, Digest, ObjectId, ProviderKind, RoutingSnapshot, StrategyKind,
    StrategySpec,
    hmac::Hmac,
    key::{CompiledKey, KeyHash},
    material::Material,
    outcome::Fault,
    snapshot::{
        CompiledAffinity, CompiledAlias, CompiledAuth, CompiledCandidate, CompiledEjection,
        CompiledEndpoint, CompiledEntry, CompiledFallback, CompiledGuardrails, CompiledLineup,
        CompiledModel, CompiledOptions, CompiledTarget, CompiledTimeouts, Exported, Members,
        Resource, Visibility,
    },
};
use telemetry::Metrics;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use wire::{HashKey, Hashes};

use crate::upstream::Upstream;

pub(crate) const NAMESPACE: &str = "shop";

/// The lineup of a test.
#[derive(Clone, Default)]
pub(crate) struct World {
    pub(crate) aliases: Vec<CompiledAlias>,
    pub(crate) targets: Vec<CompiledTarget>,
    pub(crate) secrets: BTreeMap<ObjectId, Material>,
    /// Callers' keys, by what their callers send.
    pub(crate) keys: Vec<(&'static str, ObjectId, CompiledKey)>,
    /// Aliases that did not compile, with the reason and the message.
    pub(crate) held: Vec<(&'static str, &'static str, &'static str)>,
}

impl World {
    /// One alias, `prod-chat`, over one target for each URL, in that order: t0, t1, ...
    pub(crate) fn of(urls: &[String]) -> Self {
        let mut world = Self::default();
        for (i, url) in urls.iter().enumerate() {
            world.targets.push(target(&format!("t{i}"), url));
        }
        world.aliases.push(alias("prod-chat", urls.len()));
        world
    }

    pub(crate) fn over(upstreams: &[&Upstream]) -> Self {
        Self::of(&upstreams.iter().map(|u| u.url()).collect::<Vec<_>>())
    }

    pub(crate) fn alias(mut self, change: impl FnOnce(&mut CompiledAlias)) -> Self {
        change(&mut self.aliases[0]);
        self
    }

    pub(crate) fn target(mut self, i: usize, change: impl FnOnce(&mut CompiledTarget)) -> Self {
        change(&mut self.targets[i]);
        self
    }

    /// Adds a caller's key: `mk-NAME`, of an AccessKey of that name whose uid comes from it.
    pub(crate) fn key(mut self, name: &'static str, change: impl FnOnce(&mut CompiledKey)) -> Self {
        let mut key = CompiledKey { uid: Digest::of(name.as_bytes()), ..CompiledKey::default() };
        change(&mut key);
        let id = ObjectId::new(NAMESPACE, name.trim_start_matches("mk-"));
        self.keys.push((name, id, key));
        self
    }

    /// Gives a target a bearer token.
    pub(crate) fn secret(mut self, i: usize, secret: &str) -> Self {
        self.targets[i].auth.kind = AuthKind::Bearer;
        self.secrets.insert(self.targets[i].id.clone(), Material::from(secret));
        self
    }

    fn snapshot(&self) -> RoutingSnapshot {
        fn resource<T: serde::Serialize + Clone>(value: &T) -> Resource<T> {
            let digest = Digest::of(&serde_json::to_vec(value).unwrap());
            Resource::Value { version: 1, digest, value: value.clone() }
        }
        RoutingSnapshot {
            revision: Digest::of(b"test"),
            aliases: self
                .aliases
                .iter()
                .map(|a| (a.id.clone(), resource(a)))
                .chain(self.held.iter().map(|(name, reason, message)| {
                    let (reason, message) = ((*reason).to_owned(), (*message).to_owned());
                    (
                        ObjectId::new(NAMESPACE, *name),
                        Resource::Hold { version: 1, reason, message },
                    )
                }))
                .collect(),
            targets: self.targets.iter().map(|t| (t.id.clone(), resource(t))).collect(),
            keys: Arc::new(
                self.keys
                    .iter()
                    .map(|(_, id, key)| (id.clone(), resource(&Arc::new(key.clone()))))
                    .collect(),
            ),
        }
    }

    fn table(&self, snapshot: &RoutingSnapshot) -> Arc<Keys> {
        let hash_key = HashKey::new(&[7; 32]);
        let hmac = Hmac::new(&hash_key.bytes());
        let hashes = self.keys.iter().map(|(text, id, _)| {
            let hashes = [KeyHash::of(&hmac, text.as_bytes())].into_iter().collect();
            (id.clone(), Hashes { version: 1, hashes })
        });
        let hashes = Arc::new(hashes.collect());
        Keys::of(&Arc::default(), &snapshot.keys, &hashes, Some(&hash_key))
    }
}

pub(crate) fn target(name: &str, url: &str) -> CompiledTarget {
    CompiledTarget {
        id: ObjectId::new(NAMESPACE, name),
        created: 7,
        provider: ProviderKind::OpenAICompatible,
        options: CompiledOptions::None,
        endpoint: CompiledEndpoint {
            url: url.to_owned(),
            service: false,
            ca_bundle: None,
            server_name: None,
        },
        auth: CompiledAuth { kind: AuthKind::None, header: None, identity: false },
        headers: vec![],
        models: vec![CompiledModel {
            name: "m".to_owned(),
            upstream_name: format!("up-{name}"),
            family: None,
            context_window: None,
            max_output_tokens: None,
            capabilities: ProviderKind::OpenAICompatible.unstated_capabilities(),
            price: None,
        }],
        ejection: CompiledEjection::default(),
        cordoned: false,
        quotas: vec![],
        max_in_flight: None,
        probe: None,
    }
}

pub(crate) fn alias(name: &str, targets: usize) -> CompiledAlias {
    let candidate = |i: usize| CompiledCandidate {
        entry: format!("e{i}"),
        target: ObjectId::new(NAMESPACE, format!("t{i}")),
        model: "m".to_owned(),
    };
    let entry = |i: usize| CompiledEntry {
        name: format!("e{i}"),
        weight: 1,
        members: Members::Candidates(vec![CandidateIx(u8::try_from(i).unwrap())]),
    };
    CompiledAlias {
        id: ObjectId::new(NAMESPACE, name),
        model: name.to_owned(),
        visibility: Visibility::Public,
        export: Exported::Same,
        created: 7,
        candidates: (0..targets).map(candidate).collect(),
        lineup: CompiledLineup {
            ix: 0,
            strategy: StrategySpec::of(StrategyKind::Priority),
            tiers: vec![(0..targets).map(entry).collect()],
        },
        categories: None,
        fallback: CompiledFallback {
            max_attempts: 5,
            retries: None,
            outcomes: Fault::default_fallback(),
        },
        timeouts: CompiledTimeouts {
            request_ms: 600_000,
            first_token_ms: 60_000,
            attempt_ms: None,
            stream_idle_ms: 60_000,
        },
        affinity: CompiledAffinity::None,
        guardrails: CompiledGuardrails::default(),
    }
}

/// A router.
pub(crate) struct Rig {
    pub(crate) addr: SocketAddr,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) traffic: Arc<Traffic>,
    pools: Pools,
    pub(crate) stop: CancellationToken,
    pub(crate) served: tokio::task::JoinHandle<()>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Rig {
    pub(crate) async fn start(world: World) -> Self {
        Self::with(world, options()).await
    }

    pub(crate) async fn with(world: World, options: Options) -> Self {
        Self::serve(world, options, None).await
    }

    pub(crate) async fn over_tls(world: World, tls: Arc<ServerTls>) -> Self {
        Self::serve(world, options(), Some(tls)).await
    }

    /// One with these variables in its environment.
    pub(crate) async fn with_environment(world: World, set: &[(&str, String)]) -> Self {
        let mut rig = Self::start(World::default()).await;
        rig.pools = pools(Environment::of(|name| {
            set.iter().find(|(set, _)| *set == name).map(|(_, text)| text.clone())
        }));
        rig.apply(&world);
        rig
    }

    async fn serve(world: World, options: Options, tls: Option<Arc<ServerTls>>) -> Self {
        let metrics = Arc::new(Metrics::new());
        let traffic = Traffic::new(options, Arc::clone(&metrics));
        let pools = pools(Environment::default());
        let listener = router::server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let served =
            tokio::spawn(router::server::serve(listener, tls, Arc::clone(&traffic), stop.clone()));
        let rig = Self { addr, metrics, traffic, pools, stop, served };
        rig.apply(&world);
        rig
    }

    /// Serves from another lineup from now on.
    pub(crate) fn apply(&self, world: &World) {
        let snapshot = world.snapshot();
        let mut live = LiveSnapshot::assemble(
            &self.traffic.live(),
            &snapshot,
            &|id| world.secrets.get(id),
            &self.pools,
            &self.metrics,
        );
        live.keys = world.table(&snapshot);
        self.traffic.swap(live);
    }

    /// A chat with this key.
    pub(crate) async fn chat_as(&self, key: &str, body: &str) -> Answer {
        self.post_with("/v1/chat/completions", body.to_owned(), &[("x-api-key", key)]).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(self.request(path, body.into(), &[])).await
    }

    pub(crate) async fn post_with(
        &self,
        path: &str,
        body: impl Into<Bytes>,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.send(self.request(path, body.into(), headers)).await
    }

    /// The decision for a chat, explained.
    pub(crate) async fn explain(&self, body: &str) -> serde_json::Value {
        self.post("/v1/explain/chat/completions", body.to_owned()).await.json()
    }

    /// The value of a series of `/metrics`, written as it stands there; `None`: it is not there.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let text = self.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        Some(line.parse().unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(
            Request::get(path).header("host", self.addr.to_string()).body(Full::default()).unwrap(),
        )
        .await
    }

    pub(crate) async fn chat(&self, body: &str) -> Answer {
        self.post("/v1/chat/completions", body.to_owned()).await
    }

    pub(crate) fn request(
        &self,
        path: &str,
        body: Bytes,
        headers: &[(&str, &str)],
    ) -> Request<Full<Bytes>> {
        let mut request = Request::post(path)
            .header("host", self.addr.to_string())
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Full::new(body)).unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        Answer::of(self.open(request).await.0).await
    }

    /// Sends a request on a connection of its own; dropping the second aborts the connection.
    pub(crate) async fn open(
        &self,
        request: Request<Full<Bytes>>,
    ) -> (Response<Incoming>, Connection) {
        let stream = TcpStream::connect(self.addr).await.unwrap();
        Self::open_on(stream, request).await
    }

    /// The same on a connection whose kernel keeps little of what is not read.
    pub(crate) async fn open_narrow(
        &self,
        request: Request<Full<Bytes>>,
    ) -> (Response<Incoming>, Connection) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(32 << 10).unwrap();
        Self::open_on(socket.connect(self.addr).await.unwrap(), request).await
    }

    async fn open_on(
        stream: TcpStream,
        request: Request<Full<Bytes>>,
    ) -> (Response<Incoming>, Connection) {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let task = tokio::spawn(async move {
            let _ = connection.await;
        });
        let response = sender.send_request(request).await.unwrap();
        (response, Connection { task, _sender: sender })
    }

    /// Writes raw bytes and reads all that comes until the router closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut out = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut out))
            .await
            .expect("the router closes");
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// Sends a request and reads its answer, until whoever runs this aborts it: then the connection is
/// gone.
pub(crate) async fn abandon_later(addr: SocketAddr, request: Request<Full<Bytes>>) {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::select! {
        _ = connection => {}
        response = sender.send_request(request) => drop(response),
    }
}

/// A client's connection.
pub(crate) struct Connection {
    task: tokio::task::JoinHandle<()>,
    _sender: hyper::client::conn::http1::SendRequest<Full<Bytes>>,
}

impl Connection {
    /// Goes away in the middle of whatever is going on.
    pub(crate) fn leave(self) {
        self.task.abort();
    }
}

/// A response, read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn of(response: Response<Incoming>) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    pub(crate) fn error(&self) -> (u16, String, String) {
        let error = &self.json()["error"];
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (self.status, text("code"), text("message"))
    }

    /// Which target answered: `t0`.
    pub(crate) fn target(&self) -> &str {
        self.header("x-moniker-target").split('/').nth(1).unwrap_or_default()
    }
}

fn pools(environment: Environment) -> Pools {
    let allow_cidrs = vec!["127.0.0.0/8".parse().unwrap()];
    Pools::new(UpstreamConfig { allow_cidrs, dev: true, environment, ..UpstreamConfig::default() })
}

pub(crate) fn options() -> Options {
    Options { anonymous: Anonymous::Of(NAMESPACE.into()), ..Options::default() }
}

pub(crate) fn ask() -> &'static str {
    r#"{"model":"prod-chat","messages":[{"role":"user","content":"hi"}]}"#
}

pub(crate) fn ask_stream() -> &'static str {
    r#"{"model":"prod-chat","stream":true,"messages":[{"role":"user","content":"hi"}]}"#
}
