//! `moniker validate` on real files: what is wrong is told with its file, line, field and remedy,
//! and every document of the rules' corpus is judged as an API server judges it.

#![cfg(test)]

#[path = "../../../tests/corpus/cel.rs"]
mod corpus;

use std::fs;

use clap::Parser;
use cli::{
    load::{self, Options, Problem, Stage},
    validate,
};
use compiler::Settings;
use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: validate::Args,
}

/// Runs it on these files, in a directory of their own; gives the exit code and what it printed,
/// with paths from that directory.
fn run(files: &[(&str, &str)], args: &[&str]) -> (u8, String) {
    let dir = TempDir::new().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let root = dir.path().to_str().unwrap();
    let args = [&["validate", root], args].concat();
    let mut out = Vec::new();
    let code = validate::run(&Command::try_parse_from(args).unwrap().args, &mut out);
    (code, String::from_utf8(out).unwrap().replace(&format!("{root}/"), ""))
}

fn problems(text: &str, dev: bool) -> Vec<Problem> {
    let settings = Settings { dev, ..Settings::default() };
    load::load_text("t.yaml", text, Options { settings, ..Options::default() }).problems
}

const GOOD: &str = r"
apiVersion: moniker.dev/v1alpha1
kind: ProviderTarget
metadata: {name: openai}
spec:
  provider: OpenAI
  auth: {type: Bearer, secretRef: {name: openai, key: api-key}}
  models: [{name: gpt-4o}]
---
apiVersion: moniker.dev/v1alpha1
kind: ModelAlias
metadata: {name: prod-chat}
spec:
  strategy: {type: Priority}
  targets:
  - name: first
    model: gpt-4o
";

#[test]
fn good_files_are_fine_without_the_secrets_of_the_cluster() {
    let (code, out) =
        run(&[("a.yaml", GOOD), (".hidden.yaml", "x: ["), ("notes.txt", "x: [")], &[]);
    assert_eq!((code, out.as_str()), (0, "1 file, 2 objects: all fine\n"));
}

#[test]
fn what_is_not_in_the_files_is_taken_to_be_in_the_cluster() {
    let endpoint = "provider: OpenAICompatible\n  endpoint: {service: {name: vllm, port: 80}, \
                    tls: {caBundleRef: {name: ca, key: ca.crt}}}";
    let text = GOOD.replace("provider: OpenAI", endpoint);
    let (code, out) = run(&[("a.yaml", &text)], &[]);
    assert_eq!(code, 0, "{out}");
    let (code, out) = run(&[("a.yaml", &text)], &["--dev"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("there is no ConfigMap") && out.contains("there is no Service"), "{out}");
    let secret =
        "---\napiVersion: v1\nkind: Secret\nmetadata: {name: openai}\nstringData: {other: x}\n";
    let (code, out) = run(&[("a.yaml", GOOD), ("b.yaml", secret)], &[]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("has no key"), "{out}");
}

#[test]
fn dev_knows_nothing_but_the_files() {
    let (code, out) = run(&[("a.yaml", GOOD)], &["--dev"]);
    assert_eq!(code, 1, "{out}");
    let line = "a.yaml:7: ProviderTarget default/openai: spec.auth.secretRef: there is no Secret";
    assert!(out.contains(line), "{out}");
}

#[test]
fn a_field_that_is_not_known_is_told_by_line_and_what_it_may_mean() {
    let bad = GOOD.replace("strategy:", "strateggy:");
    let (code, out) = run(&[("sub/a.yaml", &bad)], &[]);
    assert_eq!(code, 1);
    assert_eq!(
        out,
        "sub/a.yaml:14: ModelAlias default/prod-chat: spec.strateggy: unknown field; did you mean strategy?\n\
         sub/a.yaml:13: ModelAlias default/prod-chat: spec: strategy is required: add it\n\
         1 file, 1 object: 2 errors, 0 warnings\n"
    );
}

#[test]
fn what_does_not_fit_together_is_told_where_it_stands() {
    let bad =
        GOOD.replace("    model: gpt-4o", "    model: gpt-4o\n    providers: [{name: opanai}]");
    let (code, out) = run(&[("a.yaml", &bad)], &["-o", "json"]);
    assert_eq!(code, 1);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["errors"], report["problems"].as_array().unwrap().len());
    let found = report["problems"].as_array().unwrap().iter();
    let found = found.filter(|p| p["reason"] == "TargetNotFound").collect::<Vec<_>>();
    assert_eq!(found.len(), 1, "{out}");
    assert_eq!(found[0]["file"], "a.yaml");
    assert_eq!(found[0]["line"], 18, "{out}");
    assert_eq!(found[0]["kind"], "ModelAlias");
    assert_eq!(found[0]["object"], "default/prod-chat");
    assert_eq!(found[0]["stage"], "compile");
    assert_eq!(found[0]["severity"], "error");
}

