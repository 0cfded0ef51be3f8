//! Runs the real `kubectl` where no cluster is needed.

use crate::assets::KUBECTL;
use crate::control_plane::{Error, Output, kubectl};

/// Runs it with `stdin` as its input. A failed command is an answer, not an error.
pub async fn offline(args: &[&str], stdin: &str) -> Result<Output, Error> {
    let home = tempfile::tempdir()?;
    let cache = KUBECTL.cached()?;
    let program = KUBECTL.find()?.ok_or(Error::Missing { name: KUBECTL.given_name, cache })?;
    kubectl::run(&program, &home.path().join("no-kubeconfig"), home.path(), args, stdin).await
}
