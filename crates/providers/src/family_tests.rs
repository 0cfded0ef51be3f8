//! Tests of what the families of models take.

use super::*;

fn claude_of(name: &str) -> Claude {
    *Family::of(name).unwrap().claude().unwrap()
}

#[test]
fn names_in_every_dress_have_their_family() {
    let four_five = claude_of("us.anthropic.claude-sonnet-4-5-20250929-v1:0");
    assert_eq!(four_five, claude_of("claude-sonnet-4-5@20250929"));
    assert_eq!((four_five.thinking, four_five.format), (Thinking::Budget, true));
    assert!(!claude_of("claude-3-5-sonnet-20241022").format);
    assert!(!claude_of("claude-opus-4-20250514").one_sampling);
    assert_eq!(claude_of("claude-opus-4-5").efforts.len(), 3);
    assert_eq!(claude_of("anthropic/claude-opus-4.7").efforts, EFFORTS);
    assert!(claude_of("claude-opus-4-8").late_system);
    assert!(!claude_of("claude-sonnet-5").late_system && claude_of("claude-opus-5").late_system);
    assert_eq!(claude_of("claude-mythos-5-1").forced, Forced::Never);
    assert_eq!(claude_of("claude-haiku-5-5").thinking, Thinking::Adaptive);
    assert_eq!(claude_of("claude-sonnet-5-5").thinking, Thinking::BetweenTools);
    assert!(claude_of("claude-opus-7").preserved);
}

#[test]
fn other_makers() {
    let gemini = |name| match Family::of(name) {
        Some(Family::Gemini(rules)) => rules,
        other => panic!("{other:?}"),
    };
    assert_eq!(gemini("models/gemini-2.5-pro").budget, (128, 32_768));
    assert_eq!(gemini("gemini-2.5-flash").budget.0, 0);
    assert_eq!(gemini("gemini-3-pro-preview").levels, [Low, High]);
    assert!(!gemini("gemini-3.6-flash").prefill && gemini("gemini-3.5-flash").prefill);
    let openai = |name| match Family::of(name) {
        Some(Family::OpenAi(rules)) => rules,
        other => panic!("{other:?}"),
    };
    assert!(openai("gpt-4o-mini").efforts.is_empty());
    assert_eq!(openai("openai.gpt-oss-120b-1:0").efforts, [Low, Medium, High]);
    assert_eq!(openai("gpt-5-mini").efforts[0], Minimal);
    assert_eq!(openai("gpt-5.6").chat_tools, ChatTools::OnlyWithNone);
    assert_eq!(openai("gpt-5.4-mini").chat_tools, ChatTools::NotWithEffort);
    assert_eq!(Family::of("amazon.nova-pro-v1:0"), Some(Family::Nova));
    assert_eq!(Family::of("prod-1"), None);
}

#[test]
fn the_nearest_effort_is_the_next_lower() {
    assert_eq!(nearest(&[Low, High], Medium), Some(Low));
    assert_eq!(nearest(&[Low, High], Minimal), Some(Low));
    assert_eq!(nearest(&[Low, Medium, High], Max), Some(High));
    assert_eq!(nearest(&[], Max), None);
}
