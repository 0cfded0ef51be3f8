//! The kinds of Kubernetes itself that targets name: read as far as they matter here. No message
//! of this module holds a value of a Secret.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use compiler::{SecretBytes, SecretData, ServiceFacts};
use serde_json::{Map, Value};

use super::{
    path::Path,
    structure::{Misfit, unknown},
};

/// A kind that is read beside our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Core {
    Secret,
    ConfigMap,
    Service,
    Namespace,
}

impl Core {
    pub(super) const ALL: [Self; 4] =
        [Self::Secret, Self::ConfigMap, Self::Service, Self::Namespace];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
            Self::Service => "Service",
            Self::Namespace => "Namespace",
        }
    }

    /// Its fields beside `apiVersion`, `kind` and `metadata`.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Secret => &["type", "immutable", "data", "stringData"],
            Self::ConfigMap => &["immutable", "data", "binaryData"],
            Self::Service | Self::Namespace => &["spec", "status"],
        }
    }

    /// The fields that it does not have.
    pub(super) fn unknown_fields(self, object: &Map<String, Value>) -> Vec<Misfit> {
        let known =
            ["apiVersion", "kind", "metadata"].into_iter().chain(self.fields().iter().copied());
        let strange = object.keys().filter(|name| !known.clone().any(|k| k == name.as_str()));
        strange
            .map(|name| Misfit {
                path: Path::default().member(name),
                message: unknown(name, known.clone()),
            })
            .collect()
    }
}

/// Where the values of variables come from, such as the environment.
pub type Variables = fn(&str) -> Option<String>;

/// A Secret's values: `data` in base64, over which goes `stringData` with its variables filled in.
/// `None` with no misfits: a variable is not set, and need not be.
pub(super) fn secret(
    object: &Map<String, Value>,
    version: u64,
    variables: Variables,
    required: bool,
) -> Result<Option<SecretData>, Vec<Misfit>> {
    let mut data = BTreeMap::new();
    let mut misfits = Vec::new();
    let mut complete = true;
    for (name, value, path) in texts(object, "data", &mut misfits) {
        let compact: String = value.chars().filter(|c| !c.is_whitespace()).collect();
        match STANDARD.decode(compact) {
            Ok(bytes) => {
                data.insert(name.to_owned(), SecretBytes::new(bytes));
            }
            Err(_) => misfits.push(Misfit {
                path,
                message: "is not base64: encode it, or write it under stringData".to_owned(),
            }),
        }
    }
    for (name, value, path) in texts(object, "stringData", &mut misfits) {
        match fill(value, variables) {
            Ok(text) => {
                data.insert(name.to_owned(), SecretBytes::new(text.into_bytes()));
            }
            Err(missing) if required => misfits.push(Misfit {
                path,
                message: format!(
                    "the environment variable {missing} is not set: set it, and start again"
                ),
            }),
            Err(_) => complete = false,
        }
    }
    if !misfits.is_empty() {
        return Err(misfits);
    }
    let annotations = &object.get("metadata").unwrap_or(&Value::Null)["annotations"];
    let allowed_hosts = annotations["moniker.dev/allowed-hosts"].as_str().map(str::to_owned);
    Ok(complete.then_some(SecretData { version, data, owners: Vec::new(), allowed_hosts }))
}

/// A ConfigMap's texts.
pub(super) fn config_map(
    object: &Map<String, Value>,
) -> Result<BTreeMap<String, String>, Vec<Misfit>> {
    let mut misfits = Vec::new();
    let texts = texts(object, "data", &mut misfits);
    let data = texts.into_iter().map(|(name, value, _)| (name.to_owned(), value.to_owned()));
    let data = data.collect();
    if misfits.is_empty() { Ok(data) } else { Err(misfits) }
}

/// What matters of a Service.
pub(super) fn service(object: &Map<String, Value>) -> ServiceFacts {
    let kind = object.get("spec").and_then(|spec| spec["type"].as_str());
    ServiceFacts { external_name: kind == Some("ExternalName") }
}

/// The texts of a mapping, with their paths.
fn texts<'a>(
    object: &'a Map<String, Value>,
    field: &str,
    misfits: &mut Vec<Misfit>,
) -> Vec<(&'a str, &'a str, Path)> {
    let path = Path::default().member(field);
    let members = match object.get(field) {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Object(members)) => members,
        Some(_) => {
            misfits.push(Misfit { path, message: "must be a mapping of keys to text".to_owned() });
            return Vec::new();
        }
    };
    let mut texts = Vec::new();
    for (name, value) in members {
        let path = path.member(name);
        match value.as_str() {
            Some(text) => texts.push((name.as_str(), text, path)),
            None => {
                misfits.push(Misfit { path, message: "must be text: put it in quotes".to_owned() });
            }
        }
    }
    texts
}

/// The text with each `${NAME}` replaced; the error is a name that is not set.
fn fill(text: &str, variables: Variables) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        match after.split_once('}') {
            Some((name, after)) if is_name(name) => {
                filled.push_str(&variables(name).ok_or_else(|| name.to_owned())?);
                rest = after;
            }
            _ => {
                filled.push_str("${");
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

fn is_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(name: &str) -> Option<String> {
        (name == "KEY").then(|| "sk-${KEY}".to_owned())
    }

    #[test]
    fn variables_are_filled_in_once_and_missing_ones_named() {
        assert_eq!(
            fill("a-${KEY}-$KEY-${}-${1}-${", variables).unwrap(),
            "a-sk-${KEY}-$KEY-${}-${1}-${"
        );
        assert_eq!(fill("${KEY}${OTHER}", variables), Err("OTHER".to_owned()));
    }

    #[test]
    fn no_message_holds_a_value() {
        let object = serde_json::json!({
            "data": {"a": "CANARY!", "b": 12_345},
            "stringData": {"c": "CANARY ${MISSING}", "d": ["CANARY"]},
        });
        let misfits = secret(object.as_object().unwrap(), 1, variables, true).unwrap_err();
        assert_eq!(misfits.len(), 4);
        let told = format!("{misfits:?}");
        assert!(!told.contains("CANARY") && !told.contains("12345"), "{told}");
        assert!(told.contains("MISSING"));
    }
}
