//! What callers never notice: an edit, a new key, a controller that goes and comes back. And what
//! must be noticed: a Secret that is deleted.

use serde_json::Value;
use testkit::ca::Ca;
use testkit::upstream::{Script, Upstream};

use super::harness::{Controller, RealRouter, alias, kubectl, plane, ready, secret};

/// Two providers under an authority of their own, and the objects that name them.
pub(crate) async fn providers(namespace: &str) -> ([Upstream; 2], String, String) {
    let ca = Ca::new().unwrap();
    let pem = ca.pem().lines().map(|line| format!("    {line}\n")).collect::<Vec<_>>().concat();
    let mut objects = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: corp-ca, namespace: {namespace}}}\n\
         data:\n  ca.crt: |\n{pem}"
    );
    let (mut upstreams, mut resolve) = (Vec::new(), Vec::new());
    for name in ["first", "second"] {
        let host = format!("{name}.example");
        let tls = ca.acceptor(&[&host]).unwrap();
        let upstream = Upstream::listen("127.0.0.1:0", Some(tls)).await.unwrap();
        upstream.always(Script::chat(name));
        resolve.push(format!("{host}={}", upstream.address()));
        upstreams.push(upstream);
        objects += &format!(
            "---
apiVersion: moniker.dev/v1alpha1
kind: ProviderTarget
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  provider: OpenAICompatible
  endpoint: {{url: https://{host}/v1, tls: {{caBundleRef: {{name: corp-ca, key: ca.crt}}}}}}
  auth: {{type: Bearer, secretRef: {{name: key, key: api-key}}}}
  models: [{{name: gpt-4o, upstreamName: {name}-model}}]
"
        );
    }
    let upstreams = <[Upstream; 2]>::try_from(upstreams).unwrap_or_else(|_| unreachable!());
    (upstreams, objects, resolve.join(","))
}

pub(crate) fn said<'a>(answer: &'a Value, name: &str) -> Option<&'a str> {
    answer["choices"][0]["message"]["content"].as_str().filter(|text| *text == name)
}

#[tokio::test]
async fn callers_do_not_notice_edits_new_keys_and_a_controller_that_goes() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("shop").await.unwrap();
    let ([first, second], objects, resolve) = providers(&namespace).await;
    let controller = Controller::start(&user, &[]).await;
    let args = ["--allow-cidr", "127.0.0.0/8", "--resolve", &resolve];
    let router = RealRouter::start(&controller, &namespace, &args).await;
    assert_eq!(router.chat("prod-chat").await.0, 404, "nothing is applied yet");

    // Applied in the order that is the least helpful.
    plane.apply(&alias(&namespace, "prod-chat", &["first", "second"])).await.unwrap();
    plane.apply(&objects).await.unwrap();
    plane.apply(&secret(&namespace, "key", "CANARY-sk-one")).await.unwrap();
    ready(&plane, &namespace, "modelalias/prod-chat").await;
    router.until("prod-chat", |_, answer| said(answer, "first").is_some()).await;
    let received = first.received().pop().unwrap();
    assert_eq!(received.json()["model"], "first-model");
    assert_eq!(received.headers["authorization"], "Bearer CANARY-sk-one");
    let columns = kubectl(&plane, &["get", "modelaliases", "-n", &namespace]).await;
    assert!(columns.contains("2/2") && columns.contains("Priority"), "{columns}");

    // From here on every request is served, whatever is going on.
    let served = |status: u16, answer: &Value| assert_eq!(status, 200, "{answer}");
    plane.apply(&alias(&namespace, "prod-chat", &["second", "first"])).await.unwrap();
    let by_second = |status, answer: &Value| {
        served(status, answer);
        said(answer, "second").is_some()
    };
    router.until("prod-chat", by_second).await;

    plane.apply(&secret(&namespace, "key", "CANARY-sk-two")).await.unwrap();
    let with_new_key = |status, answer: &Value| {
        served(status, answer);
        second.received().pop().unwrap().headers["authorization"] == "Bearer CANARY-sk-two"
    };
    router.until("prod-chat", with_new_key).await;

    let address = controller.stream().trim_start_matches("http://").to_owned();
    let mut logs = controller.log();
    assert!(controller.terminate().await);
    let (status, answer) = router.chat("prod-chat").await;
    served(status, &answer);
    let controller = Controller::start_at(&user, &address, &[]).await;
    plane.apply(&alias(&namespace, "prod-chat", &["first", "second"])).await.unwrap();
    let by_first = |status, answer: &Value| {
        served(status, answer);
        said(answer, "first").is_some()
    };
    router.until("prod-chat", by_first).await;

    // Deleting revokes.
    kubectl(&plane, &["delete", "secret", "key", "-n", &namespace]).await;
    let answer = router.until("prod-chat", |status, _| status == 503).await;
    assert_eq!(answer["error"]["code"], "no_target", "{answer}");

    logs += &controller.log();
    logs += &router.log();
    assert!(!logs.contains("CANARY"), "a key in a log:\n{logs}");
}
