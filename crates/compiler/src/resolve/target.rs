//! A ProviderTarget as it is meant: rules checked, defaults applied, its Service, Secret and CA
//! bundle looked up.

use std::collections::BTreeSet;

use api::{ProviderTarget, ProviderTargetSpec, Reason};
use routing::{
    ObjectId,
    snapshot::{CompiledEjection, CompiledEndpoint, CompiledModel, CompiledTarget, Exported},
};

use super::{
    auth, endpoint, export, options, price,
    problems::{At, Problems},
    quota,
};
use crate::{
    credential::{self, CredentialState},
    world::{Stored, World},
};

const MAX_MODELS: usize = 256;
const MAX_HEADERS: usize = 16;

/// A target and everything that is known of it.
#[derive(Debug)]
pub(crate) struct ResolvedTarget<'a> {
    /// What routers are told, or the reason for which they keep what they have.
    pub(crate) value: Result<CompiledTarget, Fault>,
    /// The models that it offers, invalid or not.
    pub(crate) offers: BTreeSet<&'a str>,
    /// Who may use it.
    pub(crate) export: Exported,
    /// Why it is exported to fewer than was asked for.
    pub(crate) export_fault: Option<(Reason, String)>,
    /// What is wrong with it, first what its own spec decides.
    pub(crate) faults: Vec<Fault>,
    /// No new requests.
    pub(crate) cordoned: bool,
    /// Its credential; `None`: whoever has one keeps it.
    pub(crate) credential: Option<CredentialState>,
}

/// What is wrong with a target.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) message: String,
    pub(crate) path: &'static str,
    /// What it names cannot be read, so that it may as well be there.
    unknown: bool,
}

impl Fault {
    pub(super) fn new(reason: Reason, path: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), path, unknown: false }
    }

    /// What is named cannot be read, so that it may as well be there.
    pub(super) fn unknown(reason: Reason, path: &'static str, kind: &str, name: &ObjectId) -> Self {
        let message = format!(
            "{kind} {name} cannot be read, so routers keep what they have of it; let the \
             controller get, list and watch {kind}s there"
        );
        Self { unknown: true, ..Self::new(reason, path, message) }
    }

    /// Whether routers go on with what they have: the form or credential that was good last.
    /// Otherwise a right or a thing is gone, and the target is out at once.
    pub(crate) fn keeps(&self) -> bool {
        self.unknown
            || matches!(
                self.reason,
                Reason::InvalidSpec | Reason::SecretInvalid | Reason::CABundleInvalid
            )
    }

    /// Whether there is no form to tell routers of.
    fn holds(&self) -> bool {
        matches!(
            self.reason,
            Reason::InvalidSpec | Reason::CABundleInvalid | Reason::CABundleNotFound
        )
    }
}

impl<'a> ResolvedTarget<'a> {
    pub(crate) fn of(world: &World, id: &ObjectId, stored: &'a Stored<ProviderTarget>) -> Self {
        let (spec, created) = (&stored.object.spec, stored.created);
        let mut problems = Problems::default();
        let mut faults = Vec::new();
        export::check(spec.export.as_ref(), &mut problems);
        let options = options::check(spec, &mut problems);
        let place = endpoint::check(&world.settings, id, (spec, &options), &mut problems);
        let headers = headers(spec, &mut problems);
        let mut auth = auth::check(spec, &mut problems);
        let models = models(spec, &mut problems);
        let ejection = ejection(spec, &mut problems);
        let quotas = quota::quotas(spec, &mut problems);
        let max_in_flight = quota::max_in_flight(spec, &mut problems);
        let probe = quota::probe(spec, &mut problems);
        if let Some(message) = problems.message() {
            faults.push(Fault::new(Reason::InvalidSpec, "spec", message));
        }
        let ca_bundle = endpoint::ca_bundle(world, id, spec, &mut faults);
        endpoint::service(world, id, spec, &mut faults);
        auth.identity = auth::identity(world, id, &spec.auth, &mut faults);
        let host = place.as_ref().and_then(|place| place.host.as_deref());
        let held = faults.iter().any(Fault::holds);
        let credential = auth::credential(world, id, &spec.auth, (host, held), &mut faults);
        let (export, export_fault) = export::resolve(world, id, spec.export.as_ref());
        let cordoned = spec.cordoned.unwrap_or(false);
        let value = match (faults.iter().find(|f| f.holds()), place) {
            (None, Some(place)) => Ok(CompiledTarget {
                id: id.clone(),
                created,
                provider: spec.provider,
                options,
                endpoint: CompiledEndpoint {
                    url: place.url,
                    service: place.service,
                    ca_bundle,
                    server_name: place.server_name,
                },
                auth,
                headers,
                models,
                ejection,
                cordoned,
                quotas,
                max_in_flight,
                probe,
            }),
            (Some(fault), _) => Err(fault.clone()),
            // An endpoint that is none is a problem of the spec, and so a fault already.
            (None, None) => Err(Fault::new(Reason::InvalidSpec, "spec.endpoint", "is missing")),
        };
        let offers = spec.models.iter().take(MAX_MODELS).map(|m| m.name.as_str()).collect();
        Self { value, offers, export, export_fault, faults, cordoned, credential }
    }

