//! What is wrong with the files, in the one form that people and programs read.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It does not work.
    Error,
    /// It works, but not as its author may expect.
    Warning,
}

/// What found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The file cannot be read, or there is none.
    File,
    /// The text is no YAML or JSON.
    Syntax,
    /// The object does not fit the schema of its kind.
    Structure,
    /// A rule of its kind refuses it.
    Rule,
    /// It does not fit the other objects.
    Compile,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What found it.
    pub stage: Stage,
    /// The file, as it was named; `-` for standard input.
    pub file: String,
    /// The line, from 1: of the field if it is known, else of the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The kind of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its namespace and name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The field, such as `spec.targets[0].weight`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The reason that a condition would have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Problem {
    /// A file that cannot be used.
    pub(super) fn file(file: &str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            stage: Stage::File,
            file: file.to_owned(),
            line: None,
            kind: None,
            object: None,
            path: None,
            reason: None,
            message: message.into(),
        }
    }
}

/// `lineup.yaml:7: ModelAlias shop/chat: spec.strateggy: unknown field; did you mean strategy?`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        match (&self.kind, &self.object) {
            (Some(kind), Some(object)) => write!(f, "{kind} {object}: ")?,
            (Some(kind), None) => write!(f, "{kind}: ")?,
            (None, _) => {}
        }
        if let Some(path) = &self.path {
            write!(f, "{path}: ")?;
        }
        f.write_str(&self.message)
    }
}
