//! The files of `moniker dev`: what is wrong with them is said with its line, nothing is lost, and a
//! key stays in the environment.

use testkit::moniker::Moniker;

use crate::{SAMPLE, chat, client, post};

#[tokio::test]
async fn a_bad_edit_is_told_by_line_and_field_and_the_last_good_lineup_serves() {
    let mut moniker = Moniker::dev(SAMPLE).await.unwrap();
    let models = async |moniker: &Moniker| {
        client().get(moniker.at("models")).send().await.unwrap().text().await.unwrap()
    };
    let before = models(&moniker).await;

    moniker
        .edit(&SAMPLE.replace("strategy: {type: Priority}", "strateggy: {type: Priority}"))
        .unwrap();
    let line = moniker.printed("strateggy").await.unwrap();
    assert!(line.contains("lineup.yaml:"), "file and line: {line}");
    assert_eq!(models(&moniker).await, before);

    moniker.edit("kind: [unclosed").unwrap();
    moniker.printed("lineup.yaml").await.unwrap();
    assert_eq!(models(&moniker).await, before);

    let fixed = SAMPLE.replace("name: ab-chat", "name: ab-test");
    moniker.edit(&fixed).unwrap();
    moniker.printed("Loaded again").await.unwrap();
    assert!(models(&moniker).await.contains("ab-test"));
}

const KEYED: &str = r#"
apiVersion: moniker.dev/v1alpha1
kind: ProviderTarget
metadata: {name: keyed}
spec:
  provider: OpenAICompatible
  endpoint: {url: http://127.0.0.1:9/v1}
  auth: {type: Bearer, secretRef: {name: keyed, key: api-key}}
  models: [{name: m}]
---
apiVersion: v1
kind: Secret
metadata: {name: keyed}
stringData: {api-key: "${MONIKER_TEST_KEY}"}
---
apiVersion: moniker.dev/v1alpha1
kind: ModelAlias
metadata: {name: chat}
spec:
  strategy: {type: Priority}
  targets: [{name: only, model: m}]
"#;

#[tokio::test]
async fn a_key_comes_from_the_environment_and_is_shown_nowhere() {
    let canary = "CANARY-7c1f4f0e-dev";
    let moniker = Moniker::dev_with(KEYED, &[], &[("MONIKER_TEST_KEY", canary)]).await.unwrap();
    let (status, _, body) = post(&moniker, "chat/completions", &chat("chat")).await;
    assert_eq!(status, 502, "{body}");
    let mut seen = vec![body.to_string(), moniker.output()];
    for path in ["config", "metrics", "readyz"] {
        let answer = client().get(moniker.admin(path)).send().await.unwrap();
        seen.push(answer.text().await.unwrap());
    }
    for text in seen {
        assert!(!text.contains(canary), "{text}");
    }
}

#[tokio::test]
async fn a_variable_that_is_not_set_is_an_error_that_names_it() {
    let mut moniker = Moniker::dev(SAMPLE).await.unwrap();
    moniker.edit(KEYED).unwrap();
    moniker.printed("MONIKER_TEST_KEY").await.unwrap();
}
