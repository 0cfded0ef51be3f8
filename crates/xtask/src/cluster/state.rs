//! Where a cluster keeps itself, and whether it is there: everything that it writes is below one
//! directory, and the first process in it holds a lock as long as it lives.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::cgroups::Cgroups;
use crate::{assets, run};

/// A path of a socket has an end: `sun_path`, with what containerd appends to ours.
const LONGEST_SOCKET: usize = 107 - ".ttrpc".len();
/// How long what was killed may take to go.
const PATIENCE: Duration = Duration::from_secs(30);

/// The directory of a cluster.
#[derive(Debug, Clone)]
pub(crate) struct State {
    directory: PathBuf,
}

impl State {
    /// The cluster that the user means: in the directory that `MONIKER_CLUSTER` names, else in the
    /// cache.
    pub(crate) fn of_user() -> Result<Self> {
        match env::var_os(assets::CLUSTER).filter(|path| !path.is_empty()) {
            Some(given) => Self::at(Path::new(&given)),
            None => Self::at(&assets::cache()?.join("cluster")),
        }
    }

    /// A cluster of this process alone, for this purpose.
    pub(crate) fn of_process(purpose: &str) -> Result<Self> {
        Self::at(&assets::cache()?.join(format!("cluster-{}-{purpose}", std::process::id())))
    }

    /// The cluster in a directory, which need not be there yet.
    pub(crate) fn at(directory: &Path) -> Result<Self> {
        let directory = std::path::absolute(directory)?;
        let state = Self { directory };
        let length = state.socket().as_os_str().len();
        if length > LONGEST_SOCKET {
            bail!(
                "{} is too long for a socket: let {} name a shorter directory",
                state.directory.display(),
                assets::CLUSTER
            );
        }
        Ok(state)
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A file or a directory in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Where containerd listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path("containerd.sock")
    }

    /// The administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.path(assets::CLUSTER_KUBECONFIG)
    }

    /// Where each process of the node writes its log.
    pub(crate) fn logs(&self) -> PathBuf {
        self.path("logs")
    }

    /// The control groups of its pods.
    pub(crate) fn cgroups(&self) -> Cgroups {
        Cgroups::of(&self.directory)
    }

    /// Takes the lock for the first process of the cluster, and notes its id as this machine sees
    /// it. The lock lasts as long as the file is open.
    pub(super) fn lock(&self, pid: u32) -> Result<File> {
        let lock = self.open_lock()?;
        lock.try_lock().with_context(|| format!("{}: is in use", self.directory.display()))?;
        fs::write(self.path("pid"), pid.to_string())?;
        Ok(lock)
    }

    fn open_lock(&self) -> io::Result<File> {
        File::options().create(true).append(true).open(self.path("lock"))
    }

    /// The first process of the cluster, while it runs.
    pub(crate) fn running(&self) -> Option<u32> {
        let lock = self.path("lock").is_file().then(|| self.open_lock().ok()).flatten()?;
        if lock.try_lock().is_ok() {
            return None;
        }
        fs::read_to_string(self.path("pid")).ok()?.parse().ok()
    }

    /// The first process of the cluster, or what to do about its absence.
    pub(crate) fn process(&self) -> Result<u32> {
        self.running().context("no cluster is running: start one with `cargo xtask cluster up`")
    }

    /// Wraps a command so that it runs in the cluster's network and knows the cluster.
    pub(crate) fn inside(&self, command: &Command) -> Result<Command> {
        let network = format!("--net=/proc/{}/ns/net", self.process()?);
        let mut wrapped = run::program("nsenter", &[&network, "--"]);
        wrapped.arg(command.get_program()).args(command.get_args());
        wrapped.env("KUBECONFIG", self.kubeconfig()).env(assets::CLUSTER, &self.directory);
        if let Some(directory) = command.get_current_dir() {
            wrapped.current_dir(directory);
        }
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                wrapped.env(name, value);
            }
        }
        Ok(wrapped)
    }

    /// Ends the cluster, if it runs, and removes whatever it left: processes, control groups, files.
    /// Its mounts and its network end with its processes.
    pub(crate) fn remove(&self) -> Result<bool> {
        let running = self.running();
        if let Some(pid) = running {
            run::output(&mut run::program("kill", &["-KILL", &pid.to_string()]))?;
            wait(&format!("process {pid} is still there"), || {
                !Path::new(&format!("/proc/{pid}")).exists()
            })?;
        }
        wait("a control group of a pod is still in use", || self.cgroups().remove())?;
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| self.directory.display().to_string())
            }
            _ => Ok(running.is_some()),
        }
    }
}

/// Asks until it is done: the kernel does not say when it has cleaned up.
fn wait(problem: &str, done: impl Fn() -> bool) -> Result<()> {
    let started = Instant::now();
    while !done() {
        if started.elapsed() > PATIENCE {
            bail!("{problem} after {} s", PATIENCE.as_secs());
        }
        sleep(Duration::from_millis(10));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_runs_while_its_lock_is_held() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::at(directory.path()).unwrap();
        assert_eq!(state.running(), None);
        let lock = state.lock(4711).unwrap();
        assert_eq!(state.running(), Some(4711));
        assert!(state.lock(4712).is_err(), "a second one would take over");
        drop(lock);
        assert_eq!(state.running(), None, "its process id may be somebody else's by now");
        let error = state.process().unwrap_err().to_string();
        assert!(error.contains("cargo xtask cluster up"), "{error}");
    }

    #[test]
    fn what_a_crash_left_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::at(&directory.path().join("cluster")).unwrap();
        fs::create_dir_all(state.logs()).unwrap();
        drop(state.lock(1).unwrap());
        assert!(!state.remove().unwrap(), "it did not run");
        assert!(!state.directory().exists());
        assert!(!state.remove().unwrap());
    }

    #[test]
    fn a_directory_too_deep_for_a_socket_is_refused() {
        let error = State::at(Path::new(&format!("/{}", "x".repeat(100)))).unwrap_err();
        assert!(error.to_string().contains(assets::CLUSTER), "{error}");
    }
}
