//! A ProviderTarget as requests use it: everything that an attempt needs is built once, when the
//! snapshot is assembled.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};
use providers::{
    Rewrite, Versioned,
    address::{Call, Operation, address, dialect},
    json_string,
};
use routing::{
    Digest, Endpoint, Nanos,
    ejection::{Availability, Event, Scope},
    material::Material,
    snapshot::{CompiledModel, CompiledOptions, CompiledTarget},
};
use telemetry::{Metrics, TargetMetrics};

use super::{
    health::{Cell, Change},
    speaks::Speaks,
    stats::ModelCell,
};
use crate::{
    credentials::{Credential, Issuers, Unissued},
    limits::{self, SharedLimits},
    run::seed,
    upstream::{EndpointPool, Segments},
};

/// A target.
pub(crate) struct LiveTarget {
    /// As it was compiled.
    pub(crate) compiled: CompiledTarget,
    /// The digest of that.
    pub(crate) digest: Digest,
    /// The headers of every request to it: static ones, ours, and the credential where it is one.
    pub(crate) headers: HeaderMap,
    /// Where its connections come from.
    pub(crate) pool: Arc<EndpointPool>,
    /// Its models, in the order of the compiled target.
    pub(crate) models: Vec<LiveModel>,
    /// The path of each endpoint that is passed through, in the order of [`Endpoint::ALL`], where
    /// that names no model.
    uris: Vec<Option<Uri>>,
    /// Ejection by Connect, Auth and OutOfCredit.
    pub(crate) cell: Arc<Cell>,
    /// Its quotas and `maxInFlight`, where it states any.
    pub(crate) limits: Option<SharedLimits>,
    /// The path of its probe, where it has one.
    pub(crate) probe: Option<Uri>,
    /// Whether it may be asked for usage: false once it refused that member by name.
    pub(crate) ask_usage: AtomicBool,
    /// Whether it may be told not to store an answer: likewise.
    pub(crate) say_unstored: AtomicBool,
    /// Whether another credential has taken the place of this one: its late refusals say nothing
    /// of the new one.
    pub(crate) outdated: AtomicBool,
    credential: Credential,
}

/// A model of a target.
pub(crate) struct LiveModel {
    /// `namespace/target/model`, as a header.
    pub(crate) header: HeaderValue,
    /// The same, as a label.
    pub(crate) label: Arc<str>,
    /// What of a body is rewritten for it.
    pub(crate) rewrite: Rewrite,
    /// What its provider speaks.
    pub(crate) speaks: Speaks,
    /// Whether it may be asked for encrypted reasoning: false once it refused that by name.
    pub(crate) ask_encrypted: AtomicBool,
    /// Ejection by what concerns the model alone.
    pub(crate) cell: Arc<Cell>,
    /// What is counted of it, whatever alias uses it.
    pub(crate) metrics: Arc<TargetMetrics>,
    /// What is remembered of it, whatever alias uses it.
    pub(crate) stats: Arc<ModelCell>,
}

/// A target that cannot be assembled.
#[derive(Debug, thiserror::Error)]
#[error("target {id}: its endpoint {url:?} gives no URI: {source}")]
pub(crate) struct BadEndpoint {
    id: routing::ObjectId,
    url: String,
    source: http::uri::InvalidUri,
}

