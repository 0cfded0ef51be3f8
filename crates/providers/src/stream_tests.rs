//! The commit point, the end, and errors of a stream, at any split of its bytes.

use routing::{OutcomeClass, outcome::Fault};

use super::*;

const COMPATIBLE: ProviderKind = ProviderKind::OpenAICompatible;

fn read(stream: &mut Stream, chunks: &[Bytes]) -> Vec<Event> {
    let mut events = Vec::new();
    for chunk in chunks {
        stream.push(chunk.clone());
        while let Some(event) = stream.next().unwrap() {
            events.push(event);
        }
    }
    stream.close();
    while let Some(event) = stream.next().unwrap() {
        events.push(event);
    }
    events
}

fn judged(endpoint: Endpoint, text: &str) -> (Vec<&'static str>, End) {
    let mut stream = Stream::new(COMPATIBLE, endpoint, true);
    let events = read(&mut stream, &[Bytes::from(text.to_owned())]);
    let names = events.iter().map(|e| name(&e.judgement)).collect();
    (names, stream.end())
}

fn name(judgement: &Judgement) -> &'static str {
    match judgement {
        Judgement::Decisive => "decisive",
        Judgement::Terminal { filtered: false } => "terminal",
        Judgement::Terminal { filtered: true } => "filtered",
        Judgement::Lifecycle => "lifecycle",
        Judgement::Usage => "usage",
        Judgement::Done => "done",
        Judgement::Malformed => "malformed",
        Judgement::Error(failure) => failure.class.name(),
    }
}

fn chat(events: &[&str]) -> (Vec<&'static str>, End) {
    let text = events.iter().fold(String::new(), |text, e| text + &format!("data: {e}\n\n"));
    judged(Endpoint::ChatCompletions, &text)
}

const ROLE: &str = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#;
const HI: &str = r#"{"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}"#;
const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USED: &str = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;

#[test]
fn a_whole_stream() {
    let (events, end) = chat(&[ROLE, HI, STOP, USED, "[DONE]"]);
    assert_eq!(events, ["lifecycle", "decisive", "terminal", "usage", "done"]);
    assert_eq!(end, End::Complete);
}

#[test]
fn the_end_is_told_from_a_cut() {
    assert_eq!(chat(&[ROLE, HI, STOP]).1, End::Complete);
    assert_eq!(chat(&[ROLE, STOP]), (vec!["lifecycle", "terminal"], End::Complete));
    assert_eq!(chat(&[ROLE, HI]).1, End::Truncated);
    assert_eq!(chat(&[]).1, End::Truncated);
    assert_eq!(chat(&[HI, "[DONE]"]), (vec!["decisive", "done"], End::Complete));
    assert_eq!(chat(&[ROLE, "[DONE]"]), (vec!["lifecycle", "InvalidResponse"], End::Truncated));
    assert_eq!(chat(&["[DONE]"]), (vec!["InvalidResponse"], End::Truncated));
    let empty_reason = r#"{"choices":[{"index":0,"delta":{},"finish_reason":""}]}"#;
    assert_eq!(chat(&[HI, empty_reason]).1, End::Truncated);
}

#[test]
fn every_choice_needs_its_reason() {
    let second = r#"{"choices":[{"index":1,"delta":{"content":"yo"}}]}"#;
    let stop = r#"{"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#;
    assert_eq!(chat(&[HI, second, STOP]).1, End::Truncated);
    let (events, end) = chat(&[HI, second, STOP, stop]);
    assert_eq!(events, ["decisive", "decisive", "lifecycle", "terminal"]);
    assert_eq!(end, End::Complete);
}

