//! A provider that others wrote, which breaks answers on demand and judges how its client took it.
//! The client is an application that asks again when an answer fails, as SDKs do, with the router
//! between: what the router hides or passes as whole would be found.

use std::{net::TcpListener, process::Command, time::Duration};

use serde_json::{Value, json};
use testkit::{daemon::Daemon, moniker::Moniker, programs};

use crate::rig::alias;

/// Another provider than the other one, so that each judges for itself.
struct Llmock {
    _daemon: Daemon,
    root: String,
    client: reqwest::Client,
    _dir: tempfile::TempDir,
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

impl Llmock {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // It takes no port 0: one that is free now is free in a moment.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(programs::python("llmock").unwrap());
        command.args(["-m", "llmock.cli", "serve", "--host", "127.0.0.1", "--port"]);
        command.arg(port.to_string()).current_dir(dir.path());
        let mut daemon = Daemon::spawn(&command, dir.path().join("log")).unwrap();
        let (root, client) = (format!("http://127.0.0.1:{port}"), client());
        while client.get(format!("{root}/_llmock/verdict")).send().await.is_err() {
            assert_eq!(daemon.exited().unwrap(), None, "{}", daemon.output());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { _daemon: daemon, root, client, _dir: dir }
    }

    /// Forgets what was, and does this next.
    async fn breaks(&self, behaviour: Value) {
        let post = |path: &str| self.client.post(format!("{}/_llmock/{path}", self.root));
        post("reset").send().await.unwrap().error_for_status().unwrap();
        let scenario = json!({"behaviors": [behaviour]});
        let answer = post("scenario").json(&scenario).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{scenario}");
    }

    /// How many attempts it saw, after it was checked that it found nothing.
    async fn attempts(&self, what: &str) -> u64 {
        let url = format!("{}/_llmock/verdict", self.root);
        let verdict: Value = self.client.get(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(verdict["findings"], json!([]), "{what}: {verdict}");
        verdict["attempts"].as_u64().unwrap()
    }
}

/// An answer as an application has it.
struct Answer {
    status: u16,
    target: String,
    /// It is whole.
    whole: bool,
}

async fn ask(moniker: &Moniker, prompt: &str, stream: bool) -> Answer {
    let body = json!({"model": "judged", "stream": stream,
        "messages": [{"role": "user", "content": prompt}]});
    let answer = client().post(moniker.at("chat/completions")).json(&body).send().await.unwrap();
    let status = answer.status().as_u16();
    let target = answer.headers().get("x-moniker-target").map(|t| t.to_str().unwrap().to_owned());
    let text = answer.text().await.unwrap_or_default();
    let whole = if stream && status == 200 {
        let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let (mut valid, mut finished) = (true, false);
        for event in events.filter(|event| *event != "[DONE]") {
            let event: Value = serde_json::from_str(event).unwrap_or_default();
            valid &= event["choices"].is_array();
            finished |= event["choices"][0]["finish_reason"].is_string();
        }
        valid && finished
    } else {
        status == 200
    };
    let target = target.unwrap_or_default().split('/').nth(1).unwrap_or_default().to_owned();
    Answer { status, target, whole }
}

/// Asks until an answer of the first target is whole.
async fn until_first_serves(moniker: &Moniker, prompt: &str, stream: bool) {
    let patience = async {
        loop {
            let answer = ask(moniker, prompt, stream).await;
            if answer.whole && answer.target == "first" {
                return;
            }
            // Another target serves meanwhile, or the answer broke: the application asks again.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), patience).await.unwrap();
}

#[tokio::test]
async fn a_provider_that_judges_its_clients_finds_nothing() {
    let (first, second) = (Llmock::start().await, Llmock::start().await);
    let target = |name: &str, of: &Llmock| {
        format!(
            "---\napiVersion: moniker.dev/v1alpha1\nkind: ProviderTarget\nmetadata: {{name: {name}}}\n\
             spec:\n  provider: OpenAICompatible\n  endpoint: {{url: \"{}/v1\"}}\n  \
             auth: {{type: None}}\n  models: [{{name: m, upstreamName: gpt-4o}}]\n",
            of.root
        )
    };
    let timeouts = "  timeouts: {request: 20s, firstToken: 2s, streamIdle: 2s}\n";
    let lineup = [
        target("first", &first),
        target("second", &second),
        alias("judged", &["first", "second"], timeouts),
    ];
    let moniker = Moniker::dev(&lineup.concat()).await.unwrap();

    // What fails before anything was said is answered by the other one, and not asked too early.
    for (what, behaviour) in [
        ("rate limit", json!({"type": "fail", "status": 429, "retry_after": 1})),
        ("outage", json!({"type": "fail", "status": 503})),
        ("server error", json!({"type": "fail", "status": 500})),
    ] {
        for stream in [false, true] {
            let what = format!("{what}, stream: {stream}");
            first.breaks(behaviour.clone()).await;
            let answer = ask(&moniker, &what, stream).await;
            assert!(answer.whole && answer.target == "second", "{what}: {}", answer.status);
            until_first_serves(&moniker, &what, stream).await;
            assert_eq!(first.attempts(&what).await, 2, "{what}");
        }
    }

    // What no retry mends is not tried again, here or elsewhere.
    first.breaks(json!({"type": "fail", "status": 400})).await;
    assert_eq!(ask(&moniker, "bad request", false).await.status, 400);
    assert_eq!(first.attempts("bad request").await, 1);

    // What breaks in the middle is never passed as whole. A chunk that is no JSON is not among it: in
    // the caller's own protocol it goes on as it came, and is the application's to judge.
    for kind in ["disconnect", "truncate", "stall"] {
        first.breaks(json!({"type": "stream_fault", "kind": kind, "after_chunks": 3})).await;
        let answer = ask(&moniker, kind, true).await;
        assert!(!answer.whole && answer.target == "first", "{kind}: passed as whole");
        until_first_serves(&moniker, kind, true).await;
        assert!(first.attempts(kind).await >= 2, "{kind}");
    }
    second.attempts("the other one").await;
}
