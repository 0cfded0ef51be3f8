//! The main job on a cluster: a request that names an alias, through a real router behind a real
//! controller, to the target that the cluster's objects say.

use testkit::ca::Ca;
use testkit::upstream::{Script, Upstream};

use super::harness::{Controller, RealRouter, alias, kubectl, plane, ready, secret};

#[tokio::test]
async fn a_request_is_served_as_the_clusters_objects_say() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("routing").await.unwrap();
    let ca = Ca::new().unwrap();
    let mut upstreams = Vec::new();
    let mut objects = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: ca, namespace: {namespace}}}\n\
         data:\n  ca.crt: |\n{}",
        ca.pem().lines().map(|line| format!("    {line}\n")).collect::<Vec<_>>().concat()
    );
    let mut resolve = Vec::new();
    for name in ["first", "second"] {
        let host = format!("{name}.example");
        let acceptor = ca.acceptor(&[&host]).unwrap();
        let upstream = Upstream::listen("127.0.0.1:0", Some(acceptor)).await.unwrap();
        upstream.always(Script::chat(name));
        resolve.push(format!("{host}={}", upstream.address()));
        upstreams.push(upstream);
        objects += &format!(
            "---\n{}---
apiVersion: moniker.dev/v1alpha1
kind: ProviderTarget
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  provider: OpenAI
  endpoint: {{url: https://{host}/v1, tls: {{caBundleRef: {{name: ca, key: ca.crt}}}}}}
  auth: {{type: Bearer, secretRef: {{name: {name}-key, key: api-key}}}}
  models: [{{name: gpt-4o}}]
",
            secret(&namespace, &format!("{name}-key"), &format!("sk-{name}"))
        );
    }
    plane.apply(&objects).await.unwrap();
    plane.apply(&alias(&namespace, "prod-chat", &["first", "second"])).await.unwrap();
    let controller = Controller::start(&user, &[]).await;
    let router = RealRouter::start(
        &controller,
        &namespace,
        &["--allow-cidr", "127.0.0.0/8", "--resolve", &resolve.join(",")],
    )
    .await;
    ready(&plane, &namespace, "modelalias/prod-chat").await;

    let said = |answer: &serde_json::Value| {
        answer["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
    };
    router.until("prod-chat", |_, answer| said(answer) == "first").await;
    let received = upstreams[0].received();
    assert!(format!("{received:?}").contains("sk-first"), "its key was sent: {received:?}");

    // Down, the next one answers; a Secret that is deleted takes the first one out likewise.
    upstreams[0].always(Script::error(500, "server_error", "down"));
    router.until("prod-chat", |status, answer| status == 200 && said(answer) == "second").await;
    upstreams[0].always(Script::chat("first"));
    plane.apply(&alias(&namespace, "other", &["second", "first"])).await.unwrap();
    router.until("other", |_, answer| said(answer) == "second").await;
    kubectl(&plane, &["delete", "secret/second-key", "-n", &namespace]).await;
    router.until("other", |_, answer| said(answer) == "first").await;

    kubectl(&plane, &["delete", "modelalias/other", "-n", &namespace]).await;
    router.until("other", |status, _| status == 404).await;
}
