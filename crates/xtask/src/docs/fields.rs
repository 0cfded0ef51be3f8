//! The page of a kind: its fields and rules, read from the schema that the API server gets.

use api::crd;
use api::duration::PATTERN;
use api::rules::{self, Kind};
use serde_json::Value;

use super::{head, row};

/// What is in them is Kubernetes' own; another page says which there are.
const CONDITIONS: &str = "status.conditions";

pub(super) fn page(kind: Kind) -> String {
    let crd = crd::crd(kind);
    let text = |pointer: &str| crd.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let version = &crd["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let mut page = format!("# {}\n\n{}\n\n", kind.name(), words(schema));
    let (group, plural) = (text("/spec/group"), text("/spec/names/plural"));
    let names = std::iter::once(plural).chain(strings(&crd["spec"]["names"]["shortNames"]));
    page += &format!(
        "`apiVersion: {group}/{}`, `kind: {}`. In `kubectl`: `{}`.\n",
        version["name"].as_str().unwrap_or_default(),
        kind.name(),
        names.collect::<Vec<_>>().join("` or `"),
    );
    for part in ["spec", "status"] {
        page += &format!("\n## {part}\n\n");
        page += &head(&["Field", "Type", "Meaning"]);
        members(part, &schema["properties"][part], &mut page);
    }
    page += "\n## Rules\n\nWhat one object alone can get wrong; the API server refuses it with \
             this message.\n\n";
    page += &head(&["At", "Message"]);
    for rule in rules::all().iter().filter(|rule| rule.kind == kind) {
        let relaxed = if rule.relaxed_in_dev { " (not in `moniker dev`)" } else { "" };
        page += &row(&[&at(rule.at), &format!("{}{relaxed}", rule.message)]);
    }
    page
}

/// `spec.models[].name`, of the steps to it.
fn at(steps: &[&str]) -> String {
    let path = steps.join(".").replace(".[]", "[]");
    if path.is_empty() { "the object".to_owned() } else { format!("`{path}`") }
}

/// A row for each member, and below it for each of its own.
fn members(path: &str, schema: &Value, page: &mut String) {
    let Some(properties) = schema["properties"].as_object() else { return };
    for (name, member) in properties {
        let path = format!("{path}.{name}");
        let required = strings(&schema["required"]).any(|one| one == name);
        let kind = format!("{}{}", type_of(member), if required { ", required" } else { "" });
        *page += &row(&[&format!("`{path}`"), &kind, &words(member)]);
        if path == CONDITIONS {
            continue;
        }
        members(&path, member, page);
        members(&format!("{path}[]"), &member["items"], page);
    }
}

/// The type and its limits, as a reader needs them.
fn type_of(schema: &Value) -> String {
    let values: Vec<_> = strings(&schema["enum"]).map(|value| format!("`{value}`")).collect();
    if !values.is_empty() {
        return values.join(" or ");
    }
    let number = |key: &str| schema[key].as_f64();
    let kind = schema["type"].as_str().unwrap_or("anything");
    match kind {
        "array" => {
            format!("list of {}{}", type_of(&schema["items"]), limits(schema, "Items", "items"))
        }
        "object" if schema["additionalProperties"].is_object() => {
            format!("map to {}", type_of(&schema["additionalProperties"]))
        }
        "string" if schema["pattern"] == PATTERN => "duration, such as `90s` or `1m30s`".to_owned(),
        "string" => match schema["format"].as_str() {
            Some(format) => format!("string, {format}"),
            None => format!("string{}", limits(schema, "Length", "characters")),
        },
        "integer" | "number" => match (number("minimum"), number("maximum")) {
            (Some(least), Some(most)) => format!("{kind}, {least} to {most}"),
            (Some(least), None) => format!("{kind}, {least} or more"),
            (None, Some(most)) => format!("{kind}, at most {most}"),
            (None, None) => kind.to_owned(),
        },
        _ => kind.to_owned(),
    }
}

fn limits(schema: &Value, key: &str, unit: &str) -> String {
    let limit = |end: &str| schema[format!("{end}{key}").as_str()].as_u64();
    match (limit("min").filter(|least| *least > 1), limit("max")) {
        (Some(least), Some(most)) => format!(", {least} to {most} {unit}"),
        (Some(least), None) => format!(", at least {least} {unit}"),
        (None, Some(most)) => format!(", at most {most} {unit}"),
        (None, None) => String::new(),
    }
}

/// The description, on one line.
fn words(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_are_said_with_their_limits() {
        for (schema, expected) in [
            (json!({"type": "string", "enum": ["A", "B"]}), "`A` or `B`"),
            (json!({"type": "integer", "minimum": 1, "maximum": 9}), "integer, 1 to 9"),
            (json!({"type": "integer", "minimum": 0}), "integer, 0 or more"),
            (
                json!({"type": "string", "minLength": 1, "maxLength": 63}),
                "string, at most 63 characters",
            ),
            (
                json!({"type": "array", "maxItems": 4, "items": {"type": "string"}}),
                "list of string, at most 4 items",
            ),
            (
                json!({"type": "object", "additionalProperties": {"type": "string"}}),
                "map to string",
            ),
            (json!({"type": "string", "pattern": PATTERN}), "duration, such as `90s` or `1m30s`"),
            (json!({}), "anything"),
        ] {
            assert_eq!(type_of(&schema), expected);
        }
    }

    #[test]
    fn nested_members_have_their_whole_path() {
        let schema = json!({"required": ["list"], "properties": {"list": {
            "type": "array", "description": "What\n is.",
            "items": {"type": "object", "properties": {"name": {"type": "string"}}},
        }}});
        let mut page = String::new();
        members("spec", &schema, &mut page);
        assert_eq!(
            page,
            "| `spec.list` | list of object, required | What is. |\n\
             | `spec.list[].name` | string |  |\n"
        );
        assert_eq!(at(&["spec", "list", "[]", "name"]), "`spec.list[].name`");
    }
}
