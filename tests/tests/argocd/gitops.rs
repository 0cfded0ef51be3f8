//! One story, since each chapter begins where the one before ended: an installation in waves, edits
//! by commits, good and bad, a hand that meddles, an upgrade, and the end.

use std::time::Duration;

use serde_json::{Value, json};

use crate::applications::GitOps;
use crate::pods;

/// A provider in a pod, at a Service of its own.
fn provider(name: &str) -> String {
    let mut pod = pods::demo("models");
    pod["metadata"]["name"] = json!(name);
    pod["metadata"]["labels"]["app"] = json!(name);
    let service = pods::service("models", name, 8091);
    let target = json!({
        "apiVersion": "moniker.dev/v1alpha1", "kind": "ProviderTarget",
        "metadata": {"name": name, "namespace": "models"},
        "spec": {
            "provider": "OpenAICompatible", "auth": {"type": "None"}, "models": [{"name": "m"}],
            "endpoint": {"service": {"name": name, "port": 8091, "pathPrefix": "/v1"}},
        },
    });
    pods::list(&[pod, service, target])
}

/// An alias of this model over both providers, as weighted.
fn chat(model: &str, weights: [u32; 2]) -> String {
    let [first, second] = weights;
    format!(
        "apiVersion: moniker.dev/v1alpha1
kind: ModelAlias
metadata: {{name: chat, namespace: models}}
spec:
  strategy: {{type: RandomShuffle}}
  targets:
  - {{name: first, model: {model}, weight: {first}, providers: [{{name: first}}]}}
  - {{name: second, model: {model}, weight: {second}, providers: [{{name: second}}]}}
"
    )
}

/// A target that needs the Secret of its name, and an alias over it in this wave.
fn keyed(name: &str, wave: u32) -> String {
    format!(
        "apiVersion: moniker.dev/v1alpha1
kind: ProviderTarget
metadata: {{name: {name}, namespace: models}}
spec:
  provider: OpenAICompatible
  endpoint: {{service: {{name: first, port: 8091, pathPrefix: /v1}}}}
  auth: {{type: Bearer, secretRef: {{name: {name}, key: api-key}}}}
  models: [{{name: {name}}}]
---
apiVersion: moniker.dev/v1alpha1
kind: ModelAlias
metadata:
  name: {name}
  namespace: models
  annotations: {{argocd.argoproj.io/sync-wave: \"{wave}\"}}
spec:
  strategy: {{type: Priority}}
  targets: [{{name: only, model: {name}}}]
"
    )
}

/// The reason of a condition.
fn reason<'a>(object: &'a Value, kind: &str) -> &'a str {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions.and_then(|all| all.iter().find(|one| one["type"] == kind));
    found.and_then(|one| one["reason"].as_str()).unwrap_or_default()
}

