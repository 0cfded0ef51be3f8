//! The server's certificate, from files that are replaced while it serves.
#![cfg(test)]

use std::{path::PathBuf, sync::Arc};

use router::tls::{ServerTls, TlsError};
use testkit::ca::{Ca, Signed};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

struct Files {
    _dir: tempfile::TempDir,
    cert: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new(signed: &Signed) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let files =
            Self { cert: dir.path().join("tls.crt"), key: dir.path().join("tls.key"), _dir: dir };
        files.write(signed);
        files
    }

    fn write(&self, signed: &Signed) {
        std::fs::write(&self.cert, &signed.certificate).unwrap();
        std::fs::write(&self.key, &signed.key).unwrap();
    }

    fn serve(&self) -> Result<ServerTls, TlsError> {
        ServerTls::from_files(&self.cert, &self.key)
    }
}

/// A handshake with the server, as a client of `ca` that offers `alpn`.
async fn handshake(tls: &ServerTls, ca: &Ca, alpn: &[&str]) -> TlsStream<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(tls.config());
    tokio::spawn(async move {
        let (io, _) = listener.accept().await.unwrap();
        let _ = acceptor.accept(io).await;
    });
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    let io = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("router.test").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, io).await.unwrap()
}

/// The certificate that a handshake now sees.
async fn served(tls: &ServerTls, ca: &Ca) -> CertificateDer<'static> {
    let stream = handshake(tls, ca, &[]).await;
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

fn der(signed: &Signed) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(signed.certificate.as_bytes()).unwrap()
}

#[tokio::test]
async fn http_2_and_http_1_are_offered() {
    let ca = Ca::new().unwrap();
    let tls = Files::new(&ca.sign(&["router.test"]).unwrap()).serve().unwrap();
    for (offered, chosen) in [(["h2", "http/1.1"], "h2"), (["http/1.1", "x"], "http/1.1")] {
        let stream = handshake(&tls, &ca, &offered).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(chosen.as_bytes()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_certificate_is_served_without_a_restart() {
    let ca = Ca::new().unwrap();
    let (first, second) = (ca.sign(&["router.test"]).unwrap(), ca.sign(&["router.test"]).unwrap());
    let files = Files::new(&first);
    let tls = Arc::new(files.serve().unwrap());
    assert_eq!(served(&tls, &ca).await, der(&first));
    files.write(&second);
    let watch = tokio::spawn(Arc::clone(&tls).watch());
    while served(&tls, &ca).await != der(&second) {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    watch.abort();
}

#[tokio::test]
async fn bad_files_leave_the_last_good_certificate() {
    let ca = Ca::new().unwrap();
    let (first, second) = (ca.sign(&["router.test"]).unwrap(), ca.sign(&["router.test"]).unwrap());
    let files = Files::new(&first);
    let tls = files.serve().unwrap();
    for bad in [
        Signed { certificate: String::new(), ..first.clone() },
        Signed { key: "no key".to_owned(), ..first.clone() },
        Signed { key: second.key.clone(), ..first.clone() },
    ] {
        files.write(&bad);
        tls.look();
        assert_eq!(served(&tls, &ca).await, der(&first));
    }
    std::fs::remove_file(&files.key).unwrap();
    tls.look();
    assert_eq!(served(&tls, &ca).await, der(&first));
    files.write(&second);
    tls.look();
    assert_eq!(served(&tls, &ca).await, der(&second));
}

#[test]
fn what_is_wrong_with_the_files_is_said() {
    let ca = Ca::new().unwrap();
    let (first, second) = (ca.sign(&["router.test"]).unwrap(), ca.sign(&["router.test"]).unwrap());
    let files = Files::new(&first);
    let said = |bad: Signed| {
        files.write(&bad);
        files.serve().unwrap_err().to_string()
    };
    let error = said(Signed { certificate: "x".to_owned(), ..first.clone() });
    assert!(error.contains("tls.crt") && error.contains("certificates"), "{error}");
    let error = said(Signed { key: second.key.clone(), ..first.clone() });
    assert!(error.contains("tls.crt") && error.contains("tls.key"), "{error}");
    assert!(!error.contains("PRIVATE"), "{error}");
    std::fs::remove_file(&files.cert).unwrap();
    let error = files.serve().unwrap_err().to_string();
    assert!(error.contains("tls.crt"), "{error}");
}
