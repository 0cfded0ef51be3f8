//! The schemas that OpenAI and Anthropic publish, from the folder that `MONIKER_DATA` names.

use std::{path::PathBuf, sync::LazyLock};

use http::{HeaderMap, header::CONTENT_TYPE};
use jsonschema::Validator;
use providers::dialect::Dialect;
use serde_json::{Value, json};

/// For each dialect that has a schema: that of an answer, of an event and of an error.
pub(crate) struct Schemas {
    answer: Validator,
    event: Validator,
    error: Validator,
}

static FOLDER: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let folder = std::env::var_os("MONIKER_DATA").map(|data| PathBuf::from(data).join("schemas"));
    if folder.is_none() {
        println!("skipped: MONIKER_DATA names no folder with schemas");
    }
    folder
});

static CHAT: LazyLock<Option<Schemas>> = LazyLock::new(|| {
    Schemas::load(
        "openai.json",
        ["CreateChatCompletionResponse", "CreateChatCompletionStreamResponse", "ErrorResponse"],
    )
});
static RESPONSES: LazyLock<Option<Schemas>> = LazyLock::new(|| {
    Schemas::load("openai.json", ["Response", "ResponseStreamEvent", "ErrorResponse"])
});
static MESSAGES: LazyLock<Option<Schemas>> = LazyLock::new(|| {
    Schemas::load("anthropic.json", ["Message", "RawMessageStreamEvent", "ErrorResponse"])
});

impl Schemas {
    fn load(file: &str, names: [&str; 3]) -> Option<Self> {
        let path = FOLDER.as_ref()?.join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        let whole: Value = serde_json::from_str(&text).unwrap();
        let of = |name: &str| {
            let schema = json!({"$ref": format!("#/$defs/{name}"), "$defs": whole["$defs"]});
            jsonschema::draft202012::new(&schema).unwrap()
        };
        let [answer, event, error] = names.map(of);
        Some(Self { answer, event, error })
    }

    fn of(dialect: Dialect) -> Option<&'static Self> {
        match dialect {
            Dialect::OpenAiChat => CHAT.as_ref(),
            Dialect::OpenAiResponses => RESPONSES.as_ref(),
            Dialect::Anthropic => MESSAGES.as_ref(),
            Dialect::Gemini | Dialect::Bedrock => None,
        }
    }

    /// An answer, or each event of a stream, is valid.
    pub(crate) fn check(dialect: Dialect, headers: &HeaderMap, body: &[u8]) {
        let Some(schemas) = Self::of(dialect) else { return };
        let stream = headers[CONTENT_TYPE].to_str().unwrap() == "text/event-stream";
        if !stream {
            return valid(&schemas.answer, body);
        }
        let text = std::str::from_utf8(body).unwrap();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        // Pings are no events of Anthropic's schema; an error in mid-stream is one of its own.
        let told = |data: &&str| {
            *data != "[DONE]" && !data.contains(r#""ping""#) && !data.contains(r#""error":{"#)
        };
        for data in data.filter(told) {
            valid(&schemas.event, data.as_bytes());
        }
    }

    /// An error is valid.
    pub(crate) fn error(dialect: Dialect, body: &[u8]) {
        if let Some(schemas) = Self::of(dialect) {
            valid(&schemas.error, body);
        }
    }
}

fn valid(schema: &Validator, body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    let value: Value = serde_json::from_slice(body).unwrap_or_else(|e| panic!("{e}: {text}"));
    if let Err(error) = schema.validate(&value) {
        let why: String = error.to_string().chars().take(300).collect();
        panic!("{why} at {} in {text}", error.instance_path());
    }
}
