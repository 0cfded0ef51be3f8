//! What is found in a request's body, and what is refused.

use super::*;

fn chat(body: &str) -> RequestBody {
    RequestBody::read(Endpoint::ChatCompletions, body.as_bytes()).unwrap()
}

fn refused(body: &str) -> BodyError {
    RequestBody::read(Endpoint::ChatCompletions, body.as_bytes()).unwrap_err()
}

#[test]
fn the_model_is_found_however_it_is_written() {
    for (body, at) in [
        (r#"{"model":"prod-chat"}"#, 9),
        (r#"{ "x" : [ {"model":"no"} ], "model" : "prod-chat" }"#, 38),
        (r#"{"mod\u0065l":"prod\u002dchat"}"#, 14),
    ] {
        let read = chat(body);
        assert_eq!(read.model_name(body.as_bytes()), "prod-chat");
        assert_eq!(read.model.start, at, "{body}");
    }
}

#[test]
fn refusals_name_the_member() {
    for (body, error, param) in [
        ("{}", "The request names no model: set \"model\" to the name of an alias.", Some("model")),
        (
            r#"{"model":"a","mod\u0065l":"b"}"#,
            "The request's body has the member \"model\" twice: send it once.",
            Some("model"),
        ),
        (
            r#"{"model":"a","stream":true,"stream":false}"#,
            "The request's body has the member \"stream\" twice: send it once.",
            Some("stream"),
        ),
        (
            r#"{"model":"a","stream":1}"#,
            "The request's member \"stream\" must be true or false.",
            Some("stream"),
        ),
        (
            r#"{"model":["a"]}"#,
            "The request's member \"model\" must be a string: the name of an alias.",
            Some("model"),
        ),
        (
            r#"{"model":"\ud800"}"#,
            "The request's member \"model\" must be a string: the name of an alias.",
            Some("model"),
        ),
        ("[1]", "The request's body must be a JSON object with a member \"model\".", None),
        (
            r#"{"model":"a",}"#,
            "The request's body is no JSON: expected a member's name in quotes at byte 13.",
            None,
        ),
        ("", "The request's body is no JSON: the JSON ends too early at byte 0.", None),
        (
            r#"{"model":"a"}{"model":"b"}"#,
            "The request's body is no JSON: text after the end of the JSON at byte 13.",
            None,
        ),
    ] {
        let refusal = refused(body);
        assert_eq!((refusal.to_string().as_str(), refusal.param()), (error, param), "{body}");
    }
}

#[test]
fn a_member_that_nobody_reads_may_repeat() {
    chat(r#"{"model":"a","x":1,"x":2,"metadata":{"model":"b","model":"c"}}"#);
}

#[test]
fn needs_follow_from_the_request() {
    use Capability::*;
    let needs =
        |rest: &str| chat(&format!(r#"{{"model":"m",{rest}}}"#)).needs.iter().collect::<Vec<_>>();
    let content = |part: &str| format!(r#""messages":[{{"role":"user","content":[{part}]}}]"#);
    assert_eq!(needs(r#""stream":null"#), []);
    assert_eq!(needs(r#""stream":true"#), [Streaming]);
    assert_eq!(needs(r#""tools":[]"#), []);
    assert_eq!(needs(r#""tools":[{"type":"function"}]"#), [Tools]);
    assert_eq!(needs(r#""response_format":{"type":"json_object"}"#), []);
    assert_eq!(needs(r#""response_format":{"type":"json_schema"}"#), [JsonSchema]);
    assert_eq!(needs(r#""modalities":["text","audio"]"#), [Audio]);
    assert_eq!(needs(&content(r#"{"type":"text","text":"image_url"}"#)), []);
    assert_eq!(needs(&content(r#"{"type":"image_url","image_url":{"url":"data:"}}"#)), [Vision]);
    assert_eq!(needs(&content(r#"{"type":"input_audio","input_audio":{"data":""}}"#)), [Audio]);
    assert_eq!(needs(&content(r#"{"type":"file","file":{"file_data":""}}"#)), [Documents]);
    assert_eq!(needs(r#""input_audio":1"#), []);
}

#[test]
fn reasoning_is_a_wish() {
    for (member, wish) in [
        (r#""reasoning_effort":"high""#, true),
        (r#""reasoning_effort":"none""#, false),
        (r#""reasoning_effort":null"#, false),
        (r#""reasoning":{"effort":"low"}"#, true),
        (r#""reasoning":{}"#, false),
        (r#""reasoning":{"effort":"none"}"#, false),
        (r#""reasoning":{"enabled":false}"#, false),
        (r#""reasoning":{"enabled":true,"max_tokens":512}"#, true),
    ] {
        let read = chat(&format!(r#"{{"model":"m",{member}}}"#));
        assert_eq!(read.reasoning, wish, "{member}");
        assert!(!read.needs.has(Capability::Reasoning));
    }
}

#[test]
fn base64_counts_per_image_and_not_per_byte() {
    let data = "A".repeat(1_000_000);
    let read = chat(&format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":[
            {{"type":"text","text":"{}"}},
            {{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}]}}]}}"#,
        "x".repeat(4_000)
    ));
    let tokens = read.prompt_tokens();
    assert!((2_000..2_020).contains(&tokens), "{tokens}");
}

#[test]
fn token_ids_are_tokens() {
    let body = r#"{"model":"m","stream":true,"input":[[1,2,3],[4]]}"#;
    let read = RequestBody::read(Endpoint::Embeddings, body.as_bytes()).unwrap();
    assert_eq!(read.prompt_tokens(), 4);
    // An endpoint without streams passes the member on and answers with JSON.
    assert!(!read.stream && !read.needs.has(Capability::Streaming));
}

#[test]
fn the_smallest_cap_counts() {
    let read = chat(r#"{"model":"m","max_tokens":500,"max_completion_tokens":90,"n":3}"#);
    assert_eq!((read.output_cap(), read.choices), (Some(90), 3));
    let read = chat(r#"{"model":"m","max_tokens":null,"max_completion_tokens":1.5}"#);
    assert_eq!(read.output_cap(), None);
}

#[test]
fn stream_options_are_found() {
    let options =
        |value: &str| chat(&format!(r#"{{"model":"m","stream_options":{value}}}"#)).stream_options;
    let span = |len: usize| Span { start: 30, end: 30 + len };
    assert_eq!(options("null"), StreamOptions::Null(span(4)));
    assert_eq!(options("{ }"), StreamOptions::Object { span: span(3), empty: true });
    assert_eq!(options(r#"{"a":1}"#), StreamOptions::Object { span: span(7), empty: false });
    let inside = Span { start: 47, end: 51 };
    let include = options(r#"{"include_usage":true}"#);
    assert_eq!(include, StreamOptions::IncludeUsage { span: inside, on: true });
    assert_eq!(options("7"), StreamOptions::Other);
}

/// Prints what a scan costs; nothing is asserted, since machines differ.
#[test]
fn a_kilobyte_is_read_quickly() {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(18);
    let body = format!(
        r#"{{"model":"prod-chat","temperature":0.7,"messages":[{{"role":"system","content":"You are terse."}},{{"role":"user","content":"{text}"}}],"stream":true,"max_tokens":128}}"#
    );
    let rounds = 20_000_u32;
    let start = std::time::Instant::now();
    for _ in 0..rounds {
        std::hint::black_box(chat(std::hint::black_box(&body)));
    }
    println!("{} bytes: {:?}", body.len(), start.elapsed() / rounds);
}

#[test]
fn base64_counts_by_what_it_is_and_not_by_its_bytes() {
    let data = "A".repeat(1 << 20);
    let image = format!("data:image/png;base64,{data}");
    for (part, want) in [
        (format!(r#"{{"type":"image_url","image_url":{{"url":"{image}"}}}}"#), 1_000..1_100),
        (format!(r#"{{"type":"input_audio","input_audio":{{"data":"{data}"}}}}"#), 1_000..1_100),
        // 16 pages of 64 KiB, and a bit.
        (format!(r#"{{"type":"file","file":{{"file_data":"{data}"}}}}"#), 25_000..26_000),
        (format!(r#"{{"type":"text","text":"{image}"}}"#), 1_000..1_100),
    ] {
        let body = format!(r#"{{"model":"a","messages":[{{"role":"user","content":[{part}]}}]}}"#);
        let tokens = chat(&body).prompt_tokens();
        assert!(want.contains(&tokens), "{tokens}: {}", &part[..30]);
    }
    let back = format!(
        r#"{{"model":"a","messages":[{{"role":"assistant","content":"here","images":[{{"type":"image_url","image_url":{{"url":"{image}"}}}}]}}]}}"#
    );
    assert!(chat(&back).prompt_tokens() < 1_100);
    let input = format!(r#"{{"model":"a","input":["{image}","text"]}}"#);
    let read = RequestBody::read(Endpoint::Embeddings, input.as_bytes()).unwrap();
    assert_eq!(read.prompt, Amount { text_bytes: 4, other_tokens: 1_000 });
}

#[test]
fn the_opening_is_what_turns_of_one_conversation_share() {
    let opening = |body: &str| {
        let read = chat(body);
        read.opening.map(|span| span.map(|s| body[s.start..s.end].to_owned()))
    };
    let text = |text: &str| Some(text.to_owned());
    let system = r#"{"role":"system","content":"s"}, {"role":"developer","content":"d"}"#;
    let user = r#"{"role":"user","content":[{"type":"text","text":"first"}]}"#;
    let tools = r#"[{"type":"function"}]"#;
    let later = r#"{"role":"assistant","content":"x"},{"role":"user","content":"second"}"#;
    let first = format!(r#"{{"model":"a","messages":[{system} ,{user}],"tools":{tools}}}"#);
    let second =
        format!(r#"{{"tools": {tools},"model":"a","messages":[{system} ,{user},{later}]}}"#);
    assert_eq!(opening(&first), [text(system), text(tools), text(user)]);
    assert_eq!(opening(&second), opening(&first));
    assert_eq!(opening(r#"{"model":"a","messages":[]}"#), [None, None, None]);
    let read = RequestBody::read(Endpoint::Completions, br#"{"model":"a","prompt": "say"}"#);
    assert_eq!(read.unwrap().opening[2], Some(Span { start: 23, end: 28 }));
}

#[test]
fn messages_say_what_they_need_and_hold() {
    use Capability::*;
    let read = |rest: &str| {
        let body = format!(r#"{{"model":"m","max_tokens":9,{rest}}}"#);
        RequestBody::read(Endpoint::Messages, body.as_bytes()).unwrap()
    };
    let needs = |rest: &str| read(rest).needs.iter().collect::<Vec<_>>();
    let content = |part: &str| format!(r#""messages":[{{"role":"user","content":[{part}]}}]"#);
    let data = "A".repeat(200_000);
    let image = format!(
        r#"{{"source":{{"type":"base64","media_type":"image/png","data":"{data}"}},"type":"image"}}"#
    );
    let pdf = format!(
        r#"{{"type":"document","source":{{"type":"base64","media_type":"application/pdf","data":"{data}"}}}}"#
    );
    assert_eq!(needs(&content(&image)), [Vision]);
    assert_eq!(needs(&content(&pdf)), [Documents]);
    let nested = format!(r#"{{"type":"tool_result","tool_use_id":"t","content":[{image}]}}"#);
    assert_eq!(needs(&content(&nested)), [Vision]);
    let plain = r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"abcdefgh"}}"#;
    assert_eq!(needs(&content(plain)), []);
    let format = r#""output_config":{"effort":"low","format":{"type":"json_schema","schema":{}}}"#;
    assert_eq!(needs(format), [JsonSchema]);
    assert!(read(format).reasoning && read(r#""thinking":{"type":"adaptive"}"#).reasoning);
    assert!(!read(r#""thinking":{"type":"disabled"}"#).reasoning);
    for heavy in [&image, &pdf, &nested] {
        let tokens = read(&content(heavy)).prompt_tokens();
        assert!((1_000..6_100).contains(&tokens), "{tokens}");
    }
    let system = r#""system":[{"type":"text","text":"be brief"}],"messages":[{"role":"user","content":"hi"}]"#;
    let read = read(system);
    assert!(read.opening[0].is_some() && read.opening[2].is_some());
}

#[test]
fn what_is_bound_to_a_provider_is_found() {
    let of = |endpoint, rest: &str| {
        let body = format!(r#"{{"model":"m",{rest}}}"#);
        RequestBody::read(endpoint, body.as_bytes()).unwrap()
    };
    let part = |part: &str| format!(r#""messages":[{{"role":"user","content":[{part}]}}]"#);
    let item = |item: &str| format!(r#""input":[{item}]"#);
    for (endpoint, rest, bound) in [
        (
            Endpoint::Responses,
            r#""previous_response_id":"r""#.to_owned(),
            Some("previous_response_id"),
        ),
        (Endpoint::Responses, r#""previous_response_id":null"#.to_owned(), None),
        (Endpoint::Responses, r#""conversation":{"id":"c"}"#.to_owned(), Some("conversation")),
        (Endpoint::Responses, r#""prompt":{"id":"p"}"#.to_owned(), Some("prompt")),
        (Endpoint::Responses, r#""store":true"#.to_owned(), Some("store")),
        (Endpoint::Responses, r#""store":false"#.to_owned(), None),
        (
            Endpoint::Responses,
            item(r#"{"type":"item_reference","id":"i"}"#),
            Some("item_reference"),
        ),
        (
            Endpoint::Responses,
            item(r#"{"role":"user","content":[{"type":"input_image","file_id":"f"}]}"#),
            Some("file_id"),
        ),
        (
            Endpoint::ChatCompletions,
            part(r#"{"type":"file","file":{"file_id":"f"}}"#),
            Some("file_id"),
        ),
        (Endpoint::ChatCompletions, part(r#"{"type":"file","file":{"file_data":"f"}}"#), None),
        (
            Endpoint::Messages,
            part(r#"{"type":"document","source":{"type":"file","file_id":"f"}}"#),
            Some("file_id"),
        ),
        (Endpoint::Messages, r#""container":"c""#.to_owned(), Some("container")),
        (Endpoint::ChatCompletions, r#""container":"c","store":true"#.to_owned(), None),
    ] {
        assert_eq!(of(endpoint, &rest).bound, bound, "{rest}");
    }
    assert!(of(Endpoint::Responses, r#""background":true"#).background);
}

#[test]
fn responses_say_what_they_need() {
    use Capability::*;
    let read = |rest: &str| {
        let body = format!(r#"{{"model":"m",{rest}}}"#);
        RequestBody::read(Endpoint::Responses, body.as_bytes()).unwrap()
    };
    let needs = |rest: &str| read(rest).needs.iter().collect::<Vec<_>>();
    let part = |part: &str| format!(r#""input":[{{"role":"user","content":[{part}]}}]"#);
    assert_eq!(needs(r#""input":"hi","stream":true"#), [Streaming]);
    assert_eq!(needs(&part(r#"{"type":"input_image","image_url":"data:"}"#)), [Vision]);
    assert_eq!(needs(&part(r#"{"type":"input_file","file_data":"data:"}"#)), [Documents]);
    assert_eq!(needs(r#""text":{"format":{"type":"json_schema","schema":{}}}"#), [JsonSchema]);
    let both = read(r#""instructions":"s","input":[{"role":"user","content":"hi"}]"#);
    assert!(both.opening[0].is_some() && both.opening[2].is_some());
    assert_eq!(both.prompt.text_bytes, 1 + 4 + 2);
}
