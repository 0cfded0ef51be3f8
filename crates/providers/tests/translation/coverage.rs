//! What becomes of recorded answers of real providers: read, decoded to the neutral model, and
//! written again for every caller's protocol. For a test here, and for `cargo xtask recordings` over
//! any folder.
//!
//! A recording is a line of `PROVIDER.jsonl` or `PROVIDER.jsonl.gz`, in the folder or in
//! `recordings` below it: `{path, status, request, response | response_base64}`, bodies as text.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    time::SystemTime,
};

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use providers::{
    Failure, count_tokens,
    dialect::{Candidate, Decoder, Dialect, classify, quirks},
    embeddings,
    neutral::{Collector, Event},
    protocol::{Caller, Protocol, Writer, encode_error, encode_reply, responses::echo},
};
use serde_json::{Value, json};

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An answer of a model, in a dialect.
    Answer(Dialect),
    /// Embeddings.
    Embeddings(Dialect),
    /// A count of tokens.
    Count(Dialect),
    /// Something that is not served: what lives at one provider, or has a form for each model.
    Unserved,
}

/// One recorded pair.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    /// The provider, the place in its file and the path.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The server is another than OpenAI's own.
    pub(crate) compatible: bool,
    pub(crate) status: u16,
    pub(crate) request: Option<String>,
    pub(crate) response: Bytes,
}

/// The files of recordings in a folder, by name.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for folder in [folder.to_owned(), folder.join("recordings")] {
        if !folder.is_dir() {
            continue;
        }
        let entries =
            std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
        found.extend(paths.filter(|path| provider(path).is_some()));
    }
    if found.is_empty() {
        return Err(format!("{}: no *.jsonl or *.jsonl.gz in it", folder.display()));
    }
    found.sort();
    Ok(found)
}

/// The provider that a file is named after.
fn provider(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name.strip_suffix(".jsonl").map(str::to_owned)
}

/// The lines of a file; one that cannot be read is `Err` with its place.
pub(crate) fn read(path: &Path) -> Result<Vec<Result<Recording, String>>, String> {
    let provider = provider(path).unwrap_or_default();
    let at = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let file = File::open(path).map_err(|e| at(&e))?;
    let packed = path.extension().is_some_and(|end| end == "gz");
    let reader: Box<dyn BufRead> = if packed {
        Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file)))
    } else {
        Box::new(BufReader::new(file))
    };
    let mut all = Vec::new();
    for (number, line) in reader.lines().enumerate() {
        let line = line.map_err(|e| at(&e))?;
        if !line.trim().is_empty() {
            all.push(recording(&provider, number, &line));
        }
    }
    Ok(all)
}

fn recording(provider: &str, number: usize, line: &str) -> Result<Recording, String> {
    let wrong = |what: &str| format!("{provider}:{}: {what}", number + 1);
    let value: Value = serde_json::from_str(line).map_err(|e| wrong(&e.to_string()))?;
    let path = value["path"].as_str().ok_or_else(|| wrong("no `path`"))?;
    let status = value["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    let response = match (value["response_base64"].as_str(), value["response"].as_str()) {
        (Some(data), _) => base64::engine::general_purpose::STANDARD
            .decode(data)
            .map_err(|e| wrong(&e.to_string()))?
            .into(),
        (None, Some(text)) => Bytes::from(text.to_owned()),
        (None, None) => return Err(wrong("neither `response` nor `response_base64`")),
    };
    Ok(Recording {
        name: format!("{provider}:{} {path}", number + 1),
        kind: kind(path),
        compatible: provider != "openai",
        status: status.ok_or_else(|| wrong("no `status`"))?,
        request: value["request"].as_str().map(str::to_owned),
        response,
    })
}

/// What a path is of.
fn kind(path: &str) -> Kind {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let ends = |ends: &[&str]| ends.iter().any(|end| path.ends_with(end));
    if path.contains("/threads/") {
        return Kind::Unserved;
    }
    if ends(&["/chat/completions", "/v1/completions"]) {
        Kind::Answer(Dialect::OpenAiChat)
    } else if ends(&["/responses"]) {
        Kind::Answer(Dialect::OpenAiResponses)
    } else if ends(&["/v1/messages", ":rawPredict", ":streamRawPredict"]) {
        if path.contains("count-tokens") {
            return Kind::Count(Dialect::Anthropic);
        }
        Kind::Answer(Dialect::Anthropic)
    } else if ends(&[":generateContent", ":streamGenerateContent"]) {
        Kind::Answer(Dialect::Gemini)
    } else if ends(&["/converse", "/converse-stream"]) {
        Kind::Answer(Dialect::Bedrock)
    } else if ends(&[":batchEmbedContents", ":embedContent", ":predict"]) {
        Kind::Embeddings(Dialect::Gemini)
    } else if ends(&["/embeddings"]) {
        Kind::Embeddings(Dialect::OpenAiChat)
    } else if ends(&["/messages/count_tokens"]) {
        Kind::Count(Dialect::Anthropic)
    } else if ends(&[":countTokens"]) {
        Kind::Count(Dialect::Gemini)
    } else if ends(&["/count-tokens"]) {
        Kind::Count(Dialect::Bedrock)
    } else if ends(&["/responses/input_tokens"]) {
        Kind::Count(Dialect::OpenAiResponses)
    } else {
        Kind::Unserved
    }
}

