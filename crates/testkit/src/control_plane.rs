//! A real Kubernetes control plane for tests: etcd and kube-apiserver, RBAC on, on loopback.
//!
//! There is no controller manager and no scheduler, so a few things do not happen: namespaces are
//! never deleted (use a fresh one per test), owner references collect no garbage, nobody writes
//! EndpointSlices, no ServiceAccount appears by itself, and the aggregated roles (`view`, `edit`,
//! `admin`) are empty.

mod access;
mod directory;
mod error;
pub(crate) mod kubectl;
mod launch;
mod user;

use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::sync::OnceCell;

use crate::assets::{self, Asset};
use crate::daemon::Daemon;
use crate::helm;
use crate::pki::Authority;
use directory::Directory;
pub use error::Error;
pub use kubectl::Output;
use launch::Ports;
pub use user::User;

/// Which of the supported API servers to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The newest that is supported.
    Current,
    /// The oldest that is supported: rules' cost limits and warnings differ there.
    Oldest,
}

impl Version {
    fn asset(self) -> Asset {
        match self {
            Self::Current => assets::API_SERVER,
            Self::Oldest => assets::OLDEST_API_SERVER,
        }
    }
}

/// A running control plane. It ends with this value, and at the latest with the test process.
#[derive(Debug)]
pub struct ControlPlane {
    version: Version,
    ports: Ports,
    admin: User,
    kubectl: PathBuf,
    authority: Authority,
    /// `None` while it is stopped.
    api_server: Option<Daemon>,
    // Fields drop in this order: the processes first, their files last.
    _etcd: Daemon,
    directory: Directory,
}

impl ControlPlane {
    /// Starts etcd and an API server and waits until it is ready, which takes about three seconds.
    pub async fn start(version: Version) -> Result<Self, Error> {
        launch::control_plane(version).await
    }

    /// One control plane for all tests of this process: started by whoever asks first. Tests that
    /// stop the API server or define their own CRDs need [`ControlPlane::start`].
    pub async fn shared(version: Version) -> Result<&'static Self, Error> {
        static CURRENT: OnceCell<ControlPlane> = OnceCell::const_new();
        static OLDEST: OnceCell<ControlPlane> = OnceCell::const_new();
        let cell = match version {
            Version::Current => &CURRENT,
            Version::Oldest => &OLDEST,
        };
        cell.get_or_try_init(|| Self::start(version)).await
    }

    /// Which API server this is.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The address of the API server, the same after a restart.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.api_server)
    }

    /// The administrator, a member of `system:masters`.
    pub fn admin(&self) -> &User {
        &self.admin
    }

    /// A kubeconfig of the administrator, on disk as long as the control plane lives.
    pub fn kubeconfig(&self) -> &Path {
        self.admin.kubeconfig()
    }

    /// A client of the administrator. It belongs to the running runtime: make one per test.
    pub async fn client(&self) -> Result<kube::Client, Error> {
        self.admin.client().await
    }

    /// Makes a user that the API server knows by its client certificate. Without a binding it may
    /// do nothing.
    pub fn user(&self, name: &str) -> Result<User, Error> {
        User::with_certificate(&self.authority, self.directory.path(), &self.url(), name, None)
    }

    /// Makes a ServiceAccount in an existing namespace, as a manifest would, and gives the user
    /// that a pod under it would be: it has a token, an hour long. Without a binding it may do
    /// nothing.
    pub async fn service_account(&self, namespace: &str, name: &str) -> Result<User, Error> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let account = ServiceAccount {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            ..ServiceAccount::default()
        };
        accounts.create(&PostParams::default(), &account).await?;
        let request = TokenRequest::default();
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await?;
        let token = answer.status.map(|status| status.token).unwrap_or_default();
        let name = format!("system:serviceaccount:{namespace}:{name}");
        User::with_token(&self.authority, self.directory.path(), &self.url(), &name, &token)
    }

    /// A token of a ServiceAccount, as a pod under it has one: for this audience, an hour long.
    pub async fn token(
        &self,
        namespace: &str,
        account: &str,
        audience: &str,
    ) -> Result<String, Error> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let mut request = TokenRequest::default();
        request.spec.audiences = vec![audience.to_owned()];
        let params = PostParams::default();
        let answer = accounts.create_token_request(account, &params, &request).await?;
        Ok(answer.status.map(|status| status.token).unwrap_or_default())
    }

    /// Lets a user do everywhere what an existing ClusterRole allows, and waits until the API
    /// server heeds it.
    pub async fn bind_cluster_role(&self, user: &User, role: &str) -> Result<(), Error> {
        access::bind(self.client().await?, user.name(), role).await
    }

    /// Makes a fresh namespace, so that tests that share a control plane do not meet, and gives
    /// its name, which begins with `prefix`.
    pub async fn namespace(&self, prefix: &str) -> Result<String, Error> {
        let namespace = Namespace {
            metadata: ObjectMeta {
                generate_name: Some(format!("{prefix}-")),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let namespaces: Api<Namespace> = Api::all(self.client().await?);
        let made = namespaces.create(&PostParams::default(), &namespace).await?;
        Ok(made.metadata.name.unwrap_or_default())
    }

    /// Runs the real `kubectl` as the administrator, with `stdin` as its input. A failed command
    /// is an answer, not an error.
    pub async fn kubectl(&self, args: &[&str], stdin: &str) -> Result<Output, Error> {
        self.kubectl_as(&self.admin, args, stdin).await
    }

    /// Runs the real `kubectl` as another user.
    pub async fn kubectl_as(
        &self,
        user: &User,
        args: &[&str],
        stdin: &str,
    ) -> Result<Output, Error> {
        kubectl::run(&self.kubectl, user.kubeconfig(), self.directory.path(), args, stdin).await
    }

    /// Runs the real Helm as the administrator. A failed command is an answer, not an error.
    pub async fn helm(
        &self,
        version: helm::Version,
        args: &[&str],
        values: &str,
    ) -> Result<Output, Error> {
        helm::run(version, self.kubeconfig(), self.directory.path(), args, values).await
    }

    /// Applies YAML documents, server-side, as the administrator; gives what `kubectl` said, or an
    /// error with the API server's refusal.
    pub async fn apply(&self, yaml: &str) -> Result<String, Error> {
        let args = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        self.kubectl(&args, yaml).await?.success()
    }

    /// Kills the API server, as a crash would; etcd keeps what it knows.
    pub fn stop_api_server(&mut self) {
        self.api_server = None;
    }

    /// Starts the API server again after [`ControlPlane::stop_api_server`], with the same data, on
    /// the same port, and waits until it is ready.
    pub async fn start_api_server(&mut self) -> Result<(), Error> {
        if self.api_server.is_none() {
            self.api_server = Some(launch::api_server_again(self).await?);
        }
        Ok(())
    }

    /// What the API server has logged since the control plane was started.
    pub fn api_server_log(&self) -> String {
        self.directory.read(launch::API_SERVER_LOG)
    }
}
