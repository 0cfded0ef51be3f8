//! Every caller protocol over every dialect, over real sockets: text, tools, thought, usage, as JSON
//! and as a stream; errors, cuts and fallback between dialects; what no candidate can say.

mod agents;
mod faults;
mod others;
mod unfit;

use routing::{
    AuthKind, Capability, CapabilitySet, ProviderKind,
    material::{AwsKey, Material},
    snapshot::CompiledOptions,
};
use serde_json::{Value, json};
use testkit::upstream::{Script, Speech, Upstream};

use crate::rig::{Answer, Rig, World};

/// The endpoints of callers.
const PROTOCOLS: [&str; 4] = ["chat/completions", "completions", "responses", "messages"];
/// What stands behind a target.
const KINDS: [ProviderKind; 7] = [
    ProviderKind::OpenAI,
    ProviderKind::AzureOpenAI,
    ProviderKind::OpenAICompatible,
    ProviderKind::Anthropic,
    ProviderKind::Gemini,
    ProviderKind::VertexAI,
    ProviderKind::Bedrock,
];

/// A lineup of one target of each of these kinds, in this order, all of whose models can do all.
pub(super) fn world(kinds: &[ProviderKind], upstreams: &[&Upstream]) -> World {
    let urls: Vec<String> = upstreams.iter().map(|u| u.url()).collect();
    let mut world = World::of(&urls);
    for (target, kind) in world.targets.iter_mut().zip(kinds) {
        target.provider = *kind;
        let all: CapabilitySet = Capability::ALL
            .iter()
            .copied()
            // A compatible server has `/responses` only where it says so.
            .filter(|c| *kind == ProviderKind::OpenAI || *c != Capability::Responses)
            .filter(|c| *kind != ProviderKind::OpenAICompatible || *c != Capability::Completions)
            .collect();
        let model = &mut target.models[0];
        model.capabilities = all;
        let name = match kind {
            ProviderKind::Anthropic => "claude-sonnet-4-5",
            ProviderKind::Gemini | ProviderKind::VertexAI => "gemini-2.5-pro",
            ProviderKind::Bedrock => "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            _ => "gpt-4o",
        };
        name.clone_into(&mut model.upstream_name);
        target.options = match kind {
            ProviderKind::VertexAI => {
                CompiledOptions::VertexAi { project: "p".into(), location: "global".into() }
            }
            ProviderKind::Bedrock => {
                let key = AwsKey {
                    access_key_id: "AKID".into(),
                    secret_access_key: "canary".into(),
                    session_token: None,
                };
                target.auth.kind = AuthKind::AWSSigV4;
                world.secrets.insert(target.id.clone(), Material::Aws(key));
                CompiledOptions::Bedrock { region: "eu-west-1".into(), role_arn: None }
            }
            _ => CompiledOptions::None,
        };
    }
    world
}

/// A question in a protocol.
pub(super) fn question(protocol: &str, stream: bool) -> Value {
    let mut body = match protocol {
        "completions" => json!({"prompt": "say hello"}),
        "responses" => json!({"input": "say hello", "instructions": "be brief"}),
        "messages" => json!({"max_tokens": 99, "system": "be brief",
                             "messages": [{"role": "user", "content": "say hello"}]}),
        _ => json!({"messages": [{"role": "system", "content": "be brief"},
                                 {"role": "user", "content": "say hello"}]}),
    };
    body["model"] = json!("prod-chat");
    if stream {
        body["stream"] = json!(true);
        if matches!(protocol, "completions" | "chat/completions") {
            body["stream_options"] = json!({"include_usage": true});
        }
    }
    body
}

/// A question with a tool.
fn tool_question(protocol: &str, stream: bool) -> Value {
    let mut body = question(protocol, stream);
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let tool = match protocol {
        "responses" => json!({"type": "function", "name": "weather", "parameters": schema}),
        "messages" => json!({"name": "weather", "input_schema": schema}),
        _ => json!({"type": "function", "function": {"name": "weather", "parameters": schema}}),
    };
    body["tools"] = json!([tool]);
    body
}

/// The events of a stream, by their data.
pub(super) fn events(body: &str) -> Vec<Value> {
    let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
    let json = data.filter(|data| *data != "[DONE]");
    json.map(|data| serde_json::from_str(data).unwrap_or_else(|e| panic!("{e}: {data}"))).collect()
}

/// What a caller read: the text, the calls, the reason of the end, the tokens.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Heard {
    pub(super) text: String,
    pub(super) calls: Vec<(String, Value)>,
    pub(super) finish: String,
    pub(super) tokens: (u64, u64),
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn arguments(value: &str) -> Value {
    serde_json::from_str(value).unwrap_or_else(|e| panic!("{e}: {value}"))
}

