//! What holds of any bytes: a panic here is a mistake. Fuzz targets and ordinary property tests call
//! the same functions.

use bytes::Bytes;
use http::StatusCode;
use providers::{
    End, Judgement, RequestBody, Rewrite, Stream, Usage, Versioned, asis, collect, count_tokens,
    dialect::{Back, Candidate, Decoder, Dialect, Host, encode, quirks::QUIRKS},
    embeddings, fit, json_string, judge_answer,
    neutral::Event,
    protocol::{Caller, Protocol, decode, responses::echo},
    translate::Translation,
};
use routing::{Endpoint, ProviderKind};
use serde_json::Value;

/// Whom requests are written for: every dialect, and every server with peculiarities.
pub(crate) fn candidates() -> Vec<Candidate<'static>> {
    let of = |dialect, model| Candidate::new(dialect, "ns/t", model, model);
    let vertex = |dialect, model| Candidate { host: Host::Vertex, ..of(dialect, model) };
    let mut all = vec![
        of(Dialect::OpenAiChat, "gpt-4o"),
        of(Dialect::OpenAiChat, "gpt-5.6"),
        of(Dialect::OpenAiResponses, "gpt-5.6"),
        of(Dialect::Anthropic, "claude-sonnet-4-5"),
        of(Dialect::Anthropic, "claude-opus-5-5"),
        vertex(Dialect::Anthropic, "claude-opus-4-6"),
        of(Dialect::Gemini, "gemini-2.5-pro"),
        vertex(Dialect::Gemini, "gemini-3-flash"),
        of(Dialect::Bedrock, "eu.anthropic.claude-haiku-4-5-v1:0"),
        of(Dialect::Bedrock, "amazon.nova-pro-v1:0"),
    ];
    all.extend(
        QUIRKS
            .iter()
            .map(|quirks| Candidate { quirks: Some(quirks), ..of(Dialect::OpenAiChat, "llama") }),
    );
    all
}

fn caller(protocol: Protocol) -> Caller {
    Caller {
        protocol,
        now: 1,
        seed: "s".into(),
        model: "m".into(),
        stream_usage: true,
        old_functions: false,
        echo: echo(b"{}"),
        tag: "abcdefgh".into(),
        request_id: None,
        estimate: 1,
    }
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok()
}

/// The bytes in chunks, cut at these places (as parts of 255 of the whole).
pub(crate) fn chunks(bytes: &Bytes, cuts: &[u8]) -> Vec<Bytes> {
    let mut places: Vec<usize> =
        cuts.iter().map(|cut| bytes.len() * usize::from(*cut) / 255).collect();
    places.sort_unstable();
    let mut from = 0;
    let mut out = Vec::new();
    for place in places {
        out.push(bytes.slice(from..place));
        from = place;
    }
    out.push(bytes.slice(from..));
    out
}

/// The events of an answer whose bytes come so.
pub(crate) fn events(dialect: Dialect, chunks: &[Bytes]) -> Vec<Event> {
    let mut decoder = Decoder::new(dialect, true);
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(chunk.clone(), &mut events);
    }
    decoder.close(&mut events);
    events
}

/// An answer of a dialect: however it is split, the events are the same; it ends once, well or with
/// an error; and what is written for each caller is whole events of JSON.
pub(crate) fn answer(dialect: Dialect, bytes: &Bytes, cuts: &[u8]) {
    let whole = events(dialect, std::slice::from_ref(bytes));
    assert_eq!(events(dialect, &chunks(bytes, cuts)), whole, "{}", dialect.name());
    let ends = whole.iter().filter(|e| matches!(e, Event::End | Event::Error(_))).count();
    assert_eq!(ends, 1, "{}: {whole:?}", dialect.name());
    let from = Candidate::new(dialect, "ns/t", "model", "model");
    for protocol in Protocol::ALL {
        let translation = || Translation::new(&from, Back::default(), caller(protocol));
        if let Ok(whole) = translation().whole(bytes) {
            assert!(is_json(&whole.body), "{} as {}", dialect.name(), protocol.name());
        }
        let (mut steps, mut stream) = (Vec::new(), translation());
        for chunk in chunks(bytes, cuts) {
            stream.push(chunk, &mut steps);
        }
        stream.close(&mut steps);
        for frame in steps.iter().flat_map(|step| &step.frames) {
            let text = std::str::from_utf8(frame).expect("events are text");
            assert!(text.ends_with("\n\n"), "{text:?}");
            let data = text.split_once("data: ").map_or("", |(_, data)| data.trim_end());
            assert!(data == "[DONE]" || is_json(data.as_bytes()), "{text}");
        }
    }
}

