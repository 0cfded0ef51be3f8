//! A provider that does what a test says, byte by byte, on a real socket: answers, hangs, resets,
//! and sees when its peer goes away.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// One thing that the provider does after it has read a request.
#[derive(Clone, Debug)]
pub(crate) enum Do {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Waits until [`Upstream::go_on`].
    Wait,
    /// Waits until its peer closes.
    Hang,
    /// Closes at once, with a reset.
    Reset,
    /// Closes.
    Close,
    /// Pauses so long.
    Pause(Duration),
}

/// A request that the provider saw.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (n, v) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| v.trim())
        })
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

#[derive(Default)]
struct State {
    scripts: VecDeque<Vec<Do>>,
    always: Vec<Do>,
    seen: Vec<Seen>,
}

pub(crate) struct Upstream {
    pub(crate) addr: SocketAddr,
    state: Arc<Mutex<State>>,
    go_on: Arc<Notify>,
    peer_left: Arc<Notify>,
    asked: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    /// Answers every request so.
    pub(crate) async fn always(script: Vec<Do>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { always: script, ..State::default() }));
        let (go_on, peer_left) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let asked = Arc::new(Notify::new());
        let task = tokio::spawn({
            let (state, go_on, left, asked) = (
                Arc::clone(&state),
                Arc::clone(&go_on),
                Arc::clone(&peer_left),
                Arc::clone(&asked),
            );
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (state, go_on, left, asked) = (
                        Arc::clone(&state),
                        Arc::clone(&go_on),
                        Arc::clone(&left),
                        Arc::clone(&asked),
                    );
                    tokio::spawn(async move {
                        let _ = serve(stream, &state, &go_on, &left, &asked).await;
                    });
                }
            }
        });
        Self { addr, state, go_on, peer_left, asked, task }
    }

    /// Answers the next request so, before what it always does.
    pub(crate) fn next(&self, script: Vec<Do>) -> &Self {
        self.state.lock().scripts.push_back(script);
        self
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().seen.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.state.lock().seen.len()
    }

    pub(crate) fn go_on(&self) {
        self.go_on.notify_one();
    }

    /// Until it has been asked so often, since it began.
    pub(crate) async fn asked(&self, times: usize) {
        while self.count() < times {
            self.asked.notified().await;
        }
    }

    /// Until a peer goes away from a [`Do::Hang`] or [`Do::Wait`].
    pub(crate) async fn peer_left(&self) {
        self.peer_left.notified().await;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }
}

/// An address where nobody listens.
pub(crate) async fn refused() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn serve(
    mut stream: TcpStream,
    state: &Mutex<State>,
    go_on: &Notify,
    left: &Notify,
    asked: &Notify,
) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(seen) = read_request(&mut stream, &mut buffer).await? else { return Ok(()) };
        let script = {
            let mut state = state.lock();
            state.seen.push(seen);
            state.scripts.pop_front().unwrap_or_else(|| state.always.clone())
        };
        asked.notify_one();
        for step in script {
            match step {
                Do::Send(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        left.notify_one();
                        return Ok(());
                    }
                }
                Do::Pause(time) => tokio::time::sleep(time).await,
                Do::Close => return Ok(()),
                Do::Reset => {
                    stream.set_zero_linger()?;
                    return Ok(());
                }
                Do::Wait => tokio::select! {
                    () = go_on.notified() => {}
                    _ = stream.read_u8() => { left.notify_one(); return Ok(()); }
                },
                Do::Hang => {
                    let _ = stream.read_u8().await;
                    left.notify_one();
                    return Ok(());
                }
            }
        }
    }
}

async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Option<Seen>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
            let mut seen = Seen { head, body: Vec::new() };
            let length: usize = seen.header("content-length").map_or(0, |v| v.parse().unwrap());
            while buffer.len() < end + 4 + length {
                if stream.read_buf(buffer).await? == 0 {
                    return Ok(None);
                }
            }
            seen.body = buffer[end + 4..end + 4 + length].to_vec();
            buffer.drain(..end + 4 + length);
            return Ok(Some(seen));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// A response with a length.
pub(crate) fn response(status: &str, headers: &str, body: &str) -> Vec<Do> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    vec![Do::Send([head.as_bytes(), body.as_bytes()].concat())]
}

/// An answer of chat with this text.
pub(crate) fn chat(text: &str) -> Vec<Do> {
    response("200 OK", "", &chat_body(text))
}

pub(crate) fn chat_body(text: &str) -> String {
    format!(
        r#"{{"id":"c1","object":"chat.completion","created":1,"model":"up","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}}}"#
    )
}

/// An error of OpenAI's shape.
pub(crate) fn error(status: &str, headers: &str, code: &str, message: &str) -> Vec<Do> {
    let body = format!(
        r#"{{"error":{{"message":"{message}","type":"some_error","param":null,"code":"{code}"}}}}"#
    );
    response(status, headers, &body)
}

/// The head of a chunked stream of events.
pub(crate) fn events_head() -> Do {
    Do::Send(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec(),
    )
}

/// One chunk.
pub(crate) fn chunk(text: &str) -> Do {
    Do::Send(format!("{:x}\r\n{text}\r\n", text.len()).into_bytes())
}

/// The end of a chunked body.
pub(crate) fn end() -> Do {
    Do::Send(b"0\r\n\r\n".to_vec())
}

/// An event of chat.
pub(crate) fn delta(json: &str) -> String {
    format!("data: {{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"choices\":[{json}]}}\n\n")
}

pub(crate) fn role() -> String {
    delta(r#"{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}"#)
}

pub(crate) fn content(text: &str) -> String {
    delta(&format!(r#"{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}"#))
}

pub(crate) fn finish() -> String {
    delta(r#"{"index":0,"delta":{},"finish_reason":"stop"}"#)
}

pub(crate) const DONE: &str = "data: [DONE]\n\n";

/// A whole good stream.
pub(crate) fn good_stream(text: &str) -> Vec<Do> {
    vec![events_head(), chunk(&role()), chunk(&content(text)), chunk(&finish()), chunk(DONE), end()]
}
