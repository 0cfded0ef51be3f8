//! `moniker demo-upstream` in a process of its own, on a port of its own, so that a test can end it.

use std::{io, process::Command, time::Duration};

use tempfile::TempDir;

use crate::{daemon::Daemon, programs};

/// The longest that it is waited for; only a failure takes it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running demo upstream, ended when dropped.
#[derive(Debug)]
pub struct Demo {
    daemon: Daemon,
    url: String,
    _dir: TempDir,
}

impl Demo {
    /// Starts one that speaks this protocol, with more arguments, and waits until it serves.
    pub async fn start(protocol: &str, args: &[&str]) -> io::Result<Self> {
        let dir = TempDir::new()?;
        let mut command = Command::new(programs::moniker()?);
        command.args(["demo-upstream", "--listen", "127.0.0.1:0", "--protocol", protocol]);
        command.args(["--first-token", "1ms", "--tokens-per-second", "2000"]).args(args);
        command.args(["--log-format", "json"]).env("RUST_LOG", "info");
        let mut daemon = Daemon::spawn(&command, dir.path().join("log"))?;
        let wait = async {
            loop {
                let output = daemon.output();
                let line = output.lines().find_map(|line| line.split_once("\"url\":\"http://"));
                if let Some(url) = line.and_then(|(_, after)| after.split('"').next()) {
                    return Ok(format!("http://{url}"));
                }
                if let Some(status) = daemon.exited()? {
                    return Err(io::Error::other(format!("the demo ended ({status}):\n{output}")));
                }
                // A file has no other way to say that it grew.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let url = tokio::time::timeout(PATIENCE, wait).await.map_err(io::Error::other)??;
        Ok(Self { daemon, url, _dir: dir })
    }

    /// Its base URL, as a ProviderTarget is given it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Kills it.
    pub fn kill(&mut self) -> io::Result<()> {
        self.daemon.kill()
    }
}
