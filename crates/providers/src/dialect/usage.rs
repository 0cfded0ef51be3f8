//! Usage, as dialects count it, into parts that do not overlap.

use crate::{json::Reader, neutral::Usage, openai, tree::Json};

/// Chat completions, whatever the server calls the cached tokens.
pub(super) fn chat(value: &Json) -> Option<Usage> {
    if !value.is_object() {
        return None;
    }
    let bytes = value.to_vec();
    let mut reader = Reader::new(&bytes).ok()?;
    let tokens = openai::usage(&mut reader).ok()??;
    let cost = value.get("cost").f64().filter(|cost| (0.0..1e9).contains(cost));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the bounds, and rounded"
    )]
    let cost = cost.map(|cost| (cost * 1e9).round() as u64);
    Some(Usage { tokens, cost, ..Usage::default() })
}

/// Responses: the same under other names.
pub(super) fn responses(value: &Json) -> Option<Usage> {
    let renamed: Vec<(String, Json)> = value
        .members()
        .iter()
        .map(|(name, value)| {
            let name = name.replace("input_tokens", "prompt_tokens");
            (name.replace("output_tokens", "completion_tokens"), value.clone())
        })
        .collect();
    if renamed.is_empty() { None } else { chat(&Json::Object(renamed)) }
}

/// Anthropic. What is told later wins: `known` is what was told before.
pub(super) fn anthropic(value: &Json, known: Option<Usage>) -> Option<Usage> {
    if !value.is_object() {
        return known;
    }
    let known = known.unwrap_or_default();
    let count = |name: &str, before: u64| value.get(name).u64().unwrap_or(before);
    let mut usage = known;
    let tokens = &mut usage.tokens;
    tokens.input = count("input_tokens", tokens.input);
    tokens.cache_read = count("cache_read_input_tokens", tokens.cache_read);
    tokens.cache_write = count("cache_creation_input_tokens", tokens.cache_write);
    tokens.output = count("output_tokens", tokens.output);
    let thinking = value.at(&["output_tokens_details", "thinking_tokens"]);
    tokens.reasoning = thinking.u64().unwrap_or(tokens.reasoning).min(tokens.output);
    let creation = value.get("cache_creation");
    if creation.is_object() {
        let written = |name: &str| creation.get(name).u64().unwrap_or_default();
        usage.written =
            (written("ephemeral_5m_input_tokens"), written("ephemeral_1h_input_tokens"));
    }
    // A compaction is a model's work of its own, and stands beside.
    for iteration in value.get("iterations").items() {
        if iteration.get("type").text() == "compaction" {
            let tokens = &mut usage.tokens;
            let count = |name: &str| iteration.get(name).u64().unwrap_or_default();
            tokens.input = tokens.input.saturating_add(count("input_tokens"));
            tokens.output = tokens.output.saturating_add(count("output_tokens"));
        }
    }
    Some(usage)
}

/// Gemini.
pub(super) fn gemini(value: &Json) -> Option<Usage> {
    if !value.is_object() {
        return None;
    }
    let count = |name: &str| value.get(name).u64().unwrap_or_default();
    let audio = |name: &str| -> u64 {
        let details = value.get(name).items().iter();
        let heard = details.filter(|d| d.get("modality").text() == "AUDIO");
        heard.filter_map(|d| d.get("tokenCount").u64()).fold(0, u64::saturating_add)
    };
    let (audio_in, audio_out) = (audio("promptTokensDetails"), audio("candidatesTokensDetails"));
    let cached = count("cachedContentTokenCount");
    let thoughts = count("thoughtsTokenCount");
    let prompt = count("promptTokenCount").saturating_sub(cached).saturating_sub(audio_in);
    let tokens = crate::Usage {
        // What tools put into the prompt stands beside it.
        input: prompt.saturating_add(count("toolUsePromptTokenCount")),
        cache_read: cached,
        output: count("candidatesTokenCount").saturating_add(thoughts).saturating_sub(audio_out),
        reasoning: thoughts,
        audio_in,
        audio_out,
        ..crate::Usage::default()
    };
    Some(Usage { tokens, ..Usage::default() })
}

/// Bedrock.
pub(super) fn bedrock(value: &Json) -> Option<Usage> {
    if !value.is_object() {
        return None;
    }
    let count = |name: &str| value.get(name).u64().unwrap_or_default();
    let by_ttl = |ttl: &str| -> u64 {
        let details = value.get("cacheDetails").items().iter();
        let found = details.filter(|d| d.get("ttl").text() == ttl);
        found.filter_map(|d| d.get("inputTokens").u64()).fold(0, u64::saturating_add)
    };
    let tokens = crate::Usage {
        input: count("inputTokens"),
        cache_read: count("cacheReadInputTokens"),
        cache_write: count("cacheWriteInputTokens"),
        output: count("outputTokens"),
        ..crate::Usage::default()
    };
    Some(Usage { tokens, written: (by_ttl("5m"), by_ttl("1h")), ..Usage::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn parts_do_not_overlap() {
        let usage = gemini(&json(
            r#"{"promptTokenCount":100,"cachedContentTokenCount":30,"candidatesTokenCount":10,
            "thoughtsTokenCount":5,"toolUsePromptTokenCount":7,
            "promptTokensDetails":[{"modality":"AUDIO","tokenCount":20}]}"#,
        ))
        .unwrap()
        .tokens;
        assert_eq!((usage.input, usage.cache_read, usage.audio_in), (57, 30, 20));
        assert_eq!((usage.output, usage.reasoning), (15, 5));
        let usage = responses(&json(
            r#"{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":3,
            "output_tokens_details":{"reasoning_tokens":2},"total_tokens":13}"#,
        ))
        .unwrap()
        .tokens;
        assert_eq!((usage.input, usage.cache_read, usage.output, usage.reasoning), (6, 4, 3, 2));
    }

    #[test]
    fn what_anthropic_tells_later_wins() {
        let start = json(
            r#"{"input_tokens":1128,"cache_creation_input_tokens":5,"output_tokens":1,
            "cache_creation":{"ephemeral_5m_input_tokens":5,"ephemeral_1h_input_tokens":0}}"#,
        );
        let end = json(r#"{"input_tokens":2411,"output_tokens":90}"#);
        let usage = anthropic(&end, anthropic(&start, None)).unwrap();
        assert_eq!((usage.tokens.input, usage.tokens.output), (2411, 90));
        assert_eq!((usage.tokens.cache_write, usage.written), (5, (5, 0)));
    }

    #[test]
    fn a_relays_cost_is_kept() {
        let usage = chat(&json(
            r#"{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"cost":0.00014}"#,
        ));
        assert_eq!(usage.unwrap().cost, Some(140_000));
        let none = chat(&json(r#"{"prompt_tokens":9,"completion_tokens":3,"cost":-1}"#));
        assert_eq!(none.unwrap().cost, None);
    }

    #[test]
    fn nothing_is_no_usage() {
        for none in ["null", "3", "\"x\""] {
            assert!(chat(&json(none)).is_none() && gemini(&json(none)).is_none());
        }
    }
}
