//! What holds for every request and every answer, whatever somebody sends: no translator panics,
//! all are deterministic, and what they make of a conversation is only ever appended to.

#![cfg(test)]

use bytes::Bytes;
use proptest::prelude::*;
use providers::{
    dialect::{Candidate, Decoder, Dialect, encode, quirks::QUIRKS},
    neutral::{Event, Role},
    protocol::{Caller, Protocol, Writer, decode},
};
use serde_json::{Value, json};

fn candidates() -> Vec<Candidate<'static>> {
    let mut all = vec![
        Candidate::new(Dialect::OpenAiChat, "ns/o", "gpt-4o", "gpt-4o"),
        Candidate::new(Dialect::OpenAiChat, "ns/o", "gpt-5.6", "gpt-5.6"),
        Candidate::new(Dialect::OpenAiResponses, "ns/o", "gpt-5.6", "gpt-5.6"),
        Candidate::new(Dialect::Anthropic, "ns/a", "claude-sonnet-4-5", "claude-sonnet-4-5"),
        Candidate::new(Dialect::Anthropic, "ns/a", "claude-opus-5-5", "claude-opus-5-5"),
        Candidate::new(Dialect::Gemini, "ns/g", "gemini-2.5-pro", "gemini-2.5-pro"),
        Candidate::new(Dialect::Gemini, "ns/g", "gemini-3-flash", "gemini-3-flash"),
        Candidate::new(Dialect::Bedrock, "ns/b", "claude-haiku-4-5", "claude-haiku-4-5"),
        Candidate::new(Dialect::Bedrock, "ns/b", "amazon.nova-pro", "amazon.nova-pro-v1:0"),
    ];
    for quirks in QUIRKS {
        let mut candidate = Candidate::new(Dialect::OpenAiChat, "ns/c", "llama", "llama");
        candidate.quirks = Some(quirks);
        all.push(candidate);
    }
    all
}

/// Some JSON, of names that requests have.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..200).prop_map(Value::from),
        "[a-z ]{0,6}".prop_map(Value::from),
        prop::sample::select(vec!["text", "user", "tool", "auto", "function", "call_1", "low"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(NAMES.to_vec()), inner), 0..5)
                .prop_map(|members| members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

const NAMES: [&str; 24] = [
    "type",
    "role",
    "content",
    "text",
    "name",
    "id",
    "input",
    "tool_calls",
    "function",
    "arguments",
    "call_id",
    "source",
    "data",
    "url",
    "image_url",
    "thinking",
    "signature",
    "tool_use_id",
    "output",
    "summary",
    "schema",
    "properties",
    "budget_tokens",
    "cache_control",
];

const FIELDS: [&str; 20] = [
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "stop_sequences",
    "n",
    "seed",
    "tools",
    "tool_choice",
    "reasoning_effort",
    "thinking",
    "reasoning",
    "response_format",
    "text",
    "output_config",
    "metadata",
    "service_tier",
    "store",
    "logit_bias",
    "user",
];

/// A request with members of any kind.
fn wild() -> impl Strategy<Value = Value> {
    let members = prop::collection::vec((prop::sample::select(FIELDS.to_vec()), value()), 0..4);
    (value(), value(), members).prop_map(|(messages, system, members)| {
        let mut body = json!({"model": "m", "messages": messages, "input": messages,
            "system": system, "instructions": system, "max_tokens": 100});
        for (name, value) in members {
            body[name] = value;
        }
        body
    })
}

/// A turn of a conversation that holds together.
fn turn() -> impl Strategy<Value = Vec<Value>> {
    let text = prop_oneof!["[a-z]{1,6}", Just(" ".to_owned()), Just(String::new())];
    let call = (0_u8..4, "[a-z]{1,3}");
    (text, prop::collection::vec(call, 0..3), any::<[bool; 4]>(), 0_u8..5).prop_map(
        |(text, calls, [answered, thought, late, image], user)| {
            let mut out = Vec::new();
            if late {
                out.push(json!({"role": "system", "content": format!("s{text}")}));
            }
            for _ in 0..=user / 3 {
                let content = if image {
                    json!([{"type": "text", "text": text},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}])
                } else {
                    json!(text)
                };
                out.push(json!({"role": "user", "content": content}));
            }
            let made: Vec<Value> = calls
                .iter()
                .enumerate()
                .map(|(at, (id, name))| {
                    json!({"id": format!("call {id}.{at}"), "type": "function",
                        "function": {"name": name, "arguments": "{\"a\":1}"}})
                })
                .collect();
            let mut message = json!({"role": "assistant", "content": "ok"});
            if thought {
                message["reasoning_content"] = json!("hm");
            }
            if !made.is_empty() {
                message["tool_calls"] = json!(made);
            }
            out.push(message);
            if answered {
                for call in &made {
                    out.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "r"}));
                }
            }
            out
        },
    )
}

