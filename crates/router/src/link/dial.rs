//! Whom the link asks, whom it trusts, and how it proves who it is. The files of both are read
//! before every attempt, so that a rotation needs no restart.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use http::HeaderValue;
use routing::Digest;
use zeroize::Zeroizing;

use super::LinkError;

/// The longest token that is read, in bytes.
const MAX_TOKEN: usize = 16 << 10;

/// How controller and router know each other.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// The file with this router's ServiceAccount token; none is sent without it.
    pub token_file: Option<PathBuf>,
    /// PEM file of whom to trust as the controller; without it whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Names that are answered before DNS.
    pub resolve: Vec<(String, SocketAddr)>,
}

/// Why nobody can be asked now.
#[derive(Debug, thiserror::Error)]
pub(super) enum CannotDial {
    #[error("cannot read {path} ({flag}): {source}")]
    Read { flag: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} (--ca-file) has no certificates in PEM")]
    NoCertificates { path: PathBuf },
    #[error("{path} (--token-file) holds no token")]
    NoToken { path: PathBuf },
    #[error("cannot set up the client of the watch stream: {0}")]
    Client(#[source] reqwest::Error),
}

/// A client that trusts the controller, and what it proves itself by.
#[derive(Clone, Debug)]
pub(super) struct Dialed {
    pub(super) client: reqwest::Client,
    pub(super) authorization: Option<HeaderValue>,
}

/// Makes clients, a new one when whom to trust has changed.
#[derive(Debug)]
pub(super) struct Dialer {
    trust: Trust,
    made: Option<(Digest, reqwest::Client)>,
}

impl Dialer {
    /// One that trusts so. Files may be missing still.
    pub(super) fn new(trust: Trust) -> Result<Self, LinkError> {
        let made = match trust.ca_file {
            Some(_) => None,
            None => {
                let client = client(&trust, None).map_err(LinkError::Client)?;
                Some((Digest::default(), client))
            }
        };
        Ok(Self { trust, made })
    }

    /// A client for one attempt. It reads files, which may be on a network.
    pub(super) fn dial(&mut self) -> Result<Dialed, CannotDial> {
        let pem = match &self.trust.ca_file {
            Some(path) => read("--ca-file", path)?,
            None => Zeroizing::default(),
        };
        let digest = Digest::of(&pem);
        let known =
            self.made.as_ref().filter(|(of, _)| self.trust.ca_file.is_none() || *of == digest);
        let client = match known {
            Some((_, client)) => client.clone(),
            None => {
                let path = || self.trust.ca_file.clone().unwrap_or_default();
                let none = || CannotDial::NoCertificates { path: path() };
                let certificates =
                    reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| none())?;
                if certificates.is_empty() {
                    return Err(none());
                }
                let client = client(&self.trust, Some(certificates)).map_err(CannotDial::Client)?;
                self.made = Some((digest, client.clone()));
                client
            }
        };
        let authorization = match &self.trust.token_file {
            Some(path) => Some(bearer(path)?),
            None => None,
        };
        Ok(Dialed { client, authorization })
    }
}

fn read(flag: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, CannotDial> {
    let read = std::fs::read(path);
    read.map(Zeroizing::new).map_err(|source| CannotDial::Read {
        flag,
        path: path.to_owned(),
        source,
    })
}

fn bearer(path: &Path) -> Result<HeaderValue, CannotDial> {
    let bytes = read("--token-file", path)?;
    let none = || CannotDial::NoToken { path: path.to_owned() };
    let token = std::str::from_utf8(&bytes).map_err(|_| none())?.trim();
    if token.is_empty() || token.len() > MAX_TOKEN {
        return Err(none());
    }
    let text = Zeroizing::new(format!("Bearer {token}"));
    let mut value = HeaderValue::from_str(&text).map_err(|_| none())?;
    value.set_sensitive(true);
    Ok(value)
}

fn client(
    trust: &Trust,
    certificates: Option<Vec<reqwest::Certificate>>,
) -> Result<reqwest::Client, reqwest::Error> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .user_agent(concat!("moniker/", env!("CARGO_PKG_VERSION")));
    if let Some(certificates) = certificates {
        builder = builder.tls_certs_only(certificates);
    }
    for (name, address) in &trust.resolve {
        builder = builder.resolve(name, *address);
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use testkit::ca::Ca;

    use super::*;

    #[test]
    fn files_are_read_again_and_what_is_wrong_is_named() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let [token, ca] = ["token", "ca.crt"].map(|name| dir.path().join(name));
        let trust = Trust {
            token_file: Some(token.clone()),
            ca_file: Some(ca.clone()),
            ..Trust::default()
        };
        let mut dialer = Dialer::new(trust).unwrap();
        let failed = |dialer: &mut Dialer| dialer.dial().unwrap_err().to_string();
        assert!(failed(&mut dialer).contains("--ca-file"));
        std::fs::write(&ca, "nothing").unwrap();
        assert!(failed(&mut dialer).contains("no certificates"));
        std::fs::write(&ca, Ca::new().unwrap().pem()).unwrap();
        assert!(failed(&mut dialer).contains("--token-file"));
        std::fs::write(&token, "first-token\n").unwrap();
        let dialed = dialer.dial().unwrap();
        assert_eq!(dialed.authorization.as_ref().unwrap(), "Bearer first-token");
        assert!(!format!("{dialed:?}").contains("first-token"), "{dialed:?}");
        let made = |dialer: &Dialer| dialer.made.as_ref().unwrap().0;
        let before = made(&dialer);
        std::fs::write(&token, "two").unwrap();
        assert_eq!(dialer.dial().unwrap().authorization.unwrap(), "Bearer two");
        assert_eq!(made(&dialer), before);
        std::fs::write(&ca, Ca::new().unwrap().pem()).unwrap();
        dialer.dial().unwrap();
        assert_ne!(made(&dialer), before);
    }
}
