//! Debian packages: installed by root, else named in one line.

use std::process::Command;

use anyhow::{Result, bail};

use crate::run;

/// A package, and the command that succeeds where it is installed.
#[derive(Debug)]
pub(super) struct Package {
    name: &'static str,
    probe: &'static [&'static str],
}

const fn package(name: &'static str, probe: &'static [&'static str]) -> Package {
    Package { name, probe }
}

/// For tests and measurements.
pub(super) const ALL: &[Package] = &[
    package("iproute2", &["ip", "-Version"]),
    package("util-linux", &["setpriv", "--version"]),
    package("python3-venv", &["python3", "-c", "import ensurepip, venv"]),
    package("prometheus", &["promtool", "--version"]),
    package("npm", &["npm", "--version"]),
    package("lua5.1", &["lua5.1", "-v"]),
    package("nginx", &["nginx", "-v"]),
];

/// For tests alone: nginx is measured, not tested.
pub(super) const TESTS: &[Package] = ALL.split_at(6).0;

/// For a cluster: what runs containers, and what gives them a network.
pub(super) const NODE: &[Package] = &[
    package("iproute2", &["ip", "-Version"]),
    package("util-linux", &["nsenter", "--version"]),
    package("runc", &["runc", "--version"]),
    package("containernetworking-plugins", &["test", "-x", "/usr/lib/cni/bridge"]),
    package("iptables", &["iptables", "--version"]),
    package("conntrack", &["conntrack", "--version"]),
    package("socat", &["socat", "-V"]),
    package("ethtool", &["ethtool", "--version"]),
];

/// For Argo CD: its cache, and where what it deploys comes from.
pub(super) const ARGO_CD: &[Package] = &[
    package("redis-server", &["redis-server", "--version"]),
    package("git", &["git", "--version"]),
];

/// Installs those that are missing, or says in one line how to.
pub(super) fn install(packages: &[Package]) -> Result<()> {
    let missing = missing(packages);
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !run::root() || !present(&["apt-get", "--version"]) {
        bail!("{}", remedy(&names));
    }
    println!("installing Debian packages: {names}");
    // A machine that has never looked for packages does not know where they are.
    if run::output(&mut install_command(&missing)).is_err() {
        run::run(&mut apt(&["update", "--quiet"]))?;
        run::run(&mut install_command(&missing))?;
    }
    Ok(())
}

fn install_command(names: &[&str]) -> Command {
    let install = ["install", "--quiet", "--yes", "--no-install-recommends"];
    apt(&[&install[..], names].concat())
}

fn apt(args: &[&str]) -> Command {
    let mut command = run::program("apt-get", args);
    // The runlevel keeps Debian from starting the services that some packages bring.
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    command
}

fn remedy(names: &str) -> String {
    format!("missing programs: install them with `sudo apt-get install {names}`")
}

fn missing(packages: &[Package]) -> Vec<&'static str> {
    let missing = packages.iter().filter(|package| !present(package.probe));
    missing.map(|package| package.name).collect()
}

fn present(probe: &[&str]) -> bool {
    run::output(&mut run::program(probe[0], &probe[1..])).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_in_one_line() {
        let packages = [
            package("coreutils", &["true"]),
            package("unicorn", &["no-such-program", "--version"]),
        ];
        assert_eq!(missing(&packages), ["unicorn"]);
        let line = remedy("unicorn");
        assert!(line.contains("apt-get install unicorn") && !line.contains('\n'), "{line}");
    }

    #[test]
    fn measurements_alone_need_nginx() {
        assert!(ALL.iter().any(|package| package.name == "nginx"));
        assert!(TESTS.iter().all(|package| package.name != "nginx"));
    }
}
