//! The limits and budgets of AccessKeys over real processes: they hold for all routers together, and what one key
//! does is nothing to another.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{
    fleet::Fleet,
    moniker::Moniker,
    upstream::{Script, Upstream},
};

use crate::{
    client,
    rig::{Answer, admin, ask_with, priority, request, target},
};

/// The longest that anything is awaited; only a failure takes it.
const PATIENCE: Duration = Duration::from_secs(40);

/// An AccessKey whose key is `mk-NAME`, with these lines of its spec.
fn key(name: &str, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\n\
         stringData: {{api-key: mk-{name}}}\n---\napiVersion: moniker.dev/v1alpha1\n\
         kind: AccessKey\nmetadata: {{name: {name}}}\nspec:\n  \
         secretRef: {{name: {name}, key: api-key}}\n  {more}\n"
    )
}

async fn lineup(keys: &str) -> (String, Upstream) {
    let upstream = Upstream::start().await.unwrap();
    upstream.always(Script::chat("hello"));
    (target("t", &upstream.url(), &[]) + &priority("prod-chat", &["t"], &[]) + keys, upstream)
}

async fn send(url: &str, key: &str) -> Answer {
    let request = client()
        .post(format!("{url}/chat/completions"))
        .header("content-type", "application/json")
        .header("x-api-key", key)
        .body(request("prod-chat", false));
    Answer::of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn three_routers_share_the_limit_of_a_key() {
    let keys = key("busy", "limits: {requestsPerMinute: 60}")
        + &key("calm", "limits: {requestsPerMinute: 60}");
    let (yaml, upstream) = lineup(&keys).await;
    let fleet = Fleet::start(&yaml, 2, &["--sweep-interval", "250ms"]).await.unwrap();
    let urls = fleet.urls();
    for url in fleet.admins("metrics") {
        let knows = async {
            loop {
                let text = client().get(&url).send().await.unwrap().text().await.unwrap();
                if text.lines().any(|line| line == "moniker_fleet_routers 3") {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, knows).await.unwrap();
    }
    let began = Instant::now();
    let (mut served, mut refused) = (0, 0);
    for n in 0..240 {
        // Two thirds of it come to the first router, and nothing to the third.
        let url = &urls[usize::from(n % 3 == 0)];
        let answer = send(url, "mk-busy").await;
        match answer.status {
            200 => {
                assert_eq!(answer.header("x-ratelimit-limit-requests"), "60");
                served += 1;
            }
            429 => {
                let wait: u64 = answer.header("retry-after").parse().unwrap();
                assert!((1..=70).contains(&wait), "{wait}");
                assert_eq!(answer.header("x-moniker-reason"), "key_limit");
                refused += 1;
            }
            other => panic!("{other}: {}", answer.body),
        }
    }
    // However long that took: a limit's worth a minute, and what a step overshoots.
    let minutes = 1.0 + began.elapsed().as_secs_f64() / 60.0;
    assert!(f64::from(served) <= 60.0 * 1.2 * minutes, "{served} in {minutes} minutes");
    assert!(served >= 30 && refused > 0, "{served} {refused}");
    assert_eq!(upstream.count(), usize::try_from(served).unwrap());
    // The other key has all of its own, on every router: to begin with, the part that one which was
    // idle keeps.
    for url in &urls {
        for _ in 0..3 {
            let answer = send(url, "mk-calm").await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
    }
}

#[tokio::test]
async fn a_limit_is_told_to_its_caller_counted_and_edited() {
    let limit = |requests: u32| {
        key("app", &format!("limits: {{requestsPerMinute: {requests}, tokensPerMinute: 100000}}"))
    };
    let (yaml, _upstream) = lineup("").await;
    let moniker = Moniker::dev(&(yaml.clone() + &limit(3))).await.unwrap();
    let chat = request("prod-chat", true);
    let ask = || ask_with(&moniker, &chat, &[("authorization", "Bearer mk-app")]);
    // All of it is this router's once the first sweep has said that it is alone.
    let mut served = 0;
    let refused = loop {
        let answer = ask().await;
        if answer.status != 200 {
            break answer;
        }
        assert_eq!(answer.header("x-ratelimit-limit-tokens"), "100000");
        assert_ne!(answer.header("x-ratelimit-remaining-tokens"), "");
        served += 1;
        assert!(served <= 3, "more than the limit");
    };
    assert!(served >= 1);
    let error = refused.json()["error"].clone();
    assert_eq!((refused.status, &error["code"]), (429, &json!("rate_limit_exceeded")));
    assert!(error["message"].as_str().unwrap().contains("default/app"), "{error}");
    let text = admin(&moniker, "metrics").await.body;
    for line in [
        r#"moniker_access_key_refusals_total{access_key="default/app",limit="Requests"} 1"#,
        r#"moniker_access_key_tokens_total{access_key="default/app",direction="input"}"#,
        r#"moniker_access_key_limit_used{access_key="default/app""#,
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let digest = "mk-app";
    assert!(!text.contains(digest) && !moniker.output().contains(digest));
    assert!(moniker.output().contains("default/app"), "{}", moniker.output());
    moniker.edit(&(yaml + &limit(1_000))).unwrap();
    let widened = async {
        while ask().await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, widened).await.unwrap();
}

/// A target whose answers have some 5 tokens, each of which costs 0.01.
fn priced(url: &str) -> String {
    let price = "price: {input: \"10000\", output: \"10000\"}";
    target("t", url, &[]).replace("upstreamName: up-t", &format!("upstreamName: up-t, {price}"))
}

/// What was spent of the budget of `default/app`, as an admin port tells it.
async fn spent(url: &str) -> f64 {
    let metric = r#"moniker_access_key_spent_total{access_key="default/app""#;
    let text = client().get(url).send().await.unwrap().text().await.unwrap();
    let line = text.lines().find(|line| line.starts_with(metric));
    line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_budget_is_one_for_all_routers() {
    let upstream = Upstream::start().await.unwrap();
    upstream.always(Script::chat("hello"));
    let yaml = priced(&upstream.url())
        + &priority("prod-chat", &["t"], &[])
        + &key("app", "budget: {amount: \"1.00\", period: Month}");
    let fleet = Fleet::start(&yaml, 1, &["--sweep-interval", "250ms"]).await.unwrap();
    let urls = fleet.urls();
    let mut served = 0;
    let until_spent = async {
        loop {
            let mut over = 0;
            for url in &urls {
                let answer = send(url, "mk-app").await;
                match answer.status {
                    200 => served += 1,
                    // Its part is used up, and the other one's is not: parts follow.
                    429 => assert_ne!(answer.header("retry-after"), ""),
                    402 => {
                        let (_, code, message) = answer.error();
                        assert_eq!(code, "budget_exceeded");
                        assert!(message.contains("of 1") && message.contains("Z;"), "{message}");
                        assert_eq!(answer.header("x-should-retry"), "false");
                        over += 1;
                    }
                    other => panic!("{other}: {}", answer.body),
                }
            }
            if over == urls.len() {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, until_spent).await.unwrap();
    // Every answer costs as much; each router may go beyond the end by one.
    let mut sum = 0.0;
    for url in fleet.admins("metrics") {
        sum += spent(&url).await;
    }
    let each = sum / f64::from(served);
    assert!(sum >= 1.0 - each && sum < 1.0 + 2.5 * each, "{sum} in {served} answers");
    assert_eq!(upstream.count(), usize::try_from(served).unwrap());
}

#[tokio::test]
async fn a_judge_is_paid_from_the_budget_and_is_no_request_of_its_key() {
    let upstream = Upstream::start().await.unwrap();
    upstream.always(Script::chat("coding"));
    let lineup = |name: &str| {
        format!(
            "{name}strategy: {{type: Priority}}, targets: [{{name: e, model: m, providers: [{{name: t}}]}}]"
        )
    };
    let by_topic = format!(
        "---\napiVersion: moniker.dev/v1alpha1\nkind: ModelAlias\nmetadata: {{name: by-topic}}\n\
         spec:\n  strategy: {{type: Category}}\n  categories:\n    \
         detector: {{type: Alias, alias: {{name: judge, timeout: 30s}}}}\n    default: {{{}}}\n    \
         overrides: [{{{}}}]\n",
        lineup(""),
        lineup("name: coding, ")
    );
    let more = "limits: {requestsPerMinute: 1000}\n  budget: {amount: \"100\", period: Day}";
    let yaml =
        priced(&upstream.url()) + &priority("judge", &["t"], &[]) + &by_topic + &key("app", more);
    let moniker = Moniker::dev(&yaml).await.unwrap();
    let chat = request("by-topic", false);
    let ask = || ask_with(&moniker, &chat, &[("x-api-key", "mk-app")]);
    let answer = ask().await;
    assert_eq!((answer.status, answer.header("x-moniker-category")), (200, "coding"));
    let with_judge = spent(&moniker.admin("metrics")).await;
    assert_eq!(ask().await.status, 200);
    let alone = spent(&moniker.admin("metrics")).await - with_judge;
    assert_eq!(upstream.count(), 3, "the judge is asked once for a prompt");
    assert!(alone > 0.0 && with_judge > 1.5 * alone, "{with_judge} {alone}");
    let text = admin(&moniker, "metrics").await.body;
    let used = r#"moniker_access_key_limit_used{access_key="default/app""#;
    let is = |line: &&str| line.starts_with(used) && line.contains("Requests");
    let line = text.lines().find(is).unwrap_or_else(|| panic!("{text}"));
    assert!(line.ends_with(" 2"), "{line}");
}