#[test]
fn what_is_decisive() {
    for (delta, want) in [
        (r#"{"role":"assistant"}"#, "lifecycle"),
        (r#"{"content":""}"#, "lifecycle"),
        (r#"{"content":null,"tool_calls":[]}"#, "lifecycle"),
        (r#"{"reasoning_content":"hm"}"#, "decisive"),
        (r#"{"reasoning":"hm"}"#, "decisive"),
        (r#"{"refusal":"no"}"#, "decisive"),
        (
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]}"#,
            "decisive",
        ),
        (r#"{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}"#, "decisive"),
        (
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"","arguments":""}}]}"#,
            "lifecycle",
        ),
        (r#"{"function_call":{"name":"f"}}"#, "decisive"),
        (r#"{"audio":{"data":"AA"}}"#, "decisive"),
        (r#"{"images":[{}]}"#, "decisive"),
    ] {
        let event = format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#);
        assert_eq!(chat(&[&event]).0, [want], "{delta}");
    }
    let filter = r#"{"choices":[],"prompt_filter_results":[{"x":1}]}"#;
    assert_eq!(chat(&[filter]).0, ["lifecycle"]);
    let text = "data: {\"choices\":[{\"text\":\"a\",\"index\":0}]}\n\n";
    assert_eq!(judged(Endpoint::Completions, text).0, ["decisive"]);
}

#[test]
fn no_events_are_no_events() {
    let text = ": ping\n\ndata:\n\ndata: : keepalive\n\n\n\nevent: x\n\nretry: 1\n\n";
    let (events, end) = judged(Endpoint::ChatCompletions, text);
    assert!(events.iter().all(|e| *e == "lifecycle"), "{events:?}");
    assert_eq!(end, End::Truncated);
}

#[test]
fn errors_wherever_they_stand() {
    let over = r#"{"error":{"message":"Overloaded","code":503}}"#;
    assert_eq!(chat(&[ROLE, over]).0, ["lifecycle", "ServerError"]);
    assert_eq!(chat(&[HI, over]).0, ["decisive", "ServerError"]);
    let with_choices = r#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}],
        "error":{"code":429,"message":"slow"}}"#;
    assert_eq!(chat(&[&with_choices.replace('\n', "")]).0, ["RateLimited"]);
    let abort = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"abort"}]}"#;
    assert_eq!(chat(&[HI, abort]).0, ["decisive", "ServerError"]);
    let unknown = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"mystery"}]}"#;
    assert_eq!(chat(&[ROLE, unknown]).0, ["lifecycle", "InvalidResponse"]);
    assert_eq!(chat(&[HI, unknown]).0, ["decisive", "terminal"]);
    let filter = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}"#;
    assert_eq!(chat(&[ROLE, filter]).0, ["lifecycle", "filtered"]);
    assert_eq!(chat(&[HI, filter]).0, ["decisive", "terminal"]);
    for text in [
        "event: error\ndata: {\"error\":{\"message\":\"x\",\"status_code\":500}}\n\n",
        "event: error\ndata: {\"message\":\"x\",\"code\":500}\n\n",
        "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
    ] {
        assert_eq!(judged(Endpoint::ChatCompletions, text).0, ["ServerError"], "{text}");
    }
    let plain = "event: error\ndata: it broke\n\n";
    assert_eq!(judged(Endpoint::ChatCompletions, plain).0, ["InvalidResponse"]);
}

#[test]
fn what_cannot_be_read_passes_but_half_an_event_does_not() {
    assert_eq!(chat(&["{\"choices\":[", HI]).0, ["malformed", "decisive"]);
    let cut = format!("data: {HI}\n\ndata: {}", &STOP[..30]);
    assert_eq!(judged(Endpoint::ChatCompletions, &cut), (vec!["decisive"], End::Truncated));
    let unterminated = format!("data: {HI}\n\ndata: {STOP}");
    let (events, end) = judged(Endpoint::ChatCompletions, &unterminated);
    assert_eq!((events, end), (vec!["decisive", "terminal"], End::Complete));
}

#[test]
fn only_what_we_asked_is_hidden() {
    let text = Bytes::from(format!("data: {HI}\n\ndata: {STOP}\n\ndata: {USED}\n\n"));
    for hide in [true, false] {
        let mut stream = Stream::new(COMPATIBLE, Endpoint::ChatCompletions, hide);
        let hidden: Vec<_> =
            read(&mut stream, std::slice::from_ref(&text)).iter().map(|e| e.hidden).collect();
        assert_eq!(hidden, [false, false, hide]);
        assert_eq!(stream.usage().map(|u| (u.input, u.output)), Some((1, 2)));
    }
}

#[test]
fn a_page_is_no_stream() {
    let text = "<html>\n\n<body>Bad gateway</body></html>";
    assert_eq!(judged(Endpoint::ChatCompletions, text).1, End::Truncated);
}

