//! Embeddings in every form that providers have.

use proptest::prelude::*;
use routing::{OutcomeClass, outcome::Fault};

use super::*;
use crate::dialect::quirks::Quirks;

fn request(body: &str) -> Request {
    decode(body.as_bytes()).unwrap()
}

fn gemini(model: &'static str, host: Host) -> Candidate<'static> {
    Candidate { host, ..Candidate::new(Dialect::Gemini, "ns/t", model, model) }
}

fn compatible(base: &str) -> Candidate<'static> {
    Candidate {
        quirks: Some(Quirks::of(base)),
        ..Candidate::new(Dialect::OpenAiChat, "ns/t", "e", "e")
    }
}

fn json(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn what_cannot_be_read_is_named() {
    for (body, param) in [
        (r#"{"model":"m"}"#, "input"),
        (r#"{"model":"m","input":[]}"#, "input"),
        (r#"{"model":"m","input":["a",1]}"#, "input"),
        (r#"{"model":"m","input":[[1],[]]}"#, "input"),
        (r#"{"model":"m","input":{"text":"a"}}"#, "input"),
        (r#"{"model":"m","input":"a","dimensions":"many"}"#, "dimensions"),
        (r#"{"model":"m","input":"a","encoding_format":"hex"}"#, "encoding_format"),
        (r#"{"model":1,"input":"a"}"#, "model"),
    ] {
        assert_eq!(decode(body.as_bytes()).unwrap_err().param.as_deref(), Some(param), "{body}");
    }
    assert!(decode(b"[]").is_err() && decode(b"{").is_err());
}

#[test]
fn base64_is_made_where_the_server_gives_numbers() {
    let asked = request(r#"{"model":"m","input":["a","b"],"encoding_format":"base64"}"#);
    let native = compatible("https://api.together.xyz/v1");
    let google = compatible("https://generativelanguage.googleapis.com/v1beta/openai");
    assert!(is_native(&native) && !is_native(&google));
    assert!(json(&encode(&asked, &native).unwrap().body)["encoding_format"] == "base64");
    let sent = encode(&asked, &google).unwrap();
    assert_eq!(json(&sent.body), serde_json::json!({"model": "e", "input": ["a", "b"]}));
    assert!(sent.warnings.is_empty(), "the caller gets what was asked");

    // Out of order, and with a total alone.
    let body = br#"{"object":"list","data":[{"index":1,"embedding":[2.5]},
        {"index":0,"embedding":[1,-0.5]}],"model":"served","usage":{"total_tokens":3}}"#;
    let whole = answer(&asked, &google, body, 9).unwrap();
    let told = json(&whole.body);
    assert_eq!(told["data"][0]["embedding"], "AACAPwAAAL8=");
    assert_eq!(told["data"][1]["embedding"], "AAAgQA==");
    assert_eq!((&told["model"], &told["usage"]["prompt_tokens"]), (&"served".into(), &3.into()));
    let usage = whole.usage.unwrap();
    assert_eq!((usage.tokens.input, usage.estimated), (3, false));
    // The other way round.
    let asked = request(r#"{"model":"m","input":"a"}"#);
    let body = br#"{"data":[{"embedding":"AACAPwAAAL8="}]}"#;
    let whole = answer(&asked, &google, body, 9).unwrap();
    let told = json(&whole.body);
    assert_eq!(told["data"][0]["embedding"], serde_json::json!([1.0, -0.5]));
    assert_eq!((&told["model"], &told["usage"]["total_tokens"]), (&"e".into(), &9.into()));
    assert!(whole.usage.unwrap().estimated);
}

#[test]
fn dimensions_have_each_servers_name() {
    let asked = request(r#"{"model":"m","input":"a","dimensions":64,"user":"u"}"#);
    let mistral = compatible("https://api.mistral.ai/v1");
    assert!(!is_native(&mistral));
    let sent = encode(&asked, &mistral).unwrap();
    assert_eq!(json(&sent.body)["output_dimension"], 64);
    assert_eq!(sent.warnings[0].field, "user");
    let sent = encode(&asked, &compatible("http://x/v1")).unwrap();
    assert_eq!(
        (&json(&sent.body)["dimensions"], &json(&sent.body)["user"]),
        (&64.into(), &"u".into())
    );
    assert_eq!(sent.optional, ["dimensions", "user"]);
}

#[test]
fn gemini_has_three_forms() {
    let two = request(r#"{"model":"m","input":["a","b"],"dimensions":8,"x":1}"#);
    let sent = encode(&two, &gemini("gemini-embedding-001", Host::Own)).unwrap();
    assert_eq!(sent.path, "models/gemini-embedding-001:batchEmbedContents");
    let body = json(&sent.body);
    assert_eq!(body["requests"][1]["content"]["parts"][0]["text"], "b");
    assert_eq!(body["requests"][1]["model"], "models/gemini-embedding-001");
    assert_eq!(body["requests"][0]["outputDimensionality"], 8);
    assert_eq!(sent.warnings[0].field, "x");

    let sent = encode(&two, &gemini("text-embedding-005", Host::Vertex)).unwrap();
    assert_eq!(sent.path, "models/text-embedding-005:predict");
    let want = serde_json::json!({
        "instances": [{"content": "a"}, {"content": "b"}],
        "parameters": {"outputDimensionality": 8},
    });
    assert_eq!(json(&sent.body), want);

    for model in ["gemini-embedding-001", "gemini-embedding-2"] {
        let refusal = encode(&two, &gemini(model, Host::Vertex)).unwrap_err();
        assert_eq!(refusal.field, "input");
    }
    let one = request(r#"{"model":"m","input":["a"],"dimensions":8}"#);
    let sent = encode(&one, &gemini("gemini-embedding-2", Host::Vertex)).unwrap();
    assert_eq!(sent.path, "models/gemini-embedding-2:embedContent");
    assert_eq!(json(&sent.body)["embedContentConfig"]["outputDimensionality"], 8);
    let tokens = request(r#"{"model":"m","input":[[1,2],[3]]}"#);
    assert!(encode(&tokens, &gemini("gemini-embedding-2", Host::Own)).is_err());
}

#[test]
fn every_form_of_answer_is_read() {
    let two = request(r#"{"model":"m","input":["a","b"]}"#);
    let vertex = gemini("text-embedding-005", Host::Vertex);
    let body = br#"{"predictions":[
        {"embeddings":{"values":[0.1],"statistics":{"token_count":2.0,"truncated":false}}},
        {"embeddings":{"values":[0.2],"statistics":{"token_count":3}}}]}"#;
    let whole = answer(&two, &vertex, body, 9).unwrap();
    assert_eq!(json(&whole.body)["data"][1]["embedding"][0], 0.2);
    assert_eq!(whole.usage.unwrap().tokens.input, 5);

    let own = gemini("gemini-embedding-001", Host::Own);
    let body = br#"{"embeddings":[{"values":[0.1]},{"values":[-0.039718185]}],
        "usageMetadata":{"promptTokenCount":7}}"#;
    let whole = answer(&two, &own, body, 9).unwrap();
    assert!(whole.body.windows(12).any(|part| part == b"-0.039718185"), "digits survive");
    assert_eq!(whole.usage.unwrap().tokens.input, 7);

    let one = request(r#"{"model":"m","input":"a"}"#);
    let body = br#"{"embedding":{"values":[0.5]}}"#;
    assert!(answer(&one, &vertex, body, 9).unwrap().usage.unwrap().estimated);
}

#[test]
fn what_is_no_answer_is_an_error() {
    let two = request(r#"{"model":"m","input":["a","b"]}"#);
    let own = gemini("gemini-embedding-001", Host::Own);
    let class = |body: &str| answer(&two, &own, body.as_bytes(), 9).unwrap_err().class;
    let invalid = OutcomeClass::Fault(Fault::InvalidResponse);
    for body in [
        "",
        "{}",
        "<html>",
        r#"{"embeddings":[{"values":[0.1]}]}"#,
        r#"{"embeddings":[{"values":[0.1]},{"values":[]}]}"#,
        r#"{"data":[{"embedding":"!"},{"embedding":"!"}]}"#,
    ] {
        assert_eq!(class(body), invalid, "{body}");
    }
    let limited = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Quota"}}"#;
    assert_eq!(class(limited), OutcomeClass::Fault(Fault::RateLimited));
}

#[test]
fn who_makes_none_says_so() {
    let one = request(r#"{"model":"m","input":"a"}"#);
    for dialect in [Dialect::Anthropic, Dialect::Bedrock, Dialect::OpenAiResponses] {
        let to = Candidate::new(dialect, "ns/t", "x", "x");
        assert_eq!(encode(&one, &to).unwrap_err().field, "input");
        assert!(!is_native(&to));
    }
}

proptest! {
    #[test]
    fn arbitrary_answers_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let one = request(r#"{"model":"m","input":"a"}"#);
        drop(answer(&one, &gemini("gemini-embedding-001", Host::Own), &body, 1));
        drop(decode(&body));
    }

    #[test]
    fn base64_and_back(numbers in proptest::collection::vec(any::<f32>(), 1..20)) {
        let list = Numbers::List(numbers.iter().map(|n| f64::from(*n)).collect());
        let text = list.written(true).unwrap();
        let Numbers::List(back) = text.written(false).unwrap().into_owned() else { panic!() };
        for (one, other) in numbers.iter().zip(&back) {
            prop_assert_eq!(f64::from(*one).to_bits(), other.to_bits());
        }
    }
}
