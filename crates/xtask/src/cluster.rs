//! `cargo xtask cluster`: a real Kubernetes on this machine, of one node, in namespaces of its own:
//! etcd, API server, controller manager, scheduler, kubelet, kube-proxy, containerd and CoreDNS.
//! RBAC and Pod Security are on. It reaches nothing outside, and nothing outside reaches it.

mod cgroups;
mod demo;
mod files;
pub(crate) mod host;
mod identities;
mod network;
mod node;
#[path = "../../testkit/src/pki.rs"]
mod pki;
mod processes;
pub(crate) mod programs;
mod state;

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use crate::assets::KUBECTL;
use crate::{run, setup};
use state::State;

/// What to do with the cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Start it: builds and installs what it needs first, once
    Up,
    /// Install the product of this checkout on it, with something to ask; starts it where it is not
    Demo,
    /// End it and remove everything that it was
    Down,
    /// Run kubectl as the administrator
    #[command(disable_help_flag = true)]
    Kubectl {
        /// What kubectl is told
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Load an image archive, such as `cargo xtask image` writes, into the node
    Load {
        /// The archive
        archive: PathBuf,
    },
    /// Run any program in the cluster's network, with KUBECONFIG set
    #[command(disable_help_flag = true)]
    Run {
        /// The program and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
    /// The first process of the cluster, which `up` starts
    #[command(hide = true)]
    Node(node::Args),
}

/// Does it.
pub(crate) fn run(task: &Task) -> Result<()> {
    match task {
        Task::Up => up(&State::of_user()?),
        Task::Demo => demo::run(&State::of_user()?),
        Task::Down => down(&State::of_user()?),
        Task::Kubectl { arguments } => {
            let found = KUBECTL.find()?.context("kubectl is not built: run `cargo xtask setup`")?;
            become_program(Command::new(found).args(arguments))
        }
        Task::Load { archive } => {
            let state = State::of_user()?;
            state.process()?;
            print!("{}", processes::load(&state, archive)?);
            Ok(())
        }
        Task::Run { command } => become_program(Command::new(&command[0]).args(&command[1..])),
        Task::Node(args) if node::is_first() => node::run(args),
        Task::Node(_) => bail!("this is for `cargo xtask cluster up`"),
    }
}

/// Starts the cluster and says how to use it.
fn up(state: &State) -> Result<()> {
    if state.running().is_some() {
        println!("the cluster is running already");
        usage(state);
        return Ok(());
    }
    let missing = host::missing();
    if !missing.is_empty() {
        bail!("no cluster can run on this machine:\n- {}", missing.join("\n- "));
    }
    setup::node()?;
    let started = Instant::now();
    start(state, Life::OfItsOwn)?;
    println!("the node is ready after {} s", started.elapsed().as_secs());
    usage(state);
    Ok(())
}

fn usage(state: &State) {
    println!(
        "  cargo xtask cluster demo              # the product of this checkout, and something to ask\n  \
         cargo xtask cluster kubectl get pods --all-namespaces\n  \
         cargo xtask image --dev && cargo xtask cluster load target/image/moniker.tar\n  \
         cargo xtask cluster run curl ...       # any program, in the cluster's network\n  \
         cargo xtask cluster down\n\
         logs: {}\nkubeconfig, for programs within the cluster's network: {}",
        state.logs().display(),
        state.kubeconfig().display()
    );
}

fn down(state: &State) -> Result<()> {
    let ran = state.remove()?;
    println!("{}", if ran { "the cluster is gone" } else { "no cluster was running" });
    Ok(())
}

/// How long a cluster lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Until somebody ends it.
    OfItsOwn,
    /// As long as this process, at the most.
    OfThisProcess,
}

/// Starts a cluster and waits until its node is ready.
fn start(state: &State, life: Life) -> Result<()> {
    state.remove()?;
    fs::create_dir_all(state.logs()).with_context(|| state.logs().display().to_string())?;
    // A kernel that has it as a module loads it by name, and one that has it built in need not.
    let _ = run::output(&mut run::program("modprobe", &["br_netfilter"]));
    let namespaces = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--"];
    let (wrapper, arguments): (_, &[&str]) = match life {
        Life::OfItsOwn => ("setsid", &[]),
        Life::OfThisProcess => ("setpriv", &["--pdeathsig", "KILL"]),
    };
    let mut command = run::program(wrapper, arguments);
    // By its process: the file may have been built anew since this started.
    let this = format!("/proc/{}/exe", std::process::id());
    command.args(namespaces).args([&this, "cluster", "node"]);
    command.arg(state.directory()).stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(File::create(state.logs().join("node"))?);
    let mut child = command.spawn().with_context(|| format!("cannot start {wrapper}"))?;
    let mut said = Vec::new();
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let line = line?;
        if line == node::READY {
            return Ok(());
        }
        said.push(line);
    }
    child.wait()?;
    said.push(fs::read_to_string(state.logs().join("node")).unwrap_or_default());
    let why = said.join("\n");
    bail!("the cluster did not start: {}\nlogs: {}", why.trim(), state.logs().display())
}

/// A cluster of this process, which ends with this value.
#[derive(Debug)]
pub(crate) struct Temporary(State);

impl Temporary {
    /// Starts it for this purpose, beside whatever else runs on this machine. It ends at the latest
    /// with the thread that this is called on.
    pub(crate) fn start(purpose: &str) -> Result<Self> {
        let started = Instant::now();
        let this = Self(State::of_process(purpose)?);
        start(&this.0, Life::OfThisProcess)?;
        println!("a node for {purpose} is ready after {} s", started.elapsed().as_secs());
        Ok(this)
    }

    /// Loads an image archive into it.
    pub(crate) fn load(&self, archive: &Path) -> Result<()> {
        processes::load(&self.0, archive).map(drop)
    }

    /// The command, wrapped so that it runs within its network.
    pub(crate) fn inside(&self, command: &Command) -> Result<Command> {
        self.0.inside(command)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(why) = self.0.remove() {
            println!("the cluster was not removed: {why:#}");
        }
    }
}

/// Becomes a program in the cluster's network: its input, output and exit code are ours.
fn become_program(command: &mut Command) -> Result<()> {
    let mut inside = State::of_user()?.inside(command.current_dir(env::current_dir()?))?;
    Err(inside.exec()).with_context(|| "cannot run nsenter: install Debian's util-linux")
}