#[test]
fn wrong_use_is_told_apart() {
    let (code, out) = run(&[("notes.txt", "")], &[]);
    assert_eq!(code, 2, "{out}");
    assert!(out.contains("holds no file"), "{out}");
    let args = ["validate", "/nowhere/lineup.yaml"];
    let mut out = Vec::new();
    assert_eq!(validate::run(&Command::try_parse_from(args).unwrap().args, &mut out), 2);
    assert!(Command::try_parse_from(["validate"]).is_err());
    for wrong in ["--namespace=A_b", "--namespace=a.b", "--exporting-namespaces=a,-b"] {
        let error = Command::try_parse_from(["validate", "x", wrong]).map(drop).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("lower-case"), "{error}");
    }
}

#[test]
fn whose_targets_may_use_the_routers_identity_is_an_argument() {
    const TARGET: &str = "apiVersion: moniker.dev/v1alpha1\nkind: ProviderTarget\nmetadata: {name: t}\n\
        spec:\n  provider: AzureOpenAI\n  endpoint: {url: 'https://a.openai.azure.com'}\n  \
        auth: {type: WorkloadIdentity}\n  models: [{name: m}]\n";
    for (args, code) in [
        (&[][..], 0),
        (&["--workload-identity-namespaces=shop,default"], 0),
        (&["--workload-identity-namespaces=shop"], 1),
    ] {
        let (found, out) = run(&[("t.yaml", TARGET)], args);
        assert_eq!(found, code, "{out}");
        assert_eq!(out.contains("--workload-identity-namespaces must name it"), code == 1, "{out}");
    }
    let twice = TARGET.replace("Identity}", "Identity, secretRef: {name: s, key: k}}");
    let (code, out) = run(&[("t.yaml", &twice)], &[]);
    assert!(code == 1 && out.contains("secretRef means nothing with type None or"), "{out}");
}

/// A document, its only problem's line, path, and a part of what is said.
const MISTAKES: &[(&str, usize, &str, &str)] = &[
    ("apiVersion: v1\nkind: Pod\n", 2, "kind", "ModelAlias, AccessKey, Secret"),
    ("apiVersion: moniker.dev/v1\nkind: ModelAlias\n", 1, "apiVersion", "moniker.dev/v1alpha1"),
    ("\n\nmetadata: {name: x}\n", 3, "", "kind is required"),
    ("- a\n", 1, "", "mapping"),
    ("a: b: c\n", 1, "", "YAML"),
    (
        "apiVersion: v1\nkind: Service\nmetadata:\n  nmae: x\n  name: y\n",
        4,
        "metadata.nmae",
        "name?",
    ),
    ("apiVersion: v1\nkind: Service\nmetadata:\n  name: X_y\n", 4, "metadata.name", "lower-case"),
    (
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: x\n  namespace: a.b\n",
        5,
        "metadata.namespace",
        "digits and `-`",
    ),
    ("apiVersion: v1\nkind: Service\n", 1, "", "metadata is required"),
    (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringdata: {}\n",
        4,
        "stringdata",
        "stringData?",
    ),
    ("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata:\n  k: '%'\n", 5, "data.k", "base64"),
    (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  k: 1\n",
        5,
        "stringData.k",
        "quotes",
    ),
    (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  k: ${MONIKER_IS_NOT_SET}\n",
        5,
        "stringData.k",
        "MONIKER_IS_NOT_SET",
    ),
];

#[test]
fn every_mistake_is_told_by_line_and_field() {
    for (text, line, path, says) in MISTAKES {
        let found = problems(text, true);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert_eq!(found[0].line, Some(*line), "{text}: {found:?}");
        assert_eq!(found[0].path.as_deref().unwrap_or_default(), *path, "{found:?}");
        assert!(found[0].message.contains(says), "{found:?}");
    }
}

/// A field of the alias or target in `GOOD`, its replacement, and what is said.
const MISFITS: &[(&str, &str, &str)] = &[
    ("provider: OpenAI", "provider: OpenAi", "did you mean OpenAI?"),
    ("provider: OpenAI", "provider: 1", "quotes"),
    ("provider: OpenAI", "provider:", "is empty"),
    ("models: [{name: gpt-4o}]", "models: {name: gpt-4o}", "begin each item"),
    ("models: [{name: gpt-4o}]", "models: []", "at least 1"),
    ("models: [{name: gpt-4o}]", "models: [{name: a}, {name: a}]", "twice"),
    ("models: [{name: gpt-4o}]", "models: [{name: a, contextWindow: 1.5}]", "whole number"),
    ("models: [{name: gpt-4o}]", "models: [{name: a, contextWindow: 0}]", "at least 1"),
    ("models: [{name: gpt-4o}]", "models: [{name: a}]\n  cordoned: x", "true or false"),
    ("models: [{name: gpt-4o}]", "models: [{name: a}]\n  ejection: {base: 5}", "quotes"),
    ("models: [{name: gpt-4o}]", "models: [{name: a}]\n  ejection: {base: 5x}", "500ms"),
    ("model: gpt-4o\n", "model: gpt-4o\n    weight: -1\n", "0 to 1000000"),
    ("model: gpt-4o\n", "model: ''\n", "at least 1"),
    ("name: first", "name: yes", "boolean to kubectl"),
    ("name: first", "name: N", "boolean to kubectl"),
    ("metadata: {name: openai}", "metadata: {name: openai, labels: {a: off}}", "in quotes"),
];

