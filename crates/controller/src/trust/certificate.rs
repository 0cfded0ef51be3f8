//! The certificate that routers see: replaced while connections are open, which keep theirs.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// A certificate with its key, which belong together.
#[derive(Clone, Debug)]
pub(super) struct Pair(Arc<CertifiedKey>);

/// What is no certificate with its key.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("want PEM with certificates: {0}")]
    Certificate(#[source] pem::Error),
    #[error("want PEM with a private key: {0}")]
    Key(#[source] pem::Error),
    #[error("they do not belong together, or TLS cannot use them: {0}")]
    Pair(#[from] rustls::Error),
}

impl Pair {
    /// From PEM: the certificate first, then those that it was issued by; and its key.
    pub(super) fn new(certificates: &[u8], key: &[u8]) -> Result<Self, Unusable> {
        let chain = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<Vec<_>, _>>()
            .and_then(|c| if c.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(c) })
            .map_err(Unusable::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(Unusable::Key)?;
        Ok(Self(Arc::new(CertifiedKey::from_der(chain, key, &provider())?)))
    }
}

/// What new handshakes use; nothing until it is known.
#[derive(Debug, Default)]
struct Current(ArcSwapOption<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

/// The server's side of the stream's TLS.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    current: Arc<Current>,
    config: Arc<ServerConfig>,
}

impl Certificates {
    /// Without a certificate yet, so that no handshake succeeds. HTTP/2 and HTTP/1.1 are offered.
    pub(crate) fn new() -> Result<Self, rustls::Error> {
        let current = Arc::new(Current::default());
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { current, config: Arc::new(config) })
    }

    /// What to accept connections with.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// From now on handshakes use this one.
    pub(super) fn serve(&self, pair: Pair) {
        self.current.0.store(Some(pair.0));
    }
}

/// The one provider of the process; in tests there may be none yet.
fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}
