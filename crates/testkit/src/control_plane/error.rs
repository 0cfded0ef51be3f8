//! What can go wrong with a test control plane, said so that the reader knows what to do.

use std::path::PathBuf;
use std::process::ExitStatus;

/// Why a control plane did not start, or a request to it failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program was not built yet.
    #[error(
        "{name} is not there (looked in MONIKER_TEST_ASSETS, KUBEBUILDER_ASSETS and {cache}): \
         run `cargo xtask setup`, which builds it once"
    )]
    Missing {
        /// The program's name.
        name: &'static str,
        /// Where the cache would have it.
        cache: PathBuf,
    },
    /// This process was not started in the network of a cluster.
    #[error(
        "no cluster: MONIKER_CLUSTER is not set. Run `cargo xtask test`, or `cargo xtask cluster up`, \
         load an image and run the test through `cargo xtask cluster run`"
    )]
    NoCluster,
    /// A process ended before it was ready.
    #[error("{name} ended ({status}) before it was ready; its last words:\n{log}")]
    Ended {
        /// The process.
        name: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// A process runs but does not get ready.
    #[error("{name} is not ready after {seconds} s: {why}; its last words:\n{log}")]
    NotReady {
        /// The process.
        name: &'static str,
        /// How long it was given.
        seconds: u64,
        /// What the last try said.
        why: String,
        /// The end of its log.
        log: String,
    },
    /// `kubectl` refused or was refused.
    #[error("kubectl {args} failed ({code}):\n{stderr}")]
    Kubectl {
        /// Its arguments.
        args: String,
        /// Its exit code.
        code: i32,
        /// What it said.
        stderr: String,
    },
    /// The API server did not learn of a binding.
    #[error("the API server does not heed a binding to the ClusterRole {role}")]
    NotHeeded {
        /// The role.
        role: String,
    },
    /// A file, a certificate or a process could not be made.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The kubeconfig that was written could not be read.
    #[error(transparent)]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// The API server refused, or did not answer.
    #[error(transparent)]
    Kube(Box<kube::Error>),
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Kube(Box::new(error))
    }
}
