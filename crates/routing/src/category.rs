//! The categories of an alias as routers serve them: how the category of a prompt is told, what is
//! known of each, and the lineup of each. The lineup of Default is the alias's own.

use serde::{Deserialize, Serialize};

use crate::{
    id::ObjectId,
    snapshot::{CompiledCandidate, CompiledLineup},
};

/// The name of where prompts go whose category is not sure enough, or has no lineup.
pub const DEFAULT: &str = "default";

/// What of an alias depends on a prompt's category. A place is an index of `overrides`, and of
/// `known.categories`: they are as many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledChoice {
    /// How the category is told.
    pub detector: CompiledDetector,
    /// By what each category is known.
    pub known: CompiledCategories,
    /// The lineup of each category.
    pub overrides: Vec<CompiledOverride>,
}

/// A category's lineup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledOverride {
    /// Its candidates; at most [`MAX_CANDIDATES`](crate::snapshot::MAX_CANDIDATES).
    pub candidates: Vec<CompiledCandidate>,
    /// How they are ordered. With `fallbackToDefault` its last tier is Default's lineup.
    pub lineup: CompiledLineup,
}

/// Who tells the category.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum DetectorKind {
    /// The router, from the prompt, in microseconds.
    #[default]
    Builtin,
    /// The caller, by the header x-moniker-category.
    Header,
    /// A model behind another alias.
    Alias,
}

/// What one category is told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Sticky {
    /// Each request by itself, from the last message of the user.
    #[default]
    None,
    /// The whole conversation, from the first message of the user in its history.
    Session,
}

/// How the category of a prompt is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledDetector {
    /// By whom.
    pub kind: DetectorKind,
    /// How sure it must be, in percent; below that, Default.
    pub confidence_percent: u8,
    /// From what of a conversation.
    pub sticky: Sticky,
    /// Whether a caller's header goes before it.
    pub allow_header: bool,
    /// Whom [`DetectorKind::Alias`] asks; `None`: there is nobody that may be asked, so Default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<CompiledJudge>,
}

/// An alias whose model names categories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledJudge {
    /// The alias.
    pub alias: ObjectId,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
}

/// By what the categories of an alias are known, in the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledCategories {
    /// Each category.
    pub categories: Vec<CompiledCategory>,
    /// What a trained score is multiplied with before it is a likelihood.
    pub sharpness: f32,
}

/// By what a category is known. One that is built in may have nothing but its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledCategory {
    /// Its name.
    pub name: String,
    /// What belongs to it, for a judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Regular expressions that decide at once: those of keywords, then its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
    /// What was learnt from its examples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained: Option<Trained>,
}

/// What was learnt from a category's examples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trained {
    /// How many examples there were.
    pub examples: u32,
    /// Of these, how many percent are told right by what was learnt from all the others.
    pub leave_one_out_percent: u8,
    /// The weights, as `classify` packs and reads them.
    pub weights: String,
}

/// Below this, examples do not tell a category: they are too few, or too unlike each other.
const POOR_PERCENT: u8 = 60;

impl Trained {
    /// Whether its owner should be warned.
    pub fn is_poor(&self) -> bool {
        self.leave_one_out_percent < POOR_PERCENT
    }
}