/// A request of a protocol: for every candidate it is written as JSON, the same each time, or refused
/// by a field.
pub(crate) fn request(protocol: Protocol, bytes: &[u8]) {
    let Ok(request) = decode(protocol, bytes) else { return };
    for to in candidates() {
        let once = encode(&request, &to);
        match &once {
            Ok(encoded) => assert!(is_json(&encoded.body)),
            Err(refusal) => assert!(!refusal.field.is_empty() && !refusal.detail.is_empty()),
        }
        let again = encode(&request, &to).map(|e| (e.path, e.body, e.warnings));
        assert_eq!(once.map(|e| (e.path, e.body, e.warnings)), again);
        if protocol == Protocol::Messages
            && let Ok(count_tokens::Count::Ask(asked)) = count_tokens::encode(&request, &to)
        {
            assert!(is_json(&asked.body));
        }
    }
    let again = count_tokens::estimate(&request);
    assert_eq!(again, count_tokens::estimate(&request));
}

/// Embeddings and counts: bodies of requests and of answers; and answers of what is passed through
/// alone: what is judged to be one is JSON, and events are the same however they are split.
pub(crate) fn endpoints(bytes: &[u8]) {
    for endpoint in Endpoint::ALL.iter().copied().filter(|e| e.passes_only()) {
        let kind = ProviderKind::OpenAICompatible;
        if judge_answer(kind, endpoint, StatusCode::OK, bytes).is_ok() {
            assert!(is_json(bytes), "{endpoint}");
        }
        let whole = Bytes::copy_from_slice(bytes);
        if let Ok(collected) = collect(kind, endpoint, &whole) {
            assert!(is_json(&collected), "{endpoint}");
        }
        let pieces = chunks(&whole, &[40, 128, 200]);
        assert_eq!(stream(endpoint, &pieces), stream(endpoint, &[whole]), "{endpoint}");
        for ended in [false, true] {
            let _ = asis::opening(None, bytes, ended);
        }
    }
    if let Ok(request) = embeddings::decode(bytes) {
        for to in candidates() {
            if let Ok(encoded) = embeddings::encode(&request, &to) {
                assert!(is_json(&encoded.body));
            }
        }
    }
    let input = embeddings::Input::Texts(vec![String::new()]);
    for (dialect, base64) in Dialect::ALL.into_iter().flat_map(|d| [(d, false), (d, true)]) {
        let from = Candidate::new(dialect, "ns/t", "model", "model");
        let asked = embeddings::Request {
            model: "m".into(),
            input: input.clone(),
            dimensions: None,
            base64,
            user: None,
            unknown: Vec::new(),
        };
        if let Ok(whole) = embeddings::answer(&asked, &from, bytes, 1) {
            assert!(is_json(&whole.body));
        }
        drop(count_tokens::answer(&from, bytes));
    }
}

/// What the events of a stream mean that is passed through, and how it ends.
fn stream(endpoint: Endpoint, chunks: &[Bytes]) -> (Vec<Judgement>, End, Option<Usage>) {
    let mut stream = Stream::new(ProviderKind::OpenAICompatible, endpoint, false);
    let mut said = Vec::new();
    let mut take = |stream: &mut Stream| {
        while let Ok(Some(event)) = stream.next() {
            said.push(event.judgement);
        }
    };
    for chunk in chunks {
        stream.push(chunk.clone());
        take(&mut stream);
    }
    stream.close();
    take(&mut stream);
    (said, stream.end(), stream.usage())
}

/// A body that is passed through: fitted to every server it stays JSON, and names the model that it
/// is to name.
pub(crate) fn passed(bytes: &Bytes) {
    for endpoint in [Endpoint::ChatCompletions, Endpoint::Completions] {
        let Ok(read) = RequestBody::read(endpoint, bytes) else { continue };
        let to = Rewrite {
            model: json_string("up"),
            max_output_tokens: Some(9),
            ask_usage: true,
            unstored: false,
            versioned: Versioned::Elsewhere,
            encrypted: false,
        };
        for quirks in QUIRKS {
            let Ok(Some(fitted)) = fit::fit(bytes, &read, &to, quirks) else { continue };
            let text = fitted.body.segments.concat();
            assert_eq!(text.len(), fitted.body.len);
            // What nests or counts beyond what a parser takes was so before.
            if let Ok(value) = serde_json::from_slice::<Value>(&text) {
                assert_eq!(value["model"], "up", "{}", quirks.name);
            } else {
                assert!(!is_json(bytes), "{}: {}", quirks.name, String::from_utf8_lossy(&text));
            }
        }
    }
}
