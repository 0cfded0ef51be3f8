//! The real binary in a test: `moniker dev` on a lineup of its own, on free ports.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use crate::{daemon::Daemon, programs};

/// The longest that any line is waited for; only a failure takes it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running `moniker dev`, ended when dropped.
#[derive(Debug)]
pub struct Moniker {
    daemon: Daemon,
    dir: TempDir,
    url: String,
    admin: String,
}

impl Moniker {
    /// Starts `moniker dev` on these YAML documents and waits until it serves.
    pub async fn dev(yaml: &str) -> io::Result<Self> {
        Self::dev_with(yaml, &[], &[]).await
    }

    /// The same with more arguments and environment variables.
    pub async fn dev_with(
        yaml: &str,
        args: &[&str],
        environment: &[(&str, &str)],
    ) -> io::Result<Self> {
        let dir = TempDir::new()?;
        let lineup = dir.path().join("lineup");
        fs::create_dir(&lineup)?;
        fs::write(lineup.join("lineup.yaml"), yaml)?;
        let mut command = Command::new(programs::moniker()?);
        command.arg("dev").arg(&lineup);
        Self::start(dir, command, args, environment).await
    }

    /// Starts `moniker dev` without files, which serves the sample that the binary carries.
    pub async fn sample(environment: &[(&str, &str)]) -> io::Result<Self> {
        let mut command = Command::new(programs::moniker()?);
        command.arg("dev");
        Self::start(TempDir::new()?, command, &[], environment).await
    }

    async fn start(
        dir: TempDir,
        mut command: Command,
        args: &[&str],
        environment: &[(&str, &str)],
    ) -> io::Result<Self> {
        command
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--demo", "127.0.0.1:0"])
            .args(args)
            .envs(environment.iter().copied());
        let daemon = Daemon::spawn(&command, dir.path().join("log"))?;
        let mut this = Self { daemon, dir, url: String::new(), admin: String::new() };
        this.admin = this.line_after("Admin port:").await?;
        this.url = this.line_after("Serving on:").await?;
        Ok(this)
    }

    /// The base URL that an SDK is given, such as `http://127.0.0.1:40213/v1`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A URL below the base.
    pub fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.url)
    }

    /// A URL on the admin port.
    pub fn admin(&self, path: &str) -> String {
        format!("{}/{path}", self.admin)
    }

    /// Where more routers join, when it was started with `--stream`.
    pub async fn stream(&mut self) -> io::Result<String> {
        self.line_after("Watch stream:").await
    }

    /// The file with the lineup.
    pub fn lineup(&self) -> PathBuf {
        self.dir.path().join("lineup/lineup.yaml")
    }

    /// Replaces the lineup as an editor does: a new file in the place of the old one.
    pub fn edit(&self, yaml: &str) -> io::Result<()> {
        let new = self.dir.path().join("lineup.new");
        fs::write(&new, yaml)?;
        fs::rename(new, self.lineup())
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        self.daemon.output()
    }

    /// Its process.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// The directory that is its own.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Waits until it has printed a line that contains `text`.
    pub async fn printed(&mut self, text: &str) -> io::Result<String> {
        self.printed_times(text, 1).await
    }

    /// Waits until it has printed so many lines that contain `text`; gives the last.
    pub async fn printed_times(&mut self, text: &str, times: usize) -> io::Result<String> {
        let wait = async {
            loop {
                let output = self.output();
                if let Some(line) = output.lines().filter(|l| l.contains(text)).nth(times - 1) {
                    return Ok(line.to_owned());
                }
                if let Some(status) = self.daemon.exited()? {
                    let output = self.output();
                    return Err(io::Error::other(format!("moniker ended ({status}):\n{output}")));
                }
                // A file has no other way to say that it grew.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(result) => result,
            Err(_) => {
                let output = self.output();
                Err(io::Error::other(format!("no line with {text:?} in:\n{output}")))
            }
        }
    }

    async fn line_after(&mut self, label: &str) -> io::Result<String> {
        let line = self.printed(label).await?;
        let after = line.split_once(label).map(|(_, rest)| rest.trim().to_owned());
        after.ok_or_else(|| io::Error::other(format!("no {label:?} in {line:?}")))
    }
}
