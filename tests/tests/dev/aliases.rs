//! What lineups are made of, by real requests: nested aliases, tiers, providers in order, who may see
//! what, what is cordoned, and edits that would break them.

use serde_json::json;
use testkit::{
    moniker::Moniker,
    upstream::{Script, Upstream},
};

use crate::rig::{alias, ask, entry, get, priority, request, target};

/// Targets a, b, c, d and so on, each an upstream of its own.
async fn targets(names: &[&str]) -> (Vec<Upstream>, String) {
    let (mut upstreams, mut yaml) = (Vec::new(), String::new());
    for name in names {
        let upstream = Upstream::start().await.unwrap();
        yaml += &target(name, &upstream.url(), &[]);
        upstreams.push(upstream);
    }
    (upstreams, yaml)
}

/// Who serves, in which order, when each that has served is down from then on.
async fn order(moniker: &Moniker, model: &str, upstreams: &[Upstream]) -> Vec<String> {
    let mut order = Vec::new();
    for _ in upstreams {
        let answer = ask(moniker, &request(model, false)).await;
        if answer.status != 200 {
            break;
        }
        let name = answer.told().1.to_owned();
        // Left alone from now on for longer than the test takes.
        upstreams[usize::from(name.as_bytes()[0] - b'a')].always(Script::rate_limited("600"));
        order.push(name);
    }
    order
}

