//! Runs the real Helm, of the current major version and of the one before, on the charts of this
//! workspace.

use std::path::{Path, PathBuf};

use crate::assets;
use crate::control_plane::{Error, Output, kubectl};

/// Which Helm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The current one, which applies on the server's side.
    Four,
    /// The one before, which many still use.
    Three,
}

/// Which cluster is meant where there is none: Helm 3 takes an old one if it was built without its own
/// build script.
pub const OF_CLUSTER: [&str; 2] = ["--kube-version", "1.37.2"];

/// The directory of a chart of this workspace.
pub fn chart(name: &str) -> PathBuf {
    assets::workspace().join("charts").join(name)
}

/// Runs Helm without a cluster, with `stdin` as its input. A failed command is an answer, not an
/// error.
pub async fn offline(version: Version, args: &[&str], stdin: &str) -> Result<Output, Error> {
    let home = tempfile::tempdir()?;
    run(version, &home.path().join("no-kubeconfig"), home.path(), args, stdin).await
}

/// What a chart of this workspace renders to with these values (YAML): its documents, hooks
/// included.
pub async fn render(
    version: Version,
    name: &str,
    namespace: &str,
    release: &str,
    values: &str,
) -> Result<String, Error> {
    let chart = chart(name);
    let chart = chart.to_string_lossy();
    let args = ["template", release, &chart, "--namespace", namespace, "--values", "-"];
    offline(version, &[&args[..], &OF_CLUSTER].concat(), values).await?.success()
}

pub(crate) async fn run(
    version: Version,
    kubeconfig: &Path,
    home: &Path,
    args: &[&str],
    stdin: &str,
) -> Result<Output, Error> {
    let asset = match version {
        Version::Four => assets::HELM,
        Version::Three => assets::HELM_3,
    };
    let cache = asset.cached()?;
    let program = asset.find()?.ok_or(Error::Missing { name: asset.given_name, cache })?;
    kubectl::run(&program, kubeconfig, home, args, stdin).await
}