/// Reads an answer as a client of the protocol does.
pub(super) fn heard(protocol: &str, stream: bool, answer: &Answer) -> Heard {
    assert_eq!(answer.status, 200, "{protocol}: {}", answer.body);
    if stream {
        assert!(answer.header("content-type").starts_with("text/event-stream"), "{protocol}");
        return heard_events(protocol, &answer.body);
    }
    let body = answer.json();
    let mut heard = Heard::default();
    let usage = &body["usage"];
    let tokens = |input: &str, output: &str| {
        (usage[input].as_u64().unwrap_or(999), usage[output].as_u64().unwrap_or(999))
    };
    match protocol {
        "messages" => {
            for block in body["content"].as_array().unwrap() {
                match text(&block["type"]) {
                    "text" => heard.text += text(&block["text"]),
                    "tool_use" => {
                        heard.calls.push((text(&block["name"]).into(), block["input"].clone()));
                    }
                    _ => {}
                }
            }
            heard.finish = text(&body["stop_reason"]).into();
            heard.tokens = tokens("input_tokens", "output_tokens");
        }
        "responses" => {
            for item in body["output"].as_array().unwrap() {
                match text(&item["type"]) {
                    "message" => heard.text += text(&item["content"][0]["text"]),
                    "function_call" => heard
                        .calls
                        .push((text(&item["name"]).into(), arguments(text(&item["arguments"])))),
                    _ => {}
                }
            }
            heard.finish = text(&body["status"]).into();
            heard.tokens = tokens("input_tokens", "output_tokens");
        }
        _ => {
            let choice = &body["choices"][0];
            heard.text = text(&choice["message"]["content"]).to_owned() + text(&choice["text"]);
            for call in choice["message"]["tool_calls"].as_array().into_iter().flatten() {
                let function = &call["function"];
                let input = arguments(text(&function["arguments"]));
                heard.calls.push((text(&function["name"]).into(), input));
            }
            heard.finish = text(&choice["finish_reason"]).into();
            heard.tokens = tokens("prompt_tokens", "completion_tokens");
        }
    }
    heard
}

fn heard_events(protocol: &str, body: &str) -> Heard {
    let mut heard = Heard::default();
    let mut open: Vec<(String, String)> = Vec::new();
    for event in events(body) {
        let of = |usage: &Value, input: &str, output: &str| {
            (usage[input].as_u64().unwrap_or(999), usage[output].as_u64().unwrap_or(999))
        };
        match protocol {
            "messages" => match text(&event["type"]) {
                "message_start" => {
                    let usage = &event["message"]["usage"];
                    heard.tokens = of(usage, "input_tokens", "output_tokens");
                }
                "content_block_start" if event["content_block"]["type"] == "tool_use" => {
                    open.push((text(&event["content_block"]["name"]).into(), String::new()));
                }
                "content_block_delta" => {
                    heard.text += text(&event["delta"]["text"]);
                    if let Some((_, input)) = open.last_mut() {
                        *input += text(&event["delta"]["partial_json"]);
                    }
                }
                "message_delta" => {
                    heard.finish = text(&event["delta"]["stop_reason"]).into();
                    let usage = &event["usage"];
                    heard.tokens.1 = usage["output_tokens"].as_u64().unwrap();
                    if let Some(input) = usage["input_tokens"].as_u64() {
                        heard.tokens.0 = input;
                    }
                }
                _ => {}
            },
            "responses" => match text(&event["type"]) {
                "response.output_text.delta" => heard.text += text(&event["delta"]),
                "response.output_item.done" if event["item"]["type"] == "function_call" => {
                    let item = &event["item"];
                    open.push((text(&item["name"]).into(), text(&item["arguments"]).into()));
                }
                "response.completed" => {
                    heard.finish = text(&event["response"]["status"]).into();
                    let usage = &event["response"]["usage"];
                    heard.tokens = of(usage, "input_tokens", "output_tokens");
                }
                _ => {}
            },
            _ => {
                let choice = &event["choices"][0];
                heard.text += text(&choice["delta"]["content"]);
                heard.text += text(&choice["text"]);
                for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                    let function = &call["function"];
                    if function["name"].is_string() {
                        open.push((text(&function["name"]).into(), String::new()));
                    }
                    open.last_mut().unwrap().1 += text(&function["arguments"]);
                }
                if let Some(finish) = choice["finish_reason"].as_str() {
                    heard.finish = finish.into();
                }
                if event["usage"].is_object() {
                    heard.tokens = of(&event["usage"], "prompt_tokens", "completion_tokens");
                }
            }
        }
    }
    let ended = match protocol {
        "messages" => body.trim_end().ends_with("{\"type\":\"message_stop\"}"),
        "responses" => body.contains("event: response.completed\n"),
        _ => body.ends_with("data: [DONE]\n\n"),
    };
    assert!(ended, "{protocol}: {body}");
    heard.calls = open.into_iter().map(|(name, input)| (name, arguments(&input))).collect();
    heard
}