#[test]
fn json_comes_out_as_events() {
    let body = "\n\n {\"id\":\"c\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":\
        {\"role\":\"assistant\",\"content\":\"hi\"},\"finish_reason\":\"stop\"}],\
        \"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}";
    let (events, end) = judged(Endpoint::ChatCompletions, body);
    assert_eq!(events, ["decisive", "terminal", "done"]);
    assert_eq!(end, End::Complete);
    let error = r#"{"error":{"code":"insufficient_quota","message":"empty"}}"#;
    assert_eq!(judged(Endpoint::ChatCompletions, error).0, ["OutOfCredit"]);
    let mut stream = Stream::new(COMPATIBLE, Endpoint::ChatCompletions, false);
    let events = read(&mut stream, &[Bytes::from(body)]);
    assert_eq!(name(&events[2].judgement), "usage");
    assert_eq!(stream.usage().map(|u| u.output), Some(2));
}

#[test]
fn sizes_are_bounded() {
    let mut stream = Stream::new(COMPATIBLE, Endpoint::ChatCompletions, true);
    stream.push(Bytes::from_static(b"data: "));
    assert_eq!(stream.next(), Ok(None));
    let block = Bytes::from(vec![b'x'; 1 << 20]);
    let error = loop {
        stream.push(block.clone());
        if let Err(error) = stream.next() {
            break error;
        }
    };
    assert_eq!(error, StreamError::EventTooLong);

    let mut stream = Stream::new(COMPATIBLE, Endpoint::ChatCompletions, true);
    stream.push(Bytes::from_static(b"{\"a\":\""));
    for _ in 0..64 {
        assert_eq!(stream.next(), Ok(None));
        stream.push(block.clone());
    }
    assert_eq!(stream.next(), Err(StreamError::AnswerTooLong));
}

#[test]
fn the_same_at_every_split() {
    let text = Bytes::from(format!(
        "\u{feff}: hello\r\n\r\ndata: {ROLE}\r\n\r\ndata: {HI}\n\ndata: {{\"choices\":\ndata: []}}\n\n\
         data: {STOP}\r\rdata: {USED}\n\ndata: [DONE]"
    ));
    let json = Bytes::from_static(b" \n{\"choices\":[{\"message\":{\"content\":\"\xc3\xa9\"}}]}");
    for text in [text, json] {
        let all = |chunks: &[Bytes]| {
            let mut stream = Stream::new(COMPATIBLE, Endpoint::ChatCompletions, true);
            let events = read(&mut stream, chunks);
            (events, stream.end(), stream.usage())
        };
        let expected = all(std::slice::from_ref(&text));
        assert_eq!(expected.1, End::Complete);
        for at in 0..=text.len() {
            assert_eq!(all(&[text.slice(..at), text.slice(at..)]), expected, "split at {at}");
        }
        let single: Vec<_> = (0..text.len()).map(|at| text.slice(at..=at)).collect();
        assert_eq!(all(&single), expected);
    }
}

#[test]
fn the_failure_of_an_error_is_the_providers() {
    let text = "data: {\"error\":{\"message\":\"no key\",\"code\":401}}\n\n";
    let mut stream = Stream::new(COMPATIBLE, Endpoint::ChatCompletions, true);
    let events = read(&mut stream, &[Bytes::from(text)]);
    let Judgement::Error(failure) = &events[0].judgement else { panic!("{events:?}") };
    assert_eq!(failure.class, OutcomeClass::Fault(Fault::Auth));
    assert_eq!(failure.message, "no key");
}

#[test]
fn usage_counts_once_however_often_it_is_stated() {
    let cumulative = |n: u32| {
        format!(
            r#"{{"choices":[{{"index":0,"delta":{{"content":"hi"}}}}],"usage":{{"prompt_tokens":9,"completion_tokens":{n}}}}}"#
        )
    };
    let zeros = r#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#;
    for (events, want) in [
        (vec![cumulative(1), cumulative(2), STOP.into(), "[DONE]".into()], 2),
        (vec![HI.into(), STOP.into(), USED.into(), USED.into(), "[DONE]".into()], 2),
        // What is filled in later, or forgotten again, takes nothing back.
        (vec![zeros.into(), HI.into(), STOP.into(), USED.into(), zeros.into()], 2),
    ] {
        let mut stream = Stream::new(COMPATIBLE, Endpoint::ChatCompletions, true);
        let text = events.iter().fold(String::new(), |text, e| text + &format!("data: {e}\n\n"));
        let events = read(&mut stream, &[Bytes::from(text)]);
        assert_eq!(stream.usage().map(|u| u.output), Some(want));
        for event in events {
            assert_eq!(event.hidden, event.judgement == Judgement::Usage);
        }
    }
}

#[test]
fn content_is_measured_for_streams_that_state_no_usage() {
    let mut stream = Stream::new(COMPATIBLE, Endpoint::ChatCompletions, true);
    let text = [ROLE, HI, HI].iter().fold(String::new(), |t, e| t + &format!("data: {e}\n\n"));
    read(&mut stream, &[Bytes::from(text)]);
    assert_eq!((stream.amount().text_bytes, stream.deltas()), (4, 2));
    assert_eq!(stream.usage(), None);
}
