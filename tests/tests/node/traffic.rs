//! Callers that never stop asking, and count what goes wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::Client;
use serde_json::json;
use tokio::task::JoinHandle;

/// How many ask at a time.
const CALLERS: usize = 4;
/// The longest that anything is waited for; only a failure takes it.
const PATIENCE: Duration = Duration::from_secs(90);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Whole answers.
    AnswersAlone,
    /// A stream every other time.
    StreamsToo,
}

/// Requests that go on until they are stopped.
pub(crate) struct Traffic {
    state: Arc<State>,
    callers: Vec<JoinHandle<()>>,
}

struct State {
    url: String,
    model: String,
    asked: Asked,
    answered: AtomicU64,
    failed: Mutex<Vec<String>>,
}

/// Each request by a connection of its own, as from many applications: what a Service does with new
/// connections is what is tried.
fn client() -> Client {
    Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE).build().unwrap()
}

impl Traffic {
    /// Starts once a first request is answered: rules for Services come a moment after them.
    pub(crate) async fn start(url: &str, model: &str, asked: Asked) -> Self {
        let (url, model) = (url.to_owned(), model.to_owned());
        let (answered, failed) = (AtomicU64::new(0), Mutex::default());
        let state = Arc::new(State { url, model, asked, answered, failed });
        let first = tokio::time::timeout(PATIENCE, async {
            loop {
                match ask(&client(), &state, false).await {
                    Ok(()) => return,
                    Err(why) => *state.failed.lock() = vec![why],
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        first.await.unwrap_or_else(|_| panic!("never answered: {:?}", state.failed.lock()));
        state.failed.lock().clear();
        let callers = (0..CALLERS).map(|_| tokio::spawn(call(Arc::clone(&state)))).collect();
        Self { state, callers }
    }

    /// Waits for as many answers to come as there are now and this many more.
    pub(crate) async fn go_on(&self, answers: u64) {
        let until = self.state.answered.load(Ordering::Relaxed) + answers;
        let reached = tokio::time::timeout(PATIENCE, async {
            while self.state.answered.load(Ordering::Relaxed) < until {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let reached = reached.await.is_ok();
        assert!(reached, "traffic stands: {:?}", self.state.failed.lock());
    }

    /// Every request so far was answered in full.
    pub(crate) fn unharmed(&self, during: &str) {
        let failed = self.state.failed.lock();
        let answered = self.state.answered.load(Ordering::Relaxed);
        assert!(failed.is_empty(), "{during}: {} of {answered} failed: {failed:#?}", failed.len());
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.callers.iter().for_each(JoinHandle::abort);
    }
}

async fn call(state: Arc<State>) {
    let client = client();
    for number in 0_u64.. {
        let stream = state.asked == Asked::StreamsToo && number % 2 == 1;
        match ask(&client, &state, stream).await {
            Ok(()) => drop(state.answered.fetch_add(1, Ordering::Relaxed)),
            Err(why) => state.failed.lock().push(why),
        }
    }
}

async fn ask(client: &Client, state: &State, stream: bool) -> Result<(), String> {
    let body = json!({
        "model": state.model, "stream": stream,
        "messages": [{"role": "user", "content": "hello"}],
    });
    let answer = client.post(&state.url).json(&body).send().await;
    let answer = answer.map_err(|error| format!("{error:?}"))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| format!("{status}: {error:?}"))?;
    let whole = if stream { text.trim_end().ends_with("data: [DONE]") } else { !text.is_empty() };
    if status.is_success() && whole { Ok(()) } else { Err(format!("{status}: {text}")) }
}
