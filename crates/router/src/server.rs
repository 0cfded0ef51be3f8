//! Callers' connections: accepting, TLS, HTTP/1.1 and HTTP/2 on one port, the timers that end
//! what a slow or silent peer would hold open, and a shutdown that finishes what has begun.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::{
    conn::{Lengths, Watched},
    pipeline::Traffic,
    tls::ServerTls,
};

/// How long the first bytes of a connection, and a TLS handshake, may take.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(10);
/// The buffer for a head: larger than the limit that is named in the error, so that it is ours that
/// answers.
const HEAD_BUFFER: usize = 64 * 1024;
/// Likewise for the number of headers.
const HEAD_FIELDS: usize = 256;
/// How long accepting pauses when no descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens on `addr`; an unspecified IPv6 address takes IPv4 too, and is 0.0.0.0 where there is no
/// IPv6.
pub async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(addr).await {
        Err(error)
            if addr.is_ipv6()
                && addr.ip().is_unspecified()
                && error.kind() != io::ErrorKind::AddrInUse =>
        {
            TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, addr.port())).await
        }
        other => other,
    }
}

/// Serves until `stop`, then finishes the requests and streams that have begun.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerTls>>,
    traffic: Arc<Traffic>,
    stop: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    let builder = Arc::new(builder());
    let mut paused = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if is_of_the_connection(&error) => continue,
            Err(error) => {
                if !paused {
                    tracing::error!(%error, "accepting connections pauses");
                    paused = true;
                }
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if paused {
            tracing::info!("accepting connections again");
            paused = false;
        }
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            builder: Arc::clone(&builder),
            traffic: Arc::clone(&traffic),
            watcher: graceful.watcher(),
        };
        match &tls {
            None => drop(tokio::spawn(connection.serve(stream))),
            Some(tls) => drop(tokio::spawn(connection.serve_tls(stream, Arc::clone(tls)))),
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Errors of accept(2) that concern one connection alone.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // No `pipeline_flush`: with it, hyper buffers without bound what a slow caller does not read.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BUFFER)
        .max_headers(HEAD_FIELDS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .keep_alive_timeout(Duration::from_secs(10))
        .max_concurrent_streams(256)
        .max_header_list_size(64 * 1024)
        .max_pending_accept_reset_streams(Some(20))
        .max_send_buf_size(64 * 1024);
    builder
}

/// What serving one connection takes.
struct Connection {
    builder: Arc<auto::Builder<TokioExecutor>>,
    traffic: Arc<Traffic>,
    watcher: hyper_util::server::graceful::Watcher,
}

impl Connection {
    async fn serve_tls(self, stream: TcpStream, tls: Arc<ServerTls>) {
        let acceptor = TlsAcceptor::from(tls.config());
        match timeout(FIRST_BYTE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        }
    }

    async fn serve<IO>(self, stream: IO)
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let lengths = Arc::new(Lengths::default());
        let io = TokioIo::new(Watched::new(stream, FIRST_BYTE, Arc::clone(&lengths)));
        let traffic = self.traffic;
        let service = service_fn(move |request| {
            let (traffic, lengths) = (Arc::clone(&traffic), Arc::clone(&lengths));
            async move { Ok::<_, std::convert::Infallible>(traffic.handle(&lengths, request).await) }
        });
        let connection = self.builder.serve_connection(io, service).into_owned();
        if let Err(error) = self.watcher.watch(connection).await {
            tracing::debug!(%error, "connection ended");
        }
    }
}
