//! Edits change what they name and nothing else.

use proptest::prelude::*;
use routing::Endpoint;
use serde_json::{Value, json};

use super::*;

fn edited(body: &str, to: &Rewrite) -> (String, Rewritten) {
    let bytes = Bytes::from(body.to_owned());
    let read = RequestBody::read(Endpoint::ChatCompletions, &bytes).unwrap();
    let out = rewrite(&bytes, &read, to);
    let joined = out.segments.concat();
    assert_eq!(joined.len(), out.len);
    (String::from_utf8(joined).unwrap(), out)
}

fn to(model: &str) -> Rewrite {
    Rewrite {
        model: json_string(model),
        max_output_tokens: None,
        ask_usage: true,
        unstored: false,
        versioned: Versioned::Elsewhere,
        encrypted: false,
    }
}

#[test]
fn the_model_is_replaced_and_all_else_stays() {
    let body = "{ \"a\":1.0e+2 ,\"model\"\t: \"prod\\u002dchat\",\n\"b\" : [\"\\u00e9\"] }\n";
    let (out, rewritten) = edited(body, &to("vendor/m\"1"));
    assert_eq!(out, body.replace("\"prod\\u002dchat\"", "\"vendor/m\\\"1\""));
    assert_eq!((rewritten.hide_usage, rewritten.added.is_empty()), (false, true));
    assert_eq!(rewritten.segments.len(), 3);
}

#[test]
fn slices_are_of_the_original() {
    let body = Bytes::from_static(br#"{"model":"a","messages":[]}"#);
    let read = RequestBody::read(Endpoint::ChatCompletions, &body).unwrap();
    let out = rewrite(&body, &read, &to("b"));
    assert_eq!(out.segments[0].as_ptr(), body.as_ptr());
    assert_eq!(out.segments[2].as_ptr(), body[12..].as_ptr());
}

#[test]
fn usage_is_asked_where_the_caller_did_not() {
    for (options, want, asked) in [
        ("", r#"{"model":"m","stream_options":{"include_usage":true},"stream":true}"#, true),
        (
            r#","stream_options":null"#,
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
            true,
        ),
        (
            r#","stream_options":{ }"#,
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true }}"#,
            true,
        ),
        (
            r#","stream_options":{"x":1}"#,
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true,"x":1}}"#,
            true,
        ),
        (
            r#","stream_options":{"include_usage":false}"#,
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
            true,
        ),
        (
            r#","stream_options":{"include_usage": true}"#,
            r#"{"model":"m","stream":true,"stream_options":{"include_usage": true}}"#,
            false,
        ),
        (r#","stream_options":[]"#, r#"{"model":"m","stream":true,"stream_options":[]}"#, false),
    ] {
        let body = format!(r#"{{"model":"m","stream":true{options}}}"#);
        let (out, rewritten) = edited(&body, &to("m"));
        assert_eq!(out, want);
        assert_eq!(rewritten.hide_usage, asked);
        let quiet = Rewrite { ask_usage: false, ..to("m") };
        assert_eq!(edited(&body, &quiet).0, body);
    }
}

#[test]
fn a_larger_cap_is_lowered_and_a_smaller_one_left() {
    let limit = Rewrite { max_output_tokens: Some(100), ..to("m") };
    let (out, _) = edited(
        r#"{"max_tokens": 4000,"model":"m","max_completion_tokens":99,"max_output_tokens":101}"#,
        &limit,
    );
    let want =
        r#"{"max_tokens": 100,"model":"m","max_completion_tokens":99,"max_output_tokens":100}"#;
    assert_eq!(out, want);
}

proptest! {
    #[test]
    fn every_other_byte_survives(
        before in prop::collection::vec(("[a-lw-z]{1,8}", "[ -~]{0,20}"), 0..5),
        after in prop::collection::vec(("[a-lw-z]{1,8}", any::<f64>()), 0..5),
        space in "[ \n\t\r]{0,3}",
        name in "\\PC{0,12}",
        cap in 0_u64..200,
        max in 1_u64..200,
    ) {
        let mut members: Vec<String> =
            before.iter().map(|(k, v)| format!("{:?}{space}:{space}{}", k, json!(v))).collect();
        members.push(format!("\"model\"{space}:\"alias\""));
        members.push(format!("\"stream\":{space}true"));
        members.push(format!("\"max_tokens\":{space}{cap}"));
        members.extend(after.iter().map(|(k, v)| format!("{:?}{space}:{}", k, json!(v))));
        let body = format!("{{{space}{}{space}}}{space}", members.join(&format!("{space},")));
        let limit = Rewrite { max_output_tokens: Some(max), ..to(&name) };
        let (out, _) = edited(&body, &limit);

        let lowered = cap.min(max);
        let want = body
            .replacen(&format!("\"model\"{space}:\"alias\""), &format!(
                "\"model\"{space}:{},\"stream_options\":{{\"include_usage\":true}}", json!(name)), 1)
            .replacen(&format!("\"max_tokens\":{space}{cap}"),
                &format!("\"max_tokens\":{space}{lowered}"), 1);
        prop_assert_eq!(&out, &want);
        let value: Value = serde_json::from_str(&out).unwrap();
        prop_assert_eq!(value["model"].as_str(), Some(name.as_str()));
    }
}

