//! The sockets of a fake provider: reads requests one after another and plays their scripts.

use std::{io, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Received, Shared,
    script::{Step, Steps, good},
};

/// The most bytes of a request's head.
const HEAD: usize = 64 * 1024;

/// What the last step left of a connection.
enum After {
    /// The next request may come.
    KeepAlive,
    /// Close it.
    Close,
    /// Reset it.
    Reset,
}

/// Accepts until aborted; its connections end with it.
pub(super) async fn run(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut next = 0;
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, shared, number) = (tls.clone(), Arc::clone(&shared), next);
        next += 1;
        shared.counts.send_modify(|c| c.connections += 1);
        connections.spawn(async move {
            // A peer that goes away is part of the game.
            let _ = connection(stream, tls, &shared, number).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    shared: &Shared,
    number: usize,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) => {
            let mut stream = BufReader::new(tls.accept(stream).await?);
            requests(&mut stream, shared, number).await?;
            stream.shutdown().await
        }
        None => {
            let mut stream = BufReader::new(stream);
            let reset = matches!(requests(&mut stream, shared, number).await?, After::Reset);
            if reset {
                stream.get_ref().set_zero_linger()?;
            }
            Ok(())
        }
    }
}

async fn requests<S>(stream: &mut S, shared: &Shared, number: usize) -> io::Result<After>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(received) = read(stream, number).await? {
        let (json, path) = (received.json(), received.path.clone());
        let script = shared.scripts.lock().pop_front();
        let script = script.unwrap_or_else(|| shared.default.lock().clone());
        shared.received.lock().push(received);
        shared.counts.send_modify(|c| c.requests += 1);
        let steps = match script.steps {
            Steps::Fixed(steps) => steps,
            Steps::Chat { text, usage } => good(&json, &text, usage),
            Steps::Said(speech) => speech.steps(&path, &json),
        };
        if !script.thinks.is_zero() {
            tokio::time::sleep(script.thinks).await;
        }
        match play(stream, steps).await {
            Ok(After::KeepAlive) => {}
            Ok(after) => return Ok(after),
            Err(error) => {
                shared.counts.send_modify(|c| c.left += 1);
                return Err(error);
            }
        }
    }
    Ok(After::Close)
}

async fn play<S>(stream: &mut S, steps: Vec<Step>) -> io::Result<After>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for step in steps {
        match step {
            Step::Send(bytes) => {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
            }
            Step::Forever(bytes) => loop {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
            },
            Step::Stall => {
                // Nothing more is expected from the peer but its end.
                let mut byte = [0];
                while stream.read(&mut byte).await? > 0 {}
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Step::Reset => return Ok(After::Reset),
            Step::Close => return Ok(After::Close),
        }
    }
    Ok(After::KeepAlive)
}

/// Reads one request; `None` when the peer closed between requests.
async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    connection: usize,
) -> io::Result<Option<Received>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return if head.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
        head.push(byte[0]);
        if head.len() > HEAD {
            return Err(io::Error::other("the head of a request is too long"));
        }
    }
    let text = String::from_utf8_lossy(&head);
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let mut headers = HeaderMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(io::Error::other)?;
        let value = HeaderValue::from_str(value.trim()).map_err(io::Error::other)?;
        headers.append(name, value);
    }
    let body = if headers.contains_key("transfer-encoding") {
        chunked(stream).await?
    } else {
        let length = headers.get("content-length").and_then(|v| v.to_str().ok()?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).await?;
        body
    };
    let (method, path) = (method.to_owned(), path.to_owned());
    Ok(Some(Received { method, path, headers, body, connection }))
}

async fn chunked<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(stream.read_u8().await?);
        }
        let size = String::from_utf8_lossy(&line);
        let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
        let mut part = vec![0; size + 2];
        stream.read_exact(&mut part).await?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&part[..size]);
    }
}
