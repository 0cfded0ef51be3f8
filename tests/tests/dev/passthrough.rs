//! What passes from a caller to a provider and back, byte for byte, and what never does: a caller's
//! credentials, a provider's.

use serde_json::json;
use testkit::{
    moniker::Moniker,
    upstream::{Script, Upstream, error},
};

use crate::{
    client,
    rig::{Answer, admin, ask, ask_with, get, priority, request, secret, target},
};

async fn one(more: &[&str]) -> (Moniker, Upstream) {
    let only = Upstream::start().await.unwrap();
    let yaml = target("only", &only.url(), more) + &priority("chat", &["only"], &[]);
    (Moniker::dev(&yaml).await.unwrap(), only)
}

#[tokio::test]
async fn every_byte_but_the_models_name_survives_both_ways() {
    let (moniker, only) = one(&[]).await;
    let odd = "\t{ \"zeta\" : 1e400, \"ratio\":-0.10,\r\n\t\"messages\":[ {\"content\":\"\\ud800 \\/ \
               \u{1f600} \u{2028}\",\"role\":\"user\", \"model\":\"chat\"} ] ,\"model\"  :  \
               \"ch\\u0061t\", \"big\":123456789012345678901234567890, \"unknown\":{\"a\":[1,2,{}], \
               \"a\":null}, \"tools\" : [] } \r\n ";
    let back = "{\"zz\":1.0, \"choices\" : [ {\"message\":{\"content\":\"\\u00e9\u{e9}\"}, \"x\":1e400} \
                ],\n\"model\":\"served-by\"}\n";
    for path in ["chat/completions", "completions", "embeddings"] {
        let body = if path == "chat/completions" {
            back
        } else {
            r#"{"data":[{"embedding":[0.10]}], "choices":[{"text":"x"}] }"#
        };
        only.then(Script::answer(200, &[("x-request-id", "theirs")], body));
        let sent = client()
            .post(moniker.at(path))
            .header("content-type", "application/json; charset=utf-8")
            .body(odd.to_owned())
            .send()
            .await
            .unwrap();
        let answer = Answer::of(sent).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
        assert_eq!(answer.header("x-moniker-upstream-request-id"), "theirs");
        assert_ne!(answer.header("x-request-id"), "theirs");
        let got = only.received().pop().unwrap();
        assert_eq!(got.path, format!("/v1/{path}"));
        let want = odd.replace("\"ch\\u0061t\"", "\"up-only\"");
        assert_eq!(String::from_utf8_lossy(&got.body), want, "{path}");
    }
}

