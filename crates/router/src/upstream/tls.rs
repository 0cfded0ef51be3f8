//! Whom an endpoint's certificate must come from: the public authorities, or those of its own
//! bundle and no others.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

/// The authorities that this system trusts.
pub(super) fn native_roots() -> Arc<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the system's certificate authorities were not read");
    }
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(added, ignored, "read the system's certificate authorities");
    if roots.is_empty() {
        tracing::warn!(
            "the system has no certificate authorities: install ca-certificates, or give each \
             target a CA bundle"
        );
    }
    Arc::new(roots)
}

/// The authorities of a bundle.
pub(super) fn bundle_roots(pem: &str) -> Result<Arc<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let cert = cert.map_err(|error| format!("the CA bundle is no PEM: {error}"))?;
        roots.add(cert).map_err(|error| format!("the CA bundle has a bad certificate: {error}"))?;
    }
    if roots.is_empty() {
        return Err("the CA bundle holds no certificate".to_owned());
    }
    Ok(Arc::new(roots))
}

/// How to speak TLS 1.2 or 1.3 with who has a certificate from `roots`.
pub(super) fn client(roots: Arc<RootCertStore>) -> Result<Arc<ClientConfig>, String> {
    let provider = CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
