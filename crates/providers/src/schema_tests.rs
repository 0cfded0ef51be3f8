//! Tests of what the strict subsets make of schemas.

use super::*;

fn schema(text: &str) -> Json {
    Json::parse(text.as_bytes()).unwrap()
}

fn fitted(text: &str, subset: Subset) -> Fitted {
    fit(&schema(text), subset).unwrap()
}

fn refused(text: &str, subset: Subset) -> String {
    let error = fit(&schema(text), subset).unwrap_err();
    format!("{} {}", error.path, error.keyword)
}

const PERSON: &str = r#"{"$schema":"x","type":"object","properties":{
    "name":{"type":"string","minLength":1,"description":"Who"},
    "age":{"type":"integer","minimum":0},
    "mail":{"type":"string","format":"idn-email","default":"a@b"}},
    "required":["name","age","mail"]}"#;

#[test]
fn what_a_subset_lacks_is_moved_into_the_description() {
    let claude = fitted(PERSON, Subset::Claude);
    assert_eq!(
        claude.schema.to_text(),
        concat!(
            r#"{"type":"object","properties":{"name":{"type":"string","description":"Who\n\n"#,
            r#"{minLength: 1}"},"age":{"type":"integer","description":"{minimum: 0}"},"#,
            r#""mail":{"type":"string","description":"{format: \"idn-email\", default: \"a@b\"}"}},"#,
            r#""required":["name","age","mail"],"additionalProperties":false}"#
        )
    );
    assert_eq!(claude.adapted.len(), 5);
    assert_eq!(claude.adapted[4], "#/additionalProperties as false");
    let openai = fitted(PERSON, Subset::OpenAi);
    assert!(openai.strict && !openai.schema.at(&["properties", "age", "minimum"]).is_null());
    let gemini = fitted(PERSON, Subset::Gemini);
    assert!(!gemini.schema.has("additionalProperties") && gemini.adapted.len() == 3);
}

#[test]
fn openai_is_strict_only_where_everything_is_required() {
    let optional = r#"{"type":"object","properties":{"a":{"type":"string"}}}"#;
    let loose = fitted(optional, Subset::OpenAi);
    assert!(!loose.strict && loose.schema == schema(optional));
    assert!(fitted(optional, Subset::Claude).strict);
    let open = r#"{"type":"object","properties":{},"additionalProperties":true}"#;
    assert!(!fitted(open, Subset::OpenAi).strict);
    assert_eq!(refused(open, Subset::Claude), "#/additionalProperties additionalProperties");
    assert!(fitted(open, Subset::Gemini).schema.get("additionalProperties").is_true());
}

#[test]
fn unions_and_references() {
    let union =
        r#"{"type":"object","properties":{"a":{"oneOf":[{"type":"string"}]}},"required":["a"]}"#;
    assert!(fitted(union, Subset::OpenAi).schema.to_text().contains("anyOf"));
    assert!(fitted(union, Subset::Gemini).schema.to_text().contains("oneOf"));
    let not = r#"{"type":"object","properties":{"a":{"not":{"type":"string"}}},"required":["a"]}"#;
    for subset in [Subset::OpenAi, Subset::Claude, Subset::Gemini] {
        assert_eq!(refused(not, subset), "#/properties/a not");
    }
    let tree = r##"{"type":"object","properties":{"a":{"$ref":"#/definitions/n"}},"required":["a"],
        "definitions":{"n":{"type":"object","properties":{"n":{"$ref":"#/definitions/n"}},
        "required":["n"]}}}"##;
    let fit = fitted(tree, Subset::OpenAi);
    assert!(fit.strict && fit.schema.at(&["properties", "a", "$ref"]).text() == "#/$defs/n");
    assert_eq!(refused(tree, Subset::Claude), "#/$defs/n $ref");
    let root = r##"{"$ref":"#/$defs/n","$defs":{"n":{"type":"object"}}}"##;
    assert_eq!(refused(root, Subset::Gemini), "# $ref");
}

#[test]
fn patterns_of_claude_are_simple_ones() {
    assert!(simple_pattern("^[a-z]+\\d{2}$"));
    assert!(!simple_pattern("(?=a)") && !simple_pattern("(a)\\1"));
}

#[test]
fn older_words_become_those_of_2020() {
    let old = schema(
        r##"{"$id":"x","type":"object","definitions":{"n":{"type":"integer","minimum":0,
        "exclusiveMinimum":true,"maximum":9,"exclusiveMaximum":false}},"properties":{
        "items":{"type":"array","items":[{"$ref":"#/definitions/n"}],"additionalItems":false},
        "list":{"type":"array","items":{"type":"string"},"additionalItems":false}},
        "dependencies":{"a":["b"],"c":{"required":["d"]}}}"##,
    );
    assert_eq!(
        plain(&old),
        schema(
            r##"{"type":"object","$defs":{"n":{"type":"integer","exclusiveMinimum":0,"maximum":9}},
            "properties":{
            "items":{"type":"array","prefixItems":[{"$ref":"#/$defs/n"}],"items":false},
            "list":{"type":"array","items":{"type":"string"}}},
            "dependentRequired":{"a":["b"]},"dependentSchemas":{"c":{"required":["d"]}}}"##
        )
    );
}

#[test]
fn a_reference_beyond_the_document_is_refused() {
    let far =
        r#"{"type":"object","properties":{"a":{"$ref":"https://a.example/b"}},"required":["a"]}"#;
    for subset in [Subset::OpenAi, Subset::Claude, Subset::Gemini] {
        assert_eq!(refused(far, subset), "#/properties/a $ref");
    }
}

#[test]
fn claude_counts_lists_of_types_as_unions() {
    let of = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("p{n}")).collect();
        let one = |name: &String| format!(r#""{name}":{{"type":["string","null"]}}"#);
        let properties: Vec<String> = names.iter().map(one).collect();
        let required: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        format!(
            r#"{{"type":"object","properties":{{{}}},"required":[{}]}}"#,
            properties.join(","),
            required.join(",")
        )
    };
    assert!(fit(&schema(&of(16)), Subset::Claude).is_ok());
    assert_eq!(refused(&of(17), Subset::Claude), "# anyOf");
    assert!(fit(&schema(&of(17)), Subset::OpenAi).unwrap().strict);
}
