//! A controller under test, and a reader of its watch stream.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::Value;
use tempfile::TempDir;
use testkit::control_plane::{ControlPlane, User, Version};
use testkit::daemon::Daemon;
use testkit::programs;
use tokio::time::{sleep, timeout};

/// The longest that anything is waited for; only a failure takes it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often something is asked that cannot tell by itself.
const PERIOD: Duration = Duration::from_millis(20);

/// What the chart grants in the whole cluster, for a release `moniker` in `moniker-system`.
const RBAC: [&str; 2] = [
    include_str!("../../../../deploy/kustomize/base/rbac-kinds.yaml"),
    include_str!("../../../../deploy/kustomize/base/rbac-cluster.yaml"),
];
/// The roles in it, under names that no release has.
pub(crate) const ROLES: [&str; 3] = ["chart.kinds", "chart.credentials", "chart.cluster"];
/// What it grants in the release's own namespace.
const OWN: &str = include_str!("../../../../deploy/kustomize/base/rbac-release.yaml");
pub(crate) const TARGETS_CRD: &str =
    include_str!("../../../../crds/moniker.dev_providertargets.yaml");
pub(crate) const ALIASES_CRD: &str = include_str!("../../../../crds/moniker.dev_modelaliases.yaml");
const KEYS_CRD: &str = include_str!("../../../../crds/moniker.dev_accesskeys.yaml");

/// A control plane without our kinds, and the user that the controller is there.
pub(crate) async fn bare_plane() -> (ControlPlane, User) {
    let plane = ControlPlane::start(Version::Current).await.unwrap();
    for yaml in RBAC {
        plane.apply(&yaml.replace("moniker-system.moniker.", "chart.")).await.unwrap();
    }
    let user = plane.user("moniker").unwrap();
    for role in ROLES {
        plane.bind_cluster_role(&user, role).await.unwrap();
    }
    (plane, user)
}

/// A control plane that has our kinds, and the user that the controller is there.
pub(crate) async fn plane() -> (ControlPlane, User) {
    let (plane, user) = bare_plane().await;
    install(&plane).await;
    (plane, user)
}

/// Grants a user what a release's controller may do in the release's own namespace.
pub(crate) async fn grant_own(plane: &ControlPlane, user: &User, namespace: &str) {
    plane.apply(&OWN.replace("moniker-system", namespace)).await.unwrap();
    let binding = format!(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: of-the-test, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: moniker-controller}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {}}}]
",
        user.name()
    );
    plane.apply(&binding).await.unwrap();
}

/// Installs our kinds and waits until they are served.
pub(crate) async fn install(plane: &ControlPlane) {
    plane.apply(TARGETS_CRD).await.unwrap();
    plane.apply(ALIASES_CRD).await.unwrap();
    plane.apply(KEYS_CRD).await.unwrap();
    let all = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
    kubectl(plane, &all).await;
}

/// What `kubectl` says; it must not fail.
pub(crate) async fn kubectl(plane: &ControlPlane, args: &[&str]) -> String {
    plane.kubectl(args, "").await.unwrap().success().unwrap()
}

/// An object, or null where there is none.
pub(crate) async fn get(plane: &ControlPlane, namespace: &str, name: &str) -> Value {
    let args = ["get", name, "-n", namespace, "-o", "json", "--ignore-not-found"];
    let said = kubectl(plane, &args).await;
    if said.trim().is_empty() { Value::Null } else { serde_json::from_str(&said).unwrap() }
}

/// A condition of an object's status, or null.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions.and_then(|all| all.iter().find(|one| one["type"] == kind)).unwrap_or(&Value::Null)
}

/// Waits until an object is as it should be.
pub(crate) async fn until(
    plane: &ControlPlane,
    namespace: &str,
    name: &str,
    good: impl Fn(&Value) -> bool,
) -> Value {
    let mut last = Value::Null;
    let found = timeout(PATIENCE, async {
        loop {
            last = get(plane, namespace, name).await;
            if good(&last) {
                return;
            }
            sleep(PERIOD).await;
        }
    });
    let found = found.await.is_ok();
    assert!(found, "{name} in {namespace} stays {last:#}");
    last
}

