//! The routers' own identity on a cluster: for the namespaces that the controller is told, and for no
//! other, given and taken away while requests go on.

use serde_json::json;
use tempfile::TempDir;
use testkit::ca::Ca;
use testkit::upstream::{Script, Upstream};

use super::harness::{Controller, RealRouter, alias, condition, plane, ready, until};

const PROVIDER: &str = "contoso.openai.azure.com";
const ENTRA: &str = "login.microsoftonline.com";

/// A server under the name of another, and how a router finds it.
async fn server(ca: &Ca, name: &str) -> (Upstream, String) {
    let acceptor = ca.acceptor(&[name]).unwrap();
    let server = Upstream::listen("127.0.0.1:0", Some(acceptor)).await.unwrap();
    let resolve = format!("{name}={}", server.address());
    (server, resolve)
}

#[tokio::test]
async fn the_routers_identity_is_for_named_namespaces_alone() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("identity").await.unwrap();
    let ca = Ca::new().unwrap();
    let (provider, at_provider) = server(&ca, PROVIDER).await;
    provider.always(Script::chat("hello"));
    let (entra, at_entra) = server(&ca, ENTRA).await;
    let token = json!({"token_type": "Bearer", "expires_in": 3600, "access_token": "canary-token"});
    entra.always(Script::json(200, &token));
    let pem = ca.pem().lines().map(|line| format!("    {line}\n")).collect::<Vec<_>>().concat();
    let objects = format!(
        "apiVersion: v1
kind: ConfigMap
metadata: {{name: ca, namespace: {namespace}}}
data:
  ca.crt: |
{pem}---
apiVersion: moniker.dev/v1alpha1
kind: ProviderTarget
metadata: {{name: azure, namespace: {namespace}}}
spec:
  provider: AzureOpenAI
  endpoint: {{url: 'https://{PROVIDER}', tls: {{caBundleRef: {{name: ca, key: ca.crt}}}}}}
  auth: {{type: WorkloadIdentity}}
  models: [{{name: gpt-4o}}]
"
    );
    plane.apply(&objects).await.unwrap();
    plane.apply(&alias(&namespace, "chat", &["azure"])).await.unwrap();

    let controller = Controller::start(&user, &[]).await;
    let stream = controller.stream().to_owned();
    let listen = stream.strip_prefix("http://").unwrap().to_owned();
    let target = until(&plane, &namespace, "providertarget/azure", |target| {
        condition(target, "Stalled")["status"] == "True"
    });
    let target = target.await;
    let refused = condition(&target, "ResolvedRefs");
    assert_eq!(
        (&refused["status"], &refused["reason"]),
        (&json!("False"), &json!("IdentityNotPermitted"))
    );

    let files = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    // Entra is trusted as every public server is.
    let (trusted, projected) = (write("ca.crt", ca.pem()), write("token", "canary-projected"));
    let environment = [
        ("SSL_CERT_FILE", trusted.as_str()),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_FEDERATED_TOKEN_FILE", projected.as_str()),
    ];
    let resolve = [at_provider, at_entra].join(",");
    let args = ["--allow-cidr", "127.0.0.0/8", "--resolve", &resolve];
    let router = RealRouter::start_with(&stream, &namespace, &args, &environment).await;
    router.until("chat", |status, _| status == 503).await;
    assert_eq!((provider.count(), entra.count()), (0, 0));

    // The operator names the namespace, and then no longer.
    assert!(controller.terminate().await);
    let named = ["--workload-identity-namespaces", namespace.as_str()];
    let controller = Controller::start_at(&user, &listen, &named).await;
    ready(&plane, &namespace, "modelalias/chat").await;
    router.until("chat", |status, _| status == 200).await;
    let received = provider.received();
    assert_eq!(received[0].headers["authorization"], "Bearer canary-token");
    assert_eq!(entra.received()[0].path, "/tenant/oauth2/v2.0/token");
    assert!(controller.terminate().await);
    let controller = Controller::start_at(&user, &listen, &[]).await;
    router.until("chat", |status, _| status == 503).await;
    assert_eq!(entra.count(), 1);
    for log in [router.log(), controller.log()] {
        assert!(!log.contains("canary"), "{log}");
    }
}
