//! A whole cluster for tests: the one that `cargo xtask cluster up` starts, with a node that runs
//! pods. `cargo xtask test` starts one of its own, loads the product's image and runs these tests
//! within its network; by hand, that is `cargo xtask cluster run cargo test ...`.

use std::env;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::assets;
use crate::control_plane::{Error, Output, kubectl};
use crate::helm;

/// The image of the product, as it is built for tests.
pub const IMAGE: &str = "localhost/moniker:dev";
/// The address of the node, where tests may serve to pods.
pub const NODE: &str = "198.18.0.1";

/// A running cluster whose network this process is in.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    kubectl: PathBuf,
}

impl Cluster {
    /// The cluster that this process was started in.
    pub fn attach() -> Result<Self, Error> {
        let directory = env::var_os(assets::CLUSTER).map(PathBuf::from).ok_or(Error::NoCluster)?;
        let kubectl = assets::KUBECTL;
        let missing = || -> Result<_, Error> {
            Ok(Error::Missing { name: kubectl.given_name, cache: kubectl.cached()? })
        };
        match kubectl.find()? {
            Some(kubectl) => Ok(Self { directory, kubectl }),
            None => Err(missing()?),
        }
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.join(assets::CLUSTER_KUBECONFIG)
    }

    /// A client of the administrator. It belongs to the running runtime: make one per test.
    pub async fn client(&self) -> Result<kube::Client, Error> {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig())?;
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
        Ok(kube::Client::try_from(config)?)
    }

    /// Runs the real `kubectl` as the administrator, with `stdin` as its input. A failed command
    /// is an answer, not an error.
    pub async fn kubectl(&self, args: &[&str], stdin: &str) -> Result<Output, Error> {
        let home: &Path = &self.directory.join("home");
        kubectl::run(&self.kubectl, &self.kubeconfig(), home, args, stdin).await
    }

    /// Runs the real Helm as the administrator. A failed command is an answer, not an error.
    pub async fn helm(
        &self,
        version: helm::Version,
        args: &[&str],
        values: &str,
    ) -> Result<Output, Error> {
        helm::run(version, &self.kubeconfig(), &self.directory.join("home"), args, values).await
    }

    /// Applies YAML documents, server-side; gives what `kubectl` said, or an error with the API
    /// server's refusal.
    pub async fn apply(&self, yaml: &str) -> Result<String, Error> {
        let args = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        self.kubectl(&args, yaml).await?.success()
    }

    /// Makes a fresh namespace, whose name begins with `prefix`, and waits until pods may be made in
    /// it.
    pub async fn namespace(&self, prefix: &str) -> Result<String, Error> {
        let metadata =
            ObjectMeta { generate_name: Some(format!("{prefix}-")), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let namespaces: Api<Namespace> = Api::all(self.client().await?);
        let made = namespaces.create(&PostParams::default(), &namespace).await?;
        let name = made.metadata.name.unwrap_or_default();
        let account = ["wait", "--for=create", "serviceaccount/default", "--timeout=60s"];
        self.kubectl(&[&account[..], &["-n", &name]].concat(), "").await?.success()?;
        Ok(name)
    }

    /// Waits until an object such as `pod/router` has a condition.
    pub async fn wait(&self, namespace: &str, name: &str, condition: &str) -> Result<(), Error> {
        let condition = format!("--for=condition={condition}");
        let args = ["wait", &condition, name, "-n", namespace, "--timeout=90s"];
        self.kubectl(&args, "").await?.success().map(drop)
    }
}
