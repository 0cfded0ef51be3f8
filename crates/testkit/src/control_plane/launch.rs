//! Starts the two processes and waits until they serve.
//!
//! Ports are chosen by asking the kernel for free ones, which somebody else may take before the
//! process binds them; a start that fails for that reason is tried again with others.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::directory::Directory;
use super::error::Error;
use super::user::User;
use super::{ControlPlane, Version};
use crate::assets::{self, Asset};
use crate::daemon::Daemon;
use crate::pki::{Authority, Holder, token_keys};

const ETCD_LOG: &str = "etcd.log";
pub(super) const API_SERVER_LOG: &str = "kube-apiserver.log";
/// How long a process may take; a loaded machine is slow, a ready one takes three seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);
/// How often a process is asked whether it is ready: it has no way to say so by itself.
pub(super) const PERIOD: Duration = Duration::from_millis(25);
/// The word of the kernel by which a start failed because somebody took the port.
const TAKEN: &str = "address already in use";

#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    etcd: u16,
    etcd_peer: u16,
    pub(super) api_server: u16,
}

impl Ports {
    fn free() -> io::Result<Self> {
        // All are held until all are known, so that they differ.
        let held = [listener()?, listener()?, listener()?];
        let [etcd, etcd_peer, api_server] = &held;
        let port = |held: &TcpListener| held.local_addr().map(|address| address.port());
        Ok(Self { etcd: port(etcd)?, etcd_peer: port(etcd_peer)?, api_server: port(api_server)? })
    }
}

fn listener() -> io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0))
}

pub(super) async fn control_plane(version: Version) -> Result<ControlPlane, Error> {
    for _ in 0..4 {
        match attempt(version).await {
            Err(Error::Ended { log, .. }) if log.contains(TAKEN) => {}
            result => return result,
        }
    }
    attempt(version).await
}

async fn attempt(version: Version) -> Result<ControlPlane, Error> {
    let etcd = program(assets::ETCD)?;
    let api_server = program(version.asset())?;
    let kubectl = program(assets::KUBECTL)?;

    let directory = Directory::new()?;
    let ports = Ports::free()?;
    let authority = Authority::new(directory.path())?;
    let serves = &["127.0.0.1", "localhost"];
    let server = Holder { file: "kube-apiserver", name: "kube-apiserver", group: None, serves };
    authority.sign(directory.path(), server)?;
    token_keys(directory.path(), "tokens")?;
    let url = format!("https://127.0.0.1:{}", ports.api_server);
    let masters = Some("system:masters");
    let admin = User::with_certificate(&authority, directory.path(), &url, "test-admin", masters)?;

    let etcd = start_etcd(&etcd, directory.path(), ports).await?;
    let api_server = start_api_server(&api_server, directory.path(), ports, &admin).await?;
    let api_server = Some(api_server);
    Ok(ControlPlane {
        version,
        ports,
        admin,
        kubectl,
        authority,
        api_server,
        _etcd: etcd,
        directory,
    })
}

pub(super) async fn api_server_again(plane: &ControlPlane) -> Result<Daemon, Error> {
    let api_server = program(plane.version.asset())?;
    start_api_server(&api_server, plane.directory.path(), plane.ports, &plane.admin).await
}

fn program(asset: Asset) -> Result<PathBuf, Error> {
    match asset.find()? {
        Some(path) => Ok(path),
        None => Err(Error::Missing { name: asset.given_name, cache: asset.cached()? }),
    }
}

async fn start_etcd(program: &Path, directory: &Path, ports: Ports) -> Result<Daemon, Error> {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    let mut command = Command::new(program);
    command.current_dir(directory);
    command.args(["--data-dir", "etcd", "--name", "test", "--log-level", "error"]);
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("test={peer}")]);
    // What a test wrote need not survive the machine.
    command.arg("--unsafe-no-fsync");
    let mut etcd = Daemon::spawn(&command, directory.join(ETCD_LOG))?;
    ready("etcd", &mut etcd, async || {
        TcpStream::connect(("127.0.0.1", ports.etcd)).await.map(drop)
    })
    .await?;
    Ok(etcd)
}

async fn start_api_server(
    program: &Path,
    directory: &Path,
    ports: Ports,
    admin: &User,
) -> Result<Daemon, Error> {
    let mut command = Command::new(program);
    command.current_dir(directory);
    command.args(["--etcd-servers", &format!("http://127.0.0.1:{}", ports.etcd)]);
    command.args(["--bind-address", "127.0.0.1"]);
    command.args(["--secure-port", &ports.api_server.to_string()]);
    // Without the reconciler it does not insist on an address that other machines can reach.
    command.args(["--advertise-address", "127.0.0.1", "--endpoint-reconciler-type", "none"]);
    command.args(["--tls-cert-file", "kube-apiserver.crt"]);
    command.args(["--tls-private-key-file", "kube-apiserver.key"]);
    command.args(["--client-ca-file", "ca.crt"]);
    command.args(["--service-account-issuer", "https://kubernetes.default.svc"]);
    command.args(["--service-account-key-file", "tokens.pub"]);
    command.args(["--service-account-signing-key-file", "tokens.key"]);
    command.args(["--service-cluster-ip-range", "198.19.0.0/16"]);
    command.args(["--authorization-mode", "RBAC"]);
    // It refuses pods and tokens of accounts that only a controller manager would make.
    command.args(["--disable-admission-plugins", "ServiceAccount"]);
    let mut api_server = Daemon::spawn(&command, directory.join(API_SERVER_LOG))?;
    let client = admin.client().await?;
    ready("kube-apiserver", &mut api_server, async || {
        let request =
            http::Request::get("/readyz").body(Vec::new()).map_err(kube::Error::HttpError)?;
        client.request_text(request).await.map(drop)
    })
    .await?;
    Ok(api_server)
}

/// Asks until the answer is good, the process has ended, or patience has.
async fn ready<E: std::fmt::Display>(
    name: &'static str,
    daemon: &mut Daemon,
    ask: impl AsyncFn() -> Result<(), E>,
) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        let why = match ask().await {
            Ok(()) => return Ok(()),
            Err(error) => error.to_string(),
        };
        if let Some(status) = daemon.exited()? {
            return Err(Error::Ended { name, status, log: tail(&daemon.output()) });
        }
        if started.elapsed() > PATIENCE {
            let seconds = PATIENCE.as_secs();
            return Err(Error::NotReady { name, seconds, why, log: tail(&daemon.output()) });
        }
        sleep(PERIOD).await;
    }
}

/// The last lines of a log.
fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
