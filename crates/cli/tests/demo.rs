//! The demo upstream held against the router's translation, which knows nothing of it: one
//! conversation, encoded for each dialect, sent to the demo of that dialect over a socket, its answer
//! decoded. A mistake in either shows, because the two were written apart. Where `MONIKER_DATA` names
//! a folder with the published schemas, what the demo says of OpenAI and Anthropic is valid by them.

#![cfg(test)]

#[path = "demo/schemas.rs"]
mod schemas;

use std::time::{Duration, SystemTime};

use cli::demo::{Behaviour, Protocol as Spoken, serve};
use http::StatusCode;
use providers::{
    Failure,
    asis::{Opening, opening},
    dialect::{Candidate, Decoder, Dialect, classify, encode},
    judge_answer,
    neutral::{Collector, Event, Finish, Part, Reply, Request},
    protocol::{Caller, Protocol, decode, encode_reply, responses},
};
use routing::{Endpoint, ProviderKind};
use schemas::Schemas;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A pixel.
const PIXEL: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4\
                     2mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// A demo of one dialect, without pauses.
struct Demo {
    dialect: Dialect,
    url: String,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Demo {
    async fn start(dialect: Dialect, change: impl FnOnce(&mut Behaviour)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let protocol = Spoken::One(dialect);
        let url = format!("http://{}{}", listener.local_addr().unwrap(), protocol.base());
        let mut behaviour = Behaviour {
            protocol,
            first_token: Duration::ZERO,
            tokens_per_second: 1e6,
            ..Behaviour::default()
        };
        change(&mut behaviour);
        let server = tokio::spawn(async move { serve(listener, behaviour, 7).await.unwrap() });
        Self { dialect, url, server }
    }

    /// Asks in its own dialect what a chat asks.
    async fn ask(&self, chat: &Value, model: &str) -> Result<Reply, Failure> {
        let request = decode(Protocol::Chat, chat.to_string().as_bytes()).unwrap();
        let candidate = Candidate::new(self.dialect, "target", model, model);
        self.send(&request, &candidate).await
    }

    async fn send(&self, request: &Request, to: &Candidate<'_>) -> Result<Reply, Failure> {
        let encoded = encode(request, to).unwrap_or_else(|r| panic!("{}: {r:?}", self.url));
        let url = format!("{}/{}", self.url, encoded.path);
        let post = client().post(&url).header("content-type", "application/json");
        let sent = String::from_utf8_lossy(&encoded.body).into_owned();
        let answer = post.body(encoded.body).send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.unwrap();
        if !status.is_success() {
            let now = SystemTime::UNIX_EPOCH;
            return Err(classify(self.dialect, false, status, &headers, &body, now));
        }
        Schemas::check(self.dialect, &headers, &body);
        let mut decoder = Decoder::of(to);
        let mut events = Vec::new();
        decoder.push(body.clone(), &mut events);
        decoder.close(&mut events);
        let whole = matches!(events.last(), Some(Event::End | Event::Error(_)));
        assert!(whole, "{url} {sent}\n{}", String::from_utf8_lossy(&body));
        Collector::collect(events)
    }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

/// A reply as the message that a Chat caller keeps.
fn message(reply: &Reply) -> Value {
    let caller = Caller {
        protocol: Protocol::Chat,
        now: 0,
        seed: "seed".to_owned(),
        model: "m".to_owned(),
        stream_usage: true,
        old_functions: false,
        echo: responses::echo(b"{}"),
        tag: Candidate::new(Dialect::OpenAiChat, "target", "m", "m").tag(),
        request_id: None,
        estimate: 1,
    };
    let whole: Value = serde_json::from_slice(&encode_reply(reply, &caller)).unwrap();
    whole["choices"][0]["message"].clone()
}

fn said(reply: &Reply) -> String {
    let text = |part: &Part| match part {
        Part::Text { text, .. } => Some(text.clone()),
        _ => None,
    };
    reply.choices[0].parts.iter().filter_map(text).collect()
}

fn user(content: &Value) -> Value {
    json!({"role": "user", "content": content})
}

fn chat(messages: &[Value], stream: bool, more: &[(&str, Value)]) -> Value {
    let mut chat = json!({"model": "m", "messages": messages, "stream": stream});
    for (name, value) in more {
        chat[*name] = value.clone();
    }
    chat
}

fn tools() -> (&'static str, Value) {
    let tool = |name: &str| {
        let city = json!({"type": "object", "properties": {"city": {"type": "string"}},
            "required": ["city"], "additionalProperties": false});
        json!({"type": "function", "function": {"name": name, "description": "Tells",
            "parameters": city}})
    };
    ("tools", json!([tool("get_weather"), tool("get_time")]))
}

async fn each(check: impl AsyncFn(Demo, bool)) {
    for dialect in Dialect::ALL {
        for stream in [false, true] {
            check(Demo::start(dialect, |_| {}).await, stream).await;
        }
    }
}

#[tokio::test]
async fn words_and_counts_come_through_every_dialect() {
    each(async |demo, stream| {
        let messages =
            [json!({"role": "system", "content": "be kind"}), user(&json!("say hello to me"))];
        let reply = demo.ask(&chat(&messages, stream, &[]), "m-1").await.unwrap();
        let text = said(&reply);
        assert_eq!(text, "This is m-1 of the demo upstream. You asked: say hello to me");
        assert_eq!(reply.choices[0].finish, Some(Finish::Stop));
        let usage = reply.usage.unwrap().tokens;
        // Newer models of Anthropic's think unasked.
        let spoken = usage.output - usage.reasoning;
        assert_eq!((usage.input, spoken), (6, 13), "{:?}", demo.dialect);
    })
    .await;
}

#[tokio::test]
async fn images_limits_and_schemas_are_understood() {
    each(async |demo, stream| {
        let image = json!([{"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": PIXEL}}]);
        let reply = demo.ask(&chat(&[user(&image)], stream, &[]), "m").await.unwrap();
        assert!(said(&reply).contains("I got 1 image"), "{:?} {reply:?}", demo.dialect);

        let limit = [("max_tokens", json!(16))];
        let long = user(&json!("one two three four five six seven eight nine ten eleven twelve"));
        let reply = demo.ask(&chat(&[long], stream, &limit), "m").await.unwrap();
        assert_eq!(reply.choices[0].finish, Some(Finish::Length), "{:?}", demo.dialect);

        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}},
            "required": ["city"], "additionalProperties": false});
        let format = json!({"type": "json_schema",
            "json_schema": {"name": "place", "strict": true, "schema": schema}});
        let asked = chat(&[user(&json!("where"))], stream, &[("response_format", format)]);
        let reply = demo.ask(&asked, "m").await.unwrap();
        let value: Value = serde_json::from_str(&said(&reply)).unwrap();
        assert_eq!(value, json!({"city": "demo"}), "{:?}", demo.dialect);
    })
    .await;
}

