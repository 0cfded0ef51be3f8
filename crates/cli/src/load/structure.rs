//! Whether a value fits the schema of its kind, with every unknown field an error, as `kubectl`
//! is strict. A walk over the very schema that the API server gets.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use super::path::Path;

/// What does not fit, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) path: Path,
    pub(super) message: String,
}

/// A schema that is ready to be compared with.
#[derive(Debug)]
pub(super) struct Schema {
    root: Value,
    patterns: BTreeMap<String, Regex>,
}

impl Schema {
    pub(super) fn new(root: Value) -> Self {
        let mut patterns = BTreeMap::new();
        gather(&root, &mut patterns);
        Self { root, patterns }
    }

    /// Everything that does not fit.
    pub(super) fn check(&self, value: &Value) -> Vec<Misfit> {
        let mut walk = Walk { patterns: &self.patterns, found: Vec::new() };
        walk.node(&self.root, value, &Path::default());
        walk.found
    }
}

fn gather(schema: &Value, patterns: &mut BTreeMap<String, Regex>) {
    match schema {
        Value::Object(map) => {
            if let Some(pattern) = map.get("pattern").and_then(Value::as_str)
                && let Ok(regex) = Regex::new(pattern)
            {
                patterns.insert(pattern.to_owned(), regex);
            }
            map.values().for_each(|inner| gather(inner, patterns));
        }
        Value::Array(items) => items.iter().for_each(|inner| gather(inner, patterns)),
        _ => {}
    }
}

struct Walk<'a> {
    patterns: &'a BTreeMap<String, Regex>,
    found: Vec<Misfit>,
}

impl Walk<'_> {
    fn say(&mut self, path: &Path, message: impl Into<String>) {
        self.found.push(Misfit { path: path.clone(), message: message.into() });
    }

    fn node(&mut self, schema: &Value, value: &Value, path: &Path) {
        let expected = schema["type"].as_str().unwrap_or_default();
        let fits = match expected {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64(),
            _ => true,
        };
        if !fits {
            let actual = type_name(value);
            let hint = match (expected, value) {
                (_, Value::Null) => "; give it a value, or remove it",
                ("string", Value::Bool(_) | Value::Number(_)) => "; put it in quotes",
                ("array", _) => "; begin each item with `- `",
                _ => "",
            };
            return self.say(path, format!("is {actual}, and must be {}{hint}", article(expected)));
        }
        match value {
            Value::Object(members) => self.object(schema, members, path),
            Value::Array(items) => self.array(schema, items, path),
            Value::String(text) => self.string(schema, text, path),
            Value::Number(number) => self.number(schema, number, path),
            Value::Bool(_) | Value::Null => {}
        }
    }

    fn object(&mut self, schema: &Value, members: &serde_json::Map<String, Value>, path: &Path) {
        let known = schema["properties"].as_object();
        let any = &schema["additionalProperties"];
        self.count(schema, "Properties", members.len(), "member", path);
        for (name, value) in members {
            let at = path.member(name);
            if let Some(inner) = known.and_then(|known| known.get(name)) {
                self.node(inner, value, &at);
            } else if any.is_object() {
                self.node(any, value, &at);
            } else if let Some(known) = known
                && schema["x-kubernetes-preserve-unknown-fields"] != true
            {
                self.say(&at, unknown(name, known.keys().map(String::as_str)));
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                self.say(path, format!("{name} is required: add it"));
            }
        }
    }

    fn array(&mut self, schema: &Value, items: &[Value], path: &Path) {
        self.count(schema, "Items", items.len(), "item", path);
        for (i, item) in items.iter().enumerate() {
            self.node(&schema["items"], item, &path.item(i));
        }
        let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let identity = |item: &Value| -> Option<Vec<Value>> {
            match schema["x-kubernetes-list-type"].as_str() {
                Some("set") => Some(vec![item.clone()]),
                Some("map") => keys.iter().map(|key| item.get(key).cloned()).collect(),
                _ => None,
            }
        };
        let identities: Vec<_> = items.iter().map(identity).collect();
        for (i, one) in identities.iter().enumerate() {
            let first = identities.iter().position(|other| other == one);
            if one.is_some() && first.is_some_and(|first| first < i) {
                self.say(&path.item(i), "stands twice in the list: remove or rename one");
            }
        }
    }

    fn string(&mut self, schema: &Value, text: &str, path: &Path) {
        let values = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let values: Vec<_> = values.collect();
        if !values.is_empty() && !values.contains(&text) {
            let near = nearest(text, values.iter().copied())
                .map(|near| format!("; did you mean {near}?"))
                .unwrap_or_default();
            let values = values.join(", ");
            return self.say(path, format!("is {text:?}, and must be one of {values}{near}"));
        }
        self.count(schema, "Length", text.chars().count(), "character", path);
        if let Some(pattern) = schema["pattern"].as_str()
            && let Some(regex) = self.patterns.get(pattern)
            && !regex.is_match(text)
        {
            // Others may be on a field where a key was put by mistake.
            let message = match pattern {
                api::duration::PATTERN => {
                    format!("is {text:?}, and must be a duration such as 500ms, 30s or 1m30s")
                }
                SUBDOMAIN => {
                    format!("is {text:?}, and must be lower-case letters, digits, `-` and `.`")
                }
                LABEL => format!("is {text:?}, and must be lower-case letters, digits and `-`"),
                _ => format!("must match {pattern}"),
            };
            self.say(path, message);
        }
    }

    fn number(&mut self, schema: &Value, number: &serde_json::Number, path: &Path) {
        let (min, max) = (schema["minimum"].as_i64(), schema["maximum"].as_i64());
        let fits = number
            .as_i64()
            .is_none_or(|n| min.is_none_or(|min| n >= min) && max.is_none_or(|max| n <= max));
        if !fits {
            let bounds = match (min, max) {
                (Some(min), Some(max)) => format!("{min} to {max}"),
                (Some(min), None) => format!("at least {min}"),
                (_, max) => format!("at most {}", max.unwrap_or_default()),
            };
            self.say(path, format!("is {number}, and must be {bounds}"));
        }
    }

    /// `minItems`, `maxLength` and the like.
    fn count(&mut self, schema: &Value, of: &str, count: usize, unit: &str, path: &Path) {
        let bound = |name: &str| schema[format!("{name}{of}")].as_u64();
        let count = count as u64;
        if let Some(min) = bound("min").filter(|min| count < *min) {
            self.say(path, format!("has {count} {unit}s, and must have at least {min}"));
        }
        if let Some(max) = bound("max").filter(|max| count > *max) {
            self.say(path, format!("has {count} {unit}s, and may have at most {max}"));
        }
    }
}

/// The names of objects.
pub(super) const SUBDOMAIN: &str =
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// The names of namespaces.
pub(super) const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// What to say of a field that is not known.
pub(super) fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(near) => format!("unknown field; did you mean {near}?"),
        None => format!("unknown field; known here: {}", known.collect::<Vec<_>>().join(", ")),
    }
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let scored = known.map(|k| (strsim::damerau_levenshtein(&lower, &k.to_lowercase()), k));
    scored
        .filter(|(far, k)| *far <= 1.max(k.len() / 3).min(3))
        .min_by_key(|(far, _)| *far)
        .map(|(_, k)| k)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "a boolean",
        Value::Number(n) if n.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

fn article(expected: &str) -> &'static str {
    match expected {
        "object" => "a mapping",
        "array" => "a list",
        "string" => "text",
        "boolean" => "true or false",
        _ => "a whole number",
    }
}
