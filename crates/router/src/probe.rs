//! Probes: whether a target is there, asked by a GET now and then, never by a generation. Of all
//! routers the one that the controller names probes a target; before it has named any, none does.
//! What a probe finds out feeds ejection alone, never the statistics of latency: a model list says
//! nothing of how fast a model writes.
//!
//! Probes run beside the traffic, on the runtime that this is started on, and on connections of
//! their own.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use providers::{Failure, classify};
use routing::{ObjectId, OutcomeClass, Rng, outcome::Fault, snapshot::CompiledProbe};
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};

use crate::{
    learn,
    live::target::LiveTarget,
    pipeline::Traffic,
    source::Source,
    upstream::{Reuse, Segments, SendError},
};

/// How long a probe may take in all.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How much of an answer is read.
const MAX_ANSWER: usize = 1 << 20;
/// The first probe comes within this time, or within the interval: not all at once.
const FIRST: Duration = Duration::from_secs(5);

/// Probes what this router is told to, for ever. Dropped, all probes end.
pub async fn run(traffic: Arc<Traffic>, seed: u64) -> Infallible {
    let mut rng = Rng::new(seed);
    let mut probing = Probing::default();
    loop {
        // Registered before looking, so that no change is missed.
        let changed = traffic.changed.notified();
        let due = due(&traffic);
        probing.0.retain(|id, probe| due.get(id) == Some(&probe.as_asked));
        for (id, asked) in due {
            if probing.0.contains_key(&id) {
                continue;
            }
            let interval = Duration::from_millis(asked.interval_ms);
            let first = interval.min(FIRST).mul_f64(rng.unit());
            let task = tokio::spawn(repeat(Arc::clone(&traffic), id.clone(), first, interval));
            probing.0.insert(id, Probe { as_asked: asked, task: task.abort_handle() });
        }
        changed.await;
    }
}

/// The targets that are probed from here.
#[derive(Default)]
struct Probing(BTreeMap<ObjectId, Probe>);

/// The probing of one target; it ends with this.
struct Probe {
    as_asked: CompiledProbe,
    task: AbortHandle,
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is to be probed from here: what the controller names and the snapshot says how.
fn due(traffic: &Traffic) -> BTreeMap<ObjectId, CompiledProbe> {
    let live = traffic.live();
    let named = traffic.fleet.probes();
    named
        .iter()
        .filter_map(|id| Some((id.clone(), live.target(id)?.compiled.probe.clone()?)))
        .collect()
}

async fn repeat(traffic: Arc<Traffic>, id: ObjectId, first: Duration, interval: Duration) {
    sleep(first).await;
    loop {
        let began = Instant::now();
        // Looked up each time: an edit or another credential counts at once.
        let Some(target) = traffic.live().target(&id).map(Arc::clone) else { return };
        if target.has_credential() {
            let found = timeout(PATIENCE, ask(&target)).await.unwrap_or_else(|_| {
                let message = format!("no answer within {} s", PATIENCE.as_secs());
                Err(Failure::new(OutcomeClass::Fault(Fault::Timeout), message))
            });
            let (class, retry_after) = match &found {
                Ok(()) => (OutcomeClass::Success, None),
                Err(failure) => (failure.class, failure.retry_after),
            };
            learn::probe(&target, class, retry_after, began.elapsed());
            traffic.metrics.probed(&id.to_string(), class);
            if let Err(failure) = found {
                // What the provider wrote stays out of the log.
                tracing::info!(target = %id, outcome = failure.class.name(), "probe failed");
            }
        }
        sleep(interval.saturating_sub(began.elapsed())).await;
    }
}

/// Asks once.
async fn ask(target: &LiveTarget) -> Result<(), Failure> {
    let fault = |fault, message: String| Failure::new(OutcomeClass::Fault(fault), message);
    let mut request = Request::new(Segments::empty());
    *request.method_mut() = Method::GET;
    let Some(uri) = &target.probe else { return Ok(()) };
    *request.uri_mut() = uri.clone();
    let headers = request.headers_mut();
    headers.clone_from(&target.headers);
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    // A connection of its own: one of the traffic's would come back to it on another runtime.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let request = Box::pin(target.authenticate(request)).await;
    let request = request.map_err(|error| fault(error.fault, error.message))?;
    let sent = target.pool.send(request, Reuse::Fresh, CONNECT).await.map_err(|error| {
        let class = match &error {
            SendError::Connect { .. } => Fault::Connect,
            SendError::Lost { .. } => Fault::ServerError,
            SendError::Malformed { .. } => Fault::InvalidResponse,
        };
        fault(class, error.to_string())
    })?;
    let (parts, body) = sent.response.into_parts();
    if parts.status.is_success() {
        return Ok(());
    }
    let text = match Source::new(body, &parts.headers) {
        Ok(mut source) => source.all(Bytes::new(), MAX_ANSWER).await.unwrap_or_default(),
        Err(_) => Bytes::new(),
    };
    let provider = target.compiled.provider;
    Err(classify(provider, parts.status, &parts.headers, &text, SystemTime::now()))
}