fn finish(protocol: &str, calls: bool) -> &'static str {
    match (protocol, calls) {
        ("messages", false) => "end_turn",
        ("messages", true) => "tool_use",
        ("responses", _) => "completed",
        (_, false) => "stop",
        (_, true) => "tool_calls",
    }
}

#[tokio::test]
async fn every_protocol_reaches_every_dialect() {
    for kind in KINDS {
        let only = Upstream::start().await.unwrap();
        only.always(Speech::text("Hello wide world").script());
        let rig = Rig::start(world(&[kind], &[&only])).await;
        for protocol in PROTOCOLS {
            for stream in [false, true] {
                let path = format!("/v1/{protocol}");
                let answer = rig.post(&path, question(protocol, stream).to_string()).await;
                let want = Heard {
                    text: "Hello wide world".into(),
                    calls: vec![],
                    finish: finish(protocol, false).into(),
                    tokens: (5, 3),
                };
                // The fake model answers completions as it does chat where they are passed through.
                let own = matches!(kind, ProviderKind::OpenAI | ProviderKind::AzureOpenAI);
                if protocol == "completions" && own {
                    continue;
                }
                assert_eq!(heard(protocol, stream, &answer), want, "{kind} {protocol} {stream}");
                assert_eq!(
                    answer.header("x-moniker-upstream-request-id"),
                    if stream { "" } else { "theirs" }
                );
            }
        }
        for got in only.received() {
            assert!(!got.json().is_null(), "{kind}: {}", String::from_utf8_lossy(&got.body));
        }
    }
}

/// Where each kind is asked, and what it is asked with.
#[tokio::test]
async fn every_provider_is_asked_where_and_as_it_wants() {
    for (kind, path, header) in [
        (ProviderKind::AzureOpenAI, "/v1/openai/v1/chat/completions", None),
        (ProviderKind::Gemini, "/v1/models/gemini-2.5-pro:generateContent", None),
        (
            ProviderKind::VertexAI,
            "/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-pro:generateContent",
            None,
        ),
        (
            ProviderKind::Bedrock,
            "/v1/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
            Some("AWS4-HMAC-SHA256 Credential=AKID/"),
        ),
    ] {
        let only = Upstream::start().await.unwrap();
        only.always(Speech::text("hi").script());
        let rig = Rig::start(world(&[kind], &[&only])).await;
        let answer = rig.chat(&question("chat/completions", false).to_string()).await;
        assert_eq!(answer.status, 200, "{kind}: {}", answer.body);
        let got = only.received().pop().unwrap();
        assert_eq!(got.path, path);
        let carried = got.headers.get("authorization").map(|v| v.to_str().unwrap());
        assert_eq!(carried.is_some(), header.is_some(), "{kind}");
        assert!(carried.unwrap_or_default().starts_with(header.unwrap_or_default()), "{kind}");
    }
}

/// Claude at Google: the model in the path, the version in the body.
#[tokio::test]
async fn claude_on_vertex_is_asked_at_its_publisher() {
    let only = Upstream::start().await.unwrap();
    only.always(Speech::text("Hello wide world").script());
    let world = world(&[ProviderKind::VertexAI], &[&only]).target(0, |target| {
        target.models[0].upstream_name = "claude-sonnet-4-5@20250929".into();
    });
    let rig = Rig::start(world).await;
    for (stream, method) in [(false, "rawPredict"), (true, "streamRawPredict")] {
        for protocol in PROTOCOLS {
            let path = format!("/v1/{protocol}");
            let answer = rig.post(&path, question(protocol, stream).to_string()).await;
            assert_eq!(heard(protocol, stream, &answer).text, "Hello wide world", "{protocol}");
            let got = only.received().pop().unwrap();
            let model = "publishers/anthropic/models/claude-sonnet-4-5@20250929";
            assert_eq!(got.path, format!("/v1/projects/p/locations/global/{model}:{method}"));
            let body = got.json();
            assert_eq!(body["anthropic_version"], "vertex-2023-10-16", "{body}");
            assert!(body.get("model").is_none(), "{body}");
        }
    }
}

