//! Somebody who talks to the API server: a name, and a kubeconfig on disk that proves it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::error::Error;
use crate::pki::{Authority, Holder};

/// A user of a control plane.
#[derive(Debug)]
pub struct User {
    name: String,
    kubeconfig: PathBuf,
}

impl User {
    pub(super) fn with_certificate(
        authority: &Authority,
        directory: &Path,
        url: &str,
        name: &str,
        group: Option<&str>,
    ) -> Result<Self, Error> {
        let file = file_name(name);
        let pair = authority.sign(directory, Holder { file: &file, name, group, serves: &[] })?;
        let proof = json!({"client-certificate": pair.certificate, "client-key": pair.key});
        Self::write(authority, directory, url, name, &file, &proof)
    }

    pub(super) fn with_token(
        authority: &Authority,
        directory: &Path,
        url: &str,
        name: &str,
        token: &str,
    ) -> Result<Self, Error> {
        Self::write(authority, directory, url, name, &file_name(name), &json!({"token": token}))
    }

    fn write(
        authority: &Authority,
        directory: &Path,
        url: &str,
        name: &str,
        file: &str,
        proof: &Value,
    ) -> Result<Self, Error> {
        // JSON is YAML.
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {
                "server": url, "certificate-authority": authority.certificate(),
            }}],
            "users": [{"name": name, "user": proof}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "current-context": "test",
        });
        let kubeconfig = directory.join(format!("{file}.kubeconfig"));
        fs::write(&kubeconfig, config.to_string())?;
        Ok(Self { name: name.to_owned(), kubeconfig })
    }

    /// The name that RBAC knows.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kubeconfig, on disk as long as the control plane lives.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The kubeconfig as kube's client takes it.
    pub async fn config(&self) -> Result<kube::Config, Error> {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        let options = KubeConfigOptions::default();
        Ok(kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?)
    }

    /// A client of this user. It belongs to the running runtime: make one per test.
    pub async fn client(&self) -> Result<kube::Client, Error> {
        Ok(kube::Client::try_from(self.config().await?)?)
    }
}

/// A name for the user's files: users are named as `system:serviceaccount:demo:moniker`, and
/// several tests may name theirs alike.
fn file_name(user: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let safe: String =
        user.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '-' }).collect();
    format!("{safe}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}
