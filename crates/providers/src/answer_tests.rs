//! What is an answer, and what only looks like one.

use routing::outcome::Fault::*;

use super::*;

const CHAT: Endpoint = Endpoint::ChatCompletions;

fn judge(endpoint: Endpoint, body: &str) -> Result<Answer, OutcomeClass> {
    judge_answer(ProviderKind::OpenAICompatible, endpoint, StatusCode::OK, body.as_bytes())
        .map_err(|failure| failure.class)
}

#[test]
fn answers() {
    for (endpoint, body) in [
        (CHAT, r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#),
        (CHAT, r#"{"choices":[{"message":{"content":"hi"},"finish_reason":""}]}"#),
        (CHAT, r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"whatever"}]}"#),
        (CHAT, r#"{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}"#),
        (CHAT, r#"{"choices":[{"message":{"content":null},"finish_reason":"length"}]}"#),
        (CHAT, r#"{"choices":[{"message":{"refusal":"no"}}],"error":null}"#),
        (CHAT, r#"{"choices":[{"message":{"tool_calls":[{"function":{"name":"f"}}]}}]}"#),
        (CHAT, r#"{"choices":[{"message":{"content":[{"type":"text","text":"hi"}]}}]}"#),
        (CHAT, r#"{"choices":[{"message":{"reasoning":"hm"}}]}"#),
        (Endpoint::Completions, r#"{"choices":[{"text":"hi","finish_reason":null}]}"#),
        (Endpoint::Embeddings, r#"{"data":[{"embedding":[0.1,1e-5]}]}"#),
        (Endpoint::Embeddings, r#"{"data":[{"embedding":"AAAA"},{"embedding":"BBBB"}]}"#),
    ] {
        assert_eq!(judge(endpoint, body).map(|a| a.filtered), Ok(false), "{body}");
    }
}

#[test]
fn a_filter_without_content_is_told() {
    for (body, filtered) in [
        (r#"{"choices":[{"finish_reason":"content_filter","index":0}]}"#, true),
        (r#"{"choices":[{"message":{"content":"a"},"finish_reason":"content_filter"}]}"#, false),
    ] {
        assert_eq!(judge(CHAT, body).unwrap().filtered, filtered);
    }
}

#[test]
fn what_is_none() {
    let server = OutcomeClass::Fault(ServerError);
    let invalid = OutcomeClass::Fault(InvalidResponse);
    for (body, want) in [
        ("", invalid),
        ("  \n", invalid),
        ("<html></html>", invalid),
        ("{\"choices\":[", invalid),
        ("{}", invalid),
        ("null", invalid),
        ("[]", invalid),
        ("\u{feff}{}", invalid),
        (r#"{"choices":[{"message":{"content":"hi"}}]} {}"#, invalid),
        (r#"{"choices":[{"message":{"content":NaN}}]}"#, invalid),
        (r#"{"choices":[]}"#, invalid),
        (r#"{"choices":null}"#, invalid),
        (r#"{"choices":[{}]}"#, invalid),
        (r#"{"choices":[{"message":{"role":"assistant","content":""}}]}"#, invalid),
        (r#"{"choices":[{"message":{"content":""},"finish_reason":"whatever"}]}"#, invalid),
        (r#"{"choices":[{"message":{"content":"par"},"finish_reason":"error"}]}"#, server),
        (r#"{"choices":[{"message":{},"finish_reason":"abort"}]}"#, server),
        (
            r#"{"choices":[{"error":{"code":429,"message":"x"},"finish_reason":"error"}]}"#,
            OutcomeClass::Fault(RateLimited),
        ),
        (r#"{"error":{"code":"insufficient_quota"}}"#, OutcomeClass::Fault(OutOfCredit)),
        (r#"{"error":{"message":"x","code":500},"choices":[]}"#, server),
        (r#"[{"error":{"code":503,"message":"x"}}]"#, server),
        (r#"{"type":"error","error":{"type":"overloaded_error"}}"#, server),
        (
            r#"{"object":"error","message":"prompt is too long"}"#,
            OutcomeClass::Fault(ContextLength),
        ),
        (
            r#"{"error":"Trying to keep the first 9 tokens to keep from the initial prompt"}"#,
            OutcomeClass::Fault(ContextLength),
        ),
    ] {
        assert_eq!(judge(CHAT, body), Err(want), "{body}");
    }
    for body in
        [r#"{"data":[]}"#, r#"{"data":[{"embedding":[]}]}"#, r#"{"choices":[{"text":"a"}]}"#]
    {
        assert_eq!(judge(Endpoint::Embeddings, body), Err(invalid), "{body}");
    }
}

#[test]
fn usage_is_made_disjoint() {
    let used = |usage: &str| {
        let body = format!(r#"{{"choices":[{{"finish_reason":"stop"}}],{usage}}}"#);
        judge(CHAT, &body).unwrap().usage
    };
    let whole = used(
        r#""usage":{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
            "prompt_tokens_details":{"cached_tokens":40,"audio_tokens":10,"cache_write_tokens":5},
            "completion_tokens_details":{"reasoning_tokens":20,"audio_tokens":8}}"#,
    );
    let want = Usage {
        input: 45,
        cache_read: 40,
        cache_write: 5,
        output: 42,
        reasoning: 20,
        audio_in: 10,
        audio_out: 8,
        images: 0,
        stated_cost: None,
    };
    assert_eq!(whole, Some(want));
    assert_eq!((want.prompt(), want.completion()), (100, 50));
    let beside = used(
        r#""usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":35,
            "completion_tokens_details":{"reasoning_tokens":20}}"#,
    );
    assert_eq!(beside.unwrap().output, 25);
    let wrong = used(r#""usage":{"prompt_tokens":1,"prompt_cache_hit_tokens":9}"#);
    assert_eq!(wrong.map(|u| (u.input, u.cache_read)), Some((0, 9)));
    let groq = used(r#""x_groq":{"id":"r","usage":{"prompt_tokens":3,"completion_tokens":4}}"#);
    assert_eq!(groq.map(|u| (u.input, u.output)), Some((3, 4)));
    assert_eq!(used(r#""usage":null"#), None);
    let odd = used(r#""usage":{"prompt_tokens":"3","prompt_tokens_details":null}"#);
    assert_eq!(odd, None);
}

#[test]
fn what_an_answer_holds_is_measured() {
    let amount = |body: &str| judge(CHAT, body).unwrap().amount;
    let body = r#"{"choices":[
        {"message":{"content":"four","reasoning":"and more","reasoning_details":[{"text":"and more"}],
          "tool_calls":[{"id":"call_1","function":{"name":"get","arguments":"{\"a\":1}"}}]},
         "finish_reason":"stop"},
        {"message":{"content":[{"type":"text","text":"x"}]},"finish_reason":"stop"}]}"#;
    // Escapes count as the bytes that they are written with.
    assert_eq!(amount(body), Amount { text_bytes: 4 + 8 + 3 + 9 + 1, other_tokens: 0 });
    let audio = r#"{"choices":[{"message":{"audio":{"data":"AAAA","id":"a"}}}]}"#;
    assert_eq!(amount(audio), Amount { text_bytes: 0, other_tokens: 1 });
}

#[test]
fn usage_that_counts_nothing_is_none() {
    let used = |usage: &str| {
        let body = format!(r#"{{"data":[{{"embedding":[1]}}],"usage":{usage}}}"#);
        judge(Endpoint::Embeddings, &body).unwrap().usage
    };
    assert_eq!(used(r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#), None);
    assert_eq!(used(r#"{"total_tokens":7}"#).map(|u| u.prompt()), Some(7));
}
