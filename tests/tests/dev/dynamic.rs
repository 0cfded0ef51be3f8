//! The strategies that go by what is live, end to end: real processes, upstreams whose speed, limits
//! and prices differ, and shares of answers that are awaited.

mod credential;
mod fleet;
mod latency;
mod price;
mod usage;

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use serde_json::Value;

use crate::{
    client,
    rig::{Answer, request},
};

/// The longest that anything is awaited; only a failure takes it.
const PATIENCE: Duration = Duration::from_secs(40);
/// Requests of a round.
const ROUND: usize = 20;
/// The time from one request of a round to the next.
const PACE: Duration = Duration::from_millis(25);

/// Sends a chat request to the router with this base URL.
async fn send(url: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = client()
        .post(format!("{url}/chat/completions"))
        .header("content-type", "application/json")
        .body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.send().await.unwrap()).await
}

/// What `explain` says of a chat request.
async fn explain(url: &str, body: &str) -> Value {
    let request = client()
        .post(format!("{url}/explain/chat/completions"))
        .header("content-type", "application/json")
        .body(body.to_owned());
    Answer::of(request.send().await.unwrap()).await.json()
}

/// How many answers of a round each ProviderTarget gave: paced as callers come, whether or not those
/// before them have their answer, half of them streams.
async fn round(url: &str, model: &str) -> BTreeMap<String, usize> {
    let mut pace = tokio::time::interval(PACE);
    let mut asked = Vec::new();
    for n in 0..ROUND {
        pace.tick().await;
        let (url, body) = (url.to_owned(), request(model, n.is_multiple_of(2)));
        asked.push(tokio::spawn(async move { send(&url, &body, &[]).await }));
    }
    let mut shares = BTreeMap::new();
    for answer in join_all(asked).await {
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        *shares.entry(answer.told().1.to_owned()).or_default() += 1;
    }
    shares
}

/// Asks round after round until a target gives three of four answers.
async fn until_most_are_of(url: &str, model: &str, target: &str) {
    let mut seen = Vec::new();
    let asking = async {
        loop {
            let shares = round(url, model).await;
            let share = shares.get(target).copied().unwrap_or_default();
            seen.push(shares);
            if share * 4 >= ROUND * 3 {
                return;
            }
        }
    };
    let done = tokio::time::timeout(PATIENCE, asking).await;
    assert!(done.is_ok(), "{target} never gave three of four answers: {seen:?}");
}
