//! A load generator: so many connections, each a thread that sends its next request when the last
//! one is answered. It checks every answer, since a proxy is quickest at refusing.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// What is sent, and what must come back.
#[derive(Debug)]
pub(super) struct Exchange {
    /// The whole request, head and body.
    pub(super) request: Vec<u8>,
    /// The body of every answer.
    pub(super) answer: Vec<u8>,
}

/// What came of a round.
#[derive(Debug)]
pub(super) struct Round {
    /// Requests that were answered.
    pub(super) requests: u64,
    /// How long it took.
    pub(super) took: Duration,
    /// The latencies of all requests, sorted.
    latencies: Vec<Duration>,
}

impl Round {
    /// The latency that this share of requests was below.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into a list of latencies"
        )]
        let at = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(at).or(self.latencies.last()).copied().unwrap_or_default()
    }
}

/// Sends requests over so many connections for so long.
pub(super) fn run(
    to: SocketAddr,
    exchange: &Exchange,
    connections: usize,
    length: Duration,
) -> Result<Round> {
    let stop = AtomicBool::new(false);
    let started = Instant::now();
    let mut latencies = thread::scope(|scope| -> Result<Vec<Duration>> {
        let senders: Vec<_> = (0..connections)
            .map(|_| {
                let send = || one(to, exchange, &stop).inspect_err(|_| halt(&stop));
                thread::Builder::new().stack_size(128 << 10).spawn_scoped(scope, send)
            })
            .collect::<std::io::Result<_>>()?;
        while started.elapsed() < length && !stop.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(10));
        }
        halt(&stop);
        let mut all = Vec::new();
        for sender in senders {
            match sender.join() {
                Ok(latencies) => all.extend(latencies?),
                Err(_) => bail!("a connection of the load generator panicked"),
            }
        }
        Ok(all)
    })?;
    latencies.sort_unstable();
    Ok(Round { requests: latencies.len() as u64, took: started.elapsed(), latencies })
}

fn halt(stop: &AtomicBool) {
    stop.store(true, Ordering::Relaxed);
}

/// One connection's requests.
fn one(to: SocketAddr, exchange: &Exchange, stop: &AtomicBool) -> Result<Vec<Duration>> {
    let mut io = TcpStream::connect(to).with_context(|| format!("no connection to {to}"))?;
    io.set_nodelay(true)?;
    io.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut buffer = vec![0; 16 << 10];
    let mut latencies = Vec::with_capacity(8 << 10);
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        io.write_all(&exchange.request)?;
        answered(&mut io, &mut buffer, &exchange.answer)?;
        latencies.push(started.elapsed());
    }
    Ok(latencies)
}

/// Reads one answer, which must be the expected one.
fn answered(io: &mut TcpStream, buffer: &mut [u8], expected: &[u8]) -> Result<()> {
    let mut filled = 0;
    loop {
        let got = io.read(&mut buffer[filled..]).context("no answer")?;
        filled += got;
        let seen = &buffer[..filled];
        if let Some(head) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
            let body = &seen[head + 4..];
            if !seen.starts_with(b"HTTP/1.1 200") {
                bail!("an answer is no 200: {}", String::from_utf8_lossy(seen));
            }
            if body.len() >= expected.len() {
                if body != expected {
                    bail!("an answer is another: {}", String::from_utf8_lossy(seen));
                }
                return Ok(());
            }
        }
        if got == 0 {
            bail!("an answer is cut: {}", String::from_utf8_lossy(seen));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn serve(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for io in listener.incoming() {
                let mut io = io.unwrap();
                thread::spawn(move || {
                    let mut buffer = [0; 64];
                    while io.read(&mut buffer).is_ok_and(|n| n > 0) && io.write_all(answer).is_ok()
                    {
                    }
                });
            }
        });
        address
    }

    #[test]
    fn only_right_answers_count() {
        let exchange =
            Exchange { request: b"GET / HTTP/1.1\r\n\r\n".to_vec(), answer: b"ok".to_vec() };
        let round = |answer| run(serve(answer), &exchange, 3, Duration::from_millis(50));
        let good = round(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        assert!(good.requests >= 3 && good.quantile(0.5) <= good.quantile(1.0));
        let error = round(b"HTTP/1.1 502 Bad Gateway\r\n\r\nok").unwrap_err().to_string();
        assert!(error.contains("no 200"), "{error}");
        let error = round(b"HTTP/1.1 200 OK\r\n\r\nko").unwrap_err().to_string();
        assert!(error.contains("another"), "{error}");
    }
}
