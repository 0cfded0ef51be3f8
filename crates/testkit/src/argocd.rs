//! A real Argo CD on the test cluster: its repository server and application controller as processes
//! beside the test, which is where they end too, with Debian's redis between them.
//!
//! Nobody logs in, so its API server is left out: Applications are objects, and git repositories are
//! directories.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::assets::{self, Asset};
use crate::cluster::Cluster;
use crate::control_plane::Error;
use crate::daemon::Daemon;

/// Where Argo CD lives.
const NAMESPACE: &str = "argocd";
/// How long a process may take to listen.
const PATIENCE: Duration = Duration::from_secs(120);
/// Its own ports; the network is the test cluster's.
const REDIS: u16 = 6379;
const REPOSITORIES: u16 = 8081;
const METRICS: u16 = 8082;

/// A running Argo CD.
#[derive(Debug)]
pub struct ArgoCd {
    // Fields drop in this order: the processes first, their files last.
    daemons: Vec<Daemon>,
    directory: TempDir,
}

impl ArgoCd {
    /// Installs its kinds and settings, starts it, and waits until it listens.
    pub async fn start(cluster: &Cluster) -> Result<Self, Error> {
        for asset in assets::ARGO_CD_KINDS {
            cluster.apply(&fs::read_to_string(there(asset)?)?).await?;
        }
        let kinds = ["wait", "--for=condition=Established", "--timeout=60s"];
        let kinds = [&kinds[..], &["crd/applications.argoproj.io", "crd/appprojects.argoproj.io"]];
        cluster.kubectl(&kinds.concat(), "").await?.success()?;
        cluster.apply(&settings().to_string()).await?;
        let mut this = Self { daemons: Vec::new(), directory: tempfile::tempdir()? };
        this.files(cluster).await?;
        this.run("redis-server", &["--port", &REDIS.to_string(), "--save", ""], REDIS).await?;
        let (redis, served) = (at(REDIS), at(REPOSITORIES));
        let repositories = ["--redis", &redis, "--disable-tls", "--port"];
        let port = REPOSITORIES.to_string();
        let repositories = [&repositories[..], &[&port, "--metrics-port", "8084"]].concat();
        this.run("argocd-repo-server", &repositories, REPOSITORIES).await?;
        let port = METRICS.to_string();
        let controller = ["--redis", &redis, "--repo-server", &served, "--repo-server-plaintext"];
        let controller = [&controller[..], &["--metrics-port", &port]].concat();
        this.run("argocd-application-controller", &controller, METRICS).await?;
        Ok(this)
    }

