//! One alias over providers of several dialects, as a user's SDKs ask it: the same question in every
//! protocol, JSON and stream, with the first target killed in the middle.

use serde_json::{Value, json};
use testkit::{
    moniker::Moniker,
    upstream::{Script, Speech, Upstream},
};

use crate::{client, rig::Answer, rig::priority};

/// A ProviderTarget of this kind, whose model `m` has a name that tells its family.
fn target(name: &str, kind: &str, url: &str, model: &str) -> String {
    format!(
        "---\napiVersion: moniker.dev/v1alpha1\nkind: ProviderTarget\nmetadata: {{name: {name}}}\n\
         spec:\n  provider: {kind}\n  endpoint: {{url: \"{url}\"}}\n  auth: {{type: None}}\n  \
         models: [{{name: m, upstreamName: {model}}}]\n"
    )
}

fn question(protocol: &str, stream: bool) -> Value {
    let messages = json!([{"role": "user", "content": "say hello"}]);
    let mut body = match protocol {
        "responses" => json!({"input": "say hello"}),
        "messages" => json!({"max_tokens": 99, "messages": messages}),
        _ => json!({"messages": messages}),
    };
    body["model"] = json!("chat");
    body["stream"] = json!(stream);
    body
}

async fn ask(moniker: &Moniker, protocol: &str, stream: bool) -> Answer {
    let sent = client().post(moniker.at(protocol)).json(&question(protocol, stream));
    Answer::of(sent.send().await.unwrap()).await
}

#[tokio::test]
async fn one_alias_over_four_dialects_in_three_protocols() {
    let kinds = [
        ("claude", "Anthropic", "claude-sonnet-4-5"),
        ("gemini", "Gemini", "gemini-2.5-pro"),
        ("gpt", "OpenAI", "gpt-4o"),
        ("own", "OpenAICompatible", "llama"),
    ];
    let mut upstreams = Vec::new();
    let mut yaml = String::new();
    for (name, kind, model) in kinds {
        let upstream = Upstream::start().await.unwrap();
        upstream.always(Speech::text(&format!("hello from {name}")).script());
        yaml += &target(name, kind, &upstream.url(), model);
        upstreams.push(upstream);
    }
    yaml += &priority("chat", &["claude", "gemini", "gpt", "own"], &["fallback: {retries: 0}"]);
    let moniker = Moniker::dev(&yaml).await.unwrap();
    for (at, (name, ..)) in kinds.iter().enumerate() {
        for protocol in ["chat/completions", "responses", "messages"] {
            for stream in [false, true] {
                let answer = ask(&moniker, protocol, stream).await;
                assert_eq!(answer.status, 200, "{name} {protocol}: {}", answer.body);
                let words = answer.body.matches("hello").count();
                assert!(words > 0 && answer.body.contains(name), "{protocol}: {}", answer.body);
                assert_eq!(answer.told().1, *name, "{protocol} {stream}");
            }
        }
        upstreams[at].stop().await;
    }
    let answer = ask(&moniker, "messages", false).await;
    let error = &answer.json()["error"];
    assert_eq!((answer.status, &error["type"]), (502, &json!("api_error")), "{}", answer.body);
}

#[tokio::test]
async fn a_stream_cut_in_the_middle_ends_in_the_callers_error() {
    let only = Upstream::start().await.unwrap();
    let pieces = Speech::text("Hello wide world").events("/v1/messages")[..4].to_vec();
    only.always(Script::pieces("text/event-stream", pieces, false));
    let yaml = target("only", "Anthropic", &only.url(), "claude-sonnet-4-5")
        + &priority("chat", &["only"], &[]);
    let moniker = Moniker::dev(&yaml).await.unwrap();
    for (protocol, error) in [
        ("chat/completions", "data: {\"error\":{"),
        ("responses", "event: response.failed\n"),
        ("messages", "event: error\n"),
    ] {
        let answer = ask(&moniker, protocol, true).await;
        assert!(answer.body.contains("Hello "), "{protocol}: {}", answer.body);
        assert!(answer.body.contains(error), "{protocol}: {}", answer.body);
        for end in ["[DONE]", "message_stop", "response.completed"] {
            assert!(!answer.body.contains(end), "{protocol}: {}", answer.body);
        }
    }
}
