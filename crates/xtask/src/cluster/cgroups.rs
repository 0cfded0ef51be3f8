//! The control groups of a cluster's pods: below one group of the cluster's own, in each hierarchy
//! of version 1 or in the one of version 2, so that what is left can be found and removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

const ROOT: &str = "/sys/fs/cgroup";
/// What a group of this controller needs before anything can be in it; others inherit it.
const CPUSET: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// The group of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Cgroups {
    name: String,
    hierarchies: Vec<PathBuf>,
}

impl Cgroups {
    /// Named after the directory of the cluster.
    pub(super) fn of(directory: &Path) -> Self {
        let digest = Sha256::digest(directory.as_os_str().as_encoded_bytes());
        let name = format!("moniker-{}", hex::encode(&digest[..4]));
        Self { name, hierarchies: hierarchies(Path::new(ROOT)) }
    }

    /// As kubelet's `cgroupRoot` wants it.
    pub(super) fn root(&self) -> String {
        format!("/{}", self.name)
    }

    fn directories(&self) -> impl Iterator<Item = PathBuf> {
        self.hierarchies.iter().map(|hierarchy| hierarchy.join(&self.name))
    }

    /// Makes the group in every hierarchy.
    pub(super) fn make(&self) -> Result<()> {
        for (hierarchy, directory) in self.hierarchies.iter().zip(self.directories()) {
            fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
            for name in CPUSET {
                if directory.join(name).is_file() && hierarchy.join("cgroup.procs").is_file() {
                    // Version 2 gives the files to groups below its root only, and fills them.
                    if let Ok(value) = fs::read(hierarchy.join(name)) {
                        fs::write(directory.join(name), value)
                            .with_context(|| directory.join(name).display().to_string())?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Removes the group with all groups in it; false while processes are in one.
    pub(super) fn remove(&self) -> bool {
        self.directories().all(|directory| remove(&directory).is_ok())
    }
}

/// Every hierarchy that this machine has mounted: version 2 is one, version 1 a directory of them.
pub(super) fn hierarchies(root: &Path) -> Vec<PathBuf> {
    if root.join("cgroup.controllers").is_file() {
        return vec![root.to_owned()];
    }
    let entries = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    // Two controllers that are mounted together have a second name each, as links.
    let own = entries.filter(|path| !path.is_symlink() && path.join("cgroup.procs").is_file());
    let mut all: Vec<_> = own.collect();
    all.sort();
    all
}

fn remove(directory: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        // The files are the kernel's and go with the group.
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hierarchy(root: &Path, name: &str) -> PathBuf {
        let path = root.join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("cgroup.procs"), "").unwrap();
        path
    }

    #[test]
    fn both_versions_are_known() {
        let one = tempfile::tempdir().unwrap();
        let expected = ["cpu,cpuacct", "memory"].map(|name| hierarchy(one.path(), name));
        std::os::unix::fs::symlink("cpu,cpuacct", one.path().join("cpu")).unwrap();
        fs::create_dir(one.path().join("empty")).unwrap();
        assert_eq!(hierarchies(one.path()), expected);
        let two = tempfile::tempdir().unwrap();
        fs::write(two.path().join("cgroup.controllers"), "cpu memory pids").unwrap();
        hierarchy(two.path(), "system.slice");
        assert_eq!(hierarchies(two.path()), [two.path()]);
    }

    #[test]
    fn the_group_is_made_everywhere_and_removed_with_all_in_it() {
        let root = tempfile::tempdir().unwrap();
        let hierarchies = vec![hierarchy(root.path(), "memory"), hierarchy(root.path(), "pids")];
        let cgroups = Cgroups { name: "moniker-x".into(), hierarchies };
        assert!(cgroups.remove(), "nothing is there yet");
        cgroups.make().unwrap();
        fs::create_dir_all(root.path().join("memory/moniker-x/kubepods/pod1")).unwrap();
        assert!(root.path().join("pids/moniker-x").is_dir());
        assert!(cgroups.remove());
        assert!(!root.path().join("memory/moniker-x").exists());
        assert!(!root.path().join("pids/moniker-x").exists());
        assert!(root.path().join("memory").is_dir());
    }
}
