//! The first process of the cluster, in namespaces of its own: it mounts, starts and watches all
//! others, and they end with it. Nothing outside the cluster's directory can be written from here.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use rustix::process::{WaitOptions, wait};

use super::processes::{self, Process};
use super::state::State;
use super::{files, identities, network, programs};
use crate::image::layer::Tree;
use crate::image::oci::Image;
use crate::{image, run};

/// What it says once all is ready.
pub(super) const READY: &str = "ready";

/// How to call it; `up` does.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory of the cluster
    directory: PathBuf,
}

/// Runs until the cluster is ended.
pub(super) fn run(args: &Args) -> Result<()> {
    let state = State::at(&args.directory)?;
    // The /proc of the machine is still mounted, so this is the id outside.
    let link = fs::read_link("/proc/self").context("/proc/self")?;
    let pid = link.to_string_lossy().parse().context("/proc/self leads to no process id")?;
    for name in ["logs", "tmp", "home", "pods", "volume-plugins"] {
        fs::create_dir_all(state.path(name))?;
    }
    mounts(&state)?;
    // A file that is open for writing keeps its file system from being made read-only.
    let _lock = state.lock(pid)?;
    network::set_up()?;
    identities::write(state.directory())?;
    files::write(&state)?;
    let all = start(&state)?;
    let mut out = io::stdout();
    writeln!(out, "{READY}")?;
    out.flush()?;
    watch(&state, &all)
}

/// What the node writes to is its own; the rest of the machine can only be read.
fn mounts(state: &State) -> Result<()> {
    let directory = state.directory().display().to_string();
    let pods = state.path("pods").display().to_string();
    let all: [&[&str]; 8] = [
        &["--make-rprivate", "/"],
        &["-t", "proc", "proc", "/proc"],
        &["--bind", &directory, &directory],
        &["-t", "tmpfs", "tmpfs", "/run"],
        &["-t", "tmpfs", "tmpfs", "/var/lib"],
        // The logs of pods, where kubelet and containerd expect them.
        &["--bind", &pods, "/var/log"],
        &["-o", "remount,bind,ro", "/"],
        // Volumes that a pod mounts into others, and nobody else.
        &["--make-rshared", &directory],
    ];
    for arguments in all {
        run::output(&mut run::program("mount", arguments))?;
    }
    Ok(())
}

fn start(state: &State) -> Result<Vec<Process>> {
    state.cgroups().make()?;
    let mut containerd = processes::containerd(state)?;
    let etcd = processes::etcd(state)?;
    let mut api_server = processes::api_server(state)?;
    processes::containerd_ready(state, &mut containerd)?;
    processes::load(state, &pause(state)?).context("the image that holds pods' networks")?;
    processes::api_server_ready(state, &mut api_server)?;
    let role = state.path("dns-role.json");
    fs::write(&role, files::dns_role().to_string())?;
    processes::kubectl(state, &["apply", "--server-side", "-f", &role.display().to_string()])?;
    let mut all = vec![containerd, etcd, api_server];
    all.extend(processes::clients(state)?);
    for what in ["--for=create", "--for=condition=Ready"] {
        processes::kubectl(state, &["wait", what, "node/node", "--timeout=120s"])
            .with_context(|| format!("see {}", state.logs().display()))?;
    }
    Ok(all)
}

/// An image with nothing but the program that holds a pod's network.
fn pause(state: &State) -> Result<PathBuf> {
    let program = programs::PAUSE.find()?.context("pause is not built: run `cargo xtask setup`")?;
    let mut tree = Tree::default();
    tree.program("pause", fs::read(program)?);
    let image = Image {
        name: files::PAUSE_IMAGE,
        entrypoint: "/pause",
        user: "65535:65535",
        architecture: image::architecture()?,
        labels: &[],
        epoch: 0,
    };
    let path = state.path("pause.tar");
    fs::write(&path, image.archive(&tree)?.bytes)?;
    Ok(path)
}

/// Takes leave of every process that ends, as the first one must: those of containers come here
/// when whoever started them has ended. A process of the node that ends is noted.
fn watch(state: &State, all: &[Process]) -> Result<()> {
    let mut notes = File::options().create(true).append(true).open(state.logs().join("node"))?;
    loop {
        let Some((pid, status)) = wait(WaitOptions::empty())? else { continue };
        let ended = all.iter().find(|process| {
            i32::try_from(process.id()).is_ok_and(|id| id == pid.as_raw_nonzero().get())
        });
        if let Some(process) = ended {
            writeln!(notes, "{} ended: {status:?}", process.name)?;
        }
    }
}

/// Whether this process may be a node: the first one of its namespace.
pub(super) fn is_first() -> bool {
    std::process::id() == 1
}
