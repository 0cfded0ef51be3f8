//! Callers over TLS: HTTP/1.1 and HTTP/2 on one port, with the certificate from files.

use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    rig::{Answer, Rig, World, ask},
    upstream::{Upstream, chat},
};

async fn connect(rig: &Rig, roots: RootCertStore, alpn: &[u8]) -> TlsStream<TcpStream> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let stream = TcpStream::connect(rig.addr).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test]
async fn both_versions_are_served_over_tls() {
    let _ = aws_lc_rs::default_provider().install_default();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = tempfile::tempdir().unwrap();
    let (cert, key) = (files.path().join("tls.crt"), files.path().join("tls.key"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();

    let only = Upstream::always(chat("ok")).await;
    let tls = router::tls::ServerTls::from_files(&cert, &key).unwrap();
    let rig = Rig::over_tls(World::over(&[&only]), Arc::new(tls)).await;

    let stream = connect(&rig, roots.clone(), b"http/1.1").await;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let driving = tokio::spawn(connection);
    let request = rig.request("/v1/chat/completions", ask().into(), &[]);
    let answer = Answer::of(sender.send_request(request).await.unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    driving.abort();

    let stream = connect(&rig, roots, b"h2").await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let driving = tokio::spawn(connection);
    let mut request = rig.request("/v1/chat/completions", ask().into(), &[]);
    request.headers_mut().remove("host");
    *request.uri_mut() = "https://localhost/v1/chat/completions".parse().unwrap();
    let answer = Answer::of(sender.send_request(request).await.unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    driving.abort();
}
