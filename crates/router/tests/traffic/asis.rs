//! Images, moderations, reranking and speech: passed through with everything that other endpoints
//! have (fallback, limits, prices, reasons), or refused by name.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use routing::{
    Capability, ProviderKind,
    price::{Money, PerMillion, Price},
};

use crate::{
    rig::{Rig, World},
    upstream::{self, Do, Upstream, chunk, end, events_head, response},
};

const FULL: [(&str, &str); 1] = [("x-moniker-metadata", "full")];
const IMAGES: &str = r#"{"prompt":"a cat","model":"prod-chat","n":2,"size":"1024x1024"}"#;
const SPEECH: &str = r#"{"model":"prod-chat","input":"hello there you","voice":"alloy"}"#;
const TWO: &str = r#"{"created":1, "data":[{"b64_json":"AA=="},{"b64_json":"BB=="}]}"#;
/// What no text is.
const SOUND: &[u8] = b"ID3\xff\xfb\x90\x00\x00\xfe";

fn price(per_image: &str) -> Price {
    Price {
        input: PerMillion::parse("1").unwrap(),
        output: PerMillion::parse("10").unwrap(),
        audio_output: Some(PerMillion::parse("12").unwrap()),
        per_image: Some(Money::parse(per_image).unwrap()),
        ..Price::default()
    }
}

/// Audio with its length.
fn sound(kind: &str) -> Vec<Do> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        SOUND.len()
    );
    vec![Do::Send([head.as_bytes(), SOUND].concat())]
}

fn sound_chunk() -> Do {
    Do::Send([b"9\r\n", SOUND, b"\r\n"].concat())
}

fn sound_head() -> Do {
    Do::Send(
        b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec(),
    )
}

async fn bytes(body: Incoming) -> Result<Vec<u8>, hyper::Error> {
    Ok(body.collect().await?.to_bytes().to_vec())
}

