//! Runs a command in a network namespace of its own: nothing it sends leaves, and no other
//! process of the machine has its ports.
//!
//! Besides loopback it has the addresses 198.18.0.1 to 198.18.0.16, out of the range that is
//! reserved for benchmarks: the API server refuses loopback addresses in EndpointSlices, so routers
//! under test listen on these. It has the link-local addresses, too, at which clouds give a pod its
//! identity, and nothing is there but what a test puts there.

use std::process::Command;

use anyhow::{Context, Result};

use crate::run;

const SCRIPT: &str = "ip link set lo up && \
    for n in 198.18.0.$(seq -s ' 198.18.0.' 16) 169.254.169.254 169.254.170.23; do \
    ip address add $n/32 dev lo || exit; done && exec \"$@\"";

/// The command, wrapped.
pub(crate) fn wrap(command: &Command) -> Command {
    let mut wrapped = run::program("unshare", &["--net"]);
    if !run::root() {
        wrapped.arg("--map-root-user");
    }
    wrapped.args(["--", "sh", "-c", SCRIPT, "sh"]);
    wrapped.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            wrapped.env(name, value);
        }
    }
    wrapped
}

/// Fails with a reason and a remedy if this machine does not let the user make one.
pub(crate) fn check() -> Result<()> {
    run::output(&mut wrap(&run::program("true", &[]))).map(drop).context(
        "a network namespace of its own is refused; as a user who is not root it needs \
         unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_and_its_environment_go_inside() {
        let mut command = run::program("cargo", &["test", "--test", "two words"]);
        command.env("COLOUR", "always");
        let wrapped = wrap(&command);
        assert_eq!(wrapped.get_program(), "unshare");
        let args: Vec<_> = wrapped.get_args().collect();
        assert_eq!(args[args.len() - 4..], ["cargo", "test", "--test", "two words"]);
        assert!(wrapped.get_envs().any(|(name, _)| name == "COLOUR"));
    }

    #[test]
    fn nothing_but_loopback_is_there() {
        let script = "ip -oneline address show | grep --count --invert-match ': lo '; \
                      ip -oneline address show dev lo | grep --count 198.18.0.";
        let mut command = wrap(&run::program("sh", &["-c", script]));
        assert_eq!(run::output(&mut command).unwrap(), "0\n16\n");
    }
}
