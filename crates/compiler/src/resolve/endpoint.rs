//! Where a target is: its URL or Service, and the certificates that are trusted there.

use api::{
    ProviderTargetSpec, Reason,
    target::{Endpoint, Service},
};
use routing::{ObjectId, snapshot::CompiledOptions};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};

use super::{host, options, problems::Problems, target::Fault};
use crate::{
    text::{quote, quote_id},
    world::{Settings, World},
};

/// An endpoint that makes sense.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) url: String,
    pub(super) host: Option<String>,
    pub(super) service: bool,
    pub(super) server_name: Option<String>,
}

/// Checks what one object can decide.
pub(super) fn check(
    settings: &Settings,
    id: &ObjectId,
    (spec, options): (&ProviderTargetSpec, &CompiledOptions),
    problems: &mut Problems,
) -> Option<Place> {
    let Some(endpoint) = &spec.endpoint else {
        if spec.provider.needs_endpoint() {
            problems.add("spec.endpoint", "is missing: this provider has no address of its own");
        }
        let own = spec.provider.default_url().map(str::to_owned);
        let url = own.or_else(|| options::url(options))?;
        let host = host::host_of(&url);
        return Some(Place { url, host, service: false, server_name: None });
    };
    let (url, path) = match (&endpoint.url, &endpoint.service) {
        (Some(url), None) => (host::base_url(url, settings), "spec.endpoint.url"),
        (None, Some(service)) => {
            (service_url(settings, id, endpoint, service), "spec.endpoint.service")
        }
        (Some(_), Some(_)) => {
            problems.add("spec.endpoint", "has both `url` and `service`: keep one of them");
            return None;
        }
        (None, None) => {
            problems.add("spec.endpoint", "has neither `url` nor `service`: name one of them");
            return None;
        }
    };
    let url = match url {
        Ok(url) => url,
        Err(message) => {
            problems.add(path, message);
            return None;
        }
    };
    let server_name = endpoint.tls.as_ref().and_then(|tls| tls.server_name.clone());
    if let Some(name) = &server_name {
        problems.check(
            ServerName::try_from(name.as_str()).is_ok(),
            "spec.endpoint.tls.serverName",
            "is no host name",
        );
    }
    problems.check(
        endpoint.tls.is_none() || url.starts_with("https:"),
        "spec.endpoint.tls",
        "goes with an https URL or a service",
    );
    let host = host::host_of(&url);
    Some(Place { url, host, service: endpoint.service.is_some(), server_name })
}

fn service_url(
    settings: &Settings,
    id: &ObjectId,
    endpoint: &Endpoint,
    service: &Service,
) -> Result<String, String> {
    let Service { name, port, path_prefix } = service;
    if !is_label(name) {
        return Err(format!("has the name {}, which no Service can have", quote(name)));
    }
    if !(1..=65_535).contains(port) {
        return Err(format!("has the port {port}, and must have one of 1 to 65535"));
    }
    let prefix = path_prefix.as_deref().unwrap_or_default();
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '\\');
    if !(prefix.is_empty() || prefix.starts_with('/')) || prefix.contains(odd) {
        return Err("has a pathPrefix that is no path; write it as /v1".to_owned());
    }
    let scheme = if endpoint.tls.is_some() { "https" } else { "http" };
    let (namespace, domain) = (&id.namespace, settings.cluster_domain.trim_matches('.'));
    let text = format!("{scheme}://{name}.{namespace}.svc.{domain}:{port}{prefix}");
    let url = url::Url::parse(&text).map_err(|error| format!("makes no URL: {error}"))?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// A name that a Service can have.
fn is_label(name: &str) -> bool {
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(fine)
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
}

/// Looks its Service up.
pub(super) fn service(
    world: &World,
    id: &ObjectId,
    spec: &ProviderTargetSpec,
    faults: &mut Vec<Fault>,
) {
    const PATH: &str = "spec.endpoint.service";
    let service = spec.endpoint.as_ref().and_then(|endpoint| endpoint.service.as_ref());
    let (Some(service), Some(services)) = (service, &world.services) else { return };
    if !is_label(&service.name) {
        return;
    }
    let name = ObjectId::new(id.namespace.clone(), service.name.as_str());
    match services.get(&name) {
        None => faults.push(Fault::new(
            Reason::ServiceNotFound,
            PATH,
            format!("there is no Service {name}; create it, or correct the name"),
        )),
        Some(facts) if facts.external_name => faults.push(Fault::new(
            Reason::ServiceInvalid,
            PATH,
            format!("Service {name} is an ExternalName, which leads out of the cluster; use `url`"),
        )),
        Some(_) => {}
    }
}

/// Reads its CA bundle, if it names one.
pub(super) fn ca_bundle(
    world: &World,
    id: &ObjectId,
    spec: &ProviderTargetSpec,
    faults: &mut Vec<Fault>,
) -> Option<String> {
    const PATH: &str = "spec.endpoint.tls.caBundleRef";
    let wanted = spec.endpoint.as_ref()?.tls.as_ref()?.ca_bundle_ref.as_ref()?;
    let name = ObjectId::new(id.namespace.clone(), wanted.name.as_str());
    let key = quote(&wanted.key);
    if world.unknown_config_maps.contains(&name) {
        faults.push(Fault::unknown(Reason::CABundleNotFound, PATH, "ConfigMap", &name));
        return None;
    }
    let Some(map) = world.config_maps.get(&name) else {
        faults.push(Fault::new(
            Reason::CABundleNotFound,
            PATH,
            format!("there is no ConfigMap {}; create it", quote_id(&name)),
        ));
        return None;
    };
    let Some(pem) = map.get(&wanted.key) else {
        faults.push(Fault::new(
            Reason::CABundleNotFound,
            PATH,
            format!("ConfigMap {name} has no key {key}; add it, or correct the key"),
        ));
        return None;
    };
    if let Err(what) = check_bundle(pem) {
        faults.push(Fault::new(
            Reason::CABundleInvalid,
            PATH,
            format!("key {key} of ConfigMap {name} {what}; it must hold certificates as PEM"),
        ));
        return None;
    }
    Some(pem.clone())
}

fn check_bundle(pem: &str) -> Result<(), &'static str> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| "is no PEM")?;
        webpki::anchor_from_trusted_cert(&certificate)
            .map_err(|_| "holds a certificate that cannot be read")?;
        count += 1;
    }
    if count == 0 { Err("holds no certificate") } else { Ok(()) }
}
