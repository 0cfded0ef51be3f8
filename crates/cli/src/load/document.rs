//! From text to values: the documents of a file, each with the line at which it begins.

use serde_json::{Map, Value};
use serde_yaml::Value as Yaml;

use super::{locate, path::Path};

/// One document of a file.
#[derive(Clone, Copy)]
pub(super) struct Document<'a> {
    /// How many lines of the file are before its text.
    pub(super) before: usize,
    /// Its text, which may hold secrets.
    pub(super) text: &'a str,
}

/// Text that is no document.
pub(super) struct SyntaxError {
    pub(super) line: Option<usize>,
    pub(super) message: String,
}

/// A text without the mark of its encoding.
pub(super) fn text(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The documents of a text, one after the other and without gaps: a line that begins with `---` starts one, wherever it stands.
pub(super) fn split(text: &str) -> Vec<Document<'_>> {
    let text = self::text(text);
    let (mut documents, mut start, mut before, mut at) = (Vec::new(), 0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let mark = line.strip_prefix("---");
        if at > 0
            && mark.is_some_and(|rest| rest.trim_start().len() < rest.len() || rest.is_empty())
        {
            documents.push(Document { before, text: text.get(start..at).unwrap_or_default() });
            (start, before) = (at, number);
        }
        at += line.len();
    }
    documents.push(Document { before, text: text.get(start..).unwrap_or_default() });
    documents
}

impl Document<'_> {
    /// The whole of a text that is one document.
    #[cfg(test)]
    fn whole(text: &str) -> Document<'_> {
        Document { before: 0, text }
    }

    /// Its value as Kubernetes reads it, as JSON; null if there is nothing in it.
    pub(super) fn value(self) -> Result<Value, SyntaxError> {
        // Not all of JSON is YAML to this parser: escapes of two halves are not.
        if self.text.trim_start().starts_with('{')
            && let Ok(value) = serde_json::from_str(self.text)
            && !repeats(self.text)
        {
            return Ok(value);
        }
        let read = |text: &str| -> Result<Yaml, serde_yaml::Error> {
            let mut value: Yaml = serde_yaml::from_str(text)?;
            value.apply_merge()?;
            Ok(value)
        };
        let value = read(self.text).map_err(|_| {
            // Read once more where it stands in the file, so that all lines in the message are right.
            let error = read(&("\n".repeat(self.before) + self.text)).err();
            let location = error.as_ref().and_then(serde_yaml::Error::location);
            let message = error.map(|error| error.to_string()).unwrap_or_default();
            SyntaxError {
                line: Some(location.map_or(self.before + 1, |location| location.line())),
                message: if message.contains("more than one document") {
                    "a second document begins in it; put `---` on a line between them".to_owned()
                } else {
                    message
                },
            }
        })?;
        json(value, &Path::default())
            .map_err(|(path, message)| SyntaxError { line: self.line(&path), message })
    }

    /// The line in the file of what the path leads to.
    pub(super) fn line(self, path: &Path) -> Option<usize> {
        Some(locate::line(self.text, &path.0)? + self.before)
    }

    /// Whether this text, at this path, stands there without quotes.
    pub(super) fn is_plain(self, path: &Path, value: &str) -> bool {
        locate::is_plain(self.text, &path.0, value)
    }
}

/// Whether a JSON text has a key twice in one object, which only the YAML parser tells.
fn repeats(text: &str) -> bool {
    let error = serde_yaml::from_str::<Yaml>(text).err();
    error.is_some_and(|error| error.to_string().contains("duplicate entry"))
}

fn json(value: Yaml, path: &Path) -> Result<Value, (Path, String)> {
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(value),
        Yaml::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(n), _, _) => n.into(),
            (None, Some(n), _) => n.into(),
            (None, None, n) => {
                n.and_then(serde_json::Number::from_f64).map(Value::Number).ok_or((
                    path.clone(),
                    format!("{path}: a number that JSON does not have; give a finite one"),
                ))?
            }
        },
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => {
            let items = items.into_iter().enumerate().map(|(i, item)| json(item, &path.item(i)));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(members) => {
            let mut map = Map::new();
            for (key, value) in members {
                let name = match key {
                    Yaml::String(name) => name,
                    Yaml::Bool(value) => value.to_string(),
                    Yaml::Number(number) => number.to_string(),
                    _ => {
                        return Err((
                            path.clone(),
                            format!("{path}: a key that is no text; quote it"),
                        ));
                    }
                };
                let value = json(value, &path.member(&name))?;
                map.insert(name, value);
            }
            Value::Object(map)
        }
        Yaml::Tagged(tagged) => {
            let message = format!("{path}: the tag {} is not read; remove it", tagged.tag);
            return Err((path.clone(), message));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_told_apart_and_know_their_lines() {
        let text = "# first\na: 1\n---\n---   \nb: |\n  ---x\n  y\n--- {c: 2}\n---\n";
        let documents = split(text);
        let values: Vec<_> =
            documents.iter().map(|d| d.value().map_err(|e| e.message).unwrap()).collect();
        assert_eq!(
            values,
            [
                serde_json::json!({"a": 1}),
                Value::Null,
                serde_json::json!({"b": "---x\ny\n"}),
                serde_json::json!({"c": 2}),
                Value::Null
            ]
        );
        assert_eq!(documents[2].line(&Path::parse("b")), Some(5));
        assert_eq!(documents[3].line(&Path::parse("c")), Some(8));
    }

    #[test]
    fn bad_text_is_told_by_its_line_in_the_file() {
        let text = "a: 1\n---\nkind: [unclosed\n---\nb: 1\nb: 2\n---\n? [1]\n: x\n---\nc: !t x\n";
        let lines: Vec<_> =
            split(text).iter().map(|d| d.value().err().map(|e| (e.line, e.message))).collect();
        assert!(lines[0].is_none());
        let bad = |i: usize| lines[i].clone().unwrap();
        assert!((3..=4).contains(&bad(1).0.unwrap()), "{:?}", bad(1));
        assert!(bad(1).1.contains("line 3"), "{:?}", bad(1));
        assert!(bad(2).1.contains("duplicate entry"), "{:?}", bad(2));
        assert!(bad(3).1.contains("quote it"), "{:?}", bad(3));
        assert_eq!(bad(4).0, Some(11), "{:?}", bad(4));
    }

    #[test]
    fn json_is_read_with_all_its_escapes_and_no_key_twice() {
        let value = Document::whole(r#"{"a": "\ud83d\ude00", "b": "\/"}"#).value();
        assert_eq!(value.map_err(|e| e.message).unwrap()["a"], "\u{1f600}");
        assert!(Document::whole(r#"{"a": 1, "a": 2}"#).value().is_err());
    }

    #[test]
    fn merge_keys_and_keys_that_are_numbers_are_read_as_kubectl_reads_them() {
        let text = "x: &x {a: 1}\ny: {<<: *x, b: 2}\n1: z\n";
        let value = Document::whole(text).value().map_err(|e| e.message).unwrap();
        assert_eq!(value["y"], serde_json::json!({"a": 1, "b": 2}));
        assert_eq!(value["1"], "z");
    }
}