#[tokio::test]
async fn a_nested_alias_stands_as_one_block() {
    let (upstreams, yaml) = targets(&["a", "b", "c", "d"]).await;
    let nested = |name: &str| format!("name: {name}, alias: {name}");
    let yaml = yaml
        + &priority("inner", &["b", "c"], &["visibility: Internal"])
        + &alias("middle", "Priority", &[nested("inner")], &[])
        + &alias("outer", "Priority", &[entry("a", ""), nested("middle"), entry("d", "")], &[]);
    let moniker = Moniker::dev(&yaml).await.unwrap();
    assert_eq!(order(&moniker, "outer", &upstreams).await, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn tiers_are_steps_and_weights_count_within_one() {
    let (upstreams, yaml) = targets(&["a", "b", "c"]).await;
    let yaml = yaml
        + &alias(
            "tiered",
            "RandomShuffle",
            &[entry("c", ", tier: 2"), entry("b", ", tier: 1, weight: 1000"), entry("a", "")],
            &[],
        );
    let moniker = Moniker::dev(&yaml).await.unwrap();
    for i in 0..30 {
        assert_eq!(ask(&moniker, &request("tiered", i % 2 == 0)).await.told().1, "a");
    }
    assert_eq!(order(&moniker, "tiered", &upstreams).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn providers_go_in_their_order_or_by_name() {
    let (upstreams, yaml) = targets(&["a", "b", "c"]).await;
    let named = "name: e, model: m, providers: [{name: c}, {name: a}]".to_owned();
    let all = "name: e, model: m".to_owned();
    let yaml =
        yaml + &alias("named", "Priority", &[named], &[]) + &alias("all", "Priority", &[all], &[]);
    let moniker = Moniker::dev(&yaml).await.unwrap();
    assert_eq!(order(&moniker, "named", &upstreams).await, ["c", "a"]);
    for upstream in &upstreams {
        upstream.always(Script::chat("hello"));
    }
    assert_eq!(ask(&moniker, &request("all", false)).await.told().1, "b", "a and c are ejected");

    let moniker = Moniker::dev(&yaml).await.unwrap();
    assert_eq!(order(&moniker, "all", &upstreams).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn internal_aliases_are_seen_by_other_aliases_alone() {
    let (_upstreams, yaml) = targets(&["a"]).await;
    let yaml = yaml
        + &priority("secret-plan", &["a"], &["visibility: Internal"])
        + &alias("prod-chat", "Priority", &["name: x, alias: secret-plan".to_owned()], &[])
        + &priority("prod-code", &["a"], &["model: coder"]);
    let moniker = Moniker::dev(&yaml).await.unwrap();
    assert_eq!(ask(&moniker, &request("prod-chat", false)).await.status, 200);
    assert_eq!(ask(&moniker, &request("coder", false)).await.status, 200);

    let models = get(&moniker, "models").await.json();
    let ids: Vec<_> = models["data"].as_array().unwrap().iter().map(|m| &m["id"]).collect();
    assert_eq!(ids, ["coder", "prod-chat"]);
    let one = get(&moniker, "models/coder").await;
    assert_eq!((one.status, &one.json()["id"]), (200, &json!("coder")));
    assert_eq!(one.json()["object"], json!("model"));

    // One answer for what is not there and for what is not theirs.
    for (model, close) in
        [("prod-cht", "prod-chat"), ("codr", "coder"), ("secret-plan", ""), ("secret-plam", "")]
    {
        let answer = ask(&moniker, &request(model, true)).await;
        let (status, code, message) = answer.error();
        assert_eq!((status, code.as_str()), (404, "model_not_found"), "{model}");
        assert!(message.contains(close), "{model}: {message}");
        assert!(!message.replace(model, "").contains("secret"), "{model}: {message}");
        assert_eq!(answer.header("x-moniker-revision"), "");
        let answer = get(&moniker, &format!("models/{model}")).await;
        assert_eq!((answer.status, answer.error().1.as_str()), (404, "model_not_found"), "{model}");
    }
    // The alias's own name is not what callers write once it has a model; nor do look-alikes do.
    for model in ["prod-code", "Coder", "coder ", "coder\u{200b}", "default/coder", "a/m", "m"] {
        assert_eq!(ask(&moniker, &request(model, false)).await.status, 404, "{model:?}");
    }
}

#[tokio::test]
async fn a_cordoned_target_gets_no_new_requests() {
    let (upstreams, yaml) = targets(&["a", "b"]).await;
    let both = priority("chat", &["a", "b"], &[]) + &priority("alone", &["a"], &[]);
    let mut moniker = Moniker::dev(&(yaml.clone() + &both)).await.unwrap();
    assert_eq!(ask(&moniker, &request("chat", false)).await.told(), ("1", "a", "first_choice"));
    let cordoned = target("a", &upstreams[0].url(), &["cordoned: true"])
        + &target("b", &upstreams[1].url(), &[]);
    moniker.edit(&(cordoned + &both)).unwrap();
    moniker.printed("Loaded again").await.unwrap();
    for stream in [false, true] {
        let answer = ask(&moniker, &request("chat", stream)).await;
        assert_eq!((answer.status, answer.told().1), (200, "b"));
        let (status, code, message) = ask(&moniker, &request("alone", stream)).await.error();
        assert_eq!((status, code.as_str()), (503, "no_target"), "{message}");
        assert!(message.contains("cordoned"), "{message}");
    }
    assert_eq!(upstreams[0].count(), 1);
    moniker.edit(&(yaml + &both)).unwrap();
    moniker.printed_times("Loaded again", 2).await.unwrap();
    assert_eq!(ask(&moniker, &request("chat", false)).await.told().1, "a");
}

/// The structure is fine, the meaning is not: it is said, and what served goes on.
#[tokio::test]
async fn an_alias_that_an_edit_makes_invalid_keeps_serving() {
    let (_upstreams, yaml) = targets(&["a"]).await;
    let fine = priority("chat", &["a"], &[]) + &priority("other", &["a"], &[]);
    let mut moniker = Moniker::dev(&(yaml.clone() + &fine)).await.unwrap();
    let cycle = alias("chat", "Priority", &["name: x, alias: chat".to_owned()], &[])
        + &priority("other", &["a"], &[])
        + &priority("new", &["a"], &[]);
    moniker.edit(&(yaml.clone() + &cycle)).unwrap();
    moniker.printed("AliasCycle").await.unwrap();
    for model in ["chat", "other"] {
        for stream in [false, true] {
            assert_eq!(ask(&moniker, &request(model, stream)).await.status, 200, "{model}");
        }
    }
    // Deleting wins.
    moniker.edit(&(yaml + &priority("other", &["a"], &[]))).unwrap();
    moniker.printed_times("Loaded again", 2).await.unwrap();
    assert_eq!(ask(&moniker, &request("chat", false)).await.status, 404);
    assert_eq!(ask(&moniker, &request("other", false)).await.status, 200);
}

/// A bad target is named and left out; the alias goes on with the rest.
#[tokio::test]
async fn one_target_that_is_not_there_disables_nothing() {
    let (_upstreams, yaml) = targets(&["b"]).await;
    let yaml =
        yaml + &priority("chat", &["missing", "b"], &[]) + &priority("none", &["missing"], &[]);
    let mut moniker = Moniker::dev(&yaml).await.unwrap();
    moniker.printed("TargetNotFound").await.unwrap();
    assert_eq!(ask(&moniker, &request("chat", false)).await.told(), ("1", "b", "first_choice"));
    let (status, code, message) = ask(&moniker, &request("none", true)).await.error();
    assert_eq!((status, code.as_str()), (503, "alias_invalid"), "{message}");
    assert!(message.contains("default/missing"), "{message}");
}
