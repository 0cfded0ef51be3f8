//! Recorded answers of real providers, decoded to the neutral model whatever their dialect, and
//! written again for every caller's protocol: what is written is valid by the published schemas, and
//! any split of the bytes gives the same events. A table says what became of each. They are read
//! from the folder that `MONIKER_DATA` names; without it this says that it skipped them.

#![cfg(test)]

mod translation;

use std::{collections::BTreeMap, time::SystemTime};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use providers::{
    dialect::{Candidate, Decoder, Dialect, classify, encode},
    neutral::{Collector, Event},
    protocol::{Caller, Protocol, Writer, decode as decode_request, encode_error, encode_reply},
};
use translation::{
    recordings::{Recording, Schemas, all},
    splits,
};

fn caller(protocol: Protocol) -> Caller {
    Caller {
        protocol,
        now: 1_700_000_000,
        seed: "seed".into(),
        model: "model".into(),
        stream_usage: true,
        old_functions: false,
        echo: providers::protocol::responses::echo(b"{}"),
        tag: "abcdefgh".into(),
        request_id: None,
        estimate: 10,
    }
}

fn decode(recording: &Recording, chunks: impl IntoIterator<Item = Bytes>) -> Vec<Event> {
    let mut decoder = Decoder::new(recording.dialect, recording.compatible);
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(chunk, &mut events);
    }
    decoder.close(&mut events);
    events
}

fn failure(events: &[Event]) -> Option<String> {
    events.iter().find_map(|event| match event {
        Event::Error(failure) => Some(format!("{}: {}", failure.class, failure.message)),
        _ => None,
    })
}

#[test]
fn every_answer_decodes_and_is_written_for_every_caller() {
    let Some(recordings) = all() else { return };
    let schemas = Schemas::load();
    let mut table = BTreeMap::<String, BTreeMap<&str, usize>>::new();
    let mut refused = BTreeMap::<String, usize>::new();
    let mut wrong = Vec::new();
    for recording in &recordings {
        let row = table.entry(format!("{} ({})", recording.provider, recording.dialect.name()));
        let row = row.or_default();
        if recording.status >= 400 {
            *row.entry("error, classed").or_default() += 1;
            for protocol in [Protocol::Chat, Protocol::Responses, Protocol::Messages] {
                let status = StatusCode::from_u16(recording.status).unwrap();
                let (headers, now) = (HeaderMap::new(), SystemTime::UNIX_EPOCH);
                let body = &recording.response;
                let failure =
                    classify(recording.dialect, recording.compatible, status, &headers, body, now);
                let (_, body) = encode_error(&failure, &caller(protocol), &[]);
                if let Some(error) = schemas.error(protocol, &body) {
                    wrong.push(format!("{} as {}: {error}", recording.name, protocol.name()));
                }
            }
            continue;
        }
        let events = decode(recording, [recording.response.clone()]);
        if let Some(why) = failure(&events) {
            *row.entry("refused").or_default() += 1;
            let why: String = why.chars().take(110).collect();
            *refused.entry(format!("{}: {why}", recording.provider)).or_default() += 1;
            continue;
        }
        *row.entry("decoded").or_default() += 1;
        let reply = Collector::collect(events.clone()).unwrap();
        if reply.usage.is_some() {
            *row.entry("with usage").or_default() += 1;
        }
        for protocol in [Protocol::Chat, Protocol::Responses, Protocol::Messages] {
            let body = encode_reply(&reply, &caller(protocol));
            if let Some(error) = schemas.answer(protocol, &body) {
                wrong.push(format!("{} as {}: {error}", recording.name, protocol.name()));
            }
            let mut writer = Writer::new(caller(protocol));
            let mut frames = Vec::new();
            for event in &events {
                writer.event(event, &mut frames);
            }
            for frame in &frames {
                if let Some(error) = schemas.event(protocol, frame) {
                    wrong.push(format!(
                        "{} stream as {}: {error}",
                        recording.name,
                        protocol.name()
                    ));
                    break;
                }
            }
        }
        *row.entry("translated").or_default() += 1;
    }
    println!("| provider (dialect) | outcome: count |\n|---|---|");
    for (name, outcomes) in &table {
        let cells: Vec<String> = outcomes.iter().map(|(what, n)| format!("{what}: {n}")).collect();
        println!("| {name} | {} |", cells.join(", "));
    }
    for (why, count) in &refused {
        println!("{count:5} refused, {why}");
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(30)].join("\n")
    );
}

#[test]
fn every_request_is_read_and_written_for_every_dialect() {
    let Some(recordings) = all() else { return };
    let mut table = BTreeMap::<String, usize>::new();
    for recording in &recordings {
        let protocol = match recording.dialect {
            Dialect::OpenAiChat => Protocol::Chat,
            Dialect::OpenAiResponses => Protocol::Responses,
            Dialect::Anthropic => Protocol::Messages,
            Dialect::Gemini | Dialect::Bedrock => continue,
        };
        let Some(body) = &recording.request else { continue };
        let completions = recording.name.ends_with("/v1/completions");
        let protocol = if completions { Protocol::Completions } else { protocol };
        let request = match decode_request(protocol, body.as_bytes()) {
            Ok(request) => request,
            Err(error) => {
                let why = format!("{} not read: {error}", protocol.name());
                *table.entry(why).or_default() += 1;
                continue;
            }
        };
        for (dialect, model) in [
            (Dialect::OpenAiChat, "gpt-4o"),
            (Dialect::OpenAiResponses, "gpt-5.2"),
            (Dialect::Anthropic, "claude-sonnet-4-5"),
            (Dialect::Gemini, "gemini-3-flash"),
            (Dialect::Bedrock, "anthropic.claude-sonnet-4-5"),
        ] {
            let candidate = Candidate::new(dialect, "ns/t", model, model);
            let what = match encode(&request, &candidate) {
                Ok(encoded) => {
                    serde_json::from_slice::<serde_json::Value>(&encoded.body).unwrap();
                    "translated".to_owned()
                }
                Err(refusal) => format!("refused for {}", refusal.field),
            };
            let key = format!("{} to {}: {what}", protocol.name(), dialect.name());
            *table.entry(key).or_default() += 1;
        }
    }
    for (what, count) in table {
        println!("{count:5} {what}");
    }
}

#[test]
fn any_split_gives_the_same_events() {
    let Some(recordings) = all() else { return };
    let mut streams = 0;
    for recording in recordings.iter().filter(|r| r.status < 400) {
        let body = &recording.response;
        if body.first().is_some_and(|b| matches!(b, b'{' | b'[')) {
            continue;
        }
        streams += 1;
        let expected = decode(recording, [body.clone()]);
        for chunks in splits::of(body) {
            assert_eq!(decode(recording, chunks), expected, "{}", recording.name);
        }
    }
    println!("{streams} streams at every split");
}