impl LiveTarget {
    /// Assembles a target; what is known of its health comes from `previous`.
    pub(crate) fn new(
        compiled: &CompiledTarget,
        digest: Digest,
        material: Option<&Material>,
        (pool, issuers): (Arc<EndpointPool>, &Arc<Issuers>),
        metrics: &Metrics,
        previous: Option<&Self>,
    ) -> Result<Self, BadEndpoint> {
        let before = previous.map(|before| (&before.compiled, &before.credential));
        let credential = Credential::new(compiled, material, before, issuers);
        let mut headers = HeaderMap::with_capacity(8 + compiled.headers.len());
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("moniker/", env!("CARGO_PKG_VERSION"))),
        );
        for (name, value) in &compiled.headers {
            // The compiler refuses what is no header; one that is none here all the same is left
            // out, since nothing else of the target depends on it.
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), HeaderValue::from_str(value))
            {
                headers.insert(name, value);
            }
        }
        if let Some(host) = pool.host() {
            headers.insert(header::HOST, host.clone());
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some((name, value)) = credential.header() {
            headers.insert(name.clone(), value.clone());
        }
        let models = compiled
            .models
            .iter()
            .map(|model| LiveModel::new(compiled, model, metrics, previous))
            .collect();
        let base = &compiled.endpoint.url;
        let bad = |url: &str, source| BadEndpoint {
            id: compiled.id.clone(),
            url: url.to_owned(),
            source,
        };
        path(base).map_err(|source| bad(base, source))?;
        let uris = passed_through(compiled).map_err(|source| bad(base, source))?;
        let probe = compiled.probe.as_ref().map(|probe| format!("{base}/{}", probe.path));
        let probe = probe.map(|url| path(&url).map_err(|source| bad(&url, source))).transpose()?;
        let target = Self {
            digest,
            limits: limits::of_target(compiled, previous.and_then(|p| p.limits.as_ref()), seed()),
            probe,
            headers,
            pool,
            models,
            uris,
            cell: previous.map(|p| Arc::clone(&p.cell)).unwrap_or_default(),
            // What refused it may be mended or replaced by any edit of the target.
            ask_usage: AtomicBool::new(true),
            say_unstored: AtomicBool::new(true),
            outdated: AtomicBool::new(false),
            credential,
            compiled: compiled.clone(),
        };
        Ok(target)
    }

    /// Whether what requests see of the target is the same under this digest and credential.
    pub(crate) fn is_same(&self, digest: Digest, material: Option<&Material>) -> bool {
        self.digest == digest && self.credential.is_of(material)
    }

    /// Whether its credential is there, or it needs none.
    pub(crate) fn has_credential(&self) -> bool {
        self.credential.is_there()
    }

    /// Whether a request that has [`Self::headers`] has all of the credential that it needs.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.credential.is_applied()
    }

    /// A request whose headers, address and body are final, with its token or signature. A
    /// credential that is a header is among [`Self::headers`] already.
    pub(crate) async fn authenticate(
        &self,
        mut request: Request<Segments>,
    ) -> Result<Request<Segments>, Unissued> {
        self.credential.apply(&mut request).await?;
        Ok(request)
    }

    /// Shows the texts that go out with requests to who keeps them out of what a provider says.
    pub(crate) fn with_secrets<T>(&self, show: impl FnOnce(&[&str]) -> T) -> T {
        let secrets = self.credential.secrets();
        show(&secrets.iter().map(|secret| secret.as_str()).collect::<Vec<_>>())
    }

    /// Tells in the log where a refusal has a cause that is this machine's own.
    pub(crate) fn was_refused(&self, status: http::StatusCode, headers: &HeaderMap) {
        self.credential.refused(&self.compiled.id.to_string(), status, headers);
    }

    /// Ends the ejections that the credential before this one caused, when it is another.
    pub(crate) fn adopt(&self, previous: &Self, now: Nanos) {
        if !self.credential.is_same(&previous.credential) {
            previous.outdated.store(true, Ordering::Relaxed);
            let changed = Event::CredentialChanged;
            if self.cell.step(&self.compiled.ejection, now, changed) == Change::Healed {
                for model in &self.models {
                    model.metrics.readmitted();
                }
            }
        }
    }

    /// Whether a model of it may be asked: the worse of what ejects the target and the model.
    pub(crate) fn availability(&self, model: usize, now: Nanos) -> Availability {
        self.cell.availability(now).max(self.models[model].cell.availability(now))
    }

    /// Claims the right to ask a model.
    pub(crate) fn claim(&self, model: usize, now: Nanos, force: bool) -> bool {
        if !self.cell.claim(now, force) {
            return false;
        }
        let claimed = self.models[model].cell.claim(now, force);
        if !claimed {
            self.cell.step(&self.compiled.ejection, now, Event::Neutral);
        }
        claimed
    }

    /// Whether the statistics of that model of `other` are ones of this, too.
    pub(crate) fn shares_statistics(&self, other: &Self, model: usize) -> bool {
        let stats = &other.models[model].stats;
        let same = self.compiled.model(&other.compiled.models[model].name);
        same.is_some_and(|(ix, _)| Arc::ptr_eq(&self.models[ix].stats, stats))
    }

    /// Gives a claim back that came to nothing.
    pub(crate) fn unclaim(&self, model: usize, now: Nanos) {
        self.cell.step(&self.compiled.ejection, now, Event::Neutral);
        self.models[model].cell.step(&self.compiled.ejection, now, Event::Neutral);
    }

    /// The path of a call to one of its models; `None`: this provider has no such thing.
    pub(crate) fn uri(&self, model: usize, call: Call) -> Option<Uri> {
        if let Operation::Same(endpoint) = call.operation
            && let Some(uri) = &self.uris[endpoint as usize]
        {
            return Some(uri.clone());
        }
        let found = address(&self.compiled, &self.compiled.models[model], call)?;
        // The base was found to be one when the target was assembled, and the path is encoded.
        path(&found.url(&self.compiled.endpoint.url)).ok()
    }

    /// The cell that a fault of this scope ejects.
    pub(crate) fn cell_of(&self, scope: Scope, model: usize) -> &Cell {
        match scope {
            Scope::Target => &self.cell,
            Scope::Model => &self.models[model].cell,
        }
    }
}

