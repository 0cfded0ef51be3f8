//! What the stream is trusted by moves on while callers are served: the release's own authority, as
//! when its year is over, and a certificate that somebody else (cert-manager) keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use testkit::ca::Ca;
use testkit::control_plane::{ControlPlane, User};
use testkit::upstream::Upstream;

use super::harness::{Controller, RealRouter, alias, client, kubectl, plane, secret, until};
use super::release::{Release, port};
use super::survival::{providers, said};

/// A release whose router serves an alias `chat` of the namespace `shop`.
struct Served {
    plane: ControlPlane,
    user: User,
    release: Release,
    namespace: String,
    controller: Controller,
    router: Arc<RealRouter>,
    _upstreams: [Upstream; 2],
}

impl Served {
    async fn start(plane: ControlPlane, user: User, release: Release, args: &[&str]) -> Self {
        let namespace = plane.namespace("shop").await.unwrap();
        let (upstreams, objects, resolve) = providers(&namespace).await;
        plane.apply(&objects).await.unwrap();
        plane.apply(&secret(&namespace, "key", "sk-one")).await.unwrap();
        plane.apply(&alias(&namespace, "chat", &["first"])).await.unwrap();
        let controller = release.controller(&user, "127.0.0.1:0", args).await;
        let more = ["--allow-cidr", "127.0.0.0/8", "--resolve", &resolve];
        let router = release.router(&plane, port(&controller), &namespace, &more).await;
        router.until("chat", |_, answer| said(answer, "first").is_some()).await;
        let router = Arc::new(router);
        Self { plane, user, release, namespace, controller, router, _upstreams: upstreams }
    }

    /// Ends the controller and starts another one in its place.
    async fn restart(self, args: &[&str]) -> Self {
        let listen = format!("127.0.0.1:{}", port(&self.controller));
        assert!(self.controller.terminate().await);
        let controller = self.release.controller(&self.user, &listen, args).await;
        Self { controller, ..self }
    }

    /// An edit reaches the router.
    async fn follows(&self, name: &str) {
        self.plane.apply(&alias(&self.namespace, name, &["second"])).await.unwrap();
        self.router.until(name, |_, answer| said(answer, "second").is_some()).await;
    }

    /// The certificates that routers are told to trust, once they are so many.
    async fn trusted(&self, many: usize) -> Vec<String> {
        let certificates = |map: &Value| -> Vec<String> {
            let text = map["data"]["ca.crt"].as_str().unwrap_or_default();
            text.split_inclusive("-----END CERTIFICATE-----\n").map(str::to_owned).collect()
        };
        let map = until(&self.plane, &self.release.namespace, "configmap/moniker-ca", |map| {
            certificates(map).len() == many
        });
        certificates(&map.await)
    }

    /// Whether the stream's certificate is by this authority.
    async fn serves(&self, authority: &str) -> bool {
        drop(client());
        let authority = reqwest::Certificate::from_pem(authority.as_bytes()).unwrap();
        let port = port(&self.controller);
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([authority])
            .resolve(&self.release.host(), ([127, 0, 0, 1], port).into())
            .build()
            .unwrap();
        client.get(self.release.url(port)).send().await.is_ok()
    }

