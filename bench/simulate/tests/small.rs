//! A small run with wide bounds: that the product's strategy still does what the full table says,
//! and that figures are the same again.

#![cfg(test)]

use simulate::{
    health::Rule,
    policy::{ALL, Named},
    report::{Report, simulate},
    table::table,
    world::{World, file, named},
};

fn policies(names: &[&str]) -> Vec<Named> {
    ALL.iter().copied().filter(|policy| names.contains(&policy.name)).collect()
}

/// The named worlds with these numbers, cut to so many seconds.
fn worlds(numbers: &[&str], length: f64) -> Vec<World> {
    let wanted = |world: &World| numbers.iter().any(|n| world.name.starts_with(&format!("{n}_")));
    let short = |world: World| World { length: world.length.min(length), ..world };
    named::all().into_iter().filter(wanted).map(short).collect()
}

fn regret(report: &Report, world: &str, policy: &str) -> f64 {
    let found = report.worlds.iter().find(|one| one.name.starts_with(&format!("{world}_")));
    found.unwrap().policies[policy].regret
}

#[test]
fn the_products_strategy_is_far_ahead_of_what_spreads_evenly() {
    let policies = policies(&["LowestLatency", "PeakEWMA", "Random"]);
    let worlds = worlds(&["S1", "S4", "S7", "S9", "S10"], 600.0);
    let report = simulate(&worlds, &policies, &[1000, 1001], Rule::Product);
    for (world, most) in [("S1", 0.10), ("S4", 0.40), ("S7", 0.20), ("S9", 0.30), ("S10", 0.10)] {
        let own = regret(&report, world, "LowestLatency");
        assert!(own < most, "{world}: {own}\n{}", table(&report, &policies));
        for other in ["PeakEWMA", "Random"] {
            let theirs = regret(&report, world, other);
            assert!(own < theirs, "{world}: {own}, {other} {theirs}");
        }
    }
    let herd = report.worlds.iter().find(|world| world.name == "S9_herd50").unwrap();
    assert!(herd.policies["LowestLatency"].osc < 0.15, "fifty routers do not jump together");
}

#[test]
fn the_same_seeds_give_the_same_figures() {
    let policies = policies(&["LowestLatency", "LiteLLM", "FleetArgmin"]);
    let run = || simulate(&worlds(&["S3"], 60.0), &policies, &[3, 4], Rule::Product);
    let (one, again) = (run(), run());
    for (a, b) in one.worlds.iter().zip(&again.worlds) {
        assert_eq!(a.policies, b.policies);
    }
    let json = serde_json::to_value(&one).unwrap();
    assert_eq!(json["seeds"], serde_json::json!([3, 4]));
    let score = &json["worlds"][0]["policies"]["LowestLatency"];
    for field in ["regret", "p95", "p99", "miss", "osc", "attempts"] {
        assert!(score[field].is_number(), "{field}");
    }
    assert!(json["geomean"]["LiteLLM"].is_number());
}

#[test]
fn a_world_of_ones_own_runs_under_every_policy() {
    let text = r#"[{"name": "mine", "ttft": [0.3, 0.5], "tpot": [0.01, 0.02], "t": 60, "r": 3,
        "lam": 5, "fail": [[[0, 0], [10, 1], [20, 0]]], "rpm": [null, 60], "cap": [10],
        "avail": [[], [[0, 0], [5, 1]]], "hang": [[[0, 0], [30, 1], [35, 0]]], "timeout": 5}]"#;
    let report = simulate(&file::parse(text).unwrap(), ALL, &[1], Rule::Flat);
    for policy in ALL {
        let score = report.worlds[0].policies[policy.name];
        assert!(score.regret.is_finite() && score.attempts >= 1.0, "{policy:?}: {score:?}");
    }
}