#[tokio::test]
async fn only_listed_headers_reach_a_provider() {
    let (moniker, only) = one(&["headers: {openai-organization: org-1}"]).await;
    only.then(Script::error(500, "server_error", "again"));
    let secret = "callers-own-KEY";
    let answer = ask_with(
        &moniker,
        &request("chat", false),
        &[
            ("authorization", "Bearer callers-own-KEY"),
            ("api-key", secret),
            ("x-api-key", secret),
            ("cookie", "session=callers-own-KEY"),
            ("proxy-authorization", "Basic callers-own-KEY"),
            ("x-forwarded-for", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
            ("x-forwarded-host", "evil.example"),
            ("x-portkey-custom-host", "http://evil.example"),
            ("metadata-flavor", "Google"),
            ("x-aws-ec2-metadata-token", secret),
            ("openai-organization", "org-of-the-caller"),
            ("openai-beta", "assistants=v2"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("idempotency-key", "once"),
            ("x-stainless-lang", "python"),
            ("user-agent", "callers-agent"),
            ("x-moniker-session", "s"),
        ],
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let received = only.received();
    assert_eq!(received.len(), 2);
    for (i, got) in received.iter().enumerate() {
        let mut names: Vec<_> = got.headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        let own =
            ["accept", "accept-encoding", "content-length", "content-type", "host", "user-agent"];
        let listed = ["idempotency-key", "openai-beta", "openai-organization", "traceparent"];
        let odd: Vec<_> =
            names.iter().filter(|n| !own.contains(n) && !listed.contains(n)).collect();
        assert!(odd.is_empty(), "{odd:?}");
        let text = format!("{:?}", got.headers);
        for never in ["callers", "evil", "10.0.0.1", "Google", "python"] {
            assert!(!text.contains(never), "{never} in {text}");
        }
        let value = |name: &str| got.headers.get(name).map(|v| v.to_str().unwrap());
        assert_eq!(value("host"), Some(only.address().to_string().as_str()));
        assert_eq!(value("accept-encoding"), Some("identity"));
        assert_eq!(value("openai-organization"), Some("org-1"), "the owner's word");
        assert_eq!(value("openai-beta"), Some("assistants=v2"));
        assert!(value("traceparent").is_some());
        assert_eq!(value("idempotency-key"), (i == 0).then_some("once"), "on the first attempt");
    }
}

#[tokio::test]
async fn a_providers_own_headers_stay_with_us() {
    let (moniker, only) = one(&[]).await;
    let body = json!({"choices": [{"message": {"content": "x"}}]}).to_string();
    only.then(Script::answer(
        200,
        &[
            ("x-ratelimit-remaining-requests", "7"),
            ("openai-organization", "our-account"),
            ("set-cookie", "a=b"),
            ("x-should-retry", "true"),
            ("server", "theirs"),
            ("content-type", "application/json"),
        ],
        &body,
    ));
    let answer = ask(&moniker, &request("chat", false)).await;
    assert_eq!(answer.status, 200);
    for name in [
        "x-ratelimit-remaining-requests",
        "openai-organization",
        "set-cookie",
        "x-should-retry",
        "server",
    ] {
        assert_eq!(answer.header(name), "", "{name}");
    }
}

#[tokio::test]
async fn credentials_come_from_secrets_and_leave_by_nothing_else() {
    let (bearer, header) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
    let canaries = ["CANARY-5e3b0a86-bearer", "CANARY-2c9d71f4-header"];
    let keyed = |name: &str, url: &str, auth: &str| {
        target(
            name,
            url,
            &[&format!("auth: {{{auth}, secretRef: {{name: {name}, key: api-key}}}}")],
        ) + &secret(name, &format!("${{KEY_{}}}", name.to_uppercase()))
            + &priority(&format!("{name}-chat"), &[name], &["fallback: {retries: 0}"])
    };
    let yaml = keyed("bearer", &bearer.url(), "type: Bearer")
        + &keyed("header", &header.url(), "type: Header, header: {name: Api-Key}")
        + &priority("both", &["bearer", "header"], &[]);
    let environment = [("KEY_BEARER", canaries[0]), ("KEY_HEADER", canaries[1])];
    let moniker = Moniker::dev_with(&yaml, &[], &environment).await.unwrap();
    let mut seen = Vec::new();
    for stream in [false, true] {
        for name in ["bearer-chat", "header-chat", "both"] {
            let full = [("x-moniker-metadata", "full"), ("authorization", "Bearer nothing")];
            let answer = ask_with(&moniker, &request(name, stream), &full).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            seen.push(format!("{answer:?}"));
        }
    }
    let got = bearer.received().pop().unwrap().headers;
    assert_eq!(got["authorization"], format!("Bearer {}", canaries[0]).as_str());
    let got = header.received().pop().unwrap().headers;
    assert_eq!(got["api-key"], canaries[1]);
    assert!(!got.contains_key("authorization"));

    // A provider that quotes the key that it was given, in errors, answers' ends and streams.
    for (upstream, name, canary) in
        [(&bearer, "bearer-chat", canaries[0]), (&header, "header-chat", canaries[1])]
    {
        let quote = format!("the key {canary} is wrong, says {canary}.");
        let event = format!("data: {}\n\n", error("server_error", &quote));
        let begun = testkit::upstream::delta("m", "a");
        for (script, stream) in [
            (Script::error(422, "odd", &quote), false),
            (Script::error(422, canary, "the code is it"), false),
            (Script::error(500, "server_error", &quote), false),
            (Script::error(500, "server_error", &quote), true),
            (Script::stream([event.clone()]), true),
            (Script::stream([begun, event]), true),
            (Script::answer(502, &[("content-type", "text/html")], &quote), false),
            (Script::error(401, "invalid_api_key", &quote), false),
        ] {
            upstream.then(script);
            let full = [("x-moniker-metadata", "full")];
            let answer = ask_with(&moniker, &request(name, stream), &full).await;
            assert!(answer.body.contains("error"), "{}", answer.body);
            seen.push(format!("{answer:?}"));
        }
    }
    for path in ["config", "config/check", "metrics", "readyz"] {
        seen.push(admin(&moniker, path).await.body);
    }
    seen.push(get(&moniker, "models").await.body);
    seen.push(moniker.output());
    for text in seen {
        assert!(!text.contains("CANARY") && !text.contains("5e3b0a86"), "{text}");
        assert!(!text.contains("2c9d71f4"), "{text}");
    }
}

#[tokio::test]
async fn a_caller_may_narrow_and_never_widen() {
    let (a, b) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
    let other = Upstream::start().await.unwrap();
    let yaml = target("a", &a.url(), &[])
        + &target("b", &b.url(), &[])
        + &target("other", &other.url(), &[])
        + &priority("chat", &["a", "b"], &[]);
    let moniker = Moniker::dev(&yaml).await.unwrap();
    for (value, served) in [("b", "b"), ("default/b", "b"), ("b, a", "a"), ("other,b", "b")] {
        let narrowed = [("x-moniker-providers", value)];
        let answer = ask_with(&moniker, &request("chat", false), &narrowed).await;
        assert_eq!((answer.status, answer.told().1), (200, served), "{value}");
    }
    for value in ["other", "shop/b", "nobody", " , "] {
        let narrowed = [("x-moniker-providers", value)];
        let answer = ask_with(&moniker, &request("chat", true), &narrowed).await;
        assert_eq!(answer.status, 400, "{value}: {}", answer.body);
        assert!(answer.error().2.contains("x-moniker-providers"), "{value}: {}", answer.body);
    }
    assert_eq!(other.count(), 0);
    // A narrowed request has what it named, and no more, to fall back on.
    b.always(Script::error(500, "server_error", "boom"));
    let answer = ask_with(&moniker, &request("chat", false), &[("x-moniker-providers", "b")]).await;
    assert_eq!((answer.status, answer.told().1), (502, "b"), "{}", answer.body);
    // What names another host in a body or in the address names nothing.
    let body = format!(
        r#"{{"model":"chat","api_base":"{0}","base_url":"{0}","messages":[]}}"#,
        other.url()
    );
    assert_eq!(ask(&moniker, &body).await.told().1, "a");
    assert_eq!(other.count(), 0);
}

#[tokio::test]
async fn metadata_is_added_when_asked_for() {
    let (bad, good) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
    bad.always(Script::error(500, "server_error", "boom"));
    let yaml = target("bad", &bad.url(), &[])
        + &target("good", &good.url(), &[])
        + &priority("chat", &["bad", "good"], &["fallback: {retries: 0}"])
        + &priority("hopeless", &["bad"], &["fallback: {retries: 0}"]);
    let moniker = Moniker::dev(&yaml).await.unwrap();
    let full = [("x-moniker-metadata", "full")];
    let answer = ask_with(&moniker, &request("chat", false), &full).await;
    let whole = answer.json()["moniker"].clone();
    let streamed = ask_with(&moniker, &request("chat", true), &full).await;
    assert_eq!(streamed.said(), "hello");
    let events = streamed.events();
    let last = events.last().unwrap();
    assert!(streamed.body.ends_with("data: [DONE]\n\n"), "{}", streamed.body);
    let refused = ask_with(&moniker, &request("hopeless", true), &full).await;
    assert_eq!(refused.status, 502);
    for (said, attempts) in [(&whole, 2), (&last["moniker"], 2), (&refused.json()["moniker"], 1)] {
        let tried = said["attempts"].as_array().unwrap_or_else(|| panic!("{said}"));
        assert_eq!(tried.len(), attempts, "{said}");
        assert_eq!(tried[0]["target"], json!("default/bad/m"));
        assert_eq!(
            (&tried[0]["outcome"], &tried[0]["status"]),
            (&json!("ServerError"), &json!(500))
        );
        assert_eq!(said["decision"]["candidates"].as_array().unwrap().len(), attempts);
        assert_eq!(said["decision"]["strategy"], json!("Priority"));
    }
    assert_eq!(whole["attempts"][1]["target"], json!("default/good/m"));
    assert!(!ask(&moniker, &request("chat", false)).await.body.contains("moniker"));
}