/// A caller of whom nothing is known.
pub(crate) fn caller(protocol: Protocol) -> Caller {
    Caller {
        protocol,
        now: 1_700_000_000,
        seed: "seed".into(),
        model: "model".into(),
        stream_usage: true,
        old_functions: false,
        echo: echo(b"{}"),
        tag: "abcdefgh".into(),
        request_id: None,
        estimate: 10,
    }
}

impl Recording {
    /// The events of its answer, whose bytes come in these chunks.
    pub(crate) fn decode(
        &self,
        dialect: Dialect,
        chunks: impl IntoIterator<Item = Bytes>,
    ) -> Vec<Event> {
        let mut decoder = Decoder::new(dialect, self.compatible);
        let mut events = Vec::new();
        for chunk in chunks {
            decoder.push(chunk, &mut events);
        }
        decoder.close(&mut events);
        events
    }

    /// The failure that it is, where its status says that it is one.
    pub(crate) fn failure(&self, dialect: Dialect) -> Option<Failure> {
        if self.status < 400 {
            return None;
        }
        let status = StatusCode::from_u16(self.status).ok()?;
        let (headers, now) = (HeaderMap::new(), SystemTime::UNIX_EPOCH);
        Some(classify(dialect, self.compatible, status, &headers, &self.response, now))
    }
}

/// What became of one recording.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// It was decoded, and written for these protocols.
    Translated(Vec<&'static str>),
    /// It is no answer: the class of the failure, or why it is not served, and its words.
    Refused(String, String),
    /// What was written is no JSON, or another split gave other events.
    Failed(String),
}

/// What becomes of a recording.
pub(crate) fn outcome(recording: &Recording) -> Outcome {
    match recording.kind {
        Kind::Unserved => Outcome::Refused("unsupported_endpoint".into(), String::new()),
        Kind::Answer(dialect) | Kind::Embeddings(dialect) | Kind::Count(dialect)
            if recording.status >= 400 =>
        {
            recording.failure(dialect).map_or_else(
                || Outcome::Failed(format!("{}: no such status", recording.name)),
                |failure| error(recording, &failure),
            )
        }
        Kind::Answer(dialect) => answer(recording, dialect),
        Kind::Embeddings(dialect) => vectors(recording, dialect),
        Kind::Count(dialect) => {
            let from = Candidate::new(dialect, "ns/t", "model", "model");
            match count_tokens::answer(&from, &recording.response) {
                Ok(_) => Outcome::Translated(vec!["count_tokens"]),
                Err(failure) => refused(&failure),
            }
        }
    }
}

fn refused(failure: &Failure) -> Outcome {
    Outcome::Refused(failure.class.to_string(), failure.message.chars().take(110).collect())
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok()
}

/// An error, told to every caller.
fn error(recording: &Recording, failure: &Failure) -> Outcome {
    let mut told = Vec::new();
    for protocol in Protocol::ALL {
        let (_, body) = encode_error(failure, &caller(protocol), &[]);
        if !is_json(&body) {
            return Outcome::Failed(format!("{} as {}", recording.name, protocol.name()));
        }
        told.push(protocol.name());
    }
    Outcome::Translated(told)
}

fn answer(recording: &Recording, dialect: Dialect) -> Outcome {
    let body = &recording.response;
    let events = recording.decode(dialect, [body.clone()]);
    for at in [1, body.len() / 3, body.len() / 2, body.len().saturating_sub(2)] {
        let at = at.min(body.len());
        if recording.decode(dialect, [body.slice(..at), body.slice(at..)]) != events {
            return Outcome::Failed(format!("{}: split at {at}", recording.name));
        }
    }
    if let Some(Event::Error(failure)) = events.last() {
        return refused(failure);
    }
    let reply = match Collector::collect(events.clone()) {
        Ok(reply) => reply,
        Err(failure) => return refused(&failure),
    };
    let mut written = Vec::new();
    for protocol in Protocol::ALL {
        let whole = is_json(&encode_reply(&reply, &caller(protocol)));
        let mut writer = Writer::new(caller(protocol));
        let mut frames = Vec::new();
        for event in &events {
            writer.event(event, &mut frames);
        }
        let fine = |frame: &Bytes| {
            let text = String::from_utf8_lossy(frame);
            let data = text.split_once("data: ").map_or("", |(_, data)| data.trim());
            data == "[DONE]" || is_json(data.as_bytes())
        };
        if !whole || !frames.iter().all(fine) {
            return Outcome::Failed(format!("{} as {}", recording.name, protocol.name()));
        }
        written.push(protocol.name());
    }
    Outcome::Translated(written)
}

