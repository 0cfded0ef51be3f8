//! A release as the chart ships it: objects without data, ServiceAccounts, roles; and its controller
//! and routers as processes that speak real TLS.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;
use testkit::control_plane::{ControlPlane, User};

use super::harness::{Controller, RealRouter, get, grant_own, until};

/// The ServiceAccount of its routers.
pub(crate) const ROUTERS: &str = "moniker-router";

/// A release named `moniker` in a namespace of its own.
pub(crate) struct Release {
    pub(crate) namespace: String,
    pub(crate) files: TempDir,
}

impl Release {
    /// Applies what is shipped, and lets this user be its controller.
    pub(crate) async fn install(plane: &ControlPlane, user: &User) -> Self {
        let namespace = plane.namespace("release").await.unwrap();
        let this = Self { namespace, files: TempDir::new().unwrap() };
        plane.apply(&this.objects()).await.unwrap();
        plane.service_account(&this.namespace, ROUTERS).await.unwrap();
        grant_own(plane, user, &this.namespace).await;
        this
    }

    /// The objects that are shipped without data.
    pub(crate) fn objects(&self) -> String {
        ["Secret/ca", "Secret/keys", "ConfigMap/ca"]
            .map(|object| {
                let (kind, suffix) = object.split_once('/').unwrap();
                let namespace = &self.namespace;
                format!(
                    "apiVersion: v1\nkind: {kind}\n\
                     metadata: {{name: moniker-{suffix}, namespace: {namespace}}}\n"
                )
            })
            .join("---\n")
    }

    /// The name that the stream is served under.
    pub(crate) fn host(&self) -> String {
        format!("moniker-controller.{}.svc", self.namespace)
    }

    /// The audience of its routers' tokens.
    pub(crate) fn audience(&self) -> String {
        format!("moniker-stream.{}.moniker", self.namespace)
    }

    /// A controller of it, once it takes routers.
    pub(crate) async fn controller(&self, user: &User, listen: &str, more: &[&str]) -> Controller {
        let release = format!("{}/moniker", self.namespace);
        let args = ["--release", &release, "--router-service-account", ROUTERS];
        let controller = Controller::start_at(user, listen, &[&args[..], more].concat()).await;
        controller.until("/readyz", |status, _| status == 200).await;
        controller
    }

    /// Writes whom routers trust, as the kubelet does, and gives the file.
    pub(crate) async fn ca_file(&self, plane: &ControlPlane) -> PathBuf {
        let filled = |map: &Value| map["data"]["ca.crt"].is_string();
        let map = until(plane, &self.namespace, "configmap/moniker-ca", filled).await;
        self.file("ca.crt", map["data"]["ca.crt"].as_str().unwrap())
    }

    /// Writes a fresh token of its routers, and gives the file.
    pub(crate) async fn token_file(&self, plane: &ControlPlane) -> PathBuf {
        let token = plane.token(&self.namespace, ROUTERS, &self.audience()).await.unwrap();
        self.file("token", &token)
    }

    /// Puts a file in the place of another at once.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let [path, new] = ["", ".new"].map(|end| self.files.path().join(format!("{name}{end}")));
        fs::write(&new, text).unwrap();
        fs::rename(new, &path).unwrap();
        path
    }

    /// The data of an object of it.
    pub(crate) async fn data(&self, plane: &ControlPlane, name: &str) -> BTreeMap<String, String> {
        let object = get(plane, &self.namespace, name).await;
        serde_json::from_value(object["data"].clone()).unwrap_or_default()
    }

    /// The arguments of a router of it behind the controller at this port.
    pub(crate) async fn router_args(&self, plane: &ControlPlane, port: u16) -> Vec<String> {
        let (ca, token) = (self.ca_file(plane).await, self.token_file(plane).await);
        vec![
            format!("--resolve={}=127.0.0.1:{port}", self.host()),
            format!("--ca-file={}", ca.display()),
            format!("--token-file={}", token.display()),
        ]
    }

    /// A router of it behind the controller at this port, for callers of a namespace.
    pub(crate) async fn router(
        &self,
        plane: &ControlPlane,
        port: u16,
        namespace: &str,
        more: &[&str],
    ) -> RealRouter {
        let args = self.router_args(plane, port).await;
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        RealRouter::start_at(&self.url(port), namespace, &args).await
    }

    /// The stream at this port, as routers are told it.
    pub(crate) fn url(&self, port: u16) -> String {
        format!("https://{}:{port}", self.host())
    }
}

/// The port that a controller serves the stream at.
pub(crate) fn port(controller: &Controller) -> u16 {
    controller.stream().rsplit(':').next().unwrap().parse().unwrap()
}