/// Messages are passed through to it, but for what stands elsewhere there.
#[tokio::test]
async fn claude_on_vertex_gets_messages_as_they_came() {
    let only = Upstream::start().await.unwrap();
    let speech = Speech::text("Hello wide world").thinking("hm", "proof");
    only.always(speech.clone().script());
    let world = world(&[ProviderKind::VertexAI], &[&only]).target(0, |target| {
        target.models[0].upstream_name = "claude-sonnet-4-5@20250929".into();
    });
    let rig = Rig::start(world).await;
    let headers = [("anthropic-beta", "fine-grained"), ("anthropic-version", "2023-06-01")];
    let place = "/v1/projects/p/locations/global/publishers/anthropic/models";
    for (stream, method) in [(false, "rawPredict"), (true, "streamRawPredict")] {
        let odd = format!(
            "{{\"x_new\": [1.0,  {{}}],\"stream\":{stream}, \"model\" : \"prod-chat\",\n\"max_tokens\":9, \
             \"messages\":[{{\"role\":\"user\",\"content\":\"h\\u00e9\"}}] }}"
        );
        let answer = rig.post_with("/v1/messages", odd.clone(), &headers).await;
        let said = if stream {
            String::from_utf8(speech.events("/v1/messages").concat()).unwrap()
        } else {
            speech.whole("/v1/messages").to_string()
        };
        assert_eq!(answer.body, said);
        let got = only.received().pop().unwrap();
        assert_eq!(got.path, format!("{place}/claude-sonnet-4-5@20250929:{method}"));
        let version = "\"anthropic_version\" : \"vertex-2023-10-16\"";
        let sent = odd.replace("\"model\" : \"prod-chat\"", version);
        assert_eq!(String::from_utf8_lossy(&got.body), sent);
        assert_eq!(got.headers["anthropic-beta"], "fine-grained");
        assert!(!got.headers.contains_key("anthropic-version"));
    }
    only.then(Script::json(200, &json!({"input_tokens": 7})));
    let body = "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"model\":\"prod-chat\" }";
    let answer = rig.post("/v1/messages/count_tokens", body.to_owned()).await;
    assert_eq!(answer.json()["input_tokens"], 7);
    let got = only.received().pop().unwrap();
    assert_eq!(got.path, format!("{place}/count-tokens:rawPredict"));
    assert_eq!(got.json()["model"], "claude-sonnet-4-5@20250929");
    assert_eq!(got.json()["anthropic_version"], "vertex-2023-10-16");
}

#[tokio::test]
async fn tools_are_called_through_every_dialect() {
    let input = json!({"city": "Oslo"});
    for kind in KINDS {
        let only = Upstream::start().await.unwrap();
        only.always(
            Speech::text("Let me see").calling("call_1", "weather", input.clone()).script(),
        );
        let rig = Rig::start(world(&[kind], &[&only])).await;
        for protocol in ["chat/completions", "responses", "messages"] {
            for stream in [false, true] {
                let path = format!("/v1/{protocol}");
                let answer = rig.post(&path, tool_question(protocol, stream).to_string()).await;
                let heard = heard(protocol, stream, &answer);
                let want = vec![("weather".to_owned(), input.clone())];
                assert_eq!(heard.calls, want, "{kind} {protocol} {stream}");
                assert_eq!(heard.text, "Let me see", "{kind} {protocol} {stream}");
                assert_eq!(heard.finish, finish(protocol, true), "{kind} {protocol} {stream}");
            }
        }
    }
}

