//! A request as far as the demo cares: what was said last, what it may do, how it is to answer. Each
//! dialect reads its own.

use serde_json::Value;

use super::fault::Fault;

/// A request for a text.
#[derive(Clone, Debug, Default)]
pub(super) struct Ask {
    /// The model that is asked.
    pub(super) model: String,
    /// The conversation.
    pub(super) talk: Talk,
    /// The tools that it may call.
    pub(super) tools: Vec<Tool>,
    /// Whether it must.
    pub(super) choice: Choice,
    /// Whether it may call one tool alone.
    pub(super) single: bool,
    /// The form of the answer.
    pub(super) format: Format,
    /// Whether to think aloud.
    pub(super) thinks: bool,
    /// The most tokens of the answer.
    pub(super) limit: Option<u64>,
    /// Texts at which to stop.
    pub(super) stops: Vec<String>,
}

/// A tool.
#[derive(Clone, Debug, Default)]
pub(super) struct Tool {
    /// Its name.
    pub(super) name: String,
    /// The JSON schema of its arguments; null for a tool that takes free text.
    pub(super) schema: Value,
}

/// Whether tools are called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Choice {
    /// As the demo likes: it calls one, unless results of tools have just come.
    #[default]
    Auto,
    /// None.
    Never,
    /// One at least, of these; empty: of all.
    Must(Vec<String>),
}

/// The form of an answer.
#[derive(Clone, Debug, Default)]
pub(super) enum Format {
    /// Text.
    #[default]
    Text,
    /// JSON of this schema.
    Json(Value),
}

/// The conversation so far, put together message by message.
#[derive(Clone, Debug, Default)]
pub(super) struct Talk {
    /// What the user said last.
    pub(super) prompt: String,
    /// What tools gave since the model spoke last.
    pub(super) results: Vec<String>,
    /// The words of all of it.
    pub(super) words: usize,
    /// How many images, documents and sounds there are.
    pub(super) images: usize,
    pub(super) documents: usize,
    pub(super) sounds: usize,
    /// Calls that have no result yet, and all that there were.
    open: Vec<String>,
    calls: Vec<String>,
    fresh: bool,
}

impl Talk {
    /// A turn of the user begins.
    pub(super) fn user(&mut self) {
        self.fresh = true;
    }

    /// A message of the user, as OpenAI's protocols have it: a text, or parts, of which an image and
    /// a document have these types.
    pub(super) fn asks(&mut self, content: &Value, [image, document]: [&str; 2]) {
        self.user();
        if let Some(text) = content.as_str() {
            self.says(text);
        }
        for part in list(content) {
            match part["type"].as_str() {
                Some("input_audio") => self.sounds += 1,
                Some(kind) if kind == image => self.images += 1,
                Some(kind) if kind == document => self.documents += 1,
                _ => self.says(part["text"].as_str().unwrap_or_default()),
            }
        }
    }

    /// A turn of the model begins: what tools gave before is dealt with.
    pub(super) fn model(&mut self) {
        self.results.clear();
    }

    /// What the user says.
    pub(super) fn says(&mut self, text: &str) {
        self.hears(text);
        if text.trim().is_empty() {
            return;
        }
        if std::mem::take(&mut self.fresh) {
            text.clone_into(&mut self.prompt);
        } else {
            self.prompt = format!("{} {text}", self.prompt);
        }
    }

    /// What counts as input and is no question: instructions, what the model said before.
    pub(super) fn hears(&mut self, text: &str) {
        self.words += text.split_whitespace().count();
    }

    /// The model called a tool.
    pub(super) fn calls(&mut self, id: &str) {
        self.open.push(id.to_owned());
        self.calls.push(id.to_owned());
    }

    /// A tool gave a result; false when nobody called it.
    #[must_use]
    pub(super) fn gives(&mut self, id: &str, result: String) -> bool {
        self.hears(&result);
        self.results.push(result);
        self.open.retain(|open| open != id);
        self.calls.iter().any(|call| call == id)
    }

    /// Calls that nothing has answered.
    pub(super) fn unanswered(&self) -> &[String] {
        &self.open
    }

    /// The tokens of the input: words, and a round number for each picture, page and sound.
    pub(super) fn tokens(&self) -> usize {
        let media = self.images + self.documents + self.sounds;
        (self.words + 250 * media).max(1)
    }
}

/// The text of a string, or of the parts of a list.
pub(super) fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let part = |p: &Value| p.as_str().or_else(|| p["text"].as_str()).map(str::to_owned);
            parts.iter().filter_map(part).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

/// The members of an array; nothing for anything else.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A list of strings, or one string.
pub(super) fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        other => list(other).iter().filter_map(Value::as_str).map(str::to_owned).collect(),
    }
}

/// The first member of an object that is not among `known`.
pub(super) fn stranger<'a>(object: &'a Value, known: &[&str]) -> Option<&'a str> {
    let names = object.as_object()?.keys().map(String::as_str);
    names.into_iter().find(|name| !known.contains(name))
}

/// The model's name in the body.
pub(super) fn model(body: &Value) -> Result<String, Fault> {
    match body["model"].as_str() {
        Some(model) if !model.is_empty() => Ok(model.to_owned()),
        _ => Err(Fault::at("model", "you must provide a model parameter")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_talk_knows_its_question_and_its_calls() {
        let mut talk = Talk::default();
        talk.user();
        talk.says("what is");
        talk.says("love");
        assert_eq!(talk.prompt, "what is love");
        talk.model();
        talk.calls("1");
        assert_eq!(talk.unanswered(), ["1"]);
        assert!(talk.gives("1", "baby".to_owned()));
        assert!(talk.unanswered().is_empty());
        assert!(!talk.gives("2", String::new()));
        talk.model();
        assert!(talk.results.is_empty());
        assert_eq!(talk.words, 4);
    }
}
