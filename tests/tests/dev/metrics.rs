//! The metrics of a router that has met good and bad: what they count, that labels are bounded, and
//! what Prometheus's own linter says.

use std::{
    collections::BTreeMap,
    io::Write as _,
    process::{Command, Stdio},
};

use testkit::{
    moniker::Moniker,
    upstream::{Script, Step, Upstream, delta, role},
};

use crate::rig::{admin, ask, priority, request, target};

/// Samples by their name and labels.
async fn samples(moniker: &Moniker) -> BTreeMap<String, String> {
    let answer = admin(moniker, "metrics").await;
    assert_eq!(answer.status, 200);
    let lines = answer.body.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let split = lines.map(|line| line.rsplit_once(' ').unwrap());
    let plain = |value: &str| value.parse::<f64>().unwrap().to_string();
    split.map(|(name, value)| (name.to_owned(), plain(value))).collect()
}

struct Mixed {
    moniker: Moniker,
    bad: Upstream,
    good: Upstream,
}

impl Mixed {
    async fn start() -> Self {
        let (bad, good) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
        let yaml = target("bad", &bad.url(), &[])
            + &target("good", &good.url(), &[])
            + &priority("chat", &["bad", "good"], &[]);
        Self { moniker: Moniker::dev(&yaml).await.unwrap(), bad, good }
    }

    /// Traffic of all kinds.
    async fn play(&self) {
        for script in [
            Script::error(500, "server_error", "boom"),
            Script::chat("fine"),
            Script::answer(200, &[], "<html>"),
            Script::chat("fine"),
            Script::stream_then([role("m"), delta("m", "cut")], [Step::Reset]),
            Script::error(422, "odd", "odd"),
            Script::rate_limited("600"),
        ] {
            self.bad.then(script);
        }
        for stream in [false, true, false, false, true, false, true, true] {
            ask(&self.moniker, &request("chat", stream)).await;
        }
        ask(&self.moniker, "{").await;
    }
}

#[tokio::test]
async fn attempts_are_counted_by_their_class() {
    let mixed = Mixed::start().await;
    mixed.play().await;
    let samples = samples(&mixed.moniker).await;
    let of = |name: &str| samples.get(name).map_or("none", String::as_str);
    let attempts = |target: &str, outcome: &str| {
        of(&format!(
            "moniker_attempts_total{{alias=\"default/chat\",target=\"default/{target}/m\",outcome=\"{outcome}\"}}"
        ))
    };
    for (target, outcome, count) in [
        ("bad", "ServerError", "1"),
        ("bad", "InvalidResponse", "2"),
        ("bad", "Success", "2"),
        ("bad", "InvalidRequest", "1"),
        ("bad", "RateLimited", "1"),
        ("good", "Success", "4"),
    ] {
        assert_eq!(attempts(target, outcome), count, "{target} {outcome}: {samples:#?}");
    }
    assert_eq!(mixed.good.count(), 4);
    let requests = |alias: &str, code: &str| {
        of(&format!("moniker_requests_total{{alias=\"{alias}\",code=\"{code}\"}}"))
    };
    assert_eq!(requests("default/chat", "2xx"), "6", "{samples:#?}");
    assert_eq!(requests("default/chat", "4xx"), "1");
    assert_eq!(requests("default/chat", "cut"), "1");
    assert_eq!(requests("none", "4xx"), "1");
    let truncated =
        "moniker_streams_truncated_total{alias=\"default/chat\",target=\"default/bad/m\"}";
    assert_eq!(of(truncated), "1");
    let ejected = "moniker_ejections_total{target=\"default/bad/m\",outcome=\"RateLimited\"}";
    assert_eq!(of(ejected), "1", "{samples:#?}");
    assert_eq!(of("moniker_target_ejected{target=\"default/bad/m\"}"), "1", "{samples:#?}");
    for (name, value) in &samples {
        assert!(!name.contains("in_flight{") || value == "0", "{name} {value}");
    }
    let direction = |name: &str| {
        of(&format!(
            "moniker_tokens_total{{alias=\"default/chat\",target=\"default/good/m\",direction=\"{name}\"}}"
        ))
    };
    assert_eq!((direction("input"), direction("output")), ("20", "12"), "{samples:#?}");
}

#[tokio::test]
async fn names_that_callers_make_up_make_no_series() {
    let mixed = Mixed::start().await;
    mixed.play().await;
    ask(&mixed.moniker, &request("made-up", false)).await;
    let before = samples(&mixed.moniker).await;
    for i in 0..100 {
        let answer = ask(&mixed.moniker, &request(&format!("made-up-{i}"), i % 2 == 0)).await;
        assert_eq!(answer.status, 404);
    }
    let after = samples(&mixed.moniker).await;
    assert!(!format!("{after:?}").contains("made-up"));
    let names = |samples: &BTreeMap<String, String>| samples.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after));
    assert_eq!(after["moniker_requests_total{alias=\"unknown\",code=\"4xx\"}"], "101");
}

#[tokio::test]
async fn promtool_has_nothing_to_say() {
    let mixed = Mixed::start().await;
    mixed.play().await;
    let text = admin(&mixed.moniker, "metrics").await.body;
    let checked = tokio::task::spawn_blocking(move || {
        let mut child = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().unwrap().write_all(text.as_bytes())?;
        child.wait_with_output()
    });
    match checked.await.unwrap() {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(output.status.success() && said.trim().is_empty(), "{said}");
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: no promtool (Debian: apt install prometheus)");
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_alerts_fire_when_they_should_and_name_metrics_that_there_are() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/prometheus");
    for args in [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]] {
        let promtool = Command::new("promtool").args(args).current_dir(directory).output();
        let said = promtool.expect("promtool: run `cargo xtask setup`");
        assert!(said.status.success(), "{said:?}");
    }
    let rules = std::fs::read_to_string(format!("{directory}/alerts.yaml")).unwrap();
    let expressions = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let words = expressions.flat_map(|line| line.split(word));
    let named: Vec<&str> = words.filter(|word| word.starts_with("moniker_")).collect();
    assert!(named.len() > 5);
    for name in named {
        let known = telemetry::names::ALL.iter().any(|metric| metric.name == name);
        assert!(known, "{name} is no metric");
    }
}
