//! The pipeline of a request: its head is checked, its body read and scanned once, the caller
//! placed, the alias found, its candidates decided on, and then tried one after another as the
//! fallback plan says. One snapshot is loaded for all of it.

use std::{cell::RefCell, sync::Arc};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, request::Parts};
use hyper::body::Incoming;
use parking_lot::Mutex;
use routing::{Endpoint, ObjectId, Rng, budget::Budget};
use serde_json::Value;
use telemetry::{Metrics, RequestEnd};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use wire::Credential;

use crate::{
    access::{self, Anonymous, Caller, Keys},
    admission,
    attempts::Attempts,
    body::{self, BodyMemory, Lease, Unread},
    callers::Callers,
    category, clock,
    conn::Lengths,
    decide::{Asking, decide},
    errors::Refusal,
    explain,
    facts::Asked,
    filter,
    fleet::Fleet,
    http::{Route, check_body, check_head, route, shape},
    live::{Found, LiveAlias, LiveSnapshot},
    models,
    money::Bill,
    record::{Counts, Record},
    relay::Relay,
    respond::{self, Reason, ResponseBody},
    session,
    speech::Audio,
    store::Applied,
    translate::Ways,
    upstream::Pools,
};

/// How the data path behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// How callers without a key are met.
    pub anonymous: Anonymous,
    /// Whether responses carry `x-request-id` alone of our headers.
    pub minimal_headers: bool,
    /// The largest body of a request.
    pub max_body: u64,
    /// What all bodies in flight together may hold.
    pub body_memory: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            anonymous: Anonymous::Refused,
            minimal_headers: false,
            max_body: 32 << 20,
            body_memory: body::memory_limit() / 4,
        }
    }
}

/// The data path: what all requests share.
pub struct Traffic {
    live: ArcSwap<LiveSnapshot>,
    pub(crate) budget: Mutex<Budget>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) fleet: Fleet,
    pub(crate) callers: Callers,
    /// Told whenever another snapshot or view is there.
    pub(crate) changed: Notify,
    memory: Arc<BodyMemory>,
    options: Options,
    /// Cancelled when streams that still run are to end.
    drained: CancellationToken,
}

impl std::fmt::Debug for Traffic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traffic").field("options", &self.options).finish_non_exhaustive()
    }
}

/// What the handler has for the caller.
pub(crate) enum Reply {
    /// A body.
    Json(Bytes),
    /// A stream that has begun.
    Stream(Box<Relay>),
    /// Audio that has begun.
    Audio(Box<Audio>),
}

/// What became of a decision.
#[expect(clippy::large_enum_variant, reason = "it is taken apart as soon as it is made")]
pub(crate) enum Decided<'r> {
    /// It was only asked for.
    Explained(Bytes),
    /// Its attempts can begin.
    Attempts(Attempts<'r>),
}

thread_local! {
    static SEEDS: RefCell<Rng> = RefCell::new(Rng::new(
        std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0_u64),
    ));
}

/// 64 bits that nobody has seen. Not for secrets.
pub(crate) fn random() -> u64 {
    SEEDS.with_borrow_mut(Rng::next_u64)
}

fn request_id() -> HeaderValue {
    let mut text = *b"req_00000000000000000000000000000000";
    for (half, bits) in [(4, random()), (20, random())] {
        // The slice has 16 digits, twice the 8 bytes: this cannot fail.
        let _ = hex::encode_to_slice(bits.to_be_bytes(), &mut text[half..half + 16]);
    }
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("req"))
}

impl Traffic {
    /// A data path that serves from an empty snapshot.
    pub fn new(options: Options, metrics: Arc<Metrics>) -> Arc<Self> {
        let traffic = Arc::new(Self {
            live: ArcSwap::default(),
            budget: Mutex::default(),
            metrics,
            fleet: Fleet::new(random()),
            callers: Callers::default(),
            changed: Notify::new(),
            memory: BodyMemory::new(options.body_memory),
            options,
            drained: CancellationToken::new(),
        });
        let told = Arc::downgrade(&traffic);
        traffic.metrics.report_with(move || told.upgrade().map(|t| t.report()).unwrap_or_default());
        traffic
    }

    /// Ends the streams that have begun, each with an error as its last event, once it is cancelled.
    pub fn drained(&self) -> &CancellationToken {
        &self.drained
    }

    /// What requests are served from now.
    pub fn live(&self) -> Arc<LiveSnapshot> {
        self.live.load_full()
    }

    /// Serves new requests from this one.
    pub fn swap(&self, live: LiveSnapshot) {
        self.told(&live);
        self.callers.retain(&self.metrics, |key| live.keys.has(key));
        self.live.store(Arc::new(live));
        self.changed.notify_waiters();
    }

