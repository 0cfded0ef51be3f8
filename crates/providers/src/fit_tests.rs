//! A body that is passed through to a server with peculiarities.

use proptest::prelude::*;
use routing::Endpoint;
use serde_json::{Value, json};

use super::*;
use crate::{
    dialect::quirks::QUIRKS,
    edit::{Versioned, json_string},
};

fn of(name: &str) -> &'static Quirks {
    QUIRKS.iter().find(|quirks| quirks.name == name).unwrap_or(&UNKNOWN)
}

fn to() -> Rewrite {
    Rewrite {
        model: json_string("up"),
        max_output_tokens: Some(100),
        ask_usage: true,
        unstored: false,
        versioned: Versioned::Elsewhere,
        encrypted: false,
    }
}

fn fitted(server: &str, body: &str) -> Result<Option<(String, Vec<String>)>, Refusal> {
    let bytes = Bytes::from(body.to_owned());
    let read = RequestBody::read(Endpoint::ChatCompletions, &bytes).unwrap();
    let fitted = fit(&bytes, &read, &to(), of(server))?;
    Ok(fitted.map(|fitted| {
        let joined = fitted.body.segments.concat();
        assert_eq!(joined.len(), fitted.body.len);
        let warned = fitted.warnings.iter().map(|w| format!("{} {}", w.action.name(), w.field));
        (String::from_utf8(joined).unwrap(), warned.collect())
    }))
}

fn passed(server: &str, body: &str) -> (String, Vec<String>) {
    fitted(server, body).unwrap().unwrap()
}

#[test]
fn who_has_no_peculiarity_gets_every_byte_but_the_model() {
    let body = r#"{ "n":2,"model" : "a", "messages":[{"role":"user","name":"x","content":"h\u00e9"}],
        "metadata":{"k":"v"},"safety_identifier":"s","vendor":[1.0e2] }"#;
    for server in ["unknown", "vllm", "sglang"] {
        let (out, warned) = passed(server, body);
        assert_eq!(out, body.replace("\"a\"", "\"up\""), "{server}");
        assert!(warned.is_empty());
    }
}

