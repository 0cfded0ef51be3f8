//! The options of strategies against the schema: the table of `routing` is the only place that names
//! them, so whoever checks what is stored asks here.

use std::sync::OnceLock;

use routing::{StrategyKind, StrategySpec};
use serde_json::Value;

use crate::{crd, rules::Kind};

/// Every strategy that has options, and the member of `spec.strategy` that holds them.
pub fn options() -> impl Iterator<Item = (StrategyKind, String)> {
    let all = StrategyKind::ALL.iter();
    all.filter_map(|kind| Some((*kind, camel_case(kind.options()?))))
}

/// Options that are out of bounds or belong to another strategy: each one's path below
/// `spec.strategy`, and what is wrong with it.
pub fn misfits(spec: &StrategySpec) -> Vec<(String, String)> {
    let mut found = Vec::new();
    // Written once more, for the table alone knows the members. Plain data does not fail.
    let written = serde_json::to_value(spec).unwrap_or_default();
    for (kind, member) in options() {
        let Some(options) = written.get(&member) else { continue };
        if kind != spec.kind {
            let told = format!("belongs to `type: {kind}`, and means nothing under {}", spec.kind);
            found.push((member, told));
            continue;
        }
        for (name, value) in options.as_object().into_iter().flatten() {
            let bounds = &schema()["properties"][&member]["properties"][name];
            if let Some(message) = out_of_bounds(bounds, value) {
                found.push((format!("{member}.{name}"), message));
            }
        }
    }
    found
}

fn out_of_bounds(bounds: &Value, value: &Value) -> Option<String> {
    let number = value.as_i64()?;
    let (min, max) = (bounds["minimum"].as_i64(), bounds["maximum"].as_i64());
    let fits = min.is_none_or(|min| number >= min) && max.is_none_or(|max| number <= max);
    let bounds = match (min, max) {
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("{min} or more"),
        (None, max) => format!("{} or less", max.unwrap_or(i64::MAX)),
    };
    (!fits).then(|| format!("is {number}, and must be {bounds}"))
}

/// The schema of `spec.strategy`.
fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let mut whole = crd::schema(Kind::ModelAlias, false);
        let node = whole.pointer_mut("/properties/spec/properties/strategy");
        node.map(Value::take).unwrap_or_default()
    })
}

/// The member's name as it is written, of its name in Rust.
fn camel_case(field: &str) -> String {
    let mut parts = field.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| {
        let mut chars = part.chars();
        let head = chars.next().map(|c| c.to_ascii_uppercase());
        name + &head.into_iter().collect::<String>() + chars.as_str()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_members_are_named_as_they_are_written() {
        assert_eq!(camel_case("lowest_latency"), "lowestLatency");
        assert_eq!(camel_case("lowestLatency"), "lowestLatency");
        for (kind, member) in options() {
            let spec = json!({"type": kind.name(), &member: {}});
            let read: StrategySpec = serde_json::from_value(spec.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), spec, "{kind} has no {member}");
            assert!(schema()["properties"][&member].is_object(), "{member} is not in the schema");
            assert!(misfits(&read).is_empty(), "{kind}");
        }
    }

    #[test]
    fn the_bounds_of_every_number_are_held() {
        for (kind, member) in options() {
            let node = &schema()["properties"][&member]["properties"];
            for (name, bounds) in node.as_object().into_iter().flatten() {
                if bounds["type"] != "integer" {
                    continue;
                }
                let max = bounds["maximum"].as_i64().unwrap();
                let read = |n: i64| -> StrategySpec {
                    let spec = json!({"type": kind.name(), &member: {name: n}});
                    serde_json::from_value(spec).unwrap()
                };
                assert!(misfits(&read(max)).is_empty(), "{member}.{name}");
                let found = misfits(&read(max + 1));
                assert_eq!(found.len(), 1, "{member}.{name}");
                assert!(found[0].1.contains("must be"), "{found:?}");
            }
        }
    }
}
