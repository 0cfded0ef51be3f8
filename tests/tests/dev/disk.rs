//! The last known good on a disk that is full, or that cannot be written: requests are served, the
//! failure is counted, what was written stays whole, and it is caught up with once there is room.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::daemon::Daemon;
use testkit::moniker::Moniker;
use testkit::programs;
use testkit::upstream::{Script, Upstream};

use crate::client;
use crate::rig::{priority, target};

const PATIENCE: Duration = Duration::from_secs(60);
const PERIOD: Duration = Duration::from_millis(20);

/// A router with a small tmpfs of its own for its state, in a mount namespace of its own.
struct Small {
    daemon: Daemon,
    url: String,
    admin: String,
    dir: TempDir,
}

impl Small {
    async fn join(stream: &str, options: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let mut command = Command::new("unshare");
        let script = "mount -t tmpfs -o \"$0\" tmpfs \"$1\" && shift && exec \"$@\"";
        let state = dir.path().join("state");
        fs::create_dir(&state).unwrap();
        command.args(["--mount", "--map-root-user", "--", "sh", "-c", script, options]);
        command.arg(&state).arg(programs::moniker().unwrap());
        command.args(["router", "--controller", stream, "--name", "small"]);
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        command.args(["--allow-anonymous", "default", "--allow-cidr", "127.0.0.0/8"]);
        command.args(["--log-format", "json", "--state-dir"]).arg(&state);
        let daemon = Daemon::spawn(&command, dir.path().join("log")).unwrap();
        let mut this = Self { daemon, url: String::new(), admin: String::new(), dir };
        let line = this.logged("serving").await;
        let address = |field: &str| format!("http://{}", line[field].as_str().unwrap());
        (this.url, this.admin) = (address("listen"), address("admin"));
        this
    }

    async fn logged(&self, message: &str) -> Value {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let output = self.daemon.output();
                let lines = output.lines().filter_map(|line| serde_json::from_str(line).ok());
                if let Some(line) = { lines }.find(|line: &Value| line["message"] == message) {
                    return line;
                }
                tokio::time::sleep(PERIOD).await;
            }
        });
        found.await.unwrap_or_else(|_| panic!("no {message:?} in {}", self.daemon.output()))
    }

    /// A path below its state, as this process sees it.
    fn state(&self, name: &str) -> PathBuf {
        let state = self.dir.path().join("state").join(name);
        let inside = state.strip_prefix("/").unwrap();
        PathBuf::from(format!("/proc/{}/root", self.daemon.pid())).join(inside)
    }

    /// The files of its last known good.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.state("moniker")).into_iter().flatten().flatten();
        let mut all: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        all.sort_unstable();
        all
    }

    async fn until(&self, what: &str, good: impl Fn(&Self) -> bool) {
        let found = tokio::time::timeout(PATIENCE, async {
            while !good(self) {
                tokio::time::sleep(PERIOD).await;
            }
        });
        let found = found.await.is_ok();
        assert!(found, "{what}: {:?}\n{}", self.files(), self.daemon.output());
    }

    /// How often it could not write its snapshot down.
    async fn failures(&self) -> u64 {
        let answer = client().get(format!("{}/metrics", self.admin)).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let of = "moniker_last_known_good_failures_total{what=\"snapshot\"} ";
        let line = text.lines().find_map(|line| line.strip_prefix(of));
        line.map_or(0, |count| count.parse().unwrap())
    }

    async fn serves(&self, model: &str) -> bool {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
        let request = client().post(format!("{}/v1/chat/completions", self.url)).json(&body);
        request.send().await.unwrap().status() == 200
    }

    async fn until_served(&self, model: &str) {
        let found = tokio::time::timeout(PATIENCE, async {
            while !self.serves(model).await {
                tokio::time::sleep(PERIOD).await;
            }
        });
        assert!(found.await.is_ok(), "{model}: {}", self.daemon.output());
    }

    async fn until_failed(&self) {
        let found = tokio::time::timeout(PATIENCE, async {
            while self.failures().await == 0 {
                tokio::time::sleep(PERIOD).await;
            }
        });
        assert!(found.await.is_ok(), "no failure is counted: {}", self.daemon.output());
    }
}

/// `moniker dev` that others may join, its stream, its lineup, and the provider behind it.
async fn dev() -> (Moniker, String, String, Upstream) {
    let upstream = Upstream::start().await.unwrap();
    upstream.always(Script::chat("hello"));
    let yaml = target("only", &upstream.url(), &[]) + &priority("chat", &["only"], &[]);
    let mut dev = Moniker::dev_with(&yaml, &["--stream", "127.0.0.1:0"], &[]).await.unwrap();
    let stream = dev.stream().await.unwrap();
    (dev, stream, yaml, upstream)
}

#[tokio::test]
async fn a_full_disk_harms_no_request_and_no_file() {
    let (dev, stream, yaml, _upstream) = dev().await;
    let router = Small::join(&stream, "size=256k").await;
    router.until_served("chat").await;
    router.until("nothing is written", |router| router.files() == ["snapshot.1"]).await;
    let before = fs::read(router.state("moniker/snapshot.1")).unwrap();

    // Somebody fills it to the last byte.
    let mut filler = fs::File::create(router.state("filler")).unwrap();
    while filler.write_all(&[1; 4096]).is_ok() {}
    while filler.write_all(&[1]).is_ok() {}
    let more = yaml.clone() + &priority("later", &["only"], &[]);
    dev.edit(&more).unwrap();
    router.until_served("later").await;
    router.until_failed().await;
    assert!(router.serves("chat").await);
    assert_eq!(fs::read(router.state("moniker/snapshot.1")).unwrap(), before, "it is whole");

    // There is room again, once nobody has it open.
    drop(filler);
    fs::remove_file(router.state("filler")).unwrap();
    router
        .until("it does not catch up", |router| router.files() == ["snapshot.1", "snapshot.2"])
        .await;
    let after = fs::read_to_string(router.state("moniker/snapshot.2")).unwrap();
    assert!(after.contains("default/later") || after.contains("\"later\""), "{after}");
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_harms_no_request() {
    let (dev, stream, yaml, _upstream) = dev().await;
    let router = Small::join(&stream, "ro").await;
    router.until_served("chat").await;
    router.until_failed().await;
    dev.edit(&(yaml + &priority("later", &["only"], &[]))).unwrap();
    router.until_served("later").await;
    assert_eq!(router.files(), <[&str; 0]>::default());
    router
        .logged(
            "what is served is not written down, trying again: --state-dir: Read-only file \
                   system (os error 30)",
        )
        .await;
}
