//! Recorded pairs and published schemas, from the folder that `MONIKER_DATA` names.

use std::path::PathBuf;

use jsonschema::Validator;
use providers::protocol::Protocol;
use serde_json::{Value, json};

use super::coverage::{self, Recording};

/// The folder, if it is named.
pub(crate) fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("MONIKER_DATA").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: MONIKER_DATA names no folder with recordings/*.jsonl.gz and schemas");
    }
    folder
}

/// Every pair; `None` without the folder.
pub(crate) fn all() -> Option<Vec<Recording>> {
    let files = coverage::files(&folder()?).unwrap();
    let lines = files.iter().flat_map(|path| coverage::read(path).unwrap());
    Some(lines.map(Result::unwrap).collect())
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
