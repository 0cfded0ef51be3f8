//! A value that fits a JSON schema: the arguments of a tool call, a structured answer.

use serde_json::{Map, Value, json};

/// How deep it goes; a recursive schema ends here.
const DEPTH: usize = 12;

/// A value for this schema; `root` holds its definitions.
pub(super) fn of(schema: &Value) -> Value {
    value(schema, schema, 0)
}

fn value(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth > DEPTH {
        return Value::Null;
    }
    if let Some(target) = schema["$ref"].as_str().and_then(|r| root.pointer(r.strip_prefix('#')?)) {
        return value(target, root, depth + 1);
    }
    if let Some(only) = schema.get("const") {
        return only.clone();
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    for union in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema[union].get(0) {
            return value(first, root, depth + 1);
        }
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    // Gemini's older schemas write their types in capitals.
    match kind.map(str::to_ascii_lowercase).as_deref() {
        Some("string") => json!(string(schema)),
        Some("integer") => json!(schema["minimum"].as_i64().unwrap_or(1)),
        Some("number") => json!(schema["minimum"].as_f64().unwrap_or(1.0)),
        Some("boolean") => json!(true),
        Some("array") => {
            let least = schema["minItems"].as_u64().unwrap_or(1).clamp(1, 16);
            Value::Array((0..least).map(|_| value(&schema["items"], root, depth + 1)).collect())
        }
        Some("null") => Value::Null,
        _ => {
            let properties = schema["properties"].as_object();
            let members = properties.into_iter().flatten();
            let object: Map<_, _> =
                members.map(|(name, s)| (name.clone(), value(s, root, depth + 1))).collect();
            Value::Object(object)
        }
    }
}

fn string(schema: &Value) -> String {
    let text = match schema["format"].as_str() {
        Some("date-time") => "2026-01-02T03:04:05Z",
        Some("date") => "2026-01-02",
        Some("time") => "03:04:05Z",
        Some("email") => "demo@example.com",
        Some("uri") => "https://example.com/",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        _ => "demo",
    };
    let least = schema["minLength"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let missing = least.min(1024).saturating_sub(text.len());
    format!("{text}{}", "o".repeat(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_fits_its_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer", "minimum": 3},
                "unit": {"enum": ["C", "F"]},
                "when": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
                "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 2},
            },
            "$defs": {"tag": {"type": "object", "properties": {"next": {"$ref": "#/$defs/tag"}}}},
        });
        let value = of(&schema);
        assert_eq!(value["city"], "demo");
        assert_eq!((value["days"].as_i64(), value["unit"].as_str()), (Some(3), Some("C")));
        assert_eq!(value["when"], "2026-01-02");
        assert_eq!(value["tags"].as_array().unwrap().len(), 2);
        assert_eq!(of(&json!({})), json!({}));
    }
}