    async fn until_served(&self, authority: &str) {
        let served = tokio::time::timeout(Duration::from_secs(60), async {
            while !self.serves(authority).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        served.await.expect("it is never served");
    }
}

/// A caller that asks without end, and how often it was answered otherwise than it should be.
struct Caller {
    asked: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Caller {
    fn start(router: Arc<RealRouter>) -> Self {
        let (asked, failed) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let counts = (Arc::clone(&asked), Arc::clone(&failed));
        let task = tokio::spawn(async move {
            loop {
                let (status, answer) = router.chat("chat").await;
                let fine = status == 200 && said(&answer, "first").is_some();
                counts.1.fetch_add(u64::from(!fine), Ordering::Relaxed);
                counts.0.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { asked, failed, task }
    }

    fn unharmed(&self) {
        let [asked, failed] = [&self.asked, &self.failed].map(|n| n.load(Ordering::Relaxed));
        assert!(asked > 0 && failed == 0, "{failed} of {asked} failed");
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn the_authority_is_succeeded_and_no_request_fails() {
    let (plane, user) = plane().await;
    let release = Release::install(&plane, &user).await;
    let served = Served::start(plane, user, release, &[]).await;
    let caller = Caller::start(Arc::clone(&served.router));
    let old = served.trusted(1).await;
    assert!(served.serves(&old[0]).await);
    // Time that has passed, as the Secret tells it.
    let passed = async |name: &str, days: i64| {
        let at = Timestamp::now() - Duration::from_secs(u64::try_from(days).unwrap() * 86_400);
        let patch = json!({"stringData": {name: at.to_string()}}).to_string();
        let args = ["patch", "secret", "moniker-ca", "-n", &served.release.namespace, "-p", &patch];
        kubectl(&served.plane, &args).await;
    };

    // Near its end its successor is made, and routers are told before it signs anything.
    passed("ca.made", 306).await;
    let both = served.trusted(2).await;
    let new = both.iter().find(|one| **one != old[0]).unwrap().clone();
    assert!(both.contains(&old[0]));
    assert!(served.serves(&old[0]).await && !served.serves(&new).await, "it signs too early");
    served.release.ca_file(&served.plane).await;

    // Ten minutes later it signs; the stream that is open stays, and new ones trust it.
    passed("next.bundled", 1).await;
    served.until_served(&new).await;
    assert_eq!(served.trusted(2).await, both, "routers that lag go on trusting the old one");
    served.follows("while-both").await;
    let served = served.restart(&[]).await;
    assert!(served.serves(&new).await, "replicas agree on it");
    served.follows("after-both").await;

    // A day later the old one goes.
    let previous = (Timestamp::now() - Duration::from_secs(1)).to_string();
    let patch = json!({"stringData": {"previous.until": previous}}).to_string();
    let args = ["patch", "secret", "moniker-ca", "-n", &served.release.namespace, "-p", &patch];
    kubectl(&served.plane, &args).await;
    assert_eq!(served.trusted(1).await, [new]);
    served.release.ca_file(&served.plane).await;
    let served = served.restart(&[]).await;
    served.follows("without-the-old").await;
    caller.unharmed();
    let logs = served.controller.log() + &served.router.log();
    assert!(!logs.contains("PRIVATE KEY"), "{logs}");
}

/// A certificate by this authority for a release's stream, as cert-manager keeps it.
pub(crate) fn kept(release: &Release, ca: &Ca) -> String {
    let signed = ca.sign(&[&release.host()]).unwrap();
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "stream-tls", "namespace": release.namespace},
        "stringData": {
            "tls.crt": signed.certificate, "tls.key": signed.key, "ca.crt": ca.pem(),
        },
    })
    .to_string()
}

#[tokio::test]
async fn a_certificate_that_somebody_else_keeps_is_renewed_without_a_restart() {
    let (plane, user) = plane().await;
    let release = Release::install(&plane, &user).await;
    let [ca, other] = [Ca::new().unwrap(), Ca::new().unwrap()];
    plane.apply(&kept(&release, &ca)).await.unwrap();
    let args = ["--tls-secret", "stream-tls"];
    let served = Served::start(plane, user, release, &args).await;
    let caller = Caller::start(Arc::clone(&served.router));
    assert_eq!(served.trusted(1).await, [ca.pem()]);
    assert!(served.serves(ca.pem()).await);
    let times = |what: &str| served.controller.log().matches(what).count();
    let renewed = async |before: usize| {
        let found = tokio::time::timeout(Duration::from_secs(60), async {
            while times("a new certificate is served") == before {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        found.await.expect("it is not renewed");
    };

    // Renewed by the same authority: at once, under the stream that is open.
    let before = times("a new certificate is served");
    served.plane.apply(&kept(&served.release, &ca)).await.unwrap();
    renewed(before).await;
    served.follows("renewed").await;
    assert!(served.serves(ca.pem()).await);

    // Half written is not taken.
    let half = json!({"stringData": {"tls.key": "none"}}).to_string();
    let args_of = ["patch", "secret", "stream-tls", "-n", &served.release.namespace, "-p", &half];
    kubectl(&served.plane, &args_of).await;
    let told = tokio::time::timeout(Duration::from_secs(60), async {
        while times("has no certificate of the stream") == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    told.await.expect("nobody is told");
    assert!(served.serves(ca.pem()).await, "the last good one goes on");

    // By another authority: routers are told first, and the old one is served meanwhile.
    served.plane.apply(&kept(&served.release, &other)).await.unwrap();
    let both = served.trusted(2).await;
    assert!(both.contains(&ca.pem().to_owned()) && both.contains(&other.pem().to_owned()));
    assert!(served.serves(ca.pem()).await && !served.serves(other.pem()).await);
    served.release.ca_file(&served.plane).await;
    served.follows("told").await;

    // A controller that starts has the new one alone, which routers trust by now.
    let served = served.restart(&args).await;
    assert!(served.serves(other.pem()).await);
    served.follows("moved").await;
    assert_eq!(served.trusted(2).await, both, "routers that lag are not cut off");
    caller.unharmed();
}