#[test]
fn refused_members_go_wherever_they_stand() {
    let body = r#"{"user":"u","model":"a","logit_bias":{"1":2},"x":1,"service_tier":"flex","metadata":{}}"#;
    let (out, warned) = passed("mistral", body);
    assert_eq!(out, r#"{"model":"up","x":1,"metadata":{}}"#);
    assert_eq!(warned, ["dropped user", "dropped logit_bias", "dropped service_tier"]);
    // The last ones, with the comma before them; a default goes without a word.
    let (out, warned) =
        passed("xai", r#"{"model":"a","presence_penalty":0,"frequency_penalty":1 }"#);
    assert_eq!(
        (out.as_str(), warned.as_slice()),
        (r#"{"model":"up" }"#, &["dropped frequency_penalty".to_owned()][..])
    );
    let refusal = fitted("groq", r#"{"model":"a","n":2}"#).unwrap_err();
    assert_eq!(refusal.field, "n");
    assert_eq!(passed("groq", r#"{"model":"a","n":1}"#).0, r#"{"model":"up","n":1}"#);
    assert_eq!(fitted("perplexity", r#"{"model":"a","tools":[{}]}"#).unwrap_err().field, "tools");
}

#[test]
fn members_get_the_servers_names_and_limits() {
    let (out, _) = passed("mistral", r#"{"model":"a","seed":1,"max_completion_tokens":500}"#);
    assert_eq!(out, r#"{"model":"up","random_seed":1,"max_tokens":100}"#);
    let (out, _) = passed("moonshot", r#"{"max_tokens":5,"model":"a"}"#);
    assert_eq!(out, r#"{"max_completion_tokens":5,"model":"up"}"#);
    // Both are there: the server's stays.
    let (out, _) = passed("mistral", r#"{"model":"a","max_completion_tokens":5,"max_tokens":7}"#);
    assert_eq!(out, r#"{"model":"up","max_tokens":7}"#);
    let (out, _) = passed("groq", r#"{"model":"a","max_completion_tokens":5}"#);
    assert_eq!(out, r#"{"model":"up","max_completion_tokens":5}"#);
}

#[test]
fn usage_is_asked_for_where_it_may_be() {
    let (out, _) = passed("xai", r#"{"model":"a","stream":true,"presence_penalty":1}"#);
    assert_eq!(out, r#"{"model":"up","stream_options":{"include_usage":true},"stream":true}"#);
    // Removed right behind the model's name, where the wish for usage goes.
    let (out, _) = passed("xai", r#"{"stream":true,"model":"a","presence_penalty":1}"#);
    assert_eq!(out, r#"{"stream":true,"model":"up","stream_options":{"include_usage":true}}"#);
    let asked = r#"{"model":"a","stream":true,"stream_options":{"include_usage":true}}"#;
    assert_eq!(passed("gemini", asked).0, r#"{"model":"up","stream":true}"#);
}

#[test]
fn a_conversation_is_changed_only_where_it_breaks_a_rule() {
    let plain = r#"{"model":"a","messages": [ {"role":"system","content":"s"},{"role":"user","content":"u"} ]}"#;
    for quirks in QUIRKS {
        let Some((out, _)) = fitted(quirks.name, plain).unwrap() else { panic!("{}", quirks.name) };
        let kept = plain[12..plain.len() - 1].trim_start_matches(',');
        assert!(out.contains(kept), "{}: {out}", quirks.name);
    }
    let body = json!({"model": "a", "messages": [
        {"role": "developer", "content": "d", "x": 1},
        {"role": "user", "content": "u", "name": "ann"},
    ]});
    let value = |server: &str, body: &Value| -> Value {
        serde_json::from_str(&passed(server, &body.to_string()).0).unwrap()
    };
    let out = value("unknown", &body);
    assert_eq!(out["messages"][0], json!({"role": "system", "content": "d", "x": 1}));
    assert_eq!(out["messages"][1]["name"], "ann");
    assert!(value("groq", &body)["messages"][1].get("name").is_none());
    assert_eq!(value("openrouter", &body)["messages"][0]["role"], "developer");

    let agent = json!({"model": "a", "messages": [
        {"role": "user", "content": "u"},
        {"role": "assistant", "reasoning": "r", "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "t"},
        {"role": "user", "content": "v"},
        {"role": "system", "content": [{"type": "text", "text": "late"}]},
        {"role": "assistant", "content": "so"},
    ]});
    let out = value("mistral", &agent);
    let id = out["messages"][1]["tool_calls"][0]["id"].as_str().unwrap();
    assert_eq!((id.len(), &out["messages"][2]["tool_call_id"]), (9, &id.into()));
    assert_eq!(out["messages"][3], json!({"role": "assistant", "content": "OK."}));
    assert_eq!(out["messages"][5], json!({"role": "user", "content": "<system>\nlate\n</system>"}));
    assert_eq!(out["messages"][6]["prefix"], true);
    let out = value("deepseek", &agent);
    assert_eq!(out["messages"][1]["reasoning_content"], "r");
    assert_eq!(value("gemini", &agent)["messages"][2]["name"], "f");
}

#[test]
fn what_edits_cannot_do_is_for_a_translation() {
    let twice =
        r#"{"model":"a","messages":[{"role":"user","content":"u"},{"role":"user","content":"v"}]}"#;
    assert!(fitted("perplexity", twice).unwrap().is_none());
    let many = r#"{"user":1,"a":1,"seed":1,"b":1,"logit_bias":{"1":1},"c":1,"metadata":{},"d":1,
        "presence_penalty":1,"e":1,"frequency_penalty":1,"f":1,"top_k":1,"g":1,"store":false,"h":1,
        "service_tier":"flex","i":1,"verbosity":"low","j":1,"model":"a"}"#;
    assert!(fitted("gemini", many).unwrap().is_none());
}

#[test]
fn tools_and_their_choice() {
    let tool = r#"{"type":"function","function":{"name":"f","strict":true,"parameters":{}},"cache_control":{"type":"ephemeral"}}"#;
    let body = format!(r#"{{"model":"a","tools":[{tool}],"tool_choice":"required"}}"#);
    let value = |server: &str| -> Value { serde_json::from_str(&passed(server, &body).0).unwrap() };
    assert_eq!(value("mistral")["tool_choice"], "any");
    assert_eq!(value("qwen")["tool_choice"], "auto");
    let moonshot = value("moonshot");
    assert_eq!(moonshot["thinking"]["type"], "disabled");
    assert_eq!(
        moonshot["tools"][0],
        json!({"type": "function", "function": {"name": "f", "parameters": {}}})
    );
    assert_eq!(fitted("cerebras", &body).unwrap_err().field, "tool_choice");
    assert_eq!(value("llama.cpp")["parallel_tool_calls"], true);
    let own = r#"{"model":"a","tool_choice":{"type":"function","function":{"name":"f"}},"thinking":{"type":"enabled"}}"#;
    let (out, warned) = passed("deepseek", own);
    assert!(out.ends_with(r#""thinking":{"type":"disabled"}}"#), "{out}");
    assert_eq!(warned, ["adapted thinking"]);
}

#[test]
fn what_is_added_and_what_is_clamped() {
    let (out, _) = passed("fireworks", r#"{"model":"a"}"#);
    assert_eq!(out, r#"{"context_length_exceeded_behavior":"error","model":"up"}"#);
    let own = r#"{"model":"a","context_length_exceeded_behavior":"truncate"}"#;
    assert_eq!(passed("together", own).0, own.replace("\"a\"", "\"up\""));
    let (out, _) = passed("lm-studio", r#"{"model":"a","response_format":{"type":"json_object"}}"#);
    assert!(out.contains(r#""type":"json_schema""#));
}

#[test]
fn some_models_think_in_streams_only() {
    let qwen = of("qwen");
    for (model, told) in [
        ("qwen3-235b-a22b", true),
        ("Qwen/Qwen3-8B", true),
        ("qwen3-max", false),
        ("qwen3-30b-a3b-thinking-2507", false),
        ("qwen-plus", false),
    ] {
        assert_eq!(qwen.thinks_in_streams_only(model), told, "{model}");
    }
    let body = Bytes::from_static(br#"{"model":"a","enable_thinking":true}"#);
    let read = RequestBody::read(Endpoint::ChatCompletions, &body).unwrap();
    let to = Rewrite {
        model: json_string("qwen3-8b"),
        max_output_tokens: None,
        ask_usage: true,
        unstored: false,
        versioned: Versioned::Elsewhere,
        encrypted: false,
    };
    let out = fit(&body, &read, &to, qwen).unwrap().unwrap();
    assert_eq!(&out.body.segments.concat()[..], br#"{"model":"qwen3-8b","enable_thinking":false}"#);
    assert_eq!(out.warnings.len(), 1);
}

proptest! {
    /// Whatever the members, in whatever order: what comes out is JSON, and what no rule names is
    /// as it came.
    #[test]
    fn any_body_stays_json(
        server in 0..QUIRKS.len(),
        members in proptest::collection::vec(
            (proptest::sample::select(vec![
                "user", "seed", "n", "logit_bias", "stop", "temperature", "max_tokens", "x", "y",
                "max_completion_tokens", "stream", "tools", "tool_choice", "metadata", "messages",
                "response_format", "store", "parallel_tool_calls",
            ]), 0..4_usize), 0..10),
        at in 0..10_usize,
    ) {
        let mut seen = Vec::new();
        let mut parts: Vec<String> = Vec::new();
        for (name, kind) in members {
            if seen.contains(&name) {
                continue;
            }
            seen.push(name);
            let value = match (name, kind) {
                ("messages", _) => r#"[{"role":"developer","content":"d"}]"#,
                ("stream", _) => "true",
                ("tools", _) => "[]",
                (_, 0) => "1",
                (_, 1) => "null",
                (_, 2) => "\"required\"",
                _ => "{}",
            };
            parts.push(format!("\"{name}\" : {value}"));
        }
        parts.insert(at.min(parts.len()), "\"model\":\"a\"".to_owned());
        let body = Bytes::from(format!("{{ {} }}", parts.join(" , ")));
        let read = RequestBody::read(Endpoint::ChatCompletions, &body).unwrap();
        if let Ok(Some(out)) = fit(&body, &read, &to(), &QUIRKS[server]) {
            let text = out.body.segments.concat();
            let value: Value = serde_json::from_slice(&text).unwrap();
            prop_assert_eq!(&value["model"], "up");
            for part in parts.iter().filter(|p| p.starts_with("\"x\"") || p.starts_with("\"y\"")) {
                prop_assert!(String::from_utf8_lossy(&text).contains(part.as_str()));
            }
        }
    }
}
