//! The node's processes: started in the order in which they need each other, waited for where one
//! says when it is ready, and watched ever after.

use std::fs::File;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::network::{NODE, SERVICES};
use super::programs;
use super::state::State;
use crate::assets::{API_SERVER, Asset, ETCD, KUBECTL};
use crate::run;

/// How long a process may take to be ready; a loaded machine is slow.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is asked.
const PERIOD: Duration = Duration::from_millis(50);

/// A process of the node.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) name: &'static str,
    child: Child,
}

impl Process {
    /// Starts a program with these arguments; what it prints goes into its log.
    pub(super) fn start(state: &State, asset: Asset, arguments: &[&str]) -> Result<Self> {
        let log = state.logs().join(asset.name);
        let out = File::create(&log).with_context(|| log.display().to_string())?;
        let mut command = command(state, asset)?;
        command.args(arguments).stdout(out.try_clone()?).stderr(out);
        let child = command.spawn().with_context(|| format!("cannot start {}", asset.name))?;
        Ok(Self { name: asset.name, child })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks until it is ready, or it has ended, or patience has.
    pub(super) fn ready(&mut self, state: &State, ask: impl Fn() -> bool) -> Result<()> {
        let log = state.logs().join(self.name);
        let started = Instant::now();
        while !ask() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}):\n{}", self.name, tail(&log));
            }
            if started.elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                bail!("{} is not ready after {seconds} s:\n{}", self.name, tail(&log));
            }
            sleep(PERIOD);
        }
        Ok(())
    }
}

/// A program of the node, in the cluster's directory and with nothing of the user's settings.
fn command(state: &State, asset: Asset) -> Result<Command> {
    let found = asset.find()?.with_context(|| {
        format!("{} is not built yet: run `cargo xtask setup`", asset.given_name)
    })?;
    // Containerd looks for its shim in the path.
    let shims = programs::SHIM.find()?.context("the shim of containerd is not built yet")?;
    let shims = shims.parent().unwrap_or(Path::new("/"));
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", shims.display());
    let mut command = Command::new(found);
    command.current_dir(state.directory()).env_clear().env("PATH", path);
    command.env("HOME", state.path("home")).env("TMPDIR", state.path("tmp"));
    command.env("KUBECONFIG", state.kubeconfig()).env("KUBERC", "off");
    command.stdin(std::process::Stdio::null());
    Ok(command)
}

/// Runs the real `kubectl` as the administrator, from within: the network is that of this process.
pub(super) fn kubectl(state: &State, arguments: &[&str]) -> Result<String> {
    let mut command = command(state, KUBECTL)?;
    run::output(command.args(arguments))
}

/// Loads an image archive, and says the names of what was in it.
pub(super) fn load(state: &State, archive: &Path) -> Result<String> {
    let ctr = programs::CTR.find()?.context("ctr is not built yet: run `cargo xtask setup`")?;
    let mut command = Command::new(ctr);
    command.arg("--address").arg(state.socket()).args(["--namespace", "k8s.io"]);
    command.args(["images", "import"]).arg(archive);
    run::output(&mut command)
}

pub(super) fn etcd(state: &State) -> Result<Process> {
    let (client, peer) = ("http://127.0.0.1:2379", "http://127.0.0.1:2380");
    let mut etcd = Process::start(
        state,
        ETCD,
        &[
            &["--data-dir", "etcd", "--name", "node", "--log-level", "error"][..],
            &["--listen-client-urls", client, "--advertise-client-urls", client],
            &["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
            &["--initial-cluster", &format!("node={peer}")],
            // What is in it need not survive the machine.
            &["--unsafe-no-fsync"],
        ]
        .concat(),
    )?;
    etcd.ready(state, || TcpStream::connect("127.0.0.1:2379").is_ok())?;
    Ok(etcd)
}

pub(super) fn api_server(state: &State) -> Result<Process> {
    Process::start(
        state,
        API_SERVER,
        &[
            &["--etcd-servers", "http://127.0.0.1:2379"][..],
            &["--secure-port", "6443", "--advertise-address", NODE],
            &["--tls-cert-file", "apiserver.crt", "--tls-private-key-file", "apiserver.key"],
            &["--client-ca-file", "ca.crt", "--kubelet-certificate-authority", "ca.crt"],
            &["--kubelet-client-certificate", "apiserver-kubelet-client.crt"],
            &["--kubelet-client-key", "apiserver-kubelet-client.key"],
            &["--kubelet-preferred-address-types", "InternalIP"],
            &["--service-account-issuer", "https://kubernetes.default.svc"],
            &["--service-account-key-file", "tokens.pub"],
            &["--service-account-signing-key-file", "tokens.key"],
            &["--service-cluster-ip-range", SERVICES],
            &["--authorization-mode", "Node,RBAC"],
            &["--enable-admission-plugins", "NodeRestriction"],
            &["--admission-control-config-file", "admission.json"],
            &["--allow-privileged"],
        ]
        .concat(),
    )
}

pub(super) fn containerd(state: &State) -> Result<Process> {
    Process::start(state, programs::CONTAINERD, &["--config", "containerd.toml"])
}

/// Waits until containerd takes requests.
pub(super) fn containerd_ready(state: &State, containerd: &mut Process) -> Result<()> {
    containerd.ready(state, || UnixStream::connect(state.socket()).is_ok())
}

/// Waits until the API server takes requests.
pub(super) fn api_server_ready(state: &State, api_server: &mut Process) -> Result<()> {
    api_server.ready(state, || kubectl(state, &["get", "--raw", "/readyz"]).is_ok())
}

/// Everything that talks to the API server.
pub(super) fn clients(state: &State) -> Result<Vec<Process>> {
    let root = state.path("kubelet").display().to_string();
    let all: [(Asset, &[&str]); 5] = [
        (
            programs::CONTROLLER_MANAGER,
            &[
                "--kubeconfig=controller-manager.kubeconfig",
                "--service-account-private-key-file=tokens.key",
                "--root-ca-file=ca.crt",
                "--use-service-account-credentials",
                "--leader-elect=false",
            ],
        ),
        (programs::SCHEDULER, &["--kubeconfig=scheduler.kubeconfig", "--leader-elect=false"]),
        (
            programs::KUBELET,
            &[
                "--config=kubelet.json",
                "--kubeconfig=kubelet.kubeconfig",
                "--hostname-override=node",
                "--node-ip",
                NODE,
                "--root-dir",
                &root,
            ],
        ),
        (programs::PROXY, &["--config=proxy.json"]),
        (programs::DNS, &["-conf", "Corefile"]),
    ];
    all.into_iter().map(|(asset, arguments)| Process::start(state, asset, arguments)).collect()
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