impl GitOps {
    /// Asks the alias until the answer's status, and the target that gave it, are these.
    async fn served_by(&self, alias: &str, target: &str) {
        let get = ["get", "service", "moniker-router", "-n", "moniker-system", "-o"];
        let address = self.kubectl(&[&get[..], &["jsonpath={.spec.clusterIP}"]].concat()).await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let body = json!({"model": alias, "messages": [{"role": "user", "content": "hi"}]});
        let mut last = String::new();
        let found = tokio::time::timeout(Duration::from_secs(120), async {
            loop {
                let request = client.post(format!("http://{address}/v1/chat/completions"));
                match request.json(&body).send().await {
                    Ok(answer) => {
                        let by = answer.headers().get("x-moniker-target").cloned();
                        let by = by.map(|by| by.to_str().unwrap().to_owned()).unwrap_or_default();
                        last = format!("{} {by}", answer.status().as_u16());
                    }
                    Err(error) => last = format!("{error:?}"),
                }
                if last == target {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let found = found.await.is_ok();
        assert!(found, "{alias}: {last:?} is not {target:?}");
    }

    /// Makes a Secret, as an operator for secrets does.
    async fn secret(&self, name: &str) {
        let secret = ["create", "secret", "generic", name, "--from-literal=api-key=k"];
        self.kubectl(&[&secret[..], &["-n", "models"]].concat()).await;
    }

    /// The versions of what else there is than the alias `chat`.
    async fn others(&self) -> Vec<String> {
        let what = "deployments,services,configmaps,secrets,providertargets,roles,rolebindings";
        let version = "jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name} \
                       {.metadata.generation} {.metadata.uid}{\"\\n\"}{end}";
        let all = self.kubectl(&["get", what, "-A", "-o", version]).await;
        let ours = |line: &&str| line.contains("moniker-system") || line.contains("/models/");
        let mut all: Vec<_> = all.lines().filter(ours).map(str::to_owned).collect();
        all.sort_unstable();
        all
    }
}

#[tokio::test]
async fn git_is_what_is_served() {
    let git = GitOps::prepare().await;
    for name in ["first", "second"] {
        git.aliases.write(&format!("providers/{name}.yaml"), &provider(name)).unwrap();
    }
    git.aliases.write("chat.yaml", &chat("m", [1, 0])).unwrap();
    let commit = git.aliases.commit("Two providers, one alias").unwrap();

    // One Application brings the kinds, then the chart, then the aliases.
    git.begin().await;
    git.synced("moniker-aliases", &commit, "Healthy").await;
    for name in ["moniker", "moniker-crds", "moniker-release"] {
        git.is(name, "Synced", "Healthy").await;
    }
    git.served_by("chat", "200 models/first/m").await;

    // A weight is changed, and nothing else is.
    let before = git.others().await;
    git.aliases.write("chat.yaml", &chat("m", [0, 1])).unwrap();
    let good = git.aliases.commit("The second one").unwrap();
    git.synced("moniker-aliases", &good, "Healthy").await;
    git.served_by("chat", "200 models/second/m").await;
    assert_eq!(git.others().await, before);

    // What only other objects make wrong is told, and the lineup before goes on.
    git.aliases.write("chat.yaml", &chat("nobody-has-it", [1, 1])).unwrap();
    let bad = git.aliases.commit("A model that nobody offers").unwrap();
    git.synced("moniker-aliases", &bad, "Degraded").await;
    let alias = git.get("models", "modelalias/chat").await;
    assert_eq!(reason(&alias, "ResolvedRefs"), "ModelNotOffered", "{alias:#}");
    git.served_by("chat", "200 models/second/m").await;
    // A revert heals.
    git.aliases.write("chat.yaml", &chat("m", [0, 1])).unwrap();
    let reverted = git.aliases.commit("Revert").unwrap();
    git.synced("moniker-aliases", &reverted, "Healthy").await;

    // What a rule refuses is not applied, and the rule says why.
    let refused = chat("m", [0, 1]).replace("name: second, model", "name: first, model");
    git.aliases.write("chat.yaml", &refused).unwrap();
    let broken = git.aliases.commit("One name twice").unwrap();
    let failed = git
        .until("argocd", "application/moniker-aliases", |application| {
            let operation = &application["status"]["operationState"];
            // It is tried again for a while, and a revert need not wait for that.
            operation["syncResult"]["revision"] == broken.as_str()
                && operation["message"].as_str().is_some_and(|why| why.contains("must differ"))
        })
        .await;
    let results = failed["status"]["operationState"]["syncResult"]["resources"].to_string();
    assert!(results.contains("SyncFailed") && results.contains("must differ"), "{results}");
    git.served_by("chat", "200 models/second/m").await;
    git.aliases.write("chat.yaml", &chat("m", [0, 1])).unwrap();
    let reverted = git.aliases.commit("Revert").unwrap();
    git.synced("moniker-aliases", &reverted, "Healthy").await;

    // What waits for a Secret is Progressing, and Healthy once that comes, without a push.
    git.aliases.write("keyed.yaml", &keyed("keyed", 0)).unwrap();
    git.aliases.commit("A target that needs a key").unwrap();
    git.is("moniker-aliases", "Synced", "Progressing").await;
    let target = git.get("models", "providertarget/keyed").await;
    assert_eq!(reason(&target, "Ready"), "SecretNotFound", "{target:#}");
    git.secret("keyed").await;
    git.is("moniker-aliases", "Synced", "Healthy").await;
    git.served_by("keyed", "200 models/keyed/keyed").await;

    // A later wave waits for it.
    git.aliases.write("waved.yaml", &keyed("waved", 1)).unwrap();
    git.aliases.commit("The same in two waves").unwrap();
    git.until("argocd", "application/moniker-aliases", |application| {
        let message = application["status"]["operationState"]["message"].as_str();
        message.is_some_and(|text| text.contains("waiting for healthy state of moniker.dev/P"))
    })
    .await;
    git.until("models", "providertarget/waved", |target| {
        reason(target, "Ready") == "SecretNotFound"
    })
    .await;
    let alias = git.get("models", "modelalias/waved").await;
    assert!(alias.is_null(), "it is of a later wave: {alias:#}");
    git.secret("waved").await;
    git.is("moniker-aliases", "Synced", "Healthy").await;
    git.served_by("waved", "200 models/waved/waved").await;

    // What somebody changes by hand is changed back.
    let patch = "[{\"op\":\"replace\",\"path\":\"/spec/targets/0/weight\",\"value\":9}]";
    let edit = ["patch", "modelalias", "chat", "-n", "models", "--type=json", "-p", patch];
    git.kubectl(&edit).await;
    git.until("models", "modelalias/chat", |alias| alias["spec"]["targets"][0]["weight"] == 0)
        .await;

    // What leaves git leaves the cluster.
    for name in ["keyed.yaml", "waved.yaml"] {
        git.aliases.remove(name).unwrap();
    }
    let pruned = git.aliases.commit("Without it").unwrap();
    git.synced("moniker-aliases", &pruned, "Healthy").await;
    git.until("models", "modelalias/keyed", Value::is_null).await;
    git.served_by("keyed", "404 ").await;

    // An upgrade of the chart's values rolls the routers; what the controller filled stays.
    let trust = git.get("moniker-system", "secret/moniker-ca").await["data"].clone();
    assert!(trust.is_object(), "the controller fills it");
    git.change_values("allowAnonymous: models", "allowAnonymous: models\n          maxBody: 16MiB");
    git.until("moniker-system", "deployment/moniker-router", |deployment| {
        let status = &deployment["status"];
        deployment["spec"]["template"].to_string().contains("16MiB")
            && status["observedGeneration"] == deployment["metadata"]["generation"]
            && status["updatedReplicas"] == 2
            && status["readyReplicas"] == 2
            && status["replicas"] == 2
    })
    .await;
    git.is("moniker-release", "Synced", "Healthy").await;
    assert_eq!(git.get("moniker-system", "secret/moniker-ca").await["data"], trust);
    git.served_by("chat", "200 models/second/m").await;

    // Nothing is put right over and over.
    let versions = git.others().await;
    git.reconciled(10).await;
    for name in ["moniker", "moniker-crds", "moniker-release", "moniker-aliases"] {
        let application = git.get("argocd", &format!("application/{name}")).await;
        assert_eq!(application["status"]["sync"]["status"], "Synced", "{application:#}");
        assert_eq!(application["status"]["health"]["status"], "Healthy", "{application:#}");
    }
    assert_eq!(git.others().await, versions);

    // The end: all goes but the kinds.
    let delete = ["delete", "application", "moniker", "-n", "argocd", "--timeout=240s"];
    git.kubectl(&delete).await;
    git.until("models", "modelalias/chat", Value::is_null).await;
    for name in ["deployment/moniker-router", "deployment/moniker-controller", "secret/moniker-ca"]
        .into_iter()
        .chain(["configmap/moniker-ca", "lease/moniker-controller"])
    {
        git.until("moniker-system", name, Value::is_null).await;
    }
    let kinds = git.kubectl(&["get", "crd", "-o", "name"]).await;
    assert!(kinds.contains("modelaliases.moniker.dev"), "{kinds}");
}