#[test]
fn what_does_not_fit_the_schema_is_told() {
    for (old, new, says) in MISFITS {
        let text = GOOD.replace(old, new);
        assert_ne!(text, GOOD);
        let found = problems(&text, false);
        assert_eq!(found.len(), 1, "{new}: {found:?}");
        assert_eq!(found[0].stage, Stage::Structure);
        assert!(found[0].message.contains(says), "{new}: {found:?}");
    }
}

#[test]
fn a_word_in_quotes_is_text_to_everybody() {
    let text = GOOD.replace("name: first", "name: 'yes'");
    assert_eq!(problems(&text, false), []);
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: x}\n\
                   spec: {publishNotReadyAddresses: yes}\n";
    assert_eq!(problems(service, false), [], "what is a boolean may be one");
}

#[test]
fn an_object_that_stands_twice_names_the_other() {
    let twice = format!("{GOOD}---{GOOD}");
    let found = problems(&twice, false);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].message.contains("also at t.yaml:2;"), "{found:?}");
}

#[test]
fn one_bad_document_hides_no_other() {
    let text = format!("kind: [unclosed\n---{}", GOOD.replace("Priority", "Priorty"));
    let found = problems(&text, false);
    let stages: Vec<_> = found.iter().map(|problem| problem.stage).collect();
    assert_eq!(stages, [Stage::Syntax, Stage::Structure]);
    assert_eq!(found[1].line, Some(15), "{found:?}");
}

#[test]
fn a_list_as_kubectl_prints_it_is_read() {
    let list = r#"{"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": [
        {"apiVersion": "moniker.dev/v1alpha1", "kind": "ModelAlias",
         "metadata": {"name": "a", "namespace": "shop", "uid": "x", "creationTimestamp": "2026-01-01T00:00:00Z",
                      "generation": 3, "resourceVersion": "7", "managedFields": []},
         "spec": {"strategy": {"type": "Priority"}, "targets": [{"name": "a", "modle": "m", "model": "m"}]},
         "status": {"conditions": []}}]}"#;
    let found = problems(list, false);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].line, Some(5));
    assert_eq!(found[0].object.as_deref(), Some("shop/a"));
    assert_eq!(found[0].path.as_deref(), Some("spec.targets[0].modle"));
}

#[test]
fn every_document_of_the_rules_is_judged_as_on_an_api_server() {
    for documents in corpus::read() {
        let rule = &documents.rule;
        // A change is not seen in files.
        for case in documents.valid.iter().chain(&documents.invalid).filter(|c| c.old.is_some()) {
            assert_eq!(problems(&case.new.to_string(), false), [], "{}", rule.id);
        }
        for case in documents.valid.iter().filter(|case| case.old.is_none()) {
            assert_eq!(problems(&case.new.to_string(), false), [], "{}: {}", rule.id, case.new);
        }
        for case in documents.invalid.iter().filter(|case| case.old.is_none()) {
            let found = problems(&case.new.to_string(), false);
            let told: Vec<_> = found.iter().map(|p| (p.stage, p.message.as_str())).collect();
            assert_eq!(told, [(Stage::Rule, rule.message.as_str())], "{}: {}", rule.id, case.new);
            let in_dev = problems(&case.new.to_string(), true);
            assert_eq!(in_dev.is_empty(), rule.relaxed_in_dev, "{}: {}", rule.id, case.new);
        }
    }
}

proptest! {
    /// Whatever is written, there is an answer, and what is wrong has a line.
    #[test]
    fn any_text_is_read_or_told_wrong(cut in 0..GOOD.len(), drop in 0_usize..9, put in "[-{}:a \n\\[\\]'\"&*!|0]{0,5}") {
        let end = (cut + drop).min(GOOD.len());
        for text in [put.clone(), format!("\u{feff}{}{put}{}", &GOOD[..cut], &GOOD[end..])] {
            let loaded = load::load_text("t.yaml", &text, Options::default());
            for problem in &loaded.problems {
                let line = problem.line.unwrap_or(usize::MAX);
                prop_assert!((1..=text.lines().count() + 1).contains(&line), "{problem:?} {text}");
            }
            if loaded.is_fine() {
                let findings = compiler::compile(&loaded.world()).findings;
                prop_assert!(findings.iter().all(|f| loaded.problem(f).line.is_some()), "{findings:?}");
            }
        }
    }
}
