//! Three routers that share nothing but the controller's stream: they come to the same view of the
//! targets, and send a session to the same one.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;
use testkit::{
    fleet::Fleet,
    upstream::{Script, Upstream},
};

use super::{PATIENCE, explain, send};
use crate::rig::{alias, entry, priority, request, target};

/// Upstreams of these speeds, and the YAML of their targets.
async fn upstreams(of: &[(&str, u64)]) -> (Vec<Upstream>, String) {
    let (mut upstreams, mut yaml) = (Vec::new(), String::new());
    for (name, millis) in of {
        let upstream = Upstream::start().await.unwrap();
        upstream.always(Script::chat("hello").after(Duration::from_millis(*millis)));
        yaml += &target(name, &upstream.url(), &[]);
        upstreams.push(upstream);
    }
    (upstreams, yaml)
}

/// The predicted seconds of a target, as `explain` tells them.
fn predicted(told: &Value, target: &str) -> f64 {
    let candidates = told["candidates"].as_array().unwrap_or_else(|| panic!("{told}"));
    let name = format!("default/{target}/m");
    let seen = candidates.iter().find(|c| c["target"] == *name).unwrap();
    let score = seen["score"].as_str().unwrap_or_else(|| panic!("no score: {seen}"));
    score.trim_end_matches(" s").parse().unwrap_or_else(|e| panic!("{e}: {score}"))
}

#[tokio::test]
async fn what_one_router_saw_the_others_know() {
    let (_upstreams, yaml) = upstreams(&[("a", 100), ("b", 700)]).await;
    let yaml = yaml
        + &alias("quick", "LowestLatency", &[entry("b", ""), entry("a", "")], &[])
        + &priority("only-a", &["a"], &[])
        + &priority("only-b", &["b"], &[]);
    let fleet = Fleet::start(&yaml, 2, &["--sweep-interval", "500ms"]).await.unwrap();
    let urls = fleet.urls();

    // Nobody knows anything, so both look alike.
    let told = explain(&urls[2], &request("quick", true)).await;
    assert!((predicted(&told, "a") - predicted(&told, "b")).abs() < 0.01, "{told}");

    // The first router alone asks `a`, the second alone `b`, and the third nobody.
    for _ in 0..12 {
        let (a, b) = (request("only-a", true), request("only-b", true));
        let (a, b) = tokio::join!(send(&urls[0], &a, &[]), send(&urls[1], &b, &[]));
        assert_eq!((a.status, b.status), (200, 200), "{} {}", a.body, b.body);
    }
    let mut seen = Vec::new();
    let agree = async {
        loop {
            seen.clear();
            for url in &urls {
                let told = explain(url, &request("quick", true)).await;
                seen.push((predicted(&told, "a"), predicted(&told, "b")));
            }
            let near = |x: f64, y: f64| (x - y).abs() <= 0.1 * x.max(y) + 0.011;
            let first = seen[0];
            let same = seen.iter().all(|(a, b)| near(*a, first.0) && near(*b, first.1));
            if same && seen.iter().all(|(a, b)| *b > 2.0 * *a) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let agreed = tokio::time::timeout(PATIENCE, agree).await;
    assert!(agreed.is_ok(), "they never agreed: {seen:?}");
    // So the third, which has asked nobody yet, asks the fast one.
    let answer = send(&urls[2], &request("quick", true), &[]).await;
    assert_eq!((answer.status, answer.told().1), (200, "a"), "{}", answer.body);
}

#[tokio::test]
async fn a_session_goes_to_one_target_on_every_router() {
    let (upstreams, yaml) = upstreams(&[("a", 0), ("b", 0), ("c", 0)]).await;
    let entries = [entry("a", ""), entry("b", ""), entry("c", "")];
    let affinity = "affinity: {by: Header, header: x-session-id}";
    let yaml = yaml + &alias("chat", "RandomShuffle", &entries, &[affinity]);
    let fleet = Fleet::start(&yaml, 2, &[]).await.unwrap();

    let mut used = BTreeSet::new();
    for session in 0..24 {
        let session = format!("conversation-{session}");
        let mut targets = BTreeSet::new();
        for url in &fleet.urls() {
            for _ in 0..2 {
                let answer =
                    send(url, &request("chat", false), &[("x-session-id", &session)]).await;
                assert_eq!((answer.status, answer.told().0), (200, "1"), "{}", answer.body);
                targets.insert(answer.told().1.to_owned());
            }
        }
        assert_eq!(targets.len(), 1, "{session} went to {targets:?}");
        used.extend(targets);
    }
    assert_eq!(used.len(), upstreams.len(), "sessions are spread: {used:?}");
}