    /// Serves from what the controller sent, from now on; connections to endpoints that are no
    /// longer in it are closed when they are idle.
    pub fn apply(&self, applied: &Applied, pools: &Pools) {
        let credential = |id: &ObjectId| applied.credentials.get(id).map(Credential::material);
        let before = self.live.load();
        let snapshot = &applied.snapshot;
        let mut live = LiveSnapshot::assemble(&before, snapshot, &credential, pools, &self.metrics);
        let hash_key = applied.hash_key.as_ref();
        live.keys = Keys::of(&before.keys, &snapshot.keys, &applied.hashes, hash_key);
        pools.retain(|pool| live.uses(pool));
        self.swap(live);
    }

    /// The record of a request that begins now.
    pub(crate) fn record(&self) -> Record {
        let minimal = self.options.minimal_headers;
        Record::new(Arc::clone(&self.metrics), request_id(), minimal)
    }

    /// Answers a request.
    pub(crate) async fn handle(
        &self,
        lengths: &Lengths,
        request: Request<Incoming>,
    ) -> Response<ResponseBody> {
        let (parts, mut body) = request.into_parts();
        let mut record = Box::new(self.record());
        match self.reply(&parts, &mut body, lengths, &mut record).await {
            Ok(Reply::Json(bytes)) => {
                record.status = 200;
                let bytes = match &record.metadata {
                    Some(decision) => with_member(&bytes, &explain::metadata(&record, decision)),
                    None => bytes,
                };
                record.ends(RequestEnd::Answered);
                respond::json(StatusCode::OK, bytes, record.told())
            }
            Ok(Reply::Stream(mut relay)) => {
                record.status = 200;
                let told = record.told();
                relay.account(record, &self.drained);
                respond::stream(relay, told)
            }
            Ok(Reply::Audio(mut audio)) => {
                record.status = 200;
                let told = record.told();
                audio.account(record, &self.drained);
                respond::audio(audio, told)
            }
            Err(refusal) => {
                body::linger(body, &parts.headers);
                record.status = refusal.status.as_u16();
                let said = record.metadata.as_ref().map(|d| explain::metadata(&record, d));
                let end = match refusal.status.as_u16() {
                    499 => RequestEnd::Left,
                    status => RequestEnd::of_status(status),
                };
                record.ends(end);
                let http1 = parts.version < Version::HTTP_2;
                let shape = shape(parts.uri.path(), &parts.headers);
                let body = refusal.body(
                    shape,
                    record.request_id.to_str().unwrap_or_default(),
                    said.as_ref(),
                );
                respond::refusal(&refusal, body, record.told(), http1)
            }
        }
    }

    async fn reply(
        &self,
        parts: &Parts,
        body: &mut Incoming,
        lengths: &Lengths,
        record: &mut Record,
    ) -> Result<Reply, Refusal> {
        check_head(parts, lengths)?;
        let route = route(&parts.method, parts.uri.path());
        // Before anything is told of what is served, and in the words of what was asked.
        let caller = self.caller(&parts.headers)?;
        record.caller = caller.key().map(|key| {
            let cell = self.callers.of(key, &self.metrics);
            cell.budget(&key.compiled, &self.fleet);
            cell
        });
        let route = route?;
        let shape = shape(parts.uri.path(), &parts.headers);
        let (endpoint, model, explain_only) = match route {
            Route::Models => {
                record.reason = Reason::Local;
                return Ok(Reply::Json(models::list(&self.live.load(), &caller, shape)));
            }
            Route::Model(id) => {
                record.reason = Reason::Local;
                return models::one(&self.live.load(), &caller, id, shape).map(Reply::Json);
            }
            Route::Call(endpoint) => (endpoint, None, false),
            Route::Deployment(model, endpoint) => {
                (endpoint, Some(models::unescaped(model).into_boxed_str()), false)
            }
            Route::Explain(endpoint) => (endpoint, None, true),
        };
        record.path = if explain_only { "explain" } else { endpoint.path() };
        let (text, lease) = self.read(parts, body).await?;
        // Boxed: it lives as long as the attempts do.
        let asked = Box::new(Asked::read(endpoint, model.as_deref(), text, &parts.headers)?);
        record.stream = asked.read.stream;
        record.free = endpoint == Endpoint::CountTokens;
        let alias = self.alias(&caller, &asked, model.as_deref(), record)?;
        record.names(&alias, !explain_only);
        if !explain_only && !record.free {
            admission::admit(self, &caller, &alias, &asked, shape, record)?;
        }
        let headers = &parts.headers;
        let alias = category::lineup(self, alias, &asked, headers, explain_only, record).await;
        let attempts = match self.decide(&alias, &asked, &parts.headers, explain_only, record)? {
            Decided::Explained(said) => return Ok(Reply::Json(said)),
            Decided::Attempts(attempts) => attempts,
        };
        let served = attempts.run(record).await;
        // The body is of no more use once a stream has begun.
        drop(lease);
        served
    }

