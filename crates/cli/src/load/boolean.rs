//! Texts that `kubectl` does not read as texts: it reads YAML 1.1, where a plain `no` is a boolean.

use serde_json::{Map, Value};

use super::{path::Path, structure::Misfit};

/// What YAML 1.1 reads as a boolean and YAML 1.2 as text.
const WORDS: [&str; 16] = [
    "y", "Y", "yes", "Yes", "YES", "n", "N", "no", "No", "NO", "on", "On", "ON", "off", "Off",
    "OFF",
];

/// Fields of an object that hold nothing but texts where they hold such a word; `spec` is one where
/// its schema says so, and it fits.
const TEXTS: [&[&str]; 6] = [
    &["data"],
    &["stringData"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "labels"],
    &["metadata", "annotations"],
];

/// The texts of an object that are booleans to `kubectl`. `is_plain` tells of a text whether it
/// stands there without quotes.
pub(super) fn misread(
    object: &Map<String, Value>,
    spec: bool,
    is_plain: &dyn Fn(&Path, &str) -> bool,
) -> Vec<Misfit> {
    let mut found = Vec::new();
    for steps in TEXTS.into_iter().chain(spec.then_some(&["spec"][..])) {
        let mut path = Path::default();
        let mut value = None;
        for step in steps {
            path = path.member(step);
            value = value.map_or_else(|| object.get(*step), |outer: &Value| outer.get(step));
        }
        if let Some(value) = value {
            walk(value, &path, is_plain, &mut found);
        }
    }
    found
}

fn walk(
    value: &Value,
    path: &Path,
    is_plain: &dyn Fn(&Path, &str) -> bool,
    found: &mut Vec<Misfit>,
) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(n, inner)| walk(inner, &path.member(n), is_plain, found));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(i, inner)| walk(inner, &path.item(i), is_plain, found));
        }
        Value::String(text) if WORDS.contains(&&**text) && is_plain(path, text) => {
            let message = "is a boolean to kubectl, and must be text; put it in quotes".to_owned();
            found.push(Misfit { path: path.clone(), message });
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