    /// What its processes are started with.
    async fn files(&self, cluster: &Cluster) -> Result<(), Error> {
        let bin = self.path("bin");
        fs::create_dir(&bin)?;
        fs::create_dir(self.path("home"))?;
        // One program, which is what it is called.
        let argo_cd = there(assets::ARGO_CD)?;
        for name in ["argocd-repo-server", "argocd-application-controller"] {
            symlink(&argo_cd, bin.join(name))?;
        }
        symlink(there(assets::HELM_3)?, bin.join("helm"))?;
        let view = ["config", "view", "--raw", "--flatten", "-o", "json"];
        let view = cluster.kubectl(&view, "").await?.success()?;
        let mut config: Value = serde_json::from_str(&view).map_err(std::io::Error::other)?;
        for context in config["contexts"].as_array_mut().into_iter().flatten() {
            context["context"]["namespace"] = json!(NAMESPACE);
        }
        Ok(fs::write(self.path("kubeconfig"), config.to_string())?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn run(&mut self, name: &'static str, args: &[&str], port: u16) -> Result<(), Error> {
        let bin = self.path("bin");
        let own = bin.join(name);
        let mut command = Command::new(if own.exists() { own } else { name.into() });
        let path = std::env::var("PATH").unwrap_or_default();
        command.args(args).current_dir(self.directory.path());
        command.env("PATH", format!("{}:{path}", bin.display()));
        command.env("HOME", self.path("home")).env("TMPDIR", self.directory.path());
        command.env("KUBECONFIG", self.path("kubeconfig"));
        // Who owns a directory does not matter here.
        command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "safe.directory");
        command.env("GIT_CONFIG_VALUE_0", "*");
        command.env("ARGOCD_GPG_ENABLED", "false").env("ARGOCD_FAKE_IN_CLUSTER", "true");
        // How often git is asked, by both.
        command.env("ARGOCD_RECONCILIATION_TIMEOUT", "3s").env("ARGOCD_RECONCILIATION_JITTER", "0");
        let mut daemon = Daemon::spawn(&command, self.path(&format!("{name}.log")))?;
        let listening = timeout(PATIENCE, async {
            while TcpStream::connect(at(port)).await.is_err() {
                if let Some(status) = daemon.exited()? {
                    return Err(Error::Ended { name, status, log: last_words(&daemon) });
                }
                sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        });
        let seconds = PATIENCE.as_secs();
        match listening.await {
            Ok(listening) => listening?,
            Err(_) => {
                let (why, log) = (format!("nothing listens on {port}"), last_words(&daemon));
                return Err(Error::NotReady { name, seconds, why, log });
            }
        }
        self.daemons.push(daemon);
        Ok(())
    }

    /// The end of what each process has logged.
    pub fn logs(&self) -> String {
        self.daemons.iter().map(last_words).collect::<Vec<_>>().join("\n---\n")
    }

    /// A directory for something of the test's, such as a repository.
    pub fn repository(&self, name: &str) -> Result<Repository, Error> {
        let repository = Repository(self.path(name));
        fs::create_dir(&repository.0)?;
        repository.git(&["init", "--quiet", "--initial-branch=main"])?;
        Ok(repository)
    }

    /// Where its metrics are.
    pub fn metrics(&self) -> String {
        format!("http://{}/metrics", at(METRICS))
    }
}

/// A git repository on this machine.
#[derive(Debug)]
pub struct Repository(PathBuf);

impl Repository {
    /// Its URL.
    pub fn url(&self) -> String {
        format!("file://{}", self.0.display())
    }

    /// Writes a file into it.
    pub fn write(&self, path: &str, text: &str) -> Result<(), Error> {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        Ok(fs::write(path, text)?)
    }

    /// Reads a file of it.
    pub fn read(&self, path: &str) -> Result<String, Error> {
        Ok(fs::read_to_string(self.0.join(path))?)
    }

    /// Copies a directory of this workspace into it, files only, at the same path.
    pub fn copy(&self, directory: &str) -> Result<(), Error> {
        for entry in fs::read_dir(assets::workspace().join(directory))? {
            let entry = entry?;
            let path = format!("{directory}/{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                self.copy(&path)?;
            } else {
                self.write(&path, &fs::read_to_string(entry.path())?)?;
            }
        }
        Ok(())
    }

    /// Removes a file from it.
    pub fn remove(&self, path: &str) -> Result<(), Error> {
        Ok(fs::remove_file(self.0.join(path))?)
    }

    /// Commits all of it; gives the commit.
    pub fn commit(&self, message: &str) -> Result<String, Error> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", message])?;
        Ok(self.git(&["rev-parse", "HEAD"])?.trim().to_owned())
    }

    fn git(&self, args: &[&str]) -> Result<String, Error> {
        let mut git = Command::new("git");
        git.args(args).current_dir(&self.0).stdin(Stdio::null());
        for who in ["GIT_AUTHOR", "GIT_COMMITTER"] {
            git.env(format!("{who}_NAME"), "test").env(format!("{who}_EMAIL"), "test@example.com");
        }
        // No setting of the user's comes in.
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        let output = git.output()?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(std::io::Error::other(format!("git {}: {why}", args.join(" "))).into());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn at(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn last_words(daemon: &Daemon) -> String {
    let output = daemon.output();
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

fn there(asset: Asset) -> Result<PathBuf, Error> {
    let cache = asset.cached()?;
    asset.find()?.ok_or(Error::Missing { name: asset.given_name, cache })
}

/// What Argo CD expects to find, as its own manifests have it, with what is secret made up.
fn settings() -> Value {
    let object = |api: &str, kind: &str, name: &str| {
        json!({
            "apiVersion": api, "kind": kind,
            "metadata": {
                "name": name, "namespace": NAMESPACE,
                "labels": {"app.kubernetes.io/part-of": "argocd", "app.kubernetes.io/name": name},
            },
        })
    };
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE},
    });
    let maps = ["argocd-cm", "argocd-rbac-cm", "argocd-cmd-params-cm"];
    let mut secret = object("v1", "Secret", "argocd-secret");
    secret["stringData"] = json!({"server.secretkey": "of-a-test"});
    let mut project = object("argoproj.io/v1alpha1", "AppProject", "default");
    project["spec"] = json!({
        "sourceRepos": ["*"], "destinations": [{"namespace": "*", "server": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
    });
    let mut items = vec![namespace, secret, project];
    items.extend(maps.map(|name| object("v1", "ConfigMap", name)));
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}