/// What is said, one line for each part, in order; the marks of prompt caches left out.
fn said(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap();
    let list = ["messages", "contents", "input"].iter().find_map(|name| body[*name].as_array());
    let mut out = Vec::new();
    for message in list.into_iter().flatten() {
        let role = message["role"].as_str().unwrap_or_default();
        let parts = ["content", "parts"].iter().find_map(|name| message[*name].as_array());
        match parts {
            Some(parts) => out.extend(parts.iter().map(|part| format!("{role}: {part}"))),
            None => {
                let mut message = message.clone();
                // Marks of a last message, which is to be continued.
                if let Some(members) = message.as_object_mut() {
                    members.remove("prefix");
                    members.remove("partial");
                }
                out.push(message.to_string());
            }
        }
    }
    out
}

fn caller(protocol: Protocol) -> Caller {
    Caller {
        protocol,
        now: 1,
        seed: "s".into(),
        model: "m".into(),
        stream_usage: true,
        old_functions: false,
        echo: providers::protocol::responses::echo(b"{}"),
        tag: "abcdefgh".into(),
        request_id: None,
        estimate: 1,
    }
}

/// Bytes that an answer could begin with.
fn answer() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        value().prop_map(|v| v.to_string().into_bytes()),
        prop::collection::vec(
            prop_oneof![
                value().prop_map(|v| v.to_string()),
                value().prop_map(|v| json!({"choices": [{"delta": v}]}).to_string()),
                value()
                    .prop_map(|v| json!({"candidates": [{"content": {"parts": [v]}}]}).to_string()),
                value()
                    .prop_map(|v| json!({"type": "content_block_delta", "index": 0, "delta": v})
                        .to_string()),
                value().prop_map(
                    |v| json!({"type": "response.output_item.done", "item": v}).to_string()
                ),
                Just("[DONE]".to_owned()),
            ],
            0..6
        )
        .prop_map(|events| {
            let event = |e: &String| ["data: ", e, "\n\n"].concat();
            events.iter().map(event).collect::<String>().into_bytes()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn no_request_panics_and_the_same_gives_the_same(body in wild()) {
        let body = body.to_string();
        for protocol in Protocol::ALL {
            let Ok(request) = decode(protocol, body.as_bytes()) else { continue };
            for candidate in candidates() {
                let first = encode(&request, &candidate).map(|e| (e.body, e.warnings));
                let second = encode(&request, &candidate).map(|e| (e.body, e.warnings));
                prop_assert_eq!(first, second);
            }
        }
    }

    #[test]
    fn what_was_said_is_only_appended_to(turns in prop::collection::vec(turn(), 1..4)) {
        let whole: Vec<Value> = turns.concat();
        let tools = json!([{"type": "function", "function": {"name": "f"}}]);
        let body = |messages: &[Value]| {
            json!({"model": "m", "messages": messages, "tools": tools}).to_string()
        };
        let all = decode(Protocol::Chat, body(&whole).as_bytes()).unwrap();
        for candidate in candidates() {
            let Ok(encoded) = encode(&all, &candidate) else { continue };
            let longer = said(&encoded.body);
            for end in 1..whole.len() {
                // Where a caller would stop: it waits for the model, with all results given.
                let role = |at: usize| whole[at]["role"].as_str().unwrap().to_owned();
                let waits = matches!(role(end - 1).as_str(), "user" | "tool")
                    && role(end) == "assistant";
                if !waits {
                    continue;
                }
                let part = decode(Protocol::Chat, body(&whole[..end]).as_bytes()).unwrap();
                prop_assert!(part.messages.last().is_none_or(|m| m.role != Role::Assistant));
                let Ok(encoded) = encode(&part, &candidate) else { continue };
                let shorter = said(&encoded.body);
                prop_assert!(
                    longer.starts_with(&shorter),
                    "{} {}:\n{:#?}\n{:#?}", candidate.dialect.name(),
                    candidate.quirks.map_or("", |q| q.name), shorter, longer
                );
            }
        }
    }

    #[test]
    fn no_answer_panics_and_splits_say_nothing(bytes in answer(), at in any::<prop::sample::Index>()) {
        for dialect in Dialect::ALL {
            let decode = |chunks: &[&[u8]]| {
                let mut decoder = Decoder::new(dialect, true);
                let mut events = Vec::new();
                for chunk in chunks {
                    decoder.push(Bytes::copy_from_slice(chunk), &mut events);
                }
                decoder.close(&mut events);
                events
            };
            let events = decode(&[&bytes]);
            let at = at.index(bytes.len() + 1);
            prop_assert_eq!(&decode(&[&bytes[..at], &bytes[at..]]), &events);
            let ends = events.iter().filter(|e| matches!(e, Event::End | Event::Error(_))).count();
            prop_assert_eq!(ends, 1, "{:?}", events);
            for protocol in Protocol::ALL {
                let mut writer = Writer::new(caller(protocol));
                let mut out = Vec::new();
                for event in &events {
                    writer.event(event, &mut out);
                }
            }
        }
    }
}
