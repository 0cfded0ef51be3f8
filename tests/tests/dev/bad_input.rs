//! Bad requests get a clear error in OpenAI's shape, and the next good one is served.

use testkit::moniker::Moniker;

use crate::{SAMPLE, client};

/// What is sent, and what must come back.
struct Case {
    name: &'static str,
    method: reqwest::Method,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: Vec<u8>,
    status: u16,
    says: &'static str,
}

impl Case {
    fn post(name: &'static str, body: &str, status: u16, says: &'static str) -> Self {
        Self {
            name,
            method: reqwest::Method::POST,
            path: "chat/completions",
            headers: &[("content-type", "application/json")],
            body: body.as_bytes().to_vec(),
            status,
            says,
        }
    }
}

#[tokio::test]
async fn every_bad_request_is_told_what_is_wrong() {
    let args = ["--max-body", "64KiB"];
    let moniker = Moniker::dev_with(SAMPLE, &args, &[]).await.unwrap();
    let long = format!(
        "{{\"model\": \"prod-chat\", \"messages\": [], \"x\": \"{}\"}}",
        "y".repeat(70_000)
    );
    let cases = [
        Case::post("malformed", r#"{"model": "prod-chat", "#, 400, "JSON"),
        Case::post("no model", r#"{"messages": []}"#, 400, "model"),
        Case::post("not an object", "[]", 400, "object"),
        Case::post(
            "twice",
            r#"{"model": "prod-chat", "model": "ab-chat", "messages": []}"#,
            400,
            "model",
        ),
        Case::post("unknown", r#"{"model": "prod-chta", "messages": []}"#, 404, "prod-chat"),
        Case::post("too large", &long, 413, "64 KiB"),
        Case {
            method: reqwest::Method::GET,
            body: Vec::new(),
            ..Case::post("method", "", 405, "POST")
        },
        Case {
            headers: &[("content-type", "text/plain")],
            ..Case::post("type", r#"{"model": "prod-chat"}"#, 415, "application/json")
        },
        Case {
            headers: &[("content-type", "application/json"), ("content-encoding", "gzip")],
            ..Case::post("encoding", "\u{1f}", 415, "identity")
        },
        Case { path: "files", ..Case::post("endpoint", "{}", 404, "chat/completions") },
        Case { path: "realtime", ..Case::post("endpoint", "{}", 404, "chat/completions") },
    ];
    for case in cases {
        let mut request = client().request(case.method, moniker.at(case.path)).body(case.body);
        for (name, value) in case.headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), case.status, "{}", case.name);
        assert!(answer.headers().contains_key("x-request-id"), "{}", case.name);
        let body: serde_json::Value = answer.json().await.unwrap();
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(case.says), "{}: {message}", case.name);
        assert!(body["error"]["type"].is_string(), "{}: {body}", case.name);
    }
    let models = client().get(moniker.at("models")).send().await.unwrap();
    assert_eq!(models.status().as_u16(), 200);
}
