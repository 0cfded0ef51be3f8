//! `moniker prices import` on a list in LiteLLM's form: what it writes patches the targets, exactly,
//! and what it leaves out is told.

#![cfg(test)]

use std::fs;

use api::ProviderTargetSpec;
use clap::Parser;
use cli::prices;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: prices::Args,
}

const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prices/list.json");

const TARGETS: &str = r#"
apiVersion: moniker.dev/v1alpha1
kind: ProviderTarget
metadata: {name: openai, namespace: platform}
spec:
  provider: OpenAI
  auth: {type: Bearer, secretRef: {name: openai, key: api-key}}
  models:
  - {name: large, upstreamName: acme-large, contextWindow: 200000}
  - {name: acme-small, capabilities: [Chat, Streaming]}
  - {name: acme-new}
  - {name: acme-odd}
---
apiVersion: moniker.dev/v1alpha1
kind: ProviderTarget
metadata: {name: groq}
spec:
  provider: OpenAICompatible
  endpoint: {url: "https://api.groq.com/openai/v1"}
  auth: {type: None}
  models: [{name: house/fast, upstreamName: house/fast-tuned}]
---
apiVersion: moniker.dev/v1alpha1
kind: ProviderTarget
metadata: {name: own}
spec:
  provider: OpenAICompatible
  endpoint: {service: {name: vllm, port: 8000}}
  auth: {type: None}
  models: [{name: acme-large}]
---
apiVersion: v1
kind: Secret
metadata: {name: openai, namespace: platform}
stringData: {api-key: "${NOT_SET_ANYWHERE}"}
"#;

/// What it writes on standard output and standard error.
struct Told {
    code: u8,
    out: String,
    err: String,
}

impl Told {
    /// The patch of this name.
    fn patch(&self, name: &str) -> Value {
        let documents = serde_yaml::Deserializer::from_str(&self.out)
            .map(|document| Value::deserialize(document).unwrap());
        let mut found = documents.filter(|patch| patch["metadata"]["name"] == name);
        found.next().unwrap_or_else(|| panic!("{name} is not in {}", self.out))
    }
}

