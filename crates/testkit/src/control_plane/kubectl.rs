//! Runs the real `kubectl`, which is how users meet the product's resources.

use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::error::Error;

/// How a `kubectl` command ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its arguments, for messages.
    pub args: String,
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained of; warnings of the API server are here as `Warning: ...`.
    pub stderr: String,
}

impl Output {
    /// What it printed, or an error with its complaint if it failed.
    pub fn success(self) -> Result<String, Error> {
        if self.code == 0 {
            Ok(self.stdout)
        } else {
            Err(Error::Kubectl { args: self.args, code: self.code, stderr: self.stderr })
        }
    }

    /// The API server's warnings, without their mark.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.stderr.lines().filter_map(|line| line.strip_prefix("Warning: "))
    }
}

pub(crate) async fn run(
    kubectl: &Path,
    kubeconfig: &Path,
    home: &Path,
    args: &[&str],
    stdin: &str,
) -> Result<Output, Error> {
    let mut command = Command::new(kubectl);
    // Its caches go into the control plane's directory, and no setting of the user's comes in.
    command.args(args).env("KUBECONFIG", kubeconfig).env("HOME", home).env("KUBERC", "off");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let input = child.stdin.take();
    let feed = async {
        if let Some(mut input) = input {
            // A command that does not read its input closes the pipe, which is its right.
            let _ = input.write_all(stdin.as_bytes()).await;
        }
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), feed);
    let output = output?;
    Ok(Output {
        args: args.join(" "),
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
