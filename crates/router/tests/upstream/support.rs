//! A server whose every byte the test decides, and what the tests ask the pool for.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::BodyExt as _;
use router::upstream::{EndpointPool, Pools, Reuse, Segments, SendError, Sent, UpstreamConfig};
use routing::snapshot::CompiledEndpoint;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A request and its body are read; the head as text, the body as bytes. `None`: the peer left.
pub(crate) async fn read_request<IO: AsyncRead + Unpin>(io: &mut IO) -> Option<(String, Vec<u8>)> {
    let mut seen = Vec::new();
    loop {
        if let Some(end) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(seen[..end].to_vec()).unwrap();
            let length = head
                .lines()
                .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            let mut body = seen[end + 4..].to_vec();
            let have = body.len();
            body.resize(length, 0);
            io.read_exact(&mut body[have..]).await.ok()?;
            return Some((head, body));
        }
        let mut buf = [0; 4096];
        match io.read(&mut buf).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => seen.extend_from_slice(&buf[..n]),
        }
    }
}

/// A response with this body.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Answers every request of a connection with what `answer` makes of its body.
pub(crate) async fn answer_all<IO: AsyncRead + AsyncWrite + Unpin>(mut io: IO, body: &str) {
    while read_request(&mut io).await.is_some() {
        if io.write_all(ok(body).as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A server: where it is, and how many connections it took.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Server {
    /// Runs `serve` for each connection, with its number from 0.
    pub(crate) async fn start<F, Fut>(serve: F) -> Self
    where
        F: Fn(usize, TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(count.fetch_add(1, Ordering::SeqCst), stream));
            }
        });
        Self { address, accepted }
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Its plain HTTP endpoint.
    pub(crate) fn endpoint(&self) -> CompiledEndpoint {
        endpoint(&format!("http://{}", self.address))
    }
}

pub(crate) fn endpoint(url: &str) -> CompiledEndpoint {
    CompiledEndpoint { url: url.to_owned(), service: false, ca_bundle: None, server_name: None }
}

/// Pools as `moniker dev` has them.
pub(crate) fn dev() -> Pools {
    Pools::new(UpstreamConfig { dev: true, ..UpstreamConfig::default() })
}

pub(crate) fn post(pool: &EndpointPool, body: impl Into<Segments>) -> Request<Segments> {
    let request = Request::post("/v1/chat/completions");
    let request = match pool.host() {
        Some(host) => request.header(header::HOST, host),
        None => request,
    };
    request.body(body.into()).unwrap()
}

/// Sends a body.
pub(crate) async fn send(pool: &Arc<EndpointPool>, body: &'static str) -> Result<Sent, SendError> {
    let request = post(pool, Bytes::from_static(body.as_bytes()));
    pool.send(request, Reuse::Allowed, PATIENCE).await
}

/// Sends and reads the answer: its text, and whether the connection was reused.
pub(crate) async fn ask(pool: &Arc<EndpointPool>) -> (String, bool) {
    let Sent { response, reused } = send(pool, "{}").await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (String::from_utf8(body.to_vec()).unwrap(), reused)
}