    /// Whether it wants the routers' own identity and may not use it.
    pub(crate) fn lost_identity(&self) -> bool {
        self.faults.iter().any(|fault| fault.reason == Reason::IdentityNotPermitted)
    }

    /// The version of its credential, to be shown.
    pub(crate) fn credential_version(&self, world: &World, id: &ObjectId) -> Option<String> {
        let Some(CredentialState::Present { material, .. }) = &self.credential else { return None };
        Some(credential::version(&world.settings.credential_version_key, id, material))
    }
}

fn models(spec: &ProviderTargetSpec, problems: &mut Problems) -> Vec<CompiledModel> {
    let count = spec.models.len();
    problems.check(count > 0, "spec.models", "is empty: name the models that it serves");
    problems.check(
        count <= MAX_MODELS,
        "spec.models",
        format_args!("has {count} models, and at most {MAX_MODELS} are supported"),
    );
    let mut names = BTreeSet::new();
    let mut out = Vec::with_capacity(count.min(MAX_MODELS));
    for (i, model) in spec.models.iter().take(MAX_MODELS).enumerate() {
        let path = format!("spec.models[{i}]");
        let at = |field| At(&path, field);
        problems.name(&model.name, 253, at("name"));
        problems.check(
            names.insert(model.name.as_str()),
            at("name"),
            "is the name of an earlier model as well",
        );
        if let Some(name) = &model.upstream_name {
            problems.name(name, 512, at("upstreamName"));
        }
        if let Some(family) = &model.family {
            problems.name(family, 253, at("family"));
        }
        let mut tokens = |value: Option<i64>, field| {
            let value = value?;
            let tokens = u64::try_from(value).ok().filter(|tokens| *tokens > 0);
            problems.check(
                tokens.is_some(),
                at(field),
                format_args!("is {value}, and must be above 0"),
            );
            tokens
        };
        let context_window = tokens(model.context_window, "contextWindow");
        let max_output_tokens = tokens(model.max_output_tokens, "maxOutputTokens");
        problems.check(
            model.capabilities.as_ref().is_none_or(|list| !list.is_empty()),
            at("capabilities"),
            "is empty: leave it out for what the provider's models can do",
        );
        out.push(CompiledModel {
            name: model.name.clone(),
            upstream_name: model.upstream_name.clone().unwrap_or_else(|| model.name.clone()),
            family: model.family.clone(),
            context_window,
            max_output_tokens,
            capabilities: match &model.capabilities {
                Some(named) => named.iter().copied().collect(),
                None => spec.provider.unstated_capabilities(),
            },
            price: model
                .price
                .as_ref()
                .map(|price| price::price(price, &At(&path, "price").to_string(), problems)),
        });
    }
    out
}

fn headers(spec: &ProviderTargetSpec, problems: &mut Problems) -> Vec<(String, String)> {
    let Some(written) = &spec.headers else { return Vec::new() };
    problems.check(
        written.len() <= MAX_HEADERS,
        "spec.headers",
        format_args!("has more than {MAX_HEADERS} headers"),
    );
    let carries_key = spec.auth.header.as_ref().map(|header| header.name.to_ascii_lowercase());
    let mut out: Vec<(String, String)> = Vec::new();
    for (name, value) in written.iter().take(MAX_HEADERS) {
        let lower = name.to_ascii_lowercase();
        let path = format!("spec.headers[{}]", crate::text::quote(name));
        problems.check(auth::is_token(&lower), &path, "is no header name");
        if auth::is_reserved(&lower) || carries_key.as_ref() == Some(&lower) {
            problems.add(
                &path,
                "may not be set here: a credential belongs in a Secret that spec.auth names, and \
                 the connection's own headers to the router",
            );
        }
        let visible = |b: &u8| b.is_ascii_graphic();
        let printable = value.bytes().all(|b| visible(&b) || b == b' ')
            && value.as_bytes().first().is_some_and(visible)
            && value.as_bytes().last().is_some_and(visible);
        problems.check(printable, &path, "must have a value of visible ASCII, spaces inside only");
        problems.check(out.iter().all(|(n, _)| *n != lower), &path, "is there in another case too");
        out.push((lower, value.clone()));
    }
    out.sort();
    out
}

fn ejection(spec: &ProviderTargetSpec, problems: &mut Problems) -> CompiledEjection {
    let default = CompiledEjection::default();
    let Some(written) = &spec.ejection else { return default };
    let base = problems.duration(written.base.as_deref(), "spec.ejection.base");
    let max = problems.duration(written.max.as_deref(), "spec.ejection.max");
    let out = CompiledEjection {
        consecutive_failures: problems.number(
            written.consecutive_failures,
            (1, 1000),
            default.consecutive_failures,
            "spec.ejection.consecutiveFailures",
        ),
        base_ms: base.unwrap_or(default.base_ms),
        max_ms: max.unwrap_or(default.max_ms),
    };
    problems.check(out.base_ms <= out.max_ms, "spec.ejection.base", "is longer than `max`");
    out
}