impl std::fmt::Debug for LiveTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveTarget").field("id", &self.compiled.id).finish_non_exhaustive()
    }
}

impl LiveModel {
    fn new(
        target: &CompiledTarget,
        model: &CompiledModel,
        metrics: &Metrics,
        previous: Option<&LiveTarget>,
    ) -> Self {
        let label = format!("{}/{}", target.id, model.name);
        let before = previous.and_then(|p| Some(&p.models[p.compiled.model(&model.name)?.0]));
        let cell = before.map(|b| Arc::clone(&b.cell)).unwrap_or_default();
        let stats = before.map(|b| Arc::clone(&b.stats)).unwrap_or_default();
        let speaks = Speaks::new(target, model);
        Self {
            header: header_value(&label),
            metrics: metrics.target(&label),
            label: Arc::from(label),
            rewrite: Rewrite {
                model: json_string(&model.upstream_name),
                max_output_tokens: model.max_output_tokens,
                ask_usage: true,
                unstored: false,
                versioned: if speaks.is_claude_on_vertex() {
                    Versioned::ForModel
                } else {
                    Versioned::Elsewhere
                },
                encrypted: false,
            },
            speaks,
            ask_encrypted: AtomicBool::new(true),
            cell,
            stats,
        }
    }
}

/// The path of each endpoint that is passed through; `None`: this provider has none such, or it names
/// the model.
fn passed_through(target: &CompiledTarget) -> Result<Vec<Option<Uri>>, http::uri::InvalidUri> {
    let named = matches!(
        target.options,
        CompiledOptions::AzureDeployments { .. } | CompiledOptions::VertexAi { .. }
    );
    let Some(model) = target.models.first().filter(|_| !named) else {
        return Ok(vec![None; Endpoint::ALL.len()]);
    };
    let (dialect, _) = dialect(target.provider, model);
    let one = |endpoint: &Endpoint| {
        let call = Call { dialect, operation: Operation::Same(*endpoint), stream: false };
        let found = address(target, model, call);
        found.map(|found| path(&found.url(&target.endpoint.url))).transpose()
    };
    Endpoint::ALL.iter().map(one).collect()
}

/// The path of a URL, as a request's target.
fn path(url: &str) -> Result<Uri, http::uri::InvalidUri> {
    let url: Uri = url.parse()?;
    url.path_and_query().map_or("/", |path| path.as_str()).parse()
}

/// A text as a header's value; what a header cannot hold is written as `?`.
pub(crate) fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| {
        let shown: String =
            text.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect();
        HeaderValue::from_str(&shown).unwrap_or_else(|_| HeaderValue::from_static("?"))
    })
}
