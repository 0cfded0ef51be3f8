//! How much a model is to think, from one provider's words to another's: an effort is a budget of
//! tokens, and a budget is an effort.

use crate::neutral::Effort;

/// The budget that stands for adaptive thinking.
pub(super) const ADAPTIVE: u64 = 8_192;
/// The least budget that Claude takes, and what must be left of the answer's limit beside one.
pub(super) const LEAST: u64 = 1_024;

/// The tokens that an effort is worth at Anthropic.
pub(super) fn budget_of(effort: Effort) -> u64 {
    match effort {
        Effort::Minimal | Effort::Low => 1_024,
        Effort::Medium => 8_192,
        Effort::High => 24_576,
        Effort::Xhigh | Effort::Max => 32_768,
    }
}

/// The tokens that an effort is worth at Gemini, whose least is less.
pub(super) fn gemini_budget_of(effort: Effort) -> u64 {
    if effort == Effort::Minimal { 512 } else { budget_of(effort) }
}

/// The effort that a budget is.
pub(super) fn of_budget(tokens: u64) -> Effort {
    match tokens {
        ..2_048 => Effort::Low,
        2_048..8_192 => Effort::Medium,
        8_192..24_576 => Effort::High,
        24_576.. => Effort::Xhigh,
    }
}
