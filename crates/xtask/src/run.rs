//! Runs commands: printed before they run, failed when they fail.

use std::io::{BufRead, BufReader, IsTerminal};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::assets;

/// Cargo, in the root of the workspace.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = program("cargo", args);
    if std::io::stdout().is_terminal() {
        // Its output may go through a pipe of ours, which it cannot see through.
        command.env("CARGO_TERM_COLOR", "always");
    }
    command
}

/// Any program, in the root of the workspace.
pub(crate) fn program(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(args).current_dir(assets::workspace());
    // Users who are not root often lack the directory of `ip` and `nginx`.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

/// Prints and runs the command; an error if it cannot be run or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("+ {}", shown(command));
    let status = command.status().with_context(|| format!("cannot run {}", shown(command)))?;
    if !status.success() {
        bail!("{}: {status}", shown(command));
    }
    Ok(())
}

/// Runs the command silently and gives what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {}", shown(command)))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}\n{stdout}{stderr}", shown(command), output.status);
    }
    Ok(stdout)
}

/// How many tests ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Tests {
    /// Adds what ran elsewhere.
    pub(crate) fn and(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }

    /// Adds what a line of `cargo test` says, if it closes the run of a test binary.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.split_once("test result:") else { return };
        let words: Vec<_> = counts.split([' ', ';']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let Ok(count) = pair[0].parse::<u64>() else { continue };
            match pair[1] {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

/// Prints and runs a command that runs tests, and counts them.
pub(crate) fn tests(command: &mut Command, tests: &mut Tests) -> Result<()> {
    tests_beside("", command, tests)
}

/// The same beside others: each line begins with `mark`.
pub(crate) fn tests_beside(mark: &str, command: &mut Command, tests: &mut Tests) -> Result<()> {
    println!("+ {}", shown(command));
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let line = line?;
        tests.add(&line);
        println!("{mark}{line}");
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{}: {status}", shown(command));
    }
    Ok(())
}

/// Whether packages may be installed and namespaces made without asking.
pub(crate) fn root() -> bool {
    output(&mut program("id", &["-u"])).is_ok_and(|id| id.trim() == "0")
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| match word.to_string_lossy() {
        word if word.contains([' ', '$', '"']) => format!("'{word}'"),
        word => word.into_owned(),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted_and_no_others() {
        let mut counted = Tests::default();
        counted.add("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out");
        counted.add("test result: \u{1b}[31mFAILED\u{1b}[0m. 2 passed; 5 failed; 0 ignored");
        counted.add("test a_test_of_9 passed ... ok");
        assert_eq!(counted, Tests { passed: 14, failed: 5, ignored: 1 });
    }

    #[test]
    fn what_fails_is_an_error_that_names_the_command() {
        let error = run(&mut program("sh", &["-c", "exit 3"])).unwrap_err().to_string();
        assert!(error.contains("sh -c 'exit 3'") && error.contains('3'), "{error}");
        let error = output(&mut program("no-such-program", &[])).unwrap_err().to_string();
        assert!(error.contains("no-such-program"), "{error}");
    }
}
