//! Labelled prompts, one JSON object a line: `text` or `messages`, perhaps `category`, and for
//! training `source` and `style`.

use serde::Deserialize;

use crate::text::{Part, Role, prompt_text};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What a detector looks at.
    pub text: String,
    /// The label, with `-` for `_`; `None` if there is none.
    pub category: Option<String>,
    /// Where it is from; sources whose names begin with the same word are kin. Empty if not told.
    pub source: String,
    /// How it came to be: `natural`, `benchmark`, `template` ... Empty if not told.
    pub style: String,
}

/// A line that is no prompt.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct DatasetError {
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

#[derive(Deserialize)]
struct Line {
    text: Option<String>,
    messages: Option<Vec<Message>>,
    category: Option<String>,
    #[serde(default)]
    source: String,
    #[serde(default)]
    style: String,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type", default)]
    kind: String,
    text: Option<String>,
}

/// Reads all lines; empty ones are skipped.
pub fn prompts(text: &str) -> Result<Vec<Prompt>, DatasetError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = lines
        .map(|(at, line)| prompt(line).map_err(|problem| DatasetError { line: at + 1, problem }));
    read.collect()
}

fn prompt(line: &str) -> Result<Prompt, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let text = match (line.text, line.messages) {
        (Some(text), None) => text,
        (None, Some(messages)) => prompt_text(&parts(&messages)).unwrap_or_default(),
        (Some(_), Some(_)) => {
            return Err("has both `text` and `messages`: leave one out".to_owned());
        }
        (None, None) => return Err("has neither `text` nor `messages`".to_owned()),
    };
    let category = line.category.map(|name| name.replace('_', "-"));
    Ok(Prompt { text, category, source: line.source, style: line.style })
}

/// Messages of any of the protocols, as far as they are text.
fn parts(messages: &[Message]) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for (message, one) in messages.iter().enumerate() {
        let role = if one.role == "user" { Role::User } else { Role::Other };
        match &one.content {
            Some(Content::Text(text)) => {
                parts.push(Part { message, role, tool_result: false, text });
            }
            Some(Content::Blocks(blocks)) => {
                let texts = blocks.iter().filter_map(|block| {
                    let text = block.text.as_deref()?;
                    let tool_result = block.kind == "tool_result";
                    Some(Part { message, role, tool_result, text })
                });
                parts.extend(texts);
            }
            None => {}
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_conversations_are_read() {
        let lines = concat!(
            r#"{"text": "Hi", "category": "question_answering", "source": "a b", "style": "natural"}"#,
            "\n\n",
            r#"{"messages": [{"role": "user", "content": [{"type": "text", "text": "Fix it"}]},"#,
            r#" {"role": "assistant", "content": null},"#,
            r#" {"role": "user", "content": [{"type": "tool_result", "content": "no"}]}]}"#,
        );
        let read = prompts(lines).unwrap();
        assert_eq!(read[0].category.as_deref(), Some("question-answering"));
        assert_eq!((read[1].text.as_str(), read[1].category.clone()), ("Fix it", None));
    }

    #[test]
    fn a_bad_line_is_named() {
        for (line, expected) in [
            ("{\"text\": \"a\"}\n{", "line 2: "),
            ("{}", "line 1: has neither"),
            ("{\"text\": \"a\", \"messages\": []}", "line 1: has both"),
        ] {
            let error = prompts(line).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
