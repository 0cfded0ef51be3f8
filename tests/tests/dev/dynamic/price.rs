//! LowestPrice: who is cheapest depends on the request, and what it cost is told to the last digit.

use serde_json::json;
use testkit::{
    moniker::Moniker,
    upstream::{Script, Upstream},
};

use crate::rig::{Answer, admin, alias, ask_with, entry, target};

/// A target whose model has this price.
fn priced(name: &str, upstream: &Upstream, price: &str) -> String {
    let model = format!("upstreamName: up-{name}");
    target(name, &upstream.url(), &[]).replace(&model, &format!("{model}, price: {{{price}}}"))
}

async fn ask(moniker: &Moniker, words: usize, providers: Option<&str>) -> Answer {
    let body = json!({
        "model": "cheap", "messages": [{"role": "user", "content": "word ".repeat(words)}],
    });
    let full = [("x-moniker-metadata", "full"), ("x-moniker-providers", providers.unwrap_or(""))];
    let headers = if providers.is_some() { &full[..] } else { &full[..1] };
    let answer = ask_with(moniker, &body.to_string(), headers).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
}

#[tokio::test]
async fn the_cheapest_is_told_by_the_request_and_its_cost_is_exact() {
    let (tiered, flat) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
    let long = r#"above: {inputTokens: 1000, input: "10.000001"}"#;
    let yaml = priced("flat", &flat, r#"input: "3.1", output: "5""#)
        + &priced("tiered", &tiered, &format!(r#"input: "1.000001", output: "4", {long}"#))
        + &alias("cheap", "LowestPrice", &[entry("flat", ""), entry("tiered", "")], &[]);
    let moniker = Moniker::dev(&yaml).await.unwrap();

    // Short: 7 x 1.000001 + 3 x 4 millionths.
    tiered.always(Script::chat_using("hello", 7, 3));
    let short = ask(&moniker, 4, None).await;
    assert_eq!(short.told(), ("1", "tiered", "first_choice"), "{}", short.body);
    let told = &short.json()["moniker"];
    assert_eq!(told["cost"], "0.000019000007", "{told}");
    assert_eq!(told["tokens"], json!({"input": 7, "output": 3}));

    // Long: the tier makes the same target the dear one. 4,000 x 3.1 + 3 x 5.
    flat.always(Script::chat_using("hello", 4000, 3));
    let long = ask(&moniker, 4000, None).await;
    assert_eq!(long.told(), ("1", "flat", "first_choice"), "{}", long.body);
    assert_eq!(long.json()["moniker"]["cost"], "0.012415");
    // Sent there all the same it costs what the tier says, for the whole prompt, and nothing at
    // exactly its edge.
    for (prompt, cost) in [(1001, "0.010022001001"), (1000, "0.001012001")] {
        tiered.always(Script::chat_using("hello", prompt, 3));
        let there = ask(&moniker, 4000, Some("tiered")).await;
        assert_eq!(there.told().1, "tiered");
        assert_eq!(there.json()["moniker"]["cost"], cost, "{prompt}");
    }

    // Summed up for those who pay.
    let metrics = admin(&moniker, "metrics").await.body;
    for (target, cost) in [("flat", 0.012_415), ("tiered", 0.011_053_002_008)] {
        let series =
            format!("moniker_cost_total{{alias=\"default/cheap\",target=\"default/{target}/m\"}} ");
        let told = metrics.lines().find_map(|line| line.strip_prefix(&series));
        let told: f64 = told.unwrap_or_else(|| panic!("no {series}: {metrics}")).parse().unwrap();
        assert!((told - cost).abs() < 1e-12, "{target}: {told}, not {cost}");
    }
}
