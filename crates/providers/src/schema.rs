//! Schemas, fitted to the strict subset of a provider. A keyword that the subset lacks is moved into
//! the description of its node, where the model still reads it; what cannot be said otherwise is
//! refused with its path.

use crate::tree::Json;

/// Whose subset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subset {
    /// OpenAI's strict mode.
    OpenAi,
    /// Claude's `output_config.format` and strict tools.
    Claude,
    /// Gemini's `responseJsonSchema` and `parametersJsonSchema`.
    Gemini,
}

/// A schema within a subset.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The schema.
    pub schema: Json,
    /// Keywords that were moved or rewritten.
    pub adapted: Vec<String>,
    /// Whether it can be strict. Where not, the schema is the caller's.
    pub strict: bool,
}

/// What cannot be said in the subset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{keyword}` at `{path}` is beyond what this provider's schemas can say")]
pub struct Beyond {
    /// Where.
    pub path: String,
    /// What.
    pub keyword: String,
}

/// A schema as it goes where nothing is strict: without the names of the document, in the words of
/// JSON Schema 2020-12.
pub fn plain(schema: &Json) -> Json {
    match schema {
        Json::Object(members) => {
            let mut out = Vec::with_capacity(members.len());
            for (name, value) in members {
                let tuple = matches!(schema.get("items"), Json::Array(_));
                match (name.as_str(), value) {
                    ("$schema" | "$id", Json::String(_)) => {}
                    // Items by place, and what follows them.
                    ("items", Json::Array(_)) => out.push(("prefixItems".to_owned(), plain(value))),
                    ("additionalItems", _) => {
                        // Without such items it says nothing.
                        out.extend(tuple.then(|| ("items".to_owned(), plain(value))));
                    }
                    ("dependencies", Json::Object(all)) => depends(all, &mut out),
                    // A limit that says of itself whether it is within.
                    ("exclusiveMinimum" | "exclusiveMaximum", Json::Bool(beyond)) => {
                        let limit = schema.get(inclusive(name));
                        if *beyond && !limit.is_null() {
                            out.push((name.clone(), limit.clone()));
                        }
                    }
                    ("minimum", _) if schema.get("exclusiveMinimum").is_true() => {}
                    ("maximum", _) if schema.get("exclusiveMaximum").is_true() => {}
                    ("definitions", Json::Object(_)) => out.push(("$defs".to_owned(), each(value))),
                    ("properties" | "$defs" | "patternProperties", Json::Object(_)) => {
                        out.push((name.clone(), each(value)));
                    }
                    ("$ref", Json::String(to)) => {
                        let to = to.replace("#/definitions/", "#/$defs/");
                        out.push((name.clone(), Json::String(to)));
                    }
                    // Data, not schemas.
                    ("enum" | "const" | "default" | "examples", _) => {
                        out.push((name.clone(), value.clone()));
                    }
                    _ => out.push((name.clone(), plain(value))),
                }
            }
            Json::Object(out)
        }
        Json::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

/// The name of the limit that this one once went with.
fn inclusive(name: &str) -> &'static str {
    if name == "exclusiveMinimum" { "minimum" } else { "maximum" }
}

/// What a property needs beside it: others, or a schema.
fn depends(all: &[(String, Json)], out: &mut Vec<(String, Json)>) {
    let (required, schemas): (Vec<_>, Vec<_>) =
        all.iter().cloned().partition(|(_, needs)| matches!(needs, Json::Array(_)));
    if !required.is_empty() {
        out.push(("dependentRequired".to_owned(), Json::Object(required)));
    }
    if !schemas.is_empty() {
        out.push(("dependentSchemas".to_owned(), each(&Json::Object(schemas))));
    }
}

fn each(schemas: &Json) -> Json {
    Json::Object(schemas.members().iter().map(|(n, s)| (n.clone(), plain(s))).collect())
}

/// Fits a schema to a subset.
pub fn fit(schema: &Json, subset: Subset) -> Result<Fitted, Beyond> {
    let schema = plain(schema);
    let mut walk = Walk { subset, adapted: Vec::new(), loose: false, count: Count::default() };
    let is_ref = schema.has("$ref");
    if subset == Subset::Gemini && is_ref {
        return Err(beyond("#", "$ref"));
    }
    if subset == Subset::OpenAi && (is_ref || schema.get("type").str() != Some("object")) {
        return Err(beyond("#", "type"));
    }
    if subset == Subset::Claude
        && let Some(name) = recursive(&schema)
    {
        return Err(beyond(&format!("#/$defs/{name}"), "$ref"));
    }
    let fitted = walk.node(&schema, "#", 0)?;
    let count = walk.count;
    match subset {
        Subset::OpenAi => {
            walk.loose |= count.properties > 5_000 || count.depth > 10 || count.values > 1_000;
        }
        Subset::Claude if count.optional > 24 => return Err(beyond("#", "properties")),
        Subset::Claude if count.unions > 16 => return Err(beyond("#", "anyOf")),
        Subset::Claude | Subset::Gemini => {}
    }
    if walk.loose {
        return Ok(Fitted { schema, adapted: Vec::new(), strict: false });
    }
    Ok(Fitted { schema: fitted, adapted: walk.adapted, strict: true })
}

fn beyond(path: &str, keyword: &str) -> Beyond {
    Beyond { path: path.to_owned(), keyword: keyword.to_owned() }
}

/// A definition that refers to itself, over others or not.
fn recursive(schema: &Json) -> Option<String> {
    fn refs(value: &Json, out: &mut Vec<String>) {
        match value {
            Json::Object(members) => {
                for (name, value) in members {
                    match (name.as_str(), value) {
                        ("$ref", Json::String(to)) => {
                            out.push(to.trim_start_matches("#/$defs/").to_owned());
                        }
                        _ => refs(value, out),
                    }
                }
            }
            Json::Array(items) => items.iter().for_each(|item| refs(item, out)),
            _ => {}
        }
    }
    let definitions = schema.get("$defs");
    definitions.members().iter().map(|(name, _)| name).find_map(|start| {
        let (mut seen, mut rest) = (Vec::new(), Vec::new());
        refs(definitions.get(start), &mut rest);
        while let Some(next) = rest.pop() {
            if next == *start {
                return Some(start.clone());
            }
            if !seen.contains(&next) {
                refs(definitions.get(&next), &mut rest);
                seen.push(next);
            }
        }
        None
    })
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    properties: usize,
    optional: usize,
    unions: usize,
    values: usize,
    depth: usize,
}

struct Walk {
    subset: Subset,
    adapted: Vec<String>,
    loose: bool,
    count: Count,
}

/// What becomes of a keyword.
enum Fate {
    Keep,
    Move,
    Refuse,
}

impl Walk {
    fn node(&mut self, schema: &Json, path: &str, depth: usize) -> Result<Json, Beyond> {
        let Json::Object(members) = schema else { return Ok(schema.clone()) };
        self.count.depth = self.count.depth.max(depth);
        let mut out = Json::empty();
        let mut moved = Vec::new();
        for (name, value) in members {
            let at = format!("{path}/{name}");
            if name == "type" && value.items().len() > 1 {
                self.count.unions += 1;
            }
            match (name.as_str(), value) {
                ("properties" | "$defs", Json::Object(inner)) => {
                    let mut fitted = Json::empty();
                    for (key, value) in inner {
                        fitted.set(key, self.node(value, &format!("{at}/{key}"), depth + 1)?);
                    }
                    if name == "properties" {
                        self.count_properties(schema, inner.len());
                    }
                    out.set(name, fitted);
                }
                ("items", Json::Object(_)) => out.set(name, self.node(value, &at, depth + 1)?),
                ("anyOf" | "allOf" | "prefixItems", Json::Array(items))
                    if !matches!(self.fate(name, value), Fate::Refuse) =>
                {
                    self.count.unions += usize::from(name == "anyOf");
                    out.set(name, self.list(items, &at, depth)?);
                }
                ("oneOf", Json::Array(items)) => {
                    let to = if self.subset == Subset::Gemini { "oneOf" } else { "anyOf" };
                    self.count.unions += 1;
                    if to != name {
                        self.adapted.push(format!("{at} as anyOf"));
                    }
                    out.set(to, self.list(items, &at, depth)?);
                }
                ("const", value) if self.subset == Subset::Gemini => {
                    out.set("enum", Json::Array(vec![value.clone()]));
                }
                ("additionalProperties", value) => self.additional(&mut out, value, &at)?,
                _ => match self.fate(name, value) {
                    Fate::Keep => out.set(name, value.clone()),
                    Fate::Move => {
                        self.adapted.push(at);
                        moved.push(format!("{name}: {}", value.to_text()));
                    }
                    Fate::Refuse => return Err(beyond(path, name)),
                },
            }
        }
        if !moved.is_empty() {
            let text = out.get("description").text();
            let gap = if text.is_empty() { "" } else { "\n\n" };
            let text = format!("{text}{gap}{{{}}}", moved.join(", "));
            out.set("description", text);
        }
        let object = schema.get("type").str() == Some("object") || schema.has("properties");
        if object && !schema.has("additionalProperties") && self.subset != Subset::Gemini {
            self.adapted.push(format!("{path}/additionalProperties as false"));
            out.set("additionalProperties", false);
        }
        Ok(out)
    }

    fn list(&mut self, items: &[Json], at: &str, depth: usize) -> Result<Json, Beyond> {
        let fitted: Result<Vec<Json>, Beyond> = items
            .iter()
            .enumerate()
            .map(|(index, item)| self.node(item, &format!("{at}/{index}"), depth))
            .collect();
        Ok(Json::Array(fitted?))
    }

    fn count_properties(&mut self, schema: &Json, all: usize) {
        let required = schema.get("required").items().len();
        self.count.properties += all;
        self.count.optional += all.saturating_sub(required);
        self.loose |= self.subset == Subset::OpenAi && required < all;
    }

    fn additional(&mut self, out: &mut Json, value: &Json, at: &str) -> Result<(), Beyond> {
        match self.subset {
            Subset::Gemini => out.set("additionalProperties", value.clone()),
            _ if *value == Json::Bool(false) => out.set("additionalProperties", false),
            Subset::OpenAi => self.loose = true,
            Subset::Claude => return Err(beyond(at, "additionalProperties")),
        }
        Ok(())
    }

    fn fate(&mut self, name: &str, value: &Json) -> Fate {
        use Subset::{Claude, Gemini, OpenAi};
        let keep = |yes: bool| if yes { Fate::Keep } else { Fate::Move };
        match name {
            "type" | "description" | "required" | "$defs" | "properties" | "items" | "anyOf"
            | "const" => Fate::Keep,
            // Of this document alone.
            "$ref" => keep_or_refuse(value.text().starts_with('#')),
            "enum" => {
                self.count.values += value.items().len();
                let simple =
                    !value.items().iter().any(|v| v.is_object() || matches!(v, Json::Array(_)));
                if self.subset == Claude && !simple { Fate::Refuse } else { Fate::Keep }
            }
            "allOf" => keep_or_refuse(self.subset == Claude),
            "not"
            | "if"
            | "then"
            | "else"
            | "patternProperties"
            | "dependentSchemas"
            | "dependentRequired"
            | "unevaluatedProperties"
            | "propertyNames" => Fate::Refuse,
            "prefixItems" => keep_or_refuse(self.subset == Gemini),
            "multipleOf" | "exclusiveMinimum" | "exclusiveMaximum" => keep(self.subset == OpenAi),
            "pattern" => match self.subset {
                OpenAi => Fate::Keep,
                Claude => keep(simple_pattern(value.text())),
                Gemini => Fate::Move,
            },
            "format" => keep(formats(self.subset).contains(&value.text())),
            "minItems" => keep(self.subset != Claude || matches!(value.u64(), Some(0 | 1))),
            "minimum" | "maximum" | "maxItems" | "title" => keep(self.subset != Claude),
            // Lengths, defaults, examples, vendors' keys.
            _ => Fate::Move,
        }
    }
}

fn keep_or_refuse(keep: bool) -> Fate {
    if keep { Fate::Keep } else { Fate::Refuse }
}

/// Neither look-around nor a back-reference.
fn simple_pattern(pattern: &str) -> bool {
    let look = ["(?=", "(?!", "(?<"].iter().any(|start| pattern.contains(start));
    let back = pattern.as_bytes().windows(2).any(|w| w[0] == b'\\' && matches!(w[1], b'1'..=b'9'));
    !look && !back
}

fn formats(subset: Subset) -> &'static [&'static str] {
    match subset {
        Subset::OpenAi => {
            &["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"]
        }
        Subset::Claude => &[
            "date-time",
            "date",
            "time",
            "duration",
            "email",
            "hostname",
            "uri",
            "ipv4",
            "ipv6",
            "uuid",
        ],
        Subset::Gemini => &["date-time", "date", "time"],
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
