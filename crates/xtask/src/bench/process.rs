//! A server that is measured: started, waited for, its CPU time read, ended.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// Longest start of a server.
const START: Duration = Duration::from_secs(20);
/// Clock ticks per second in /proc: the kernel shows 100 to programs on every architecture.
const TICKS: u32 = 100;

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    name: String,
}

impl Server {
    /// Starts it, its output into `log`, and waits until `ready` takes connections.
    pub(super) fn start(command: &mut Command, log: &Path, ready: SocketAddr) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let out = fs::File::create(log).with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out);
        let child = command.spawn().with_context(|| format!("cannot run {name}"))?;
        let mut server = Self { child, name };
        let deadline = Instant::now() + START;
        while TcpStream::connect(ready).is_err() {
            let ended = server.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let said = fs::read_to_string(log).unwrap_or_default();
                bail!("{} does not serve at {ready}: {said}", server.name);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// The CPU time that it and its children have used, all threads, user and system.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let mut ticks = 0;
        for entry in fs::read_dir("/proc")? {
            let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
            // A process may end between the two.
            let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
            let stat = Stat::parse(&stat).with_context(|| format!("/proc/{pid}/stat"))?;
            if pid == self.child.id() || stat.parent == self.child.id() {
                ticks += stat.ticks;
            }
        }
        Ok(Duration::from_secs(ticks) / TICKS)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // TERM, so that nginx ends its workers too.
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        let deadline = Instant::now() + Duration::from_secs(5);
        while asked.is_ok() && Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is read of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    ticks: u64,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // The name of the program is in parentheses and may hold anything.
        let (_, fields) = line.rsplit_once(')')?;
        let fields: Vec<_> = fields.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self { parent: number(1)?.try_into().ok()?, ticks: number(11)? + number(12)? })
    }
}

/// A free port of 127.0.0.1.
pub(super) fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_behind_a_name_with_anything_in_it() {
        let line = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 0 0 0 30 12 5 5 20 0 4 0 1";
        assert_eq!(Stat::parse(line), Some(Stat { parent: 7, ticks: 42 }));
        assert_eq!(Stat::parse("42 (a"), None);
    }

    #[test]
    fn a_server_that_does_not_start_is_told_with_what_it_said() {
        let log = std::env::temp_dir().join(format!("xtask-bench-{}", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such option >&2; exit 2"]);
        let error = Server::start(&mut command, &log, free().unwrap()).unwrap_err().to_string();
        fs::remove_file(&log).unwrap();
        assert!(error.contains("no such option"), "{error}");
    }
}
