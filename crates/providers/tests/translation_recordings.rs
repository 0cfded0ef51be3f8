//! Recorded answers of real providers, decoded to the neutral model whatever their dialect, and
//! written again for every caller's protocol: what is written is valid by the published schemas, and
//! any split of the bytes gives the same events. A table says what became of each. They are read
//! from the folder that `MONIKER_DATA` names; without it this says that it skipped them.

#![cfg(test)]

mod translation;

use std::collections::BTreeMap;

use bytes::Bytes;
use providers::{
    dialect::{Candidate, Dialect, encode},
    neutral::{Collector, Event},
    protocol::{Protocol, Writer, decode as decode_request, encode_error, encode_reply},
};
use translation::{
    coverage::{Kind, Recording, Table, caller},
    recordings::{Schemas, all, folder},
    splits,
};

/// The table, which `cargo xtask recordings` prints too: nothing fails.
#[test]
fn the_coverage_of_the_recordings() {
    let Some(folder) = folder() else { return };
    let table = Table::of(&[folder]).unwrap();
    println!("{}", table.to_text());
    let json = table.to_json();
    for (row, (name, counted)) in json.as_array().unwrap().iter().zip(&table.rows) {
        let refused: usize = counted.refused.values().sum();
        assert_eq!(counted.decoded + refused + counted.failed, counted.total, "{name}");
        assert_eq!((row["provider"].as_str().unwrap(), counted.failed), (name.as_str(), 0));
    }
}

/// The dialect of an answer, if this is one.
fn dialect_of(recording: &Recording) -> Option<Dialect> {
    if let Kind::Answer(dialect) = recording.kind { Some(dialect) } else { None }
}

const CALLERS: [Protocol; 3] = [Protocol::Chat, Protocol::Responses, Protocol::Messages];

#[test]
fn what_is_written_is_valid_by_the_published_schemas() {
    let Some(recordings) = all() else { return };
    let schemas = Schemas::load();
    let mut wrong = Vec::new();
    for recording in &recordings {
        let Some(dialect) = dialect_of(recording) else { continue };
        let mut note = |protocol: Protocol, what: &str, error: Option<String>| {
            if let Some(error) = error {
                wrong.push(format!("{} {what} as {}: {error}", recording.name, protocol.name()));
            }
        };
        if let Some(failure) = recording.failure(dialect) {
            for protocol in CALLERS {
                let (_, body) = encode_error(&failure, &caller(protocol), &[]);
                note(protocol, "error", schemas.error(protocol, &body));
            }
            continue;
        }
        let events = recording.decode(dialect, [recording.response.clone()]);
        let Ok(reply) = Collector::collect(events.clone()) else { continue };
        for protocol in CALLERS {
            let body = encode_reply(&reply, &caller(protocol));
            note(protocol, "answer", schemas.answer(protocol, &body));
            let mut writer = Writer::new(caller(protocol));
            let mut frames = Vec::new();
            for event in &events {
                writer.event(event, &mut frames);
            }
            let first = frames.iter().find_map(|frame| schemas.event(protocol, frame));
            note(protocol, "stream", first.or_else(|| order(protocol, &frames)));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(30)].join("\n")
    );
}

/// What is wrong with the order of a stream's events.
fn order(protocol: Protocol, frames: &[Bytes]) -> Option<String> {
    let data: Vec<serde_json::Value> = frames
        .iter()
        .map(|frame| {
            let text = String::from_utf8_lossy(frame);
            let data = text.split_once("data: ").map_or("", |(_, data)| data.trim());
            serde_json::from_str(data).unwrap_or_default()
        })
        .collect();
    let kinds: Vec<&str> = data.iter().map(|d| d["type"].as_str().unwrap_or_default()).collect();
    match protocol {
        Protocol::Messages => {
            let mut open = None;
            let mut next = 0;
            for (kind, event) in kinds.iter().zip(&data) {
                let index = event["index"].as_u64();
                match *kind {
                    "content_block_start" if open.is_some() || index != Some(next) => {
                        return Some(format!("block {index:?} opens beside {open:?}"));
                    }
                    "content_block_start" => open = index,
                    "content_block_delta" if index != open => {
                        return Some(format!("a delta of {index:?} while {open:?} is open"));
                    }
                    "content_block_stop" if index != open => {
                        return Some(format!("{index:?} ends while {open:?} is open"));
                    }
                    "content_block_stop" => {
                        open = None;
                        next += 1;
                    }
                    _ => {}
                }
            }
            let ends = kinds.first() == Some(&"message_start")
                && kinds.ends_with(&["message_delta", "message_stop"])
                && open.is_none();
            (!ends).then(|| format!("ends with {:?}", kinds.last()))
        }
        Protocol::Responses => {
            for (at, event) in data.iter().enumerate() {
                if event["sequence_number"].as_u64() != u64::try_from(at).ok() {
                    return Some(format!("event {at} is numbered {}", event["sequence_number"]));
                }
            }
            let added = kinds.iter().filter(|kind| **kind == "response.output_item.added").count();
            let done = kinds.iter().filter(|kind| **kind == "response.output_item.done").count();
            let begins = kinds.starts_with(&["response.created", "response.in_progress"]);
            let last = kinds.last().copied().unwrap_or_default();
            let ends = matches!(last, "response.completed" | "response.incomplete");
            let output =
                data.last().map_or(0, |d| d["response"]["output"].as_array().map_or(0, Vec::len));
            let whole = added == done && added == output;
            (!(begins && ends && whole)).then(|| {
                format!("{added} items added, {done} done, {output} told, ends with {last}")
            })
        }
        Protocol::Chat | Protocol::Completions => {
            let reasons =
                data.iter().filter(|d| !d["choices"][0]["finish_reason"].is_null()).count();
            let done = frames.last().is_some_and(|frame| frame.starts_with(b"data: [DONE]"));
            (!done || reasons == 0).then(|| format!("{reasons} reasons, done: {done}"))
        }
    }
}

#[test]
fn every_request_is_read_and_written_for_every_dialect() {
    let Some(recordings) = all() else { return };
    let mut table = BTreeMap::<String, usize>::new();
    for recording in &recordings {
        let protocol = match dialect_of(recording) {
            Some(Dialect::OpenAiChat) => Protocol::Chat,
            Some(Dialect::OpenAiResponses) => Protocol::Responses,
            Some(Dialect::Anthropic) => Protocol::Messages,
            None | Some(Dialect::Gemini | Dialect::Bedrock) => continue,
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
        let Some(dialect) = dialect_of(recording) else { continue };
        let body = &recording.response;
        if body.first().is_some_and(|b| matches!(b, b'{' | b'[')) {
            continue;
        }
        streams += 1;
        let expected: Vec<Event> = recording.decode(dialect, [body.clone()]);
        for chunks in splits::of(body) {
            assert_eq!(recording.decode(dialect, chunks), expected, "{}", recording.name);
        }
    }
    println!("{streams} streams at every split");
}
