//! `spec.categories` of a ModelAlias: how a prompt's category is told, and a lineup for each.

use routing::{
    StrategySpec,
    category::{DetectorKind, Sticky},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{alias::Entry, duration::PATTERN};

/// The lineups of an alias by what a prompt asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Categories {
    /// How the category of a prompt is told. Default: the built-in detector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<Detector>,
    /// The lineup of every prompt that is not clearly of a category below. It cannot be left out.
    pub default: DefaultLineup,
    /// The lineups of categories. Of two whose keywords or regexes match, the first. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub overrides: Option<Vec<Override>>,
}

/// How the category of a prompt is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Detector {
    /// Builtin: the router, from the text of the prompt, in microseconds. Header: the caller, by the
    /// header x-moniker-category. Alias: a model behind another alias, which is asked what keywords
    /// and regexes leave open. Whatever fails, the prompt goes to `default`.
    #[serde(rename = "type")]
    pub kind: DetectorKind,
    /// How sure a category must be, in percent; a prompt that is less sure goes to `default`.
    /// Default: 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub confidence_percent: Option<i32>,
    /// None: each request is told by the last message of the user. Session: by the first one of its
    /// history, so that a conversation keeps its category. Default: None.
    // As the plain enum: of an Option, the schema has the enum's words instead of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Sticky")]
    pub sticky: Option<Sticky>,
    /// Whether a caller's x-moniker-category goes before the detector. With Header it always
    /// counts. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_header: Option<bool>,
    /// Whom `type: Alias` asks. Default: nobody; required with Alias, and only with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<Judge>,
}

/// The alias whose model names a prompt's category. It sees the beginning and the end of the prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Judge {
    /// metadata.name of the ModelAlias. Its strategy must not be Category.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The namespace of the ModelAlias. Default: this object's. Another needs its export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// How long a request waits for it, such as 300ms. Default: 300ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = PATTERN))]
    pub timeout: Option<String>,
}

/// The lineup of prompts that are not clearly of another category.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DefaultLineup {
    /// How the targets are ordered; not Category.
    pub strategy: StrategySpec,
    /// The lineup. Under Priority the order of the list is the order of preference.
    #[schemars(length(min = 1, max = 32))]
    pub targets: Vec<Entry>,
}

/// A category and its lineup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// A built-in category: coding, content-writing, translation, classification, summarization,
    /// math-reasoning or question-answering. Or any other name, which `match` must say how to know.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// How to know the category. Default: as the built-in detector does.
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<Match>,
    /// Whether `default`'s lineup stands behind this one, for when all targets of it fail.
    /// Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_to_default: Option<bool>,
    /// How the targets are ordered; not Category.
    pub strategy: StrategySpec,
    /// The lineup. Under Priority the order of the list is the order of preference.
    #[schemars(length(min = 1, max = 32))]
    pub targets: Vec<Entry>,
}

/// How to know a category: at least one of these. Keywords and regexes decide before any detector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// What belongs to it, in words. Only a model can go by it: it needs `detector.type: Alias`.
    /// Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub description: Option<String>,
    /// Prompts that belong to it, from which the built-in detector learns. How well it does is in
    /// status.lineups[].training. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 5, max = 50), inner(length(min = 1, max = 2048)))]
    pub examples: Option<Vec<String>>,
    /// Words and phrases that a prompt of it has: whole words, whatever their case. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), inner(length(min = 1, max = 128)))]
    pub keywords: Option<Vec<String>>,
    /// Regular expressions, one of which matches somewhere in a prompt of it, whatever the case. No
    /// look-around and no back-references: every search takes linear time. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), inner(length(min = 1, max = 512)))]
    pub regexes: Option<Vec<String>>,
}
