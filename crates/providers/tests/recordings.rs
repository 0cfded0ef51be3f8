//! Real answers of real providers: each is judged to be what its status says, and every stream gives
//! the same events however its bytes are split. They are read from the folder that `MONIKER_DATA`
//! names; without it this says that it skipped them.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "helpers of tests")]

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    time::SystemTime,
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use providers::{End, Event, Judgement, Stream, Usage, classify, collect, judge_answer};
use routing::{Endpoint, OutcomeClass, ProviderKind};
use serde::Deserialize;

#[derive(Deserialize)]
struct Recording {
    path: String,
    status: u16,
    #[serde(default)]
    request: Option<String>,
    #[serde(default)]
    response: Option<String>,
}

impl Recording {
    fn endpoint(&self) -> Option<Endpoint> {
        let path = self.path.split(['?', '#']).next().unwrap_or_default();
        let chat = path.ends_with("/chat/completions");
        let found = Endpoint::ALL.iter().copied().find(|e| path.ends_with(e.path()));
        if chat { Some(Endpoint::ChatCompletions) } else { found }
    }
}

fn recordings() -> Vec<(ProviderKind, Endpoint, Recording)> {
    let Some(folder) = std::env::var_os("MONIKER_DATA").map(PathBuf::from) else {
        println!("skipped: MONIKER_DATA names no folder with recordings/*.jsonl.gz");
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, kind) in [
        ("openai", ProviderKind::OpenAI),
        ("compatible", ProviderKind::OpenAICompatible),
        ("azure", ProviderKind::OpenAICompatible),
    ] {
        let path = folder.join(format!("recordings/{name}.jsonl.gz"));
        let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for line in BufReader::new(flate2::read::GzDecoder::new(file)).lines() {
            let recording: Recording = serde_json::from_str(&line.unwrap()).unwrap();
            if let Some(endpoint) = recording.endpoint() {
                found.push((kind, endpoint, recording));
            }
        }
    }
    found
}

fn events(
    kind: ProviderKind,
    endpoint: Endpoint,
    chunks: impl IntoIterator<Item = Bytes>,
) -> (Vec<Event>, End, Option<Usage>) {
    let mut stream = Stream::new(kind, endpoint, false);
    let mut events = Vec::new();
    for chunk in chunks {
        stream.push(chunk);
        while let Some(event) = stream.next().unwrap() {
            events.push(event);
        }
    }
    stream.close();
    while let Some(event) = stream.next().unwrap() {
        events.push(event);
    }
    (events, stream.end(), stream.usage())
}

#[test]
fn requests_are_read_and_answers_judged() {
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    let mut wrong = Vec::new();
    for (kind, endpoint, recording) in recordings() {
        let body = Bytes::from(recording.response.clone().unwrap_or_default());
        let status = StatusCode::from_u16(recording.status).unwrap();
        if let Some(request) = &recording.request {
            let read = providers::RequestBody::read(endpoint, request.as_bytes());
            let value: serde_json::Value = serde_json::from_str(request).unwrap_or_default();
            if let (Ok(read), Some(model)) = (&read, value["model"].as_str()) {
                assert_eq!(read.model_name(request.as_bytes()), model);
                assert_eq!(read.stream, value["stream"] == true);
            } else if value["model"].is_string() {
                wrong.push(format!("{}: {read:?}", recording.path));
            }
        }
        let name = if !status.is_success() {
            let failure = classify(kind, status, &HeaderMap::new(), &body, SystemTime::UNIX_EPOCH);
            failure.class.name().to_owned()
        } else if providers::is_event_stream(&body) {
            let (events, end, _) = events(kind, endpoint, [body.clone()]);
            let failed = events.iter().find_map(|e| match &e.judgement {
                Judgement::Error(failure) => Some(failure.class.name()),
                Judgement::Malformed => Some("malformed"),
                _ => None,
            });
            if failed.is_none() && end == End::Complete {
                let whole = collect(kind, endpoint, &body).unwrap();
                judge_answer(kind, endpoint, status, &whole)
                    .unwrap_or_else(|e| panic!("{}: {e:?}", recording.path));
            }
            format!("stream {} {end:?}", failed.unwrap_or("well"))
        } else {
            match judge_answer(kind, endpoint, status, &body) {
                Ok(answer) => format!("answer, usage {}", answer.usage.is_some()),
                Err(failure) => {
                    assert_ne!(failure.class, OutcomeClass::Success);
                    let start: String = failure.message.chars().take(120).collect();
                    format!("{} under {status}: {start}", failure.class)
                }
            }
        };
        *counts.entry(format!("{endpoint} {name}")).or_default() += 1;
    }
    for (name, count) in counts {
        println!("{count:5} {name}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn streams_are_the_same_at_any_split() {
    let mut streams = 0;
    // A generator of our own: the same splits on every machine.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for (kind, endpoint, recording) in recordings() {
        let body = Bytes::from(recording.response.unwrap_or_default());
        if !providers::is_event_stream(&body) {
            continue;
        }
        streams += 1;
        let expected = events(kind, endpoint, [body.clone()]);
        let received: Vec<u8> = expected.0.iter().flat_map(|e| e.raw.to_vec()).collect();
        assert_eq!(received, body, "{}: nothing is lost", recording.path);
        // Every offset of a small one, a sample of a large one.
        let step = (body.len() / 100).max(1);
        for at in (0..=body.len()).step_by(step) {
            let halves = [body.slice(..at), body.slice(at..)];
            assert_eq!(events(kind, endpoint, halves), expected, "{} at {at}", recording.path);
        }
        for longest in [1, 7, 64, 1500] {
            let mut rest = body.clone();
            let mut chunks = Vec::new();
            while !rest.is_empty() {
                let len = usize::try_from(random() % longest).unwrap() + 1;
                chunks.push(rest.split_to(len.min(rest.len())));
            }
            assert_eq!(events(kind, endpoint, chunks), expected, "{}", recording.path);
        }
    }
    println!("{streams} streams");
}