/// Tools and thinking, over three turns: what was signed is accepted again.
#[tokio::test]
async fn an_agent_is_served_in_every_dialect() {
    each(async |demo, stream| {
        let name = format!("{:?}, stream: {stream}", demo.dialect);
        let more = [tools(), ("reasoning_effort", json!("high"))];
        let mut messages = vec![user(&json!("ask get_weather and get_time"))];
        let reply = demo.ask(&chat(&messages, stream, &more), "m").await.unwrap();
        assert_eq!(reply.choices[0].finish, Some(Finish::ToolCalls), "{name}");
        let kept = message(&reply);
        let calls = kept["tool_calls"].as_array().unwrap_or_else(|| panic!("{name}: {kept}"));
        assert_eq!(calls.len(), 2, "{name}: {kept}");
        for call in calls {
            let arguments = call["function"]["arguments"].as_str().unwrap();
            let arguments: Value = serde_json::from_str(arguments).unwrap();
            assert_eq!(arguments, json!({"city": "demo"}), "{name}");
        }
        messages.push(kept.clone());
        for call in calls {
            let result = format!("{} is fine", call["function"]["name"].as_str().unwrap());
            let id = &call["id"];
            messages.push(json!({"role": "tool", "tool_call_id": id, "content": result}));
        }
        let reply = demo.ask(&chat(&messages, stream, &more), "m").await;
        let reply = reply.unwrap_or_else(|f| panic!("{name}: {f:?}"));
        let text = said(&reply);
        for result in ["get_weather is fine", "get_time is fine"] {
            assert!(text.contains(result), "{name}: {text}");
        }
        messages.extend([message(&reply), user(&json!("thank you"))]);
        let never = [tools(), ("tool_choice", json!("none"))];
        let asked = chat(&messages, stream, &never);
        let reply = demo.ask(&asked, "m").await.unwrap_or_else(|f| panic!("{name}: {f:?}"));
        assert!(said(&reply).ends_with("You asked: thank you"), "{name}: {}", said(&reply));
    })
    .await;
}

