//! Tokens and what they cost: counted by the provider, estimated where it does not, never twice.

use http_body_util::BodyExt as _;
use routing::price::{Money, PerMillion, Price};

use crate::{
    rig::{Rig, World, ask, ask_stream},
    upstream::{
        self, DONE, Do, Upstream, chat, chat_body, chunk, content, end, events_head, finish,
        response, role,
    },
};

const FULL: [(&str, &str); 1] = [("x-moniker-metadata", "full")];

fn used(prompt: u32, completion: u32) -> String {
    format!(
        "data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion},\"prompt_tokens_details\":{{\"cached_tokens\":1}}}}}}\n\n"
    )
}

fn counted_stream() -> Vec<Do> {
    let events = [role(), content("hello"), finish(), used(9, 2), DONE.to_owned()];
    let mut script = vec![events_head()];
    script.extend(events.iter().map(|event| chunk(event)));
    script.push(end());
    script
}

fn uncounted_stream() -> Vec<Do> {
    upstream::good_stream("hello, these are words")
}

fn tokens(rig: &Rig, direction: &str) -> Option<f64> {
    rig.metric(&format!(
        r#"moniker_tokens_total{{alias="shop/prod-chat",target="shop/t0/m",direction="{direction}"}}"#
    ))
}

fn of_t0(rig: &Rig, metric: &str) -> Option<f64> {
    rig.metric(&format!(r#"{metric}{{alias="shop/prod-chat",target="shop/t0/m"}}"#))
}

/// The event of the metadata, in a stream.
fn metadata(body: &str) -> serde_json::Value {
    let event = body.split("\n\n").find(|event| event.contains("\"moniker\"")).unwrap();
    let value: serde_json::Value =
        serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
    value["moniker"].clone()
}

#[tokio::test]
async fn usage_is_asked_for_and_shown_to_who_wants_it() {
    let only = Upstream::always(counted_stream()).await;
    let rig = Rig::start(World::over(&[&only])).await;
    let mut total = 0.0;
    for (options, shown) in [
        ("", false),
        (r#","stream_options":{"include_usage":true}"#, true),
        (r#","stream_options":{"include_usage":false}"#, false),
        (r#","stream_options":null"#, false),
    ] {
        let body = ask_stream().replace(r#","messages""#, &format!(r#"{options},"messages""#));
        let answer = rig.chat(&body).await;
        assert_eq!(answer.body.contains("\"usage\""), shown, "{options}: {}", answer.body);
        assert!(answer.body.ends_with(DONE));
        let seen = only.seen().pop().unwrap();
        assert!(seen.text().contains(r#""include_usage":true"#), "{}", seen.text());
        total += 9.0;
        assert_eq!(tokens(&rig, "input"), Some(total), "{options}");
    }
    assert_eq!(tokens(&rig, "output"), Some(8.0));
    assert_eq!(of_t0(&rig, "moniker_estimated_usage_total"), None);
}

#[tokio::test]
async fn a_retry_and_cumulative_usage_count_once() {
    let cumulative = |n: u32| {
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"x\"}}}}],\"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":{n}}}}}\n\n"
        )
    };
    let only = Upstream::always(vec![
        events_head(),
        chunk(&cumulative(1)),
        chunk(&cumulative(2)),
        chunk(&finish()),
        chunk(&used(9, 3)),
        chunk(DONE),
        end(),
    ])
    .await;
    // An error event that states usage is a refusal: it costs nothing.
    let error = "data: {\"error\":{\"message\":\"m\",\"code\":\"server_error\"},\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":0}}\n\n";
    only.next(vec![events_head(), chunk(error), end()]);
    let rig = Rig::start(World::over(&[&only])).await;
    let answer = rig.post_with("/v1/chat/completions", ask_stream(), &FULL).await;
    assert_eq!(answer.header("x-moniker-reason"), "retry", "{}", answer.body);
    assert_eq!((tokens(&rig, "input"), tokens(&rig, "output")), (Some(9.0), Some(3.0)));
    let said = metadata(&answer.body);
    assert_eq!((&said["tokens"]["input"], &said["tokens"]["output"]), (&9.into(), &3.into()));
    assert_eq!(said["attempts"][0]["tokens"], serde_json::Value::Null);
}

#[tokio::test]
async fn what_a_provider_does_not_count_is_estimated_and_marked() {
    let only = Upstream::always(uncounted_stream()).await;
    let rig = Rig::start(World::over(&[&only])).await;
    let answer = rig.post_with("/v1/chat/completions", ask_stream(), &FULL).await;
    let said = metadata(&answer.body);
    // 22 bytes of text, four to a token; the prompt's are 2 and its role's 4.
    assert_eq!(said["tokens"]["output"], 6, "{said}");
    assert_eq!(said["tokens"]["input"], 2, "{said}");
    assert_eq!(said["tokens"]["estimated"], true);
    assert_eq!(of_t0(&rig, "moniker_estimated_usage_total"), Some(1.0));

    let bare = r#"{"choices":[{"message":{"content":"12345678"},"finish_reason":"stop"}]}"#;
    let json = Upstream::always(response("200 OK", "", bare)).await;
    let rig = Rig::start(World::over(&[&json])).await;
    let said = rig.post_with("/v1/chat/completions", ask(), &FULL).await.json();
    assert_eq!(said["moniker"]["tokens"]["output"], 2);
    assert_eq!(said["moniker"]["tokens"]["estimated"], true);
}

#[tokio::test]
async fn a_caller_who_leaves_is_charged_what_was_seen_and_counted_out() {
    let only = Upstream::always(vec![
        events_head(),
        chunk(&role()),
        chunk(&content("12345678")),
        Do::Hang,
    ])
    .await;
    let world = World::over(&[&only]).target(0, |t| {
        t.models[0].price = Some(price("1", "10"));
        t.max_in_flight = Some(8);
    });
    let rig = Rig::start(world).await;
    let (mut response, connection) =
        rig.open(rig.request("/v1/chat/completions", ask_stream().into(), &[])).await;
    while let Some(frame) = response.body_mut().frame().await {
        let text = frame.unwrap().into_data().unwrap();
        if String::from_utf8_lossy(&text).contains("12345678") {
            break;
        }
    }
    let pending = rig.explain(ask()).await["candidates"][0]["pending"].clone();
    assert_eq!(pending, 1);
    let in_flight = |rig: &Rig| rig.traffic.report().limits.values().next().unwrap().used;
    assert!((in_flight(&rig) - 1.0).abs() < 1e-9);
    connection.leave();
    only.peer_left().await;
    assert_eq!(rig.explain(ask()).await["candidates"][0]["pending"], 0);
    assert!(in_flight(&rig).abs() < 1e-9);
    assert_eq!(rig.metric(r#"moniker_attempts_in_flight{target="shop/t0/m"}"#), Some(0.0));
    assert_eq!((tokens(&rig, "input"), tokens(&rig, "output")), (Some(2.0), Some(2.0)));
    assert_eq!(of_t0(&rig, "moniker_estimated_usage_total"), Some(1.0));
    // 2 tokens at 1 and 2 at 10, for a million.
    assert_eq!(of_t0(&rig, "moniker_cost_total"), Some(0.000_022));
}

fn price(input: &str, output: &str) -> Price {
    Price {
        input: PerMillion::parse(input).unwrap(),
        output: PerMillion::parse(output).unwrap(),
        ..Price::default()
    }
}

#[tokio::test]
async fn costs_are_exact() {
    let body = r#"{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":900}}}"#;
    let only = Upstream::always(response("200 OK", "", body)).await;
    let cost = Price {
        cached_input: Some(PerMillion::parse("0.075").unwrap()),
        per_request: Some(Money::parse("0.000000000000000001").unwrap()),
        ..price("0.15", "0.6")
    };
    let world = World::over(&[&only]).target(0, |t| t.models[0].price = Some(cost));
    let rig = Rig::start(world).await;
    for n in 1_u32..=3 {
        let said = rig.post_with("/v1/chat/completions", ask(), &FULL).await.json();
        // 100 * .15 + 900 * .075 + 7 * .6 for a million, and the smallest amount that there is.
        assert_eq!(said["moniker"]["cost"], "0.000086700000000001");
        assert_eq!(said["moniker"]["attempts"][0]["cost"], "0.000086700000000001");
        assert_eq!(said["moniker"]["tokens"]["cacheRead"], 900);
        let total = of_t0(&rig, "moniker_cost_total").unwrap();
        assert!((total - 0.000_086_7 * f64::from(n)).abs() < 1e-15, "{total}");
    }
    let candidate = &rig.explain(ask()).await["candidates"][0];
    let expected = Money::parse(candidate["expectedCost"].as_str().unwrap()).unwrap();
    // Some 200 tokens, by the first guess of an answer's length.
    assert!(expected.to_f64() > 180.0 * 0.6e-6 && expected.to_f64() < 0.001, "{candidate}");
}

#[tokio::test]
async fn an_unknown_price_is_absent_and_a_refusal_costs_nothing() {
    let only = Upstream::always(chat("ok")).await;
    let rig = Rig::start(World::over(&[&only])).await;
    let said = rig.post_with("/v1/chat/completions", ask(), &FULL).await.json();
    assert_eq!(said["moniker"]["tokens"]["output"], 2);
    assert!(said["moniker"].get("cost").is_none(), "{said}");
    assert_eq!(of_t0(&rig, "moniker_cost_total"), None);

    let dead = Upstream::always(upstream::error("400 Bad Request", "", "odd", "b")).await;
    let world = World::over(&[&dead]).target(0, |t| t.models[0].price = Some(price("1", "1")));
    let rig = Rig::start(world).await;
    let said = rig.post_with("/v1/chat/completions", ask(), &FULL).await.json();
    assert!(said["moniker"].get("tokens").is_none(), "{said}");
    assert_eq!((tokens(&rig, "input"), of_t0(&rig, "moniker_cost_total")), (None, None));
    // A price of 0 is a price.
    let free = Upstream::always(chat("ok")).await;
    let world = World::over(&[&free]).target(0, |t| t.models[0].price = Some(price("0", "0")));
    let rig = Rig::start(world).await;
    let said = rig.post_with("/v1/chat/completions", ask(), &FULL).await.json();
    assert_eq!(said["moniker"]["cost"], "0");
    assert_eq!(of_t0(&rig, "moniker_cost_total"), Some(0.0));
}

#[tokio::test]
async fn the_estimate_learns_how_long_a_token_is() {
    let body = |prompt: usize| {
        format!(
            r#"{{"choices":[{{"message":{{"content":"x"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{prompt},"completion_tokens":1}}}}"#
        )
    };
    // A caller whose texts have two bytes a token.
    let only = Upstream::always(response("200 OK", "", &body(1_000))).await;
    let rig = Rig::start(World::over(&[&only])).await;
    let text = "ab".repeat(1_000);
    let ask = ask().replace("\"hi\"", &format!("\"{text}\""));
    let estimate = |said: &serde_json::Value| said["request"]["promptTokens"].as_u64().unwrap();
    let before = estimate(&rig.explain(&ask).await);
    assert!((500..=502).contains(&before), "{before}");
    for _ in 0..200 {
        assert_eq!(rig.chat(&ask).await.status, 200);
    }
    let after = estimate(&rig.explain(&ask).await);
    assert!((950..=1_010).contains(&after), "{after}");
}

/// What a relay says that an answer costs is told, and nothing is priced by it.
#[tokio::test]
async fn the_providers_own_cost_is_told() {
    let usage = r#"{"prompt_tokens":9,"completion_tokens":2,"cost":1.4e-05}"#;
    let body = chat_body("hi")
        .replace(r#"{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}"#, usage);
    assert!(body.contains(usage));
    let upstream = Upstream::always(response("200 OK", "", &body)).await;
    let rig = Rig::start(World::over(&[&upstream])).await;
    let answer = rig.post_with("/v1/chat/completions", ask(), &FULL).await.json();
    let told = &answer["moniker"];
    assert_eq!(told["providerCost"], "0.000014", "{told}");
    assert_eq!(told["attempts"][0]["providerCost"], "0.000014");
    assert_eq!(told["cost"], serde_json::Value::Null, "it has no price");
    assert_eq!(told["tokens"]["input"], 9);
}
