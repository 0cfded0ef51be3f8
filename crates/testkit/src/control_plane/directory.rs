//! The directory of one control plane. A control plane that is shared by all tests of a process is
//! never dropped, so each start first removes the directories whose process is gone.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that is removed when this is dropped, or by the next start after a crash.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Locked while this process lives: the mark by which others know that the directory is used.
    _lock: File,
}

impl Directory {
    pub(super) fn new() -> io::Result<Self> {
        let root = std::env::temp_dir().join("moniker-control-planes");
        fs::create_dir_all(&root)?;
        sweep(&root);
        Self::within(&root)
    }

    fn within(root: &Path) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = root.join(format!("{}-{count}", std::process::id()));
            // The lock is there before the directory, so a directory without one is abandoned.
            let lock = File::options().create(true).append(true).open(lock_of(&path))?;
            if lock.try_lock().is_ok() && fs::create_dir(&path).is_ok() {
                return Ok(Self { path, _lock: lock });
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The text of a file in it; empty if it cannot be read.
    pub(super) fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.path.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed now is swept by the next start.
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_file(lock_of(&self.path));
    }
}

fn lock_of(directory: &Path) -> PathBuf {
    directory.with_extension("lock")
}

/// Removes the directories that no living process holds. What cannot be read or removed stays: it
/// belongs to somebody else, or to a sweep that runs at the same time.
fn sweep(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let path = entry.path();
        if !path.is_dir() {
            continue;
        }
        let lock = File::options().create(true).append(true).open(lock_of(&path));
        if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(&path);
            let _ = fs::remove_file(lock_of(&path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_abandoned_directories_are_swept() {
        let root = tempfile::tempdir().unwrap();
        let used = Directory::within(root.path()).unwrap();
        let abandoned = root.path().join("1-1");
        fs::create_dir(&abandoned).unwrap();
        sweep(root.path());
        assert!(used.path().exists());
        assert!(!abandoned.exists());
        let path = used.path().to_owned();
        drop(used);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "no lock files stay");
    }
}
