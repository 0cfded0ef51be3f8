//! A process that a test starts and that never outlives it: killed when its handle is dropped, and
//! by the kernel when the test process dies in any other way.
//!
//! The kernel's signal (`PR_SET_PDEATHSIG`, through util-linux's `setpriv`, since nothing here is
//! unsafe) is tied to the *thread* that started the child. Tests run on threads that end, so every
//! child is started by one thread that lives as long as the process.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;

/// A running process and the file that has what it printed.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command` (program, arguments, environment and directory are taken from it); its
    /// standard output and standard error are appended to the file `log`, its standard input is
    /// empty.
    pub fn spawn(command: &Command, log: impl Into<PathBuf>) -> io::Result<Self> {
        let log = log.into();
        let out = File::options().create(true).append(true).open(&log)?;
        let mut wrapped = Command::new("setpriv");
        wrapped.args(["--pdeathsig", "KILL", "--"]);
        wrapped.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            wrapped.current_dir(directory);
        }
        wrapped.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = spawn_for_life(wrapped).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                io::Error::new(error.kind(), "setpriv is missing: install Debian's util-linux")
            }
            _ => error,
        })?;
        Ok(Self { child, log })
    }

    /// The process id, also of the program itself: the wrapper becomes the program.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file with its output.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Sends SIGTERM, the way Kubernetes asks a container to stop.
    pub fn terminate(&self) -> io::Result<()> {
        let pid = self.pid().to_string();
        let status = Command::new("kill").args(["-TERM", &pid]).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("kill {pid}: {status}")))
        }
    }

    /// Waits until it has ended by itself; blocks the thread.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the kernel kills it with this process.
        let _ = self.kill();
    }
}

struct Job {
    command: Command,
    started: mpsc::Sender<io::Result<Child>>,
}

/// Starts the command on the one thread that lives as long as this process.
fn spawn_for_life(command: Command) -> io::Result<Child> {
    static STARTER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for mut job in jobs {
                if let Err(mpsc::SendError(Ok(mut child))) = job.started.send(job.command.spawn()) {
                    // Whoever asked is gone. The kernel would end the child with this process only.
                    let _ = child.kill();
                }
            }
        });
        sender
    });
    let (started, answer) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts processes is gone");
    starter.send(Job { command, started }).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, log: &Path) -> Daemon {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("WORD", "from its environment");
        Daemon::spawn(&command, log).unwrap()
    }

    #[test]
    fn output_and_status_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let mut daemon =
            shell("echo $WORD; echo problem >&2; exit 3", &directory.path().join("log"));
        assert_eq!(daemon.wait().unwrap().code(), Some(3));
        assert_eq!(daemon.output(), "from its environment\nproblem\n");
    }

    #[test]
    fn it_outlives_the_thread_that_asked_for_it_and_dies_when_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut daemon = thread::spawn(move || shell("exec sleep 600", &log)).join().unwrap();
        assert!(daemon.exited().unwrap().is_none(), "killed with the thread that asked for it");
        let process = PathBuf::from(format!("/proc/{}", daemon.pid()));
        assert!(process.exists());
        drop(daemon);
        assert!(!process.exists(), "still there after the drop");
    }

    #[test]
    fn terminate_asks_nicely() {
        let directory = tempfile::tempdir().unwrap();
        let mut daemon = shell("exec sleep 600", &directory.path().join("log"));
        daemon.terminate().unwrap();
        assert!(!daemon.wait().unwrap().success());
    }
}