fn of_t0(rig: &Rig, metric: &str) -> Option<f64> {
    rig.metric(&format!(r#"{metric}{{alias="shop/prod-chat",target="shop/t0/m"}}"#))
}

#[tokio::test]
async fn json_goes_and_comes_as_it_is() {
    for (path, ask, said) in [
        ("images/generations", IMAGES, TWO),
        (
            "moderations",
            r#"{"model":"prod-chat","input":["a",{"type":"text","text":"b"}]}"#,
            r#"{"id":"m","model":"x","results":[ {"flagged":true,"zeta":1e400} ]}"#,
        ),
        (
            "rerank",
            r#"{"model":"prod-chat","query":"q","documents":["a",{"text":"b"}],"top_n":1}"#,
            r#"{"id":"r","results":[{"index":1,"relevance_score":0.25}],"usage":{"total_tokens":4}}"#,
        ),
    ] {
        let only = Upstream::always(response("200 OK", "x-request-id: up-1\r\n", said)).await;
        let rig = Rig::start(World::over(&[&only])).await;
        let answer = rig.post(&format!("/v1/{path}"), ask.to_owned()).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, said), "{path}");
        let seen = &only.seen()[0];
        assert!(seen.head.starts_with(&format!("POST /v1/{path} ")), "{}", seen.head);
        assert_eq!(seen.text(), ask.replace("prod-chat", "up-t0"));
        assert_eq!(answer.header("x-moniker-target"), "shop/t0/m");
        assert_eq!(answer.header("x-moniker-reason"), "first_choice");
        assert_eq!(answer.header("x-moniker-upstream-request-id"), "up-1");
        let path = format!("/openai/deployments/prod-chat/{path}?api-version=1");
        let bare = ask.replace(r#""model":"prod-chat","#, "");
        assert_eq!(rig.post(&path, bare).await.status, 200);
    }
}

#[tokio::test]
async fn images_are_counted_and_priced() {
    let only = Upstream::always(response("200 OK", "", TWO)).await;
    let world = World::over(&[&only]).target(0, |t| t.models[0].price = Some(price("0.04")));
    let rig = Rig::start(world).await;
    let said = rig.post_with("/v1/images/generations", IMAGES, &FULL).await.json();
    let moniker = &said["moniker"];
    assert_eq!(moniker["tokens"]["images"], 2, "{said}");
    assert_eq!(moniker["tokens"]["estimated"], true);
    // Two images, and the two tokens of the prompt.
    assert_eq!(moniker["cost"], "0.080002");
    let asked = rig.post("/v1/explain/images/generations", IMAGES.to_owned()).await.json();
    let expected = asked["candidates"][0]["expectedCost"].as_str().unwrap();
    assert!(Money::parse(expected).unwrap() > Money::parse("0.08").unwrap(), "{asked}");
    assert_eq!(asked["request"]["needs"], serde_json::json!(["Images"]));

    let counted = TWO.replace(
        "\"created\"",
        r#""usage":{"input_tokens":5,"output_tokens":100,"total_tokens":105},"created""#,
    );
    only.next(response("200 OK", "", &counted));
    let said = rig.post_with("/v1/images/generations", IMAGES, &FULL).await.json();
    assert_eq!(said["moniker"]["cost"], "0.081005");
    assert!(said["moniker"]["tokens"].get("estimated").is_none(), "{said}");
}

#[tokio::test]
async fn the_cheaper_maker_of_images_goes_first() {
    let (dear, cheap) = (
        Upstream::always(response("200 OK", "", TWO)).await,
        Upstream::always(response("200 OK", "", TWO)).await,
    );
    let world = World::over(&[&dear, &cheap])
        .alias(|a| {
            a.lineup.strategy = routing::StrategySpec::of(routing::StrategyKind::LowestPrice);
        })
        .target(0, |t| t.models[0].price = Some(price("0.04")))
        .target(1, |t| t.models[0].price = Some(price("0.02")));
    let rig = Rig::start(world).await;
    assert_eq!(rig.post("/v1/images/generations", IMAGES.to_owned()).await.target(), "t1");
}

#[tokio::test]
async fn another_target_answers_when_one_fails() {
    let good = Upstream::always(response("200 OK", "", TWO)).await;
    let bad = Upstream::always(vec![Do::Reset]).await;
    let rig = Rig::start(World::over(&[&bad, &good])).await;
    for failing in [
        upstream::error("500 Internal Server Error", "", "server_error", "b"),
        upstream::error("404 Not Found", "", "model_not_found", "no such model"),
        response("200 OK", "", r#"{"data":[]}"#),
        response("200 OK", "", r#"{"error":{"message":"b","code":"server_error"}}"#),
        vec![Do::Close],
    ] {
        bad.next(failing);
        let answer = rig.post("/v1/images/generations", IMAGES.to_owned()).await;
        assert_eq!((answer.status, answer.target()), (200, "t1"), "{}", answer.body);
    }
    // What is the request's own fault is not tried elsewhere.
    let asked = good.count();
    let alone = Upstream::always(upstream::error("400 Bad Request", "", "odd", "no size")).await;
    let rig = Rig::start(World::over(&[&alone, &good])).await;
    let answer = rig.post("/v1/images/generations", IMAGES.to_owned()).await;
    assert_eq!(answer.error(), (400, "odd".to_owned(), "no size".to_owned()));
    assert_eq!(good.count(), asked);
}

/// A chat model is unknown where images are made: that says nothing of how well it is.
#[tokio::test]
async fn a_model_of_another_kind_is_not_ejected() {
    let only = Upstream::always(upstream::chat("ok")).await;
    let rig = Rig::start(World::over(&[&only])).await;
    for path in ["images/generations", "moderations", "audio/speech"] {
        only.next(upstream::error("404 Not Found", "", "model_not_found", "no such model"));
        let answer = rig.post(&format!("/v1/{path}"), SPEECH.to_owned()).await;
        assert_eq!(answer.status, 502, "{}", answer.body);
    }
    assert_eq!(rig.chat(crate::rig::ask()).await.status, 200);
    // One that serves this alone is not there.
    let world = World::over(&[&only]).target(0, |t| {
        t.models[0].capabilities = [Capability::Images].into_iter().collect();
    });
    let rig = Rig::start(world).await;
    only.next(upstream::error("404 Not Found", "", "model_not_found", "no such model"));
    rig.post("/v1/images/generations", IMAGES.to_owned()).await;
    let asked = rig.post("/v1/explain/images/generations", IMAGES.to_owned()).await.json();
    assert_eq!(asked["candidates"][0]["availability"], "EjectedHard");
}

#[tokio::test]
async fn who_has_no_such_endpoint_is_named() {
    let none = Upstream::always(vec![Do::Reset]).await;
    let world = World::over(&[&none, &none])
        .target(0, |t| {
            t.provider = ProviderKind::Anthropic;
            t.models[0].capabilities = t.provider.unstated_capabilities();
        })
        .target(1, |t| {
            t.provider = ProviderKind::OpenAI;
            t.models[0].capabilities = [Capability::Rerank].into_iter().collect();
        });
    let rig = Rig::start(world).await;
    let ask = r#"{"model":"prod-chat","query":"q","documents":["a"]}"#;
    let answer = rig.post("/v1/rerank", ask.to_owned()).await;
    let (status, code, message) = answer.error();
    assert_eq!((status, code.as_str()), (400, "unsupported_parameter"));
    assert!(message.contains("shop/t0/m: the model lacks Rerank"), "{message}");
    assert!(
        message.contains("shop/t1/m: `model` cannot be sent there: Its provider has no /v1/rerank"),
        "{message}"
    );
    assert_eq!(answer.json()["error"]["param"], "model");
    assert_eq!(answer.header("x-moniker-reason"), "no_target");
    let asked = rig.post("/v1/explain/rerank", ask.to_owned()).await.json();
    assert_eq!(asked["candidates"][0]["filtered"], "the model lacks Rerank");
    assert_eq!(none.count(), 0);
    let (status, code, message) = rig.post("/v1/audio/transcriptions", String::new()).await.error();
    assert_eq!((status, code.as_str()), (404, "unsupported_endpoint"));
    assert!(message.contains("/v1/audio/speech"), "{message}");
    let (status, code, _) =
        rig.post("/v1/moderations", r#"{"input":"a"}"#.to_owned()).await.error();
    assert_eq!((status, code.as_str()), (400, "missing_model"));
}

#[tokio::test]
async fn audio_goes_on_as_it_comes() {
    let only = Upstream::always(sound("audio/mpeg")).await;
    let world = World::over(&[&only]).target(0, |t| t.models[0].price = Some(price("0")));
    let rig = Rig::start(world).await;
    let ask = || rig.request("/v1/audio/speech", SPEECH.into(), &[]);
    let (whole, _open) = rig.open(ask()).await;
    assert_eq!(whole.headers()["content-type"], "audio/mpeg");
    assert_eq!(whole.headers()["content-length"], SOUND.len().to_string().as_str());
    assert_eq!(whole.headers()["x-moniker-target"], "shop/t0/m");
    assert_eq!(bytes(whole.into_body()).await.unwrap(), SOUND);
    assert_eq!(only.seen()[0].text(), SPEECH.replace("prod-chat", "up-t0"));
    assert_eq!(only.seen()[0].header("accept"), Some("*/*"));
    // 15 bytes are 21 tokens of audio, at 12 for a million, and 4 of the prompt.
    assert_eq!(of_t0(&rig, "moniker_cost_total"), Some(0.000_256));
    assert_eq!(of_t0(&rig, "moniker_estimated_usage_total"), Some(1.0));

    // The first bytes are there before the last.
    only.next(vec![sound_head(), sound_chunk(), Do::Wait, sound_chunk(), end()]);
    let (mut pieces, _open) = rig.open(ask()).await;
    assert!(pieces.headers().get("content-length").is_none());
    let first = pieces.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, SOUND);
    only.go_on();
    assert_eq!(bytes(pieces.into_body()).await.unwrap(), SOUND);

    // What does not say what it is.
    only.next(vec![Do::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{\"\x00".to_vec())]);
    let (odd, _open) = rig.open(ask()).await;
    assert_eq!(odd.headers()["content-type"], "application/octet-stream");
    assert_eq!(bytes(odd.into_body()).await.unwrap(), b"{\"\x00");
}

#[tokio::test]
async fn audio_that_breaks_off_does_not_end_well() {
    for breaking in [
        vec![sound_head(), sound_chunk(), Do::Wait, Do::Close],
        vec![sound_head(), sound_chunk(), Do::Wait, Do::Reset],
        vec![
            Do::Send(
                b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 99\r\n\r\nID3"
                    .to_vec(),
            ),
            Do::Wait,
            Do::Close,
        ],
    ] {
        let only = Upstream::always(breaking).await;
        let rig = Rig::start(World::over(&[&only])).await;
        let (mut answer, _open) =
            rig.open(rig.request("/v1/audio/speech", SPEECH.into(), &[])).await;
        assert!(answer.body_mut().frame().await.unwrap().is_ok());
        only.go_on();
        bytes(answer.into_body()).await.unwrap_err();
        assert_eq!(of_t0(&rig, "moniker_streams_truncated_total"), Some(1.0));
    }
    // Nor what this router has no more time for.
    let only = Upstream::always(vec![sound_head(), sound_chunk(), Do::Hang]).await;
    let rig = Rig::start(World::over(&[&only])).await;
    let (mut answer, _open) = rig.open(rig.request("/v1/audio/speech", SPEECH.into(), &[])).await;
    assert!(answer.body_mut().frame().await.unwrap().is_ok());
    rig.traffic.drained().cancel();
    bytes(answer.into_body()).await.unwrap_err();
    only.peer_left().await;
    assert_eq!(of_t0(&rig, "moniker_streams_truncated_total"), None);
    // Nor what goes silent.
    let only = Upstream::always(vec![sound_head(), sound_chunk(), Do::Hang]).await;
    let world = World::over(&[&only]).alias(|a| a.timeouts.stream_idle_ms = 50);
    let rig = Rig::start(world).await;
    let (answer, _open) = rig.open(rig.request("/v1/audio/speech", SPEECH.into(), &[])).await;
    bytes(answer.into_body()).await.unwrap_err();
    only.peer_left().await;
}

#[tokio::test]
async fn what_is_no_audio_is_answered_elsewhere() {
    let good = Upstream::always(sound("audio/wav")).await;
    let none = "HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 0\r\n\r\n";
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    let said = r#"{"error":{"message":"b","code":"server_error"}}"#;
    let masked = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: {}\r\n\r\n{said}",
        said.len()
    );
    for failing in [
        upstream::error("503 Service Unavailable", "", "b", "b"),
        response("200 OK", "", said),
        response("200 OK", "", "{}"),
        vec![Do::Send(none.into())],
        vec![Do::Send(page.into())],
        vec![Do::Send(masked.into_bytes())],
        vec![events_head(), chunk("data: {\"type\":\"speech.audio.done\"}\n\n"), end()],
        vec![sound_head(), Do::Close],
    ] {
        let bad = Upstream::always(failing.clone()).await;
        let rig = Rig::start(World::over(&[&bad, &good])).await;
        let (answer, _open) = rig.open(rig.request("/v1/audio/speech", SPEECH.into(), &[])).await;
        assert_eq!(answer.headers()["x-moniker-target"], "shop/t1/m", "{failing:?}");
        assert_eq!(answer.headers()["x-moniker-reason"], "fallback");
        assert_eq!(bytes(answer.into_body()).await.unwrap(), SOUND);
    }
}

#[tokio::test]
async fn speech_as_events_ends_with_its_last() {
    let piece =
        "event: speech.audio.delta\ndata: {\"type\":\"speech.audio.delta\",\"audio\":\"AAAA\"}\n\n";
    let done = "data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":4,\"output_tokens\":50,\"total_tokens\":54}}\n\n";
    let only = Upstream::always(vec![events_head(), chunk(piece), chunk(done), end()]).await;
    let world = World::over(&[&only]).target(0, |t| t.models[0].price = Some(price("0")));
    let rig = Rig::start(world).await;
    let ask = SPEECH.replace("\"voice\"", "\"stream_format\":\"sse\",\"voice\"");
    let answer = rig.post("/v1/audio/speech", ask.clone()).await;
    assert_eq!(answer.body, format!("{piece}{done}"));
    assert!(answer.header("content-type").starts_with("text/event-stream"));
    assert_eq!(only.seen()[0].header("accept"), Some("text/event-stream"));
    // 50 at 12 and 4 at 1.
    assert_eq!(of_t0(&rig, "moniker_cost_total"), Some(0.000_604));
    let answer = rig.post_with("/v1/audio/speech", ask.clone(), &FULL).await;
    assert!(answer.body.ends_with("\n\n") && answer.body.contains("event: moniker\n"));

    only.next(vec![events_head(), chunk(piece), end()]);
    let cut = rig.post("/v1/audio/speech", ask.clone()).await;
    assert!(cut.body.starts_with(piece) && cut.body.contains("data: {\"error\""), "{}", cut.body);
    // Audio where events were asked is none of them.
    only.next(vec![sound_head(), sound_chunk(), end()]);
    assert_eq!(rig.post("/v1/audio/speech", ask).await.header("x-moniker-reason"), "retry");
}

#[tokio::test]
async fn images_come_as_events_where_those_are_asked() {
    let partial = "data: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA==\"}\n\n";
    let whole = "data: {\"type\":\"image_generation.completed\",\"b64_json\":\"BB==\"}\n\n";
    let only = Upstream::always(vec![events_head(), chunk(partial), chunk(whole), end()]).await;
    let world = World::over(&[&only]).target(0, |t| t.models[0].price = Some(price("0.04")));
    let rig = Rig::start(world).await;
    let ask = IMAGES.replace("\"n\":2", "\"stream\":true,\"partial_images\":1");
    let answer = rig.post("/v1/images/generations", ask.clone()).await;
    assert_eq!(answer.body, format!("{partial}{whole}"));
    assert_eq!(of_t0(&rig, "moniker_cost_total"), Some(0.040_002));
    // A server that does not know streams.
    only.next(response("200 OK", "", r#"{"created":5,"data":[{"b64_json":"CC=="}]}"#));
    let answer = rig.post("/v1/images/generations", ask).await;
    let data = answer.body.split("data: ").nth(1).unwrap();
    let event: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(event["type"], "image_generation.completed");
    assert_eq!((&event["b64_json"], &event["created_at"]), (&"CC==".into(), &5.into()));
}
