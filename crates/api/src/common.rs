//! What the kinds share: references, who may use an object, and who serves it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A key of a Secret or ConfigMap in the namespace of the object that names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRef {
    /// `metadata.name` of the Secret or ConfigMap, in the namespace of this object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in its data.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// Which of the ready routers serve an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProgrammedStatus {
    /// The generation that this is about.
    pub generation: i64,
    /// `All`, or how many of how many do: 2/3.
    pub routers: String,
}

/// Which namespaces may use an object, beside its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExportFrom {
    /// Its own namespace alone.
    #[default]
    Same,
    /// Every namespace.
    All,
    /// The namespaces whose labels match `selector`.
    Selector,
}

/// Which namespaces may use this object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Export {
    /// Same: its own namespace alone. All: every namespace. Selector: those that match `selector`.
    pub from: ExportFrom,
    /// Labels that a namespace must have, with `from: Selector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<NamespaceSelector>,
}

/// Labels that a namespace must have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Each of these labels with this value. At least one.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 16))]
    #[schemars(extend("additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub match_labels: BTreeMap<String, String>,
}

impl NamespaceSelector {
    /// Whether a namespace with these labels matches. A selector without labels matches none.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        !self.match_labels.is_empty()
            && self.match_labels.iter().all(|(name, value)| labels.get(name) == Some(value))
    }
}

/// A name that a namespace can have, without white space around it; the error says what one is.
pub fn namespace(text: &str) -> Result<String, String> {
    let text = text.trim();
    let of_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=63).contains(&text.len())
        && text.bytes().all(of_label)
        && !text.starts_with('-')
        && !text.ends_with('-');
    if fits {
        Ok(text.to_owned())
    } else {
        Err("a namespace has 1 to 63 lower-case letters, digits and dashes".to_owned())
    }
}