fn vectors(recording: &Recording, dialect: Dialect) -> Outcome {
    let value: Value = serde_json::from_slice(&recording.response).unwrap_or_default();
    let lists = ["data", "embeddings", "predictions"].map(|name| value[name].as_array());
    let count = lists.into_iter().flatten().map(Vec::len).next().unwrap_or(1);
    let request = embeddings::Request {
        model: "model".into(),
        input: embeddings::Input::Texts(vec![String::new(); count]),
        dimensions: None,
        base64: recording.request.as_deref().is_some_and(|text| text.contains("\"base64\"")),
        user: None,
        unknown: Vec::new(),
    };
    let mut from = Candidate::new(dialect, "ns/t", "model", "model");
    from.quirks = recording.compatible.then_some(&quirks::UNKNOWN);
    match embeddings::answer(&request, &from, &recording.response, 0) {
        Ok(whole) if is_json(&whole.body) => Outcome::Translated(vec!["embeddings"]),
        Ok(_) => Outcome::Failed(recording.name.clone()),
        Err(failure) => refused(&failure),
    }
}

/// A row: what became of a provider's recordings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) total: usize,
    /// Read, an error too.
    pub(crate) decoded: usize,
    /// Written again, by protocol.
    pub(crate) translated: BTreeMap<&'static str, usize>,
    /// No answer, by reason.
    pub(crate) refused: BTreeMap<String, usize>,
    pub(crate) failed: usize,
}

/// The table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) rows: BTreeMap<String, Row>,
    /// What was refused or failed, in words, and how often.
    pub(crate) words: BTreeMap<String, usize>,
}

impl Table {
    /// Takes in one recording, or the reason why a line is none.
    pub(crate) fn add(&mut self, provider: &str, recording: &Result<Recording, String>) {
        let row = self.rows.entry(provider.to_owned()).or_default();
        row.total += 1;
        let outcome = match recording {
            Ok(recording) => outcome(recording),
            Err(why) => Outcome::Failed(why.clone()),
        };
        match outcome {
            Outcome::Translated(protocols) => {
                row.decoded += 1;
                for protocol in protocols {
                    *row.translated.entry(protocol).or_default() += 1;
                }
            }
            Outcome::Refused(reason, words) => {
                let said =
                    if words.is_empty() { reason.clone() } else { format!("{reason}: {words}") };
                *self.words.entry(format!("{provider}: {said}")).or_default() += 1;
                *row.refused.entry(reason).or_default() += 1;
            }
            Outcome::Failed(why) => {
                *self.words.entry(format!("failed: {why}")).or_default() += 1;
                row.failed += 1;
            }
        }
    }

    /// The table of all recordings in these folders.
    pub(crate) fn of(folders: &[PathBuf]) -> Result<Self, String> {
        let mut table = Self::default();
        for folder in folders {
            for path in files(folder)? {
                let name = provider(&path).unwrap_or_default();
                for recording in read(&path)? {
                    table.add(&name, &recording);
                }
            }
        }
        Ok(table)
    }

    /// As JSON: `[{provider, total, decoded, translated, refused, failed}]`.
    pub(crate) fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|(provider, row)| {
            json!({
                "provider": provider,
                "total": row.total,
                "decoded": row.decoded,
                "translated": row.translated,
                "refused": row.refused,
                "failed": row.failed,
            })
        });
        rows.collect()
    }

    /// As a table for a reader, and below it what was refused, in the provider's words.
    pub(crate) fn to_text(&self) -> String {
        let list = |of: &mut dyn Iterator<Item = (&str, usize)>| -> String {
            let cells: Vec<String> = of.map(|(name, count)| format!("{name} {count}")).collect();
            cells.join(", ")
        };
        let mut out = String::from(
            "| Provider | Total | Decoded | Translated | Refused | Failed |\n\
             | --- | ---: | ---: | --- | --- | ---: |\n",
        );
        for (provider, row) in &self.rows {
            let translated = list(&mut row.translated.iter().map(|(name, n)| (*name, *n)));
            let refused = list(&mut row.refused.iter().map(|(name, n)| (name.as_str(), *n)));
            let _ = writeln!(
                out,
                "| {provider} | {} | {} | {translated} | {refused} | {} |",
                row.total, row.decoded, row.failed,
            );
        }
        for (words, count) in &self.words {
            let _ = writeln!(out, "{count:5} {words}");
        }
        out
    }
}