#[tokio::test]
async fn the_same_protocol_is_passed_through_byte_for_byte() {
    for (kind, protocol, odd) in [
        (
            ProviderKind::Anthropic,
            "messages",
            "{ \"max_tokens\":9,\"zeta\" : 1e400, \"messages\":[ {\"role\":\"user\",\"content\":\
             \"\\u00e9\"} ], \"model\":\"prod-chat\" } ",
        ),
        (
            ProviderKind::OpenAI,
            "responses",
            "{ \"store\":false,\"zeta\" : 1e400, \"input\":[ {\"role\":\"user\",\"content\":\
             \"\\u00e9\"} ], \"model\":\"prod-chat\" } ",
        ),
    ] {
        let only = Upstream::start().await.unwrap();
        let speech = Speech::text("Hello wide world").thinking("hm", "proof");
        only.always(speech.clone().script());
        let world = world(&[kind], &[&only]);
        let upstream_name = world.targets[0].models[0].upstream_name.clone();
        let rig = Rig::start(world).await;
        let path = format!("/v1/{protocol}");
        let headers = [("anthropic-beta", "fine-grained"), ("anthropic-version", "2026-10-21")];
        let answer = rig.post_with(&path, odd.to_owned(), &headers).await;
        assert_eq!(answer.body, speech.whole(&path).to_string());
        let got = only.received().pop().unwrap();
        let sent = odd.replace("prod-chat", &upstream_name);
        assert_eq!(String::from_utf8_lossy(&got.body), sent);
        if kind == ProviderKind::Anthropic {
            assert_eq!(got.headers["anthropic-version"], "2026-10-21");
            assert_eq!(got.headers["anthropic-beta"], "fine-grained");
        }
        let streamed = odd.replacen('{', "{\"stream\":true,", 1).replace("1e400", "1");
        let answer = rig.post(&path, streamed).await;
        assert_eq!(answer.body, String::from_utf8(speech.events(&path).concat()).unwrap());
    }
    let only = Upstream::start().await.unwrap();
    only.always(Speech::text("x").script());
    let rig = Rig::start(world(&[ProviderKind::Anthropic], &[&only])).await;
    rig.post("/v1/messages", question("messages", false).to_string()).await;
    // A caller that names no version gets the one that every model's own rules hold under.
    assert_eq!(only.received()[0].headers["anthropic-version"], "2023-06-01");
}

#[tokio::test]
async fn a_response_is_not_stored_unless_the_alias_has_one_target() {
    let only = Upstream::start().await.unwrap();
    only.always(Speech::text("x").script());
    let ask = r#"{"model":"prod-chat","input":"hi"}"#;
    let kinds = [ProviderKind::OpenAI, ProviderKind::OpenAI];
    let two = Rig::start(world(&kinds, &[&only, &only])).await;
    two.post("/v1/responses", ask).await;
    let one = Rig::start(world(&kinds[..1], &[&only])).await;
    one.post("/v1/responses", ask).await;
    let got = only.received();
    let bodies: Vec<String> = got.iter().map(|r| String::from_utf8_lossy(&r.body).into()).collect();
    assert_eq!(bodies[0], r#"{"model":"gpt-4o","store":false,"input":"hi"}"#);
    assert_eq!(bodies[1], r#"{"model":"gpt-4o","input":"hi"}"#);
    // A model that thinks: its thought can be sent again, wherever the next answer comes from.
    let mut thinking = world(&kinds, &[&only, &only]);
    thinking.targets[0].models[0].upstream_name = "gpt-5.4".to_owned();
    let thinking = Rig::start(thinking).await;
    let sent = || String::from_utf8(only.received().pop().unwrap().body).unwrap();
    thinking.post("/v1/responses", ask).await;
    let with = r#"{"model":"gpt-5.4","store":false,"include":["reasoning.encrypted_content"],"input":"hi"}"#;
    assert_eq!(sent(), with);
    // Where that is refused by name it is left out, and not asked again.
    let refusal = json!({"error": {"message": "Encrypted content is not supported with this model.",
        "type": "invalid_request_error", "param": "include", "code": null}});
    let refused = only.received().len();
    only.then(Script::json(400, &refusal));
    assert_eq!(thinking.post("/v1/responses", ask).await.status, 200);
    assert_eq!(thinking.post("/v1/responses", ask).await.status, 200);
    assert_eq!(only.received().len(), refused + 3);
    assert_eq!(sent(), r#"{"model":"gpt-5.4","store":false,"input":"hi"}"#);
    let bound = r#"{"model":"prod-chat","input":"hi","previous_response_id":"resp_1"}"#;
    let answer = two.post("/v1/responses", bound).await;
    let error = answer.json()["error"].clone();
    assert_eq!((answer.status, text(&error["code"])), (400, "not_portable"), "{}", answer.body);
    assert_eq!(error["param"], "previous_response_id");
    assert_eq!(one.post("/v1/responses", bound).await.status, 200);
}

#[tokio::test]
async fn azures_paths_name_the_alias() {
    let only = Upstream::start().await.unwrap();
    only.always(Speech::text("x").script());
    let rig = Rig::start(world(&[ProviderKind::Anthropic], &[&only])).await;
    let path = "/openai/deployments/prod-chat/chat/completions?api-version=2024-10-21";
    let answer = rig.post(path, r#"{"messages":[{"role":"user","content":"hi"}]}"#).await;
    assert_eq!(heard("chat/completions", false, &answer).text, "x");
    let other = r#"{"model":"another","messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(rig.post(path, other).await.status, 200);
    assert_eq!(rig.post("/openai/deployments/none/chat/completions", "{}").await.status, 404);
}