#[tokio::test]
async fn faults_are_those_of_the_dialect() {
    for dialect in Dialect::ALL {
        let hello = chat(&[user(&json!("hello"))], false, &[]);
        let failing = Demo::start(dialect, |b| b.error_rate = 1.0).await;
        let failure = failing.ask(&hello, "m").await.unwrap_err();
        assert_eq!(failure.class.name(), "ServerError", "{dialect:?}: {failure:?}");

        let limited = Demo::start(dialect, |b| b.rate_limit = Some("1/h".parse().unwrap())).await;
        limited.ask(&hello, "m").await.unwrap();
        let failure = limited.ask(&hello, "m").await.unwrap_err();
        assert_eq!(failure.class.name(), "RateLimited", "{dialect:?}: {failure:?}");

        let breaking = Demo::start(dialect, |b| b.stream_error_rate = 1.0).await;
        let stream = chat(&[user(&json!("hello"))], true, &[]);
        let failure = breaking.ask(&stream, "m").await.unwrap_err();
        assert_eq!(failure.class.name(), "ServerError", "{dialect:?}: {failure:?}");
        assert!(failure.message.contains("breaks streams"), "{dialect:?}: {failure:?}");
    }
}

/// What a provider refuses is refused in words that the router knows.
#[tokio::test]
async fn what_no_provider_takes_is_refused() {
    let post = async |demo: &Demo, path: &str, body: Value| {
        let answer =
            client().post(format!("{}/{path}", demo.url)).json(&body).send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        Schemas::error(demo.dialect, &answer.bytes().await.unwrap());
        (status.as_u16(), headers)
    };
    let say = json!([{"role": "user", "content": "hi"}]);
    let strange = json!({"role": "user", "parts": [{"text": "hi"}]});
    for (dialect, path, body) in [
        (Dialect::OpenAiChat, "chat/completions", json!({"messages": say})),
        (
            Dialect::OpenAiChat,
            "chat/completions",
            json!({"model": "m", "messages": [
            {"role": "tool", "tool_call_id": "call_1", "content": "x"}]}),
        ),
        (Dialect::OpenAiResponses, "responses", json!({"model": "m", "input": say, "stop": "x"})),
        (Dialect::Anthropic, "messages", json!({"model": "m", "messages": say})),
        (
            Dialect::Anthropic,
            "messages",
            json!({"model": "m", "messages": say, "max_tokens": 9, "n": 1}),
        ),
        (Dialect::Gemini, "models/m:generateContent", json!({"contents": [strange], "seed": 1})),
        (
            Dialect::Bedrock,
            "model/m/converse",
            json!({"messages": [{"role": "assistant",
            "content": [{"text": "hi"}]}]}),
        ),
    ] {
        let demo = Demo::start(dialect, |_| {}).await;
        let (status, headers) = post(&demo, path, body.clone()).await;
        assert_eq!(status, 400, "{dialect:?} {body}");
        assert_eq!(headers.contains_key("x-amzn-errortype"), dialect == Dialect::Bedrock);
    }
}

