//! The certificate that callers see, read from files and read again when they change, so that a
//! rotation needs no restart. Connections that are open keep theirs; a pair of files that cannot be
//! used leaves the last good one in place and says so once.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use routing::Digest;
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject as _},
};
use zeroize::Zeroizing;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: want a PEM file with {want}: {source}")]
    Pem {
        /// Which.
        path: PathBuf,
        /// What should be in it.
        want: &'static str,
        /// What is wrong.
        source: pem::Error,
    },
    /// A certificate and a key that do not belong together, or that TLS cannot use.
    #[error("{cert} and {key} are no certificate and its key: {source}")]
    Pair {
        /// The file with the certificates.
        cert: PathBuf,
        /// The file with the key.
        key: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// TLS cannot be set up at all.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// The server's side of TLS, with a certificate that can be replaced.
pub struct ServerTls {
    cert: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
    config: Arc<ServerConfig>,
    /// Digest of the files when they were last looked at, good or bad.
    seen: Mutex<Digest>,
}

/// What new handshakes use.
#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl ServerTls {
    /// Reads `--tls-cert` (the server's certificate first, then those that it was issued by) and
    /// `--tls-key`. HTTP/2 and HTTP/1.1 are offered.
    pub fn from_files(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let provider = CryptoProvider::get_default()
            .cloned()
            .unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        let files = Files::read(cert, key)?;
        let current = Arc::new(Current(ArcSwap::from_pointee(files.pair(cert, key, &provider)?)));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            cert: cert.to_owned(),
            key: key.to_owned(),
            provider,
            current,
            config: Arc::new(config),
            seen: Mutex::new(files.digest()),
        })
    }

    /// What to accept connections with.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Looks at the files every two seconds, for ever. They are parsed only when they changed.
    pub async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            let this = Arc::clone(&self);
            // Files may be on a network: nothing else waits for them.
            if tokio::task::spawn_blocking(move || this.look()).await.is_err() {
                return;
            }
        }
    }

    /// Looks at the files once; a new pair that can be used is served from now on.
    pub fn look(&self) {
        let files = Files::read(&self.cert, &self.key);
        let digest = match &files {
            Ok(files) => files.digest(),
            Err(error) => Digest::of(error.to_string().as_bytes()),
        };
        if std::mem::replace(&mut *self.seen.lock(), digest) == digest {
            return;
        }
        match files.and_then(|files| files.pair(&self.cert, &self.key, &self.provider)) {
            Ok(pair) => {
                self.current.0.store(Arc::new(pair));
                tracing::info!(cert = %self.cert.display(), "a new certificate is served");
            }
            Err(error) => {
                tracing::warn!(%error, "the last good certificate is served on");
            }
        }
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("cert", &self.cert).finish_non_exhaustive()
    }
}

/// What the two files hold.
struct Files {
    cert: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Files {
    fn read(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
        };
        Ok(Self { cert: read(cert)?, key: Zeroizing::new(read(key)?) })
    }

    fn digest(&self) -> Digest {
        Digest::of_parts([self.cert.as_slice(), self.key.as_slice()])
    }

    /// The certificate with its key, which are checked to belong together. The paths are for errors.
    fn pair(
        &self,
        cert: &Path,
        key: &Path,
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, TlsError> {
        let chain = CertificateDer::pem_slice_iter(&self.cert)
            .collect::<Result<Vec<_>, _>>()
            .and_then(
                |chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) },
            )
            .map_err(bad_pem(cert, "certificates"))?;
        let private =
            PrivateKeyDer::from_pem_slice(&self.key).map_err(bad_pem(key, "a private key"))?;
        CertifiedKey::from_der(chain, private, provider).map_err(|source| TlsError::Pair {
            cert: cert.to_owned(),
            key: key.to_owned(),
            source,
        })
    }
}

fn bad_pem(path: &Path, want: &'static str) -> impl FnOnce(pem::Error) -> TlsError {
    move |source| TlsError::Pem { path: path.to_owned(), want, source }
}
