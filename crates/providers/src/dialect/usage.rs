//! Usage, as dialects count it, into parts that do not overlap: the table of
//! [`rules::usage`](crate::rules::usage), applied to JSON.

use crate::{
    dialect::Dialect,
    json::Reader,
    neutral::Usage,
    openai,
    rules::usage::{count, counts, read},
    tree::Json,
};

/// Chat completions, whatever the server calls the cached tokens.
pub(super) fn chat(value: &Json) -> Option<Usage> {
    if !value.is_object() {
        return None;
    }
    let bytes = value.to_vec();
    let mut reader = Reader::new(&bytes).ok()?;
    let tokens = openai::usage(&mut reader).ok()??;
    Some(Usage { tokens, ..Usage::default() })
}

/// Responses: the same under other names.
pub(super) fn responses(value: &Json) -> Option<Usage> {
    let totals = ["input_tokens", "output_tokens", "total_tokens"];
    let tokens = openai::counted(Dialect::OpenAiResponses, totals, |path| member(value, path))?;
    Some(Usage { tokens, ..Usage::default() })
}

/// Anthropic. What is told later wins: `known` is what was told before.
pub(super) fn anthropic(value: &Json, known: Option<Usage>) -> Option<Usage> {
    if !value.is_object() {
        return known;
    }
    let mut usage = known.unwrap_or_default();
    for (part, steps) in counts(Dialect::Anthropic) {
        if let Some(told) = count(steps, |path| member(value, path)) {
            *part.of(&mut usage.tokens) = told;
        }
    }
    usage.tokens.reasoning = usage.tokens.reasoning.min(usage.tokens.output);
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
    let tokens = read(Dialect::Gemini, |path| member(value, path));
    Some(Usage { tokens, ..Usage::default() })
}

/// Bedrock.
pub(super) fn bedrock(value: &Json) -> Option<Usage> {
    if !value.is_object() {
        return None;
    }
    let by_ttl = |ttl: &str| -> u64 {
        let details = value.get("cacheDetails").items().iter();
        let found = details.filter(|d| d.get("ttl").text() == ttl);
        found.filter_map(|d| d.get("inputTokens").u64()).fold(0, u64::saturating_add)
    };
    let tokens = read(Dialect::Bedrock, |path| member(value, path));
    Some(Usage { tokens, written: (by_ttl("5m"), by_ttl("1h")), ..Usage::default() })
}

/// A member by its path as the table writes it.
fn member(value: &Json, path: &str) -> Option<u64> {
    if let Some((list, modality)) = path.strip_suffix(']').and_then(|path| path.split_once('[')) {
        let items = value.get(list).items().iter();
        let counts = items
            .filter(|item| item.get("modality").text() == modality)
            .filter_map(|item| item.get("tokenCount").u64());
        return counts.reduce(u64::saturating_add);
    }
    path.split('.').fold(value, |value, name| value.get(name)).u64()
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
        let cost = |cost: &str| {
            let text = format!(r#"{{"prompt_tokens":9,"completion_tokens":3,"cost":{cost}}}"#);
            let usage = chat(&json(&text)).unwrap().tokens;
            assert_eq!((usage.input, usage.output), (9, 3));
            usage.stated_cost.map(|cost| cost.to_string())
        };
        assert_eq!(cost("0.00014").as_deref(), Some("0.00014"));
        assert_eq!(cost("1.4e-05").as_deref(), Some("0.000014"));
        assert_eq!(cost("0").as_deref(), Some("0"));
        for none in ["-1", "1e9", "null", "\"1\"", "[1]"] {
            assert_eq!(cost(none), None, "{none}");
        }
    }

    #[test]
    fn nothing_is_no_usage() {
        for none in ["null", "3", "\"x\""] {
            assert!(chat(&json(none)).is_none() && gemini(&json(none)).is_none());
        }
    }
}