#[tokio::test]
async fn tokens_are_counted_and_texts_embedded() {
    let gemini = Demo::start(Dialect::Gemini, |_| {}).await;
    let post = async |demo: &Demo, path: &str, body: Value| -> Value {
        let answer =
            client().post(format!("{}/{path}", demo.url)).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    };
    let content = json!({"role": "user", "parts": [{"text": "one two three"}]});
    let counted = post(&gemini, "models/m:countTokens", json!({"contents": [content]})).await;
    assert_eq!(counted["totalTokens"], 3);
    let one = json!({"model": "models/m", "content": content, "outputDimensionality": 4});
    let embedded =
        post(&gemini, "models/m:batchEmbedContents", json!({"requests": [one, one]})).await;
    assert_eq!(embedded["embeddings"][1]["values"].as_array().unwrap().len(), 4);

    let say = json!([{"role": "user", "content": "one two three"}]);
    let anthropic = Demo::start(Dialect::Anthropic, |_| {}).await;
    let asked = json!({"model": "m", "messages": say});
    assert_eq!(post(&anthropic, "messages/count_tokens", asked).await["input_tokens"], 3);

    let bedrock = Demo::start(Dialect::Bedrock, |_| {}).await;
    let say = json!([{"role": "user", "content": [{"text": "one two three"}]}]);
    let asked = json!({"input": {"converse": {"messages": say}}});
    assert_eq!(post(&bedrock, "model/m/count-tokens", asked).await["inputTokens"], 3);

    let openai = Demo::start(Dialect::OpenAiChat, |_| {}).await;
    let asked = json!({"model": "m", "input": ["a", "b"], "encoding_format": "base64"});
    let embedded = post(&openai, "embeddings", asked).await;
    assert!(embedded["data"][1]["embedding"].is_string(), "{embedded}");
}

/// What no translation reads, held against what the router makes of it.
#[tokio::test]
async fn what_is_never_translated_is_what_the_router_takes_it_for() {
    let demo = Demo::start(Dialect::OpenAiChat, |_| {}).await;
    let post = async |path: &str, body: Value| {
        let answer =
            client().post(format!("{}/{path}", demo.url)).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (kind, answer.bytes().await.unwrap())
    };
    for (endpoint, body) in [
        (Endpoint::Images, json!({"model": "m", "prompt": "a cat", "n": 2})),
        (Endpoint::Moderations, json!({"model": "m", "input": "hello"})),
        (Endpoint::Rerank, json!({"model": "m", "query": "a", "documents": ["a", "b"]})),
    ] {
        let (_, whole) = post(endpoint.path(), body).await;
        let kind = ProviderKind::OpenAICompatible;
        let answer = judge_answer(kind, endpoint, StatusCode::OK, &whole).unwrap();
        assert_eq!(answer.images, if endpoint == Endpoint::Images { 2 } else { 0 });
        assert_eq!(answer.usage.is_some(), endpoint != Endpoint::Moderations, "{endpoint}");
    }
    let speech = json!({"model": "m", "voice": "v", "input": "one two"});
    let (kind, sound) = post(Endpoint::Speech.path(), speech.clone()).await;
    assert_eq!((kind.as_str(), opening(Some(&kind), &sound, true)), ("audio/mpeg", Opening::Audio));

    let broken = Demo::start(Dialect::OpenAiChat, |b| b.stream_error_rate = 1.0).await;
    let url = format!("{}/audio/speech", broken.url);
    let answer = client().post(url).json(&speech).send().await.unwrap();
    // Half of a sound must not look like all of it.
    answer.bytes().await.unwrap_err();
}
