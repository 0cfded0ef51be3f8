//! LowestLatency: traffic leaves the fastest when it browns out, and returns when it recovers.

use std::time::Duration;

use testkit::{
    moniker::Moniker,
    upstream::{Script, Upstream},
};

use super::until_most_are_of;
use crate::rig::{alias, entry, target};

fn takes(millis: u64) -> Script {
    Script::chat("hello").after(Duration::from_millis(millis))
}

#[tokio::test]
async fn traffic_leaves_what_browns_out_and_returns_to_it() {
    let (mut upstreams, mut yaml) = (Vec::new(), String::new());
    for (name, millis) in [("slow", 600), ("middle", 200), ("fast", 20)] {
        let upstream = Upstream::start().await.unwrap();
        upstream.always(takes(millis));
        yaml += &target(name, &upstream.url(), &[]);
        upstreams.push(upstream);
    }
    // The fastest is last, so the order of the list explains nothing. More is tried than by default,
    // since a test has no time.
    let strategy = "LowestLatency, lowestLatency: {explorationPercent: 20}";
    let entries = [entry("slow", ""), entry("middle", ""), entry("fast", "")];
    let moniker = Moniker::dev(&(yaml + &alias("quick", strategy, &entries, &[]))).await.unwrap();

    // A provider is known well before it browns out.
    for _ in 0..6 {
        until_most_are_of(moniker.url(), "quick", "fast").await;
    }
    upstreams[2].always(takes(1000));
    until_most_are_of(moniker.url(), "quick", "middle").await;
    upstreams[2].always(takes(20));
    until_most_are_of(moniker.url(), "quick", "fast").await;
}
