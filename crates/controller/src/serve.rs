//! Serves routes on a port, with the timers that end what a slow peer would hold open.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Extension;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::trust::{Callers, Peer};

/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(10);
/// How long accepting pauses when no descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long requests that have begun may take to end.
const LINGER: Duration = Duration::from_secs(5);

/// Listens on this address; an unspecified IPv6 address takes IPv4 too, and is 0.0.0.0 where there
/// is no IPv6.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error)
            if address.is_ipv6()
                && address.ip().is_unspecified()
                && error.kind() != io::ErrorKind::AddrInUse =>
        {
            TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        other => other,
    }
}

/// What a TLS connection begins with, and no request does.
const HANDSHAKE: u8 = 22;
/// What is said to who speaks plain HTTP.
const SPEAK_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\
    content-length: 45\r\n\r\nthis port speaks TLS alone: ask by https://.\n";

/// TLS on a port, and who is told of what came without.
#[derive(Clone)]
pub(crate) struct Secure {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) callers: Callers,
}

/// Serves until `stop`, then lets requests that have begun end.
pub(crate) async fn serve(listener: TcpListener, routes: axum::Router, stop: CancellationToken) {
    serve_with(listener, routes, None, stop).await;
}

/// The same under TLS, where it is given.
pub(crate) async fn serve_with(
    listener: TcpListener,
    routes: axum::Router,
    secure: Option<Secure>,
    stop: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection was not accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let routes = routes.clone().layer(Extension(Peer(peer)));
        let watcher = graceful.watcher();
        let secure = secure.clone();
        tokio::spawn(async move {
            match secure {
                None => connection(stream, routes, watcher).await,
                Some(secure) => {
                    // A handshake may take as long as a head.
                    if let Ok(Some(stream)) = timeout(HEAD, handshake(stream, peer, &secure)).await
                    {
                        connection(stream, routes, watcher).await;
                    }
                }
            }
        });
    }
    drop(listener);
    let _ = timeout(LINGER, graceful.shutdown()).await;
}

/// A connection under TLS; `None` where the peer does not speak it.
async fn handshake(
    mut stream: TcpStream,
    peer: SocketAddr,
    secure: &Secure,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    let mut first = [0; 1];
    match stream.peek(&mut first).await {
        Ok(1..) if first[0] == HANDSHAKE => {}
        Ok(1..) => {
            secure.callers.plain(peer);
            // Whether it can still be told is up to the peer.
            let _ = stream.write_all(SPEAK_TLS).await;
            let _ = stream.shutdown().await;
            return None;
        }
        Ok(_) | Err(_) => return None,
    }
    let acceptor = TlsAcceptor::from(Arc::clone(&secure.config));
    acceptor
        .accept(stream)
        .await
        .inspect_err(|error| tracing::debug!(%peer, %error, "a handshake failed"))
        .ok()
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    routes: axum::Router,
    watcher: Watcher,
) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder.http2().timer(TokioTimer::new());
    let service = TowerToHyperService::new(routes);
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
}
