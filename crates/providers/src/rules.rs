//! The rule of every field, for every dialect: mapped, adapted, dropped or refused. One table, from
//! which the translation takes its rules and its warnings' names, and the guide its tables.
//!
//! A cell says [`Rule::Mixed`] where the rule depends on the model or on the value; its sentence says
//! on what. What the code does is checked against its cell wherever it does it.

pub mod error;
pub mod events;
pub mod finish;
mod table;
pub mod usage;

pub use table::{FIELDS, Field};

use crate::protocol::Protocol;

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The dialect says the same.
    Map,
    /// Clamped or rewritten, with a warning: the caller still gets what was asked, nearly.
    Adapt,
    /// A hint, left out with a warning.
    Drop,
    /// The answer would be another one: the candidate is filtered.
    Refuse,
    /// One of these, by model or value.
    Mixed,
}

impl Rule {
    /// The letter in the guide's tables.
    pub fn letter(self) -> &'static str {
        match self {
            Self::Map => "M",
            Self::Adapt => "A",
            Self::Drop => "D",
            Self::Refuse => "R",
            Self::Mixed => "M, A, D or R",
        }
    }
}

/// A dialect's column of the table. OpenAI has two: its chat endpoint and `/responses`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Column {
    /// Chat completions of OpenAI and Azure.
    OpenAi,
    /// `/responses`, where it is served.
    Responses,
    /// Chat completions of other servers.
    Compatible,
    /// Anthropic, and Claude on VertexAI.
    Anthropic,
    /// Gemini, and Gemini on VertexAI.
    Gemini,
    /// Bedrock's Converse.
    Bedrock,
}

impl Column {
    /// Every one, in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::OpenAi,
        Self::Responses,
        Self::Compatible,
        Self::Anthropic,
        Self::Gemini,
        Self::Bedrock,
    ];

    /// The heading.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "OpenAI (chat)",
            Self::Responses => "OpenAI (responses)",
            Self::Compatible => "OpenAICompatible",
            Self::Anthropic => "Anthropic",
            Self::Gemini => "Gemini",
            Self::Bedrock => "Bedrock",
        }
    }
}

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The rule.
    pub rule: Rule,
    /// How, in a few words; empty where the field is sent as it is, or the rule says it all.
    pub says: &'static str,
}

impl Cell {
    /// Whether the code may do this here.
    pub fn allows(&self, rule: Rule) -> bool {
        self.rule == Rule::Mixed || self.rule == rule
    }
}

/// One row: a field and its rule in each dialect.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The field.
    pub field: Field,
    /// Its names in Chat, Responses and Messages; empty where the protocol lacks it.
    pub names: [&'static str; 3],
    /// The cells, in the order of [`Column::ALL`].
    pub cells: [Cell; 6],
}

impl Field {
    /// The field's row.
    pub fn row(self) -> &'static Row {
        &FIELDS[self as usize]
    }

    /// Its rule in a dialect.
    pub fn cell(self, column: Column) -> &'static Cell {
        &self.row().cells[column as usize]
    }

    /// What the caller calls it.
    pub fn name(self, protocol: Protocol) -> &'static str {
        let names = &self.row().names;
        let own = match protocol {
            Protocol::Chat | Protocol::Completions => names[0],
            Protocol::Responses => names[1],
            Protocol::Messages => names[2],
        };
        if own.is_empty() {
            names.iter().find(|name| !name.is_empty()).copied().unwrap_or_default()
        } else {
            own
        }
    }
}

/// What was done to a field on the way to a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Clamped or rewritten.
    Adapted,
    /// Left out.
    Dropped,
}

impl Action {
    /// As the metadata say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Adapted => "adapted",
            Self::Dropped => "dropped",
        }
    }
}

/// A warning for the answer's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The field, as the caller names it.
    pub field: String,
    /// What was done.
    pub action: Action,
    /// How, and why.
    pub detail: String,
}

/// Why a candidate cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct Refusal {
    /// The field, as the caller names it: the error's `param`.
    pub field: String,
    /// Why.
    pub detail: String,
    /// It is bound to one provider: the error's code is `not_portable`.
    pub not_portable: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_at_its_fields_place_and_named() {
        for (at, row) in FIELDS.iter().enumerate() {
            assert_eq!(row.field as usize, at);
            assert!(row.names.iter().any(|name| !name.is_empty()), "{:?}", row.field);
            for (cell, column) in row.cells.iter().zip(Column::ALL) {
                let bare = cell.says.is_empty();
                let silent = matches!(cell.rule, Rule::Mixed | Rule::Adapt) && bare;
                assert!(!silent, "{:?} of {}: says nothing", row.field, column.name());
            }
        }
    }
}
