//! `moniker validate` as CI calls it: the real binary, files and standard input, exit codes.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::SAMPLE;

/// Runs it with this on its standard input.
fn validate(args: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(testkit::programs::moniker().unwrap())
        .arg("validate")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What does not read its input closes the pipe, which is its right.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_sample_is_fine_in_dev_and_told_what_a_cluster_refuses() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/samples/dev.yaml");
    let output = validate(&["--dev", sample], "");
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let output = validate(&[sample], "");
    assert_eq!(output.status.code(), Some(1));
    let text = printed(&output);
    assert!(text.contains("dev.yaml:") && text.contains("https://"), "{text}");
}

#[test]
fn every_strategy_has_a_sample_and_every_sample_is_fine() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/samples");
    let mut texts = String::new();
    for file in fs::read_dir(samples).unwrap() {
        let path = file.unwrap().path();
        // Those of `moniker dev` by variable are in a folder of their own.
        if path.is_dir() {
            continue;
        }
        texts += &fs::read_to_string(&path).unwrap();
        // The one of `moniker dev` is on loopback, which a cluster refuses.
        if !path.ends_with("dev.yaml") {
            let output = validate(&[path.to_str().unwrap()], "");
            assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
        }
    }
    for kind in routing::StrategyKind::ALL {
        assert!(texts.contains(&format!("type: {kind}")), "no sample of {kind} in deploy/samples");
    }
}

#[test]
fn standard_input_is_read_and_its_mistakes_told_by_line() {
    let output = validate(&["--dev", "-"], SAMPLE);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let bad = SAMPLE.replacen("strategy:", "strateggy:", 1);
    let line = 1 + bad.lines().position(|line| line.contains("strateggy:")).unwrap();
    let output = validate(&["--dev", "-o", "json", "-"], &bad);
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems = report["problems"].as_array().unwrap();
    let found = problems.iter().find(|problem| problem["path"] == "spec.strateggy").unwrap();
    assert_eq!(found["line"], line, "{found}");
    assert_eq!(found["file"], "-");
    assert!(found["message"].as_str().unwrap().contains("did you mean strategy?"), "{found}");
}

#[test]
fn wrong_use_is_told_apart_from_wrong_files() {
    for args in [&[][..], &["--nonsense", "-"], &["/nowhere/lineup.yaml"]] {
        let output = validate(args, "");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
}
