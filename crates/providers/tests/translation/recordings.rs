//! Recorded pairs and published schemas, from the folder that `MONIKER_DATA` names.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use base64::Engine as _;
use bytes::Bytes;
use jsonschema::Validator;
use providers::{dialect::Dialect, protocol::Protocol};
use serde_json::{Value, json};

/// One recorded pair.
pub(crate) struct Recording {
    /// The provider, the path and the place in its file.
    pub(crate) name: String,
    pub(crate) provider: &'static str,
    pub(crate) dialect: Dialect,
    pub(crate) compatible: bool,
    pub(crate) status: u16,
    pub(crate) request: Option<String>,
    pub(crate) response: Bytes,
}

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("MONIKER_DATA").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: MONIKER_DATA names no folder with recordings/*.jsonl.gz and schemas");
    }
    folder
}

/// Every pair of an endpoint that makes answers; `None` without the folder.
pub(crate) fn all() -> Option<Vec<Recording>> {
    let folder = folder()?;
    let names = ["openai", "azure", "anthropic", "gemini", "vertex", "bedrock", "compatible"];
    Some(names.into_iter().flat_map(|name| file(&folder, name)).collect())
}

fn file(folder: &Path, provider: &'static str) -> Vec<Recording> {
    let path = folder.join(format!("recordings/{provider}.jsonl.gz"));
    let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    lines
        .enumerate()
        .filter_map(|(at, line)| {
            let value: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let path = value["path"].as_str().unwrap_or_default();
            let dialect = dialect(path)?;
            let response = match value["response_base64"].as_str() {
                Some(data) => base64::engine::general_purpose::STANDARD.decode(data).unwrap(),
                None => value["response"].as_str().unwrap_or_default().into(),
            };
            Some(Recording {
                name: format!("{provider}:{at} {path}"),
                provider,
                dialect,
                compatible: matches!(provider, "compatible" | "azure"),
                status: u16::try_from(value["status"].as_u64().unwrap()).unwrap(),
                request: value["request"].as_str().map(str::to_owned),
                response: response.into(),
            })
        })
        .collect()
}

/// The dialect of a path; `None` for what makes no answers (embeddings, threads, InvokeModel, whose
/// form is each model's own).
fn dialect(path: &str) -> Option<Dialect> {
    let path = path.split(['?', '#']).next()?;
    if path.contains("/threads/") {
        return None;
    }
    Some(match path {
        p if p.ends_with("/chat/completions") || p.ends_with("/v1/completions") => {
            Dialect::OpenAiChat
        }
        p if p.ends_with("/responses") => Dialect::OpenAiResponses,
        p if p.ends_with("/v1/messages") => Dialect::Anthropic,
        p if p.ends_with(":generateContent") || p.ends_with(":streamGenerateContent") => {
            Dialect::Gemini
        }
        p if p.ends_with("/converse") || p.ends_with("/converse-stream") => Dialect::Bedrock,
        _ => return None,
    })
}

/// The published schemas of what callers expect.
pub(crate) struct Schemas {
    chat: Validator,
    chat_chunk: Validator,
    response: Validator,
    response_event: Validator,
    message: Validator,
    message_event: Validator,
    openai_error: Validator,
    anthropic_error: Validator,
}

impl Schemas {
    /// Loads them. The folder must be there.
    pub(crate) fn load() -> Self {
        let folder = folder().unwrap().join("schemas");
        let read = |name: &str| -> Value {
            let text = std::fs::read_to_string(folder.join(name)).unwrap();
            serde_json::from_str(&text).unwrap()
        };
        let (openai, anthropic) = (read("openai.json"), read("anthropic.json"));
        let of = |whole: &Value, name: &str| {
            let schema = json!({"$ref": format!("#/$defs/{name}"), "$defs": whole["$defs"]});
            jsonschema::draft202012::new(&schema).unwrap()
        };
        Self {
            chat: of(&openai, "CreateChatCompletionResponse"),
            chat_chunk: of(&openai, "CreateChatCompletionStreamResponse"),
            response: of(&openai, "Response"),
            response_event: of(&openai, "ResponseStreamEvent"),
            message: of(&anthropic, "Message"),
            message_event: of(&anthropic, "RawMessageStreamEvent"),
            openai_error: of(&openai, "ErrorResponse"),
            anthropic_error: of(&anthropic, "ErrorResponse"),
        }
    }

    /// What is wrong with a whole answer.
    pub(crate) fn answer(&self, protocol: Protocol, body: &[u8]) -> Option<String> {
        check(
            match protocol {
                Protocol::Chat | Protocol::Completions => &self.chat,
                Protocol::Responses => &self.response,
                Protocol::Messages => &self.message,
            },
            body,
        )
    }

    /// What is wrong with an error.
    pub(crate) fn error(&self, protocol: Protocol, body: &[u8]) -> Option<String> {
        let messages = protocol == Protocol::Messages;
        check(if messages { &self.anthropic_error } else { &self.openai_error }, body)
    }

    /// What is wrong with a frame of a stream.
    pub(crate) fn event(&self, protocol: Protocol, frame: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(frame);
        let data = text.split_once("data: ").map(|(_, data)| data.trim()).unwrap_or_default();
        if data == "[DONE]" {
            return None;
        }
        check(
            match protocol {
                Protocol::Chat | Protocol::Completions => &self.chat_chunk,
                Protocol::Responses => &self.response_event,
                Protocol::Messages => &self.message_event,
            },
            data.as_bytes(),
        )
    }
}

fn check(schema: &Validator, body: &[u8]) -> Option<String> {
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => return Some(error.to_string()),
    };
    let error = schema.validate(&value).err()?;
    let mut text: String = error.to_string().chars().take(300).collect();
    text.push_str(&format!(" at {}", error.instance_path()));
    Some(text)
}