#[test]
fn an_answer_is_not_stored_unless_the_caller_says_so() {
    let to = Rewrite { ask_usage: false, unstored: true, ..to("m") };
    for (body, want, added) in [
        (
            r#"{"model":"a","input":"x"}"#,
            r#"{"model":"m","store":false,"input":"x"}"#,
            &["store"][..],
        ),
        (r#"{"store":null,"model":"a"}"#, r#"{"store":false,"model":"m"}"#, &["store"]),
        (r#"{"model":"a","store":true}"#, r#"{"model":"m","store":true}"#, &[]),
        (r#"{"model":"a","store":false}"#, r#"{"model":"m","store":false}"#, &[]),
    ] {
        let body = Bytes::from(body);
        let read = RequestBody::read(routing::Endpoint::Responses, &body).unwrap();
        let out = rewrite(&body, &read, &to);
        assert_eq!((out.segments.concat(), &out.added[..]), (want.as_bytes().to_vec(), added));
    }
}

#[test]
fn reasoning_that_is_not_stored_is_asked_for() {
    let to = Rewrite { ask_usage: false, unstored: true, encrypted: true, ..to("m") };
    let both = &["store", "include"][..];
    for (body, want, added) in [
        (
            r#"{"model":"a","n":1}"#,
            r#"{"model":"m","store":false,"include":["reasoning.encrypted_content"],"n":1}"#,
            both,
        ),
        (
            r#"{"include":null,"model":"a"}"#,
            r#"{"include":["reasoning.encrypted_content"],"model":"m","store":false}"#,
            both,
        ),
        (
            r#"{"include":[ ],"model":"a"}"#,
            r#"{"include":["reasoning.encrypted_content" ],"model":"m","store":false}"#,
            both,
        ),
        (
            r#"{"model":"a","include":["x"]}"#,
            r#"{"model":"m","store":false,"include":["reasoning.encrypted_content","x"]}"#,
            both,
        ),
        (
            r#"{"model":"a","include":["reasoning.encrypted_content"]}"#,
            r#"{"model":"m","store":false,"include":["reasoning.encrypted_content"]}"#,
            &["store"],
        ),
        (r#"{"model":"a","include":7}"#, r#"{"model":"m","store":false,"include":7}"#, &["store"]),
        // What the caller decides by itself is left to it.
        (r#"{"model":"a","store":false}"#, r#"{"model":"m","store":false}"#, &[]),
    ] {
        let body = Bytes::from(body);
        let read = RequestBody::read(routing::Endpoint::Responses, &body).unwrap();
        let out = rewrite(&body, &read, &to);
        assert_eq!((out.segments.concat(), &out.added[..]), (want.as_bytes().to_vec(), added));
        let twice = Bytes::from(body.to_vec().repeat(2));
        assert!(RequestBody::read(routing::Endpoint::Responses, &twice).is_err());
    }
}

#[test]
fn vertex_has_the_version_in_the_body_and_the_model_in_the_path() {
    let on = |body: &str, versioned| {
        let bytes = Bytes::from(body.to_owned());
        let read = RequestBody::read(Endpoint::Messages, &bytes).unwrap();
        let to =
            Rewrite { versioned, max_output_tokens: Some(9), ask_usage: false, ..to("claude@1") };
        let out = rewrite(&bytes, &read, &to);
        let joined = out.segments.concat();
        assert_eq!(joined.len(), out.len);
        serde_json::from_slice::<serde_json::Value>(&joined).unwrap();
        String::from_utf8(joined).unwrap()
    };
    let body = "{ \"x\" : [1.0] ,\t\"mod\\u0065l\" : \"a\", \"max_tokens\":99}";
    assert_eq!(
        on(body, Versioned::ForModel),
        "{ \"x\" : [1.0] ,\t\"anthropic_version\" : \"vertex-2023-10-16\", \"max_tokens\":9}"
    );
    assert_eq!(
        on(body, Versioned::BesideModel),
        "{ \"x\" : [1.0] ,\t\"mod\\u0065l\" : \"claude@1\",\"anthropic_version\":\"vertex-2023-10-16\", \
         \"max_tokens\":9}"
    );
    // A version that the caller states is its own; one within a text states nothing.
    for (body, want) in [
        (r#"{"model":"a","anthropic_version":"v"}"#, r#"{"anthropic_version":"v"}"#),
        (r#"{"anthropic_version":"v" , "model" : "a" }"#, r#"{"anthropic_version":"v"  }"#),
        (r#"{"anthropic_version":"v","model":"a","b":1}"#, r#"{"anthropic_version":"v","b":1}"#),
        (
            r#"{"model":"a","b":"\"anthropic_version\": \"model\":"}"#,
            r#"{"anthropic_version":"vertex-2023-10-16","b":"\"anthropic_version\": \"model\":"}"#,
        ),
    ] {
        assert_eq!(on(body, Versioned::ForModel), want);
    }
    let stated = r#"{"model":"a","anthropic_version":"v"}"#;
    assert_eq!(
        on(stated, Versioned::BesideModel),
        r#"{"model":"claude@1","anthropic_version":"v"}"#
    );
}
