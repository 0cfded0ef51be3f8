//! The text of `/metrics`, as Prometheus's own linter and a reader see it.
#![cfg(test)]

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use routing::{
    Digest, Money, ObjectId,
    fleet::{Dimension, Draw, KeyId, KeyReport, LimitKey, ModelKey, Report, Spending},
    outcome::{Fault, OutcomeClass},
    spend::Counter,
    stats::{Part, Sums},
};
use telemetry::{
    CategoryBy, ControllerMetrics, JudgeOutcome, Metrics, RequestEnd, StatusWrite, SweepFailure,
    metrics::SnapshotFacts, names,
};

/// Metrics that have counted one of everything.
fn busy() -> Metrics {
    let metrics = Metrics::new();
    let alias = metrics.alias("shop/prod-chat");
    let attempts = metrics.alias_target("shop/prod-chat", "platform/openai/gpt-4o");
    let target = metrics.target("platform/openai/gpt-4o");
    for end in [RequestEnd::Answered, RequestEnd::Cut, RequestEnd::of_status(502)] {
        alias.begun();
        alias.ended(end, Duration::from_millis(40));
    }
    alias.begun();
    target.attempt_begun();
    for class in OutcomeClass::all() {
        attempts.ended(class, Duration::from_secs(2));
    }
    attempts.first_token(Duration::from_millis(310));
    attempts.tokens(12, 34, false);
    attempts.tokens(0, 0, true);
    attempts.cost(Money::from_atto(1_500_000_000_000_000));
    attempts.truncated();
    target.ejected(Fault::RateLimited, Duration::from_secs(60));
    metrics.probed("platform/openai", OutcomeClass::Success);
    metrics.unknown_alias().refused(RequestEnd::of_status(404), Duration::from_micros(90));
    metrics.no_alias().refused(RequestEnd::of_status(400), Duration::from_micros(90));
    metrics.snapshot_applied(SnapshotFacts {
        revision: "0123abcd".to_owned(),
        aliases: 3,
        targets: 2,
        held: 1,
    });
    metrics.category("shop/prod-chat", "coding").told(CategoryBy::Builtin, Some(0.9));
    let key = metrics.keys.of("shop/checkout");
    key.tokens(3, 4);
    key.cost(Money::from_atto(1_500_000_000_000_000));
    key.refused(Dimension::Requests);
    key.over_budget();
    alias.judge.ended(JudgeOutcome::Answered);
    metrics.set_link_connected(true);
    metrics.fleet_told(3);
    metrics
}

/// The same, and what it tells the fleet.
fn reporting() -> Metrics {
    let (metrics, report) = (busy(), report());
    metrics.report_with(move || report.clone());
    metrics
}

/// What a router tells the fleet, one of everything.
fn report() -> Report {
    let target = ObjectId::new("platform", "openai");
    let mut sums = Sums::default();
    sums.observe(Part::Attempts, 1.5);
    let model = ModelKey { target: target.clone(), model: "gpt-4o".to_owned() };
    let quota = Some("main".to_owned());
    let limit = LimitKey { target: target.clone(), quota, dimension: Dimension::Tokens };
    let key = KeyId { id: ObjectId::new("shop", "checkout"), uid: Digest::of(b"uid") };
    let spent = Money::from_atto(12_345_678_901_234_567_891);
    let spending = Some(Spending { counter: Counter { spent, counted: Money::ZERO }, demand: 0.5 });
    let draws = [(Dimension::InFlight, Draw { demand: 3.0, used: 2.0, recent: 1.0 })].into();
    Report {
        run: "0f1e2d3c".to_owned(),
        models: [(model, sums)].into(),
        limits: [(limit, Draw { demand: 3.0, used: 2.0, recent: 1.0 })].into(),
        keys: [(key, KeyReport { draws, spending })].into(),
        credential_faults: [(target, Fault::Auth)].into(),
    }
}

/// A controller's, that have counted one of everything.
fn busy_controller() -> ControllerMetrics {
    let metrics = ControllerMetrics::default();
    metrics.routers.inc();
    metrics.compiled(Duration::from_millis(3), SnapshotFacts::default());
    metrics.status_write(StatusWrite::Written);
    metrics.set_ready(Some(3));
    metrics.swept(Duration::from_millis(40), 1);
    metrics.sweep_failed(SweepFailure::Timeout);
    metrics.set_unknown(vec![("secrets".to_owned(), String::new())]);
    metrics
}

