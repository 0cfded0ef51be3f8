//! Whom the pool believes to be the provider.

use std::sync::Arc;

use router::upstream::{Pools, SendError, Stage, UpstreamConfig};
use routing::snapshot::CompiledEndpoint;
use testkit::ca::{Ca, Signed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig, SupportedProtocolVersion,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        version,
    },
};

use crate::support::{Server, answer_all, ask, endpoint, send};

fn acceptor(signed: &Signed, versions: &[&'static SupportedProtocolVersion]) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(signed.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn server(acceptor: TlsAcceptor) -> Server {
    Server::start(move |_, io| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(io).await {
                answer_all(stream, "secret").await;
            }
        }
    })
    .await
}

/// `api.test`, at the server, trusting `ca`.
fn pools(server: &Server) -> Pools {
    Pools::new(UpstreamConfig {
        allow_cidrs: vec!["127.0.0.0/8".parse().unwrap()],
        resolve: vec![("api.test".to_owned(), server.address)],
        dev: false,
        ..UpstreamConfig::default()
    })
}

fn trusting(url: &str, ca: &Ca) -> CompiledEndpoint {
    CompiledEndpoint { ca_bundle: Some(ca.pem().to_owned()), ..endpoint(url) }
}

async fn refusal(pools: &Pools, endpoint: &CompiledEndpoint) -> String {
    match send(&pools.pool(endpoint), "{}").await.unwrap_err() {
        SendError::Connect { stage: Stage::Tls, message } => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_under_the_endpoints_own_authority_is_believed() {
    let ca = Ca::new().unwrap();
    let signed = ca.sign(&["api.test", "127.0.0.1"]).unwrap();
    for version in [&version::TLS12, &version::TLS13] {
        let server = server(acceptor(&signed, &[version])).await;
        let pools = pools(&server);
        let pool = pools.pool(&trusting("https://api.test/v1", &ca));
        assert_eq!(ask(&pool).await, ("secret".to_owned(), false));
        assert_eq!(ask(&pool).await, ("secret".to_owned(), true));
        let by_address = format!("https://{}", server.address);
        assert_eq!(ask(&pools.pool(&trusting(&by_address, &ca))).await.0, "secret");
        assert_eq!(server.accepted(), 2);
    }
}

#[tokio::test]
async fn another_name_is_refused_unless_it_is_the_one_that_is_wanted() {
    let ca = Ca::new().unwrap();
    let signed = ca.sign(&["internal.test"]).unwrap();
    let server = server(acceptor(&signed, &[&version::TLS13])).await;
    let pools = pools(&server);
    let mut endpoint = trusting("https://api.test", &ca);
    let message = refusal(&pools, &endpoint).await;
    assert!(message.contains("api.test") && message.contains("not valid for name"), "{message}");
    endpoint.server_name = Some("internal.test".to_owned());
    assert_eq!(ask(&pools.pool(&endpoint)).await.0, "secret");
}

#[tokio::test]
async fn expired_and_strange_certificates_are_refused() {
    let ca = Ca::new().unwrap();
    let expired = ca
        .sign_with(&["api.test"], |params| {
            params.not_before = rcgen::date_time_ymd(2019, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        })
        .unwrap();
    let old = server(acceptor(&expired, &[&version::TLS13])).await;
    let message = refusal(&pools(&old), &trusting("https://api.test", &ca)).await;
    assert!(message.contains("expired"), "{message}");

    let strange = Ca::new().unwrap().sign(&["api.test"]).unwrap();
    let strange = server(acceptor(&strange, &[&version::TLS13])).await;
    let message = refusal(&pools(&strange), &trusting("https://api.test", &ca)).await;
    assert!(message.contains("invalid peer certificate"), "{message}");
    // Nor do the public authorities know it.
    let message = refusal(&pools(&strange), &endpoint("https://api.test")).await;
    assert!(message.contains("UnknownIssuer"), "{message}");
}

#[tokio::test]
async fn no_tls_and_half_of_it_are_refused() {
    let plain = Server::start(|_, mut io| async move {
        let _ = io.read(&mut [0; 16]).await;
        let _ = io.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let ca = Ca::new().unwrap();
    refusal(&pools(&plain), &trusting("https://api.test", &ca)).await;
    let cut = Server::start(|_, mut io| async move {
        let _ = io.read(&mut [0; 16]).await;
    })
    .await;
    refusal(&pools(&cut), &trusting("https://api.test", &ca)).await;
}

#[tokio::test]
async fn a_new_bundle_is_a_new_pool_and_a_bad_one_says_so() {
    let (ca, other) = (Ca::new().unwrap(), Ca::new().unwrap());
    let server = server(acceptor(&ca.sign(&["api.test"]).unwrap(), &[&version::TLS13])).await;
    let pools = pools(&server);
    let pool = pools.pool(&trusting("https://api.test", &ca));
    ask(&pool).await;
    let changed = trusting("https://api.test", &other);
    assert!(!Arc::ptr_eq(&pool, &pools.pool(&changed)));
    refusal(&pools, &changed).await;
    for (pem, why) in [
        ("", "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "bad certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA", "no PEM"),
    ] {
        let bad =
            CompiledEndpoint { ca_bundle: Some(pem.to_owned()), ..endpoint("https://api.test") };
        let message = refusal(&pools, &bad).await;
        assert!(message.contains(why), "{message}");
    }
}