/// `kubectl wait --for=condition=Ready`.
pub(crate) async fn ready(plane: &ControlPlane, namespace: &str, name: &str) {
    let args = ["wait", "--for=condition=Ready", name, "-n", namespace, "--timeout=60s"];
    kubectl(plane, &args).await;
}

/// A running `moniker controller`.
pub(crate) struct Controller {
    daemon: Daemon,
    stream: String,
    admin: String,
    _directory: TempDir,
}

impl Controller {
    /// Starts one and waits until its ports are open.
    pub(crate) async fn start(user: &User, args: &[&str]) -> Self {
        Self::start_at(user, "127.0.0.1:0", args).await
    }

    /// Starts one that serves the stream at this address.
    pub(crate) async fn start_at(user: &User, listen: &str, args: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let mut command = Command::new(programs::moniker().unwrap());
        command.args(["controller", "--listen", listen, "--admin", "127.0.0.1:0"]);
        command.args(["--log-format", "json"]).args(args);
        command.env("KUBECONFIG", user.kubeconfig());
        let daemon = Daemon::spawn(&command, directory.path().join("log")).unwrap();
        let (stream, admin) = (String::new(), String::new());
        let mut this = Self { daemon, stream, admin, _directory: directory };
        this.stream = this.port("routers").await;
        this.admin = this.port("admin").await;
        this
    }

    /// The URL behind which it says that it serves this.
    async fn port(&mut self, what: &str) -> String {
        let line = logged(&mut self.daemon, |line| line["serves"] == what).await;
        format!("http://{}", line["address"].as_str().unwrap())
    }

