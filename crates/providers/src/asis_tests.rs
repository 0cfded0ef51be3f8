//! What is an image, a verdict, a score or a sound, and what only looks like one.

use routing::{OutcomeClass, outcome::Fault};

use super::*;
use crate::{End, Judgement, Stream, collect};

const KIND: ProviderKind = ProviderKind::OpenAICompatible;

fn judged(endpoint: Endpoint, body: &str) -> Result<Answer, Failure> {
    judge_answer(KIND, endpoint, StatusCode::OK, body.as_bytes())
}

#[test]
fn answers() {
    for (endpoint, body, want) in [
        (Endpoint::Images, r#"{"created":1,"data":[{"url":"https://a/b.png"}]}"#, None),
        (
            Endpoint::Images,
            r#"{"data":[{"b64_json":"AA=="},{"b64_json":"BB=="}],"usage":{"input_tokens":10,
               "output_tokens":4160,"total_tokens":4170,
               "input_tokens_details":{"cached_tokens":4,"text_tokens":10,"image_tokens":0}}}"#,
            Some(Usage { input: 6, cache_read: 4, output: 4160, images: 2, ..Usage::default() }),
        ),
        (Endpoint::Moderations, r#"{"id":"m","results":[{"flagged":false}]}"#, None),
        (
            Endpoint::Rerank,
            r#"{"object":"list","results":[{"index":0,"relevance_score":0.9}],
               "usage":{"total_tokens":9}}"#,
            Some(Usage { input: 9, ..Usage::default() }),
        ),
        (
            Endpoint::Rerank,
            r#"{"results":[],"meta":{"billed_units":{"search_units":1},
               "tokens":{"input_tokens":7,"output_tokens":0}}}"#,
            Some(Usage { input: 7, ..Usage::default() }),
        ),
        (
            Endpoint::Rerank,
            r#"{"data":[{"index":1,"relevance_score":-3}],"usage":{"total_tokens":0}}"#,
            None,
        ),
    ] {
        let answer = judged(endpoint, body).unwrap_or_else(|e| panic!("{body}: {e:?}"));
        assert_eq!(answer.usage, want, "{body}");
    }
    let two = r#"{"data":[{"url":"a"},{"url":"b"}]}"#;
    assert_eq!(judged(Endpoint::Images, two).unwrap().images, 2);
}