#[test]
fn every_metric_of_the_table_is_there_with_its_labels() {
    let text = reporting().render() + &busy_controller().render();
    for metric in names::ALL {
        assert!(metric.name.starts_with("moniker_"), "{}", metric.name);
        let head = format!("# TYPE {} {}\n", metric.name, metric.kind.name());
        assert!(text.contains(&head), "{head} in {text}");
        for label in metric.labels {
            let series = text.lines().filter(|l| l.starts_with(metric.name));
            assert!(series.clone().count() > 0);
            assert!(series.into_iter().all(|l| l.contains(&format!("{label}=\""))), "{label}");
        }
    }
    for line in [
        r#"moniker_requests_total{alias="shop/prod-chat",code="2xx"} 1"#,
        r#"moniker_requests_total{alias="unknown",code="4xx"} 1"#,
        r#"moniker_requests_in_flight{alias="shop/prod-chat"} 1"#,
        r#"moniker_request_duration_seconds_bucket{alias="shop/prod-chat",le="0.025"} 0"#,
        r#"moniker_request_duration_seconds_bucket{alias="shop/prod-chat",le="0.05"} 3"#,
        r#"moniker_tokens_total{alias="shop/prod-chat",target="platform/openai/gpt-4o",direction="output"} 34"#,
        r#"moniker_estimated_usage_total{alias="shop/prod-chat",target="platform/openai/gpt-4o"} 1"#,
        r#"moniker_cost_total{alias="shop/prod-chat",target="platform/openai/gpt-4o"} 0.0015"#,
        r#"moniker_probes_total{provider_target="platform/openai",outcome="Success"} 1"#,
        r#"moniker_ejections_total{target="platform/openai/gpt-4o",outcome="RateLimited"} 1"#,
        r#"moniker_target_ejected{target="platform/openai/gpt-4o"} 1"#,
        r#"moniker_snapshot_info{revision="0123abcd"} 1"#,
        r#"moniker_target_feedback{target="platform/openai/gpt-4o",scale="Slow",part="Attempts"} 1.5"#,
        r#"moniker_limit_demand{provider_target="platform/openai",quota="main",dimension="Tokens"} 3"#,
        r#"moniker_credential_fault{provider_target="platform/openai",outcome="Auth"} 1"#,
        r#"moniker_controller_sweep_failures_total{reason="timeout"} 1"#,
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in {text}");
    }
}

#[test]
fn what_was_never_used_has_no_series() {
    let metrics = Metrics::new();
    let _ = (metrics.alias("a/b"), metrics.alias_target("a/b", "a/t/m"));
    let text = metrics.render();
    assert!(!text.contains("a/b"), "{text}");
}

#[test]
fn what_is_removed_is_gone_and_stays_gone() {
    let metrics = busy();
    let stale = metrics.alias_target("shop/prod-chat", "platform/openai/gpt-4o");
    metrics.retain(|_| false, |_| false, |_, _| false);
    metrics.retain_categories(|_, _| false);
    metrics.keys.retain(|_| false);
    stale.first_token(Duration::from_secs(1));
    let text = metrics.render();
    assert!(!text.contains("shop/") && !text.contains("platform/"), "{text}");
    assert!(text.contains(r#"alias="unknown""#), "{text}");
}

#[test]
fn an_ejection_can_end_before_its_time() {
    let metrics = busy();
    metrics.target("platform/openai/gpt-4o").readmitted();
    let line = r#"moniker_target_ejected{target="platform/openai/gpt-4o"} 0"#;
    assert!(metrics.render().lines().any(|l| l == line));
}

#[test]
fn promtool_finds_nothing() {
    linted(&reporting().render());
    linted(&busy_controller().render());
}

fn linted(text: &str) {
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match started {
        Ok(promtool) => promtool,
        Err(error) => {
            eprintln!("skipped: promtool (Debian package prometheus) does not start: {error}");
            return;
        }
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}\n{text}");
}