    /// The stream, for a router.
    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.daemon.output()
    }

    /// Asks it to end, as Kubernetes does, and gives whether it ended well.
    pub(crate) async fn terminate(mut self) -> bool {
        self.daemon.terminate().unwrap();
        let ended = timeout(PATIENCE, async {
            loop {
                if let Some(status) = self.daemon.exited().unwrap() {
                    return status.success();
                }
                sleep(PERIOD).await;
            }
        });
        ended.await.unwrap_or_else(|_| panic!("it does not end:\n{}", self.daemon.output()))
    }

    /// What the admin port answers.
    pub(crate) async fn admin(&self, path: &str) -> (u16, String) {
        let answer = client().get(format!("{}{path}", self.admin)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Waits until the admin port's answer is as it should be.
    pub(crate) async fn until(&self, path: &str, good: impl Fn(u16, &str) -> bool) -> String {
        let found = timeout(PATIENCE, async {
            loop {
                let (status, text) = self.admin(path).await;
                if good(status, &text) {
                    return text;
                }
                sleep(PERIOD).await;
            }
        });
        found.await.unwrap_or_else(|_| panic!("{path} does not change:\n{}", self.log()))
    }

    /// Statuses that were written, whatever came of it.
    pub(crate) async fn writes(&self) -> u64 {
        let (_, text) = self.admin("/metrics").await;
        let lines =
            text.lines().filter(|l| l.starts_with("moniker_controller_status_writes_total{"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// Asks for the stream once; gives the status where it is refused.
    pub(crate) async fn ask(&self) -> Result<Router, u16> {
        let url = format!("{}/v1/watch?router=test&protocol=1", self.stream);
        let answer = client().post(url).body("{}").send().await.unwrap();
        match answer.status().as_u16() {
            200 => Ok(Router {
                lines: Box::pin(answer.bytes_stream().map(|chunk| chunk.unwrap().to_vec())),
                rest: Vec::new(),
                held: BTreeMap::new(),
                fleet: Value::Null,
            }),
            status => Err(status),
        }
    }

    /// Joins as a router that holds nothing, as soon as it is let.
    pub(crate) async fn join(&self) -> Router {
        self.until("/readyz", |status, _| status == 200).await;
        let mut router = self.ask().await.unwrap();
        router.commit().await;
        router
    }
}

/// Waits for a line of a process's log.
async fn logged(daemon: &mut Daemon, is_it: impl Fn(&Value) -> bool) -> Value {
    let found = timeout(PATIENCE, async {
        loop {
            let output = daemon.output();
            let mut lines = output.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok());
            if let Some(line) = lines.find(|line| is_it(line)) {
                return line;
            }
            assert!(daemon.exited().unwrap().is_none(), "it ended:\n{output}");
            sleep(PERIOD).await;
        }
    });
    let found = found.await;
    found.unwrap_or_else(|_| panic!("no such line in the log:\n{}", daemon.output()))
}

/// A running `moniker router`.
pub(crate) struct RealRouter {
    daemon: Daemon,
    listen: String,
    admin: String,
    _directory: TempDir,
}

impl RealRouter {
    /// Starts one behind a controller, for callers of this namespace, and waits until its ports are
    /// open.
    pub(crate) async fn start(controller: &Controller, namespace: &str, args: &[&str]) -> Self {
        Self::start_at(controller.stream(), namespace, args).await
    }

    /// Starts one that follows the stream at this URL.
    pub(crate) async fn start_at(stream: &str, namespace: &str, args: &[&str]) -> Self {
        Self::start_with(stream, namespace, args, &[]).await
    }

    /// The same with more environment variables.
    pub(crate) async fn start_with(
        stream: &str,
        namespace: &str,
        args: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let directory = TempDir::new().unwrap();
        let mut command = Command::new(programs::moniker().unwrap());
        command.args(["router", "--listen", "127.0.0.1:0"]);
        if !args.iter().any(|arg| arg.starts_with("--admin")) {
            command.args(["--admin", "127.0.0.1:0"]);
        }
        command.args(["--controller", stream, "--allow-anonymous", namespace]);
        command.args(["--log-format", "json"]).args(args).envs(environment.iter().copied());
        let mut daemon = Daemon::spawn(&command, directory.path().join("log")).unwrap();
        let line = logged(&mut daemon, |line| line["message"] == "serving").await;
        let [listen, admin] = ["listen", "admin"].map(|of| line[of].as_str().unwrap().to_owned());
        Self { daemon, listen, admin, _directory: directory }
    }

    /// What the router has logged.
    pub(crate) fn log(&self) -> String {
        self.daemon.output()
    }

    /// Waits until it has logged this.
    pub(crate) async fn logged(&self, text: &str) {
        let found = timeout(PATIENCE, async {
            while !self.log().contains(text) {
                sleep(PERIOD).await;
            }
        });
        assert!(found.await.is_ok(), "{text} is not in the log:\n{}", self.log());
    }

    /// A URL on its admin port.
    pub(crate) fn admin(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin)
    }

    /// One chat request; the status and the answer.
    pub(crate) async fn chat(&self, model: &str) -> (u16, Value) {
        self.chat_as(model, "").await
    }

    /// One chat request with a caller's key; empty: without one.
    pub(crate) async fn chat_as(&self, model: &str, key: &str) -> (u16, Value) {
        let body = serde_json::json!({
            "model": model, "messages": [{"role": "user", "content": "hello"}],
        });
        let url = format!("http://{}/v1/chat/completions", self.listen);
        let answer = client().post(url).json(&body).header("api-key", key).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Asks with this key until the status is as it should be.
    pub(crate) async fn until_as(&self, model: &str, key: &str, status: u16) {
        let found = timeout(PATIENCE, async {
            while self.chat_as(model, key).await.0 != status {
                sleep(PERIOD).await;
            }
        });
        assert!(found.await.is_ok(), "{key} never gets {status}:\n{}", self.daemon.output());
    }

    /// Asks until the answer is as it should be.
    pub(crate) async fn until(&self, model: &str, good: impl Fn(u16, &Value) -> bool) -> Value {
        let mut last = (0, Value::Null);
        let found = timeout(PATIENCE, async {
            loop {
                last = self.chat(model).await;
                if good(last.0, &last.1) {
                    return;
                }
                sleep(PERIOD).await;
            }
        });
        let found = found.await.is_ok();
        assert!(found, "{model} stays {last:?}:\n{}", self.daemon.output());
        last.1
    }
}

/// A router as far as the stream knows: what it was told.
pub(crate) struct Router {
    lines: futures::stream::BoxStream<'static, Vec<u8>>,
    rest: Vec<u8>,
    /// The last frame of each kind and id; a removal too.
    held: BTreeMap<(String, String), Value>,
    /// The last that it was told of the fleet.
    fleet: Value,
}

impl Router {
    async fn frame(&mut self) -> Value {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return serde_json::from_slice(&line).unwrap();
            }
            let chunk = timeout(PATIENCE, self.lines.next()).await.unwrap();
            self.rest.extend(chunk.expect("the stream goes on"));
        }
    }

    /// Takes frames until the next COMMIT.
    pub(crate) async fn commit(&mut self) {
        while self.take().await != "COMMIT" {}
    }

    /// Takes frames until it is told something of the fleet that is as it should be.
    pub(crate) async fn fleet(&mut self, good: impl Fn(&Value) -> bool) {
        let found = timeout(PATIENCE, async {
            while !good(&self.fleet) {
                while self.take().await != "FLEET" {}
            }
        });
        let found = found.await.is_ok();
        assert!(found, "the fleet stays {:#}", self.fleet);
    }

    /// Takes one frame; gives its type.
    async fn take(&mut self) -> String {
        let frame = self.frame().await;
        let name = frame["type"].as_str().unwrap().to_owned();
        match &*name {
            "FLEET" => self.fleet = frame,
            "CREDENTIAL" => {
                let id = frame["target"].as_str().unwrap().to_owned();
                self.held.insert(("Credential".to_owned(), id), frame);
            }
            "HELLO" | "HEARTBEAT" | "COMMIT" | "HASHES" | "HASHKEY" => {}
            _ => {
                let [kind, id] = ["kind", "id"].map(|m| frame[m].as_str().unwrap().to_owned());
                let held = self.held.entry((kind, id)).or_default();
                let mut frame = frame;
                if frame["type"] == "UPSERT" && frame["resource"].is_null() {
                    // Only the version is new.
                    frame["resource"] = held["resource"].take();
                }
                *held = frame;
            }
        }
        name
    }

    /// The last frame about a resource; null where there was none.
    pub(crate) fn last(&self, kind: &str, id: &str) -> &Value {
        self.held.get(&(kind.to_owned(), id.to_owned())).unwrap_or(&Value::Null)
    }

    /// Takes commits until a resource's last frame is as it should be.
    pub(crate) async fn until(
        &mut self,
        kind: &str,
        id: &str,
        good: impl Fn(&Value) -> bool,
    ) -> Value {
        let found = timeout(PATIENCE, async {
            while !good(self.last(kind, id)) {
                self.commit().await;
            }
        });
        let found = found.await.is_ok();
        let last = self.last(kind, id).clone();
        assert!(found, "{kind} {id} stays {last:#}");
        last
    }
}

/// A client that reads no proxy from the environment.
pub(crate) fn client() -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A target that offers `gpt-4o`, with its Secret `NAME-key`.
pub(crate) fn target(namespace: &str, name: &str, key: &str) -> String {
    format!(
        "{}---\n{}",
        secret(namespace, &format!("{name}-key"), key),
        target_alone(namespace, name, "OpenAI")
    )
}

/// A target whose Secret may not be there.
pub(crate) fn target_alone(namespace: &str, name: &str, provider: &str) -> String {
    format!(
        "apiVersion: moniker.dev/v1alpha1
kind: ProviderTarget
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  provider: {provider}
  endpoint: {{url: https://{name}.example/v1}}
  auth: {{type: Bearer, secretRef: {{name: {name}-key, key: api-key}}}}
  models: [{{name: gpt-4o}}]
"
    )
}

/// A Secret with one key.
pub(crate) fn secret(namespace: &str, name: &str, key: &str) -> String {
    format!(
        "apiVersion: v1
kind: Secret
metadata: {{name: {name}, namespace: {namespace}}}
stringData: {{api-key: {key}}}
"
    )
}

/// An alias over these targets, the first one first.
pub(crate) fn alias(namespace: &str, name: &str, targets: &[&str]) -> String {
    let entries: Vec<String> = targets
        .iter()
        .map(|t| format!("  - {{name: {t}, model: gpt-4o, providers: [{{name: {t}}}]}}\n"))
        .collect();
    format!(
        "apiVersion: moniker.dev/v1alpha1
kind: ModelAlias
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  strategy: {{type: Priority}}
  targets:
{}",
        entries.concat()
    )
}
