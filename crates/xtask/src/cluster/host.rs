//! What this machine must have for a cluster: each thing that is missing is one sentence.

use std::path::Path;

use super::cgroups::hierarchies;
use crate::{image, run};

/// Controllers without which no pod runs.
const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "memory", "pids", "devices"];

/// All that is missing and that no package brings; empty where a cluster can run.
pub(crate) fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    if let Err(why) = image::architecture() {
        return vec![why.to_string()];
    }
    if !run::root() {
        missing
            .push("it needs root: run it with sudo, in a machine or container of your own".into());
        return missing;
    }
    missing.extend(cgroups(Path::new("/sys/fs/cgroup")));
    let namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child"];
    let mut unshare = run::program("unshare", &namespaces);
    unshare.args(["--", "sh", "-c"]);
    unshare
        .arg("mount --make-rprivate / && mount -t tmpfs tmpfs /run && ip link add x type bridge");
    if let Err(why) = run::output(&mut unshare) {
        missing.push(format!("namespaces, mounts or network bridges are refused: {why:#}"));
    }
    missing
}

/// The controllers that are missing, and whether groups may be made.
fn cgroups(root: &Path) -> Option<String> {
    let all = hierarchies(root);
    if all.is_empty() {
        return Some(format!("no control groups are mounted at {}", root.display()));
    }
    let unified = std::fs::read_to_string(root.join("cgroup.controllers"));
    let has = |name: &str| match &unified {
        // Version 2 has no controller for devices: it does that another way.
        Ok(controllers) => {
            name == "devices" || controllers.split_whitespace().any(|one| one == name)
        }
        Err(_) => root.join(name).join("cgroup.procs").is_file(),
    };
    let without: Vec<_> = CONTROLLERS.into_iter().filter(|name| !has(name)).collect();
    if !without.is_empty() {
        return Some(format!("control groups lack the controllers {}", without.join(", ")));
    }
    // Tried rather than asked: a container may see them and not be allowed to write.
    let name = format!("moniker-try-{}", std::process::id());
    let refused = all.iter().find_map(|hierarchy| {
        let directory = hierarchy.join(&name);
        let made = std::fs::create_dir(&directory);
        // Left where it cannot be removed, which only a machine without write access does.
        let _ = std::fs::remove_dir(&directory);
        made.err().map(|why| format!("{}: {why}", directory.display()))
    });
    refused
        .map(|why| format!("no control group may be made ({why}): a container needs --privileged"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let root = tempfile::tempdir().unwrap();
        assert!(cgroups(root.path()).unwrap().contains("no control groups are mounted"));
        fs::write(root.path().join("cgroup.controllers"), "cpu memory").unwrap();
        fs::write(root.path().join("cgroup.procs"), "").unwrap();
        let said = cgroups(root.path()).unwrap();
        assert!(said.ends_with("lack the controllers cpuset, pids"), "{said}");
        fs::write(root.path().join("cgroup.controllers"), "cpuset cpu memory pids").unwrap();
        assert_eq!(cgroups(root.path()), None);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2, "a trial stays");
    }
}
