//! The log: one line a request with what was decided, in JSON for collectors, and nothing that a
//! caller or a model wrote.

use serde_json::{Value, json};
use testkit::{
    moniker::Moniker,
    upstream::{Script, Upstream, delta, error, role},
};

use crate::rig::{ask, priority, request, target};

/// Stands in prompts, answers, errors and names that callers make up.
const WORDS: &str = "WORDS-of-somebody";

/// The lines about requests.
fn requests(output: &str) -> Vec<Value> {
    let lines = output.lines().filter(|line| line.starts_with('{'));
    let json = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    json.filter(|line| line["message"] == json!("request")).collect()
}

#[tokio::test]
async fn each_request_is_one_line_without_anybodys_words() {
    let (first, second) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
    first.always(Script::error(500, "server_error", WORDS));
    second.always(Script::chat(WORDS));
    let yaml = target("first", &first.url(), &[])
        + &target("second", &second.url(), &[])
        + &priority("chat", &["first", "second"], &[])
        + &priority("second-chat", &["second"], &[]);
    let mut moniker = Moniker::dev_with(&yaml, &["--log-format", "json"], &[]).await.unwrap();

    let sent =
        |model: &str, stream| request(model, stream).replace("\"hi\"", &json!(WORDS).to_string());
    let mut ids = Vec::new();
    let failed = format!("data: {}\n\n", error("server_error", WORDS));
    for (model, stream) in
        [("chat", false), ("chat", true), ("second-chat", true), (WORDS, false), ("chat", false)]
    {
        if model == "second-chat" {
            second.then(Script::stream([role("m"), delta("m", WORDS), failed.clone()]));
        }
        let answer = ask(&moniker, &sent(model, stream)).await;
        ids.push(answer.header("x-request-id").to_owned());
    }
    ids.push(ask(&moniker, &format!("{{{WORDS}")).await.header("x-request-id").to_owned());
    moniker.printed(ids.last().unwrap()).await.unwrap();

    let output = moniker.output();
    assert!(!output.contains(WORDS), "{output}");
    let lines = requests(&output);
    let logged: Vec<_> = lines.iter().map(|line| line["request_id"].as_str().unwrap()).collect();
    assert_eq!(logged, ids, "one line each: {output}");
    for (i, member, want) in [
        (0, "alias", json!("default/chat")),
        (0, "target", json!("default/second/m")),
        (0, "outcomes", json!("ServerError,Success")),
        (0, "attempts", json!(2)),
        (0, "reason", json!("fallback")),
        (0, "status", json!(200)),
        (0, "input_tokens", json!(5)),
        (1, "stream", json!(true)),
        (1, "output_tokens", json!(3)),
        (2, "target", json!("default/second/m")),
        (2, "end", json!("cut")),
        (3, "status", json!(404)),
        (3, "alias", Value::Null),
        (5, "status", json!(400)),
        (5, "reason", json!("refused")),
    ] {
        assert_eq!(lines[i][member], want, "{member} of {}", lines[i]);
    }
    for line in output.lines().filter(|line| line.starts_with('{')) {
        assert!(line.matches("\"target\":").count() <= 1, "one member of a name: {line}");
    }
}