fn run(list: &str, targets: Option<&str>) -> Told {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("targets.yaml");
    let mut args = vec!["prices", "import", list];
    if let Some(text) = targets {
        fs::write(&path, text).unwrap();
        args.extend(["--targets", path.to_str().unwrap()]);
    }
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = prices::run(&Command::try_parse_from(args).unwrap().args, &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Told { code, out: text(out), err: text(err) }
}

#[test]
fn the_models_of_targets_get_their_prices() {
    let told = run(LIST, Some(TARGETS));
    assert_eq!(told.code, 1, "some have none: {}", told.err);
    let openai = told.patch("openai");
    assert_eq!(
        openai,
        json!({
            "apiVersion": "moniker.dev/v1alpha1",
            "kind": "ProviderTarget",
            "metadata": {"name": "openai", "namespace": "platform"},
            "spec": {"models": [
                {
                    "name": "large",
                    "maxOutputTokens": 32768,
                    "price": {
                        "input": "2.5", "cachedInput": "1.25", "cacheWrite": "3.125", "output": "10",
                        "audioInput": "40", "audioOutput": "80",
                        "above": {
                            "inputTokens": 200_000, "input": "5", "cachedInput": "1.25",
                            "cacheWrite": "3.125", "output": "15",
                        },
                    },
                },
                {
                    "name": "acme-small", "contextWindow": 128_000, "maxOutputTokens": 16_384,
                    "price": {"input": "0.1", "output": "0.4"},
                },
            ]},
        })
    );
    let groq = told.patch("groq");
    assert_eq!(groq["metadata"]["namespace"], "default");
    let price = &groq["spec"]["models"][0]["price"];
    assert_eq!(
        (&price["input"], &price["output"], &price["above"]),
        (
            &json!("0.59"),
            &json!("0.79"),
            &json!({"inputTokens": 32_000, "input": "0.595", "cachedInput": "0.1"})
        )
    );
    for line in [
        "note: ProviderTarget platform/openai: model \"acme-small\" output_cost_per_token is rounded",
        "note: ProviderTarget default/groq: model \"house/fast\" is priced by its name, for upstreamName",
        "note: ProviderTarget default/groq: model \"house/fast\" has further prices above 128k tokens",
        "no price: ProviderTarget platform/openai: model \"acme-new\" is not in the list of openai",
        "no price: ProviderTarget platform/openai: model \"acme-odd\" is not priced by tokens, images",
        "no price: ProviderTarget default/own: model \"acme-large\" has no price: the list is not for",
        "3 models of 2 ProviderTargets priced, 3 without a price",
    ] {
        assert!(told.err.lines().any(|told| told.starts_with(line)), "{line}\n{}", told.err);
    }
}

#[test]
fn a_patch_makes_a_target_that_compiles() {
    let told = run(LIST, Some(TARGETS));
    let mut target: Value = serde_yaml::Deserializer::from_str(TARGETS)
        .map(|d| Value::deserialize(d).unwrap())
        .next()
        .unwrap();
    // As server-side apply merges a list whose items have names.
    for patch in told.patch("openai")["spec"]["models"].as_array().unwrap() {
        let models = target["spec"]["models"].as_array_mut().unwrap();
        let model = models.iter_mut().find(|model| model["name"] == patch["name"]).unwrap();
        for (field, value) in patch.as_object().unwrap() {
            model[field] = value.clone();
        }
    }
    let spec: ProviderTargetSpec = serde_json::from_value(target["spec"].clone()).unwrap();
    assert_eq!(spec.models[0].context_window, Some(200_000), "what was written stays");
    let options = cli::load::Options::default();
    let text = serde_json::to_string(&target).unwrap();
    let loaded = cli::load::load_text("patched.json", &text, options);
    assert_eq!(loaded.problems, []);
    let compiled = compiler::compile(&loaded.world());
    let resource = compiled.snapshot.targets.values().next().unwrap().value().unwrap();
    let usage = routing::Usage { input: 1_000, output: 100, ..routing::Usage::default() };
    let price = resource.models[1].price.as_ref().unwrap();
    assert_eq!(price.cost(&usage).to_string(), "0.00014");
}

#[test]
fn without_targets_every_provider_that_is_known_has_a_document() {
    let told = run(LIST, None);
    assert_eq!(told.code, 0, "{}", told.err);
    let names = |name: &str| -> Vec<String> {
        let patch = told.patch(name);
        let models = patch["spec"]["models"].as_array().unwrap();
        models.iter().map(|model| model["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        names("openai"),
        ["acme-draw", "acme-embed", "acme-large", "acme-paint", "acme-small"]
    );
    assert_eq!(names("groq"), ["free", "house/fast"]);
    assert!(!told.out.contains("elsewhere"), "nobody knows it");
    let openai = told.patch("openai");
    let price = |i: usize| openai["spec"]["models"][i]["price"].clone();
    assert_eq!(price(0), json!({"input": "0", "output": "0", "perImage": "0.04"}));
    assert_eq!(price(1), json!({"input": "0.02", "output": "0"}));
    assert_eq!(price(3), json!({"input": "5", "output": "40"}), "its tokens are priced already");
    assert_eq!(
        told.patch("groq")["spec"]["models"][0]["price"],
        json!({"input": "0", "output": "0"})
    );
    assert!(
        told.err.contains("openai: \"acme-debt\" input_cost_per_token is below 0"),
        "{}",
        told.err
    );
    assert!(
        told.err.contains("openai: \"acme-half\" has no price of output tokens"),
        "{}",
        told.err
    );
}

#[test]
fn what_is_no_list_is_wrong_use() {
    let dir = TempDir::new().unwrap();
    let list = |name: &str, text: &str| -> String {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    for (list, message) in [
        ("/nowhere/list.json".to_owned(), "cannot be read"),
        (list("a.json", "[1]"), "is no JSON object"),
        (list("b.json", "{\"a\": 1, \"b\": {}}"), "is it LiteLLM's"),
    ] {
        let told = run(&list, None);
        assert_eq!(told.code, 2, "{}", told.err);
        assert!(told.err.contains(message), "{}", told.err);
        assert_eq!(told.out, "");
    }
    let told = run(LIST, Some("apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n"));
    assert_eq!((told.code, told.out.as_str()), (2, ""), "{}", told.err);
    assert!(told.err.contains("names no ProviderTarget"), "{}", told.err);
}

#[test]
fn a_target_that_is_wrong_is_told_and_the_others_go_on() {
    let broken = TARGETS.replace("provider: OpenAI\n", "provider: OpenAI\n  modles: []\n");
    let told = run(LIST, Some(&broken));
    assert_eq!(told.code, 1);
    assert!(told.err.contains("modles"), "{}", told.err);
    assert_eq!(told.patch("groq")["kind"], "ProviderTarget");
    assert!(!told.out.contains("platform"), "{}", told.out);
}
