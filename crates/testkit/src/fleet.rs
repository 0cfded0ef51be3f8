//! Several real routers in a test: `moniker dev` with a stream that others join, and `moniker
//! router` processes that do, each on free ports.

use std::{io, process::Command, time::Duration};

use tempfile::TempDir;

use crate::{daemon::Daemon, moniker::Moniker, programs};

/// The longest that a router's start is waited for; only a failure takes it.
const PATIENCE: Duration = Duration::from_secs(30);

/// `moniker dev`, whose own router is the first, and others that joined it. Ended when dropped.
#[derive(Debug)]
pub struct Fleet {
    /// The one that they all follow.
    pub dev: Moniker,
    /// Those that joined, named `router-1` and so on.
    pub routers: Vec<Router>,
}

impl Fleet {
    /// Starts `moniker dev` on these YAML documents with more arguments, and so many routers beside
    /// it; waits until all of them serve it.
    pub async fn start(yaml: &str, routers: usize, args: &[&str]) -> io::Result<Self> {
        let args = [&["--stream", "127.0.0.1:0"][..], args].concat();
        let mut dev = Moniker::dev_with(yaml, &args, &[]).await?;
        let stream = dev.stream().await?;
        let mut joined = Vec::new();
        for n in 1..=routers {
            joined.push(Router::join(&stream, &format!("router-{n}"), &[]).await?);
        }
        Ok(Self { dev, routers: joined })
    }

    /// The base URL of every router's API, that of `moniker dev` first.
    pub fn urls(&self) -> Vec<String> {
        let joined = self.routers.iter().map(|router| router.url().to_owned());
        std::iter::once(self.dev.url().to_owned()).chain(joined).collect()
    }

    /// A URL on every router's admin port, that of `moniker dev` first.
    pub fn admins(&self, path: &str) -> Vec<String> {
        let joined = self.routers.iter().map(|router| router.admin(path));
        std::iter::once(self.dev.admin(path)).chain(joined).collect()
    }
}

/// A running `moniker router`, ended when dropped.
#[derive(Debug)]
pub struct Router {
    daemon: Daemon,
    url: String,
    admin: String,
    _dir: TempDir,
}

impl Router {
    /// Starts one that follows the stream at this URL, for callers without a key, and waits until it
    /// serves a snapshot. Targets may be on this machine.
    pub async fn join(stream: &str, name: &str, args: &[&str]) -> io::Result<Self> {
        Self::join_with(stream, name, args, &[]).await
    }

    /// The same with more environment variables.
    pub async fn join_with(
        stream: &str,
        name: &str,
        args: &[&str],
        environment: &[(&str, &str)],
    ) -> io::Result<Self> {
        let usual = ["--controller", stream, "--name", name]
            .into_iter()
            .chain(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .chain(["--allow-anonymous", "default", "--allow-cidr", "127.0.0.0/8"]);
        let args: Vec<_> = usual.chain(args.iter().copied()).collect();
        Self::start_with(&args, environment).await
    }

    /// Starts one with just these arguments, and waits until it serves a snapshot.
    pub async fn start(args: &[&str]) -> io::Result<Self> {
        Self::start_with(args, &[]).await
    }

    async fn start_with(args: &[&str], environment: &[(&str, &str)]) -> io::Result<Self> {
        let dir = TempDir::new()?;
        let mut command = Command::new(programs::moniker()?);
        command.arg("router").args(args).args(["--log-format", "json"]);
        command.envs(environment.iter().copied());
        let daemon = Daemon::spawn(&command, dir.path().join("log"))?;
        let mut this = Self { daemon, url: String::new(), admin: String::new(), _dir: dir };
        let serving = this.logged("serving").await?;
        let address = |field: &str| {
            let address = serving[field].as_str();
            address.ok_or_else(|| io::Error::other(format!("no {field} in {serving}")))
        };
        this.url = format!("http://{}/v1", address("listen")?);
        this.admin = format!("http://{}", address("admin")?);
        this.logged("snapshot applied").await?;
        Ok(this)
    }

    /// The base URL that an SDK is given.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A URL on the admin port.
    pub fn admin(&self, path: &str) -> String {
        format!("{}/{path}", self.admin)
    }

    /// What it has logged so far.
    pub fn output(&self) -> String {
        self.daemon.output()
    }

    /// Its process.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// Waits for the first line of the log with this message.
    pub async fn logged(&mut self, message: &str) -> io::Result<serde_json::Value> {
        let wait = async {
            loop {
                let output = self.output();
                let lines = output.lines().filter_map(|line| serde_json::from_str(line).ok());
                if let Some(line) = { lines }.find(|l: &serde_json::Value| l["message"] == message)
                {
                    return Ok(line);
                }
                if let Some(status) = self.daemon.exited()? {
                    return Err(io::Error::other(format!("a router ended ({status}):\n{output}")));
                }
                // A file has no other way to say that it grew.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(result) => result,
            Err(_) => {
                let output = self.output();
                Err(io::Error::other(format!("{message:?} is not logged:\n{output}")))
            }
        }
    }
}