    /// Decides on the candidates, for a request or for an explanation. Nothing is awaited here, so
    /// that nothing of this is kept while the attempts are.
    pub(crate) fn decide<'r>(
        &'r self,
        alias: &'r Arc<LiveAlias>,
        asked: &'r Asked,
        headers: &'r HeaderMap,
        explain_only: bool,
        record: &mut Record,
    ) -> Result<Decided<'r>, Refusal> {
        record.estimate = asked.estimate(alias.stats.bytes_per_token());
        let key = record.caller.as_ref().map(|caller| &*caller.label);
        let session = session::of(asked, headers, key, &alias.compiled.affinity);
        let facts = asked.facts(headers, record.estimate, session)?;
        let asking = Asking {
            now: clock::now(),
            seed: random(),
            routers: self.fleet.routers(),
            explained: explain_only || asked.metadata,
            served: !explain_only,
        };
        let mut rng = Rng::new(asking.seed);
        let mut ways = Ways::of(alias, asked, headers, &facts);
        let bill = Bill::of(record.caller.as_ref(), alias, &facts);
        if let Some(bill) = &bill {
            ways.fund(bill.funds());
        }
        let decision = decide(alias, &facts, &ways, asking, &mut rng);
        if explain_only {
            record.reason = Reason::Local;
            let said = explain::explain(alias, &facts, &ways, &decision);
            let said = category::told(said, asked, record);
            return Ok(Decided::Explained(Bytes::from(said.to_string())));
        }
        if asked.metadata {
            let said = explain::explain(alias, &facts, &ways, &decision);
            record.metadata = Some(category::told(said, asked, record));
        }
        if decision.ranking().is_empty() {
            let over = filter::any_over_budget(alias, &facts, &ways);
            if let Some(refusal) = bill.filter(|_| over).and_then(Bill::refusal) {
                record.reason = Reason::KeyBudget;
                return Err(refusal);
            }
            record.reason = Reason::NoTarget;
            return Err(filter::none_left(alias, &facts, &ways));
        }
        record.money = bill.map(|bill| bill.reserve(decision.ranking()));
        Ok(Decided::Attempts(Attempts::new(self, alias, asked, headers, decision, ways, rng)))
    }

    /// Who asks.
    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let live = self.live.load();
        access::authorize(&live.keys, &self.options.anonymous, headers, access::unix_now())
            .map_err(Refusal::from)
    }

    async fn read(&self, parts: &Parts, body: &mut Incoming) -> Result<(Bytes, Lease), Refusal> {
        let length = check_body(&parts.headers, self.options.max_body)?;
        body::read(body, length, self.options.max_body, &self.memory).await.map_err(|unread| {
            match unread {
                Unread::Refused(refusal) => refusal,
                // Nobody reads this; the log and the metrics tell it apart.
                Unread::Left => Refusal::request(
                    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
                    "client_closed_request",
                    "The caller went away within the request's body.",
                ),
            }
        })
    }

    /// The alias that the request names, for this caller.
    fn alias(
        &self,
        caller: &Caller,
        asked: &Asked,
        of_path: Option<&str>,
        record: &mut Record,
    ) -> Result<Arc<LiveAlias>, Refusal> {
        let live = self.live.load();
        let name = match of_path {
            Some(name) => name.into(),
            None => asked.read.model_name(&asked.text),
        };
        match live.named_by(caller, &name) {
            Found::Alias(alias) => Ok(Arc::clone(alias)),
            Found::Held(id, held) => {
                // Why in full may name what is another project's: that is for who edits the alias.
                let why = match caller.key() {
                    None => format!("{}: {}", held.reason, held.message),
                    Some(_) => format!("{}; its status says more", held.reason),
                };
                let message =
                    format!("The alias {id} is invalid and has no earlier form to serve: {why}");
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Err(Refusal::server(status, "alias_invalid", message))
            }
            Found::Nothing => {
                record.counts = Counts::Unknown;
                Err(models::not_found(&live, caller, &name))
            }
        }
    }
}

/// A JSON object with the member `moniker` at its end; every byte before it is as it came.
pub(crate) fn with_member(object: &Bytes, moniker: &Value) -> Bytes {
    let trimmed = object.trim_ascii_end();
    let Some(inside) = trimmed.strip_suffix(b"}") else { return object.clone() };
    let comma = if inside.trim_ascii() == b"{" { "" } else { "," };
    let mut out = inside.to_vec();
    out.extend_from_slice(format!("{comma}\"moniker\":{moniker}}}").as_bytes());
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<F>(
        _: impl Fn(&'static Traffic, &'static Lengths, Request<Incoming>) -> F,
    ) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_request_costs_little_memory() {
        let size = size_of_future(Traffic::handle);
        assert!(size <= 4096, "the future of a request is {size} bytes");
    }

    #[test]
    fn a_member_is_added_and_nothing_else_changes() {
        let said = serde_json::json!({"a": 1});
        for (object, want) in [
            ("{\"x\": 1e400 }\n", "{\"x\": 1e400 ,\"moniker\":{\"a\":1}}"),
            ("{ }", "{ \"moniker\":{\"a\":1}}"),
            ("[]", "[]"),
        ] {
            assert_eq!(with_member(&Bytes::from(object), &said), want);
        }
    }
}
