//! Streams that are passed through stay as they came, and are judged by what they say.

use super::*;
use crate::{
    dialect::{Back, Candidate, Dialect},
    protocol::{Caller, responses::echo},
};

fn caller(protocol: Protocol) -> Caller {
    Caller {
        protocol,
        now: 1,
        seed: "s".into(),
        model: "m".into(),
        stream_usage: true,
        old_functions: false,
        echo: echo(b"{}"),
        tag: "abcdefgh".into(),
        request_id: Some("req_1".into()),
        estimate: 1,
    }
}

fn translation(dialect: Dialect, protocol: Protocol) -> Translation {
    let candidate = Candidate::new(dialect, "ns/t", "m", "m");
    Translation::new(&candidate, Back::default(), caller(protocol))
}

fn messages() -> Flow {
    Flow::passed(Protocol::Messages, translation(Dialect::Anthropic, Protocol::Messages))
}

fn responses() -> Flow {
    Flow::passed(Protocol::Responses, translation(Dialect::OpenAiResponses, Protocol::Responses))
}

fn drain(flow: &mut Flow) -> Vec<Event> {
    std::iter::from_fn(|| flow.next().unwrap()).collect()
}

const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\
    \"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude\",\"content\":[],\
    \"stop_reason\":null,\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n";
const BLOCK: &str = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\
    \"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
const DELTA: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
    \"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n";
const STOP: &str =
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n";
const LAST: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":\
    {\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":3}}\n\n";
const END: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

#[test]
fn messages_pass_unchanged_wherever_they_are_cut() {
    let ping = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
    let odd = "event: novel\ndata: {\"type\":\"novel\",\"x\":1e400}\n\ndata: {half\n\n";
    let text = [START, ping, BLOCK, DELTA, odd, STOP, LAST, END].concat();
    for cut in 0..text.len() {
        let mut flow = messages();
        let mut out = Vec::new();
        let mut judged = Vec::new();
        for piece in [&text[..cut], &text[cut..]] {
            flow.push(Bytes::copy_from_slice(piece.as_bytes()));
            for event in drain(&mut flow) {
                out.extend_from_slice(&event.raw);
                judged.push(event.judgement);
            }
        }
        assert_eq!(String::from_utf8_lossy(&out), text, "{cut}");
        let decisive = judged.iter().position(|j| *j == Judgement::Decisive);
        assert_eq!(decisive, Some(3), "{judged:?}");
        assert!(judged.contains(&Judgement::Malformed));
        assert_eq!(judged.last(), Some(&Judgement::Done));
        assert_eq!(flow.end(), End::Complete);
        let usage = flow.usage().unwrap();
        assert_eq!((usage.input, usage.output), (7, 3));
        assert_eq!((flow.amount().text_bytes, flow.deltas()), (2, 1));
    }
}

#[test]
fn a_stream_of_messages_that_breaks_off_is_not_whole_and_ends_in_its_error() {
    let mut flow = messages();
    flow.push(Bytes::from([START, BLOCK, DELTA].concat()));
    assert!(drain(&mut flow).iter().any(|e| e.judgement == Judgement::Decisive));
    assert_eq!(flow.keep_alive(), "event: ping\ndata: {\"type\":\"ping\"}\n\n");
    assert_eq!(flow.end(), End::Truncated);
    let frame = flow.fail(&Failure::invalid("cut by canary1"), &Bytes::new(), &["canary1"]);
    let frame = String::from_utf8_lossy(&frame).into_owned();
    assert!(frame.starts_with("event: error\ndata: {\"type\":\"error\""), "{frame}");
    assert!(!frame.contains("canary1"), "{frame}");
}

#[test]
fn without_its_last_event_a_finished_message_is_whole() {
    let mut flow = messages();
    flow.push(Bytes::from([START, BLOCK, DELTA, STOP, LAST].concat()));
    let events = drain(&mut flow);
    assert!(matches!(events.last().unwrap().judgement, Judgement::Terminal { filtered: false }));
    flow.close();
    assert_eq!((drain(&mut flow).len(), flow.end()), (0, End::Complete));
}

#[test]
fn an_error_of_a_passed_stream_is_judged_where_it_stands() {
    let mut flow = messages();
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\
                 \"message\":\"Overloaded\"}}\n\n";
    flow.push(Bytes::from([START, error].concat()));
    let last = drain(&mut flow).pop().unwrap();
    let Judgement::Error(failure) = last.judgement else { panic!("{:?}", last.judgement) };
    assert_eq!(failure.class.name(), "ServerError");
    let frame = flow.fail(&failure, &last.raw, &["loaded"]);
    let frame = String::from_utf8_lossy(&frame).into_owned();
    assert!(frame.starts_with("event: error\n") && !frame.contains("Overloaded"), "{frame}");
}

#[test]
fn a_whole_message_becomes_its_events_and_so_does_a_response() {
    let message = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":
        [{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":7,
        "output_tokens":3}}"#;
    let response = r#"{"id":"resp_1","object":"response","status":"completed","model":"gpt","output":
        [{"type":"message","id":"m","role":"assistant","content":[{"type":"output_text","text":"Hi",
        "annotations":[]}]}],"usage":{"input_tokens":7,"output_tokens":3,"total_tokens":10}}"#;
    for (mut flow, body, last) in [
        (messages(), message, "event: message_stop"),
        (responses(), response, "event: response.completed"),
    ] {
        flow.push(Bytes::from(body));
        flow.close();
        let events = drain(&mut flow);
        let text: Vec<u8> = events.iter().flat_map(|e| e.raw.to_vec()).collect();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("\"Hi\"") && text.contains(last), "{text}");
        assert_eq!(flow.end(), End::Complete);
        assert_eq!(flow.usage().unwrap().output, 3);
    }
}

#[test]
fn the_last_event_of_responses_commits_and_ends() {
    let mut flow = responses();
    let created = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":\
                   {\"id\":\"resp_1\",\"status\":\"in_progress\",\"model\":\"gpt\",\"output\":[]}}\n\n";
    let completed = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":\
                     {\"id\":\"resp_1\",\"status\":\"completed\",\"model\":\"gpt\",\"output\":[],\
                     \"usage\":{\"input_tokens\":7,\"output_tokens\":0,\"total_tokens\":7}}}\n\n";
    flow.push(Bytes::from([created, completed].concat()));
    let events = drain(&mut flow);
    let kinds: Vec<&Judgement> = events.iter().map(|e| &e.judgement).collect();
    assert!(
        matches!(
            kinds.as_slice(),
            [Judgement::Lifecycle, Judgement::Terminal { filtered: false }, Judgement::Done]
        ),
        "{kinds:?}"
    );
    assert_eq!(flow.keep_alive(), ": keep-alive\n");
    assert_eq!(flow.end(), End::Complete);
}

#[test]
fn a_translated_stream_that_loses_its_last_event_is_wound_up() {
    let mut flow = Flow::translated(translation(Dialect::Anthropic, Protocol::Chat));
    flow.push(Bytes::from([START, BLOCK, DELTA, STOP, LAST].concat()));
    drain(&mut flow);
    assert_eq!(flow.end(), End::Complete);
    let rest = String::from_utf8(flow.wind_up().to_vec()).unwrap();
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    assert!(flow.wind_up().is_empty());
    assert_eq!(flow.usage().unwrap().output, 3);
}