#[test]
fn what_is_none() {
    let invalid = OutcomeClass::Fault(Fault::InvalidResponse);
    for (endpoint, body, want) in [
        (Endpoint::Images, "", invalid),
        (Endpoint::Images, "{}", invalid),
        (Endpoint::Images, r#"{"data":[]}"#, invalid),
        (Endpoint::Images, r#"{"data":[{"url":"a"},{"url":""}]}"#, invalid),
        (Endpoint::Images, r#"{"data":[{"b64_json":null}]}"#, invalid),
        (Endpoint::Images, r#"{"data":"none"}"#, invalid),
        (Endpoint::Moderations, r#"{"results":[]}"#, invalid),
        (Endpoint::Moderations, r#"{"results":[{"flagged":null}]}"#, invalid),
        (Endpoint::Rerank, r#"{"results":[{"index":0}]}"#, invalid),
        (Endpoint::Rerank, r#"{"results":[3]}"#, invalid),
        (Endpoint::Rerank, "[]", invalid),
        (Endpoint::Speech, r#"{"audio":"AAAA"}"#, invalid),
        (
            Endpoint::Images,
            r#"{"error":{"code":"moderation_blocked","message":"no"}}"#,
            OutcomeClass::Fault(Fault::Moderation),
        ),
        (
            Endpoint::Speech,
            r#"{"error":{"code":"insufficient_quota","message":"no"}}"#,
            OutcomeClass::Fault(Fault::OutOfCredit),
        ),
    ] {
        assert_eq!(judged(endpoint, body).unwrap_err().class, want, "{endpoint} {body}");
    }
}

fn read(endpoint: Endpoint, body: &str) -> (Vec<Judgement>, Stream) {
    let mut stream = Stream::new(KIND, endpoint, false);
    stream.push(Bytes::from(body.to_owned()));
    let mut said = Vec::new();
    while let Some(event) = stream.next().unwrap() {
        said.push(event.judgement);
    }
    stream.close();
    while let Some(event) = stream.next().unwrap() {
        said.push(event.judgement);
    }
    (said, stream)
}

const DONE: Judgement = Judgement::Terminal { filtered: false };

#[test]
fn streams_of_images_end_with_a_finished_one() {
    let partial = "event: image_generation.partial_image\n\
                   data: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA==\"}\n\n";
    let whole = "event: image_generation.completed\n\
                 data: {\"type\":\"image_generation.completed\",\"b64_json\":\"BB==\",\
                 \"created_at\":5,\"size\":\"1x1\",\"usage\":{\"input_tokens\":3,\
                 \"output_tokens\":9,\"total_tokens\":12}}\n\n";
    let (said, stream) = read(Endpoint::Images, &format!("{partial}: hm\n\n{whole}"));
    assert_eq!(said, [Judgement::Decisive, Judgement::Lifecycle, DONE]);
    assert_eq!((stream.end(), stream.images(), stream.deltas()), (End::Complete, 1, 0));
    let used = Usage { input: 3, output: 9, images: 1, ..Usage::default() };
    assert_eq!(stream.usage(), Some(used));

    let (said, stream) = read(Endpoint::Images, partial);
    assert_eq!((said.as_slice(), stream.end()), ([Judgement::Decisive].as_slice(), End::Truncated));

    let text = Bytes::from(format!("{partial}{whole}"));
    let json = collect(KIND, Endpoint::Images, &text).unwrap();
    let value: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(value["data"], serde_json::json!([{"b64_json": "BB=="}]));
    assert_eq!((&value["created"], &value["size"]), (&5.into(), &"1x1".into()));
    assert_eq!(judged(Endpoint::Images, &value.to_string()).unwrap().usage, Some(used));
    assert!(collect(KIND, Endpoint::Images, &Bytes::from(partial)).is_err());
}

#[test]
fn images_in_json_become_events_where_those_were_asked() {
    let json = r#"{"created":7,"size":"1x1","data":[{"b64_json":"AA=="},{"url":"b"}],
                   "usage":{"input_tokens":3,"output_tokens":9,"total_tokens":12}}"#;
    let (said, stream) = read(Endpoint::Images, json);
    assert_eq!(said, [DONE, DONE]);
    assert_eq!((stream.end(), stream.images()), (End::Complete, 2));
    assert_eq!(stream.usage().unwrap().output, 9);
    let first = events(json.as_bytes()).remove(0);
    let data: Value = serde_json::from_slice(&fields(&first).data).unwrap();
    let want = serde_json::json!({"type": "image_generation.completed", "b64_json": "AA==",
        "created_at": 7, "size": "1x1"});
    assert_eq!(data, want);
}

#[test]
fn streams_of_speech_end_when_they_say_so() {
    let piece = "data: {\"type\":\"speech.audio.delta\",\"audio\":\"AAAA\"}\n\n";
    let done = "data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":4,\
                \"output_tokens\":50,\"total_tokens\":54}}\n\n";
    let (said, stream) = read(Endpoint::Speech, &format!("{piece}{done}data: [DONE]\n\n"));
    assert_eq!(said, [Judgement::Decisive, DONE, Judgement::Done]);
    assert_eq!(stream.usage(), Some(Usage { input: 4, audio_out: 50, ..Usage::default() }));
    assert_eq!(read(Endpoint::Speech, piece).1.end(), End::Truncated);
    for broken in [
        done,
        "data: [DONE]\n\n",
        "event: error\ndata: {\"message\":\"no\"}\n\n",
        "data: {\"error\":{\"message\":\"no\"}}\n\n",
        "{\"audio\":\"AAAA\"}",
    ] {
        let (said, _) = read(Endpoint::Speech, broken);
        assert!(matches!(said.as_slice(), [Judgement::Error(_)]), "{broken}: {said:?}");
    }
}

#[test]
fn audio_is_told_from_text() {
    use Opening::{Audio, Text, Unclear};
    let mpeg = Some("audio/mpeg");
    for (kind, bytes, ended, want) in [
        (mpeg, &b"ID3"[..], false, Audio),
        (mpeg, b"", false, Unclear),
        (mpeg, b"", true, Text),
        (mpeg, b"{\"error", false, Unclear),
        (mpeg, b"{\"error\": 1}", true, Text),
        (Some("audio/pcm"), b"{\"\x00\x01", true, Audio),
        (None, b"RIFF", false, Audio),
        (Some("application/json; charset=utf-8"), b"RIFF", false, Text),
        (Some("Text/Event-Stream"), b"", false, Text),
        (Some("application/problem+json"), b"", false, Text),
    ] {
        assert_eq!(opening(kind, bytes, ended), want, "{kind:?} {bytes:?} {ended}");
    }
    assert_eq!(opening(mpeg, &vec![b'{'; MAX_UNCLEAR + 1], false), Audio);
    let page = no_audio(KIND, StatusCode::OK, b"<html>");
    assert_eq!(page.class, OutcomeClass::Fault(Fault::InvalidResponse));
}

#[test]
fn audio_is_expected_of_text() {
    // A minute of speech.
    assert_eq!(audio_tokens(900), 1_260);
    assert_eq!(audio_tokens(1), 2);
    assert_eq!(audio_tokens(0), 0);
}
